"""From the form on a table's page to the settings of a run. No torch here: this is the server's process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem

from ..data.source import Selection, Source
from ..data.sqlite import find_name
from ..registry.manage import name_taken
from ..training.options import validate
from .limits import Limits
from .target import Target, reading_time

MINUTES = (1, 3, 10, 30)  # offered where the configuration allows them
DEFAULT_MINUTES = 3
REPLACE_NAMED = "1"  # a form asks to replace the model of the name in its field
# The fields that are options of a run, in their order on the page, and what the page calls them.
LABELS = {
    "minutes": "Minutes",
    "size": "Size",
    "name": "Model name",
    "title": "Title column",
    "body": "Text column",
    "text": "Format of the text",
    "template": "Template",
    "group_by": "Group rows by",
    "order_by": "Order in a group",
    "arch": "Architecture",
    "tokenizer": "Tokenizer",
    "n_layer": "Layers",
    "n_head": "Heads",
    "n_embd": "Width",
    "block_size": "Context",
    "batch_size": "Batch",
    "vocab_size": "Vocabulary",
    "learning_rate": "Learning rate",
    "dropout": "Dropout",
    "seed": "Seed",
    "where": "Condition",
}
ADVANCED = LABELS.keys() - {"minutes", "size", "name"}  # the fields that are folded away at first
# How the page groups them: heading -> the numbers in it.
GROUPS = {
    "Model": ("n_layer", "n_head", "n_embd", "block_size", "vocab_size"),
    "Training": ("batch_size", "learning_rate", "dropout", "seed"),
}
NUMBERS = {  # and whether they must be whole
    "n_layer": True,
    "n_head": True,
    "n_embd": True,
    "block_size": True,
    "batch_size": True,
    "vocab_size": True,
    "learning_rate": False,
    "dropout": False,
    "seed": True,
}
TOKENIZERS = ("bpe", "char")  # a server downloads nothing, as gpt2 may have to
OF_ROWS = ("title", "body", "template", "group_by", "order_by")  # what opening the rows finds wrong
COLUMNS_OR_SQL = ("group_by", "order_by")  # a column, or SQL from those who may write it
ROWS_OF_ADDRESS = ""  # the `field` of a problem with the rows that the page's address chooses


def minutes_offered(limits: Limits) -> list[float]:
    """The minutes that can be chosen, as far as the configuration allows them."""
    return [m for m in MINUTES if m <= limits.max_minutes] or [limits.max_minutes]


def form_defaults(limits: Limits) -> dict[str, str]:
    """The fields of a form that nobody has filled in yet."""
    offered = minutes_offered(limits)
    return {"minutes": str(max((m for m in offered if m <= DEFAULT_MINUTES), default=offered[0]))}


def fields_of_settings(settings: Mapping[str, Any], may_sql: bool) -> dict[str, str]:
    """The fields of a form that asks for a run like an earlier one with these settings. A condition is left
    out for those who may not write SQL; the model of that run is replaced."""
    fields = {key: settings[key] for key in LABELS if settings.get(key) not in (None, "", [])}
    if not may_sql:
        fields.pop("where", None)
    body = fields.get("body")
    if isinstance(body, list | tuple):
        fields.pop("body")
        if len(body) == 1:
            fields["body"] = body[0]
    return {
        key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in fields.items()
    } | {"replace": REPLACE_NAMED}


def selection_from_form(form: Mapping[str, Any], where: str | None) -> Selection:
    """Which rows and columns a form chooses: its condition goes before `where`, the one of the address."""
    fields = _text_fields(form)
    body = (fields["body"],) if "body" in fields else ()
    more = {key: fields.get(key) for key in ("text", "template", "group_by", "order_by")}
    return Selection(fields.get("title"), body, fields.get("where") or where, **more)


def needs_sql(form: Mapping[str, Any], columns: Sequence[str]) -> bool:
    """Whether a form has SQL in it: a condition, or a grouping by something else than a column."""
    fields = _text_fields(form)
    given = [fields[key] for key in COLUMNS_OR_SQL if key in fields]
    return "where" in fields or any(find_name(name, columns) is None for name in given)


def settings_from_form(target: Target, form: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    """The settings of a run, as `TrainOptions.given()` has them.

    Raises InvalidOptions with everything that is wrong; the `field` of each problem is one of the form's, or
    ROWS_OF_ADDRESS.
    """
    fields = form_defaults(target.limits) | _text_fields(form)
    selection = selection_from_form(form, where)
    source = _open(target, selection, "where" in fields)
    target = replace(target, table=source.table)  # as the database writes it
    replaced = form.get("replace")
    if isinstance(replaced, str) and replaced.strip() not in ("", REPLACE_NAMED):
        name = replaced.strip()  # chosen from a list, whatever is in the field of the name
    else:
        name = fields.get("name") or target.default_name()
    options = {
        **fields,
        "name": name,
        "body": list(selection.body),
        "where": selection.where,
        "database": target.database,
        "table": target.table,
        "max_parameters": target.limits.max_parameters,
    }
    settings, problems = validate(options, target.limits.max_minutes)
    if fields.get("tokenizer") not in (None, *TOKENIZERS):
        message = f"The tokenizer must be one of {', '.join(TOKENIZERS)}, not {fields['tokenizer']}"
        problems.append(Problem("tokenizer", "choice", message))
    if not any(problem.field == "name" for problem in problems):
        problems += _name_problems(target, name, bool(form.get("replace") or form.get("estimate")))
    if problems:
        raise InvalidOptions(_in_order(problems))
    return {key: value for key, value in settings.items() if key != "max_parameters" and value != []}


def _text_fields(form: Mapping[str, Any]) -> dict[str, str]:
    """The options that a form, or a JSON object, fills in. Blanks around a value are not part of it."""
    given = {key: str(form[key]) for key in LABELS if isinstance(form.get(key), str | int | float)}
    # Browsers end lines as the protocol does. At its end a template may have a blank line between rows.
    lines = {key: text.replace("\r\n", "\n") for key, text in given.items() if text.strip()}
    return {key: text if key == "template" else text.strip() for key, text in lines.items()}


def _open(target: Target, selection: Selection, has_condition: bool) -> Source:
    """The rows of a form. `has_condition`: their condition is the form's, not that of the address."""
    condition = "where" if has_condition else ROWS_OF_ADDRESS
    try:
        with reading_time(selection):
            return target.open(selection)
    except InvalidOptions as ex:
        problems = [
            replace(problem, field=problem.field if problem.field in OF_ROWS else condition)
            for problem in ex.problems
        ]
        raise InvalidOptions(problems) from ex
    except NanogptError as ex:
        raise InvalidOptions([Problem(condition, "unreadable", str(ex))]) from ex


def _name_problems(target: Target, name: str, replaces: bool) -> Iterator[Problem]:
    """Whether another model has that name. The one of this table is replaced where somebody asked for it."""
    folder, own = target.home / name, target.own_name()
    known = target.visible is None or name in target.visible
    if not known and name != own and not name.startswith(f"{own}-"):
        # Whether there is such a model or not, the same is said, and nothing is looked at.
        message = f"A model of this table can be called {own}, or {own}- and what you like"
        yield Problem("name", "not_own", message)
    elif name_taken(target.home, name, target.database, target.table):
        yield Problem("name", "taken", f"The name {name} is taken by another model: choose another")
    elif folder.exists() and not replaces:
        ways_out = "choose to replace it, or choose another name"
        message = f"{name} exists ({read_checkpoint(folder).summary}): {ways_out}"
        yield Problem("name", "exists", message)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """As their fields stand on the page."""
    order = [ROWS_OF_ADDRESS, *LABELS]
    return sorted(problems, key=lambda p: order.index(p.field) if p.field in order else len(order))
