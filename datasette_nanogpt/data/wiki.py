"""The markup of MediaWiki, MoinMoin, Creole and DokuWiki, to text. Code stays exactly as it is."""

from __future__ import annotations

import re
from html import unescape

import regex

from .around_code import rewrite_around
from .nested import without_nested
from .trac import read_rows

_LINK = re.compile(r"\[\[[^\[\]\n]+\]\]")
_SIGN = re.compile(r"'''|^==+[^=\n]+==+[ \t]*$|\{\{[^{}]+\}\}|^\{\|", re.MULTILINE)
_CLOSED = re.compile(r"^(={1,6})[ \t]+[^=\s][^=\n]*[ \t]\1[ \t]*\r?$", re.MULTILINE)
_NOTE = re.compile(
    r"<!--.{0,5000}?-->|<(ref|gallery|math|timeline|imagemap)\b[^<>]*(?:/>|>.{0,5000}?</\1\s*>)",
    re.DOTALL | re.IGNORECASE,
)
_TEMPLATE = re.compile(r"\{\{(?:(?!\{\{|\}\}).)*\}\}", re.DOTALL)
# Of MoinMoin and Creole: code, in a block or within a line, and <<TableOfContents>>.
_CODE = re.compile(
    r"^\{\{\{(?:#![^\n]*)?\n(?P<block>.{0,20000}?)\n\}\}\}[ \t]*$|\{\{\{(?P<inline>[^{}|\n]{1,300})\}\}\}",
    re.DOTALL | re.MULTILINE,
)
_MACRO = re.compile(r"<<[A-Z]\w*(?:\([^()\n]*\))?>>[ \t]*")
_TABLE = re.compile(r"^[ \t:]*\{\|(?:(?!^[ \t]*\{\|).)*?^[ \t]*\|\}[ \t]*$", re.DOTALL | re.MULTILINE)
# A word before a colon leads elsewhere, in any language: [[File:...]], [[Category:...]], [[de:...]].
_ELSEWHERE = re.compile(r"\[\[[^\W\d_]+:(?:(?!\[\[|\]\]).)*\]\][ \t]*", re.DOTALL)
_SHOWN = re.compile(r"\[\[(?![^\W\d_]+:)(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
_ADDRESS = re.compile(r"\[(?:https?:)?//[^\s\[\]]+[ \t]*([^\[\]\n]*)\]")
_HEADING = re.compile(r"^=+[ \t]*([^=\n]+?)[ \t]*=+[ \t]*(?=\r?$)", re.MULTILINE)
_ITEM = re.compile(r"^[*#]+[ \t]*", re.MULTILINE)
# In any language. What MediaWiki does not know as a redirect is the first item of a list.
_REDIRECT = regex.compile(r"\s*#[\p{L}\p{M}_]+\s*:?\s*\[\[[^\[\]\n]+\]\]")
_REST = re.compile(r"'{2,5}|__[A-Z]+__|</?[a-zA-Z][^<>]*>|^[:;]+[ \t]*", re.MULTILINE)
_EMPTY_SECTION = re.compile(r"^(=+)[^=\n]+\1[ \t]*\n\s*(?=^=|\Z)", re.MULTILINE)


def is_wiki(text: str) -> bool:
    """Whether a text has a link and another sign of a wiki, or a heading that is closed, or only leads to
    another page."""
    has_heading = bool(_CLOSED.search(text))  # of Trac, MoinMoin or DokuWiki
    return bool(_LINK.search(text) and _SIGN.search(text)) or has_heading or is_redirect(text)


def is_redirect(text: str) -> bool:
    """Whether a page of a wiki only leads to another one: "#REDIRECT [[Old Harbour]]", in any language, and
    nothing else but templates and categories."""
    start = _REDIRECT.match(text)
    return start is not None and not read_wiki(text[start.end() :]).strip()


def read_wiki(text: str) -> str:
    """Without templates, tables, notes and pictures, which wikis make of other pages. Code stays as it is."""
    return rewrite_around(_CODE, text, _without_signs, _read_code)


def _read_code(code: re.Match[str]) -> str:
    return code["block"] or code["inline"] or ""


def _without_signs(text: str) -> str:
    text = without_nested(_TEMPLATE, _NOTE.sub("", _MACRO.sub("", text)))
    text = read_rows(without_nested(_TABLE, text))
    # The links in the caption of a picture before the picture.
    text = without_nested(_ELSEWHERE, _SHOWN.sub(r"\1", text))
    text = _ADDRESS.sub(r"\1", text)
    text = without_nested(_EMPTY_SECTION, text)
    text = _ITEM.sub("- ", _HEADING.sub(r"\1", text))
    return unescape(_REST.sub("", text)).replace("\xa0", " ")
