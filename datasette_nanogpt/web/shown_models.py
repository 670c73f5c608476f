"""Models as the pages show them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from datasette.app import Datasette

from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import valid_name

from .permissions import Actor, Origin, visible_models


async def models_as_json(
    datasette: Datasette, actor: Actor, of: Origin | None = None
) -> list[dict[str, Any]]:
    """The models that the actor may see, those of one origin or all."""
    models = []
    for checkpoint, origin in await visible_models(datasette, actor, lambda o: of in (None, o)):
        source, score = (checkpoint.meta.get(key) or {} for key in ("source", "score"))
        models.append(
            {
                "name": checkpoint.name,
                "database": origin.database,
                "table": source.get("table"),
                "rows": source.get("rows"),
                "parameters": checkpoint.config.parameters,
                "val_bpb": score.get("val_bpb"),
                "trained": (checkpoint.meta.get("training") or {}).get("updated"),
            }
        )
    return models


def find_model(home: Path, name: str) -> Checkpoint | None:
    """The model of that name; None where there is none, or its folder does not load."""
    with suppress(NanogptError):
        return read_checkpoint(home / name) if valid_name(name) else None
    return None
