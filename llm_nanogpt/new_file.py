"""The name of a file that a command is to write."""

from __future__ import annotations

import os
from typing import Any

import click


class NewFile(click.Path):
    """A path, but not -: many programs take it for standard output, and what is written here needs a file."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        if str(value) == "-":
            self.fail("standard output will not do, as this needs a file: give its name.", param, ctx)
        return super().convert(value, param, ctx)
