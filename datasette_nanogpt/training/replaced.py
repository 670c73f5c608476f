"""The model that a run replaces: what it was, whether it was better, and that it can be brought back.

Two models can only be compared on the same held-out text. The new model takes the place of the old one at its
first score; the old one is kept for `llm nanogpt restore`, unless the one kept before is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_nanogpt.change_steps import replaced
from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.listing import megabytes, size_on_disk, to_the_minute

from ..registry.manage import find_checkpoint


@dataclass(frozen=True)
class Replaced:
    """What a run with a new model is about to replace."""

    summary: str  # "577 rows, 1.878 bits per byte, trained 2026-11-26"
    val_bpb: float | None  # score of the model that will be kept; None: it had other held-out text
    bytes: int  # size on disk of the model that will be kept
    keep: bool  # whether the replaced model is kept, rather than the better one that is kept already
    kept: str  # the model that will be kept, in words that tell the two apart: its score, when it was trained
    deleted: str | None  # the same of the other one, if there are two: only one is kept

    def as_plan(self) -> dict[str, Any]:
        """The fields of `events.Prepared` that say this."""
        return {
            "replaces": self.summary,
            "replaces_bpb": self.val_bpb,
            "kept_bytes": self.bytes,
            "kept": self.kept,
            "deleted": self.deleted,
            "keeps_older": not self.keep,
        }


def find_replaced(final: Path, meta: dict[str, Any]) -> Replaced | None:
    """The model in the folder `final`, for a run whose nanogpt.json will be `meta`. None if there is none."""
    if not final.exists():
        return None
    last, before = find_checkpoint(final), find_checkpoint(replaced(final))
    last_bpb, before_bpb = (score_on(each.meta, meta) if each else None for each in (last, before))
    keep = before_bpb is None or (last_bpb is not None and last_bpb <= before_bpb)
    last_words, before_words = _words(last, last_bpb), _words(before, before_bpb)
    other = replaced(final).exists()
    return Replaced(
        last.summary if last else "a folder that holds no model that can be opened",
        last_bpb if keep else before_bpb,
        size_on_disk(final if keep else replaced(final)),
        keep,
        last_words if keep else before_words,
        (before_words if keep else last_words) if other else None,
    )


def _words(model: Checkpoint | None, bpb: float | None) -> str:
    """What tells a model from another of the same name, where `bpb` is its score if that can be compared.
    The other may be a model of a table that not everybody may see, so this says no more."""
    if model is None:
        return "a folder that holds no model that can be opened"
    facts = [f"{bpb:.3f} bits per byte"] if bpb is not None else []
    facts += [f"trained {to_the_minute(model.trained)} UTC"] if model.trained else []
    return ", ".join(facts) or "of unknown score"


def what_is_kept(plan: Mapping[str, Any]) -> list[str]:
    """What happens at the first score of a run to the model whose name it takes, in sentences: which model is
    kept and which is deleted. `plan` is an `events.Prepared`, as the registry keeps it. Empty if there is no
    such model."""
    if not plan.get("replaces") or not plan.get("kept"):  # an older version has noted no more
        return []
    name, size = plan["name"], megabytes(plan["kept_bytes"] or 0)
    restore = f"({size}): `llm nanogpt restore {name}` brings it back."
    if not plan["deleted"]:
        return [f"The present model is kept {restore}"]
    if plan["keeps_older"]:
        return [
            f"The present model ({plan['deleted']}) is then deleted: only one is kept, and the older one, "
            f"which it had replaced, has the best score on this run's held-out text ({plan['kept']}).",
            f"That older one stays {restore}",
            "To keep both, use another --name.",
        ]
    return [
        f"The present model ({plan['kept']}) is kept {restore}",
        f"The older one, which it had replaced ({plan['deleted']}), is then deleted: only one is kept. "
        "To keep both, use another --name.",
    ]


def kept_if_trained_again(final: Path) -> list[str]:
    """`what_is_kept` if the model in the folder `final` is replaced by one of the same rows; empty where it
    has replaced none, so that nothing would be deleted."""
    return kept_at_first_score(final) if replaced(final).exists() else []


def kept_at_first_score(final: Path) -> list[str]:
    """`what_is_kept` if the model in the folder `final` is replaced by one of the same rows; empty if there
    is none."""
    model = find_checkpoint(final)
    plan = find_replaced(final, model.meta) if model else None
    return what_is_kept({"name": final.name} | plan.as_plan()) if plan else []


def score_on(theirs: dict[str, Any], ours: dict[str, Any]) -> float | None:
    """Bits per byte of a model on our held-out text; None if it had another. Each is a nanogpt.json."""

    def held_out(meta: dict[str, Any]) -> tuple[Any, ...]:
        corpus, options = meta.get("corpus") or {}, meta.get("options") or {}
        return corpus.get("sha256"), corpus.get("val_documents"), options.get("seed") or 0

    text = held_out(theirs)
    return (theirs.get("score") or {}).get("val_bpb") if text[0] and text == held_out(ours) else None


def describe_better(val_bpb: float, name: str) -> str:
    """The message for a run that replaced a better model."""
    return (
        f"a model that was better on the same held-out text, {val_bpb:.4f} bits per byte: "
        f"`llm nanogpt restore {name}` brings it back"
    )
