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
    """(3, size): which tokens have a blank line in them, end in a line break, begin with one. Kept from one
    text to the next: it takes 5 ms."""
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
        in_next = first[1 : at + 1] == self.tokenizer.eot  # the document ends before that
        return first[: at + 1] if blank[at] and not in_next.any() else first[:0]


def with_title(title: str, text: str) -> str:
    """The document of that title, on one line, and `text`; only `text` where the title is empty."""
    title = " ".join(title.split())
    return f"{title}\n\n{text}" if title else text


def split_title(text: str) -> tuple[str, str]:
    """The title and the rest of a text whose first line is followed by a blank line; else "" and the text."""
    title, blank, rest = text.partition("\n\n")
    return (title, rest) if blank and title.strip() and "\n" not in title else ("", text)
