"""The markup of Jira and of older versions of Confluence, to text. Code stays exactly as it is."""

from __future__ import annotations

import re

from .around_code import fenced, rewrite_around

# Not after a word, as in LaTeX: \begin{quote}
_CODE = re.compile(
    r"(?<!\w)\{(code|noformat)(?::(?:(?P<language>[a-zA-Z][\w+#-]*)(?=[|}]))?[^{}\n]*)?\}"
    r"(?P<code>(?:(?!\{\1).)*)\{\1\}",
    re.DOTALL,
)
_BLOCK = re.compile(r"^h[1-6]\.[ \t]+\S|^bq\.[ \t]+\S", re.MULTILINE)
_PAIR = re.compile(r"(?<!\w)\{(quote|panel|color)(?::[^{}\n]*)?\}[^{}]*\{\1\}")
_LINK = re.compile(r"\[([^\[\]|\n]{1,300})\|(?:https?:|mailto:|ftp:|#|\^)[^\[\]\n]*\]")
_ANY_MACRO = (
    r"\{(?:quote|panel|color|info|note|tip|warning|section|column|expand|anchor|toc|excerpt|status|align|div"
    r"|noformat|code|html|adf)(?::[^{}\n]*)?\}"
)
_MACRO = re.compile(rf"^[ \t]*{_ANY_MACRO}[ \t]*\n|{_ANY_MACRO}", re.MULTILINE)
_START = re.compile(r"^(?:h[1-6]|bq)\.[ \t]+", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:[*#]+|-)[ \t]+(?=\S)", re.MULTILINE)
_PERSON = re.compile(r"\[~(?:accountid:)?([^\[\]|\n]{1,100})\]")
_FILE = re.compile(r"\[\^[^\[\]\n]+\]|!(?=[^\s!|]*\.|https?:)[^\s!|][^!|\n]{0,300}(?:\|[^!\n]{0,300})?!")
_ADDRESS = re.compile(r"\[((?:https?|ftp)://[^\[\]|\s]+)\]")
_MONO = re.compile(r"\{\{([^{}\n]+)\}\}")
_ROW = re.compile(r"^[ \t]*\|{1,2}(.*?)\|{1,2}[ \t]*$", re.MULTILINE)
_BREAK = re.compile(r"[ \t]*\\\\(?!\S)[ \t]*\n?")

# When and by whom a comment was made, as Jira writes it into a CSV file: "02/Jan/22 3:04 PM;5f2a...;".
_STAMP = re.compile(
    r"\s*\d{1,4}[-/. ](?:\w{3,9}|\d{1,2})[-/. ]\d{2,4},? +\d{1,2}:\d\d(?::\d\d)?(?: ?[AP]M)?;[^;\n]{1,80};"
)


def is_jira(text: str) -> bool:
    return any(sign.search(text) for sign in (_CODE, _BLOCK, _PAIR, _LINK))


def is_stamped(text: str) -> bool:
    """Whether a text begins with the time and the account of whoever wrote it."""
    return _STAMP.match(text) is not None


def read_stamped(text: str) -> str:
    return read_jira(_STAMP.sub("", text, count=1)).lstrip()


def read_jira(text: str) -> str:
    """Headings, quotes, panels and links without their signs, pictures left out. Emphasis stays, as it does
    in markdown, and a block of code is between backticks."""
    text = text.replace("\r\n", "\n")
    return rewrite_around(
        _CODE, text, _without_signs, lambda found: fenced(found, found["code"], found["language"] or "")
    )


def _without_signs(text: str) -> str:
    text = _START.sub("", _MACRO.sub("", text))
    text = _LINK.sub(r"\1", _PERSON.sub(r"@\1", _FILE.sub("", text)))
    text = table_rows(_ADDRESS.sub(r"\1", text))
    return _BREAK.sub("\n", _MONO.sub(r"\1", _ITEM.sub("- ", text)))


def table_rows(text: str) -> str:
    """The rows of tables with their cells between single bars."""
    return _ROW.sub(lambda row: " | ".join(re.split(r"\|{1,2}", row[1])), text)
