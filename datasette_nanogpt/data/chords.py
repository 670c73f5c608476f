"""Songs with chords within their lines, as ChordPro and Ultimate Guitar write them, without the chords.

Chords on lines of their own stay: they can be read, and cut no words.
"""

from __future__ import annotations

import re

_KIND = r"(?:maj|min|dim|aug|sus|add|m|M|\+|\u00b0|\u00f8)"
_CHORD = rf"[A-G][#b\u266f\u266d]?{_KIND}?\d{{0,2}}(?:{_KIND}|[#b]?\d{{1,2}})*(?:/[A-G][#b\u266f\u266d]?)?"
_INLINE = re.compile(rf"\[(?:{_CHORD}|N\.?C\.?)\*?\][ \t]?(?=\[)|\[(?:{_CHORD}|N\.?C\.?)\*?\]")
# A chord beside a word that is more than a letter: "[A]nd so" is how editors change a capital.
_SUNG = re.compile(rf"\[(?!.\]){_CHORD}\](?=[^\W\d_])|(?<=[^\W\d_])\[(?!.\]){_CHORD}\]")
MIN_SUNG = 2  # in a text
_TAGGED = re.compile(r"\[/?(?:ch|tab)\]")
_TAGGED_CHORD = re.compile(rf"\[ch\]{_CHORD}\[/ch\]")
_COMMENT = re.compile(r"^[ \t]*\{(?:c|comment|ci|cb|highlight):[ \t]*([^{}\n]*)\}[ \t]*$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*\{[a-z][\w-]*(?::[^{}\n]*)?\}[ \t]*\n?", re.MULTILINE)


def has_chords(text: str) -> bool:
    return len(_SUNG.findall(text)) >= MIN_SUNG or bool(_TAGGED_CHORD.search(text))


def without_chords(text: str) -> str:
    """The words, without lines that had only chords in brackets, and without ChordPro's directives."""
    if not has_chords(text):
        return text
    lines = _DIRECTIVE.sub("", _COMMENT.sub(r"\1", _TAGGED.sub("", text))).split("\n")
    sung = [(line, _INLINE.sub("", line)) for line in lines]
    return "\n".join(words.rstrip() for line, words in sung if words.strip() or not line.strip())
