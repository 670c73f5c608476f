"""The page of a table, /<database>/<table>/-/nanogpt: its models and runs, and the form that starts a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from datasette import Forbidden, Request, Response
from datasette.app import Datasette
from datasette.database import Database
from datasette.resources import DatabaseResource, TableResource

from llm_nanogpt.errors import InvalidOptions, NanogptError

from ...training.options import bounds, choices
from .. import filters, forms
from ..estimate import offer_and_estimate
from ..permissions import Origin, table_of_request
from ..responses import changed, page, posted, render, sent_json, wants_json
from ..shown_models import models_as_json
from ..shown_runs import enqueue, sparklines, visible_runs
from ..state import PluginState, state_of
from ..target import Target
from ..threads import read_database


@dataclass
class Form:
    """The form as it was filled in, what is wrong with it, and what it comes to."""

    fields: dict[str, Any]
    run: int | None = None  # the run that it has started
    error: str | None = None  # everything that is wrong, a line each
    wrong: list[str] = field(default_factory=list)  # the fields that are wrong
    offer: dict[str, Any] | None = None  # see estimate.offer; None where there is nothing to fill in
    estimate: dict[str, Any] | None = None

    @property
    def advanced(self) -> bool:
        """Whether the fields that are folded away at first should be shown."""
        return any(self.fields.get(key) or key in self.wrong for key in forms.ADVANCED)


@page
async def table_page(datasette: Datasette, request: Request) -> Response:
    """GET: the page. POST: start a run, or with `estimate` tell what it would come to."""
    db, table = await table_of_request(datasette, request)
    may_train, may_sql = await _permissions(datasette, request, db.name, table)
    form = None
    if may_train:
        form = await _form(datasette, request, db, table, may_sql)
        if form.run is not None:
            return changed(datasette, request, f"/-/nanogpt/runs/{form.run}", {"run": form.run})
    elif request.method == "POST":
        raise Forbidden("Training on this table needs the permission nanogpt-train")
    error, offer, estimate = (form.error, form.offer, form.estimate) if form else (None, None, None)
    status = 400 if error else 200
    result = {"ok": error is None, "error": error, "offer": offer, "estimate": estimate}
    if form and form.fields.get("estimate") and sent_json(request):
        return Response.json(result, status=status)
    here = Origin(db.name, (table,))
    lists = {
        "runs": await visible_runs(datasette, request.actor, here),
        "models": await models_as_json(datasette, request.actor, here),
    }
    if wants_json(request) or sent_json(request):
        return Response.json(result | lists, status=status)
    context = lists | {
        "database": db.name,
        "table": table,
        "columns": await db.table_columns(table),
        "query": request.query_string,
        "may_train": may_train,
        "may_sql": may_sql,
        "form": form,
        "sizes": choices("size"),
        "labels": forms.LABELS,
        "numbers": {key: (whole, *bounds(key)) for key, whole in forms.NUMBERS.items()},
        "lines": await sparklines(state_of(datasette).home, lists["runs"]),
    }
    return await render(datasette, request, "nanogpt_table.html", context, status)


async def _permissions(
    datasette: Datasette, request: Request, database: str, table: str
) -> tuple[bool, bool]:
    """Whether the actor may train on the table, and may write SQL."""
    may_train = await datasette.allowed(
        action="nanogpt-train", resource=TableResource(database, table), actor=request.actor
    )
    may_sql = await datasette.allowed(
        action="execute-sql", resource=DatabaseResource(database), actor=request.actor
    )
    return may_train, may_sql


async def _form(datasette: Datasette, request: Request, db: Database, table: str, may_sql: bool) -> Form:
    """The form, and the run that it starts where it was posted and nothing is wrong with it."""
    state = state_of(datasette)
    target = Target(state.home, state.limits, db.path, db.is_memory, table)
    form = Form(forms.form_defaults(state.limits))
    where, carried, left_out = None, "", list[str]()
    try:
        columns = await db.table_columns(table)
        where, carried, left_out = await filters.rows_to_train_on(datasette, request, db.name, table, columns)
        if request.method == "POST":
            form.fields |= await posted(request)
            if form.fields.get("where") and not may_sql:
                raise Forbidden("An SQL condition needs the permission execute-sql")
        reading = read_database(forms.settings_from_form, target, form.fields, where)
        settings = await state.unless_stopping(reading)
        if request.method == "POST" and not form.fields.get("estimate"):
            form.run = await enqueue(datasette, request.actor, settings)
            return form
    except NanogptError as ex:
        form.error = str(ex)
        form.wrong = [problem.field for problem in ex.problems] if isinstance(ex, InvalidOptions) else []
    if forms.ROWS_OF_ADDRESS not in form.wrong:
        await _add_offer(state, form, target, where, carried, left_out)
    return form


async def _add_offer(
    state: PluginState,
    form: Form,
    target: Target,
    where: str | None,
    carried: str,
    left_out: Sequence[str],
) -> None:
    """Add what the form shows beside its fields. A condition that could not be read a moment ago is not tried
    again: it may have taken all the time there is."""
    readable = {k: v for k, v in form.fields.items() if k != "where" or k not in form.wrong}
    try:
        reading = read_database(offer_and_estimate, target, where, carried, readable)
        offer, form.estimate = await state.unless_stopping(reading)
        form.offer = offer | {"left_out": left_out}
    except NanogptError as ex:
        form.error = form.error or str(ex)
