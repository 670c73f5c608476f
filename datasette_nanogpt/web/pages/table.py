"""The page of a table, /<database>/<table>/-/nanogpt: its models and runs, and the form that starts a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasette import Forbidden, Request, Response
from datasette.app import Datasette
from datasette.database import Database

from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem

from ...data.columns import NAME_A_COLUMN, NAME_AS_TEXT
from ...formatting import time_left
from ...registry.runs import find_run, settings_of
from ...training.options import bounds, choices
from ...training.replaced import kept_if_trained_again
from .. import filters, forms
from ..estimate import check_enough, offer_and_estimate
from ..menus import filled_columns, has_only_numbers
from ..permissions import (
    Origin,
    may,
    may_write_sql,
    names_in_sight,
    origin_of_run,
    table_of_request,
)
from ..responses import changed, page, posted, refusal, render, sent_json, wants_json
from ..run_states import in_words_of_the_form
from ..shown_models import ON_A_PAGE, models_as_json, newest_first
from ..shown_runs import enqueue, sparklines, visible_runs
from ..smaller import fields_of_size, how_much_smaller, memory_advice
from ..state import PluginState, state_of
from ..table_rows import read_rows, remark_on_page
from ..target import Target
from ..threads import UNAVAILABLE, in_thread, read_database
from ..under_way import runs_under_way


@dataclass
class Form:
    """The form as it was filled in, what is wrong with it, and the estimate of its run."""

    fields: dict[str, Any]
    run: int | None = None  # the run that it has started
    error: str | None = None  # everything that is wrong, a line each
    problems: list[Problem] = field(default_factory=list)  # the same, with the fields that are wrong
    status: int = 200  # of the answer, and its headers
    headers: dict[str, str] = field(default_factory=dict)
    offer: dict[str, Any] | None = None  # see estimate.offer; None if there is nothing to fill in
    estimate: dict[str, Any] | None = None
    untouched: bool = False
    follows: bool = False  # whether nobody has chosen the minutes: they are those that are recommended
    larger: dict[str, Any] | None = None  # the run that ran out of memory, if this is a smaller one

    @property
    def smaller(self) -> str:
        """What is smaller than in that run."""
        return how_much_smaller(self.larger, self.estimate) if self.larger and self.estimate else ""

    def fail(self, ex: NanogptError) -> None:
        """Show what is wrong, if nothing was before."""
        if self.error is None:
            self.error = str(ex)
            self.problems = list(ex.problems) if isinstance(ex, InvalidOptions) else []
            self.status, self.headers = refusal(ex)

    @property
    def wrong(self) -> dict[str, str]:
        """The messages of each wrong field."""
        if self.unasked:
            return {}
        fields: dict[str, list[str]] = {}
        for problem in self.problems:
            fields.setdefault(problem.field, []).append(problem.message)
        return {key: ". ".join(messages) for key, messages in fields.items() if key in forms.LABELS}

    @property
    def general(self) -> str:
        """The messages that belong to no field, a line each."""
        if not self.problems:
            return self.error or ""
        return "\n".join(p.message for p in self.problems if p.field not in forms.LABELS)

    @property
    def unasked(self) -> str:
        """Why nothing can be read, if nobody has filled in anything yet: it is no mistake of theirs."""
        offer = self.offer if self.untouched else None
        text = str(offer["text"]) if offer and not offer["texts"] else ""
        return text.removesuffix(NAME_A_COLUMN).rstrip().replace(NAME_AS_TEXT, ", choose it below.")

    @property
    def reasons(self) -> Sequence[tuple[str, str]]:
        """Why no column has text, if nobody has filled in anything yet: (columns, what they have)."""
        return self.offer.get("reasons", ()) if self.unasked and self.offer else ()

    @property
    def choose_below(self) -> bool:
        """Whether naming a column may help, so that `unasked` is followed by where to do so."""
        return bool(self.unasked and self.offer and str(self.offer["text"]).endswith(NAME_A_COLUMN))

    @property
    def advanced(self) -> bool:
        """Whether the fields that are folded away at first are shown, because one is filled in or wrong."""
        return any(self.fields.get(key) or key in self.wrong for key in forms.ADVANCED)


@page("GET", "POST")
async def table_page(datasette: Datasette, request: Request) -> Response:
    """GET: the page. POST: start a run, or with the field `estimate` only estimate it."""
    db, table = await table_of_request(datasette, request)
    here = Origin(db.name, (table,))
    may_train = await may(datasette, request.actor, "nanogpt-train", here)
    may_sql = await may_write_sql(datasette, request.actor, db.name)
    form = None
    if may_train:
        form = await _form(datasette, request, db, table, may_sql)
        if form.run is not None:
            return changed(datasette, request, f"/-/nanogpt/runs/{form.run}", {"run": form.run})
    elif request.method == "POST":
        raise Forbidden("Training on this table needs the permission nanogpt-train")
    error, offer, estimate = (form.error, form.offer, form.estimate) if form else (None, None, None)
    status, headers = (form.status, form.headers) if form else (200, {})
    problems = [{"field": p.field, "message": p.message} for p in form.problems] if form else []
    result = {"ok": error is None, "error": error, "problems": problems, "offer": offer, "estimate": estimate}
    if form and form.fields.get("estimate") and sent_json(request):
        return Response.json(result, status=status, headers=headers)
    lists = {
        "runs": await visible_runs(datasette, request.actor, here),
        "models": await models_as_json(datasette, request.actor, here),
    }
    if wants_json(request) or sent_json(request):
        return Response.json(result | lists, status=status, headers=headers)
    under_way = await runs_under_way(datasette, request.actor)
    trainings = [run["id"] for run in under_way if run["kind"] == "train"]  # scoring gives way
    context = lists | {
        **await _columns(db, table, form, offer),
        "newest": newest_first(lists["models"])[:ON_A_PAGE],
        "database": db.name,
        "table": table,
        "query": request.query_string,
        "may_train": may_train,
        "may_sql": may_sql,
        "form": form,
        "at_work": await runs_under_way(datasette, request.actor, db.name, table),
        "waits_for": await in_thread(_waits_for, state_of(datasette).home, trainings),
        "sizes": [
            (size, (estimate or {}).get("sizes", {}).get(size) or forms.shown_size(size))
            for size in choices("size")
        ],
        "labels": forms.LABELS,
        "hints": forms.HINTS,
        "numbers": {key: (whole, *bounds(key)) for key, whole in forms.NUMBERS.items()},
        "groups": forms.GROUPS,
        "will_keep": await in_thread(_will_keep, datasette, lists["models"]) if form else [],
        "lines": await sparklines(state_of(datasette).home, lists["runs"]),
    }
    if form and form.unasked:
        status = 200  # nobody has asked for anything yet
    return await render(datasette, request, "nanogpt_table.html", context, status, headers)


async def _columns(
    db: Database, table: str, form: Form | None, offer: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the form says of the columns of the table: those to choose among, and examples with them."""
    details = await db.table_column_details(table)
    texts = [column.name for column in details if not has_only_numbers([column])]
    found = offer if offer and offer["texts"] else {"title": None, "body": []}
    values: dict[str, str] = {}
    if form and form.unasked:
        filled = await filled_columns(db, table, [column.name for column in details])
        values = {name: f"{name}: {value}" for name, (value, _) in filled.items()}
        texts = [name for name in texts if filled.get(name, ("", True))[1] is False] or texts
    return {
        "template_example": forms.template_example(found["title"], found["body"], texts),
        "condition_example": forms.condition_example([*found["body"], *texts]),
        "column_choices": [(name, values.get(name, name)) for name in await db.table_columns(table)],
        "only_numbers": has_only_numbers(details),
        "more_columns": [name for name in texts if name not in (found["title"], *found["body"])],
    }


def _waits_for(home: Path, trainings: Sequence[int]) -> str:
    """The name of the last training that goes first, and about when it is over; "" if there is none."""
    runs = [run for number in trainings if (run := find_run(home, number))]
    if not runs:
        return ""
    left = [run["eta"] if run["status"] == "running" else _given_seconds(run) for run in runs]
    known = [seconds for seconds in left if seconds is not None]
    soon = f", in {time_left(sum(known)).removesuffix(' left')}" if len(known) == len(left) else ""
    return f"{runs[-1]['name']}{soon}"


def _given_seconds(run: Mapping[str, Any]) -> float | None:
    """How long a run that has not begun may train; None where minutes do not limit it."""
    minutes = settings_of(run).get("minutes")
    return 60 * minutes if minutes else None


async def _form(datasette: Datasette, request: Request, db: Database, table: str, may_sql: bool) -> Form:
    """The form. If it was posted and nothing is wrong with it, its run is queued."""
    state = state_of(datasette)
    visible = await names_in_sight(datasette, request.actor)
    target = Target(state.home, state.limits, db.path, db.is_memory, table, visible)
    form = Form({}, untouched=request.method == "GET")
    where, carried, left_out = None, "", list[str]()
    try:
        columns = await db.table_columns(table)
        where, carried, left_out = await filters.rows_to_train_on(datasette, request, db.name, table, columns)
        if request.method == "GET":
            fields, form.larger = await _fields_of_run(datasette, request, Origin(db.name, (table,)))
            form.fields |= fields if may_sql else forms.without_sql(fields, columns)
        if request.method == "POST":
            form.fields = forms.form_defaults(state.limits) | await posted(request)
        if not may_sql and forms.needs_sql(form.fields, columns):
            raise Forbidden("SQL in a condition or a grouping needs the permission execute-sql")
        unreadable: tuple[Problem, ...] = ()
        try:
            with forms.problems_in_fields(form.fields):
                await state.read_once(read_rows, target.rows, forms.selection_from_form(form.fields, where))
        except InvalidOptions as ex:  # told with what else is wrong, and not read again: it may take long
            unreadable = tuple(ex.problems)
        reading = read_database(forms.settings_from_form, target, form.fields, where, unreadable)
        settings = await state.unless_stopping(reading)
        if request.method == "POST" and not form.fields.get("estimate"):
            await state.unless_stopping(read_database(check_enough, target, settings))
            form.run = await enqueue(datasette, request.actor, settings)
            return form
    except UNAVAILABLE:
        raise
    except NanogptError as ex:
        form.fail(ex)
    if forms.ROWS_OF_ADDRESS not in [problem.field for problem in form.problems]:
        await _add_offer(state, form, target, where, carried, left_out)
    if form.offer:
        form.offer |= {"remarks": [remark_on_page(each, may_sql) for each in form.offer["remarks"]]}
    return form


async def _fields_of_run(
    datasette: Datasette, request: Request, here: Origin
) -> tuple[dict[str, str], dict[str, Any] | None]:
    """The fields of an earlier run of this table that the address names, `?_again=12`; {} if it names none.
    With `&_smaller=1`, those of a smaller model, for a run that ran out of memory, and that run. With
    `&_name=1`, those without its name, for a run whose name was taken, and with `&_rate=` that learning rate,
    for a run whose own was too high; "" leaves it to the planner. `&_minutes=1` is for a run of seconds, and
    `&_bigger=1` leaves the size to the planner, for a run whose own was too small."""
    number = request.args.get("_again") or ""
    if not number.isdecimal() or len(number) > 15:
        return {}, None
    run = await in_thread(find_run, state_of(datasette).home, int(number))
    if run is None or origin_of_run(datasette, run) != here:
        return {}, None
    fields = forms.fields_of_settings(settings_of(run))
    if (lower := request.args.get("_rate")) is not None:
        fields["learning_rate"] = lower
    if minutes := request.args.get("_minutes"):
        fields["minutes"] = minutes
    if request.args.get("_name"):
        fields = {key: value for key, value in fields.items() if key not in ("name", "replace")}
    if request.args.get("_bigger"):
        return fields_of_size(fields, ""), None
    if request.args.get("_smaller") and (size := (await in_thread(memory_advice, run)).size):
        return fields_of_size(fields, size), run
    return fields, None


async def _add_offer(
    state: PluginState,
    form: Form,
    target: Target,
    where: str | None,
    carried: str,
    left_out: Sequence[str],
) -> None:
    """Add what the form shows beside its fields. A condition that has just failed is not tried again, because
    it may have taken all the time there is."""
    readable = {k: v for k, v in form.fields.items() if k != "where" or k not in form.wrong}
    try:
        reading = read_database(offer_and_estimate, target, where, carried, readable)
        offer, form.estimate = await state.unless_stopping(reading)
        form.offer = offer | {"left_out": left_out}
        minutes = offer.get("recommended") or forms.form_defaults(state.limits)["minutes"]
        form.follows = "minutes" not in form.fields
        form.fields.setdefault("minutes", str(minutes))
    except UNAVAILABLE:
        raise
    except NanogptError as ex:
        form.fail(ex)


def _will_keep(datasette: Datasette, models: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each model that has replaced one before: which of the two is kept if it is replaced in turn."""
    home = state_of(datasette).home
    kept = {model["name"]: kept_if_trained_again(home / model["name"]) for model in models}
    return [
        in_words_of_the_form(f"If {name} is replaced by a model of the same rows: {' '.join(sentences)}")
        for name, sentences in kept.items()
        if sentences
    ]
