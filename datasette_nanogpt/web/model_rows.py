"""What visitors are told if the rows of a model's table cannot be read: no folders, and no other tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_nanogpt.errors import InvalidOptions, NanogptError

from ..registry.db import RegistryError


@contextmanager
def reading_for_visitors(database: str) -> Iterator[None]:
    """Reword the NanogptErrors of a block that reads rows from `database`, the path of a file. Who may write
    with a model may see its tables, but not where the file is, nor which other tables it has."""
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
            for path in (database, os.path.abspath(database), os.path.realpath(database)):
                message = message.replace(path, Path(path).name)
        raise NanogptError(message) from ex
