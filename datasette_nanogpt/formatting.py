"""How times and sizes are written, on screen and in the registry."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """The time as the registry and nanogpt.json have it: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"


def text_size(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:.2f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.1f} kB"
