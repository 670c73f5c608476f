"""Columns in which people wrote something beside the text, such as a note on a passage: how to read both."""

from __future__ import annotations

from collections.abc import Iterator

import regex

from ..formatting import shell_command
from .column_content import Column, columns_of, is_contained, says_the_same
from .column_names import BEFORE_BODY, MACHINE_MADE, TITLES, has_word, is_named, words_of
from .column_names import named as names_among
from .source import Source
from .speakers import SPEAKERS

MIN_ROWS = 5  # with such a text
MIN_DIFFERENT = 0.7  # of these texts: fewer are labels
MIN_WORDS = 4  # of a sentence
MIN_LOWER = 0.5  # the fraction of the words of a sentence that do not begin with a capital: names do
MAX_COMMAS = 0.4  # commas per word: a list of keywords has more
MAX_TOLD = 3  # columns
# Words of columns in which people say something, so that a word or two are text as well.
_SAID = frozenset(
    [
        *("note", "notes", "annotation", "annotations", "comment", "comments", "remark", "remarks", "memo"),
        *("spoiler", "thoughts", "reflection", "reflections", "reaction", "review", "feedback", "reply"),
        *("notiz", "notizen", "kommentar", "bemerkung", "anmerkung", "remarque", "commentaire", "nota"),
        *("notas", "comentario", "commento", "opmerking", "заметка", "комментарий", "笔记", "备注", "メモ"),
    ]
)
# Words of columns in which sentences are not what somebody had to say.
_NOT_SAID = frozenset(
    [
        *("citation", "reference", "references", "bibliography", "address", "location", "place", "venue"),
        *("keyword", "keywords", "tag", "tags", "category", "categories", "subjects", "genre", "genres"),
        *("copyright", "license", "licence", "rights", "source", "credit", "credits", "byline", "publisher"),
        *("affiliation", "affiliations", "alt", "path", "url", "uri", "link", "sql", "code", "query", "html"),
        *("command", "error", "traceback", "log", "headers", "agent", "metadata", "meta", "seo", "search"),
        *(
            "keywords",
            "slug",
            "filename",
            "file",
            "hash",
            "token",
            "bio",
            "about",
            "template",
            "css",
            "config",
        ),
        *("context", "original", "raw", "plain", "plaintext", "excerpt", "snippet", "preview", "teaser"),
    ]
)
_FIRST = frozenset(["spoiler", "warning", "cw", "question"])  # words of columns that are read before the text
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}'\u2019-]*")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]")
LETTERS_PER_WORD = 3  # in scripts without spaces, about


def other_texts(source: Source, of: str) -> Iterator[str]:
    """A sentence about such columns of the source's sample, with the options that read them. `of` says what
    was looked at: "rows"."""
    again = any(source.kinds[column].instead for column in source.body)
    if source.template or source.columns_given or not source.body or again:
        return
    columns = columns_of({name: [row[name] for row in source.sample] for name in source.columns})
    read = [column for column in columns if column.name in source.text_columns]
    found = [c for c in columns if c.name in source.left_out and _is_said(c) and not _is_again(c, read)][
        :MAX_TOLD
    ]
    if not found:
        return
    first = [column.name for column in found if _comes_first(column.name)]
    last = [column.name for column in found if column.name not in first]
    # A title that was not found by its name would not be found beside other columns of text.
    is_found = not source.title or any(is_named(source.title, name) for name in TITLES)
    options = [] if is_found else ["--title", source.title or ""]
    options += [word for name in (*first, *source.body, *last) for word in ("--body", name)]
    counts = " and ".join(f"{column.name} ({len(column.texts):,} {of})" for column in found)
    yield f"There is other text in {counts}, which is not read. To read it, too: {shell_command(options)}"


def _comes_first(name: str) -> bool:
    before = (guess for guesses in BEFORE_BODY for guess in guesses)
    return not _FIRST.isdisjoint(words_of(name)) or any(
        has_word(name, g) or is_named(name, g) for g in before
    )


def _is_said(column: Column) -> bool:
    """Whether most of a column's texts are sentences of somebody who had something to say."""
    words = frozenset(words_of(column.name))
    if words & (_NOT_SAID | MACHINE_MADE) or column.what or len(column.texts) < MIN_ROWS:
        return False
    if names_among((*TITLES, *SPEAKERS), [column.name]) or column.is_label or column.kind.data:
        return False
    if column.distinct < MIN_DIFFERENT:
        return False
    least = 2 if words & _SAID else MIN_WORDS
    return 2 * sum(_is_sentence(text, least) for text in column.texts) > len(column.texts)


def _is_sentence(text: str, least: int) -> bool:
    """Whether a text has at least so many words, most of them in small letters, and is no list of them."""
    words = _WORD.findall(text)
    count = len(words) + len(_UNSPACED.findall(text)) / LETTERS_PER_WORD
    lower = sum(not word[0].isupper() for word in words)
    return count >= least and lower >= MIN_LOWER * len(words) and text.count(",") <= MAX_COMMAS * count


def _is_again(column: Column, read: list[Column]) -> bool:
    return any(says_the_same(column, other) or is_contained(column, other) for other in read)
