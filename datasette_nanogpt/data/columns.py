"""Which columns of a table are the title and the text. Names propose columns, their contents decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.suggestions import did_you_mean

from ..formatting import shown_name
from ..hookspecs import document_hook
from .body_columns import (
    columns_named,
    find_body,
    find_line,
    find_thing,
    first_line,
    is_place,
    most_text,
    unread_bodies,
)
from .column_content import FEW_VALUES, Column, is_contained, says_the_same
from .column_names import BODIES, KEY_WORDS, NAMES, SAID, TAKEN, TITLES, is_credit, words_of
from .decode import NOT_UTF8
from .packed import TEXT_IN_BASE64, UNPACKING, cure
from .sample import Relation
from .speakers import find_speaker
from .sqlite import MAX_LISTED_NAMES, find_name, list_names
from .text_kinds import are_words

MIN_TEXT = 0.1  # a column with values in fewer rows than this fraction is reported as mostly empty
MIN_FILLED = 0.5  # a title must be filled in this fraction of the rows that the fullest such column fills
# And it must have this fraction of the different values of the one with the most: beside the headline of a
# review the title of the product, which many reviews share, is passed over.
MIN_DISTINCT_TITLES = 0.25
NEXT_TO_NOTHING = 0.002  # if the body has less than this fraction of the title's text, the title is the text
TITLE_AGAIN = 2  # a part of the text that only says the title again has less than so many times its letters
SAME_TEXT = 1.5  # a text that only says the title again has at most this many times its letters


# The advice for somebody in a terminal; the pages have a form or a link in its place.
NAME_A_COLUMN = "Name the column to read as text, or choose another table."
NAME_AS_TEXT = ", name it as the column of text (--body)."
TOLD_LAST = ("keys", "numbers", "empty")  # of the columns of a table without text

_NAMES = {(name,) for name in NAMES}  # which may be of anything


class NoTextError(InvalidOptions):
    """None of the columns that were considered has text; another column may. `reasons` are (columns, what
    they have) where that is known, those that may be meant to be read first, and `cures` what helps."""

    def __init__(self, message: str, reasons: Sequence[tuple[str, str]] = (), cures: str = ""):
        super().__init__([Problem("body", "no_text", message)])
        self.reasons, self.cures = reasons, cures


class PackedError(NoTextError):
    """There may be text in bytes that have to be unpacked or decoded first."""


@dataclass(frozen=True)
class Choice:
    """The title column, None for no title, the body columns, and why each of the others is neither."""

    title: str | None
    body: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def missing_columns(
    subject: str, columns: Sequence[str], title: str | None, body: Sequence[str]
) -> list[Problem]:
    """A Problem for the title and one for the body, if they name columns that do not exist.

    `subject` begins the message: "Table 'entry' has".
    """
    problems = []
    for field_name, names in (("title", [title] if title else []), ("body", body)):
        if missing := [name for name in names if find_name(name, columns) is None]:
            message = f"{subject} no column {list_names(missing)}. The columns are: {list_names(columns)}."
            message += did_you_mean(missing, columns)
            problems.append(Problem(field_name, "missing_column", message))
    return problems


def choose_columns(
    relation: Relation,
    columns: Sequence[Column],
    title: str | None,
    body: Sequence[str],
    unique: AbstractSet[str] = frozenset(),
) -> Choice:
    """The title and the body: those asked for, else those found. `unique`: columns with a unique index.

    `title=""` asks for no title. The body is () where no column has text and a plugin writes the documents.
    Raises InvalidOptions for columns that do not exist, NoTextError where none has text.
    """
    names = relation.columns
    if problems := missing_columns(f"{relation.description} has", names, title, body):
        raise InvalidOptions(problems)
    body = tuple(dict.fromkeys(name for one in body if (name := find_name(one, names)) is not None))
    title = find_name(title, names) if title else title
    chosen = _find(relation, columns, title, body, unique)
    reasons = dict(_left_out(columns, chosen, "not asked for" if body else "not named like the text"))
    return Choice(chosen.title, chosen.body, reasons)


def _find(
    relation: Relation,
    columns: Sequence[Column],
    title: str | None,
    body: tuple[str, ...],
    unique: AbstractSet[str],
) -> Choice:
    free = sorted((column for column in columns if column.name not in body), key=most_text)
    guess_title = title is None
    if guess_title:
        title = _find_title(free, relation.name)
    if not body:
        title, body = _find_body(relation, columns, free, title, guess_title)
    elif all(c.is_bytes for c in columns if c.name in body) and document_hook() is None:
        packed = [column for column in columns if column.name in body]
        raise PackedError(_packed(relation, packed, None))
    if guess_title and not title:  # what Datasette would label a row with: the only unique column of text
        labels = [c for c in free if c.name in unique and c.name not in body]
        labels = [c for c in labels if not _why_no_title(c) and not c.slugs and not c.are_short_keys]
        title = labels[0].name if len(labels) == 1 else find_line(columns, body)
        body = tuple(name for name in body if name != title)
    return Choice(title or None, body)


def _find_title(columns: Sequence[Column], table: str) -> str | None:
    """The column that is named like a title and has one in about as many rows as any other such column. What
    somebody took from books has the titles of these, as many as there are books."""
    texts = [words_of(c.name)[-1] for c in columns if c.prose]
    are_taken = not TAKEN.isdisjoint((*words_of(table), *texts))
    columns = [c for c in columns if words_of(c.name)[-1] not in KEY_WORDS]
    if not SAID.isdisjoint([*words_of(table)[-1:], *(w for c in columns[:1] for w in words_of(c.name))]):
        columns = [c for c in columns if words_of(c.name) not in _NAMES]  # of who wrote it
    columns = [c for c in columns if not _why_no_title(c) or (are_taken and _is_shared(c))]
    columns = [c for c in columns if not are_words(c.texts)]  # of a running text, as treebanks have them
    by_name = columns_named((*TITLES, "book") if are_taken else TITLES, columns, table)
    fullest = max((column.filled for column in by_name), default=0.0)
    by_name = [column for column in by_name if column.filled >= MIN_FILLED * fullest]
    most = max((column.distinct for column in by_name), default=0.0)
    found = [c.name for c in by_name if c.distinct >= MIN_DISTINCT_TITLES * most]
    # Beside a review_body, review_headline is its title, and product_title that of something else.
    things = {words[0] for c in columns_named(BODIES, columns) if len(words := words_of(c.name)) > 1}
    own = [name for name in found if words_of(name)[0] in things]
    is_of_other = bool(found) and len(words_of(found[0])) > 1
    return next(iter(own if own and is_of_other else found), None) or find_thing(columns, table)


def _find_body(
    relation: Relation,
    columns: Sequence[Column],
    free: Sequence[Column],
    title: str | None,
    guess_title: bool,
) -> tuple[str | None, tuple[str, ...]]:
    """The title and the columns of the text. `free` are those that may be either, the most text first."""
    others = [column for column in free if column.name != title]
    body = find_body([column for column in columns if column in others])
    packed = [column for column in others if _is_unread_text(column)]
    if not body and packed and document_hook() is None:
        raise PackedError(_packed(relation, packed, title if guess_title else None))
    if body and document_hook() is None and (unread := unread_bodies(body, others)):
        raise PackedError(_packed(relation, unread, None, body))
    if title:
        body = _without_title_again(title, body, columns)
    if guess_title and title and _is_all_text(title, body, columns):
        return None, (title,)
    if not body:  # other rows than those of the sample may have text
        body = tuple(c.name for c in columns_named(BODIES, columns) if not c.filled_rows)[:1]
    if not body and document_hook() is None:
        raise _no_text(relation, columns)
    if guess_title and not title and (line := first_line(body, [c for c in columns if not c.what])):
        return line, tuple(name for name in body if name != line)
    return title, body


def _without_title_again(title: str, body: tuple[str, ...], columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns of the text without those that say the title again, and little more."""
    (heading,) = (column for column in columns if column.name == title)
    again = [
        column.name
        for column in columns
        if column.name in body
        and column.prose < TITLE_AGAIN * heading.prose
        and says_the_same(column, heading)
    ]
    return tuple(name for name in body if name not in again) or body


def _is_all_text(title: str, body: Sequence[str], columns: Sequence[Column]) -> bool:
    """Whether a title is all the text there is: the rest is next to nothing, a place, credits, or
    the title again."""
    by_name = {column.name: column for column in columns}
    heading, rest = by_name[title], [by_name[name] for name in body]
    in_body = sum(column.prose for column in rest)
    if all(is_place(c) or is_credit(c.name) for c in rest) or 0 < in_body <= NEXT_TO_NOTHING * heading.prose:
        return True
    return in_body < SAME_TEXT * heading.prose and all(says_the_same(column, heading) for column in rest)


# ---- Reasons


def _is_shared(column: Column) -> bool:
    """Whether several rows have the same value, but not all, and it is not the name of a person."""
    return not column.what and column.sameness == FEW_VALUES and words_of(column.name) not in _NAMES


def _why_no_title(column: Column) -> str:
    """Why a column cannot be the title, "" if it can."""
    if column.what or not column.texts:
        return column.what or "empty"
    return column.sameness


def _left_out(columns: Sequence[Column], chosen: Choice, longer: str) -> Iterator[tuple[str, str]]:
    """Why each column that was not chosen was not, in a few words; `longer`: one with more text."""
    by_name = {column.name: column for column in columns}
    body = [by_name[name] for name in chosen.body]
    read = [*body, by_name[chosen.title]] if chosen.title else body
    speaker = find_speaker([column for column in columns if column.name not in (chosen.title, *chosen.body)])
    for column in columns:
        if column.name == chosen.title or column.name in chosen.body:
            continue
        if not column.filled_rows:
            why = "empty"
        elif column.what:
            why = column.what
        elif column.filled < MIN_TEXT:
            why = f"empty in {1 - column.filled:.0%} of the rows"
        elif reason := _why_no_title(column):
            is_person = column.name == speaker and not column.what and words_of(column.name) not in _NAMES
            why = "who wrote it" if is_person else reason
        elif again := [other.name for other in read if is_contained(column, other)]:
            why = f"also in {list_names(again)}"
        elif is_credit(column.name):
            why = "credits, rights or the like"
        else:
            most = max((other.prose for other in body), default=0.0)
            why = "less text" if most >= column.prose else longer
        yield column.name, why


def _is_unread_text(column: Column) -> bool:
    """Whether it must be text that cannot be read: compressed, in another encoding, or named like text."""
    if column.what == TEXT_IN_BASE64:
        return True
    return column.is_bytes and (
        column.what in (*UNPACKING, NOT_UTF8) or bool(columns_named(BODIES, [column]))
    )


def _packed(
    relation: Relation, columns: Sequence[Column], title: str | None, body: Sequence[str] = ()
) -> str:
    """The message for a table whose text is in bytes that cannot be read, when `title` or `body` could be."""
    facts = " ".join(f"Column {list_names([c.name])} is {c.what}. {_cure(relation, c)}" for c in columns)
    if title:
        facts += f" To train on {list_names([title])} alone{NAME_AS_TEXT}"
    if body:
        facts += f" To train on {list_names(body)} instead{NAME_AS_TEXT}"
        return f"The text of {_lower(relation.description)} cannot be read. {facts}"
    return f"{relation.description} has no column of text that can be read. {facts}"


def _lower(description: str) -> str:
    return description[:1].lower() + description[1:]


def _cure(relation: Relation, column: Column) -> str:
    return cure(column.what, relation.database, relation.name, column.name, column.values)


def _no_text(relation: Relation, columns: Sequence[Column]) -> NoTextError:
    alike: dict[tuple[str, str, str], list[str]] = {}
    for column in sorted(columns, key=_promises_little):
        alike.setdefault(_content(column), []).append(column.name)
    reasons = []
    for (one, many, content), names in alike.items():
        *first, last = [list_names(names)] if len(names) > MAX_LISTED_NAMES else map(shown_name, names)
        shown = f"{', '.join(first)} and {last}" if first else last
        reasons.append((shown, f"{one if len(names) == 1 else many} {content}"))
    cures = "".join(f" {list_names([c.name])}: {_cure(relation, c)}" for c in columns if c.is_bytes)
    facts = ", ".join(map(" ".join, reasons))
    message = f"{relation.description} has no column of plain text: {facts}.{cures} {NAME_A_COLUMN}"
    return NoTextError(message, reasons, cures.strip())


def _promises_little(column: Column) -> int:
    """The place of a column without text among others: codes and lists may be worth a try, keys, numbers and
    nothing at all are not."""
    content = _content(column)[2]
    return next((i for i, last in enumerate(TOLD_LAST, 1) if content == last), 0)


def _content(column: Column) -> tuple[str, str, str]:
    """What a column without text has, after the verb for one column and for several."""
    if not column.filled_rows:
        return "is", "are", "empty"
    if column.is_bytes and column.what:
        return "is", "are", column.what
    if column.what:
        return "holds", "hold", column.what
    if column.sameness.startswith("the same"):
        return "is", "are", column.sameness
    return "has", "have", column.sameness or _no_words(column)


def _no_words(column: Column) -> str:
    return "keys" if column.are_short_keys else "no words"
