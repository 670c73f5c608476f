"""A text that is written keeps to what the rows of its table have: their words, and their habits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .apostrophes import Apostrophes
from .speller import Speller
from .words import MARK, ends_in_character

if TYPE_CHECKING:
    from .tokenizer import Tokenizer


class LikeRows:
    """Follows a text that goes on from `prompt`, token by token.

    Where `real_words` is false, or nothing is known of the rows, all tokens are accepted but marks where none
    was typed.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: str, real_words: bool) -> None:
        self._tokenizer, words = tokenizer, tokenizer.words if real_words else None
        self._speller = Speller(words, prompt) if words else None
        self._apostrophes: Apostrophes | None = None
        if words and words.joined is not None:
            self._apostrophes = Apostrophes(words, words.joined, prompt)
        followers = tokenizer.habits.followers(tokenizer, prompt) if real_words else []
        # Found once: to find a method in ten classes in turn, for each token, takes longer than calling it.
        self._add_to_each = [follower.add for follower in followers]
        self._penalise_by_each = [follower.penalise for follower in followers]
        # The bytes of the first character after a prompt that ends in a script without spaces: no mark that
        # was not typed is put on that prompt. None once the character is whole.
        self._begun = b"" if ends_in_character(prompt) else None

    def add(self, piece: bytes, text: str) -> None:
        """The next token's bytes, and the characters that are whole with them."""
        if self._speller:
            self._speller.add(piece)
        if self._apostrophes:
            self._apostrophes.add(piece)
        for add in self._add_to_each:
            add(text)
        if self._begun is not None:
            self._begun += piece
            self._begun = None if self._begun.decode("utf-8", "ignore") else self._begun

    def accepts(self, token: int, given: int = 0) -> bool:
        """Whether a token keeps the words real. The prompt has its first `given` bytes already."""
        # The end of the text ends a word, too.
        piece = b" " if token == self._tokenizer.eot else self._tokenizer.token_bytes(token)[given:]
        if self._begun is not None and MARK.match((self._begun + piece).decode("utf-8", "ignore")):
            return False
        if self._apostrophes and not self._apostrophes.accepts(piece):
            return False
        return self._speller is None or self._speller.accepts(piece)

    def possible(self) -> np.ndarray | None:
        """Which tokens can be accepted, by what they begin with, (n_vocab,) of bool; None where any may."""
        characters = self._speller.next_characters() if self._speller else None
        if characters is None:
            return None
        tokens, possible = self._tokenizer.by_first_character, np.zeros(self._tokenizer.n_vocab, bool)
        for first in tokens.keys() & {"", *characters}:  # six times as fast as isin() of all tokens
            possible[tokens[first]] = True
        return possible

    def penalise(self, logits: np.ndarray) -> None:
        """Make what is unlike the rows less likely, in `logits` (V,) of the next token."""
        for penalise in self._penalise_by_each:
            penalise(logits)
