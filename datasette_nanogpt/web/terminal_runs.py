"""Runs that were started in a terminal, or by another server, and do not stop when they are asked to."""

from __future__ import annotations

import time
from pathlib import Path

from ..registry.process_id import terminate
from ..registry.run_log import log
from ..registry.runs import UNDER_WAY, find_runs

ASK_SECONDS = 20.0  # in which a run notices that it was asked, between two steps, and saves


class TerminalRuns:
    """Insists where "Stop now" was pressed. A process gets SIGTERM once, and never SIGKILL: it may be part of
    a program of somebody's, who can end that."""

    def __init__(self, home: Path):
        self.home = home
        self.told: dict[int, float] = {}  # run -> when it was first seen that it should stop
        self.sent: set[int] = set()

    def insist(self) -> None:
        """Look at what is under way, and send SIGTERM to what was asked to stop ASK_SECONDS ago."""
        condition = "stop_requested >= 2 and process is not null and status in (?, ?)"
        runs = {run["id"]: run for run in find_runs(self.home, condition, *UNDER_WAY)}
        now = time.monotonic()
        self.told = {run: self.told.get(run, now) for run in runs}
        for run, told in self.told.items():
            if now - told > ASK_SECONDS and run not in self.sent:
                self.sent.add(run)
                done = terminate(runs[run]["process"])
                log.warning("Run %d does not stop: %s", run, "SIGTERM was sent" if done else "it is not ours")
