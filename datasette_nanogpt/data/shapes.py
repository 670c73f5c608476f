"""What a value looks like when it is not words: a key, a date, an address."""

from __future__ import annotations

import re

import regex

SHAPED_CHARS = 1_000  # how much of a value is examined
LONG_WORD = 40  # characters: an ASCII word of this length alone in its value is a code

_CALENDAR_WORDS = """
jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august
september october november december mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday
thursday friday saturday sunday am pm at utc gmt est edt cst cdt mst mdt pst pdt cet cest bst
"""
_CALENDAR = frozenset(_CALENDAR_WORDS.split())
_NUMERIC = re.compile(r"[+-]?\d[\d.,:/+-]*(?:st|nd|rd|th|[TZ][\d.:+-]*Z?)?")
_URL = r"(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}://|(?:mailto|urn|tag|data|doi|magnet|tel|at|did|geo):|www\.)\S+"

# JSON begins and ends with brackets, but for a value that is cut: "[00:12] Hello" and "[1] a note" do not.
_JSON_END = rf".*[\]}}]\s*|.{{{SHAPED_CHARS - 100},}}|(?<=[\]}}])"
_JSON_NUMBER = r"-?\d[\d.e+-]*\s*(?:,|\]\s*\Z)"
_CLOCK = r"\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:\s?[AaPp]\.?[Mm]\.?)?"
# Between strokes or brackets, with letters of the phonetic alphabet, or signs for stress and length.
_SPOKEN = r"(?:/[^/\n]*[\u0250-\u02d1][^/\n]*/|\[[^\[\]\n\"]*[\u0250-\u02d1][^\[\]\n\"]*\])"

# What a column is called, and the pattern that a whole value matches without its tags; the first match
# counts.
_SHAPES = [
    (name, re.compile(pattern, re.ASCII | re.DOTALL))
    for name, pattern in [
        ("UUIDs", r"[{(]?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}[)}]?"),
        ("dates", r"\d{4}([./-])\d\d?\1\d\d?(?:[T ][\d:.]+\s?(?:Z|[+-][\d:]+)?)?"),
        ("dates", rf"\d{{1,2}}([./-])\d{{1,2}}\1\d{{2,4}}(?:,?\s+{_CLOCK})?"),
        ("pairs of numbers", r"(?:\d{1,3}|1/2)\s?[:\u2013-]\s?(?:\d{1,3}|1/2)"),
        ("numbers", r"(?=[^\d]*\d)[\s\d.,:;/+()%$€£¥#-]+"),
        ("e-mail addresses", r"(?:[^@<>\n]{0,60}<)?[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+>?"),
        ("URLs", rf"{_URL}(?:\s+{_URL})*|(?:[\w-]+\.)+[a-z]{{2,6}}(?::\d+)?/\S*"),
        ("hexadecimal", r"(?:0x)?(?=\S*\d)[0-9a-fA-F]{8,}|(?:0x)?(?:[0-9a-fA-F]{2}[\s:-]?){12,}"),
        ("pronunciations", rf"{_SPOKEN}(?:[\s,;]+{_SPOKEN})*"),
        ("file paths", r"(?:[A-Za-z]:|~|\.{1,2})?[\\/]?(?:[^\\/\n]{1,80}[\\/])+[^\\/\n]*\.\w{1,5}"),
        ("file paths", r"(?:[A-Za-z]:\\|~/|\.{0,2}/)\S+|\S+/\S+/\S+"),
        ("file names", r"(?![^\n]*\s\S+@\S+\Z)[^\n]{0,100}[^\s.]\.(?=\w*[a-z])[a-z0-9]{2,4}"),
        ("keys", r"(?=\S*\d)(?=\S*[A-Za-z])[\w.:+/=~-]{8,}|[A-Z]{2,10}[-_]\d+"),
        ("JSON", rf"\{{\s*[\"}}](?:{_JSON_END})"),
        ("JSON", rf"\[\s*(?:[\"{{\[\]]|true|false|null|{_JSON_NUMBER})(?:{_JSON_END})"),
        ("long codes", rf"[!-~]{{{LONG_WORD},}}"),
    ]
]
_BASE64 = re.compile(r"(?=[^\d]*\d)(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[\w+/-]{60,}={0,2}", re.ASCII)
_CHANGE = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z0-9](?=[a-z])")
MIN_CHANGES = 0.3  # per character: 0.46 in base64 on average, 0.1 to 0.2 in a path
_WORDS_JOINED = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)+")
_WITH_UNDERSCORES = regex.compile(
    r"(?=.*\p{L}{3})(?:[\p{L}\p{M}'\u2019.,()!?&-]{1,20}|\d{1,4})(?:_+(?:[\p{L}\p{M}'\u2019.,()!?&-]{1,20}|\d{1,4}))+"
)
_TAG = re.compile(r"<[A-Za-z/!][^<>@]*>")
_NO_LETTERS = regex.compile(r"[^\p{L}\p{M}]+")


def shape_of(text: str) -> str:
    """What `text` is instead of words, in the plural ("URLs"); "" for words."""
    text = _TAG.sub(" ", text[:SHAPED_CHARS]).strip().strip("\"'").strip()
    if _is_encoded(text):
        return "encoded data"
    for name, pattern in _SHAPES:
        if pattern.fullmatch(text):
            return "" if name in ("keys", "long codes") and has_underscores(text) else name
    return "dates" if _is_written_date(text) else ""


def _is_encoded(text: str) -> bool:
    """Whether `text` is base64: one long word whose capitals and digits change more than those of a path."""
    return bool(_BASE64.fullmatch(text)) and len(_CHANGE.findall(text)) > MIN_CHANGES * len(text)


def _is_written_date(text: str) -> bool:
    """Numbers and words of the calendar alone: "Mon, 24 Sep 2012 03:35:21 +0000"."""
    words = re.split(r"[\s,()]+", text.strip(" ,()"))
    numbers = sum(bool(_NUMERIC.fullmatch(word)) for word in words)
    return numbers > 0 and all(w.lower().strip(".") in _CALENDAR or _NUMERIC.fullmatch(w) for w in words)


def is_slug(text: str) -> bool:
    """Whether `text` is words made into a key: "my-first-post"."""
    return bool(_WORDS_JOINED.fullmatch(text.strip()))


def has_underscores(text: str) -> bool:
    """Whether `text` is words with underscores for spaces, as a wiki has in its titles: "Old_harbour"."""
    return bool(_WITH_UNDERSCORES.fullmatch(text.strip()))


def letters(text: str) -> int:
    """About how many letters of prose there are, without tags of HTML."""
    start = text[:SHAPED_CHARS]
    plain = len(_NO_LETTERS.sub("", _TAG.sub("", start)))
    return plain * len(text) // max(len(start), 1)
