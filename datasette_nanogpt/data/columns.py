"""Which columns of a table are the title and the text: names propose, what is in the columns decides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from llm_nanogpt.errors import InvalidOptions, Problem

from ..hookspecs import document_hook
from .column_content import Column, says_the_same
from .decode import NOT_UTF8, UNPACKING, cure
from .sample import Relation
from .sqlite import find_name, list_names

# How titles and texts are usually named, best guess first; the case of letters does not matter, and
# `post_title`, `postTitle` and `title_line` are found by their words. To add a guess, add its name here, and
# a row to `test_columns_are_found` in tests/test_columns.py.
# Among the bodies are only names that always mean the text itself. A `description` is chosen when it has the
# most text: beside a `readme` or a `transcript` it is the blurb.
COLUMN_GUESSES = {
    "title": ("title", "name", "headline", "subject", "heading"),
    "body": ("body", "content", "text", "html", "markdown", "body_html", "body_text", "message"),
}
# Columns that are read together, in this order, if at least two of them have text.
TOGETHER = (
    (("question", "prompt", "instruction"), ("input",), ("answer", "response", "completion", "output")),
    (("front",), ("back",)),
    (("setup",), ("punchline",)),
    (("problem",), ("solution",)),
    (("pros",), ("cons",)),
)
# What may stand before the body, and after it, if it does not only repeat how the body begins.
BEFORE_BODY = (
    "intro",
    "introduction",
    "lead",
    "lede",
    "standfirst",
    "summary",
    "excerpt",
    "abstract",
    "teaser",
)
AFTER_BODY = ("more", "extended", "continued", "conclusion", "outro")

# Of the letters that the column with the most text has, so many must be in a column that is chosen by its
# name, by a word of its name, and to go with another.
MIN_TEXT, MIN_TEXT_BY_WORD, MIN_TEXT_TOGETHER = 0.1, 0.5, 0.002
MIN_FILLED = (
    0.5  # of the rows in which the fullest column has a value, or the column has half of all its text
)
MIN_DISTINCT = 0.1  # of the titles differ
MAX_SHARED = 0.5  # of the rows have the same title
FEW_ROWS = 5  # in which titles may be the same by chance


class NoTextError(InvalidOptions):
    """The columns that were looked at have no text: another column may have it."""

    def __init__(self, message: str):
        super().__init__([Problem("body", "no_text", message)])


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
        if missing := [name for name in names if not find_name(name, columns)]:
            message = f"{subject} no column {list_names(missing)}. The columns are: {list_names(columns)}."
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
    body = tuple(dict.fromkeys(name for one in body if (name := find_name(one, names))))
    title = find_name(title, names) if title else title
    chosen = _find(relation, columns, title, body, unique)
    reasons = dict(_left_out(columns, chosen))
    return Choice(chosen.title, chosen.body, reasons)


def _find(
    relation: Relation,
    columns: Sequence[Column],
    title: str | None,
    body: tuple[str, ...],
    unique: AbstractSet[str],
) -> Choice:
    free = sorted((column for column in columns if column.name not in body), key=_most_text)
    named_body = [column for column in columns if column.name in body]
    guess_title = title is None
    if guess_title:
        named = _by_name("title", [c for c in free if not _why_no_title(c)], relation.name)
        fullest = max((column.filled for column in named), default=0.0)
        title = next((c.name for c in named if c.filled >= MIN_FILLED * fullest), None)
    if not body:
        others = [column for column in free if column.name != title]
        body = _find_body(others)
        packed = [column for column in others if _is_unread_text(column)]
        if not body and packed and document_hook() is None:
            raise NoTextError(_packed(relation, packed, title if guess_title else None))
        if guess_title and title and _is_all_text(title, body, columns):
            body, title = (title,), None
        if not body:  # other rows than those of the sample may have text
            body = tuple(column.name for column in _by_name("body", columns) if not column.filled_rows)[:1]
        if not body and document_hook() is None:
            raise NoTextError(_no_text(relation, columns))
    elif all(c.is_bytes for c in named_body) and document_hook() is None:
        raise NoTextError(_packed(relation, named_body, None))
    if guess_title and not title:  # what Datasette would label a row with: the only unique column of text
        labels = [c for c in free if c.name in unique and c.name not in body]
        labels = [c for c in labels if not _why_no_title(c) and not c.slugs]
        title = labels[0].name if len(labels) == 1 else None
    return Choice(title or None, body)


def _is_all_text(title: str, body: Sequence[str], columns: Sequence[Column]) -> bool:
    """Whether a title is all the text there is."""
    prose = {column.name: column.prose for column in columns}
    in_body = sum(prose[name] for name in body)
    return not body or 0 < in_body <= MIN_TEXT_TOGETHER * prose[title]


# ---- Names


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name: ("post", "title") for post_title, postTitle and "Post title"."""
    parts = re.sub(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return tuple(re.split(r"[\W_]+", parts.lower().strip(" _-.")))


def _is_named(column: Column, guess: str) -> bool:
    """Whether the column has that name, however its words are joined."""
    return words_of(column.name) == words_of(guess) or column.name.lower() == guess


def _has_word(column: Column, guess: str) -> bool:
    """Whether the name begins or ends with the word `guess`."""
    words = words_of(column.name)
    return len(words) > 1 and guess in (words[0], words[-1])


def _by_name(role: str, columns: Sequence[Column], table: str = "") -> list[Column]:
    """The columns that are named as a title or body is: whole names first, then words of names.

    A "name" with another word is somebody's else, unless the other word is the table's: `recipe_name`.
    """
    guesses = COLUMN_GUESSES[role]
    whole = [column for guess in guesses for column in columns if _is_named(column, guess)]
    by_word = [
        column
        for guess in guesses
        for column in sorted(columns, key=lambda column: len(words_of(column.name)))
        if _has_word(column, guess) and (guess != "name" or _is_of_table(column, table))
    ]
    return list(dict.fromkeys([*whole, *by_word]))


def _is_of_table(column: Column, table: str) -> bool:
    first = words_of(column.name)[0]
    return any(word in (first, f"{first}s", f"{first}es", f"{first[:-1]}ies") for word in words_of(table))


# ---- The body


def _most_text(column: Column) -> tuple[float, str]:
    """The column with the most text comes first; which stands first in the table makes no difference."""
    return (-column.prose, column.name.lower())


def _find_body(columns: Sequence[Column]) -> tuple[str, ...]:
    """The column that is named like the text and has enough of it, else the one with the most; with those
    that go together with it. `columns` begins with the one with the most text."""
    with_text = [column for column in columns if column.prose]
    if not with_text:
        return _find_code(columns)
    longest = with_text[0]
    whole = [c for c in _by_name("body", with_text) if _is_guess(c) and _is_enough(c, longest, MIN_TEXT)]
    by_word = [c for c in _by_name("body", with_text) if _is_enough(c, longest, MIN_TEXT_BY_WORD)]
    body = next(iter([*whole, *by_word]), longest)
    for slots in TOGETHER:
        group = [_pick(with_text, slot, longest) for slot in slots]
        found = [column.name for column in group if column]
        if len(found) > 1 and body.name in found:
            return tuple(found)
    parts = [_beside(with_text, BEFORE_BODY, body), body, _beside(with_text, AFTER_BODY, body)]
    return tuple(column.name for column in parts if column)


def _is_guess(column: Column) -> bool:
    return any(_is_named(column, guess) for guess in COLUMN_GUESSES["body"])


def _is_enough(column: Column, longest: Column, fraction: float) -> bool:
    filled = column.filled >= MIN_FILLED * longest.filled or column.prose >= MIN_FILLED * longest.prose
    return filled and column.prose >= fraction * longest.prose


def _find_code(columns: Sequence[Column]) -> tuple[str, ...]:
    """Without any prose: a column that is named like the text, or with long codes, as of genes, or signs."""
    named = [column for column in _by_name("body", columns) if column.texts and column.is_long]
    codes = [column for column in columns if column.texts and column.what in ("long codes", "")]
    return tuple(column.name for column in [*named, *codes][:1])


def _pick(columns: Sequence[Column], names: Sequence[str], longest: Column) -> Column | None:
    """A column with one of these names, or with the name as a word, that has text."""
    enough = [c for c in columns if _is_enough(c, longest, MIN_TEXT_TOGETHER)]
    tests: list[Callable[[Column, str], bool]] = [_is_named, _has_word]
    return next((c for test in tests for name in names for c in enough if test(c, name)), None)


def _beside(columns: Sequence[Column], names: Sequence[str], body: Column) -> Column | None:
    others = [column for column in columns if column is not body]
    if any(_is_named(body, name) for name in names):
        return None
    column = _pick(others, names, body)
    return column if column and not says_the_same(column, body) else None


# ---- Reasons


def _why_no_title(column: Column) -> str:
    """Why a column cannot be the title, "" if it can."""
    if column.what or not column.texts:
        return column.what or "empty"
    if column.filled_rows < FEW_ROWS:
        return ""
    counts = Counter(column.texts)
    if max(counts.values()) > MAX_SHARED * len(column.texts):
        return "the same in most rows"
    return "few different values" if len(counts) < MIN_DISTINCT * len(column.texts) else ""


def _left_out(columns: Sequence[Column], chosen: Choice) -> Iterator[tuple[str, str]]:
    """Why each column that was not chosen was not, in a few words."""
    by_name = {column.name: column for column in columns}
    body = [by_name[name] for name in chosen.body]
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
            why = reason
        elif any(says_the_same(column, other) for other in body):
            why = f"also in {list_names(chosen.body)}"
        else:
            why = "less text" if all(other.prose >= column.prose for other in body) else "not asked for"
        yield column.name, why


def _is_unread_text(column: Column) -> bool:
    """Whether it must be text that cannot be read: compressed, in another encoding, or named like text."""
    return column.is_bytes and (column.what in (*UNPACKING, NOT_UTF8) or bool(_by_name("body", [column])))


def _packed(relation: Relation, columns: Sequence[Column], title: str | None) -> str:
    """What to say of a table whose text is in bytes that are no text."""
    facts = " ".join(f"Column {list_names([c.name])} is {c.what}. {_cure(relation, c)}" for c in columns)
    titles = (
        f" To train on the titles alone, name {list_names([title])} as the column of text." if title else ""
    )
    return f"{relation.description} has no column of text that can be read. {facts}{titles}"


def _cure(relation: Relation, column: Column) -> str:
    return cure(column.what, relation.database, relation.name, column.name)


def _no_text(relation: Relation, columns: Sequence[Column]) -> str:
    facts = [
        f"{list_names([c.name])} ({'empty' if not c.filled_rows else c.what or 'no words'})" for c in columns
    ]
    cures = "".join(f" {list_names([c.name])}: {_cure(relation, c)}" for c in columns if c.is_bytes)
    return (
        f"{relation.description} has no column of text. It has: {list_names(facts)}.{cures} "
        "Name the column to read as text, or choose another table."
    )
