"""The markup of Trac, in its tickets and wiki, to text. Code stays exactly as it is."""

from __future__ import annotations

import re

from .around_code import MARKDOWN_CODE, rewrite_around

# A block has at most 2,000 lines: to look farther for its end would take seconds where code is not closed.
# Its language may be on a line of its own; "#!/bin/sh" is none, but the first line of a script.
_CODE = re.compile(
    r"(?:^[ \t>]*)?\{\{\{[ \t]*(?:\n?[ \t]*#!(?P<language>[a-zA-Z][\w/+-]*)[^\n]*)?\n"
    r"(?P<block>(?:[^\n]*\n){0,2000}?)[ \t>]*\}\}\}[ \t]*$|\{\{\{(?P<inline>[^{}\n]{1,300})\}\}\}|`[^`\n]+`",
    re.MULTILINE,
)
# What only Trac has: a block of code, lines of a table, and links and macros by their names.
_BLOCK = re.compile(r"^[ \t>]*\{\{\{[ \t]*(?:#![^\n]*)?$", re.MULTILINE)
_BLOCK_END = re.compile(r"^[ \t>]*\}\}\}[ \t]*$", re.MULTILINE)
_ROWS = re.compile(r"(?:^[ \t]*\|\|[^\n]{1,2000}\|\|[ \t]*(?:\n|\Z)){2}", re.MULTILINE)
_THINGS = "wiki|ticket|source|changeset|milestone|comment|attachment|query|report|browser|log|diff|export"
_LINK = re.compile(
    rf"\[({_THINGS}):(\"[^\"\n]{{1,300}}\"|[^\s\[\]\"]{{1,300}})(?:[ \t]+([^\[\]\n]{{1,300}}))?\]"
)
_MACRO = re.compile(
    r"\[\[(?:Image|PageOutline|TOC|TitleIndex|RecentChanges|TicketQuery|Include)(?:\([^()\n]*\))?\]\]"
)
_BREAK = re.compile(r"[ \t]{0,9}\[\[br\]\][ \t]*\n?", re.IGNORECASE)
# Of other wikis, in which some of these may stand: MediaWiki and MoinMoin.
_OTHER_WIKI = re.compile(r"^\{\||<ref[\s>]|\[\[[^\W\d_]+:[^\[\]\n]+\]\]|<<[A-Z]\w*(?:\([^()\n]*\))?>>", re.M)

_ANY_MACRO = re.compile(r"\[\[[A-Z]\w*\([^()\n]*\)\]\]")
_PAGE = re.compile(r"\[\[([^\[\]|\n]{1,300})(?:\|([^\[\]\n]{1,300}))?\]\]")
_ADDRESS = re.compile(r"\[(?:https?|ftp|mailto):[^\s\[\]]+[ \t]+([^\[\]\n]{1,300})\]")
_HEADING = re.compile(r"^(={1,6})[ \t]+([^\n]{1,300}?)[ \t]*(?:\1[ \t]*)?(?:#[\w.-]+[ \t]*)?$", re.MULTILINE)
_ITEM = re.compile(r"^[ \t](?P<deeper>[ \t]*)\*[ \t]+(?=\S)", re.MULTILINE)
_EMPHASIS = re.compile(r"'{2,5}")
_RULE = re.compile(r"^(?:-{4,}|\|-{3,}[-|]*)[ \t]*\n?", re.MULTILINE)
_NO_LINK = re.compile(r"(?<![\w!])!(?=#\d|[A-Z][a-z]+[A-Z]|\[\d)")
_ROW = re.compile(r"^[ \t]*\|\|(.*)\|\|[ \t]*\\?[ \t]*$", re.MULTILINE)
_BARS = re.compile(r"(?:\|\|)+")


def is_trac(text: str) -> bool:
    """Whether a text has something that only Trac has, outside of code as markdown has it."""
    text = MARKDOWN_CODE.sub("", text.replace("\r\n", "\n"))
    has_sign = any(sign.search(text) for sign in (_ROWS, _LINK, _MACRO, _BREAK))
    has_sign = has_sign or bool(_BLOCK.search(text) and _BLOCK_END.search(text))
    return has_sign and not _OTHER_WIKI.search(text)


def read_trac(text: str) -> str:
    """Headings, links, lists and tables without their signs, and without macros. A block of code is between
    backticks, as markdown has it, so that nothing else takes its lines for those of a paragraph."""
    return rewrite_around(_CODE, text.replace("\r\n", "\n"), _without_signs, _read_code)


def _read_code(code: re.Match[str]) -> str:
    block, language = code["block"], code["language"] or ""
    if block is None:
        return code["inline"] or code[0]
    if language.lower() == "comment":
        return ""
    starts_a_line = code.start() == 0 or code.string[code.start() - 1] == "\n"
    return ("" if starts_a_line else "\n") + f"```{language}\n{block}```"


def _without_signs(text: str) -> str:
    text = _MACRO.sub("", _ANY_MACRO.sub("", _BREAK.sub("\n", _RULE.sub("", text))))
    text = _PAGE.sub(lambda page: page[2] or page[1], _LINK.sub(_read_link, _ADDRESS.sub(r"\1", text)))
    text = _NO_LINK.sub("", _EMPHASIS.sub("", _HEADING.sub(r"\2", text)))
    return read_rows(_ITEM.sub(r"\g<deeper>- ", text))


def _read_link(link: re.Match[str]) -> str:
    thing, target, label = link.groups()
    return label or (target if thing == "wiki" else f"{thing}:{target}")


def read_rows(text: str) -> str:
    """The rows of tables, `||a||b||`, with their cells between single bars."""
    return _ROW.sub(lambda row: " | ".join(cell.strip(" \t=") for cell in _BARS.split(row[1])), text)
