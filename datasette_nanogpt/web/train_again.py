"""Training runs again without a look at the form: as two runs of seconds that are to be compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasette import Forbidden, Request
from datasette.app import Datasette

from ..registry.resume import begun_by
from ..registry.runs import UNDER_WAY, find_runs, settings_of
from . import forms
from .estimate import check_enough
from .first_score import SHORT_MINUTES
from .permissions import Origin, may_write_sql, names_in_sight
from .run_offers import made_by
from .shown_models import find_model
from .shown_runs import enqueue
from .state import state_of
from .target import Target
from .threads import in_thread, read_database


def minutes_again(runs: list[dict[str, Any]], limit: float) -> float:
    """For how many minutes to train runs again that are to be compared: as long as the longest of them, and
    no run of seconds."""
    given = [settings_of(run).get("minutes") or 0 for run in runs]
    return min(max(SHORT_MINUTES, *given), limit)


async def train_again(
    datasette: Datasette, request: Request, run: dict[str, Any], origin: Origin, minutes: float
) -> int:
    """Queue a run with the settings of an earlier one of a single table, for `minutes`; its id. It
    replaces the earlier run's model; where that is not in use, or has not come yet, it has a name of its own.
    Raises NanogptError if it is not accepted."""
    state, db = state_of(datasette), datasette.get_database(origin.database)
    (table,) = origin.tables
    begun = await in_thread(begun_by, state.home, run)
    fields = forms.fields_of_settings(settings_of(begun)) | {"minutes": f"{minutes:g}"}
    columns = await db.table_columns(table)
    if forms.needs_sql(fields, columns) and not await may_write_sql(datasette, request.actor, db.name):
        raise Forbidden("SQL in a condition or a grouping needs the permission execute-sql")
    visible = await names_in_sight(datasette, request.actor)
    target = Target(state.home, state.limits, db.path, db.is_memory, table, visible)
    if await in_thread(_is_of_another_run, state.home, run):
        fields["name"] = await in_thread(target.name_to_offer)
    reading = read_database(forms.settings_from_form, target, fields, None)
    settings = await state.unless_stopping(reading)
    await state.unless_stopping(read_database(check_enough, target, settings))
    return await enqueue(datasette, request.actor, settings)


def _is_of_another_run(home: Path, run: Mapping[str, Any]) -> bool:
    """Whether the name of a run is that of another run's model, or of a run that waits or is under way."""
    unfinished = "kind = 'train' and name = ? and status in ('queued', ?, ?)"
    model = find_model(home, run["name"])
    return bool(find_runs(home, unfinished, run["name"], *UNDER_WAY) or (model and not made_by(run, model)))
