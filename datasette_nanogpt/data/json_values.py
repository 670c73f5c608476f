"""Values that may be JSON."""

from __future__ import annotations

import json
from typing import Any


def json_or_none(value: object) -> Any:
    """What a string of JSON says; None for any other value, and for what is nested too deeply."""
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def object_or_none(value: object) -> dict[str, Any] | None:
    """The object that a string of JSON says; None for anything else."""
    return json_or_none(value) if isinstance(value, str) and value.lstrip()[:1] == "{" else None
