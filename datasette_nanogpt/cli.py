"""The click commands."""


def register(cli):
    """Add our commands to Datasette's command group."""
