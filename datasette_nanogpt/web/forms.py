"""The form on a table's page, and the settings of the run that it starts.

The server's process runs this, so nothing here imports torch.
"""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem

from ..data.source import Selection
from ..data.sqlite import find_name, quote_column
from ..registry.manage import name_taken
from ..training.options import is_whole, validate
from .limits import Limits
from .table_rows import read_rows
from .target import Target
from .threads import UNAVAILABLE

MINUTES = (1, 3, 10, 30, 60)  # the choices that are offered, as far as the configuration allows them
CHOSEN_MINUTES = 3  # the one that is chosen at first
REPLACE_NAMED = "1"  # in the field `replace`: the model whose name is in the field `name`
# The fields that are options of a run, in their order on the page, and their labels.
LABELS = {
    "minutes": "Minutes",
    "size": "Size",
    "name": "Model name",
    "title": "Title column",
    "body": "Text column",
    "where": "Condition",
    "text": "Format of the text",
    "template": "Template",
    "group_by": "Group rows by",
    "order_by": "Order in a group",
    "arch": "Architecture",
    "n_layer": "Layers",
    "n_embd": "Width",
    "n_head": "Heads",
    "block_size": "Context",
    "vocab_size": "Vocabulary",
    "tokenizer": "Tokenizer",
    "batch_size": "Batch",
    "learning_rate": "Learning rate",
    "dropout": "Dropout",
    "seed": "Seed",
}
# A line below some fields, for those who do not know the word.
HINTS = {
    "title": "It stands above each text.",
    "body": "The text that the model learns from.",
    "text": "HTML becomes plain text; markdown stays as it is.",
    "template": "What the text of a row is made of, in place of a title and a text column.",
    "group_by": "A column: rows with the same value become one text, as those of a conversation.",
    "order_by": "For example the column with the date.",
    "where": "It replaces the filters of the table's page.",
    "arch": "How the model is built. qwen3 learns more in the same time.",
    "tokenizer": "What one token is.",
    "n_layer": "More layers learn more, but more slowly.",
    "n_head": "The width must divide evenly by them.",
    "n_embd": "Numbers that stand for each token.",
    "block_size": "In tokens: how far back it sees.",
    "vocab_size": "Number of different tokens.",
    "batch_size": "Windows of text in each step.",
    "learning_rate": "Size of each step. Too high, and it learns nothing.",
    "dropout": "Fraction left out at random, 0 to 1, against memorizing.",
    "seed": "Also chooses the rows that are held out.",
}
EXAMPLE_TEXTS = 3  # how many columns of text the example of a template has at most
ADVANCED = LABELS.keys() - {"minutes", "size", "name"}  # the fields that are folded away at first
# The groups of numbers on the page: heading -> fields.
GROUPS = {
    "Model": ("n_layer", "n_embd", "n_head", "block_size", "vocab_size"),
    "Training": ("batch_size", "learning_rate", "dropout", "seed"),
}
NUMBERS = {key: is_whole(key) for keys in GROUPS.values() for key in keys}  # whether each must be whole
TOKENIZERS = ("bpe", "char")  # a server downloads nothing, as gpt2 may have to
READ_FIELDS = ("title", "body", "template", "group_by", "order_by")  # the fields that opening the rows checks
COLUMNS_OR_SQL = ("group_by", "order_by")  # a column, or SQL for those who have that permission
ROWS_OF_ADDRESS = ""  # the `field` of a problem with the rows that the page's address selects


def minutes_offered(limits: Limits) -> list[float]:
    """The minutes that can be chosen: those of MINUTES that the configuration allows, or its limit."""
    return [m for m in MINUTES if m <= limits.max_minutes] or [limits.max_minutes]


def form_defaults(limits: Limits) -> dict[str, str]:
    """The fields of an empty form."""
    offered = minutes_offered(limits)
    return {"minutes": str(max((m for m in offered if m <= CHOSEN_MINUTES), default=offered[0]))}


def shown_size(size: str) -> str:
    """The name of a size of model on a page, where a small "l" could be a 1."""
    return size.upper()


def fields_of_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a form for another run with these settings, which replaces the earlier model."""
    fields = {key: settings[key] for key in LABELS if settings.get(key) not in (None, "", [])}
    body = fields.get("body")
    if isinstance(body, list | tuple):
        fields.pop("body")
        if len(body) == 1:
            fields["body"] = body[0]
    return {
        key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in fields.items()
    } | {"replace": REPLACE_NAMED}


def template_example(title: str | None, body: Sequence[str], others: Sequence[str]) -> str:
    """A template for a table whose texts have this title and body, with one of its other columns above them.
    Where no body was found, the others are in its place."""
    body = body or others[1:2] or others
    above = [_in_template(name) for name in others if name not in (title, *body)]
    heading = [f"# {_in_template(title)}"] if title else []
    head = "\n".join([*above[:1], *heading])
    return "\n\n".join(part for part in (head, *map(_in_template, body[:EXAMPLE_TEXTS])) if part)


def _in_template(name: str) -> str:
    """A column in a template, by its name where Jinja can read that."""
    plain = name.isidentifier() and not keyword.iskeyword(name)
    return "{{ " + (name if plain else f"row[{json.dumps(name, ensure_ascii=False)}]") + " }}"


def condition_example(columns: Sequence[str]) -> str:
    """An SQL condition on the first of these columns."""
    name = columns[0] if columns else "text"
    return f"length({name if name.isidentifier() and name.isascii() else quote_column(name)}) > 200"


def selection_from_form(form: Mapping[str, Any], where: str | None) -> Selection:
    """The rows and columns that a form selects; its condition comes before the address's, `where`."""
    fields = _text_fields(form)
    body = (fields["body"],) if "body" in fields else ()
    more = {key: fields.get(key) for key in ("text", "template", "group_by", "order_by")}
    return Selection(fields.get("title"), body, fields.get("where") or where, **more)


def needs_sql(form: Mapping[str, Any], columns: Sequence[str]) -> bool:
    """Whether a form contains SQL: a condition, or a grouping or an order that is not a column."""
    fields = _text_fields(form)
    given = [fields[key] for key in COLUMNS_OR_SQL if key in fields]
    return "where" in fields or any(find_name(name, columns) is None for name in given)


def without_sql(form: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The fields of a form for those who may not write SQL: those that need it are left out."""
    return {key: value for key, value in form.items() if not needs_sql({key: value}, columns)}


def settings_from_form(
    target: Target, form: Mapping[str, Any], where: str | None, unreadable: Sequence[Problem] = ()
) -> dict[str, Any]:
    """The settings of a run, in the form of `TrainOptions.given()`. Where the rows were found `unreadable`,
    they are not read again.

    Raises InvalidOptions with everything that is wrong. The `field` of each problem is a field of the form,
    or ROWS_OF_ADDRESS.
    """
    fields = form_defaults(target.limits) | _text_fields(form)
    selection = selection_from_form(form, where)
    if not unreadable:
        try:
            with problems_in_fields(form):
                # In the database's own spelling.
                target = replace(target, table=read_rows(target.rows, selection).table)
        except InvalidOptions as ex:  # told with what else is wrong
            unreadable = ex.problems
    replaced = form.get("replace")
    if isinstance(replaced, str) and replaced.strip() not in ("", REPLACE_NAMED):
        name = replaced.strip()  # this choice from a list takes precedence over the field `name`
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
    told = {problem.field for problem in unreadable}
    if problems := [*unreadable, *(problem for problem in problems if problem.field not in told)]:
        raise InvalidOptions(_in_order(problems))
    return {key: value for key, value in settings.items() if key != "max_parameters" and value != []}


def _text_fields(form: Mapping[str, Any]) -> dict[str, str]:
    """The options that are given in a form or a JSON object, without blanks around them."""
    given = {key: str(form[key]) for key in LABELS if isinstance(form.get(key), str | int | float)}
    # Browsers send \r\n for a line break. A template keeps its end: a blank line there separates rows.
    lines = {key: text.replace("\r\n", "\n") for key, text in given.items() if text.strip()}
    return {key: text if key == "template" else text.strip() for key, text in lines.items()}


@contextmanager
def problems_in_fields(form: Mapping[str, Any]) -> Iterator[None]:
    """Turn errors of reading the rows that a form selects into InvalidOptions about its fields. What no field
    is to blame for is about its condition, if it has one, or else about the rows of the address."""
    condition = "where" if "where" in _text_fields(form) else ROWS_OF_ADDRESS
    try:
        yield
    except UNAVAILABLE:
        raise
    except InvalidOptions as ex:
        problems = [
            replace(problem, field=problem.field if problem.field in READ_FIELDS else condition)
            for problem in ex.problems
        ]
        raise InvalidOptions(problems) from ex
    except NanogptError as ex:
        raise InvalidOptions([Problem(condition, "unreadable", str(ex))]) from ex


def _name_problems(target: Target, name: str, replaces: bool) -> Iterator[Problem]:
    """The problems of a name that another model has. `replaces` allows the name of this table's own model."""
    folder, own = target.home / name, target.own_name()
    known = target.visible is None or name in target.visible
    if not known and name != own and not name.startswith(f"{own}-"):
        # The answer must not tell whether such a model exists, so its folder is not read.
        message = f"A model of this table can be called {own}, or {own}- and what you like"
        yield Problem("name", "not_own", message)
    elif name_taken(target.home, name, target.database, target.table):
        yield Problem("name", "taken", f"The name {name} is taken by another model: choose another")
    elif folder.exists() and not replaces:
        ways_out = "choose to replace it, or choose another name"
        message = f"{name} exists ({read_checkpoint(folder).summary}): {ways_out}"
        yield Problem("name", "exists", message)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """The problems in the order of their fields on the page."""
    order = [ROWS_OF_ADDRESS, *LABELS]
    return sorted(problems, key=lambda p: order.index(p.field) if p.field in order else len(order))
