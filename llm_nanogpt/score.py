"""How well a model predicts texts that exist: bits per byte, document by document, token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import NanogptError
from .generate import DAMAGED
from .gpt_numpy import GPT
from .loading import OpenedModel
from .sampler import log_softmax
from .titles import Titles
from .tokenizer import EOT, Tokenizer


@dataclass(frozen=True)
class Score:
    """What one document cost the model. Its <|endoftext|> is among the tokens."""

    tokens: list[int]
    bits: np.ndarray  # (len(tokens),) float64: -log2 of each token's probability
    bytes: int  # of UTF-8, without characters that a character-level tokenizer leaves out
    # For each token, the likeliest tokens at its place and their bits.
    likely: list[list[tuple[int, float]]] = field(default_factory=list)

    @property
    def bits_per_byte(self) -> float | None:
        """None for a document without a byte."""
        return float(self.bits.sum()) / self.bytes if self.bytes else None

    def as_json(self) -> dict[str, Any]:
        """The figures of a document."""
        return {"bits_per_byte": self.bits_per_byte, "bytes": self.bytes, "tokens": len(self.tokens)}

    def pairs(self, tokenizer: Tokenizer) -> list[tuple[str, float]]:
        """Each token as text, and its bits."""
        texts = (tokenizer.decode([token]) or EOT for token in self.tokens)
        return [(text, round(float(bits), 3)) for text, bits in zip(texts, self.bits, strict=True)]


class Totals:
    """Bits per byte over many documents, by kind."""

    def __init__(self) -> None:
        self.kinds: dict[str | None, list[float]] = {}  # documents, bits, bytes

    def add(self, kind: str | None, document: Score) -> None:
        total = self.kinds.setdefault(kind, [0, 0.0, 0])
        total[:] = total[0] + 1, total[1] + float(document.bits.sum()), total[2] + document.bytes

    def as_json(self) -> dict[str | None, dict[str, Any]]:
        """The figures of each kind; bits per byte are None where there is no byte."""
        return {
            kind: {"rows": rows, "bits_per_byte": bits / size if size else None, "bytes": size}
            for kind, (rows, bits, size) in self.kinds.items()
        }


def score(opened: OpenedModel, text: str, likely: int = 0) -> Score:
    """Score a document, which starts after <|endoftext|> and ends in one, as in training.

    A token of a document longer than the context is predicted from at least half a context before it, and
    from the title, if the model knows titles. With `likely`, that many of the likeliest tokens are kept for
    each place.
    Raises TypeError for a model that was not opened on the CPU.
    """
    model, tokenizer = opened.model, opened.tokenizer
    if not isinstance(model, GPT):
        raise TypeError('score() needs the logits of every token: open the model with device "cpu"')
    block_size, cache = model.config.block_size, model.new_cache()
    ids = [*tokenizer.start(model.config.vocab_size), *tokenizer.encode(text)]
    if tokenizer.eot < model.config.vocab_size:
        ids.append(tokenizer.eot)
    head = Titles(tokenizer, model.config).head(ids).tolist() if model.config.titles else []
    bits = np.empty(len(ids) - 1)
    others: list[list[tuple[int, float]]] = []
    done = 0  # predictions made; number i is of ids[i + 1]
    while done < len(bits):
        begin = max(0, done - block_size // 2)
        title = head if begin >= len(head) else []
        end = min(len(bits), begin + block_size - len(title))
        window = [*title, *ids[begin:end]]
        logits = model.all_logits(window, cache, 0, len(title) + done - begin)  # (T, V)
        if not np.isfinite(logits.max(axis=-1)).all():
            raise NanogptError(DAMAGED)
        logprobs = log_softmax(logits)
        bits[done:end] = -logprobs[np.arange(end - done), ids[done + 1 : end + 1]] / math.log(2)
        if likely:
            others += [_likeliest(row, likely) for row in logprobs]
        done = end
    return Score(ids[1:], bits, sum(len(tokenizer.token_bytes(token)) for token in ids[1:]), others)


def _likeliest(logprobs: np.ndarray, count: int) -> list[tuple[int, float]]:
    """The `count` likeliest tokens of (V,) natural logarithms, the likeliest first, with their bits."""
    best = np.argpartition(-logprobs, min(count, len(logprobs) - 1))[:count]
    best = best[np.argsort(-logprobs[best], kind="stable")]
    return [(int(token), float(-logprobs[token]) / math.log(2)) for token in best]
