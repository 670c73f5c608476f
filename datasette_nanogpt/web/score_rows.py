"""Scoring every row of a table with its model, in the child process of a server's worker."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import NanogptError

from ..registry.db import registry
from ..registry.row_scores import delete_earlier, digest, row_path
from ..registry.runs import end_run

REPORT_SECONDS = 1.0  # between writes to the registry


def score_rows(home: Path, run: dict[str, Any], stop: Any) -> None:
    """Score every row of the table that the queued `run` names. Whoever stops it keeps what was scored."""
    from llm_nanogpt.loading import open_model
    from llm_nanogpt.score import Totals, score

    from ..data.model_rows import open_rows
    from ..data.provenance import Provenance

    limit = json.loads(run["settings"]).get("minutes") or float("inf")
    opened = open_model(home / run["name"], "cpu")
    source = open_rows(opened.checkpoint, run["database"], run["table"])
    refuse_view(source.keys, run["table"])
    provenance = Provenance(opened.checkpoint)
    began = told = time.monotonic()
    rows: list[tuple] = []
    done, totals = 0, Totals()
    status = "finished"
    with registry(home) as db:
        db.execute("delete from scores where run = ?", [run["id"]])  # of a server that went

    def report(**last: Any) -> int:
        """Write what is new, and learn whether to stop."""
        share = (done + source.skipped.total()) / max(source.row_count, 1)
        seconds = time.monotonic() - began
        values = {"status": "running", "pid": os.getpid(), "heartbeat": time.time()}
        values |= {"progress": min(share, 1.0), "eta": seconds / share * (1 - share) if share else None}
        values |= {"note": f"{done:,} of {source.row_count:,} rows", **last}
        with registry(home) as db:
            marks = "(run, row, bits_per_byte, bytes, tokens, seen, digest) values (?, ?, ?, ?, ?, ?, ?)"
            db.executemany(f"insert into scores {marks}", rows)
            changes = ", ".join(f"{name} = ?" for name in values)
            db.execute(f"update runs set {changes} where id = ?", [*values.values(), run["id"]])
            found = db.execute("select stop_requested from runs where id = ?", [run["id"]]).fetchone()
        rows.clear()
        return found[0] if found else 2  # its record was deleted: nobody waits for it

    report()
    for keys, text in source.keyed_documents_from_copy():
        found = score(opened, text)
        if not found.bytes:
            source.skipped["without a character the model knows"] += 1
            continue
        kind = provenance.split_of(found.tokens[:-1])
        figures = (found.bits_per_byte, found.bytes, len(found.tokens))
        rows.append((run["id"], row_path([*keys.values()]), *figures, kind, digest(text)))
        totals.add(kind or "unknown", found)
        done += 1
        if time.monotonic() - told >= REPORT_SECONDS:
            told = time.monotonic()
            stop.requests = max(stop.requests, report())
        if stop.requests or time.monotonic() - began > limit * 60:
            status = "stopped"
            break
    if not done:
        raise NanogptError(f"No row of {run['table']} has text to score")
    plan = {
        "version": opened.checkpoint.version,
        "rows": source.row_count,
        "scored": done,
        "skipped": dict(source.skipped),
        "seen": totals.as_json(),
    }
    report(eta=0.0, note=None, plan=json.dumps(plan))
    if status == "finished":
        delete_earlier(home, run, plan["version"])
    end_run(home, run["id"], status)


def refuse_view(keys: Sequence[str], table: str) -> None:
    if not keys:
        raise NanogptError(f"{table} is a view: its rows have no key to keep their figures under")
