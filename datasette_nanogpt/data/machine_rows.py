"""Rows that nobody wrote: what a chat says of itself, bots, and sounds in a transcript."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from .chat_lines import chat_lines
from .column_names import named, words_of
from .decode import NOTHING, as_text
from .exclusions import MAX_BY_PROGRAMS, Exclusion, exclusion, is_told, not_among, without_null
from .json_values import object_or_none
from .known_kinds import is_known
from .source import QUERY, Source
from .speakers import SPEAKERS
from .sqlite import column_names, connect, primary_key, quote, schema_of

MAX_KINDS = 20  # a column with more different values does not say what kind of row each is
MAX_ALIKE = 0.5  # what a program wrote repeats itself: it has at most so many different texts per row
# A kind that is a number has no name to go by: it must have so many rows, and be more alike than that.
MIN_NUMBERED, MAX_ALIKE_NUMBERED = 5, 0.3
# Texts are compared by their last four words, or three: "ada joined the channel." begins with a name.
LAST_WORDS = (4, 3)
MAX_SOUNDS = 6  # with more different ones, texts in brackets are no list of sounds
MAX_BOTS = 10_000  # people in a table that are bots: so many are looked for among the rows
# The last word of the name of a column that says what kind of row each is.
_KIND_NAMES = frozenset(["messagetype", "type", "subtype", "kind", "event"])
# Words for kinds of rows that chat programs write by themselves.
_OF_SYSTEM = frozenset(
    [
        *("system", "service", "notification", "notice", "event", "membership", "join", "joined", "leave"),
        *("left", "pin", "pins", "pinned", "call", "add", "added", "remove", "removed", "created", "change"),
        *("changed", "rename", "renamed", "invite", "invited", "topic", "purpose", "kick", "kicked"),
    ]
)
_BOTS = frozenset(["bot", "bots", "robot"])
_BOT_KEYS = ("isBot", "is_bot", "bot")  # in the JSON of a person
# What differs in texts of a program: names with a sign, numbers, and what is quoted. At most 60 characters
# may stand before the sign, as the search tries every letter of a long word as the start of a name.
_NAMED = re.compile(r"\S{0,60}[@<>#]\S*|\d+|[\"“'].{1,80}?[\"”']")
_MERGE = re.compile(
    r"Merge (?:pull request #|merge request |(?:remote-tracking )?branch(?:es)? |tag |commit )|Merged PR "
)
_SOUND = re.compile(r"\[[ _]*[A-Za-z][A-Za-z_ ]{2,30}\]|\([A-Za-z][a-z ]{2,30}\)|[♪♫ ]+")
# As Reddit, GitHub and chats have them; "Abbot" and "Talbot" are people.
_BOT_NAME = re.compile(
    r"AutoModerator|[^\n]{1,60}\[bot\]|[^\n]{1,60}(?:[-_ ][Bb]ot|[a-z0-9]B(?:ot|OT))|[Bb]ot(?:[-_ ].{1,40})?"
)


def machine_rows(source: Source, of: str, but: Sequence[str] = ()) -> Iterator[Exclusion]:
    """Sentences about rows of the source's sample that nobody wrote, each with the option that leaves them
    out. `of` is what a sentence calls the rows that were looked at, such as "rows". The columns `but` have
    names like "type", but do not say what a row is."""
    if not source.body:
        return
    by_kind = [*_system_messages(source, of, but)]
    yield from by_kind or chat_lines(source, of)  # without a column that says it, the texts themselves may
    yield from _bots_in_json(source, of)
    yield from _bots_by_name(source, of)
    yield from _sounds(source, of)
    yield from _merges(source, of)


def _texts(source: Source) -> list[str]:
    """The text of each row of the sample, as the table has it."""
    rows = ([row[column] for column in source.body] for row in source.sample)
    return ["\n".join(filter(None, map(as_text, values))) for values in rows]


def _system_messages(source: Source, of: str, but: Sequence[str]) -> Iterator[Exclusion]:
    """About rows of kinds that a program writes, by a column that says what kind each row is."""
    texts = _texts(source)
    for column in (name for name in source.columns if name not in but):
        values = [row[column] for row in source.sample]
        kinds = {value for value in values if isinstance(value, str | int)}
        if words_of(column)[-1] not in _KIND_NAMES or not 1 < len({*values}) <= MAX_KINDS:
            continue
        if column in source.text_columns or is_known(source, column):
            continue
        by_kind = {kind: [t for t, v in zip(texts, values, strict=True) if v == kind] for kind in kinds}
        # A kind of more than half of the rows is what the table is about, however alike these are.
        some = {kind: written for kind, written in by_kind.items() if 2 * len(written) <= len(texts)}
        found = sorted((kind for kind, written in some.items() if _is_of_program(kind, written)), key=str)
        count = sum(values.count(kind) for kind in found)
        if is_told(source, count, MAX_BY_PROGRAMS):
            is_what = f"{column} is {' or '.join(map(str, found))}"
            told = f"In {count:,} {of} {is_what}: nobody seems to have written these. To leave them out"
            yield exclusion(source, told, f"{without_null(source, column)} {not_among(found)}")
            return


def _is_of_program(kind: str | int, texts: Sequence[str]) -> bool:
    """Whether a program wrote the rows of a kind: by the name of the kind and by how alike the texts are, or,
    if the kind is a number, by the texts alone."""
    words = frozenset(words_of(str(kind)))
    if words & _BOTS:
        return True
    written = [_NAMED.sub(" ", text).split() for text in texts if text.strip()]
    if not written:  # rows without text are skipped anyway
        return False
    different = min(len({" ".join(text[-count:]) for text in written}) for count in LAST_WORDS)
    if isinstance(kind, int):
        return len(written) >= MIN_NUMBERED and different <= MAX_ALIKE_NUMBERED * len(written)
    return bool(words & _OF_SYSTEM) and different <= max(1, MAX_ALIKE * len(written))


def _bots_in_json(source: Source, of: str) -> Iterator[Exclusion]:
    """About rows whose author, JSON in a column, is marked as a bot."""
    for column in named(SPEAKERS, [c for c in source.columns if c not in source.body]):
        people = [object_or_none(row[column]) for row in source.sample]
        for key in _BOT_KEYS:
            count = sum(person is not None and person.get(key) is True for person in people)
            if is_told(source, count, MAX_BY_PROGRAMS):
                name = quote(column)
                bot = f"case when json_valid({name}) then json_extract({name}, '$.{key}') end"
                told = f"In {count:,} {of} {column} is a bot ({key}). To leave these out"
                yield exclusion(source, told, f"ifnull({bot}, 0) = 0")
                return


def _bots_by_name(source: Source, of: str) -> Iterator[Exclusion]:
    for column in named(SPEAKERS, [c for c in source.columns if c not in source.body]):
        names = [value for row in source.sample if isinstance(value := row[column], str)]
        bots = sorted({name for name in names if _BOT_NAME.fullmatch(name)})
        count = sum(name in bots for name in names)
        if is_told(source, count, MAX_BY_PROGRAMS):
            shown = f"{', '.join(bots[:MAX_SOUNDS])}{' and others' if bots[MAX_SOUNDS:] else ''}"
            told = f"{count:,} {of} are by bots, as {column} says ({shown}). To leave these out"
            yield exclusion(source, told, f"{without_null(source, column)} {not_among(bots)}")
            return


def _sounds(source: Source, of: str) -> Iterator[Exclusion]:
    """About rows of a transcript that have only a sound, such as [MUSIC]."""
    if len(source.body) != 1 or source.title:
        return
    (column,) = source.body
    texts = (text.strip() for text in _texts(source))
    sounds = Counter(text for text in texts if _SOUND.fullmatch(text) and text not in NOTHING)
    count = sum(sounds.values())
    if is_told(source, count, MAX_BY_PROGRAMS) and len(sounds) <= MAX_SOUNDS:
        only = f"{column} is only {' or '.join(sorted(sounds))}"
        told = f"In {count:,} {of} {only}, which a program puts there. To leave these out"
        yield exclusion(source, told, f"trim({quote(column)}) {not_among(sorted(sounds))}")


def _merges(source: Source, of: str) -> Iterator[Exclusion]:
    """About messages that git and its hosts write for a merge."""
    if len(source.body) != 1 or source.title:
        return
    (column,) = source.body
    starts = Counter(start[0] for text in _texts(source) if (start := _MERGE.match(text)))
    if is_told(source, count := starts.total(), MAX_BY_PROGRAMS):
        told = f"{count:,} {of} begin with {' or '.join(map(repr, sorted(starts)))}, as git writes of a merge"
        outside = (f"ifnull({quote(column)}, '') not like '{start}%'" for start in sorted(starts))
        yield exclusion(source, f"{told}. To leave these out", " and ".join(outside))


def linked_bots(source: Source) -> Iterator[Exclusion]:
    """A sentence about rows that a bot wrote, by a table of people to which a foreign key leads. Only for a
    caller who may see all tables."""
    if source.table == QUERY or source.template or not source.sample:
        return
    with connect(source.database) as db:
        schema = schema_of(db)
        keys = schema.table(source.table).foreign_keys if source.table in schema.table_names() else []
        people = {key.column: key.other_table for key in keys}
        for column in named(SPEAKERS, [name for name in source.columns if name in people]):
            table = people[column]
            keys_there = primary_key(db, table) if table in schema.table_names() else ()
            columns = column_names(db, quote(table)) if len(keys_there) == 1 else ()
            for name in columns:
                is_flag = frozenset(words_of(name)) - {"is"} == {"bot"}
                if not is_flag and words_of(name)[-1] != "type":
                    continue
                condition = f"{quote(name)} = " + ("1" if is_flag else "'Bot'")
                bots = f"select {quote(keys_there[0])} from {quote(table)} where {condition}"
                ids = {row[0] for row in db.execute(bots).fetchmany(MAX_BOTS)}
                count = sum(row[column] in ids for row in source.sample)
                if is_told(source, count, MAX_BY_PROGRAMS):
                    told = f"{count:,} {source.looked_at} are by a bot ({table}.{name}). To leave these out"
                    yield exclusion(source, told, f"ifnull({quote(column)}, '') not in ({bots})")
                    return
