"""What visitors are told if a model or the rows of its table cannot be read: no folders, no other tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_nanogpt.errors import InvalidOptions, NanogptError

from ..registry.db import RegistryError


@contextmanager
def reading_for_visitors(*paths: str | Path) -> Iterator[None]:
    """Reword the NanogptErrors of a block that reads the databases or homes at `paths`. Who may write with a
    model may see its tables, but not where anything is, nor which other tables there are."""
    try:
        yield
    except RegistryError:
        raise
    except NanogptError as ex:
        problems = ex.problems if isinstance(ex, InvalidOptions) else ()
        if any((problem.field, problem.code) == ("table", "missing") for problem in problems):
            message = "A table of this model is no longer there: it was dropped or renamed"
        else:
            message = str(ex)
            for path in paths:
                for place in (str(path), os.path.abspath(path), os.path.realpath(path)):
                    message = message.replace(place, Path(place).name)
        raise NanogptError(message) from ex
