"""Articles of Wikipedia, as text or HTML, without the numbers of their notes and `[edit]`."""

from __future__ import annotations

import re

# Behind a sentence or a part of one, and before a space; `x(y)[1]` in code is not.
_MARK = r"\[(?:\d{1,3}|[a-z]|(?:note|nb) \d{1,3}|(?:citation|clarification) needed)\]"
_NOTE = re.compile(rf"(?:(?<=[.,;:!?])|(?<=[.,;:!?][\"'\u201d\u2019)]))(?:{_MARK})+(?=\s|\Z)")
_EDIT = re.compile(r"[ ]?\[edit(?: \| edit source)?\][ \t]*$", re.MULTILINE)
_BACK = re.compile(r"^((?:\d+\. |- )?)\^ (?:(?:[a-z] )+(?=[A-Z]))?", re.MULTILINE)
# In HTML the numbers are links, in small type above the line.
_OF_HTML = re.compile(r"class=\"(?:mw-editsection|reference|mw-headline)\"")
MIN_NOTES = 2  # in a text


def has_wiki_notes(text: str) -> bool:
    return len(_NOTE.findall(text)) + len(_EDIT.findall(text)) >= MIN_NOTES or bool(_OF_HTML.search(text))


def without_wiki_notes(text: str) -> str:
    return _BACK.sub(r"\1", _EDIT.sub("", _NOTE.sub("", text)))
