"""What numbers say of a row in programs that have numbers for kinds and states: whispers, private notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from .exclusions import Exclusion, exclusion, listed, without_null
from .source import Source


class _Numbers(NamedTuple):
    """Values of `column` that rows have which not everybody reads, or that nobody wrote; the program is known
    by `others`, which are columns of the same table."""

    program: str
    column: str
    others: frozenset[str]
    meanings: dict[str, str]


# As the sources of these programs have them (Discourse: Post.types; Mantis: VS_PRIVATE; Android:
# Telephony.TextBasedSmsColumns; MyBB: visible; XMPP archives of Gajim: constants.KindConstant).
_KNOWN = (
    _Numbers(
        "Discourse",
        "post_type",
        frozenset(["topic_id", "post_number", "raw"]),
        {
            "2": "what a moderator did",
            "3": "what was done with the topic",
            "4": "whispers, which are private to its staff",
        },
    ),
    _Numbers("Mantis", "view_state", frozenset(["reporter_id"]), {"50": "what is private"}),
    _Numbers(
        "Android",
        "type",
        frozenset(["address", "thread_id", "date"]),
        {"3": "drafts", "5": "messages that could not be sent"},
    ),
    _Numbers(
        "Gajim",
        "kind",
        frozenset(["jid_id", "contact_name", "message"]),
        {"0": "who came and went", "1": "who came and went"},
    ),
)


def numbered_states(source: Source) -> Iterator[Exclusion]:
    """Sentences about such rows of the source's sample, each with the option that leaves them out. One such
    row is enough: it may be private."""
    names = {column.lower(): column for column in source.columns}
    for known in _KNOWN:
        column = names.get(known.column)
        if column is None or not known.others <= {*names} or column in source.text_columns:
            continue
        counts = Counter(row[column] for row in source.sample if str(row[column]) in known.meanings)
        count = counts.total()
        if not 0 < count < len(source.sample):
            continue
        values = sorted(counts, key=str)
        by_meaning: dict[str, list[str]] = {}
        for value in values:
            by_meaning.setdefault(known.meanings[str(value)], []).append(str(value))
        meanings = ", ".join(f"{' and '.join(of)} for {what}" for what, of in by_meaning.items())
        of = "row" if count == 1 and source.looked_at == "rows" else source.looked_at
        told = (
            f"In {count:,} {of} {column} is {' or '.join(map(str, values))}. {known.program} has {meanings}"
        )
        condition = f"{without_null(source, column)} not in ({listed(values)})"
        yield exclusion(source, f"{told}. To leave these out", condition)


def is_known(source: Source, column: str) -> bool:
    """Whether it is known what the numbers of a column mean."""
    names = {name.lower() for name in source.columns}
    return any(known.column == column.lower() and known.others <= names for known in _KNOWN)
