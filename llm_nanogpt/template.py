"""Templates, which say how the text of a row is made from its columns.

    {{ tags }} · {{ created[:4] }}\\n# {{ title }}\\n\\n{{ body }}

A template is Jinja (https://jinja.palletsprojects.com) in its sandbox, restricted to what cannot take long or
fill the memory, because anybody may have written it (template_syntax.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from .errors import InvalidOptions, NanogptError, Problem
from .layout import Layout, Segment, Slot, by_name
from .template_syntax import (
    COUNTED,
    FILTERS,
    JOINED,
    ROW,
    SLICEABLE,
    TESTS,
    check,
    columns_in,
    is_plain,
    refused,
    rewrite,
)

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.runtime import Context
    from jinja2.sandbox import SandboxedEnvironment

Value = str | int | float | None
MAX_SOURCE = 10_000  # characters of a template
MAX_STEPS = 10_000  # steps of all loops of a template together, per row
MAX_SECONDS = 5.0  # seconds for the loops of a template, per row
MAX_CHARACTERS = 64 * 2**20  # characters that a template makes of one row
MAX_WAYS = 256  # in which the text of a template may come out: of eight independent `if`, say
_BUDGET = "0 budget"  # a name that no template can have


class RenderError(Exception):
    """Why a row has no text, in words that are the same for all rows like it."""


class _TooMuchError(Exception):
    """A row takes more steps, time or characters than a template may."""


class Template:
    """A valid template. Raises InvalidOptions about the option `template` for an invalid one.

    `columns` are the names in it, as they are written there. A `\\\\n` that a shell passed on as it was typed
    is a line break.
    """

    def __init__(self, source: str) -> None:
        from jinja2 import TemplateSyntaxError
        from jinja2.meta import find_undeclared_variables

        self.source = source
        if len(source) > MAX_SOURCE:
            raise refused(f"it has {len(source):,} characters, and may have {MAX_SOURCE:,}")
        text = source.replace("\\n", "\n")
        self._env = _environment()
        try:
            self._ast = self._env.parse(text)
            check(self._ast)
            self._ast = rewrite(self._ast)
            names = find_undeclared_variables(self._ast) - {ROW}
            self._template = self._env.from_string(self._ast)
        except TemplateSyntaxError as ex:
            raise refused(f"line {ex.lineno}: {(ex.message or 'it cannot be read').rstrip('.')}") from ex
        except RecursionError as ex:
            raise refused("it is nested too deeply") from ex
        self.columns = tuple(dict.fromkeys(name for name in columns_in(self._ast, names)))
        if not self.columns:
            raise refused("it names no column, such as {{ title }}")

    def render(self, values: Mapping[str, Value]) -> str:
        """The text of a row, by the names of `columns`; NULL is the empty text. Raises RenderError."""
        return _render(self._template, values)

    def layout(self, values: Mapping[str, str] | None = None) -> Layout:
        """The text and the columns of the template in turn, as far as the columns that are given decide it:
        of an `if` whose columns are given one way is left, and after another anything may come."""
        known, _ = by_name(values or {}, self.columns)
        undecided: list[str] = []
        ways = self._ways(self._ast.body, known, undecided)
        layouts = [Layout(way, columns=self.columns) for way in ways]
        if len(ways) == 1:
            return layouts[0]
        same = [
            pair[0]
            for pair in takewhile(lambda pair: len(set(map(_key, pair))) == 1, zip(*ways, strict=False))
        ]
        names = {
            name
            for way in ways
            for part in way[len(same) :]
            if isinstance(part, Slot)
            for name in part.columns
        }
        by = tuple(dict.fromkeys(undecided))
        columns = tuple(name for name in self.columns if name in names)
        rest = Slot("", columns, lambda values: "", plain=False, decided_by=by)
        return Layout([*same, rest], columns=self.columns, ways=layouts)

    def _ways(
        self, body: Sequence[nodes.Node], known: Mapping[str, str], undecided: list[str]
    ) -> list[list[Segment]]:
        """What may stand in the text for a part of the template, by the columns that are known. The others
        that decide it are added to `undecided`."""
        ways: list[list[Segment]] = [[]]
        for node in body:
            more = self._ways_of(node, known, undecided)
            ways = [[*way, *after] for way in ways for after in more]
            if len(ways) > MAX_WAYS:
                names = ", ".join(dict.fromkeys(undecided))
                raise NanogptError(
                    "The template of this model has too many {% if %} to tell its columns apart: "
                    f"set {names}"
                )
        return ways

    def _ways_of(
        self, node: nodes.Node, known: Mapping[str, str], undecided: list[str]
    ) -> list[list[Segment]]:
        from jinja2 import nodes

        match node:
            case nodes.Output():
                return [[self._segment(part) for part in node.nodes]]
            case nodes.If():
                ways: list[list[Segment]] = []
                for branch in (node, *node.elif_):
                    missing = [name for name in columns_in(branch.test, self.columns) if name not in known]
                    undecided += missing
                    is_true = not missing and self._is_true(branch.test, known)
                    if missing or is_true:
                        ways += self._ways(branch.body, known, undecided)
                    if is_true:
                        return ways
                return [*ways, *self._ways(node.else_, known, undecided)]
        columns = tuple(dict.fromkeys(columns_in(node, self.columns)))
        render = self._renderer(node)
        return [[Slot(repr(node), columns, render, plain=False, lines=True) if columns else render({})]]

    def _segment(self, part: nodes.Expr) -> Segment:
        from jinja2 import nodes

        if isinstance(part, nodes.TemplateData):
            return part.data
        columns = tuple(dict.fromkeys(columns_in(part, self.columns)))
        render = self._renderer(nodes.Output([part], lineno=part.lineno))
        return Slot(repr(part), columns, render, is_plain(part)) if columns else render({})

    def _is_true(self, test: nodes.Node, values: Mapping[str, str]) -> bool:
        """Whether an `if` is true for columns that were given as text. "0" is nothing, as a row's 0 is,
        unless the test is about text. One that fails on numbers is: the length of 1984 is that of "1984"."""
        from jinja2 import nodes

        assert isinstance(test, nodes.Expr)  # noqa: S101  # as it is in every `if`
        about_text = any(isinstance(const.value, str) for const in test.find_all(nodes.Const))
        choice = nodes.CondExpr(test, nodes.Const("1"), nodes.Const(""), lineno=test.lineno)
        render = self._renderer(nodes.Output([choice], lineno=test.lineno))
        failure: RenderError | None = None
        for given in [values] if about_text else [as_numbers(values), values]:
            try:
                return bool(render(given))
            except RenderError as ex:
                failure = ex
        name = next(columns_in(test, self.columns))
        message = f"{name} cannot be {values[name]!r}: {failure}"
        raise InvalidOptions([Problem("set", "value", message)]) from failure

    @cached_property
    def has_header(self) -> bool:
        """Whether a blank line stands between a column and what follows it: what is above is then what a
        text is about, as a title is."""
        from jinja2 import nodes

        parts = [part for output in self._ast.find_all(nodes.Output) for part in output.nodes]
        is_text = [isinstance(part, nodes.TemplateData) for part in parts]
        return any(
            isinstance(part, nodes.TemplateData)
            and "\n\n" in part.data
            and not all(is_text[:i])
            and not all(is_text[i:])
            for i, part in enumerate(parts)
        )

    def _renderer(self, part: nodes.Node) -> Callable[[Mapping[str, Value]], str]:
        """What renders one part of the template alone. Columns that are given as text are numbers where the
        template computes with them."""
        from jinja2 import nodes

        alone = nodes.Template([part], lineno=part.lineno)
        alone.set_environment(self._env)
        template = self._env.from_string(alone)

        def render(values: Mapping[str, Value]) -> str:
            try:
                return _render(template, values)
            except RenderError:
                if values == (numbers := as_numbers(values)):
                    raise
                return _render(template, numbers)

        return render


def _key(segment: Segment) -> tuple[bool, str]:
    """The same for segments that have the same text."""
    return (False, segment) if isinstance(segment, str) else (True, segment.key)


def as_numbers(values: Mapping[str, Value]) -> dict[str, Value]:
    """Values with those as numbers that are written like one."""
    return {name: _number(value) if isinstance(value, str) else value for name, value in values.items()}


def _number(text: str) -> Value:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text:
            return number
    return text


# ---- Rendering


def _environment() -> SandboxedEnvironment:
    """Jinja's sandbox with a few filters and tests, and without its globals."""
    from jinja2 import StrictUndefined, pass_context
    from jinja2.sandbox import SandboxedEnvironment

    class Environment(SandboxedEnvironment):
        intercepted_binops = frozenset(["+", "*", "/", "//", "%"])

        def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
            if operator == "+" and isinstance(left, str) and isinstance(right, str):
                return _joined([left, right])
            if not all(isinstance(value, int | float) for value in (left, right)):
                raise TypeError(f"{operator} is for numbers")
            return super().call_binop(context, operator, left, right)

    env = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, finalize=lambda v: "" if v is None else v
    )
    env.globals.clear()
    env.filters = {name: env.filters[name] for name in FILTERS}
    env.filters |= {"replace": _replace, "join": _joined, "round": _round}
    env.filters |= {SLICEABLE: _sliceable, JOINED: _joined}
    env.filters[COUNTED] = pass_context(_counted)
    env.tests = {name: env.tests[name] for name in TESTS} | {
        "in": env.tests["in"],
        "none": lambda value: value in (None, ""),
    }
    return env


def _render(template: Any, values: Mapping[str, Value]) -> str:
    known = {name: "" if value is None else value for name, value in values.items()}
    pieces, size = [], 0
    try:
        for piece in template.generate({**known, ROW: known, _BUDGET: _Budget()}):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_CHARACTERS:
                raise _TooMuchError(f"it makes more than {MAX_CHARACTERS:,} characters of a row")
    except Exception as ex:  # a template may fail in any way on a value that it was not written for
        what = f"{ex}" if isinstance(ex, _TooMuchError) else f"{type(ex).__name__}: {ex}"
        raise RenderError(f"the template fails ({' '.join(what.split())[:100]})") from ex
    return "".join(pieces)


class _Budget:
    """Counts the steps and seconds of a template's loops in one row."""

    def __init__(self) -> None:
        self.steps, self.deadline = 0, time.monotonic() + MAX_SECONDS

    def step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise _TooMuchError(f"its loops take more than {MAX_STEPS:,} steps in a row")
        if time.monotonic() > self.deadline:
            raise _TooMuchError(f"its loops take more than {MAX_SECONDS:g} seconds in a row")


def _counted(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    budget = context[_BUDGET]
    for value in values:
        budget.step()
        yield value


def _sliceable(value: Any) -> Any:
    """A number is sliced as it is written: the year 2024 as well as "2024"."""
    return str(value) if isinstance(value, int | float) else value


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text = str(value)
    if len(text) + text.count(old) * len(new) > MAX_CHARACTERS:
        raise _TooMuchError(f"it makes more than {MAX_CHARACTERS:,} characters of a row")
    return text.replace(old, new, count)


def _round(value: Any, digits: int = 0) -> float:
    """Jinja's own filter would compute a power of ten of any size."""
    return round(float(value), max(-20, min(20, digits)))


def _joined(values: Iterable[Any], between: str = "") -> str:
    texts = ["" if value is None else str(value) for value in values]
    if sum(map(len, texts)) + len(texts) * len(between) > MAX_CHARACTERS:
        raise _TooMuchError(f"it makes more than {MAX_CHARACTERS:,} characters of a row")
    return between.join(texts)
