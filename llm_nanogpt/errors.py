"""The one exception that people get to read."""


class NanogptError(Exception):
    """What went wrong and what to do next, in one line. Command lines print it and exit with 1."""
