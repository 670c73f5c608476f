"""Which of two models knows each row of a table better: both read the same text, and fewer bits win."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .model_rows import open_rows
from .provenance import Provenance
from .source import ALL_ROWS, Selection, Source

if TYPE_CHECKING:
    from llm_nanogpt.loading import OpenedModel


@dataclass(frozen=True)
class ComparedRow:
    """A row, and what it costs each of two models."""

    keys: dict[str, Any]  # the columns of the primary key; empty for a view
    text: str
    bits: tuple[float, float]  # for the whole text
    bytes: tuple[int, int]  # without characters that a character-level tokenizer leaves out
    splits: tuple[str | None, str | None]  # in each model's training, as `Provenance.split_of` returns it

    @property
    def bits_per_byte(self) -> tuple[float, float] | None:
        """None where a model reads no byte of it."""
        (a, b), (a_bytes, b_bytes) = self.bits, self.bytes
        return (a / a_bytes, b / b_bytes) if a_bytes and b_bytes else None

    @property
    def is_fair(self) -> bool:
        """Whether neither model was trained on it, as far as that is known."""
        return "trained" not in self.splits


class Comparison:
    """The sums over rows: all of them, and those that neither model was trained on."""

    def __init__(self) -> None:
        self.all, self.fair = Sums(), Sums()

    def add(self, row: ComparedRow) -> None:
        for sums in (self.all, self.fair) if row.is_fair else (self.all,):
            sums.add(row)


class Sums:
    """Figures of some rows: how many, how many each model knows better, and the bits per byte of each."""

    def __init__(self) -> None:
        self.rows = 0
        self.won, self.bits, self.bytes = [0, 0], [0.0, 0.0], [0, 0]

    def add(self, row: ComparedRow) -> None:
        if not (each := row.bits_per_byte):
            return
        self.rows += 1
        if each[0] != each[1]:
            self.won[each[1] < each[0]] += 1
        for i in (0, 1):
            self.bits[i] += row.bits[i]
            self.bytes[i] += row.bytes[i]

    @property
    def bits_per_byte(self) -> tuple[float, float]:
        return self.bits[0] / max(self.bytes[0], 1), self.bits[1] / max(self.bytes[1], 1)


def open_rows_of_both(
    a: OpenedModel, b: OpenedModel, database: str, table: str, selection: Selection = ALL_ROWS
) -> Source:
    """The rows of a table, as the first of the models that was trained on one of that name reads it. Raises
    InvalidOptions and NanogptError as `open_source` does."""
    for opened in (a, b):
        source = opened.checkpoint.meta.get("source") or {}
        if table in [known.get("table") for known in source.get("tables") or [source]]:
            return open_rows(opened.checkpoint, database, table, selection)
    return open_rows(a.checkpoint, database, table, selection)


def compare_each_row(a: OpenedModel, b: OpenedModel, source: Source) -> Iterator[ComparedRow]:
    """Score each row with both models, in the table's order. Both must have been opened on the CPU."""
    from llm_nanogpt.score import score

    provenances = [Provenance(opened.checkpoint) for opened in (a, b)]
    for keys, text in source.keyed_documents_from_copy():
        of_a, of_b = score(a, text), score(b, text)
        split_a, split_b = (
            provenance.split_of(each.tokens[:-1])
            for provenance, each in zip(provenances, (of_a, of_b), strict=True)
        )
        bits = float(of_a.bits.sum()), float(of_b.bits.sum())
        yield ComparedRow(keys, text, bits, (of_a.bytes, of_b.bytes), (split_a, split_b))
