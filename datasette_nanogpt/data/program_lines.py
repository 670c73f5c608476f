"""Lines that programs put into a text: properties of blocks, trailers of commits; and spaces before lines."""

from __future__ import annotations

import re

MIN_WORDS = 5  # of a text whose lines are indented: fewer may be code
MIN_PROSE = 0.85  # the fraction of letters and white space: code has fewer

# Of outliners (Logseq) and Org mode: lines of keys that only a program needs, drawers, dates of a task, and
# another block by its id.
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEYS = (
    r"id|collapsed|heading|created-?at|updated-?at|background-color|ls-type|card-[\w-]+|logseq\.[\w.-]+"
    r"|hl-[\w-]+|file-path|query-[\w-]+"
)
_PROPERTY = re.compile(rf"^[ \t]*(?:{_KEYS})::(?:[ \t].*)?(?:\n|\Z)", re.MULTILINE)
_DRAWER = re.compile(
    r"^[ \t]*:(?:LOGBOOK|PROPERTIES|CLOCK):[ \t]*\n(?:[^\n]*\n){0,500}?[ \t]*:END:[ \t]*(?:\n|\Z)",
    re.MULTILINE,
)
_PLANNED = re.compile(
    r"^[ \t]*(?:(?:SCHEDULED|DEADLINE|CLOSED):[ \t]*[<\[][^<>\[\]\n]+[>\]][ \t]*)+(?:\n|\Z)", re.MULTILINE
)
_BLOCK = re.compile(rf"\{{\{{(?:embed|query|renderer)\b[^{{}}\n]*\}}\}}|\(\({_UUID}\)\)")

# Of git, Gerrit and Subversion.
_SURE_TRAILER = re.compile(
    r"(?:(?:signed-off|reviewed|acked|tested|reported|suggested|co-authored|co-developed|approved|submitted)-by"
    r"|change-id|git-svn-id|reviewed-on|commit-queue|auto-submit|cr-commit-position|gitorigin-revid"
    r"|differential revision)[ \t]*: ?\S.*|\(cherry[- ]picked from commit [0-9a-f]+\)",
    re.IGNORECASE,
)
_TRAILER = re.compile(r"[A-Za-z][\w-]*: \S.*")  # of any key, beside one that is sure


def has_properties(text: str) -> bool:
    return any(sign.search(text) for sign in (_PROPERTY, _DRAWER, _BLOCK))


def without_properties(text: str) -> str:
    text = text.replace("\r\n", "\n")
    for sign in (_DRAWER, _PROPERTY, _PLANNED, _BLOCK):
        text = sign.sub("", text)
    return text


def has_trailers(text: str) -> bool:
    return len(without_trailers(text)) < len(text.rstrip())


def without_trailers(text: str) -> str:
    """A message of a commit without the lines of keys at its end, such as "Signed-off-by: Ada <a@b.org>"."""
    lines = [line.strip() for line in text.split("\n")]
    end = len(lines)
    while True:  # there may be several blocks of them
        while end and not lines[end - 1]:
            end -= 1
        start = end
        while start and (_TRAILER.fullmatch(lines[start - 1]) or _is_sure(lines[start - 1])):
            start -= 1
        sure = next((i for i in range(start, end) if _is_sure(lines[i])), None)
        if sure is None:
            break
        if start == 0 or lines[start - 1]:  # right below the text, which may look like such a line
            end = sure
            break
        end = start
    return "\n".join(text.split("\n")[:end]).rstrip()


def _is_sure(line: str) -> bool:
    return _SURE_TRAILER.fullmatch(line) is not None


def is_indented(text: str) -> bool:
    """Whether a text of prose begins with spaces, as a program indents all of its texts. A single one may be
    that between parts of a line."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    prose = sum(sign.isalpha() or sign.isspace() for sign in text)
    is_prose = len(text.split()) >= MIN_WORDS and prose >= MIN_PROSE * len(text)
    return is_prose and first.startswith(("  ", "\t"))


def without_indent(text: str) -> str:
    """A text without the spaces that all its lines begin with, or else its first one."""
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    if not (common := min(indents, default=0)):
        return "\n".join([lines[0].lstrip(), *lines[1:]])
    return "\n".join(line[common:] for line in lines)
