"""How fast a table becomes token files, and in how much memory, beside plain tiktoken on the same text.

    python benchmarks/prepare_speed.py 10 100 1000          # megabytes of text
    python benchmarks/prepare_speed.py 100 --json --html    # rows of HTML, and figures for machines

The tables are made of words drawn at random from `datasette nanogpt-demo-db`, in rows of some 2 kB. Each size
runs in a process of its own, with torch imported as in a real run.
"""

import argparse
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vs_nanogpt import finish

ROW_WORDS = 320  # about 2 kB
CEILING_BYTES = 20_000_000  # of the text that plain tiktoken is timed on


def make_table(path: Path, megabytes: float, html: bool = False, seed: int = 0) -> int:
    """Write table t (id, title, body) with so much text; the bytes of it."""
    import numpy as np

    from datasette_nanogpt.data.demo import build_demo_db

    demo = path.with_name("demo.db")
    build_demo_db(demo)
    with sqlite3.connect(demo) as db:
        text = "\n\n".join(body for (body,) in db.execute("select body from python_docs"))
    words = np.array(re.findall(r"\S+\s*", text), dtype=object)
    rng = np.random.default_rng(seed)
    size = 0
    with sqlite3.connect(path) as db:
        db.execute("create table t (id integer primary key, title text, body text)")
        while size < megabytes * 1e6:
            rows = words[rng.integers(len(words), size=(1000, ROW_WORDS))]
            bodies = ["".join(row) for row in rows]
            if html:
                bodies = [f"<p>{body.replace(chr(10) * 2, '</p><p>')}</p>" for body in bodies]
            db.executemany("insert into t (title, body) values (?, ?)", ((b[:20].strip(), b) for b in bodies))
            size += sum(len(body.encode()) for body in bodies)
    return size


def measure(path: Path, home: Path) -> dict:
    """Prepare the table twice, the second time from what was kept, and time tiktoken alone."""
    from datasette_nanogpt.data.corpus import open_corpus
    from datasette_nanogpt.data.prepare import prepare
    from datasette_nanogpt.training.process import peak_memory

    figures: dict[str, float] = {}
    seconds: list[float] = []
    for run in ("first", "second"):
        folder = home / run
        folder.mkdir()
        corpus = open_corpus(str(path), ["t"])
        started = time.perf_counter()
        tokenizer, counts = finish(prepare(corpus, folder, home))
        seconds.append(time.perf_counter() - started)
        peak = peak_memory() or 0
        figures |= {f"{run}_seconds": round(seconds[-1], 2), f"{run}_peak_mb": round(peak / 1e6)}
    texts, size = [], 0
    for text in corpus.documents():
        texts.append(text)
        size += len(text.encode())
        if size > CEILING_BYTES:
            break
    started = time.perf_counter()
    tokenizer._tiktoken.encode_ordinary_batch(texts, num_threads=2)
    ceiling = size / (time.perf_counter() - started) / 1e6
    return {
        "text_mb": round(counts["bytes"] / 1e6, 1),
        "documents": counts["documents"],
        "tokens": counts["train_tokens"] + counts["val_tokens"],
        "mb_per_second": round(counts["bytes"] / seconds[0] / 1e6, 2),
        **figures,
        "tiktoken_mb_per_second": round(ceiling, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("megabytes", type=float, nargs="*", default=[10, 100])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--html", action="store_true", help="bodies of HTML")
    parser.add_argument(
        "--folder", help="where to work, on a disk with three times the room  [default: temporary]"
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        path, home = map(Path, args.child)
        print(json.dumps(measure(path, home)))
        return
    for megabytes in args.megabytes:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            table = Path(folder) / "table.db"
            make_table(table, megabytes, args.html)
            child = [sys.executable, __file__, "--child", str(table), folder]
            found = json.loads(subprocess.run(child, check=True, stdout=subprocess.PIPE).stdout)
        if args.json:
            print(json.dumps(found), flush=True)
        else:
            print(
                f"{found['text_mb']:,.0f} MB of text: {found['mb_per_second']} MB/s, peak memory "
                f"{found['first_peak_mb']} MB, again {found['second_seconds']} s; "
                f"tiktoken alone {found['tiktoken_mb_per_second']} MB/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
