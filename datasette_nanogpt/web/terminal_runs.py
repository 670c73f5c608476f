"""Ends runs that a terminal or another server started and that do not stop when they are asked to."""

from __future__ import annotations

import time
from pathlib import Path

from ..registry.process_id import terminate
from ..registry.run_log import log
from ..registry.runs import UNDER_WAY, find_runs

ASK_SECONDS = 20.0  # how long a run gets to notice "Stop now", between two steps, and to save


class TerminalRuns:
    """Insists where "Stop now" was pressed. A process gets SIGTERM once and never SIGKILL, because the run
    may be a part of a person's own program, which that person can end."""

    def __init__(self, home: Path):
        self.home = home
        self.asked: dict[int, float] = {}  # run -> time.monotonic() when its request to stop was first seen
        self.sent: set[int] = set()  # the runs whose process was sent SIGTERM

    def insist(self) -> None:
        """Send SIGTERM to the runs that were asked to stop ASK_SECONDS ago and are still under way."""
        condition = "stop_requested >= 2 and process is not null and status in (?, ?)"
        runs = {run["id"]: run for run in find_runs(self.home, condition, *UNDER_WAY)}
        now = time.monotonic()
        self.asked = {run: self.asked.get(run, now) for run in runs}
        for run, asked in self.asked.items():
            if now - asked > ASK_SECONDS and run not in self.sent:
                self.sent.add(run)
                done = terminate(runs[run]["process"])
                log.warning("Run %d does not stop: %s", run, "SIGTERM was sent" if done else "it is not ours")
