"""The exceptions that people read, and how a command line prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import click


class NanogptError(Exception):
    """What went wrong and what to do next, in one line, or in a line for each thing that did."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what was asked for.

    `field` is the option's Python name ("" if it is none of them), `code` a short word that programs can
    compare ("minimum", "taken", ...), `message` a whole sentence that names no command-line flag: the
    command line puts the flag before it, the form puts it beside the field.
    """

    field: str
    code: str
    message: str


class InvalidOptions(NanogptError):  # noqa: N818  # reads as what it is
    """Everything that is wrong with the options, found before any work starts."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.message for problem in self.problems))


class _LineByLine(click.ClickException):
    def show(self, file: IO[Any] | None = None) -> None:
        for line in self.message.splitlines():
            click.echo(f"Error: {line}", err=True)


@contextmanager
def click_errors() -> Iterator[None]:
    """Let a command print a NanogptError as `Error: ...`, a line for each problem, and exit with code 1.

    Text that is not UTF-8 gets the same.
    """
    try:
        yield
    except NanogptError as ex:
        raise _LineByLine(str(ex)) from ex
    except UnicodeDecodeError as ex:
        reason = f"{ex.reason} at byte {ex.start:,}"
        raise _LineByLine(f"The text is not UTF-8 ({reason}): iconv -f latin1 -t utf-8 may help") from ex
