"""Titles, which keep a long text on its subject when its beginning no longer fits into the context.

A document of a table with titles is a title, a blank line, and the rest. In training, windows that begin in
the middle of a document have its title before them (`GPTConfig.titles`). So a long text is read and written
with `<|endoftext|>`, the title and the blank line before the part that is still in the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .config import GPTConfig
from .tokenizer import Tokenizer

# A title with its blank line may take 1/8 of the context at most: the rest of a window is shorter by as much.
LONGEST_FRACTION = 8
BLANK_LINE = b"\n\n"


@lru_cache(4)
def break_kinds(tokenizer: Tokenizer, size: int) -> np.ndarray:
    """Which tokens have a blank line in them, which end in a line break, and which begin with one: (3, size)
    bool. Cached, as it takes 5 ms, which is much for a short text."""
    tokens = [tokenizer.token_bytes(i) for i in range(size)]
    kinds = ((BLANK_LINE in t, t.endswith(b"\n"), t.startswith(b"\n")) for t in tokens)
    return np.array([*kinds]).T


class Titles:
    """Finds the title of a document in its ids."""

    def __init__(self, tokenizer: Tokenizer, config: GPTConfig) -> None:
        self.tokenizer, self.config = tokenizer, config
        self.longest = config.block_size // LONGEST_FRACTION  # tokens, with <|endoftext|> and the blank line

    def head(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """The beginning of `ids`, a document with the `<|endoftext|>` before it, up to and with its first
        blank line; no ids where there is none near enough."""
        first = np.asarray(ids[: self.longest], dtype=np.int64)
        if len(first) < 3 or first[0] != self.tokenizer.eot:
            return first[:0]
        size = max(self.tokenizer.n_vocab, self.config.vocab_size)
        blank, ends, begins = break_kinds(self.tokenizer, size)[:, first]
        blank[1:] |= ends[:-1] & begins[1:]
        at = int(blank.argmax())
        ends_before = (first[1 : at + 1] == self.tokenizer.eot).any()  # the document, so it has no such line
        return first[: at + 1] if blank[at] and not ends_before else first[:0]


def with_title(title: str, text: str) -> str:
    """The document of that title, on one line, and `text`; only `text` where the title is empty."""
    title = " ".join(title.split())
    return f"{title}\n\n{text}" if title else text


def split_title(text: str) -> tuple[str, str]:
    """The title and the rest of a text whose first line is followed by a blank line; else "" and the text."""
    title, blank, rest = text.partition("\n\n")
    return (title, rest) if blank and title.strip() and "\n" not in title else ("", text)
