"""How a value of a column becomes plain text, by the kind of the column (`text_kinds.py`)."""

from __future__ import annotations

import re
from html import unescape
from typing import NamedTuple

from .front_matter import split_front_matter
from .html import has_inline_tags, html_to_text, looks_like_html
from .html_pages import page_title, without_repeats
from .json_blocks import has_parts, read_blocks
from .json_records import read_record, title_of_record
from .json_values import json_or_none
from .mail import decode_quoted_printable, decode_words, is_quoted_printable
from .mail_messages import is_message, read_message
from .mail_replies import came_by_mail, own_text, own_text_of_html
from .markdown import are_pictures, without_comments
from .markers import split_at_markers
from .markup import LATEX_IN_PROSE, WRONGLY_DECODED, read_markup
from .text_kinds import TextKind
from .wrapped_lines import join_lines

_INVISIBLE = re.compile(r"&(?:amp;)*#(?:x200b|8203);", re.IGNORECASE)  # which Reddit puts between paragraphs
_EMPTY_LINE = re.compile(r"^[ \t]*\xa0[ \t\xa0]*\n\n?", re.MULTILINE)  # `&nbsp;` alone, as in Joplin
_SEPARATORS = re.compile("[\x1c-\x1f\x0b\x0c\x85\u2028\u2029]")


class Text(NamedTuple):
    """A value as text, with the title that was in its front matter or the subject of the mail."""

    title: str | None
    text: str
    attachments: int = 0  # to a mail
    is_cut: bool = False  # a mail of which a quoted reply or a signature is left out


def read_text(value: str, kind: TextKind) -> Text:
    """A value of a column of that kind as text; breaks of every sort become line breaks."""
    if kind.nothing and value.strip() == kind.nothing:
        return Text(None, "")
    if kind.format == "mail" and is_message(value):
        message = read_message(value)
        return Text(message.subject, _unwrapped(message.text, kind), message.attachments)
    title, value = _decoded(value, kind)
    read = _read_format(value, kind)
    text = without_comments(read.text) if kind.comments else read.text
    text = read_markup(kind.markup, text) if kind.markup else text
    if kind.format == "markdown" and are_pictures(text):
        text = ""
    return Text(title or read.title, _unwrapped(text, kind), is_cut=read.is_cut)


def _decoded(value: str, kind: TextKind) -> tuple[str | None, str]:
    """The title in the front matter, and the value without it and without what encodes characters."""
    title = None
    if kind.parts and has_parts(value):
        value = read_blocks(value) or ""
    if kind.quoted_printable and is_quoted_printable(value):
        value = decode_quoted_printable(value)
    if kind.front_matter:
        title, value = split_front_matter(value)
    if kind.entities or kind.format == "html":
        value = _INVISIBLE.sub("", value)
    if kind.entities and kind.format != "records":
        value = _EMPTY_LINE.sub("", unescape(value))
    return title, decode_words(value)


def _read_format(value: str, kind: TextKind) -> Text:
    """The text of HTML, of mail and of JSON; other values as they are."""
    if kind.format == "html":
        return _read_html(value, kind)
    if kind.replies or (kind.mailed and came_by_mail(value)):
        text = value.replace("\r\n", "\n").strip("\n").rstrip()
        own = own_text(text)
        return Text(None, own, is_cut=len("".join(own.split())) < len("".join(text.split())))
    if kind.format == "blocks":
        blocks = read_blocks(value)
        return Text(None, html_to_text(value) if blocks is None else blocks)
    if kind.format == "records":
        record = read_record(value)
        title = title_of_record(value) if record else None
        return Text(title, _read_inside(_without_json(value) if record is None else record, kind))
    return Text(None, value)


def _read_html(value: str, kind: TextKind) -> Text:
    html = _SEPARATORS.sub(_as_tag, value)
    title, text = page_title(html) if kind.titled else None, html_to_text(html)
    if title:
        text = without_repeats(text)
    if kind.replies:
        own = own_text_of_html(html)
        return Text(title, own, is_cut=len(own) < len(text))
    return Text(title, text)


def _unwrapped(text: str, kind: TextKind) -> str:
    return join_lines(text, kind.width) if kind.width else text


def _without_json(value: str) -> str:
    """The text of a value that is no record: a string of JSON, or, in some rows, text without JSON."""
    parsed = json_or_none(value)
    return parsed if isinstance(parsed, str) else "" if isinstance(parsed, dict | list) else value


def _read_inside(text: str, kind: TextKind) -> str:
    """The text of a record, which may be HTML itself."""
    if looks_like_html(text):
        return html_to_text(text)
    return unescape(text) if kind.entities else text


def read_title(value: str, kind: TextKind, *, entities: bool) -> str:
    """A value of the title column as text."""
    if kind.format == "records":
        value = _without_json(value) or value
    if kind.markup in (WRONGLY_DECODED, LATEX_IN_PROSE):
        value = read_markup(kind.markup, value)
    if kind.underscores and not re.search(r"\s", value.strip()):
        value = value.replace("_", " ")
    if kind.format == "html" and (looks_like_html(value) or has_inline_tags(value)):
        return decode_words(html_to_text(value))
    return decode_words(unescape(value) if kind.entities or entities else value)


def documents_of(text: str, kind: TextKind) -> list[str]:
    """The documents in a row's text: more than one where markers stand between them."""
    return split_at_markers(text) if kind.markers else [text]


def _as_tag(separator: re.Match[str]) -> str:
    """A control character that separates, as HTML that does; a form feed is a space there."""
    if separator[0] == "\x0c":
        return separator[0]
    return "<hr>" if separator[0] in "\x1c\x1d\x1e\x1f\u2029" else "<br>"
