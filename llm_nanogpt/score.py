"""How well a model predicts texts that exist: bits per byte, document by document, token by token."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .checkpoint import Checkpoint
from .errors import NanogptError
from .generate import Opened
from .sampler import log_softmax
from .tokenizer import EOT, Tokenizer

if TYPE_CHECKING:
    from datasette_nanogpt.source import Source


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


def open_rows(
    checkpoint: Checkpoint,
    database: str,
    table: str,
    *,
    title: str | None = None,
    body: Sequence[str] = (),
    where: str | None = None,
) -> Source:
    """The rows of a table, as `datasette nanogpt-train` reads them: in the columns the model was trained on,
    if it was trained on a table of that name."""
    # Rows need the other package: what their text is, and which were held out, is decided there alone.
    from datasette_nanogpt.source import open_source

    learnt = checkpoint.meta.get("source") or {}
    for known in learnt.get("tables", [learnt]):
        if known.get("table") == table and title is None and not body:
            found = open_source(database, table, title=known["title"] or "", body=known["body"], where=where)
            # What was HTML then is not for a sample of other rows to decide.
            return replace(found, is_html=frozenset(known.get("html") or ()))
    return open_source(database, table, title=title, body=tuple(body), where=where)


class ScoreTable:
    """A table of scores beside the rows they are of, under the same primary key.

    Raises NanogptError for a view, whose rows have no key, and where a table of that name holds other things.
    """

    def __init__(self, source: Source, name: str):
        from sqlite_utils import Database

        self.source, self.name, self.db = source, name, Database(source.database)
        if not source.keys:
            raise NanogptError(f"{source.table} is a view: its rows have no key to save scores under")
        columns = self.db[name].columns_dict
        figures = {"bits_per_byte", "bytes", "tokens", "model"}
        if taken := {"seen", *figures} & {key.lower() for key in source.keys}:
            raise NanogptError(
                f"{source.table} has a key named {', '.join(sorted(taken))}, as a score is: "
                "its scores cannot stand under that key, leave out --save-table"
            )
        if columns and columns.keys() - {"seen"} != {*source.keys, *figures}:
            raise NanogptError(f"The table {name!r} is of something else: choose another name")

    def save(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write all scores in one transaction. Rows that were scored before are replaced."""
        keys = self.source.keys
        linked = [(keys[0], self.source.table, keys[0])] if len(keys) == 1 and keys[0] != "rowid" else []
        try:
            with self.db.conn:
                self.db[self.name].insert_all(rows, pk=keys, replace=True, foreign_keys=linked, alter=True)
        except sqlite3.Error as ex:
            raise NanogptError(f"Cannot write {self.name} in {self.source.database}: {ex}") from ex
