"""Datasette hooks: each one thin, each importing what it needs only when called."""

from datasette import hookimpl


@hookimpl
def register_commands(cli):
    from .cli import register

    register(cli)
