"""The tables of nanogpt.db, as a series of migrations that sqlite-utils applies."""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("datasette-nanogpt")


@migrations()
def m001_runs(db: Database) -> None:
    db.table("runs").create(
        {
            "id": int,
            "name": str,  # of the model
            "database": str,  # absolute path
            "table": str,
            "status": str,  # queued, preparing, running, finished, stopped, failed, interrupted
            "started": str,  # UTC, ISO 8601
            "ended": str,
            "heartbeat": float,  # Unix time of the last sign of life
            "pid": int,
            "stop_requested": int,  # 0, 1 anneal, 2 at once; set by anyone, read by the run
            "settings": str,  # JSON: everything the run was started with
            "plan": str,  # JSON: rows, bytes, tokens, parameters, device, ...
            "step": int,
            "progress": float,  # 0 to 1
            "eta": float,  # seconds
            "tokens_per_second": float,
            "val_bpb": float,  # best so far
            "error": str,
        },
        pk="id",
        defaults={"stop_requested": 0},
    )
    db.table("metrics").create(
        {
            "id": int,
            "run": int,
            "step": int,
            "seconds": float,
            "train_loss": float,  # nats a token
            "train_bpb": float,
            "val_loss": float,
            "val_bpb": float,
            "learning_rate": float,
            "tokens_per_second": float,
        },
        pk="id",
        foreign_keys=[("run", "runs", "id")],
    )
    db.table("metrics").create_index(["run", "step"])
    db.table("samples").create(
        {"id": int, "run": int, "step": int, "val_bpb": float, "sample": str},
        pk="id",
        foreign_keys=[("run", "runs", "id")],
    )
    db.table("samples").create_index(["run", "step"])


@migrations()
def m002_queue(db: Database) -> None:
    db.table("runs").add_column("actor", str)  # JSON: who asked for it in the browser
    db.table("runs").add_column("note", str)  # what it is doing now, for people


@migrations()
def m003_mfu(db: Database) -> None:
    db.table("metrics").add_column("mfu", float)  # model FLOPs utilisation: a fraction of the machine's speed


@migrations()
def m004_news(db: Database) -> None:
    # With an index on (run, step) SQLite read the whole history of a run to find what came after one id.
    # An index on the run alone keeps its entries in the order of the ids.
    for table in ("metrics", "samples"):
        db.execute(f"drop index if exists idx_{table}_run_step")
        db.table(table).create_index(["run"])


@migrations()
def m005_rows(db: Database) -> None:
    db.table("runs").add_column("kind", str, not_null_default="train")  # or "score": of the rows of a table
    for table in ("runs", "metrics"):
        db.table(table).add_column("memory", int)  # bytes, the most that the process has held so far
    db.table("scores").create(
        {
            "id": int,
            "run": int,
            "row": str,  # its primary key, as in Datasette's URLs; null where it has none
            "bits_per_byte": float,
            "bytes": int,
            "tokens": int,
            "seen": str,  # in training: trained, held out, new; null where that is not known
            "digest": bytes,  # of the text that was scored
        },
        pk="id",
        foreign_keys=[("run", "runs", "id")],
    )
    db.table("scores").create_index(["run", "bits_per_byte"])
    db.table("scores").create_index(["run", "row"])


@migrations()
def m006_models(db: Database) -> None:
    db.table("runs").add_column("model", str)  # which of the run's models is in training: "model 2 of 4"


@migrations()
def m007_log(db: Database) -> None:
    db.table("runs").add_column("log", str)  # the run's log file, relative to the folder of nanogpt.db


@migrations()
def m008_process(db: Database) -> None:
    db.table("runs").add_column("process", str)  # which process works on it, see registry/process_id.py


@migrations()
def m009_verdict(db: Database) -> None:
    db.table("runs").add_column("verdict", str)  # JSON: heading -> what its score means, in plain words


@migrations()
def m010_indexes(db: Database) -> None:
    # For the queries of a server each second, and on each page of a table or a model.
    db.table("runs").create_index(["status"])
    db.table("runs").create_index(["name", "kind"])
    db.table("runs").create_index(["table"])


@migrations()
def m011_run_page(db: Database) -> None:
    db.table("runs").add_column("preparing", str)  # JSON: [part, done, total, unit] of each part begun so far
    db.table("runs").add_column("goes_on", int)  # 1: its server was lost, and the next server continues it
    db.table("runs").add_column("restarts", int)  # how often it was continued in that way
    for column in ("member", "generation"):  # of earlier versions: see m016_model_numbers
        db.table("metrics").add_column(column, int)


@migrations()
def m012_texts(db: Database) -> None:
    db.table("texts").create(  # those that somebody kept
        {
            "id": int,
            "model": str,  # its name
            "version": str,  # of its weights then: step and hash
            "kept": str,  # UTC, ISO 8601
            "actor": str,  # JSON: who kept it
            "title": str,
            "prompt": str,
            "text": str,  # what the model wrote, without the prompt
            "seed": int,
            "settings": str,  # JSON: those of the playground
        },
        pk="id",
    )
    db.table("texts").create_index(["model"])


@migrations()
def m013_scorings(db: Database) -> None:
    # Each page of a table asks which models have scored it: without this all runs of the table are read.
    # Only the scorings, which are few: an index on (kind, table) would be taken for questions about a name.
    db.execute("create index idx_runs_scored_table on runs (\"table\") where kind = 'score'")


@migrations()
def m014_comparisons(db: Database) -> None:
    db.table("runs").add_column("cause", str)  # of its failure, if a page can offer a way out: memory
    db.table("documents").create(
        {
            "id": int,
            "run": int,
            "bits": str,  # JSON: of each of the first held-out documents, at the end of the run
            "bytes": str,  # JSON: of the same documents
        },
        pk="id",
        foreign_keys=[("run", "runs", "id")],
    )
    db.table("documents").create_index(["run"])


@migrations()
def m015_scores(db: Database) -> None:
    # Of a run's thousands of metrics, a few hundred are scores, and each second pages ask for all of them.
    db.execute("create index idx_metrics_scores on metrics (run) where val_bpb is not null")


@migrations()
def m016_model_numbers(db: Database) -> None:
    db.table("metrics").add_column("model", int)  # the number of the model in its run; 0: the joined one
    # Earlier versions numbered the generations and the members of each, from 0; -1 was the joined model.
    db.execute("update metrics set model = 1")
    of_run: dict[int, int] = {}
    places = "select distinct run, ifnull(generation, 0), ifnull(member, 0) from metrics order by 1, 2, 3"
    for run, generation, member in db.execute(places).fetchall():
        of_run[run] = number = of_run.get(run, 0) + (member >= 0)
        if (model := number if member >= 0 else 0) != 1:
            where = "run = ? and ifnull(generation, 0) = ? and ifnull(member, 0) = ?"
            db.execute(f"update metrics set model = ? where {where}", [model, run, generation, member])
