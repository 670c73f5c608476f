"""What the plugin's configuration allows the visitors of this server."""

from __future__ import annotations

from dataclasses import dataclass, fields

from datasette.app import Datasette
from datasette.utils import StartupError

from llm_nanogpt.suggestions import closest

PLUGIN = "datasette-nanogpt"


@dataclass(frozen=True)
class Limits:
    """The keys of `plugins: datasette-nanogpt:` in Datasette's configuration, and their defaults."""

    max_minutes: float = 60  # the longest run
    max_parameters: int = 50_000_000  # the largest model
    max_queued: int = 10  # how many runs wait at once
    max_generations: int = 2  # how many texts are written at once
    max_tokens: int = 1000  # the longest text
    max_restarts: int = 3  # how often a run continues by itself after its server was lost

    @classmethod
    def from_config(cls, datasette: Datasette) -> Limits:
        """The limits that the configuration sets. Raises StartupError for an unknown option, because the
        limit that it was meant to set would silently not apply, and for a value that is no limit."""
        config = datasette.plugin_config(PLUGIN) or {}
        defaults = {field.name: field.default for field in fields(cls)}
        if not isinstance(config, dict):
            raise StartupError(f"plugins: {PLUGIN}: must have options, not {config!r}")
        problems = [
            f"there is no option {key!r}{_nearest(key, defaults)}" for key in config.keys() - defaults
        ]
        for key in config.keys() & defaults:
            kinds = int | float if key == "max_minutes" else int
            value = config[key]
            if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value < float("inf"):
                problems.append(f"{key} must be a number from 0, not {value!r}")
        if problems:
            raise StartupError(f"plugins: {PLUGIN}: in the configuration: {'; '.join(sorted(problems))}")
        return cls(**config)


def _nearest(key: str, options: dict[str, object]) -> str:
    """The end of the message about an unknown option: the most similar name, or all names."""
    near = closest(str(key), list(options))
    return f": did you mean {near}?" if near else f". There are {', '.join(options)}"
