"""How fast Datasette answers its front page while a run trains on all cores and clients follow it.

    python benchmarks/server_latency.py                      # 20 clients, 30 seconds
    python benchmarks/server_latency.py --json figures.json  # and the figures for machines

A real Datasette, and a real run on a table made for it, started over HTTP as the form does it. Each client
does what the page of a run does: it asks for what is new every second, each from a moment of its own. The
clients are in another process than the one that times `/`, and the server is in a session of its own, as
behind systemd.
"""

import argparse
import asyncio
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

POLL_SECONDS = 1.0  # as static/run.js
PAUSE_SECONDS = 0.05  # between two requests for /
FIELDS = ("p50", "p90", "p99", "max")


def make_table(path: Path, rows: int = 2000) -> None:
    from datasette_nanogpt.data.demo import build_demo_db

    build_demo_db(path)
    with sqlite3.connect(path) as db:
        text = " ".join(body for (body,) in db.execute("select body from python_docs"))
        words = text.split()
        draw = random.Random(0)
        db.execute("create table entry (id integer primary key, title text, body text)")
        made = ((draw.choice(words), " ".join(draw.choices(words, k=150))) for _ in range(rows))
        db.executemany("insert into entry (title, body) values (?, ?)", made)


def spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: p50, p90, p99 and the longest."""
    found = sorted(seconds)
    at = {share: found[min(len(found) - 1, int(len(found) * share))] for share in (0.5, 0.9, 0.99)}
    return dict(zip(FIELDS, (round(s * 1000, 1) for s in (*at.values(), found[-1])), strict=True))


async def poll(clients: int, base: str, cookie: str, run: str) -> None:
    """Follow the run as so many clients until the input ends, then print the times."""
    import httpx2

    took: list[float] = []

    async def one(client: httpx2.AsyncClient) -> None:
        await asyncio.sleep(random.random() * POLL_SECONDS)
        after = "0.0"
        while True:
            began = time.perf_counter()
            answer = await client.get(f"{run}.json?after={after}")
            took.append(time.perf_counter() - began)
            after = answer.json()["next"]
            await asyncio.sleep(POLL_SECONDS)

    async with httpx2.AsyncClient(base_url=base, cookies={"ds_actor": cookie}, timeout=30) as client:
        tasks = [asyncio.create_task(one(client)) for _ in range(clients)]
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    print(json.dumps({"requests": len(took), **spread(took)}))


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, where /proc tells it."""
    try:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, clients: int, seconds: float) -> dict:
    import httpx2

    make_table(folder / "bench.db")
    log = folder / "log.txt"
    with log.open("w") as out:  # a pipe that nobody reads would stop the server
        server = subprocess.Popen(
            [sys.executable, "-m", "datasette", "bench.db", "--root", "-p", "0", "--secret", "s"],
            cwd=folder,
            env={**os.environ, "NANOGPT_HOME": str(folder / "home"), "LLM_USER_PATH": str(folder / "llm")},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        while not (found := re.search(r"running on (http://[\d.]+:\d+)", log.read_text())):
            if server.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        client = httpx2.Client(base_url=found[1], timeout=30)
        token = re.search(r"token=\w+", log.read_text())
        assert token, "datasette --root prints a link with a token before it says that it runs"
        client.get(f"/-/auth-token?{token[0]}")

        def front_page(for_seconds: float) -> list[float]:
            took, end = [], time.monotonic() + for_seconds
            while time.monotonic() < end:
                began = time.perf_counter()
                client.get("/").raise_for_status()
                took.append(time.perf_counter() - began)
                time.sleep(PAUSE_SECONDS)
            return took

        front_page(1)  # templates are compiled, connections are open
        alone = front_page(min(5, seconds))
        began = time.monotonic()
        minutes = (seconds + 30) / 60
        started = client.post("/bench/entry/-/nanogpt", json={"minutes": minutes, "name": "bench"})
        run = started.json()["url"]
        while not client.get(f"{run}.json?after=0.0").json()["metrics"]:
            time.sleep(0.1)
        first = time.monotonic() - began
        child = [sys.executable, __file__, "--poll", found[1], client.cookies["ds_actor"], run]
        pollers = subprocess.Popen(
            [*child, "--clients", str(clients)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        time.sleep(2)  # until all of them are at it
        used = cpu_seconds(server.pid)
        busy = front_page(seconds)
        used = cpu_seconds(server.pid) - used
        status = client.get(f"{run}.json").json()["run"]
        told, _ = pollers.communicate("")
        if status["over"]:
            raise SystemExit(
                f"The run ended before the measurement did: {status['status']} {status['error']}"
            )
        return {
            "first_metrics_seconds": round(first, 1),
            "clients": clients,
            "requests": len(busy),
            "front_page_ms": spread(busy),
            "front_page_alone_ms": spread(alone),
            "poll_ms": json.loads(told),
            "server_cpu_share": round(used / seconds, 3),
            "tokens_per_second": round(status["tokens_per_second"] or 0),
            "machine": machine(),
            "load": os.getloadavg(),
        }
    finally:
        server.terminate()
        server.wait(timeout=30)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--json", help="write the figures to this file, too")
    parser.add_argument("--poll", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.poll:
        asyncio.run(poll(args.clients, *args.poll))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), args.clients, args.seconds)
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=2) + "\n")
    for what, of in (("/, alone", "front_page_alone_ms"), ("/", "front_page_ms"), ("poll", "poll_ms")):
        print(f"{what}: " + ", ".join(f"{name} {found[of][name]} ms" for name in FIELDS))
    print(
        f"{clients} clients" if (clients := found["clients"]) != 1 else "1 client",
        f"beside a run of {found['tokens_per_second']:,} tokens/s; the server took",
        f"{found['server_cpu_share']:.0%} of a core; first metrics after {found['first_metrics_seconds']} s",
    )
    on = found["machine"]
    print(f"{on['processor']}, {on['cores']} cores, load {found['load'][0]:.1f}")


if __name__ == "__main__":
    main()
