"""Templates: how the text of a row is made of its columns.

    {{ tags }} · {{ created[:4] }}\\n# {{ title }}\\n\\n{{ body }}

A template is Jinja (https://jinja.palletsprojects.com) in its sandbox, and only as much of it as cannot take
long or fill the memory, whoever wrote it (template_syntax.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .layout import Layout, Segment, Slot
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
MAX_STEPS = 10_000  # of all loops of a template, in one row
MAX_SECONDS = 5.0  # for the loops of a template, in one row
MAX_CHARACTERS = 64 * 2**20  # that a template makes of one row
_BUDGET = "0 budget"  # a name that no template can have


class RenderError(Exception):
    """Why a row has no text, in words that are the same for all rows like it."""


class _TooMuchError(Exception):
    """A row takes more steps, time or characters than a template may."""


class Template:
    """A template that is known to be one. Raises InvalidOptions about the option `template` otherwise.

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

    @cached_property
    def layout(self) -> Layout | None:
        """The text and the columns of the template in turn; None where it has an `if` or a loop."""
        from jinja2 import nodes

        segments: list[Segment] = []
        for node in self._ast.body:
            if not isinstance(node, nodes.Output):
                return None
            for part in node.nodes:
                if isinstance(part, nodes.TemplateData):
                    segments.append(part.data)
                elif columns := tuple(dict.fromkeys(columns_in(part, self.columns))):
                    segments.append(Slot(repr(part), columns, self._renderer(part), is_plain(part)))
                else:
                    segments.append(self._renderer(part)({}))
        return Layout(segments)

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

    def _renderer(self, part: nodes.Expr) -> Callable[[Mapping[str, Value]], str]:
        """What renders one expression of the template alone."""
        from jinja2 import nodes

        alone = nodes.Template([nodes.Output([part], lineno=part.lineno)], lineno=part.lineno)
        alone.set_environment(self._env)
        template = self._env.from_string(alone)
        return lambda values: _render(template, values)


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
    except Exception as ex:  # whatever a template does with a value that it was not written for
        what = f"{ex}" if isinstance(ex, _TooMuchError) else f"{type(ex).__name__}: {ex}"
        raise RenderError(f"the template fails ({' '.join(what.split())[:100]})") from ex
    return "".join(pieces)


class _Budget:
    """The steps and the seconds that the loops of a template have in a row."""

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
    """Jinja's would compute a power of ten of any size."""
    return round(float(value), max(-20, min(20, digits)))


def _joined(values: Iterable[Any], between: str = "") -> str:
    texts = ["" if value is None else str(value) for value in values]
    if sum(map(len, texts)) + len(texts) * len(between) > MAX_CHARACTERS:
        raise _TooMuchError(f"it makes more than {MAX_CHARACTERS:,} characters of a row")
    return between.join(texts)
