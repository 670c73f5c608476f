"""Rows that somebody may not mean to train on: drafts, deleted rows, and earlier versions of a text."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from ..formatting import shell_command
from .column_names import words_of
from .decode import decode_bytes
from .sample import Value
from .shapes import shape_of
from .source import QUERY, Source
from .sqlite import quote

MIN_FRACTION = 0.02  # of the rows: fewer deleted rows or drafts are not told
MAX_TOLD = 3  # columns that say so
MIN_EARLIER = 0.1  # the fraction of the rows that must be earlier versions
MIN_ALIKE = 0.5  # the fraction of two texts' words that both have, if they are versions of one
# Words of columns that say what a row is, and values of rows that are not what people read.
_STATES = frozenset(["type", "status", "state", "posttype", "poststatus"])
_UNREAD = frozenset(
    [
        *("revision", "inherit", "auto-draft", "draft", "drafts", "trash", "trashed", "deleted", "spam"),
        *("archived", "unpublished", "hidden", "private", "junk", "conflict"),
    ]
)
# Words of columns that say of each row yes or no, or since when: that it is not read, or that it is.
_FLAGS = frozenset(
    [
        *("deleted", "trashed", "trash", "draft", "spam", "junk", "removed", "unpublished", "archived"),
        *("hidden", "private", "conflict"),
    ]
)
_FLAGS_OF_READ = frozenset(["published"])
_BESIDE_FLAGS = frozenset(["is", "was", "in", "at", "on", "date", "time", "timestamp"])
_YES, _NO = frozenset(["1", "true", "t", "yes", "y"]), frozenset(["0", "false", "f", "no", "n"])
_NEVER = re.compile(r"\s*|[0.:\s-]+")  # "", 0, "0000-00-00 00:00:00"
_VERSIONS = frozenset(["version", "revision", "rev", "ver"])
_REACTION = re.compile(
    r"(Liked|Loved|Disliked|Laughed at|Emphasized|Questioned|Removed an? [\w ]{4,20} from|Reacted \S{1,8} to)"
    r" ([“\"])"
)
_KIND_OF_REACTION = "associated_message_type"  # from 2000 to 3007
_WORD = re.compile(r"\w+")


def unread_rows(source: Source, of: str) -> Iterator[str]:
    """Sentences about such rows of the source's sample, each with the option that leaves them out. `of` says
    what was looked at: "rows"."""
    of_text = source.text_columns
    drafts = (_drafts(source, column, of) for column in source.columns if column not in of_text)
    yield from islice(filter(None, drafts), MAX_TOLD)
    yield from _reactions(source, of)
    if source.table != QUERY and source.grouping is None:
        yield from _versions(source)


def where_option(source: Source, condition: str) -> str:
    """The option that leaves rows out, beside those that the run's own condition leaves out."""
    if source.where:
        end = "\n" if "--" in source.where else ""  # of a comment
        condition = f"({source.where}{end}) and {f'({condition})' if ' or ' in condition else condition}"
    return shell_command(["--where", condition])


def listed(values: Sequence[Value]) -> str:
    """Strings and numbers as SQL has them, between commas."""
    return ", ".join(
        str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"
        for value in values
    )


# ---- Drafts and deleted rows


def _drafts(source: Source, column: str, of: str) -> str:
    """A sentence about the rows that are drafts or deleted by what a column says, "" for none."""
    values = Counter(row[column] for row in source.sample)
    unread, is_since = _unread_values(column, list(values))
    count = sum(values[value] for value in unread)
    if not MIN_FRACTION * len(source.sample) < count < len(source.sample):
        return ""
    name = f"ifnull({quote(column)}, '')" if None in values else quote(column)  # NULL is in no list
    if is_since:
        others = [value for value in values if value not in unread]
        never = listed(["" if value is None else value for value in others])
        what, condition = "set", f"{quote(column)} is null" if others == [None] else f"{name} in ({never})"
    else:
        unread = sorted(unread, key=str)
        texts = list(dict.fromkeys("" if value is None else value for value in unread))
        what = "not set" if "" in texts else " or ".join(map(str, texts))
        condition = f"{name} not in ({listed(texts)})"
    return f"In {count:,} {of} {column} is {what}. To leave these out: {where_option(source, condition)}"


def _unread_values(column: str, values: Sequence[Value]) -> tuple[list[Value], bool]:
    """Those of the different values of a column that say that a row is not read; and whether they say since
    when, so that other rows have others."""
    words = frozenset(words_of(column))
    if words & _STATES:
        return [value for value in values if str(value).lower() in _UNREAD], False
    flag = words - _BESIDE_FLAGS
    is_of_read = flag <= _FLAGS_OF_READ
    if len(flag) != 1 or not (is_of_read or flag <= _FLAGS):
        return [], False
    filled: list[Value] = [value for value in values if value is not None and not _is_blank(value)]
    if all(str(value).lower() in _YES | _NO for value in filled):
        return [value for value in filled if str(value).lower() in (_NO if is_of_read else _YES)], False
    if is_of_read and "at" in words:  # published_at: without a date it is a draft
        return [value for value in values if value is None or _NEVER.fullmatch(str(value))], False
    since = [value for value in filled if not _NEVER.fullmatch(str(value))]
    are_dates = all(isinstance(value, int | float) or shape_of(str(value)) == "dates" for value in since)
    return (since, True) if are_dates and not is_of_read else ([], False)


def _is_blank(value: Value) -> bool:
    return isinstance(value, str | bytes) and not value.strip()


# ---- Reactions


def _reactions(source: Source, of: str) -> Iterator[str]:
    """About rows of Apple's Messages that only say that somebody liked another one."""
    if not source.body or source.template:
        return
    column, *_ = source.body
    texts = [
        decode_bytes(value).text or "" if isinstance(value, bytes) else str(value or "")
        for value in (row[column] for row in source.sample)
    ]
    reactions = [match for text in texts if (match := _REACTION.match(text))]
    if not MIN_FRACTION * len(texts) < len(reactions) < len(texts):
        return
    if kind := next((c for c in source.columns if c.lower() == _KIND_OF_REACTION), None):
        condition = f"ifnull({quote(kind)}, 0) not between 2000 and 3007"
    else:
        is_raw = any(isinstance(row[column], bytes) for row in source.sample)
        starts = sorted({f"{match[1]} {match[2]}" for match in reactions})
        listed_starts = (f"'{start}'" for start in starts)
        whole = (f"cast({start} as blob)" if is_raw else start for start in listed_starts)
        condition = " and ".join(f"not ifnull(instr({quote(column)}, {start}), 0)" for start in whole)
    shown = reactions[0][0]
    yield (
        f"{len(reactions):,} {of} are reactions to another one ({shown}…). "
        f"To leave these out: {where_option(source, condition)}"
    )


# ---- Versions


def _versions(source: Source) -> Iterator[str]:
    """About texts that several rows have, each row in another version."""
    of_text = source.text_columns
    others = [column for column in source.columns if column not in source.body]
    for version in others:
        numbers = [row[version] for row in source.sample]
        is_named = not _VERSIONS.isdisjoint(words_of(version)) and version not in of_text
        if is_named and all(isinstance(number, int) for number in numbers):
            groups = (each for each in others if each != version and _has_versions(source, each, version))
            if group := next(groups, ""):
                names = f"{quote(group)}, {quote(version)}"
                last = f"select {quote(group)}, max({quote(version)}) from {source.from_typed} group by 1"
                yield (
                    f"Rows with the same {group} are versions of one text. To read only the last {version} "
                    f"of each: {where_option(source, f'({names}) in ({last})')}"
                )
                return


def _has_versions(source: Source, group: str, version: str) -> bool:
    """Whether rows with the same `group` have different numbers of `version`, and mostly the same words."""
    groups = defaultdict[Value, list[tuple[Value, frozenset[str]]]](list)
    for row in source.sample:
        if row[group] is not None:
            words = _WORD.findall(" ".join(str(row[column] or "") for column in source.body))
            groups[row[group]].append((row[version], frozenset(words)))
    pairs: list[tuple[frozenset[str], frozenset[str]]] = []
    for rows in groups.values():
        numbers = [number for number, _ in rows]
        if len(set(numbers)) < len(numbers):
            return False
        pairs += pairwise(words for _, words in rows)
    alike = sum(len(a & b) >= MIN_ALIKE * len(a | b) for a, b in pairs)
    return len(pairs) >= MIN_EARLIER * len(source.sample) and alike > len(pairs) / 2
