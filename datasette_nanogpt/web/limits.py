"""What the plugin's configuration allows the visitors of this server."""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import get_close_matches

from datasette.app import Datasette
from datasette.utils import StartupError

PLUGIN = "datasette-nanogpt"


@dataclass(frozen=True)
class Limits:
    """The keys of `plugins: datasette-nanogpt:` in Datasette's configuration, and their defaults."""

    max_minutes: float = 60  # of one run
    max_parameters: int = 50_000_000  # of one model
    max_queued: int = 10  # runs that wait at once
    max_generations: int = 2  # texts that are written at once
    max_tokens: int = 1000  # of one text
    max_restarts: int = 3  # how often a run goes on by itself after its server was lost

    @classmethod
    def from_config(cls, datasette: Datasette) -> Limits:
        """The limits that the configuration sets. Raises StartupError for an option that there is not, which
        would leave visitors without the limit that was meant, and for a value that is no limit."""
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
    """How the complaint about an unknown option goes on."""
    near = get_close_matches(str(key), options, n=1)
    return f": did you mean {near[0]}?" if near else f". There are {', '.join(options)}"
