"""Texts of a model that somebody kept, with everything that it takes to write them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import NanogptError

from ..formatting import utc_now
from .db import registry, registry_file
from .statements import insert

MAX_TEXTS = 1000  # kept texts of one model
MAX_CHARACTERS = 200_000  # of a text with its prompt


def keep_text(home: Path, text: dict[str, Any], actor: Any) -> int:
    """Keep a text: `model`, `version` of its weights, `title`, `prompt`, `text`, `seed` and `settings`. Its
    id. Raises NanogptError for one that is too long, and where too many are kept already."""
    if len(text["text"]) + len(text["prompt"]) > MAX_CHARACTERS:
        raise NanogptError(f"A text of more than {MAX_CHARACTERS:,} characters cannot be kept")
    kept = {"kept": utc_now(), "actor": json.dumps(actor), "settings": json.dumps(text["settings"])}
    with registry(home, create=True) as db:
        count = db.execute("select count(*) as n from texts where model = ?", [text["model"]]).fetchone()["n"]
        if count >= MAX_TEXTS:
            raise NanogptError(f"{count:,} texts of {text['model']} are kept already: remove some of them")
        return insert(db, "texts", text | kept)


def kept_texts(home: Path, model: str, limit: int) -> list[dict[str, Any]]:
    """The newest texts of a model, with their `settings` as a dict, but without who kept them."""
    if not registry_file(home).exists():
        return []
    columns = "id, version, kept, title, prompt, text, seed, settings"
    with registry(home) as db:
        select = f"select {columns} from texts where model = ? order by id desc limit ?"
        rows = [dict(row) for row in db.execute(select, [model, limit])]
    return [row | {"settings": json.loads(row["settings"])} for row in rows]


def remove_text(home: Path, model: str, text: int) -> None:
    """Remove a kept text of a model, if it is there."""
    with registry(home) as db:
        db.execute("delete from texts where model = ? and id = ?", [model, text])
