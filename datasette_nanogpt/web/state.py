"""What the plugin keeps in memory while a server runs, one object for each Datasette."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from datasette.app import Datasette

from llm_nanogpt.home import nanogpt_home

from ..data.connection_setup import prepare_as
from .limits import Limits
from .polling import RunPoller
from .worker import Worker


@dataclass
class PluginState:
    """Found by every page with `state_of(datasette)`."""

    home: Path  # of the models and the registry
    limits: Limits
    worker: Worker
    poller: RunPoller
    writing: int = 0  # texts that are being written at this moment

    @classmethod
    def start(cls, datasette: Datasette) -> PluginState:
        """Make the state of a server and have its worker started with the server."""
        home, limits = nanogpt_home(), Limits.from_config(datasette)
        worker = Worker(
            home, datasette.plugins_dir, limits.max_parameters, extensions_of(datasette.sqlite_extensions)
        )
        prepare_as(datasette)
        datasette.add_background_task(worker.work, name="nanogpt")
        datasette._nanogpt = state = cls(home, limits, worker, RunPoller(home))
        return state

    async def close(self) -> None:
        await self.worker.close()


def extensions_of(extensions: Iterable[str | tuple[str, str]]) -> list[str]:
    """As `--load-extension` takes them."""
    return [":".join(extension) if isinstance(extension, tuple) else extension for extension in extensions]


def state_of(datasette: Datasette) -> PluginState:
    return datasette._nanogpt
