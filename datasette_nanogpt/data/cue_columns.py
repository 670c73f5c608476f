"""Whether rows are cues of subtitles or of a transcript: by the columns beside the text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .column_content import Column
from .column_names import words_of
from .markup import OF_WHOLE_TEXTS
from .parts_of_texts import ENDS, numbers_of
from .subtitles import has_signs

# Words in the name of a column that says when a cue starts; ENDS has those for its end.
_STARTS = frozenset(["start", "starts", "begin", "from", "in", "offset", "onset"])
_OF_PAGES = re.compile(r"<(?:p|div|a|ul|ol|li|h[1-6]|img|table|blockquote|pre)\b", re.IGNORECASE)


def is_of_cues(text: Column, columns: Sequence[Column]) -> bool:
    """Whether columns say when each row starts and when it ends, and some of its texts have the marks of
    subtitles, but none those of a web page."""
    if text.kind.is_embedded or text.kind.markup in OF_WHOLE_TEXTS or not any(map(has_signs, text.texts)):
        return False
    if any(map(_OF_PAGES.search, text.texts)):
        return False
    times = [{*words_of(column.name)} for column in columns if column is not text and _is_time(column)]
    return any(words & _STARTS for words in times) and any(words & ENDS for words in times)


def _is_time(column: Column) -> bool:
    """Whether a column has numbers that differ."""
    return len(set(numbers_of(column.values))) > 1
