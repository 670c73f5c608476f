"""The model that a run replaces: what it was, whether it was better, and that it can be brought back.

Two models can only be compared on the same held-out text. The new model takes the place of the old one at its
first score; the old one is kept for `llm nanogpt restore`, unless the one kept before is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_nanogpt.changes import replaced
from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.listing import size_on_disk


@dataclass(frozen=True)
class Replaced:
    """What a run with a new model is about to replace."""

    summary: str  # "577 rows, 1.878 bits per byte, trained 2026-11-26"
    val_bpb: float | None  # score of the model that will be kept; None: it had other held-out text
    bytes: int  # size on disk of the model that will be kept
    keep: bool  # whether the replaced model is kept, rather than the better one that is kept already


def look_at(final: Path, meta: dict[str, Any]) -> Replaced | None:
    """The model in the folder `final`, for a run whose nanogpt.json will be `meta`. None if there is none."""
    if not final.exists():
        return None
    last, before = _read(final), _read(replaced(final))
    last_bpb, before_bpb = (score_on(each.meta, meta) if each else None for each in (last, before))
    keep = before_bpb is None or (last_bpb is not None and last_bpb <= before_bpb)
    return Replaced(
        last.summary if last else "a folder that does not load",
        last_bpb if keep else before_bpb,
        size_on_disk(final if keep else replaced(final)),
        keep,
    )


def score_on(theirs: dict[str, Any], ours: dict[str, Any]) -> float | None:
    """Bits per byte of a model if it had the same held-out text as ours, else None. Both arguments are a
    nanogpt.json."""

    def held_out(meta: dict[str, Any]) -> tuple[Any, ...]:
        corpus, options = meta.get("corpus") or {}, meta.get("options") or {}
        return corpus.get("sha256"), corpus.get("val_documents"), options.get("seed") or 0

    text = held_out(theirs)
    return (theirs.get("score") or {}).get("val_bpb") if text[0] and text == held_out(ours) else None


def _read(folder: Path) -> Checkpoint | None:
    try:
        return read_checkpoint(folder)
    except NanogptError:
        return None


def better_before(val_bpb: float, name: str) -> str:
    """The message for a run that replaced a better model."""
    return (
        f"a model that was better on the same held-out text, {val_bpb:.4f} bits per byte: "
        f"`llm nanogpt restore {name}` brings it back"
    )
