"""What the plugin's configuration allows the visitors of this server."""

from __future__ import annotations

from dataclasses import dataclass, fields

from datasette.app import Datasette

PLUGIN = "datasette-nanogpt"


@dataclass(frozen=True)
class Limits:
    """The keys of `plugins: datasette-nanogpt:` in Datasette's configuration, and their defaults."""

    max_minutes: float = 60  # of one run
    max_parameters: int = 50_000_000  # of one model
    max_queued: int = 10  # runs that wait at once
    max_generations: int = 2  # texts that are written at once
    max_tokens: int = 1000  # of one text

    @classmethod
    def from_config(cls, datasette: Datasette) -> Limits:
        config = datasette.plugin_config(PLUGIN) or {}
        return cls(**{field.name: config[field.name] for field in fields(cls) if field.name in config})
