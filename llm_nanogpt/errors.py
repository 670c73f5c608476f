"""The one exception that people get to read, and how a command line tells it."""

from contextlib import contextmanager

import click


class NanogptError(Exception):
    """What went wrong and what to do next, in one line, or in a line for each thing that did."""


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
