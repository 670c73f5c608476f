"""How much each token of a text surprised the model, and what else it held likely there."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator
from typing import NamedTuple

from .generate import Continuation
from .score import Score
from .tokenizer import EOT, Tokenizer

LIKELY = 4  # how many likely tokens are reported for each place


class Surprise(NamedTuple):
    """One token. As JSON it is a list."""

    end: int  # characters of the text up to and with it
    bits: float  # -log2 of its probability, before temperature and the other settings
    likely: list[tuple[str, float]]  # the likeliest tokens there, and the probability of each


def surprise_of_writing(run: Continuation, since: int = 0) -> list[Surprise]:
    """The tokens that were written from number `since` on, where `logprobs` were asked for."""
    written = zip(run.ends[since:], (run.logprobs or [])[since:], strict=False)
    return [
        Surprise(
            end,
            _round(-entry["logprob"] / math.log(2)),
            [(token or EOT, round(math.exp(logprob), 4)) for token, logprob in entry["top"]],
        )
        for end, entry in written
    ]


def surprise_of_text(score: Score, tokenizer: Tokenizer) -> list[Surprise]:
    """The tokens of a text that was scored with `likely`, but for the <|endoftext|> after it."""
    tokens = [token for token in score.tokens if token != tokenizer.eot]
    ends = _ends(tokens, tokenizer)
    return [
        Surprise(
            end,
            _round(float(bits)),
            [(tokenizer.decode([token]) or EOT, round(2**-cost, 4)) for token, cost in likely],
        )
        for end, bits, likely in zip(ends, score.bits, score.likely, strict=False)
    ]


def _ends(tokens: list[int], tokenizer: Tokenizer) -> Iterator[int]:
    """After each token, how many characters there are. One that is cut in two counts where it is complete."""
    decoder, characters = codecs.getincrementaldecoder("utf-8")("ignore"), 0
    for token in tokens:
        characters += len(decoder.decode(tokenizer.token_bytes(token)))
        yield characters


def _round(bits: float) -> float:
    return max(0.0, round(bits, 2))
