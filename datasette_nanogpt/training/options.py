"""The options of a run, and the check that finds what is wrong with them.

This module is what configurator.py is in nanoGPT: the one place that knows all options. The command line, the
form in Datasette and Python share it. It needs no torch, because Datasette's own process checks the form.
"""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_type_hints

from annotated_types import Interval
from pydantic import StringConstraints, TypeAdapter, ValidationError

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.home import invalid_name, valid_name
from llm_nanogpt.template import Template

from ..data.corpus import default_name
from ..data.source import Selection
from ..formatting import TrainCommand, train_words
from ..registry.runs import settings_of
from .available_memory import likely_device
from .distributed import rank_and_size
from .memory import Workload, memory_problem
from .plan import plan_text
from .sizes import HEAD_WIDTH

OF_ROWS = ("sql", "where", "title", "body", "template", "group_by", "order_by", "text", "resume")
NOT_IN_FILES = ("token", "max_parameters")  # a secret, and a limit of the server rather than of the run


@dataclass(frozen=True)
class TrainOptions:
    """The options of a run, under the names of the command line; None means "choose for me".

    The types say what each value must be: `bounds`, `choices` and `validate` read them. Creating an instance
    checks nothing.
    """

    database: str  # path or URL
    table: str | Sequence[str] = ()  # one or several; none with `sql`
    title: str | None = None
    body: Sequence[str] = ()
    text: Literal["plain", "html", "markdown"] | None = None
    template: str | None = None
    group_by: str | None = None
    order_by: str | None = None
    where: str | None = None
    sql: str | None = None
    token: str | None = None
    refresh: bool = False
    no_cache: bool = False
    name: str | None = None
    force: bool = False
    resume: bool = False
    minutes: Annotated[float, Interval(ge=0.001, le=1_000_000)] | None = None
    max_iters: Annotated[int, Interval(ge=1)] | None = None
    arch: Literal["qwen3", "gpt2"] | None = None
    tokenizer: Literal["bpe", "gpt2", "char"] | None = None
    vocab_size: Annotated[int, Interval(ge=257, le=1_000_000)] | None = None
    size: Literal["xs", "s", "m", "l", "xl"] | None = None
    n_layer: Annotated[int, Interval(ge=1, le=1000)] | None = None
    n_head: Annotated[int, Interval(ge=1, le=10_000)] | None = None
    n_embd: Annotated[int, Interval(ge=2, le=100_000)] | None = None
    block_size: Annotated[int, Interval(ge=2, le=1_000_000)] | None = None
    batch_size: Annotated[int, Interval(ge=1, le=1_000_000)] | None = None
    learning_rate: Annotated[float, Interval(ge=1e-9, le=10)] | None = None
    dropout: Annotated[float, Interval(ge=0, le=0.99)] | None = None
    eval_interval: Annotated[int, Interval(ge=1)] | None = None
    device: Annotated[str, StringConstraints(pattern=r"^(cpu|cuda|mps)(:\d+)?$")] | None = None
    compile: bool | None = None
    seed: Annotated[int, Interval(ge=0, le=2**31)] | None = None
    max_parameters: Annotated[int, Interval(ge=1)] | None = None  # a server's limit, not on the command line

    @property
    def model_name(self) -> str:
        return unicodedata.normalize("NFC", self.name) if self.name else default_name(self.database)

    @property
    def selection(self) -> Selection:
        """Which rows and columns."""
        return Selection(
            self.title,
            tuple(self.body),
            self.where,
            self.sql,
            self.text,
            template=self.template or None,
            group_by=self.group_by or None,
            order_by=self.order_by or None,
        )

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.table,) if isinstance(self.table, str) else tuple(self.table)

    def given(self) -> dict[str, Any]:
        """The options that were given, without the token: this is written to disk."""
        given = {k: v for k, v in asdict(self).items() if v not in (None, (), [], False)}
        # The name of a file need not be UTF-8, but what we write must be.
        given["database"] = os.fsencode(self.database).decode("utf-8", "backslashreplace")
        given |= {"compile": False} if self.compile is False else {}  # unlike None, False was asked for
        if self.template:  # on one line, so that the command can be read and compared
            given["template"] = self.template.replace("\n", "\\n")
        return {k: v for k, v in given.items() if k not in NOT_IN_FILES}


def as_command(given: Mapping[str, Any]) -> str:
    """The command line for these options, which have their Python names; `database` must be one of them."""
    settings = dict(given)
    tables = settings.pop("table", ())
    database = settings.pop("database")
    return shlex.join(
        train_words(database, [tables] if isinstance(tables, str) else tables, _flags(settings))
    )


def typed_command(options: TrainOptions) -> TrainCommand:
    """What was typed; what says which rows are read, and how, is apart from the rest."""
    given = options.given()
    database = str(given.pop("database"))
    rows = {k: given.pop(k) for k in OF_ROWS if k in given}
    rows.pop("where", None)
    given.pop("table", None)
    return TrainCommand(database, _flags(given), options.tables, _flags(rows))


def typed_flags(options: TrainOptions) -> list[str]:
    """The options that were typed, as words of a command line, without the database and its tables."""
    return _flags({k: v for k, v in options.given().items() if k not in ("database", "table")})


def _flags(settings: Mapping[str, Any]) -> list[str]:
    """The words of a command line for options with their Python names."""
    words: list[str] = []
    for option, value in settings.items():
        flag = "--" + option.replace("_", "-")
        if value is False:
            words.append("--no-" + flag.removeprefix("--"))
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [flag] if one is True else [flag, f"{one:g}" if isinstance(one, float) else str(one)]
    return words


def command_of_run(run: Mapping[str, Any]) -> str:
    """The command line that does the same as a run of the registry. A model that does not have its database's
    name, as it was renamed, is named."""
    given = {"database": run["database"]} | settings_of(run)
    if run["name"] != default_name(run["database"]):
        given.setdefault("name", run["name"])
    return as_command(given)


TYPES = get_type_hints(TrainOptions, include_extras=True)
# How a sentence about an option begins.
SUBJECTS = {
    "text": "The format of the text",
    "minutes": "The time in minutes",
    "max_iters": "The number of steps",
    "arch": "The architecture",
    "vocab_size": "The vocabulary",
    "n_layer": "The number of layers",
    "n_head": "The number of heads",
    "n_embd": "The width",
    "block_size": "The context",
    "batch_size": "The number of windows in a step",
    "eval_interval": "The number of steps between scores",
}
# pydantic's type of an error -> our code for it, and how the sentence goes on.
MESSAGES = {
    "greater_than_equal": ("minimum", "must be at least {limit}, not {value}"),
    "less_than_equal": ("maximum", "must be at most {limit}, not {value}"),
    "literal_error": ("choice", "must be one of {choices}, not {value}"),
    "string_pattern_mismatch": ("choice", "must be one of cpu, cuda, mps, not {value}"),
    "int_type": ("number", "must be a whole number, not {value!r}"),
    "int_parsing": ("number", "must be a whole number, not {value!r}"),
    "int_from_float": ("number", "must be a whole number, not {value}"),
    "float_type": ("number", "must be a number, not {value!r}"),
    "float_parsing": ("number", "must be a number, not {value!r}"),
}


def bounds(field: str) -> tuple[float | None, float | None]:
    """The least and the greatest value of a number, for a form's min and max. None: there is no limit."""
    (interval,) = get_args(TYPES[field])[0].__metadata__
    return interval.ge, interval.le


def is_whole(field: str) -> bool:
    """Whether a number must be whole."""
    return get_args(TYPES[field])[0].__origin__ is int


def choices(field: str) -> tuple[str, ...]:
    """The values that an option can have, for a form's select."""
    return get_args(get_args(TYPES[field])[0])


def validate(
    values: Mapping[str, object], max_minutes: float | None = None, strict: bool = False
) -> tuple[dict[str, Any], list[Problem]]:
    """Check options by name, and convert them: a form's "8" becomes 8, unless `strict`.

    Returns the values that are right, without those that are None or blank, and everything that is wrong with
    the others and with the combination. `max_minutes` and a value of `max_parameters` are a server's limits.
    Looks at no file: what only the files can tell is found by `check.check`.
    """
    cleaned: dict[str, Any] = {}
    problems: list[Problem] = []
    for field, value in values.items():
        if value is None or (value == "" and field != "title"):  # a blank title: there is no column of titles
            continue
        if field not in TYPES:
            problems.append(Problem(field, "unknown", f"There is no option {field!r}"))
            continue
        if field == "vocab_size" and (problem := _own_vocabulary(values)):
            problems.append(problem)
            continue
        try:
            cleaned[field] = _adapter(field).validate_python(value, strict=strict)
        except ValidationError as ex:
            problems.append(_explain(field, value, ex))
    if max_minutes and cleaned.get("minutes", 0) > max_minutes:
        too_long = f"{_subject('minutes')} must be at most {max_minutes:g}, not {cleaned['minutes']:g}"
        problems.append(Problem("minutes", "maximum", too_long))
    return cleaned, [*problems, *_combination_problems(cleaned)]


def problems_of(options: TrainOptions) -> list[Problem]:
    """What is wrong with options from Python, where a number must not be a string."""
    return validate({field.name: getattr(options, field.name) for field in fields(options)}, strict=True)[1]


@cache
def _adapter(field: str) -> TypeAdapter[Any]:
    return TypeAdapter(TYPES[field])


def _subject(field: str) -> str:
    return SUBJECTS.get(field, f"The {field.replace('_', ' ')}")


def _explain(field: str, value: object, error: ValidationError) -> Problem:
    """The first of pydantic's errors about a field as a Problem in our words."""
    detail = error.errors()[0]
    kind = "float_type" if _is_nan(value) else detail["type"]  # nan is beyond any limit
    code, message = MESSAGES.get(kind, ("type", "cannot be {value!r}"))
    ctx = detail.get("ctx", {})
    limit = ctx.get("ge", ctx.get("le", 0))
    known = {
        "value": int(value) if isinstance(value, float) and value.is_integer() else value,
        "limit": f"{limit:,.0f}" if limit == round(limit) else f"{limit:g}",
        "choices": ", ".join(choices(field)) if detail["type"] == "literal_error" else "",
    }
    return Problem(field, code, f"{_subject(field)} {message.format(**known)}")


def _is_nan(value: object) -> bool:
    """Whether it is "not a number", as a float or as it is typed in a form."""
    return isinstance(value, float | str) and str(value).strip().lower() in ("nan", "-nan", "+nan")


def _own_vocabulary(o: Mapping[str, Any]) -> Problem | None:
    """A Problem if a vocabulary size is given for a tokenizer that has its own vocabulary."""
    if o.get("tokenizer") not in ("gpt2", "char"):
        return None
    message = f"The vocabulary can only be set for the bpe tokenizer: {o['tokenizer']} has its own"
    return Problem("vocab_size", "conflict", message)


def _combination_problems(o: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a combination of values that are valid one by one."""
    name = o.get("name")
    if name and not valid_name(unicodedata.normalize("NFC", name)):
        yield Problem("name", "name", invalid_name(name))
    if o.get("force") and o.get("resume"):
        message = "A run cannot both continue a model and replace it: choose either force or resume"
        yield Problem("force", "conflict", message)
    if (title := o.get("title")) and title.lower() in [column.lower() for column in o.get("body") or ()]:
        message = f"The column {title} is read as the title already: name other columns as the body"
        yield Problem("body", "conflict", message)
    if template := o.get("template"):
        try:
            Template(template)
        except InvalidOptions as ex:
            yield from ex.problems
        if named := [field for field in ("title", "body") if o.get(field)]:
            message = f"The template names the columns that are read: leave out the {' and the '.join(named)}"
            yield Problem("template", "conflict", message)
    if o.get("order_by") and not o.get("group_by"):
        message = "The order is that of the rows of one document: say what to group them by as well"
        yield Problem("order_by", "conflict", message)
    try:
        if o.get("n_embd") or o.get("n_head"):
            _check_heads(o)
        if o.get("max_parameters"):
            plan_text(o, 10**8)  # bytes: a text for the largest vocabulary
        if problem := _does_not_fit(o):
            yield problem
    except InvalidOptions as ex:
        yield from ex.problems


def _check_heads(o: Mapping[str, Any]) -> None:
    """Raise InvalidOptions if no model can have that width and that number of heads, which the message names:
    of the other one somebody has said nothing."""
    heads, arch = o.get("n_head") or 1, o.get("arch") or "qwen3"
    width = o.get("n_embd") or HEAD_WIDTH * heads
    try:
        GPTConfig(257, 2, 1, heads, width, arch=arch)  # only their proportions matter here
    except InvalidOptions as ex:
        if not o.get("n_embd"):
            message = f"{heads:,} heads need a width of {width:,}, which is too much: choose fewer of them"
            raise InvalidOptions([Problem("n_head", "maximum", message)]) from ex
        typed = {problem.field: problem.field for problem in ex.problems if o.get(problem.field)}
        raise InvalidOptions(
            [replace(problem, field=typed.get(problem.field, "n_embd")) for problem in ex.problems]
        ) from ex


def _does_not_fit(o: Mapping[str, Any]) -> Problem | None:
    """A Problem if the shape does not fit into the memory of this machine, whatever the text."""
    plan = plan_text({**o, "size": o.get("size") or "xs"}, 1)  # the smallest model that these options allow
    batch_size = -(-plan.batch_size // rank_and_size()[1])
    device, dropout = o.get("device") or likely_device(), o.get("dropout") or 0.0
    return memory_problem(Workload(plan.config, batch_size, device, dropout), o)
