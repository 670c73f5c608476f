"""The exceptions that people read, and how a command line prints them."""

from __future__ import annotations

import errno
import io
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import click


class NanogptError(Exception):
    """What went wrong and what to do next, in one line for each thing that went wrong."""

    exit_code = 1  # of a command that it ends


class WrongUsage(NanogptError):  # noqa: N818  # reads as what it is
    """What was typed cannot be done: something else has to be typed. A failure at work is none."""

    exit_code = 2  # as click's own usage errors have


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what was asked for.

    `field` is the option's Python name ("" if it is none of them), `code` a short word that programs can
    compare ("minimum", "taken", ...), `message` a whole sentence that names no command-line flag: the
    command line puts the flag before it, the form puts it beside the field. `is_failure` says that it is not
    about what was asked for: a file cannot be read, say.
    """

    field: str
    code: str
    message: str
    is_failure: bool = False


class InvalidOptions(WrongUsage):  # reads as what it is
    """Everything that is wrong with the options, found before any work starts."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if self.problems and all(problem.is_failure for problem in self.problems):
            self.exit_code = NanogptError.exit_code
        super().__init__("\n".join(problem.message for problem in self.problems))


class TrainingDiverged(NanogptError):  # noqa: N818  # reads as what it is
    """A loss that got out of hand at every learning rate that was tried; a lower one would help."""


class BrokenModel(NanogptError):  # noqa: N818  # reads as what it is
    """A model folder in which something is missing or damaged. Lists of models have room for its text alone,
    commands add the `way_out`."""

    def __init__(self, name: str, message: str, way_out: str = "") -> None:
        super().__init__(message)
        remove = shlex.join(["llm", "nanogpt", "remove", name])
        self.way_out = way_out or f"Copy it here again, train it again with --force, or type `{remove}`"


class NewerFormat(NanogptError):  # noqa: N818  # reads as what it is
    """A model folder of a later version of this package."""


def in_full(ex: NanogptError) -> str:
    """The text of an error, and what to do about it."""
    return f"{ex}. {ex.way_out}" if isinstance(ex, BrokenModel) else str(ex)


class _LineByLine(click.ClickException):
    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        lines = self.message.splitlines()
        is_list = any(line.startswith(" ") for line in lines)  # one problem, and what it is about below
        for n, line in enumerate(lines):
            click.echo(line if is_list and n else f"Error: {line}", err=True)


@contextmanager
def click_errors() -> Iterator[None]:
    """Let a command print a NanogptError as `Error: ...`, a line for each problem, or one and a list, and
    exit with the code that its class has.

    Text that is not UTF-8 is reported in the same way, and so is an unexpected error, whose traceback goes to
    a file. Characters that the terminal cannot show are printed as `?`.
    """
    print_anything()
    try:
        yield
    except NanogptError as ex:
        raise _LineByLine(in_full(ex), ex.exit_code) from ex
    except UnicodeDecodeError as ex:
        reason = f"{ex.reason} at byte {ex.start:,}"
        raise _LineByLine(f"The text is not UTF-8 ({reason}): iconv -f latin1 -t utf-8 may help") from ex
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as ex:
        if isinstance(ex, OSError) and ex.errno == errno.ENOSPC and ex.filename is None:  # it printed
            raise _LineByLine(f"{ex.strerror}: make room where the output goes, then try again") from ex
        raise _LineByLine(describe_unforeseen(ex)) from ex


def print_anything() -> None:
    """Let a program print `?` for characters that its terminal cannot show, and nothing where its output is
    closed (`>&-`), instead of failing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # it stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")


def read_nothing_if_closed() -> None:
    """Let a program whose input is closed (`<&-`) read nothing, where it would fail: `llm -m` does."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  # it stays open


def describe_unforeseen(ex: Exception) -> str:
    """One line about an unexpected error, and where its traceback was written."""
    what = " ".join(f"{type(ex).__name__}: {ex}".split())
    try:
        handle, path = tempfile.mkstemp(".log", "nanogpt-error-")
        with open(handle, "w", encoding="utf-8", errors="replace") as file:
            traceback.print_exception(ex, file=file)
    except OSError:
        return f"This should not have happened: {what}"
    return f"This should not have happened: {what}. Where it happened is in {path}"
