"""Rows that somebody may not mean to train on: drafts, deleted or private ones, and earlier versions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from .column_names import words_of
from .decode import decode_bytes
from .exclusions import Exclusion, exclusion, listed
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
        *("archived", "removed", "unpublished", "hidden", "private", "junk", "conflict"),
    ]
)
# Names of columns, as one word, that say of each row, or since when, that it is not read, or that it is.
_FLAG = re.compile(
    r"(?:is|was|in|user|soft|self|permanently)*"
    r"(?:deleted?|dead|marked(?:for|as)delet(?:ion|ed)|tobedeleted|trash(?:ed)?|draft|spam|junk|removed|unpublished"
    r"|archived|hidden|bot|private(?:notes?)?|conflict|discard(?:ed)?|retracted|suppressed|encrypted|passwordprotected"
    r"|geloscht|supprime|eliminado|borrado|excluido|eliminato|verwijderd|удален\w?|已?删除|已?刪除|削除(?:済み?)?)"
    r"(?:flag|in|at|on|date|time|timestamp)*"
)
_FLAG_OF_READ = re.compile(r"(?:is|was)?published(?:in|at|on|date|time|timestamp)*")
# Words of columns that say who may read a row, and values of rows that not everybody may.
_AUDIENCES = frozenset(
    [
        *(
            "visibility",
            "privacy",
            "access",
            "scope",
            "audience",
            "sichtbarkeit",
            "visibilite",
            "visibilidad",
        ),
        *(
            "visibilidade",
            "visibilita",
            "zichtbaarheid",
            "widocznosc",
            "видимость",
            "доступ",
            "可见性",
            "公開範囲",
        ),
    ]
)
_NOT_PUBLIC = frozenset(
    [
        *(
            "private",
            "direct",
            "followers",
            "followersonly",
            "mutuals",
            "mutualsonly",
            "friends",
            "friendsonly",
        ),
        *("secret", "confidential", "specified", "onlyme"),
        *("privat", "prive", "privado", "privada", "privato", "prywatny", "закрытый", "личный", "приватный"),
        *("私密", "私人", "非公開", "비공개"),
    ]
)
_YES, _NO = frozenset(["1", "true", "t", "yes", "y"]), frozenset(["0", "false", "f", "no", "n"])
_NEVER = re.compile(r"\s*|[0.:\s-]+")  # "", 0, "0000-00-00 00:00:00"
_VERSIONS = frozenset(["version", "revision", "rev", "ver"])
_REACTION = re.compile(
    r"(Liked|Loved|Disliked|Laughed at|Emphasized|Questioned|Removed an? [\w ]{4,20} from|Reacted \S{1,8} to)"
    r" ([“\"])"
)
_KIND_OF_REACTION = "associated_message_type"  # from 2000 to 3007
_WORD = re.compile(r"\w+")


def unread_rows(source: Source, of: str) -> Iterator[Exclusion]:
    """Sentences about such rows of the source's sample, each with the option that leaves them out. `of` says
    what was looked at: "rows"."""
    yield from islice(_drafts(source, of), MAX_TOLD)
    yield from _reactions(source, of)
    if source.table != QUERY and source.grouping is None:
        yield from _versions(source)


# ---- Drafts and deleted rows


def _drafts(source: Source, of: str) -> Iterator[Exclusion]:
    """Sentences about rows that are drafts, deleted or not for everybody, by what a column says."""
    told: list[list[int]] = []
    columns = [column for column in source.columns if column not in source.text_columns]
    for column in sorted(columns, key=lambda column: _AUDIENCES.isdisjoint(words_of(column))):
        unread, is_since = _unread_values(column, list(dict.fromkeys(row[column] for row in source.sample)))
        rows = [i for i, row in enumerate(source.sample) if row[column] in unread]
        is_private = not _AUDIENCES.isdisjoint(words_of(column))  # one such row is enough
        if len(rows) > (0 if is_private else MIN_FRACTION * len(source.sample)) and rows not in told:
            told.append(rows)
            if len(rows) < len(source.sample):
                yield _told(source, column, unread, is_since, of)


def _told(source: Source, column: str, unread: list[Value], is_since: bool, of: str) -> Exclusion:
    values = Counter(row[column] for row in source.sample)
    count = sum(values[value] for value in unread)
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
        if not _AUDIENCES.isdisjoint(words_of(column)):  # rows that were not looked at may have other values
            public = ["" if value is None else value for value in values if value not in unread]
            condition = f"{name} in ({listed(sorted(public, key=str))})"
    of = "row" if count == 1 and of == "rows" else of
    told = f"In {count:,} {of} {column} is {what}. To leave these out"
    return exclusion(source, told, condition)


def _unread_values(column: str, values: Sequence[Value]) -> tuple[list[Value], bool]:
    """Those of the different values of a column that say that a row is not read; and whether they say since
    when, so that other rows have others."""
    words = frozenset(words_of(column))
    if words & _STATES:
        return [value for value in values if str(value).lower() in _UNREAD], False
    if words & _AUDIENCES:
        return [value for value in values if _joined(str(value)) in _NOT_PUBLIC], False
    if "approved" in words:  # WordPress: 0, 1, "spam", "trash"
        answers = {str(value).lower() for value in values}
        unread = [value for value in values if str(value).lower() in _NO | _UNREAD]
        return (unread if answers & _YES and answers <= _YES | _NO | _UNREAD | {"none"} else []), False
    is_of_read = bool(_FLAG_OF_READ.fullmatch(_joined(column)))
    if not (is_of_read or _FLAG.fullmatch(_joined(column))):
        return [], False
    filled: list[Value] = [value for value in values if value is not None and not _is_blank(value)]
    if all(str(value).lower() in _YES | _NO for value in filled):
        return [value for value in filled if str(value).lower() in (_NO if is_of_read else _YES)], False
    if is_of_read and "at" in words:  # published_at: without a date it is a draft
        return [value for value in values if value is None or _NEVER.fullmatch(str(value))], False
    since = [value for value in filled if not _NEVER.fullmatch(str(value))]
    are_dates = all(isinstance(value, int | float) or shape_of(str(value)) == "dates" for value in since)
    return (since, True) if are_dates and not is_of_read else ([], False)


def _joined(name: str) -> str:
    """A name as one word, however its own are joined: Apple's programs do not say where they end."""
    return "".join(words_of(name))


def _is_blank(value: Value) -> bool:
    return isinstance(value, str | bytes) and not value.strip()


# ---- Reactions


def as_text(value: Value) -> str:
    """A value as the table has it, "" for none."""
    return decode_bytes(value).text or "" if isinstance(value, bytes) else str(value or "")


def _reactions(source: Source, of: str) -> Iterator[Exclusion]:
    """About rows of Apple's Messages that only say that somebody liked another one."""
    if not source.body or source.template:
        return
    column, *_ = source.body
    texts = [as_text(row[column]) for row in source.sample]
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
    told = f"{len(reactions):,} {of} are reactions to another one ({shown}…). To leave these out"
    yield exclusion(source, told, condition)


# ---- Versions


def _versions(source: Source) -> Iterator[Exclusion]:
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
                told = f"Rows with the same {group} are versions of one text. To read only the last {version}"
                yield exclusion(source, f"{told} of each", f"({names}) in ({last})")
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
