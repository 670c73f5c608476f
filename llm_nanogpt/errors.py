"""The one exception that people get to read, and how a command line tells it."""

from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass

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


class InvalidOptions(NanogptError):
    """Everything that is wrong with the options, found before any work starts."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.message for problem in self.problems))


class _Told(click.ClickException):
    def show(self, file=None):
        for line in self.message.splitlines():
            click.echo(f"Error: {line}", err=True)


@contextmanager
def told_by_click():
    """Let a command tell a NanogptError as `Error: ...`, a line each, with exit code 1; text that is not
    UTF-8, too."""
    try:
        yield
    except NanogptError as ex:
        raise _Told(str(ex)) from ex
    except UnicodeDecodeError as ex:
        told = f"The text is not UTF-8 ({ex.reason} at byte {ex.start:,}): iconv -f latin1 -t utf-8 may help"
        raise _Told(told) from ex
