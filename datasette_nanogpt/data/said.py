"""Whether a column has what people had to say, in sentences, and not names, lists or what a program wrote."""

from __future__ import annotations

import regex

from .column_content import Column
from .column_names import MACHINE_MADE, TITLES, is_mail_header, named, words_of
from .speakers import SPEAKERS

MIN_ROWS = 5  # texts in the sample: fewer say nothing of a column
MIN_DIFFERENT = 0.7  # the fraction of different texts: labels have fewer
MIN_WORDS = 4  # words of a sentence
MIN_LOWER = 0.5  # the fraction of a sentence's words that begin with a small letter: of names, few do
MAX_COMMAS = 0.4  # commas per word: a list of keywords has more
LETTERS_PER_WORD = 3  # about, in scripts without spaces
# Words in names of columns in which people say something, so that two words are a text there.
_SAID = frozenset(
    [
        *("note", "notes", "annotation", "annotations", "comment", "comments", "remark", "remarks", "memo"),
        *("spoiler", "thoughts", "reflection", "reflections", "reaction", "review", "feedback", "reply"),
        *("notiz", "notizen", "kommentar", "bemerkung", "anmerkung", "remarque", "commentaire", "nota"),
        *("notas", "comentario", "commento", "opmerking", "заметка", "комментарий", "笔记", "备注", "メモ"),
    ]
)
# Words in names of columns whose sentences are not what somebody had to say.
_NOT_SAID = frozenset(
    [
        *("citation", "reference", "references", "bibliography", "address", "location", "place", "venue"),
        *("keyword", "keywords", "tag", "tags", "category", "categories", "subjects", "genre", "genres"),
        *("copyright", "license", "licence", "rights", "source", "credit", "credits", "byline", "publisher"),
        *("creditline", "provenance", "attribution"),
        *("affiliation", "affiliations", "alt", "path", "url", "uri", "link", "sql", "code", "query", "html"),
        *("command", "error", "traceback", "log", "headers", "agent", "metadata", "meta", "seo", "search"),
        *("slug", "filename", "file", "hash", "token", "bio", "about", "template", "css", "config"),
        *("music", "mood"),
        *("context", "original", "raw", "plain", "plaintext", "excerpt", "snippet", "preview", "teaser"),
    ]
)
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}'\u2019-]*")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]")


def is_said(column: Column) -> bool:
    """Whether most of a column's texts are sentences of somebody who had something to say."""
    words = frozenset(words_of(column.name))
    if words & (_NOT_SAID | MACHINE_MADE) or column.what or len(column.texts) < MIN_ROWS:
        return False
    if is_mail_header(column.name) or named((*TITLES, *SPEAKERS), [column.name]):
        return False
    if column.is_label or column.kind.data:
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
