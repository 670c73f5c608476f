"""The markup of TiddlyWiki, to text. Code between three backticks stays exactly as it is."""

from __future__ import annotations

import re

from .around_code import rewrite_around
from .html import html_to_text, looks_like_html

_CODE = re.compile(r"^(```)[^\n]*\n.{0,20000}?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^!{1,6}[ \t]*(?=\w)", re.MULTILINE)
_MACRO = re.compile(r"<<(?![A-Z<])[\w.$-]+(?:[ \t:][^<>\n]{0,300})?>>")
_PICTURE = re.compile(r"\[img[^\[\]\n]{0,100}\[[^\[\]\n]{1,300}\]\]")
_OUTSIDE = re.compile(r"\[ext\[([^\[\]|\n]{1,300})(?:\|[^\[\]\n]{0,300})?\]\]")
_WIDGET = re.compile(r"</?\$[a-z][\w-]*(?:[ \t\n][^<>]{0,500})?/?>")
_BOLD = re.compile(r"(?<!')''(?!')([^'\n](?:[^\n]{0,300}?[^'\n])?)''(?!')")
_ITALIC = re.compile(r"(?<![:/\w])//(?![/\s])([^\n]{1,300}?)(?<![:\s])//(?!/)")
_UNDERLINED = re.compile(r"(?<![\w_])__(?![_\s])([^\n_]{1,300}?)(?<!\s)__(?![\w_])")
_LINK = re.compile(r"\[\[([^\[\]|\n]{1,300})(?:\|[^\[\]\n]{0,300})?\]\]")
# What another tiddler says, or a filter of tiddlers finds.
_ELSEWHERE = re.compile(r"\{\{\{[^{}\n]{1,300}\}\}\}|\{\{[^{}\n]{1,300}\}\}")
_DEFINITION = re.compile(
    r"^\\(?:define|procedure|function|widget)[ \t].{0,5000}?^\\end[ \t]*\n?", re.M | re.S
)
_PRAGMA = re.compile(r"^\\(?:rules|import|whitespace|parameters)[ \t][^\n]*\n", re.MULTILINE)
_ITEM = re.compile(r"^[*#]{1,6}[ \t]*(?=[^\s*#])", re.MULTILINE)
_QUOTE = re.compile(r"^<<<[^\n]*\n?|^>+[ \t]*", re.MULTILINE)
_OTHER_WIKI = re.compile(r"'''|^={1,6}[^=\n]|^\{\||^h[1-6]\. ", re.MULTILINE)  # MediaWiki, MoinMoin, Jira


def is_tiddlywiki(text: str) -> bool:
    """Whether a text has two sorts of its signs, one of which other wikis do not have."""
    if _OTHER_WIKI.search(text):
        return False
    own = [bool(sign.search(text)) for sign in (_HEADING, _MACRO, _PICTURE, _OUTSIDE, _WIDGET)]
    return any(own) and sum([*own, bool(_BOLD.search(text)), bool(_LINK.search(text))]) > 1


def read_tiddlywiki(text: str) -> str:
    """Headings, emphasis and links without their signs; without macros, pictures and other tiddlers."""
    return rewrite_around(_CODE, text.replace("\r\n", "\n"), _without_signs)


def _without_signs(text: str) -> str:
    text = _PRAGMA.sub("", _DEFINITION.sub("", text))
    text = _PICTURE.sub("", _WIDGET.sub("", _MACRO.sub("", _ELSEWHERE.sub("", text))))
    text = _LINK.sub(r"\1", _OUTSIDE.sub(r"\1", text))
    text = _ITALIC.sub(r"\1", _UNDERLINED.sub(r"\1", _BOLD.sub(r"\1", text)))
    text = _HEADING.sub("", _QUOTE.sub("", _ITEM.sub("- ", text)))
    return html_to_text(text) if looks_like_html(text) else text
