"""What an export of Notion has in its markdown beside the text: properties, callouts, names of its files."""

from __future__ import annotations

import re

_ASIDE = re.compile(r"^[ \t]*</?aside>[ \t]*(?:\n(?:[ \t]*\n)?|\Z)", re.MULTILINE)
_OPENED = re.compile(r"^[ \t]*<aside>[ \t]*$", re.MULTILINE)
# Properties below the heading, one of them such as Notion gives each page.
_PROPERTIES = re.compile(
    r"(\ufeff?\s*\# [^\n]+\n)\n(?=(?:[^\n]+\n)*?(?:Created|Created time|Last edited time|Last Edited|Tags"
    r"|Status|Date|Created by):)(?:[^\W_][^:\n]{0,40}:[ \t][^\n]*\n)+(?=\n|\Z)"
)
# A file beside the text, or a page on Notion's site; not Joplin's links, which begin with a colon, and not
# other places on the web, as a commit's number looks like that of a page.
_HERE = r"(?!:|//|[a-zA-Z]+:(?!//(?:www\.)?notion\.so/))"
_FILE = rf"\({_HERE}(?:[^()\s]{{0,300}}(?:%20|/)|)[^()\s/]{{0,300}}?(?:%20)?[0-9a-f]{{32}}[^()\n]{{0,300}}\)"
_LINK = re.compile(rf"(?<!!)\[([^\[\]\n]{{1,300}})\]{_FILE}")
_PICTURE = re.compile(rf"^!\[[^\[\]\n]{{0,300}}\]{_FILE}[ \t]*\n?", re.MULTILINE)


def is_notion(text: str) -> bool:
    signs = (_OPENED, _PROPERTIES, _LINK, _PICTURE)
    return any(sign.search(text) for sign in signs)


def read_notion(text: str) -> str:
    """Callouts as paragraphs, links to other pages as their names, without properties and pictures."""
    text = _PROPERTIES.sub(r"\1", text.replace("\r\n", "\n"), count=1)
    return _LINK.sub(r"\1", _PICTURE.sub("", _ASIDE.sub("", text)))
