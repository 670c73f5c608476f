"""What a Datasette does under load while a run trains: errors, times, memory.

    python benchmarks/server_load.py                          # 50 clients, 10 minutes
    python benchmarks/server_load.py --clients 10 --minutes 2
    python benchmarks/server_load.py --slow 40                # slow readers of a run with a long history

Each client asks for one thing after the other: the list, the table's page, the form, the page of the run,
what is new of it, its CSV, the model's page, a text. A text may be refused with 429, and anything with 503,
as documented, which is counted; any other answer than 200 is an error. The memory is that of the server's
process alone (VmRSS): the middle of the last fifth of the time against that of the second. With --slow so
many clients read 10 kB a second each of a run's JSON and CSV.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
from machine import machine
from server_latency import make_table, spread

PAUSE_SECONDS = 0.5  # of a client, between two requests, on average
SLOW_BYTES = 10_000  # a second
HISTORY = 150_000  # figures of the run that is read slowly: 15 MB as CSV


class Server:
    """A Datasette of its own, with what root may do."""

    def __init__(self, folder: Path):
        make_table(folder / "bench.db", rows=500)
        log = folder / "log.txt"
        env = {**os.environ, "NANOGPT_HOME": str(folder / "home"), "LLM_USER_PATH": str(folder / "llm")}
        command = [sys.executable, "-m", "datasette", "bench.db", "--root", "-p", "0", "--secret", "s"]
        with log.open("w") as out:
            self.process = subprocess.Popen(
                command, cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True
            )
        while not (found := re.search(r"running on (http://[\d.]+:\d+)", log.read_text())):
            if self.process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        self.url = found[1]
        with httpx2.Client(base_url=self.url, timeout=60) as client:
            token = re.search(r"token=\w+", log.read_text())
            client.get(f"/-/auth-token?{token[0] if token else ''}")
            self.cookie = client.cookies["ds_actor"]

    def memory(self) -> float:
        """Megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) / 1024 if found else 0.0

    def start_run(self, minutes: float) -> str:
        """Start a run over HTTP, wait for its first score, and return its address."""
        with httpx2.Client(base_url=self.url, cookies={"ds_actor": self.cookie}, timeout=60) as client:
            form = {"minutes": minutes, "name": "bench", "size": "xs"}
            answer = client.post("/bench/entry/-/nanogpt", json=form)
            answer.raise_for_status()
            run: str = answer.json()["url"]
            while client.get("/-/nanogpt/models/bench").status_code != 200:
                if (state := client.get(f"{run}.json").json()["run"])["over"]:
                    raise SystemExit(f"The run ended: {state['error']}")
                time.sleep(0.5)
            return run

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:  # it still writes answers that nobody reads any more
            self.process.kill()


class Load:
    """Clients that ask for everything, and the answers that they got."""

    def __init__(self, server: Server, run: str):
        self.server, self.run = server, run
        self.answers: Counter[tuple[str, int | str]] = Counter()
        self.seconds: dict[str, list[float]] = {}

    async def client(self, number: int, end: float) -> None:
        draw = random.Random(number)
        text = {"prompt": "The", "max_tokens": 30, "seed": number}
        asks: list[tuple[str, str, dict[str, Any] | None]] = [
            ("list", "/-/nanogpt", None),
            ("table", "/bench/entry", None),
            ("form", "/bench/entry/-/nanogpt", None),
            ("run", self.run, None),
            ("news", f"{self.run}.json?after=0.0", None),
            ("csv", f"{self.run}.csv", None),
            ("model", "/-/nanogpt/models/bench", None),
            ("text", "/-/nanogpt/models/bench", text),
        ]
        cookies = {"ds_actor": self.server.cookie}
        async with httpx2.AsyncClient(base_url=self.server.url, cookies=cookies, timeout=60) as client:
            while time.monotonic() < end:
                what, path, body = draw.choice(asks)
                began = time.perf_counter()
                try:
                    answer = await (client.post(path, json=body) if body else client.get(path))
                    self.answers[what, answer.status_code] += 1
                except httpx2.HTTPError as ex:
                    self.answers[what, type(ex).__name__] += 1
                self.seconds.setdefault(what, []).append(time.perf_counter() - began)
                await asyncio.sleep(draw.uniform(0, 2 * PAUSE_SECONDS))

    async def go(self, clients: int, seconds: float) -> list[float]:
        """The server's memory, once a second."""
        end, memory = time.monotonic() + seconds, []
        tasks = [asyncio.create_task(self.client(number, end)) for number in range(clients)]
        while time.monotonic() < end:
            memory.append(self.server.memory())
            await asyncio.sleep(1)
        await asyncio.gather(*tasks)
        return memory

    def errors(self) -> dict[str, int]:
        fine = (200, 503)
        return {
            f"{what} {status}": n
            for (what, status), n in self.answers.items()
            if status not in fine and (what, status) != ("text", 429)
        }

    def refused(self) -> dict[str, str]:
        """How many of all answers of a kind were 429 or 503."""
        kinds = {what for (what, status) in self.answers if status in (429, 503)}
        counts = {what: sum(n for (asked, _), n in self.answers.items() if asked == what) for what in kinds}
        return {
            what: f"{self.answers[what, 429] + self.answers[what, 503]} of {counts[what]}" for what in kinds
        }


def under_load(server: Server, clients: int, minutes: float) -> dict[str, Any]:
    run = server.start_run(minutes + 2)
    load = Load(server, run)
    memory = asyncio.run(load.go(clients, 60 * minutes))
    fifth = max(1, len(memory) // 5)
    early, late = (statistics.median(part) for part in (memory[fifth : 2 * fifth], memory[-fifth:]))
    for what, seconds in sorted(load.seconds.items()):
        statuses = {
            status: n for (asked, status), n in sorted(load.answers.items(), key=str) if asked == what
        }
        print(f"{what:6} {spread(seconds)} ms, answers {statuses}")
    print(
        f"memory: {memory[0]:.0f} MB at first, {early:.0f} MB, then {late:.0f} MB; most {max(memory):.0f} MB"
    )
    print(f"refused: {load.refused() or 'none'}; errors: {load.errors() or 'none'}")
    figures = {"clients": clients, "minutes": minutes, "errors": load.errors(), "refused": load.refused()}
    return figures | {"memory": memory, "growth": late / early - 1, "requests": sum(load.answers.values())}


async def read_slowly(server: Server, path: str, seconds: float) -> int:
    """Read an answer at SLOW_BYTES a second, as a connection does whose other end is far away. Bytes read."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**12)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: ds_actor={server.cookie}\r\n\r\n"
    writer.write(request.encode())
    total, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and (data := await reader.read(SLOW_BYTES // 10)):
        total += len(data)
        await asyncio.sleep(0.1)
    writer.close()
    return total


def slow_readers(server: Server, readers: int, seconds: float) -> dict[str, Any]:
    from datasette_nanogpt.registry.db import registry
    from datasette_nanogpt.registry.statements import insert

    folder = Path(f"/proc/{server.process.pid}/cwd").resolve()
    with registry(folder / "home", create=True) as db:
        settings = json.dumps({"name": "bench", "table": ["entry"]})
        row = {"name": "bench", "database": str(folder / "bench.db"), "table": "entry", "kind": "train"}
        insert(
            db, "runs", row | {"status": "finished", "settings": settings, "started": "2026", "ended": "2026"}
        )
        run = "/-/nanogpt/runs/1"
        rows = ((1, i, i / 7, 3.21 + i / 1e6, 2.13, 1.23, 0.01, 12345.678) for i in range(HISTORY))
        columns = "run, step, seconds, train_loss, train_bpb, val_loss, learning_rate, tokens_per_second"
        db.executemany(
            f"insert into metrics ({columns}) values (1, ?, ?, ?, ?, ?, ?, ?)", (r[1:] for r in rows)
        )
    before, most = server.memory(), 0.0

    async def go() -> list[int]:
        nonlocal most
        paths = [f"{run}.json" if number % 2 else f"{run}.csv" for number in range(readers)]
        tasks = [asyncio.create_task(read_slowly(server, path, seconds)) for path in paths]
        while not all(task.done() for task in tasks):
            most = max(most, server.memory())
            await asyncio.sleep(0.2)
        return [task.result() for task in tasks]

    read = asyncio.run(go())
    print(
        f"{readers} slow readers: {min(read) / 1e3:.0f} to {max(read) / 1e3:.0f} kB read each, memory "
        f"{before:.0f} MB before, {most:.0f} MB at most"
    )
    return {"readers": readers, "before": before, "most": most, "least_read": min(read)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--slow", type=int, metavar="READERS", help="slow readers instead")
    parser.add_argument("--seconds", type=float, default=20, help="of slow reading")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        server = Server(Path(folder))
        try:
            if a.slow:
                found = slow_readers(server, a.slow, a.seconds)
            else:
                found = under_load(server, a.clients, a.minutes)
        finally:
            server.stop()
    if a.json:
        a.json.write_text(json.dumps(found | {"machine": machine()}, indent=2) + "\n")
    sys.exit(bool(found.get("errors")))


if __name__ == "__main__":
    main()
