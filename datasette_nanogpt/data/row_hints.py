"""What somebody may want to know of the rows: which to leave out, and which belong together."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ..formatting import shell_command
from .around_books import around_books
from .column_names import words_of
from .conversation_hints import conversations, groups
from .decode import NOTHING, decode_bytes
from .exclusions import Exclusion, among, exclusion, not_among
from .known_kinds import known_kinds
from .languages import several_languages
from .lines_of_texts import are_lines
from .machine_rows import machine_rows
from .markup import BEGINNINGS, CUT
from .other_texts import other_texts
from .packed import cure
from .sample import SAMPLE_CHARS, Value
from .shapes import shape_of
from .sms import sms_columns, who_wrote_sms
from .source import Source
from .sqlite import quote
from .unread_places import unread_places
from .unread_records import unread_records
from .unread_rows import unread_rows

MIN_ROWS = 10  # of fewer rows than this nothing is said
MIN_SHARE = 0.1  # the fraction of the rows from which on something is said
MAX_ENDINGS = 6  # so many endings of titles are named
# Values are of all sorts if so many sorts are not text, and this fraction of the values is of these sorts.
MIN_SORTS, MIN_SHAPED = 2, 0.2
MAX_SAME, LONGEST_SAME = 3, 150  # texts that many rows have, and characters of one that is told
MAX_KINDS = 20  # a column with more different values does not say what kind of row each is
MAX_KEYS = 0.5  # nor does one with more different values per row: these are keys
MIN_WORDS, MAX_PROSE = 5, 0.1  # words of a text; and the fraction of the labels that may have as many
LONG_TEXT = 60  # characters: few dates, addresses and labels are longer
# Texts may have been cut at a length from the first of these to below the second.
CUT_CHARS = 40, SAMPLE_CHARS
MIN_CUT = 0.25  # the fraction of the texts that must have that length
ONLY_BEGINNINGS = (
    "they are only the beginnings of texts. To train on whole texts, name the table or the column (--body) "
    "that has them."
)
_ENDING = re.compile(r" [-|\u2013\u2014\u00b7\u00bb] [^-|\u2013\u2014\u00b7\u00bb]{3,40}\Z")
_BLANK_LINE = r"\n\n"  # as a template has it
_KEYS = frozenset(["key", "name", "attribute", "field", "property", "tag", "kind", "type"])
NEARLY_ALL = 0.9  # the fraction of the rows without text that must have bytes which may be their text


def row_hints(source: Source) -> Iterator[str]:
    """Sentences about the rows of the source's sample, each with what to add to the command."""
    if len(source.sample) < MIN_ROWS or source.template:
        return
    of = source.looked_at
    sorts: list[str] = []
    yield from _texts_in_bytes(source, of)
    if source.grouping is None:
        yield from _titles_alone(source, of)
        yield from _same_text(source, of)
        yield from _title_endings(source, of)
        sorts += _values_of_all_sorts(source, of)
        yield from sorts
        yield from _beginnings(source, of)
        yield from other_texts(source, of)
    yield from around_books(source)
    yield from several_languages(source, of)
    yield from known_kinds(source)
    yield from unread_rows(source, of)
    yield from unread_places(source, of)
    yield from unread_records(source, of)
    sms = sms_columns(source)
    by_programs = machine_rows(source, of, but=sms or ())
    yield from (each for each in by_programs if not _is_implied(each, sorts))
    if source.grouping is None:
        yield from () if are_lines(source) else conversations(source)
        yield from who_wrote_sms(source, sms)
    else:
        yield from groups(source)


def _is_implied(told: Exclusion, sorts: Sequence[str]) -> bool:
    """Whether a condition among `sorts`, which was proposed before, leaves these rows out already, as it
    chooses rows by the same column."""
    chosen = [re.split(" = | in ", each.condition)[0] for each in sorts if isinstance(each, Exclusion)]
    begins = [(f"{column} <>", f"{column} not in", f"ifnull({column},") for column in chosen]
    return any(told.condition.startswith(each) for each in begins)


def _texts_in_bytes(source: Source, of: str) -> Iterator[str]:
    """About the columns that may have the text where that of other columns is missing."""
    for column in source.body:
        if source.kinds[column].instead:
            others = " and ".join(name for name in source.body if not source.kinds[name].instead)
            yield f"{column} says the same as {others}, and is read only in rows in which {others} is empty."
    empty = [row for row in source.sample if all(_is_empty(row[column]) for column in source.body)]
    if len(empty) <= MIN_SHARE * len(source.sample):
        return
    for column in source.left_out:
        raw = [value for row in empty if isinstance(value := row[column], bytes) and value]
        if len(raw) >= NEARLY_ALL * len(empty):
            what = Counter(decode_bytes(value).what for value in raw).most_common(1)[0][0] or "text"
            where = source.typed_database, source.table, column
            cured = cure(what, *where, raw) if what != "text" else ""
            yield (
                f"{len(empty):,} {of} have no text, and {len(raw):,} of these have a value in {column} "
                f"({what}), which may be their text. {cured}".rstrip()
            )


def _titles_alone(source: Source, of: str) -> Iterator[str]:
    """About rows that have a title and no text."""
    if source.title is None or not source.body:
        return
    alone = [
        row
        for row in source.sample
        if not _is_empty(row[source.title]) and all(_is_empty(row[column]) for column in source.body)
    ]
    if len(alone) > MIN_SHARE * len(source.sample):
        filled = " or ".join(_is_filled(column, [row[column] for row in alone]) for column in source.body)
        told = f"{len(alone):,} {of} have a title and no text: the model learns the titles alone."
        yield exclusion(source, f"{told} To leave them out", filled)


def _same_text(source: Source, of: str) -> Iterator[str]:
    """About rows that have the same text below their titles: "No further information"."""
    if source.title is None or len(source.body) != 1:
        return
    (column,) = source.body
    counts = Counter(value.strip() for row in source.sample if isinstance(value := row[column], str))
    often = [(text, n) for text, n in counts.most_common(MAX_SAME) if _is_same_text(text, n, source)]
    if often:
        shown = " or ".join(repr(text) for text, _ in often)
        told = f"{sum(n for _, n in often):,} {of} have the same text in {column}, {shown}."
        condition = f"trim({quote(column)}) {not_among([text for text, _ in often])}"
        yield exclusion(source, f"{told} To leave these out", condition)


def _is_same_text(text: str, count: int, source: Source) -> bool:
    is_line = 0 < len(text) <= LONGEST_SAME and text.isprintable() and text not in NOTHING
    # What a program puts in brackets is told elsewhere.
    return is_line and text[0] not in "[(" and count > MIN_SHARE * len(source.sample)


def _title_endings(source: Source, of: str) -> Iterator[str]:
    """About the names of websites at the end of titles: "… - The Daily News"."""
    titles = [str(row[source.title] or "") for row in source.sample] if source.title else []
    counts = Counter(ending[0] for title in titles if (ending := _ENDING.search(title)))
    often = [ending for ending, count in counts.most_common(MAX_ENDINGS) if count > MIN_SHARE * len(titles)]
    if not often:
        return
    without = "".join(f' | replace({json.dumps(ending, ensure_ascii=False)}, "")' for ending in often)
    parts = [f"{{{{ {_in_template(source.title or '')}{without} }}}}"]
    parts += [f"{{{{ {_in_template(column)} }}}}" for column in source.body]
    listed_endings = " or ".join(map(repr, often))
    count = sum(counts[ending] for ending in often)
    yield (
        f"{count:,} {of} have a title that ends in {listed_endings}. To leave "
        f"that out: {shell_command(['--template', _BLANK_LINE.join(parts)])}"
    )


def _beginnings(source: Source, of: str) -> Iterator[str]:
    """About texts that are cut at one length: many have the most characters that any has."""
    for column in source.body:
        texts = [value for row in source.sample if isinstance(value := row[column], str) and value.strip()]
        longest = max(map(len, texts), default=0)
        cut = [text for text in texts if len(text) == longest]
        in_words = sum(text[-1].isalpha() for text in cut)
        if (said := sum(bool(CUT.search(text)) for text in texts)) and source.kinds[
            column
        ].markup == BEGINNINGS:
            yield f"{said:,} {of} say in {column} how many characters they have more: {ONLY_BEGINNINGS}"
        is_cut = CUT_CHARS[0] <= longest < CUT_CHARS[1] and len(cut) >= max(MIN_ROWS, MIN_CUT * len(texts))
        if is_cut and in_words > len(cut) / 2 and sum(" " in text for text in cut) > len(cut) / 2:
            yield (
                f"{len(cut):,} {of} have exactly {longest} characters in {column}, none has more, and most "
                f"end within a sentence: {ONLY_BEGINNINGS}"
            )


def _in_template(column: str) -> str:
    """A column as Jinja reads it."""
    return column if column.isidentifier() else f"row[{json.dumps(column, ensure_ascii=False)}]"


def _values_of_all_sorts(source: Source, of: str) -> Iterator[str]:
    """About tables of keys and values, in which text stands beside dates and addresses."""
    if source.title or len(source.body) != 1:
        return
    (column,) = source.body
    if labels := _labels_by_kind(source, of):
        yield labels
        return
    values = [value for row in source.sample if isinstance(value := row[column], str) and value.strip()]
    shapes = Counter(shape for value in values if (shape := shape_of(value)))
    if len(shapes) < MIN_SORTS or sum(shapes.values()) < MIN_SHAPED * len(values):
        return
    keys = [name for name in source.columns if not _KEYS.isdisjoint(words_of(name)) and name != column]
    kinds = [name for name in keys if isinstance(source.sample[0][name], str)]
    told = (
        f"{sum(shapes.values()):,} {of} have {' or '.join(shapes)} in {column} and no text: it seems to have "
        "values of all sorts."
    )
    if kinds:
        yield f"{told} {kinds[0]} says which: --where chooses rows by it."
    else:
        yield exclusion(
            source, f"{told} To read longer texts alone", f"length({quote(column)}) > {LONG_TEXT}"
        )


def _labels_by_kind(source: Source, of: str) -> Exclusion | None:
    """About a table of changes or of keys and values in which some kinds of rows have text, and others only
    labels: "comment" and "status" of a ticket."""
    (column,) = source.body
    for key in source.columns:
        if key == column or _KEYS.isdisjoint(words_of(key)):
            continue
        by_kind: dict[Value, list[str]] = {}
        for row in source.sample:
            if isinstance(value := row[column], str) and value.strip():
                by_kind.setdefault(row[key], []).append(value)
        is_kind = 1 < len(by_kind) <= min(MAX_KINDS, MAX_KEYS * sum(map(len, by_kind.values())))
        if not is_kind or not all(isinstance(kind, str) for kind in by_kind):
            continue
        prose = {kind: sum(len(v.split()) >= MIN_WORDS for v in of_kind) for kind, of_kind in by_kind.items()}
        texts = [kind for kind, of_kind in by_kind.items() if 2 * prose[kind] > len(of_kind)]
        others = sum(len(of_kind) for kind, of_kind in by_kind.items() if kind not in texts)
        exceptions = sum(prose[kind] for kind in by_kind if kind not in texts)
        if texts and others >= MIN_SHAPED * len(source.sample) and exceptions <= MAX_PROSE * others:
            what = " or ".join(map(str, sorted(texts, key=str)))
            told = f"{others:,} {of} have labels in {column}; text is in those in which {key} is {what}."
            condition = f"{quote(key)} {among(sorted(texts, key=str))}"
            return exclusion(source, f"{told} To read these alone", condition)
    return None


def _is_empty(value: Value) -> bool:
    if isinstance(value, str | bytes):
        return not value.strip() or value in NOTHING
    return value is None


def _is_filled(column: str, empty: Sequence[Value]) -> str:
    """SQL for the rows in which a column has text. `empty` are those of its values that are no text."""
    texts = [v.decode("latin-1") if isinstance(v, bytes) else v for v in empty if isinstance(v, str | bytes)]
    signs = {text for text in texts if text.strip()}
    blanks = set("".join(texts)) & set("\t\n\r")
    trimmed = f"trim({quote(column)}{', char(9, 10, 13, 32)' if blanks else ''})"
    return f"{trimmed} {not_among(['', *sorted(signs)])}"
