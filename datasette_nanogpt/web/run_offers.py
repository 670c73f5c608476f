"""What somebody who may train can do with a run that is over, as the buttons of its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..registry.resume import minutes_given, minutes_to_offer

Run = dict[str, Any]


class TrainOn(NamedTuple):
    """A button that trains the same model on."""

    label: str
    minutes: float  # how many more


def train_on(home: Path, run: Run, advice: Mapping[str, str], limit: float) -> TrainOn | None:
    """The button for a run whose verdict advises more minutes: as many again as it was given, at most
    `limit`, or what is left if somebody stopped it. None where something else would help, or where the run
    cannot be resumed."""
    offered = minutes_to_offer(home, run, limit)
    if offered is None or "--resume" not in advice["command"] or "--max-iters" in advice["command"]:
        return None
    given = minutes_given(home, run)
    if run["status"] == "finished" and 0 < given <= limit:
        return TrainOn("Train on, twice as long", given)
    more = offered if run["status"] == "stopped" else limit
    return TrainOn(f"Train on, {more:g} minute{'s' if more != 1 else ''} more", more)
