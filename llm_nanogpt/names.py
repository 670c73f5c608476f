"""Names that llm already uses for something else."""

from __future__ import annotations

import llm

from .errors import NanogptError
from .llm_model import NanoGPT


def check_free(name: str) -> None:
    """Raise NanogptError if a model cannot be called `name`.

    That is where llm knows it as another plugin's model, which ours would hide, or as an alias of one of
    ours, which would hide it.
    """
    for known in llm.get_models_with_aliases():
        ours, model_id = isinstance(known.model, NanoGPT), known.model.model_id
        if ours and name in known.aliases:
            raise NanogptError(
                f"{name!r} is an alias of {model_id}: choose another name, "
                f"or type `llm aliases remove {name}`"
            )
        if not ours and name in (model_id, *known.aliases):
            raise NanogptError(f"llm has a model {name!r} already: choose another name")
