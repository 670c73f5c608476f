"""Whole pages of HTML: their titles, and what stands on them around the text."""

from __future__ import annotations

import re
from html import unescape

_PAGE = re.compile(r"<(?:html|body)[\s>]", re.IGNORECASE)
_TITLE = re.compile(r"<title(?:\s[^<>]*)?>([^<]{0,1000})</title", re.IGNORECASE)
_HEADING = re.compile(r"<h1(?:\s[^<>]*)?>(.{0,1000}?)</h1", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_MENU = re.compile(r"<nav[\s>].*?(?=</nav|\Z)", re.IGNORECASE | re.DOTALL)
_MENU_END = re.compile("</nav", re.IGNORECASE)
_FOOTER = re.compile(r"<footer[\s>]|</footer[\s>]", re.IGNORECASE)
_AFTER_FOOTER = re.compile(r"\s*(?:<[^<>]*>\s*)*")
LONGEST_TITLE = 300  # characters
HEAD = 20_000  # characters in which the title of a page and its first heading stand
TOP = 8  # paragraphs at the top of a page, where its title and the line below it may stand twice


# The elements of JATS, as Crossref hands out abstracts, and the messages that Skype quotes.
_JATS = re.compile(r"(</?)jats:")
_QUOTED_IN_SKYPE = re.compile(r"<quote\b[^<>]*\bauthorname=[^<>]*>.*?</quote>", re.DOTALL)


def as_html(text: str) -> str:
    """What is nearly HTML as HTML."""
    if "jats:" in text:
        text = _JATS.sub(r"\1", text)
    return _QUOTED_IN_SKYPE.sub("", text) if "<quote" in text else text


def is_page(html: str) -> bool:
    return _PAGE.search(html) is not None


def page_title(html: str) -> str | None:
    """The title of a whole page, without the name of the website where the first heading lacks it; None where
    it has none."""
    head = html[:HEAD]
    if not is_page(head) or not (title := _TITLE.search(head)):
        return None
    name, heading = _plain(title[1]), _HEADING.search(head)
    shown = _plain(heading[1]) if heading else ""
    if shown and shown.casefold() in name.casefold():
        return shown
    return name if 0 < len(name) <= LONGEST_TITLE else None


def _plain(html: str) -> str:
    return " ".join(unescape(_TAG.sub("", html)).split())


def without_menus(html: str) -> str:
    """A page without its menus, and without the footer at its end."""
    end = max((tag.start() for tag in _MENU_END.finditer(html)), default=0)
    html = _MENU.sub("<nav>", html[:end]) + html[end:]
    tags = [*_FOOTER.finditer(html)][-2:]
    if [tag[0][1] == "/" for tag in tags] == [False, True]:
        rest = html[html.find(">", tags[1].start()) + 1 :]
        if _AFTER_FOOTER.fullmatch(rest):
            return html[: tags[0].start()] + rest
    return html


def without_repeats(text: str) -> str:
    """The text of a page without paragraphs at its top that stand there for the second time."""
    *top, rest = text.split("\n\n", TOP) if text.count("\n\n") >= TOP else [*text.split("\n\n"), ""]
    return "\n\n".join(filter(None, [*dict.fromkeys(top), rest]))
