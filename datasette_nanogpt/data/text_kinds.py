"""What kind of text a column has, by a sample of its values. `values_as_text.py` reads them by it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from html import unescape
from html.entities import html5
from typing import Any, TypeVar

from .around_code import MARKDOWN_CODE
from .front_matter import split_front_matter
from .html import INLINE, has_inline_tags, looks_like_html, looks_like_markdown
from .html_pages import page_title
from .json_blocks import has_parts, read_blocks
from .json_records import is_chat, read_record, title_of_record
from .json_values import json_or_none
from .mail import decode_quoted_printable, is_quoted_printable
from .mail_messages import is_message, is_unread_message, read_message
from .mail_replies import answers_notification, came_by_mail
from .markdown import has_comments
from .markers import has_markers
from .markup import CLIPPINGS, OF_WHOLE_TEXTS, TRAC, find_markup, read_markup
from .program_code import is_program
from .shapes import has_underscores
from .wrapped_lines import wrapped_width

T = TypeVar("T")
WRAPPED = "hard-wrapped lines"  # which are joined, while other kinds are read as text
TEXT_FORMATS = ("plain", "html", "markdown")  # the values of --text
SAMPLE_CHARS = 20_000  # how much of each value in the sample is examined; JSON is examined whole
MIN_FRACTION = 0.5  # a column is of a kind if more than this fraction of its values are
# Entities are decoded if at least this fraction of the `&` outside code begin one: in text about HTML, and in
# code, many stand for themselves.
MIN_ENTITIES = 0.95
# JSON is read as blocks if at least this fraction of it is text: a short paragraph is mostly formatting.
MIN_BLOCK_TEXT = 0.03
MIN_STRINGS = 5  # in fewer values than this, quotation marks around all of them may be chance
MIN_MAILED, MIN_MAILED_FRACTION = 3, 0.02  # values that came by mail: fewer may be about mail
MIN_TAGGED, MIN_TAGGED_FRACTION = 3, 0.05  # texts with tags: fewer may be about tags
MIN_PAIRS = 0.9  # the fraction of these in which the tags are in pairs
# Of this many rows or more: the fraction that are single words, that end in a sign, and that are different
# from all others, and the characters of a word, where rows are the words of a running text.
MIN_WORDS, MIN_SINGLE, MIN_SIGNS, MAX_OWN, LONGEST_TOKEN = 50, 0.97, 0.04, 0.9, 40
MIN_PIECES = 0.9  # the fraction of texts that begin with a space, if they are parts of one
MIN_JOINED = 0.3  # the fraction of titles with underscores from which on these are spaces

_AMPERSAND = re.compile(r"&")
_ENTITY = re.compile(r"&(?:#\d{1,7};|#[xX][0-9a-fA-F]{1,6};|([a-zA-Z][a-zA-Z0-9]{1,31};))")
_HEX = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2}[\s:-]?){12,}")
_BASE64 = re.compile(
    r"(?:data:[\w/+.-]+;base64,)?(?:[A-Za-z0-9+/_-]{4}\s*){10,}[A-Za-z0-9+/_-]{0,3}={0,2}\s*"
)
_PIECE = re.compile(r" \S[^\n]*")
_ANY_TAG = re.compile(r"</?[a-zA-Z][\w:-]*(?:\s[^<>]*)?/?>")
_TAG_START = re.compile(r"</?[a-zA-Z]")
_OTHER_TAG = re.compile(rf"</?(?!(?:{INLINE}|img|br|p|blockquote)\b)[a-zA-Z]", re.IGNORECASE)
_FORUM_XML = re.compile(r"<([rt])>.*</\1>\s*\Z", re.DOTALL)  # of phpBB and Flarum, with BBCode in it


@dataclass(frozen=True)
class TextKind:
    """How the values of a column are read; nanogpt.json keeps it, so that scoring reads them the same way."""

    format: str = "plain"  # or html, markdown, blocks, records, mail
    entities: bool = False  # &amp; without any tag
    quoted_printable: bool = False  # in some values at least
    front_matter: bool = False  # in some values at least
    parts: bool = False  # some values are JSON of the parts of a text, see `has_parts`
    markers: bool = False  # between documents, see markers.py
    # "JSON", "hex" or "base64" where most values are that and not text; they are still read as they are.
    data: str = ""
    title_again: bool = False  # above the text, as a heading: it is left out
    markup: str = ""  # of another sort, see markup.py
    underscores: bool = False  # instead of the spaces of a title
    encoding: str = ""  # of bytes that are not UTF-8, see `encoding_of`
    instead: bool = False  # read only in rows in which the columns before it have no text: it says the same
    replies: bool = False  # the text of mail, without what it quotes and the signature, see mail_replies.py
    without_unread: bool = False  # messages of mail that are spam by their headers and the like are left out
    mailed: bool = False  # some values came by mail, and are read like that
    comments: bool = False  # of markdown, `<!-- ... -->`, in some values at least; they are left out
    # Parts of a running text, each of which begins with a space, as Whisper's do: they are joined without a
    # line break.
    pieces: bool = False
    words: bool = False  # each row is a word of a running text; spaces are put between them
    titled: bool = False  # most values have titles in them: whole pages of HTML, records, or front matter
    turns: bool = False  # of who wrote rows: said before the first of several that follow each other
    question: str = ""  # that the text answers, by the name of its column; it is put on a line before it
    nothing: str = ""  # a value that says by the name of its column that there is no text, see column_content
    width: int = 0  # characters at which the lines of most texts are wrapped, see wrapped_lines.py

    @property
    def is_embedded(self) -> bool:
        """Whether the text is a small part of a value, with other things around it."""
        return self.format in ("blocks", "records", "mail")

    @property
    def has_titles(self) -> bool:
        """Whether values may have titles in them."""
        return self.format == "mail" or self.front_matter or self.titled

    @property
    def names(self) -> list[str]:
        """What is read as text, in words; nothing of plain text and markdown, which stay as they are."""
        formats = {"html": "HTML", "blocks": "JSON blocks", "records": "JSON records", "mail": "mail"}
        if self.titled and not self.front_matter:
            formats |= {"html": "pages of HTML", "records": "JSON with titles"}
        return [
            *([formats[self.format]] if self.format in formats else []),
            *(["HTML entities"] if self.entities else []),
            *(["quoted-printable"] if self.quoted_printable else []),
            *(["front matter"] if self.front_matter else []),
            *(["JSON in some rows"] if self.parts else []),
            *([self.markup] if self.markup else []),
            *(["bodies of mail"] if self.replies else ["mail in some rows"] if self.mailed else []),
            *([WRAPPED] if self.width else []),
        ]

    def as_json(self) -> dict[str, Any]:
        """Only what is not the default."""
        return {key: value for key, value in asdict(self).items() if value != getattr(PLAIN, key)}


PLAIN = TextKind()


def kind_of(values: Sequence[str], text_format: str | None = None) -> TextKind:
    """The kind of a column, by some of its values; `text_format`, one of TEXT_FORMATS, overrides its format.

    JSON is recognised by whole values, everything else by their first SAMPLE_CHARS characters.
    """
    values = [value for value in values if value.strip()]
    if not values:
        return TextKind(text_format or "plain")
    texts = [value[:SAMPLE_CHARS] for value in values]
    kind = TextKind(markers=has_markers(texts), quoted_printable=any(map(is_quoted_printable, texts)))
    if text_format is None:
        if found := _json_kind(values):
            return found
        if _most(values, is_message):
            width = wrapped_width([read_message(value).text for value in values])
            # Of mail that all is spam this is what is to be learnt.
            has_others = not _most(values, is_unread_message)
            return TextKind("mail", markers=kind.markers, width=width, without_unread=has_others)
    if kind.quoted_printable:
        texts = [decode_quoted_printable(text) if is_quoted_printable(text) else text for text in texts]
    if text_format == "plain":
        return kind
    if text_format != "html":
        titles, below = zip(*map(split_front_matter, texts), strict=True)
        titled = len({*titles} - {None}) > 1 and _most(titles, bool)
        kind, texts = replace(kind, front_matter=[*below] != texts, titled=titled), [*below]
    return _kind_of_format(kind, text_format, values, texts) if text_format else _guess(kind, values, texts)


def _guess(kind: TextKind, values: Sequence[str], texts: Sequence[str]) -> TextKind:
    """The kind of values that are no JSON and no whole messages. `texts` are their decoded beginnings, of
    which `kind` is known."""
    kind = replace(kind, markup=find_markup(texts))
    kind = replace(kind, markers=kind.markers or kind.markup == CLIPPINGS)
    if kind.markup in OF_WHOLE_TEXTS:
        # Tickets come by mail, too. Other wikis make paragraphs of lines as they show them.
        width = _width(kind, texts) if kind.markup == TRAC else 0
        return replace(kind, width=width)
    if not _is_html(texts) and _has_entities(texts):
        are_tags, texts = _are_all_tags(texts), [unescape(text) for text in texts]
        text_format = "html" if are_tags else _format_of(texts)
        # Of HTML the reader of HTML decodes them, unless all of it was encoded, its tags, too.
        kind = replace(kind, entities=not are_tags)
    else:
        text_format = _format_of(texts)
    kind = _kind_of_format(kind, text_format, values, texts)
    if text_format == "html":
        return kind
    return replace(kind, mailed=_are_mailed(texts), width=_width(kind, texts))


def _width(kind: TextKind, texts: Sequence[str]) -> int:
    return wrapped_width([read_markup(kind.markup, text) for text in texts])


def _kind_of_format(
    kind: TextKind, text_format: str, values: Sequence[str], texts: Sequence[str]
) -> TextKind:
    """`kind` with the format, and with what only values of this format may have."""
    if text_format == "html":
        titles = [page_title(text) for text in texts]
        return replace(kind, format=text_format, titled=kind.titled or _are_titles(titles))
    is_plain = text_format == "plain"
    return replace(
        kind,
        format=text_format,
        parts=any(map(has_parts, values)),
        data=_data_of(texts) if is_plain else "",
        comments=has_comments(texts, at_the_start=is_plain),
    )


def are_with_underscores(texts: Sequence[str]) -> bool:
    """Whether titles have underscores for spaces: none has a space, those with an underscore are words."""
    joined = [text for text in texts if "_" in text]
    has_spaces = any(re.search(r"\s", text.strip()) for text in texts)
    return len(joined) > MIN_JOINED * len(texts) and not has_spaces and _most(joined, has_underscores)


def are_pieces(texts: Sequence[str]) -> bool:
    """Whether nearly all texts are one line after a single space: parts of a running text."""
    return len(texts) >= MIN_STRINGS and sum(
        bool(_PIECE.fullmatch(text)) for text in texts
    ) >= MIN_PIECES * len(texts)


def are_words(texts: Sequence[str]) -> bool:
    """Whether nearly all texts are single words, as those of a running text: they have its signs, or come
    again. The words of a list do neither."""
    if len(texts) < MIN_WORDS or sum(not re.search(r"\s", t.strip()) for t in texts) < MIN_SINGLE * len(
        texts
    ):
        return False
    letters = sum(map(str.isalpha, "".join(texts)))
    are_short = max(map(len, texts)) <= LONGEST_TOKEN and letters > MIN_FRACTION * len("".join(texts))
    signs = sum(text.rstrip()[-1:] in {*".,?!;:"} for text in texts)
    return are_short and signs >= MIN_SIGNS * len(texts) and len({*texts}) < MAX_OWN * len(texts)


def _most(values: Sequence[T], is_so: Callable[[T], object]) -> bool:
    return sum(bool(is_so(value)) for value in values) > len(values) * MIN_FRACTION


def _json_kind(values: Sequence[str]) -> TextKind | None:
    """Blocks or data, None where most values are no JSON."""
    strings = [
        value for value in values if value[0] == '"' == value[-1] and isinstance(json_or_none(value), str)
    ]
    # Prose may be between quotation marks, too, but not all of it, nor with what JSON writes for line breaks.
    is_all = len(strings) == len(values) >= MIN_STRINGS
    if is_all or (len(strings) > len(values) * MIN_FRACTION and any("\\" in value for value in strings)):
        inside = kind_of([str(json_or_none(value)) for value in strings])
        return TextKind("records", entities=inside.entities, markup=inside.markup)
    looks = [
        value
        for value in values
        if value.lstrip()[:1] in ("{", "[", "c") and value.rstrip()[-1:] in ("}", "]", ")")
    ]
    if len(looks) <= len(values) * MIN_FRACTION:
        return None
    is_chats = _most(looks, is_chat)  # what is said there may be blocks
    blocks = {value: text for value in looks if (text := read_blocks(value)) is not None}
    enough = sum(map(len, blocks.values())) >= MIN_BLOCK_TEXT * sum(map(len, blocks))
    if len(blocks) > len(looks) * MIN_FRACTION and enough and not is_chats:
        return TextKind("blocks")
    records = {value: text for value in looks if (text := read_record(value)) is not None}
    enough = sum(map(len, records.values())) >= MIN_BLOCK_TEXT * sum(map(len, records))
    if len(records) > len(looks) * MIN_FRACTION and enough:
        inside = kind_of(list(records.values()))
        titled = _are_titles([title_of_record(value) for value in records])
        return TextKind("records", entities=inside.entities, markup=inside.markup, titled=titled)
    return TextKind(data="JSON") if _most(looks, _is_json) else None


def _are_titles(titles: Sequence[str | None]) -> bool:
    """Whether most of what may be titles are there, and different: not the name of a website on each page."""
    return 2 * len(set(filter(None, titles))) > len(titles)


def _is_json(value: str) -> bool:
    return isinstance(json_or_none(value), dict | list)


def _are_mailed(texts: Sequence[str]) -> bool:
    """Whether these are comments of which some came by mail: they answer what a program sent."""
    mails = [text for text in texts if came_by_mail(text)]
    is_some = len(mails) >= max(MIN_MAILED, MIN_MAILED_FRACTION * len(texts))
    return is_some and any(map(answers_notification, mails))


def _is_html(texts: Sequence[str]) -> bool:
    """Whether most of the texts with a `<` in them look like HTML.

    The column decides, not the row: in HTML a short row may have only inline tags or entities,
    and a row without any tag keeps its lines in `html_to_text`, so little is lost if this errs. But where
    most are programs, tags are what these write.
    """
    if _most(texts, is_program):
        return False
    votes = [looks_like_html(text) or bool(_FORUM_XML.match(text)) for text in texts if "<" in text]
    return sum(votes) * 2 > len(votes) or _most(texts, has_inline_tags) or _have_some_tags(texts)


def _have_some_tags(texts: Sequence[str]) -> bool:
    """Whether some texts have links or emphasis as HTML, and hardly any of the others has what begins like a
    tag: people who write about films put titles between <i> and </i>, and write no other tags."""
    tagged = [text for text in texts if _TAG_START.search(text)]
    is_some = len(tagged) >= max(MIN_TAGGED, MIN_TAGGED_FRACTION * len(texts))
    pairs = sum(has_inline_tags(text) and not _OTHER_TAG.search(text) for text in tagged)
    are_pairs = pairs >= MIN_PAIRS * len(tagged)
    return is_some and are_pairs and not _most(texts, looks_like_markdown)


def _are_all_tags(texts: Sequence[str]) -> bool:
    """Whether there are tags in texts with entities, and each `<` begins one: others were written `&lt;`."""
    tags = sum(len(_ANY_TAG.findall(text)) for text in texts)
    return 0 < tags == sum(text.count("<") for text in texts)


def _format_of(texts: Sequence[str]) -> str:
    if _is_html(texts):
        return "html"
    return "markdown" if _most(texts, looks_like_markdown) else "plain"


def _has_entities(texts: Sequence[str]) -> bool:
    """Whether nearly every `&` begins an entity of HTML. Those in code, or alone, are written about."""
    entities = ampersands = 0
    for text in texts:
        if "&" in text:
            ampersands += len(_AMPERSAND.findall(text))
            prose = "" if _ENTITY.fullmatch(text.strip()) else MARKDOWN_CODE.sub("", text)
            entities += sum(name == "" or name in html5 for name in _ENTITY.findall(prose))
    return entities > 0 and entities >= ampersands * MIN_ENTITIES


def _data_of(texts: Sequence[str]) -> str:
    if _most(texts, _is_hex):
        return "hex"
    if _most(texts, _is_base64):
        return "base64"
    return ""


def _is_hex(text: str) -> bool:
    return bool(_HEX.fullmatch(text.strip()) and re.search("[0-9]", text))


def _is_base64(text: str) -> bool:
    """Letters of both cases and digits without a space between words; a genome or a long word has less."""
    start = text.strip()[:2000]
    if not _BASE64.fullmatch(start[: len(start) // 4 * 4] if len(start) == 2000 else start):
        return False
    words = start.split()
    return min(map(len, words[:-1]), default=len(words[0])) >= 40 and all(
        re.search(letters, start) for letters in ("[a-z]", "[A-Z]", "[0-9]")
    )
