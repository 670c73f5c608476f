"""What `llm nanogpt models` and `info` show of models, as plain values and as lines of text."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint
from .counts import counted
from .errors import NanogptError
from .home import nanogpt_home
from .locks import is_training

TABLE_WIDTH = 30  # characters of a table's name in the list; longer names end in …
STATE_WIDTH = len("interrupted")  # the longest state
NO_BREAK = "\N{NO-BREAK SPACE}"
MAX_FILES = 1000  # files per folder whose sizes are added up
HEADING = ("name", "table", "rows", "parameters", "bits/byte", "trained", "on disk", "state")


def facts(name: str, checkpoint: Checkpoint | NanogptError) -> dict[str, Any]:
    """One model as `llm nanogpt models --json` shows it; a broken one has its name, size and reason."""
    folder = nanogpt_home() / name
    known = {"name": name, "state": "ready", "bytes_on_disk": size_on_disk(folder), "path": str(folder)}
    if isinstance(checkpoint, NanogptError):
        return known | {"state": "broken", "reason": str(checkpoint)}
    source, training, score = (checkpoint.meta.get(k) or {} for k in ("source", "training", "score"))
    if training.get("status") == "running":
        known["state"] = "training" if is_training(folder) else "interrupted"
    return known | {
        "database": source.get("database"),
        "table": source.get("table"),
        "rows": source.get("rows"),
        "architecture": checkpoint.config.arch,
        "parameters": checkpoint.config.parameters,
        "context": checkpoint.config.block_size,
        "vocabulary": checkpoint.config.vocab_size,
        "bits_per_byte": score.get("val_bpb"),
        "step": score.get("step"),
        "trained": training.get("updated"),
        "seconds": training.get("seconds"),
        "imported": (checkpoint.meta.get("imported") or {}).get("from"),
    }


def details(checkpoint: Checkpoint) -> dict[str, str]:
    """What `info` shows beyond `facts`: the text, the shape, the training. "" for what is not known."""
    c, meta = checkpoint.config, checkpoint.meta
    source, corpus, training, settings, score, options = (
        meta.get(key) or {} for key in ("source", "corpus", "training", "settings", "score", "options")
    )
    lines = {
        "columns": " + ".join([*filter(None, [source.get("title")]), *(source.get("body") or ())]),
        "template": _as_typed(source["template"]) if source.get("template") else "",
        "conversations": grouping(source),
        "where": source.get("where") or "",
        "shape": c.shape,
        "tokenizer": meta.get("tokenizer") or "",
        "options": ", ".join(
            f"{k} {'none' if v == '' else v}"
            for k, v in options.items()
            if k not in ("database", "table", "template")
        ),
        "versions": ", ".join(f"{name} {version}" for name, version in (meta.get("versions") or {}).items()),
        "log": _log_file(training.get("log")),
    }
    for label, size, documents in (
        ("text", corpus.get("bytes"), corpus.get("documents")),
        ("held out", corpus.get("val_bytes"), corpus.get("val_documents")),
    ):
        if size is not None and documents is not None:
            lines[label] = f"{counted(size, 'byte')} in {counted(documents, 'document')}"
    if score.get("val_loss") is not None:
        lines["loss"] = f"{score['val_loss']:.4f} nats per token of the held-out text"
    if settings and training.get("seconds") and training.get("step") is not None:
        speed = training["step"] * settings["batch_size"] * c.block_size / training["seconds"]
        lines["training"] = (
            f"{training['step']:,} steps in {training['seconds']:,.0f} s on {settings['device']}, "
            f"{speed:,.0f} tokens/s, including the time for trials, compiling and scores"
        )
    return lines | ((meta.get("verdict") or {}).get("lines") or {})


def _as_typed(template: str) -> str:
    """A template on one line, as a word of a command that can be pasted into a shell."""
    return shlex.quote(template.replace("\n", "\\n"))


def _log_file(log: str | None) -> str:
    """The log of a model's run: relative to the home, which may have moved. "" if it is not there: a model's
    folder may have been copied without it."""
    file = nanogpt_home() / log if log else None
    return str(file) if file and os.path.exists(file) else ""  # one that we may not see is not there


def grouping(source: dict[str, Any]) -> str:
    """Which rows form one text, in words; "" if each is a text by itself."""
    if not source.get("group_by"):
        return ""
    order = f" in the order of {source['order_by']}" if source.get("order_by") else ""
    speaker = f", {source['speaker']} before each row" if source.get("speaker") else ""
    return f"the rows of each {source['group_by']}{order}{speaker}"


def as_table(models: Iterable[dict[str, Any]], width: int | None = None) -> Iterator[str]:
    """The `facts` of several models, a line each below a heading; in a terminal whose `width` is too small
    for that, a few short lines each."""
    rows = [*map(_row, models)]
    lines = [*aligned([HEADING, *rows])]
    # Why a model is broken is a sentence, which may run on in the next line.
    lengths = [
        len(line) - max(0, len(row[-1]) - STATE_WIDTH) for line, row in zip(lines[1:], rows, strict=True)
    ]
    if width is None or max(len(lines[0]), *lengths) <= width:
        yield from lines
        return
    for name, table, count, parameters, bits, trained, size, state in rows:
        units = ((count, "rows"), (parameters, "parameters"), (bits, "bits/byte"))
        figures = [table, *(f"{figure} {unit}" for figure, unit in units if figure), trained, size]
        # A figure stays with its unit.
        whole = [part.replace(" ", NO_BREAK) for part in figures if part]
        yield shown(name)
        for line in textwrap.wrap(", ".join([*whole, state]), max(20, width - 2), break_on_hyphens=False):
            yield "  " + shown(line.replace(NO_BREAK, " "))


def as_lines(model: dict[str, Any]) -> Iterator[str]:
    """The facts and details of one model, a line each, without those that are not known."""
    known = {key: value for key, value in model.items() if value not in (None, "")}
    known["bytes_on_disk"] = megabytes(model["bytes_on_disk"])
    if "trained" in known:
        known["trained"] = f"{to_the_minute(known['trained'])} UTC"
    names = {"bytes_on_disk": "on disk"}
    return aligned((names.get(key, key.replace("_", " ")), _formatted(value)) for key, value in known.items())


def aligned(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Lines in which the cells of a column start below each other."""
    rows = [tuple(map(shown, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def shown(text: str) -> str:
    """Text from a file for a terminal: control characters and others that cannot be shown become �."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def size_on_disk(folder: Path) -> int:
    """Bytes of the files in a model folder and in its `training`. Links are not followed, because a folder
    may link to one without end; files that vanish meanwhile are not counted."""
    total = 0
    for parent in (folder, folder / "training"):
        with suppress(OSError), os.scandir(parent) as entries:
            for entry in islice(entries, MAX_FILES):
                with suppress(OSError):
                    if entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def megabytes(n: int) -> str:
    """A size on disk: 1.3 MB, or 4 kB where that would be next to nothing."""
    return f"{n / 1e6:,.1f} MB" if n >= 1e5 or not n else f"{max(1, round(n / 1e3))} kB"


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    if model["state"] == "broken":
        return (model["name"], *[""] * 5, megabytes(model["bytes_on_disk"]), model["reason"])
    table = model["table"] or ("imported" if model["imported"] else "")
    return (
        model["name"],
        table if len(table) <= TABLE_WIDTH else table[: TABLE_WIDTH - 1] + "…",
        "" if model["rows"] is None else f"{model['rows']:,}",
        f"{model['parameters'] / 1e6:.2f}M",
        "" if model["bits_per_byte"] is None else f"{model['bits_per_byte']:.3f}",
        to_the_minute(model["trained"] or ""),
        megabytes(model["bytes_on_disk"]),
        model["state"],
    )


def to_the_minute(time: str) -> str:
    """A time in UTC, as ISO 8601 has it, for people."""
    return time[:16].replace("T", " ")


def _formatted(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if value > 10 else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
