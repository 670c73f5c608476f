"""What a run can be asked for: the Python twin of the command line.

This is what nanoGPT's configurator.py is there: the one place that knows the options and their defaults.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrainOptions:
    """What can be asked for; None is "choose for me". Names and meanings are those of the command line."""

    database: str  # path or URL
    table: str | tuple[str, ...] = ()  # one or several; none with `sql`
    title: str | None = None
    body: tuple[str, ...] = ()
    where: str | None = None
    sql: str | None = None
    token: str | None = None
    refresh: bool = False
    no_cache: bool = False
    name: str | None = None
    force: bool = False
    resume: bool = False
    minutes: float | None = None
    max_iters: int | None = None
    arch: str | None = None
    tokenizer: str | None = None
    vocab_size: int | None = None
    size: str | None = None
    n_layer: int | None = None
    n_head: int | None = None
    n_embd: int | None = None
    block_size: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    dropout: float | None = None
    eval_interval: int | None = None
    device: str | None = None
    compile: bool | None = None
    seed: int | None = None
    max_parameters: int | None = None  # a server's limit, no option of the command line

    @property
    def model_name(self) -> str:
        return self.name or "nanogpt-" + Path(self.database).stem

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.table,) if isinstance(self.table, str) else tuple(self.table)

    def given(self) -> dict[str, Any]:
        """The options that are not left to us, but for the token: this is written to disk."""
        given = {k: v for k, v in asdict(self).items() if v not in (None, (), False)}
        given |= {"compile": False} if self.compile is False else {}  # which was asked for
        return {k: v for k, v in given.items() if k not in ("token", "max_parameters")}
