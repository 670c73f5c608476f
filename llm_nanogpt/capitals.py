"""A prompt in capitals, as the model reads it: in small letters, where the rows of its table are in them.

A model has hardly seen the tokens of "PUMPKIN", and goes on as if it had read signs. It has seen those of
"HTML", so what the table has in capitals stays. LOG.md, "Prompts in capitals".
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import regex

from .sampler import log_softmax
from .words import WORD, WordList, is_in_capitals

if TYPE_CHECKING:
    from .language_model import LanguageModel
    from .tokenizer import Tokenizer

_LINE = regex.compile(r"[^\n]+")
# What stands before the first word of a line or sentence, in so many characters at most.
SIGNS = 8
_BEGIN = regex.compile(r"(?:\A|[.!?])[^\p{L}\p{N}]*\Z")


def as_read(prompt: str, tokenizer: Tokenizer, model: LanguageModel) -> str:
    """`prompt` in small letters, if the model holds the first word that changes likelier so: in a table with
    titles in capitals it does not. Every character stays where it is."""
    words = tokenizer.words
    small = _in_small_letters(prompt, words, tokenizer) if words and words.capitals else prompt
    if small == prompt:
        return prompt
    changed = next(i for i, (typed, read) in enumerate(zip(prompt, small, strict=True)) if typed != read)
    word = next(match for match in WORD.finditer(prompt) if match.end() > changed)
    begin = word.start() - prompt.endswith(" ", 0, word.start())
    context = [*tokenizer.start(model.config.vocab_size), *tokenizer.encode(prompt[:begin])]
    as_typed, in_small = (tokenizer.encode(text[begin : word.end()]) for text in (prompt, small))
    return small if _likelier(in_small, as_typed, context, model) else prompt


def _in_small_letters(text: str, known: WordList, tokenizer: Tokenizer) -> str:
    """`text` with those lines in small letters that are all in capitals and have a word that the table has
    not in capitals."""

    @cache  # a long text has the same words again
    def tokens(word: str) -> int:
        return len(tokenizer.encode(word))

    def small_line(match: regex.Match[str]) -> str:
        line: str = match[0]
        words = filter(is_in_capitals, WORD.findall(line)) if line.isupper() else ()
        return line if all(map(known.knows, words)) else WORD.sub(small_word, line)

    def small_word(match: regex.Match[str]) -> str:
        word: str = match[0]
        small = known.fold(word)
        line, start = match.string, match.start()
        if not is_in_capitals(word) or [len(c.encode()) for c in small] != [len(c.encode()) for c in word]:
            return word
        space = " " * line.endswith(" ", 0, start)
        # What needs no more tokens in capitals is as frequent so: "SQL".
        if known.knows(word) and tokens(space + word) <= tokens(space + small):
            return word
        begins = _BEGIN.search(line, max(0, start - SIGNS), start)
        return word[0] + small[1:] if begins else small

    return _LINE.sub(small_line, text)


def _likelier(ids: list[int], others: list[int], context: list[int], model: LanguageModel) -> bool:
    """Whether a text goes on from `context` with `ids` rather than with `others`."""
    cache, block_size = model.new_cache(), model.config.block_size
    places = block_size - max(len(ids), len(others))
    if places < 1:
        return False
    context = context[-places:]
    first = model.logits(context, cache)
    totals = []
    for each in (ids, others):
        total, logits = 0.0, first
        for i, token in enumerate(each):
            total += float(log_softmax(logits)[token])
            if i + 1 < len(each):
                logits = model.logits([token], cache, len(context) + i)
        totals.append(total)
    return math.isfinite(totals[0]) and totals[0] > totals[1]
