"""Which columns hold the text: names propose columns, the amount of prose in them decides."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from itertools import compress

from .column_content import FEW_ROWS, Column, is_beginning, says_the_same
from .column_names import (
    AFTER_BODY,
    BEFORE_BODY,
    BODIES,
    LETTERS,
    LINES,
    MACHINE_MADE,
    PLACES,
    QUESTIONS,
    THINGS,
    TOGETHER,
    WORSE,
    has_word,
    is_called_by,
    is_credit,
    is_mail_header,
    is_named,
    named,
    says_nothing,
    set_of,
    words_of,
)
from .decode import NOT_UTF8
from .packed import UNPACKING
from .said import is_said

# How much text a column must have, as a fraction of the letters in the column with the most text: if its
# whole name fits, if a word of its name fits, if it goes with another column, and if it is a copy without
# HTML.
MIN_TEXT, MIN_TEXT_BY_WORD, MIN_TEXT_TOGETHER, MIN_TEXT_WITHOUT_HTML = 0.1, 0.5, 0.002, 0.7
# A column must have a value in this fraction of the rows that the column with the most text fills, or this
# fraction of its letters.
MIN_FILLED = 0.5
MIN_FILLED_BY_WORD = 0.7  # of a column in whose name the word is only one of several: flavor_text
# A column is read where the body has no text if that is so in this fraction of the rows in which the column
# has some, and of all rows, of which fewer are enough where it says the same in others; and if one of its
# rows has this fraction of the letters in a row of the body, or if it is named like the text or is JSON with
# text.
MIN_INSTEAD, MIN_MISSING, MIN_MISSING_AGAIN, MIN_TEXT_INSTEAD = 0.9, 0.1, 0.015, 0.25
# Where more than this fraction of the rows have no text in the columns that were chosen, others are read
# as well that have some in most of these rows, and with them those that have it in this fraction.
MAX_EMPTY, MIN_FULLER = 0.5, 0.3
MIN_DIFFERENT = 0.8  # the fraction of rows with a line of their own from which on lines can be titles
LONGEST_LINE = 120  # characters: the median value of a column of lines that can be titles is no longer
ONE_LINE = 0.95  # the fraction of values without a line break from which a column counts as lines
MIN_QUESTION = 4  # words of a question without a question mark
COMPRESSION = 3  # how many times shorter compressed prose is: 2.6 to 3.3 with gzip (README.md)


def most_text(column: Column) -> tuple[float, str]:
    """A key to sort by: the column with the most text comes first, wherever it stands in the table."""
    return (-column.prose, column.name.lower())


def find_body(columns: Sequence[Column]) -> tuple[str, ...]:
    """The column that is named like the text and has enough of it, else the one with the most; with those
    that go together with it. `columns` are in the order of the table."""
    by_text = sorted(columns, key=most_text)
    by_text = [column for column in by_text if not column.are_short_keys]
    with_text = [c for c in by_text if c.prose and (not c.is_label or _are_questions(c))]
    for is_worse in (is_place, _is_rejected, _is_header):
        with_text = [column for column in with_text if not is_worse(column)] or with_text
    with_text = _without_credits(with_text)
    if not with_text:
        return _find_code([column for column in by_text if not column.is_label])
    body = _find_main(with_text)
    parts: list[Column] = []
    together = _find_parts(body, with_text)
    for part in together:
        of_set = set_of(part.name)
        # Letters are answers to choose from below a question, else columns without a name.
        is_set = of_set != () and (of_set != LETTERS or len(together) > 1)
        parts += [c for c in columns if c in with_text and set_of(c.name) == of_set] if is_set else [part]
    parts = _distinct(parts, body)
    parts += _find_others_instead(parts, with_text, body)
    if fuller := _find_fuller(parts, with_text):
        parts = [column for column in columns if column in parts or column in fuller]
    return tuple(part.name for part in parts)


def _without_credits(columns: list[Column]) -> list[Column]:
    """The columns without credits and the like, if any of the others has a text."""
    others = [column for column in columns if not is_credit(column.name)]
    return others if any(_is_body_name(c.name) or is_said(c) for c in others) else columns


def is_place(column: Column) -> bool:
    """Whether a column is named, and as short, as the path or address where something is to be found."""
    return not column.is_long and any(is_named(column.name, name) for name in PLACES)


def _are_questions(column: Column) -> bool:
    """Whether a column has a few questions, each answered in many rows, as tables of surveys have."""
    texts = set(column.texts)
    sentences = sum(len(text.split()) >= MIN_QUESTION or text.rstrip().endswith("?") for text in texts)
    return len(texts) > 1 and 2 * sentences > len(texts) and bool(named(QUESTIONS, [column.name]))


def _is_header(column: Column) -> bool:
    return is_mail_header(column.name)


def _is_rejected(column: Column) -> bool:
    return any(has_word(column.name, name) or is_named(column.name, name) for name in WORSE)


def _find_others_instead(parts: Sequence[Column], with_text: Sequence[Column], body: Column) -> list[Column]:
    """Columns that have the text of the rows in which the parts have none, as the scans and the printed
    opinions of a court, or the pages of an older and a newer editor; in other rows they have none, or the
    whole of the same text."""
    instead: list[Column] = []
    texts_of = [part for part in parts if part is body or not _is_before(part)]  # a summary is not the text
    for column in with_text:
        read = [*parts, *instead]
        if column in read:
            continue
        empty = [
            not any(texts)
            for texts in zip(*(part.text_by_row for part in [*texts_of, *instead]), strict=True)
        ]
        texts = [(text, gap) for text, gap in zip(column.text_by_row, empty, strict=True) if text]
        filling = sum(gap for _, gap in texts)
        is_again = any(says_the_same(column, part) and not is_beginning(column, part) for part in read)
        is_instead = filling >= MIN_INSTEAD * len(texts) or is_again
        is_instead = is_instead and filling >= (MIN_MISSING_AGAIN if is_again else MIN_MISSING) * len(empty)
        is_text = _mean_prose(column) >= MIN_TEXT_INSTEAD * max(map(_mean_prose, parts))
        if is_instead and (is_text or _is_body_name(column.name) or column.kind.is_embedded):
            instead.append(column)
    return instead


def _find_fuller(parts: Sequence[Column], with_text: Sequence[Column]) -> list[Column]:
    """Where most rows have none of the parts, the columns with what is said in many of these: what a petition
    asks for, beside the long answer that few get."""
    empty = [not any(texts) for texts in zip(*(part.text_by_row for part in parts), strict=True)]
    if sum(empty) <= MAX_EMPTY * len(empty):
        return []
    said = [c for c in with_text if c not in parts and not c.sameness and is_said(c)]
    said = [c for c in said if not any(says_the_same(c, part) for part in parts)]
    filling = [sum(map(bool, compress(column.text_by_row, empty))) for column in said]
    if max(filling, default=0) <= sum(empty) / 2:
        return []
    return [c for c, count in zip(said, filling, strict=True) if count >= MIN_FULLER * sum(empty)]


def _is_before(column: Column) -> bool:
    return any(is_named(column.name, name) for names in BEFORE_BODY for name in names)


def _mean_prose(column: Column) -> float:
    """Letters of prose in a row that has any text."""
    return column.prose / max(column.filled, 0.001)


def _find_main(with_text: Sequence[Column]) -> Column:
    """The column that is named like the text, unless it has only the beginnings of another one's, or that has
    the most of it, which is the first one."""
    longest = with_text[0]
    by_name = columns_named(BODIES, with_text)
    whole = [c for c in by_name if _is_body_name(c.name) and _is_enough(c, longest, MIN_TEXT)]
    by_word = [c for c in by_name if _is_enough(c, longest, MIN_TEXT_BY_WORD)]
    by_word = [c for c in by_word if c.filled >= MIN_FILLED_BY_WORD * longest.filled]
    main = next(iter([*whole, *by_word]), longest)
    return _without_html(_whole(main, with_text), with_text)


def _whole(column: Column, with_text: Sequence[Column]) -> Column:
    """The column that has the whole of the texts of which `column` has only the beginnings, else `column`."""
    longer = (c for c in with_text if column.prose < MIN_TEXT_WITHOUT_HTML * c.prose)
    return next((other for other in longer if is_beginning(column, other)), column)


def _find_parts(body: Column, with_text: Sequence[Column]) -> list[Column]:
    """The body, and what goes together with it, in the order in which it is read."""
    for slots in TOGETHER:
        parts = _distinct([_pick(with_text, slot, with_text[0]) for slot in slots], body)
        if len(parts) > 1 and body in parts:
            return parts
    differing = [c for c in with_text if not c.sameness and MACHINE_MADE.isdisjoint(words_of(c.name))]
    parts = [body]
    for before, slots in ((True, BEFORE_BODY), (False, AFTER_BODY)):
        if not any(is_named(body.name, name) for names in slots for name in names):
            picked = [column for names in slots if (column := _pick(differing, names, body))]
            beside = [_whole(column, with_text) for column in picked]
            parts = [*beside, *parts] if before else [*parts, *beside]
    return _distinct(parts, body)


def first_line(body: Sequence[str], columns: Sequence[Column]) -> str | None:
    """A column of lines that can be titles where there are no others, such as the summary of a bug; it may
    have been taken for the first part of the text."""
    rest = [column for column in columns if column.name in body]
    for column in columns:
        others = [other for other in rest if other is not column]
        if not others:
            continue
        texts = [text.strip() for text in column.texts]
        is_filled = column.filled >= MIN_FILLED * max(other.filled for other in others)
        if column.sameness or not is_filled or not texts or not _is_line(column.name, others):
            continue
        if column.kind.format == "html":  # a paragraph, however short
            continue
        one_line = sum("\n" not in text for text in texts) >= ONE_LINE * len(texts)
        short = statistics.median(map(len, texts)) <= LONGEST_LINE
        short = short and column.mean_size <= max(other.mean_size for other in others)
        if one_line and short and not any(says_the_same(column, other) for other in others):
            return column.name
    return None


def _is_line(name: str, others: Sequence[Column]) -> bool:
    """Whether a column is named like lines that can be titles, as a whole or after what the name of another
    begins with: fields_summary beside fields_description."""
    *prefix, last = words_of(name)
    beside = any(prefix and words_of(other.name)[: len(prefix)] == (*prefix,) for other in others)
    return any(is_named(name, line) or (beside and last == line) for line in LINES)


def find_line(columns: Sequence[Column], body: Sequence[str]) -> str | None:
    """The title of a table whose columns are named in an unknown language, or not at all: a column of lines,
    most of them different, which are shorter than the text. Of several columns the one with the longest lines
    is taken."""
    is_known = any(name.isascii() or named(BODIES, [name]) for name in body)
    lines = []
    for column in columns:
        says = not says_nothing(column.name)
        if (
            (is_known or column.name.isascii() or column.name in body)
            if says
            else column.filled_rows < FEW_ROWS
        ):
            continue
        rest = [other for other in columns if other.name in body and other is not column]
        is_line = not (column.what or column.sameness) and _has_more_letters_than_digits(column.texts)
        if is_line and rest and _are_different_lines(column, min(c.mean_size for c in rest) / 2):
            lines.append(column)
    return max(lines, key=lambda column: column.mean_size).name if lines else None


def find_thing(columns: Sequence[Column], table: str) -> str | None:
    """A column of lines that says what each row is of, by the name of a thing, or that of the table: a dish,
    or a monster in a table of monsters."""
    longest = max((column.mean_size for column in columns if not column.what), default=0.0)
    for column in columns:
        (thing, *more) = words_of(column.name)
        is_thing = not more and (thing in THINGS or is_called_by(thing, table))
        is_alone = is_thing and not any(thing in slot for slots in TOGETHER for slot in slots)
        is_words = not (column.what or column.sameness or column.are_short_keys)
        if is_alone and is_words and column.mean_size < longest and _are_different_lines(column, longest):
            return column.name
    return None


def _are_different_lines(column: Column, most: float) -> bool:
    """Whether nearly every row has a line of its own, of `most` characters on average."""
    is_own = len(set(column.texts)) >= MIN_DIFFERENT * len(column.values)
    are_lines = not any("\n" in value.strip() for value in column.texts)
    return is_own and are_lines and column.mean_size <= min(LONGEST_LINE, most)


def _has_more_letters_than_digits(texts: Sequence[str]) -> bool:
    """Unlike short codes: "A-12"."""
    signs = "".join(texts)
    return sum(map(str.isalpha, signs)) > sum(map(str.isdigit, signs))


def columns_named(guesses: Sequence[str], columns: Sequence[Column], table: str = "") -> list[Column]:
    """Those of `columns` that are named as one of `guesses`, best guess first."""
    by_name = {column.name: column for column in columns}
    return [by_name[name] for name in named(guesses, list(by_name), table)]


def _is_body_name(name: str) -> bool:
    return any(is_named(name, guess) for guess in BODIES)


def unread_bodies(body: Sequence[str], columns: Sequence[Column]) -> list[Column]:
    """Columns that by their name and size must be the text, rather than `body`, and cannot be read."""
    chosen = [column for column in columns if column.name in body]
    size = sum(column.mean_size for column in chosen)
    is_fallback = not any(_is_body_name(column.name) for column in chosen)
    most_rows = max(column.filled_rows for column in columns)

    def is_text(column: Column) -> bool:
        is_packed = column.what in UNPACKING
        if is_fallback and named(BODIES, [column.name]):
            return column.mean_size * (COMPRESSION if is_packed else 1) > size
        return column.mean_size > size and (is_packed or _is_body_name(column.name))

    unread = [c for c in columns if c.is_bytes and c.what in (*UNPACKING, NOT_UTF8, "binary")]
    return [c for c in unread if c.filled_rows >= MIN_FILLED * most_rows and is_text(c)]


def _is_enough(column: Column, longest: Column, fraction: float) -> bool:
    filled = column.filled >= MIN_FILLED * longest.filled or column.prose >= MIN_FILLED * longest.prose
    return filled and column.prose >= fraction * longest.prose


def _find_code(columns: Sequence[Column]) -> tuple[str, ...]:
    """Without any prose: a column that is named like the text, or with long codes, as of genes, or signs."""
    by_name = [column for column in columns_named(BODIES, columns) if column.texts and column.is_long]
    codes = [column for column in columns if column.texts and column.what in ("long codes", "")]
    return tuple(column.name for column in [*by_name, *codes][:1])


def _pick(columns: Sequence[Column], names: Sequence[str], longest: Column) -> Column | None:
    """A column with one of these names, or with the name as a word, that has text."""
    fraction = MIN_TEXT * longest.prose  # enough in few rows, as what continues a few long texts
    enough = [
        c
        for c in columns
        if _is_enough(c, longest, MIN_TEXT_TOGETHER)
        or c.prose >= fraction
        or (c.is_label and c.filled >= MIN_FILLED * longest.filled)  # of these only questions are here
    ]
    tests: list[Callable[[str, str], bool]] = [is_named, has_word]
    picked = (c for test in tests for name in names for c in enough if test(c.name, name))
    column = next(picked, None)
    return _without_html(column, columns) if column else None


def _distinct(parts: Sequence[Column | None], body: Column) -> list[Column]:
    """The parts, each once, without those that only repeat the body or a part before them."""
    kept: list[Column] = []
    for part in parts:
        others = [body, *kept]
        if part and (part is body or not any(says_the_same(part, other) for other in others)):
            kept += [part] if part not in kept else []
    return kept


def _without_html(column: Column, columns: Sequence[Column]) -> Column:
    """The column that says the same in markdown or plain text, which is how it was written."""
    if column.kind.format != "html":
        return column
    same = [
        other
        for other in columns
        if other.kind.format in ("markdown", "plain")
        and other.prose >= MIN_TEXT_WITHOUT_HTML * column.prose
        and says_the_same(other, column)
    ]
    return min(same, key=lambda other: other.kind.format != "markdown", default=column)
