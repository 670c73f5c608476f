"""How well a model predicts texts that exist: bits per byte, document by document, token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .generate import Opened
from .sampler import log_softmax
from .tokenizer import EOT, Tokenizer


@dataclass(frozen=True)
class Score:
    """What one document cost the model. Its <|endoftext|> is among the tokens."""

    tokens: list[int]
    bits: np.ndarray  # one for each of `tokens`
    bytes: int  # of UTF-8, without characters that a character-level tokenizer leaves out

    @property
    def bits_per_byte(self) -> float | None:
        """None for a document without a byte."""
        return float(self.bits.sum()) / self.bytes if self.bytes else None

    def told(self) -> dict[str, Any]:
        """The figures of a document."""
        return {"bits_per_byte": self.bits_per_byte, "bytes": self.bytes, "tokens": len(self.tokens)}

    def pairs(self, tokenizer: Tokenizer) -> list[tuple[str, float]]:
        """Each token as text, and its bits."""
        texts = (tokenizer.decode([token]) or EOT for token in self.tokens)
        return [(text, round(float(bits), 3)) for text, bits in zip(texts, self.bits, strict=True)]


class Totals:
    """Bits per byte over many documents, by kind."""

    def __init__(self):
        self.kinds: dict[str | None, list[float]] = {}  # documents, bits, bytes

    def add(self, kind: str | None, found: Score) -> None:
        total = self.kinds.setdefault(kind, [0, 0.0, 0])
        total[:] = total[0] + 1, total[1] + float(found.bits.sum()), total[2] + found.bytes

    def told(self) -> dict[str | None, dict[str, Any]]:
        """The figures of each kind; bits per byte are None where there is no byte."""
        return {
            kind: {"rows": rows, "bits_per_byte": bits / size if size else None, "bytes": size}
            for kind, (rows, bits, size) in self.kinds.items()
        }


def score(opened: Opened, text: str) -> Score:
    """Score a document, which starts after <|endoftext|> and ends in one, as in training.

    A token of a document longer than the context is predicted from at least half a context before it.
    Opened on the CPU: this takes `gpt_numpy`.
    """
    model, tokenizer = opened.model, opened.tokenizer
    block, cache = model.config.block_size, model.new_cache()
    ids = [*tokenizer.start(model.config.vocab_size), *tokenizer.encode(text)]
    if tokenizer.eot < model.config.vocab_size:
        ids.append(tokenizer.eot)
    bits = np.empty(len(ids) - 1)
    done = 0  # predictions made; number i is of ids[i + 1]
    while done < len(bits):
        begin = max(0, done - block // 2)
        end = min(len(bits), begin + block)
        odds = log_softmax(model.all_logits(ids[begin:end], cache, 0, done - begin))  # (T, V)
        bits[done:end] = -odds[np.arange(end - done), ids[done + 1 : end + 1]] / math.log(2)
        done = end
    return Score(ids[1:], bits, sum(len(tokenizer.token_bytes(token)) for token in ids[1:]))
