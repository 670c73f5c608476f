"""The layout of a row's text: its columns and the text between them, and how to split a text into columns.

"{{ tags }} · {{ title }}\\n\\n{{ body }}" is the column tags, " · ", the column title, a blank line, the
column body. What is written with it can be given in part, and be put back into columns. A template with an
`if` has several layouts, of which what is given may leave one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .errors import InvalidOptions, Problem
from .suggestions import did_you_mean

BLANK_LINE = "\n\n"


@dataclass(frozen=True)
class Slot:
    """A place in the text that one or several columns fill."""

    key: str  # equal for places that always have equal text
    columns: tuple[str, ...]
    render: Callable[[Mapping[str, Any]], str]  # the values of `columns` -> the text of the place
    plain: bool = True  # whether the text is the whole column, not a part of it
    lines: bool = False  # whether it may have line breaks of its own, as what a loop makes
    # Columns that decide what stands here: it is all that comes after an `if` that they have not decided yet.
    decided_by: tuple[str, ...] = ()


Segment = str | Slot


class Layout:
    """Slots, with literal text before, between and after them."""

    def __init__(
        self,
        segments: Sequence[Segment],
        title: str | None = None,
        columns: Sequence[str] | None = None,
        ways: Sequence[Layout] = (),
    ) -> None:
        """`title` is the column that may be called "title" as well. `columns` are all that there are, if not
        each of them stands in the text. `ways` are the layouts that a text may have, where it is not known
        which: all begin with these segments."""
        self.title, self.ways = title, ways
        self._columns = columns
        # literals[i] stands before slots[i], the last one after all of them.
        self.literals, self.slots = [""], list[Slot]()
        for segment in segments:
            if isinstance(segment, str):
                self.literals[-1] += segment
            else:
                self.slots.append(segment)
                self.literals.append("")

    @property
    def columns(self) -> tuple[str, ...]:
        if self._columns is not None:
            return tuple(self._columns)
        return tuple(dict.fromkeys(name for slot in self.slots for name in slot.columns))

    @property
    def settable(self) -> list[str]:
        """The columns that can be given: all but the last one, which the model writes."""
        last = {name for way in self.ways or [self] if way.slots for name in way.slots[-1].columns}
        return [name for name in self.columns if name not in last]

    @property
    def last(self) -> list[str]:
        """What the model writes, under the name that `split` gives it: one name, or one for each layout that
        the text may have."""
        return list(dict.fromkeys(_name(way.slots[-1]) for way in self.ways or [self] if way.slots))

    def fill(self, values: Mapping[str, str]) -> list[str | None]:
        """The text of each slot, given the values of some columns; None where the model will write it.

        Raises InvalidOptions, about `set`, for columns that there are not, and where the text cannot be made
        of what is given.
        """
        known, problems = by_name(values, self.columns, self.title)
        filled: list[str | None] = []
        for i, slot in enumerate(self.slots):
            missing = [name for name in slot.columns if name not in known]
            text = None
            if slot.decided_by:
                if given := [name for name in slot.columns if name in known]:
                    problems.append(_undecided(given, slot.decided_by))
            elif missing and len(missing) < len(slot.columns):
                together = " and ".join(slot.columns)
                message = f"{together} stand in one place of the text: give {' and '.join(missing)} as well"
                problems.append(Problem("set", "incomplete", message))
            elif not missing:
                try:
                    text = self._as_in_row(i, slot.render(known))
                except Exception as ex:  # a filter of a template may ask more of a value
                    name = slot.columns[0]
                    problems.append(Problem("set", "value", f"{name} cannot be {known[name]!r}: {ex}"))
            filled.append(text)
        if filled and filled[-1] is not None:
            name = self.slots[-1].columns[-1]
            message = f"{name} is what the model writes: the prompt is how it begins"
            problems.append(Problem("set", "last", message))
        if problems:
            raise InvalidOptions(problems)
        return filled

    def _as_in_row(self, i: int, text: str) -> str:
        """What was given for slot `i`, on one line where it stands within a line, as a title does; else with
        its line breaks."""
        if self.slots[i].lines:
            return text
        lines = [line.rstrip() for line in text.splitlines()]
        if self._within_line(i) or sum(map(bool, lines)) <= 1:
            return " ".join(text.split())
        return "\n".join(lines).strip("\n")

    def _within_line(self, i: int) -> bool:
        """Whether slot `i` is the title, stands in a heading, or has another column or text after it, or
        another column before it, on its line."""
        _, breaks, before = self.literals[i].rpartition("\n")
        shares = not self.literals[i + 1].startswith("\n") or (i > 0 and not breaks)
        return shares or before.startswith("#") or self.title in self.slots[i].columns

    def check_ends(self, filled: Sequence[str | None]) -> None:
        """Raises InvalidOptions where one of these slots is left to the model, and no text tells where it
        ends."""
        for i, text in enumerate(filled):
            if text is None and not self.literals[i + 1]:
                a, b = (slot.columns[0] for slot in self.slots[i : i + 2])
                message = f"There is no text between {a} and {b}: give {a} as well"
                raise InvalidOptions([Problem("set", "adjacent", message)])

    def text_of(self, filled: Sequence[str | None]) -> str:
        """The beginning of a text up to these slots and the literal after them, without leading line
        breaks."""
        parts = [f"{text or ''}{after}" for text, after in zip(filled, self.literals[1:], strict=False)]
        return "".join([self.literals[0], *parts]).lstrip("\n")

    def known(self, filled: Sequence[str | None], i: int) -> str | None:
        """The text of slot `i` if an earlier slot has the same key, else None."""
        key = self.slots[i].key
        return next((filled[j] for j in range(i) if self.slots[j].key == key), None)

    def split(self, text: str, filled: Sequence[str | None] = ()) -> dict[str, str | None]:
        """The columns of a text, by the literals between them; None for those that it does not get to.

        `filled` is what stands in some slots, as `fill` has it. Without text between two columns the second
        has both. Where the text may have several layouts it is the one with most of its text between columns.
        """
        return self.split_last(text, filled)[0]

    def split_last(
        self, text: str, filled: Sequence[str | None] = ()
    ) -> tuple[dict[str, str | None], str | None]:
        """The same, and which of these columns is the last one in the text's layout; None if it has none."""
        _, layout, values = max(
            (layout._fit(text, filled) for layout in self.ways or [self]), key=lambda fit: fit[0]
        )
        columns = dict.fromkeys(self.columns) if self.ways else dict[str, str | None]()
        plain: set[str] = set()
        for slot, value in zip(layout.slots, values, strict=True):
            name = _name(slot)
            if columns.get(name) is None or (slot.plain and name not in plain):
                columns[name] = value
            plain |= {name} if slot.plain else set()
        return columns, _name(layout.slots[-1]) if layout.slots else None

    def _fit(self, text: str, filled: Sequence[str | None]) -> tuple[Fit, Layout, list[str | None]]:
        """How well `text` fits this layout, and what stands in each slot, None where it ends before."""
        starts = text.startswith(first := self.literals[0].lstrip("\n"))
        values: list[str | None] = []
        known: dict[str, str] = {}
        end: int | None = len(first) if starts else 0
        matched = len(first) if starts else 0
        for i, slot in enumerate(self.slots):
            if end is None:
                values.append(None)
                continue
            given = known.get(slot.key, filled[i] if i < len(filled) else None)
            value, end = self._value(text, end, i, given)
            known[slot.key] = value
            values.append(value)
            matched += len(self.literals[i + 1]) if end is not None else 0
        reached = starts and (not values or values[-1] is not None)
        above = any(
            BLANK_LINE in (value or "") and self.above_blank_line(i + 1) for i, value in enumerate(values)
        )
        return Fit(reached, not above, matched), self, values

    def above_blank_line(self, i: int) -> bool:
        """Whether a blank line and a column come after slot `i`: the line ends what stands above it."""
        return any(BLANK_LINE in literal for literal in self.literals[i + 1 : -1])

    def _value(self, text: str, start: int, i: int, given: str | None) -> tuple[str, int | None]:
        """The text of slot `i`, which begins at `start`, and where the next slot begins, if it does."""
        after = self.literals[i + 1]
        if i == len(self.slots) - 1:
            return text[start:].rstrip().removesuffix(after.rstrip()).rstrip(), None
        from_ = start + len(given) if given is not None and text.startswith(given, start) else start
        end = text.find(after, from_)
        return (text[start:], None) if end < 0 else (text[start:end], end + len(after))


def _name(slot: Slot) -> str:
    """What stands there, as a column of a text that is split."""
    return "_".join(slot.columns)


class Fit(NamedTuple):
    """How well a text fits a layout; the greater one fits better."""

    reached: bool  # the last column
    one_line: bool  # no blank line in what stands above one
    matched: int  # characters of the text between columns


def by_name(
    values: Mapping[str, str], columns: Sequence[str], title: str | None = None
) -> tuple[dict[str, str], list[Problem]]:
    """Values under the names of `columns`, whatever the case of their letters; `title` is the column that
    "title" may stand for. And what is wrong with the others."""
    known, problems = dict[str, str](), list[Problem]()
    for name, value in values.items():
        own = [column for column in columns if column == name]
        own = own or [column for column in columns if column.lower() == name.lower()]
        own = own or ([title] if title and name == "title" else [])
        if own:
            known |= dict.fromkeys(own, value)
        else:
            message = f"The text of this model has no column {name!r}. Its columns are: {', '.join(columns)}"
            message += "." + meant if (meant := did_you_mean([name], columns)) else ""
            problems.append(Problem("set", "missing_column", message))
    return known, problems


def _undecided(given: Sequence[str], by: Sequence[str]) -> Problem:
    a, b = " and ".join(given), " and ".join(by)
    stand = "stands" if len(given) == 1 else "stand"
    message = f"Where {a} {stand} in the text depends on {b}: set {b} as well, empty for a row without"
    return Problem("set", "undecided", message)
