"""The layout of a row's text: the columns and the text between them, and the way back from text to columns.

"{{ tags }} · {{ title }}\\n\\n{{ body }}" is the column tags, " · ", the column title, a blank line, the
column body. What is written with it can be given in part, and be put back into columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InvalidOptions, Problem


@dataclass(frozen=True)
class Slot:
    """A place in the text that a column fills, or several do."""

    key: str  # the same for places that always have the same text
    columns: tuple[str, ...]
    render: Callable[[Mapping[str, Any]], str]  # the values of `columns` -> what stands there
    plain: bool = True  # whether that is the column as it is, not a part of it


Segment = str | Slot


class Layout:
    """Slots, with literal text before, between and after them."""

    def __init__(self, segments: Sequence[Segment], title: str | None = None) -> None:
        """`title` is the column that may be called "title" as well."""
        self.title = title
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
        return tuple(dict.fromkeys(name for slot in self.slots for name in slot.columns))

    def fill(self, values: Mapping[str, str]) -> list[str | None]:
        """What stands in each slot by the values of columns, None where the model is to write it.

        Raises InvalidOptions, about `set`, for columns that there are not, and where the text cannot be made
        of what is given.
        """
        known, problems = self._by_name(values)
        filled: list[str | None] = []
        for slot in self.slots:
            missing = [name for name in slot.columns if name not in known]
            text = None
            if missing and len(missing) < len(slot.columns):
                together = " and ".join(slot.columns)
                message = f"{together} stand in one place of the text: give {' and '.join(missing)} as well"
                problems.append(Problem("set", "incomplete", message))
            elif not missing:
                try:
                    text = " ".join(slot.render(known).split())
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

    def check_ends(self, filled: Sequence[str | None]) -> None:
        """Raises InvalidOptions where one of these slots is left to the model, and no text tells where it
        ends."""
        for i, text in enumerate(filled):
            if text is None and not self.literals[i + 1]:
                a, b = (slot.columns[0] for slot in self.slots[i : i + 2])
                message = f"There is no text between {a} and {b}: give {a} as well"
                raise InvalidOptions([Problem("set", "adjacent", message)])

    def text_of(self, filled: Sequence[str | None]) -> str:
        """The beginning of a text up to the end of these slots, and the text after them. Line breaks before
        the first word are none of a row's text."""
        parts = [f"{text or ''}{after}" for text, after in zip(filled, self.literals[1:], strict=False)]
        return "".join([self.literals[0], *parts]).lstrip("\n")

    def known(self, filled: Sequence[str | None], i: int) -> str | None:
        """What stands in slot `i` because it stands in one before, None if it does not."""
        key = self.slots[i].key
        return next((filled[j] for j in range(i) if self.slots[j].key == key), None)

    def _by_name(self, values: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
        """The values under the columns' names as the layout has them; the case of letters does not matter."""
        known, problems = dict[str, str](), list[Problem]()
        for name, value in values.items():
            own = [column for column in self.columns if column == name]
            own = own or [column for column in self.columns if column.lower() == name.lower()]
            own = own or ([self.title] if self.title and name == "title" else [])
            if own:
                known |= dict.fromkeys(own, value)
            else:
                there = ", ".join(self.columns)
                message = f"The text of this model has no column {name!r}. Its columns are: {there}"
                problems.append(Problem("set", "missing_column", message))
        return known, problems

    def split(self, text: str, filled: Sequence[str | None] = ()) -> dict[str, str | None]:
        """The columns of a text, by the literals between them; None for those that it does not get to.

        `filled` is what stands in some slots, as `fill` has it. Without text between two columns the second
        has both.
        """
        at = len(self.literals[0]) if text.startswith(self.literals[0]) else 0
        columns: dict[str, str | None] = {}
        plain: set[str] = set()
        known: dict[str, str] = {}
        end: int | None = at
        for i, slot in enumerate(self.slots):
            value = None
            if end is not None:
                given = known.get(slot.key, filled[i] if i < len(filled) else None)
                value, end = self._value(text, end, i, given)
                known[slot.key] = value
            name = "_".join(slot.columns)
            if name not in columns or (slot.plain and name not in plain):
                columns[name] = value
            plain |= {name} if slot.plain else set()
        return columns

    def _value(self, text: str, start: int, i: int, given: str | None) -> tuple[str, int | None]:
        """What stands in slot `i`, which begins at `start`, and where the next one begins; None: nowhere."""
        after = self.literals[i + 1]
        if i == len(self.slots) - 1:
            return text[start:].rstrip().removesuffix(after.rstrip()).rstrip(), None
        from_ = start + len(given) if given is not None and text.startswith(given, start) else start
        end = text.find(after, from_)
        return (text[start:], None) if end < 0 else (text[start:end], end + len(after))
