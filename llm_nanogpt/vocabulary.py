"""What following a text takes of its tokenizer, `tokenizer.py`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


class Vocabulary(Hashable, Protocol):
    """Its tokens, and of which kinds they are, (n_vocab,) of bool."""

    eot: int
    n_vocab: int
    is_char: bool

    def encode(self, text: str) -> list[int]: ...

    def token_bytes(self, token: int) -> bytes: ...

    @property
    def texts(self) -> list[str]:  # of each id; U+FFFD stands for a part of a character
        ...

    @property
    def numbers(self) -> np.ndarray:  # ids, sorted (n,)
        ...

    @property
    def signs(self) -> np.ndarray: ...

    @property
    def unbroken(self) -> np.ndarray: ...

    @property
    def line_breaks(self) -> np.ndarray:  # ids, sorted (n,)
        ...

    @property
    def begins_with_letter(self) -> np.ndarray: ...

    @property
    def begin_words(self) -> np.ndarray: ...


def ids_where(tokenizer: Vocabulary, is_such: Callable[[str], object]) -> np.ndarray:
    """Ids of the tokens of whose text `is_such` is true, (n,). U+FFFD stands for a part of a character."""
    import numpy as np

    return np.array([i for i, text in enumerate(tokenizer.texts) if is_such(text)], np.intp)
