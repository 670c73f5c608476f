"""What chat programs write between the messages of people: who joined, who sent a photo, who called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set

from .chat_phrases import LONGEST, MARK, pattern_of
from .column_names import named
from .decode import as_text
from .exclusions import MAX_BY_PROGRAMS, Exclusion, exclusion, is_told, listed
from .sample import Value
from .source import Source
from .speakers import SPEAKERS
from .sqlite import quote
from .values_as_text import read_text

MAX_SHOWN = 3  # of these lines
MIN_ALIKE = 0.5  # the fraction of the rows that say what another one says, but for names and numbers
MIN_NAMES = 2  # of who wrote the other rows, and nobody
_NUMBER = re.compile(r"\d+|[\"'“”«»„]")


def chat_lines(source: Source, of: str) -> Iterator[Exclusion]:
    """Sentences about such rows of the source's sample, with the options that leave them out. `of` says what
    was looked at: "rows"."""
    if len(source.body) != 1 or any(isinstance(row[source.body[0]], bytes) for row in source.sample):
        return
    yield from _known_lines(source, of)
    speakers = named(SPEAKERS, [name for name in source.columns if name not in source.text_columns])
    for speaker in speakers[:1]:
        yield from _about_speakers(source, speaker, of)
        yield from _of_nobody(source, speaker, of)


def _known_lines(source: Source, of: str) -> Iterator[Exclusion]:
    (column,) = source.body
    found = Counter[str]()
    shown: dict[str, str] = {}
    for row in source.sample:
        text = _text(row[column])
        if pattern := pattern_of(text):
            found[pattern] += 1
            shown.setdefault(pattern, read_text(text, source.kinds[column]).text or text)
    if not is_told(source, found.total(), MAX_BY_PROGRAMS):
        return
    examples = ", ".join(f'"{shown[pattern]}"' for pattern, _ in found.most_common(MAX_SHOWN))
    is_marked = any(as_text(row[column]).startswith(MARK) for row in source.sample)
    name = f"ltrim({quote(column)}, char({ord(MARK)}))" if is_marked else quote(column)
    told = f"{found.total():,} {of} are what a chat program says ({examples}). To leave these out"
    likes = " or ".join(f"{name} like {listed([pattern])}" for pattern in sorted(found))
    yield exclusion(source, told, f"not ifnull({likes}, 0)")


def _about_speakers(source: Source, speaker: str, of: str) -> Iterator[Exclusion]:
    """About rows that begin with the name of who is said to have written them, as no one speaks of oneself,
    where several say the same: "Ada hat den Raum betreten", in any language."""
    (column,) = source.body
    rows = [(str(row[speaker] or ""), as_text(row[column])) for row in source.sample]
    about = [(name, text) for name, text in rows if name.strip() and text.startswith(f"{name} ")]
    about = [(name, text) for name, text in about if not pattern_of(text)]
    names, texts = {name for name, _ in rows}, [text for _, text in about]
    if _say_the_same(source, texts, names) and len({name for name, _ in about}) > 1:
        like = f'like the messages of a chat program ("{texts[0]}")'
        told = f"{len(about):,} {of} begin with the name in {speaker}, {like}"
        starts = f"instr({quote(column)}, {quote(speaker)} || ' ')"
        yield exclusion(source, f"{told}. To leave these out", f"ifnull({starts}, 0) <> 1")


def _of_nobody(source: Source, speaker: str, of: str) -> Iterator[Exclusion]:
    """About rows without a name in a chat, where several say the same."""
    (column,) = source.body
    if any(isinstance(row[speaker], int | float) for row in source.sample):
        return
    rows = [(str(row[speaker] or "").strip(), _text(row[column])) for row in source.sample]
    names = {name for name, _ in rows}
    of_nobody = [text for name, text in rows if not name and text and not pattern_of(text)]
    if _say_the_same(source, of_nobody, names) and len(names) > MIN_NAMES:
        shown = of_nobody[0][:LONGEST]
        told = f'{len(of_nobody):,} {of} have no {speaker}, like the messages of a chat program ("{shown}")'
        yield exclusion(source, f"{told}. To leave these out", f"ifnull({quote(speaker)}, '') <> ''")


def _say_the_same(source: Source, texts: Sequence[str], names: Set[str]) -> bool:
    """Whether these are some of the rows, and most of them say what another one says of other people."""
    said = Counter(_without_names(text, names) for text in texts)
    alike = sum(count for count in said.values() if count > 1)
    return is_told(source, len(texts), MAX_BY_PROGRAMS) and alike >= MIN_ALIKE * len(texts)


def _without_names(text: str, names: Set[str]) -> str:
    """What is the same where a program says something of several people."""
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = text.replace(name, "")
    return " ".join(_NUMBER.sub("", text).split())


def _text(value: Value) -> str:
    return as_text(value).strip().lstrip(MARK)
