"""Models as the pages show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from datasette import Forbidden, NotFound, Request
from datasette.app import Datasette
from datasette.utils import tilde_decode

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.home import valid_name

from ..data.corpus import location
from ..registry.db import registry, registry_file
from ..registry.manage import find_checkpoint
from ..registry.metrics import last_sample
from ..training.replaced import score_on
from .permissions import NOWHERE, Actor, Origin, may, origin_of_model, visible_models
from .state import state_of
from .threads import in_thread

LINE = 160  # how many characters of a model's text its card shows
ON_A_PAGE = 50  # how many models: their cards have 30 kB


async def models_as_json(
    datasette: Datasette, actor: Actor, of: Origin | None = None
) -> list[dict[str, Any]]:
    """The models that the actor may see: all of them, or those of one origin."""
    models = []
    for checkpoint, origin in await visible_models(datasette, actor, lambda o: of in (None, o)):
        source, score, verdict = (checkpoint.meta.get(key) or {} for key in ("source", "score", "verdict"))
        models.append(
            {
                "name": checkpoint.name,
                "database": origin.database,
                "table": source.get("table"),
                "rows": source.get("rows"),
                "parameters": checkpoint.config.parameters,
                "val_bpb": score.get("val_bpb"),
                "reads_like": (verdict.get("lines") or {}).get("reads like"),
                "trained": checkpoint.trained or None,
            }
        )
    return models


def newest_first(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Models as JSON, sorted by when they were trained, the last one first."""
    return sorted(models, key=lambda model: model["trained"] or "", reverse=True)


async def last_texts(datasette: Datasette, home: Path, models: list[dict[str, Any]]) -> dict[str, str]:
    """What each of these models wrote last in its last run, by name; without those that wrote nothing."""

    def read() -> dict[str, str]:
        texts: dict[str, str] = {}
        if not registry_file(home).exists():  # the models were put there by hand
            return texts
        with registry(home) as db:
            for model in models:
                served = datasette.databases.get(model["database"])
                if served is None:  # it was detached just now
                    continue
                # Another table's model may have had this name before, and its samples may be private.
                sample = last_sample(db, model["name"], location(str(served.path)), model["table"] or "")
                if sample.strip():
                    texts[model["name"]] = sample.strip()
        return texts

    return await in_thread(read) if models else {}


def first_line(text: str) -> str:
    """The longest of the first six lines of a text, cut at a word."""
    line = max((line.strip() for line in text.strip().split("\n")[:6]), key=len, default="")
    return line if len(line) <= LINE else line[:LINE].rsplit(" ", 1)[0] + " …"


def best_first(models: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Models, the last trained one first, in another order: first those that were scored on the same held-out
    text as the last trained one, with it, by their scores; then the others, as scores on other text say
    nothing."""
    if not models:
        return []
    scores = {model.name: score_on(model.meta, models[0].meta) for model in models}
    return sorted(models, key=lambda model: math.inf if (bpb := scores[model.name]) is None else bpb)


def find_model(home: Path, name: str) -> Checkpoint | None:
    """The model of that name; None if there is none, or if its folder does not load."""
    return find_checkpoint(home / name) if valid_name(name) else None


async def require_model(
    datasette: Datasette, request: Request, write: bool = False
) -> tuple[Checkpoint, Origin]:
    """The model that an address names, and its origin. Raises NotFound if there is none or the actor may not
    see it, and Forbidden if the actor wants to `write` with it and may not."""
    # The name may be percent-encoded or tilde-encoded: no name of a model has a % in it.
    name = unquote(tilde_decode(request.url_vars["model"]))
    checkpoint = await in_thread(find_model, state_of(datasette).home, name)
    origin = checkpoint and origin_of_model(datasette, checkpoint.meta)
    # The same permission is checked for a model that does not exist, so that the two cannot be told apart.
    allowed = await may(datasette, request.actor, "view-table", origin or NOWHERE)
    if not checkpoint or not origin or not allowed:
        raise NotFound("There is no such model")
    if write and not await may(datasette, request.actor, "nanogpt-generate", origin):
        raise Forbidden("Writing with this model needs the permission nanogpt-generate")
    return checkpoint, origin
