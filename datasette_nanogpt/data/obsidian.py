"""What Obsidian and its plugins have in a note beside the text: fields, queries, marks and dates of tasks."""

from __future__ import annotations

import re

# A note or picture in another one, the name of a block, and comments.
_MARK = re.compile(
    r"!\[\[[^\[\]\n]+\]\][ \t]*|[ \t]\^[a-z0-9]{6}[ \t]*$|(?<!%)%%(?!%)[^%]{1,5000}%%(?!%)[ \t]*",
    re.MULTILINE,
)
# Of Dataview: a line `rating:: 4`, `(due:: 2024-01-01)` within one, and queries; those of Tasks, too.
_FIELD = re.compile(
    r"^[ \t]*(?:[-*][ \t]+)?(?:\*\*)?\w[\w /-]{0,40}(?:\*\*)?::(?:[ \t].*)?(?:\n|\Z)"
    r"|[ \t]?[(\[]\w[\w /-]{0,40}::[ \t][^()\[\]\n]{0,200}(?:\[\[[^\[\]\n]*\]\][^()\[\]\n]{0,200})*[)\]]",
    re.MULTILINE,
)
_QUERY = re.compile(
    r"^[ \t]*(```+|~~~+)[ \t]*(?:dataview(?:js)?|tasks|query|button|meta-bind[\w-]*|base)\b[^\n]*\n"
    r".*?(?:^[ \t]*\1[ \t]*$\n?|\Z)"
    r"|[ \t]*`\$?=[ ]?[^`\n]{1,300}`(?=[ \t]|$)|`\$?=[ ]?[^`\n]{1,300}`",
    re.MULTILINE | re.DOTALL,
)
_SURE_FIELD = re.compile(r"[(\[][\w-]{1,40}::[ \t]\S")  # lines of keys alone may be what people say
_CALLOUT = re.compile(r"^([ \t>]*>)[ \t]*\[![\w|-]+\][+-]?[ \t]*(.*(?:\n|\Z))", re.MULTILINE)
_OF_A_TASK = re.compile(
    r"[ \t]*(?:[\U0001F4C5\u23F3\U0001F6EB\u2705\u2795\u274C][\uFE0F]?[ ]?\d{4}-\d\d-\d\d"
    r"|[\U0001F53A\u23EB\U0001F53C\U0001F53D\u23EC][\uFE0F]?(?=[ \t]|$)|\U0001F501[\uFE0F]?[ ][\w ]{3,40}$)",
    re.MULTILINE,
)
_LIT = re.compile(r"==(?=[^\s=])([^=\n]{1,500}?)(?<=[^\s=])==")


def has_obsidian(text: str) -> bool:
    return any(sign.search(text) for sign in (_MARK, _QUERY, _SURE_FIELD))


def read_obsidian(text: str) -> str:
    text = _FIELD.sub("", _QUERY.sub("", _MARK.sub("", text.replace("\r\n", "\n"))))
    text = _CALLOUT.sub(lambda callout: f"{callout[1]} {callout[2]}" if callout[2].strip() else "", text)
    return _LIT.sub(r"\1", _OF_A_TASK.sub("", text))
