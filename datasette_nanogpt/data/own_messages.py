"""Which messages of a chat are one's own, where a column says so instead of who wrote each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .column_names import words_of
from .exclusions import among
from .sample import Value
from .source import Source
from .sqlite import quote

_FLAGS = (
    *({"from", "me"}, {"is", "from", "me"}, {"outgoing"}, {"is", "outgoing"}, {"sent", "by", "me"}),
    *({"is", "send"}, {"is", "sent"}, {"is", "mine"}, {"is", "own"}),
)
# Words of columns that say which way a message went, and what they say of those that were sent and received.
_WAYS = frozenset(["type", "kind", "direction", "way", "box", "folder"])
_SENT = frozenset(["outgoing", "out", "outbound", "sent", "outbox"])
_RECEIVED = frozenset(["incoming", "in", "inbound", "received", "inbox"])
MIN_SAID = 0.5  # of the rows must be one or the other: calls and the like are neither
# Signal on Android: the last five bits of `type` are 20 in what was received, and 21 to 26 in what was sent,
# is on its way or could not be sent.
_OF_SIGNAL = ("type", frozenset(["thread_id", "from_recipient_id", "body"]))
_BITS, _IN, _OUT = 31, 20, range(21, 27)


class Own(NamedTuple):
    """The column, SQL that is true of one's own messages, and what is said of it."""

    column: str
    condition: str
    told: str

    def of(self, table: str) -> str:
        """The condition, in a query that joins `table` to others."""
        return self.condition.replace(quote(self.column), f"{quote(table)}.{quote(self.column)}", 1)


def find_own(source: Source) -> Own | None:
    """By a flag, by the words for both ways, or by the numbers of Signal."""
    return next(_all_found(source), None)


def _all_found(source: Source) -> Iterator[Own]:
    names = {column.lower(): column for column in source.columns}
    for column in source.columns:
        values = [row[column] for row in source.sample]
        name, words = quote(column), words_of(column)
        if set(words) in _FLAGS and {*values} == {0, 1}:
            yield Own(column, name, f"{column} says which of these rows are one's own.")
        elif words[-1] in _WAYS and column not in source.text_columns and (sent := _sent(values)):
            told = f"Rows in which {column} is {' or '.join(sent)} seem to be one's own."
            yield Own(column, f"{name} {among(sent)}", told)
    kind, others = _OF_SIGNAL
    if kind in names and others <= {*names} and _are_of_signal([row[names[kind]] for row in source.sample]):
        told = f"In {names[kind]}, Signal has which of these rows are one's own."
        condition = f"{quote(names[kind])} & {_BITS} between {_OUT[0]} and {_OUT[-1]}"
        yield Own(names[kind], condition, told)


def _sent(values: Sequence[Value]) -> list[str]:
    """The values for what was sent, if most rows were sent or received, and there are some of both."""
    texts = [value for value in values if isinstance(value, str)]
    sent = [text for text in texts if text.strip().lower() in _SENT]
    received = [text for text in texts if text.strip().lower() in _RECEIVED]
    are_most = len(sent) + len(received) > MIN_SAID * len(values)
    return sorted({*sent}) if sent and received and are_most else []


def _are_of_signal(values: Sequence[Value]) -> bool:
    numbers = [value & _BITS for value in values if isinstance(value, int) and value > _BITS]
    ways = [number for number in numbers if number == _IN or number in _OUT]
    return {_IN} < {*ways} and len(ways) > MIN_SAID * len(values)
