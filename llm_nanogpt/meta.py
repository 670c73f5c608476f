"""nanogpt.json and the types of its fields. They are checked when it is read, so other code can rely on them.

Every field may be missing or null, but has the right type if it is there. Unknown fields are from another
version and are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import NanogptError, NewerFormat
from .files import read_json

FORMAT = 1  # a folder of a newer format is refused, never guessed at
LARGEST = 2**53  # a whole number that JSON's readers agree on


@dataclass(frozen=True)
class Record:
    """An object of JSON: its fields and their types, those that must be there, and the type of all others."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    others: Any = None  # None: any


_TEXT: dict[str, Any] = {"template": str, "group_by": str, "order_by": str, "speaker": str, "documents": int}
_TABLE = Record(
    _TEXT
    | {
        "table": str,
        "title": str,
        "body": [str],
        "html": [str],
        "kinds": Record(others=Record({"format": str, "data": str})),
        "rows": int,
    },
    required=("table",),
)
_SOURCE = Record(
    _TEXT
    | {
        "database": str,
        "table": str,
        "title": str,
        "body": [str],
        "html": [str],
        "where": str,
        "sql": str,
        "rows": int,
        "tables": [_TABLE],
    }
)
_COUNTS = "documents duplicates train_documents val_documents bytes train_bytes val_bytes vocab_size"
_LENGTHS = Record({"usual": int, "rare": int}, required=("usual", "rare"))
_CORPUS = Record(
    dict.fromkeys(f"{_COUNTS} train_tokens val_tokens".split(), int)
    | {
        "sha256": str,
        "titles": bool,
        "paragraphs": bool,
        "doubles_words": bool,
        "space_runs": bool,
        "repeat_length": int,
        "items_again": float,
    }
    | {"skipped": Record(others=int)}
    | dict.fromkeys(
        (f"{what}_lengths" for what in ["run", "string", "text", "line", "quoted", "backtick"]), _LENGTHS
    )
    | {"brackets": Record(others=_LENGTHS), "fences": Record(others=_LENGTHS), "starts": [str]}
    | {"line_fences": [str], "lone_quotes": [str]}
)
_SETTINGS = Record(
    {
        "batch_size": int,  # windows in a step
        "learning_rate": float,
        "device": str,
        "minutes": float,
        "max_iters": int,
        "run_minutes": float,
        "seed": int,
    },
    required=("batch_size", "device"),
)
META = Record(
    {
        "format": int,
        "name": str,
        "source": _SOURCE,
        "corpus": _CORPUS,
        "tokenizer": str,
        "plan": str,
        "options": Record(),
        "score": Record({"val_bpb": float, "val_loss": float, "step": int}),
        "training": Record(
            {"status": str, "started": str, "updated": str, "step": int, "seconds": float, "log": str}
        ),
        "parameters": int,
        "settings": _SETTINGS,
        "generations": [Record({"config": Record(), "settings": _SETTINGS}, ("config", "settings"))],
        "versions": Record(others=str),
        "verdict": Record({"lines": Record(others=str)}),
        "imported": Record({"from": str, "meta": str}),
    }
)


def read_meta(file: Path) -> dict[str, Any]:
    """The contents of a nanogpt.json. Raises NanogptError if it is not as this program writes it."""
    meta = read_json(file)
    if not isinstance(meta, dict) or type(meta.get("format")) is not int:
        raise NanogptError(f"{file.name} does not say its format")
    if problem := next(_problems(meta, META, ""), None):
        raise NanogptError(f"{file.name} is not as this program writes it: {problem}")
    if meta["format"] > FORMAT:
        raise NewerFormat(
            f"its format {meta['format']} is newer than this version reads: upgrade datasette-nanogpt"
        )
    return meta


def _problems(value: Any, kind: Any, name: str) -> Iterator[str]:
    """What is wrong with a JSON value that should be of the type `kind`; null is valid everywhere."""
    if value is None:
        return
    if isinstance(kind, Record):
        if not isinstance(value, dict):
            yield f"{name} is not an object"
            return
        for key in kind.required:
            if value.get(key) is None:
                yield f"{name} has no {key}"
        for key, each in value.items():
            known = kind.fields.get(key, kind.others)
            if known is not None:
                yield from _problems(each, known, f"{name}.{key}" if name else key)
    elif isinstance(kind, list):
        if not isinstance(value, list):
            yield f"{name} is not a list"
            return
        for each in value:
            if each is None:
                yield f"{name} has a null"
            yield from _problems(each, kind[0], f"one of {name}")
    elif not _is_a(value, kind):
        noun = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[kind]
        yield f"{name} is not {noun}"


def _is_a(value: Any, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and abs(value) < LARGEST
    if type(value) is not kind:
        return False
    if isinstance(value, str):  # half of a surrogate pair is not text
        return not any("\ud800" <= c <= "\udfff" for c in value)
    return not isinstance(value, int) or abs(value) < LARGEST
