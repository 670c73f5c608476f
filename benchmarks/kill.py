"""Runs a function in a process that is killed just before one of its file operations, or in which that
operation fails, or that waits before each of them."""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_nanogpt import change_steps

Tell = Callable[[str], object]


class Reporter:
    """What a child process has to report to its parent: a `Tell`."""

    def __init__(self, answers: int, go_on: int):
        self.answers, self.go_on = answers, go_on  # file descriptors

    def __call__(self, line: str) -> None:
        os.write(self.answers, f"T{line}\n".encode())

    def wait(self) -> None:
        """Wait until the parent has looked at the files as they are now."""
        os.write(self.answers, b"W\n")
        os.read(self.go_on, 1)
        signal.alarm(SECONDS)


AUDITED = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SECONDS = 120  # after which a child counts as hung


class Killer:
    """Counts the file operations below a folder, and kills this process just before one of them. With an
    `error`, a number of errno, that operation fails instead, and if it is `lasting` all later ones, too.
    `before_each` is called before each of them."""

    def __init__(
        self,
        below: Path,
        kill_before: int | None,
        error: int | None = None,
        lasting: bool = False,
        before_each: Callable[[], None] | None = None,
    ):
        self.below, self.kill_before = str(below), kill_before
        self.error, self.lasting, self.before_each = error, lasting, before_each
        self.log: list[str] = []

    def install(self) -> None:
        sys.addaudithook(self.audit)
        os.fsync = self.wrapped("fsync", os.fsync)
        setattr(change_steps, "exchange", self.wrapped("exchange", getattr(change_steps, "exchange")))  # noqa: B009, B010
        connect = sqlite3.connect

        def connect_and_trace(*args: Any, **options: Any) -> sqlite3.Connection:
            db = connect(*args, **options)
            db.set_trace_callback(lambda sql: self.meet(f"SQL {sql[:60]}"))
            return db

        sqlite3.connect = connect_and_trace  # type: ignore[assignment]

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            written = any(letter in (mode or "") for letter in "wax+") or (flags or 0) & WRITES
            if written and self.is_ours(path):
                self.meet(f"open {path}")
        elif event in AUDITED and any(map(self.is_ours, args)):
            self.meet(f"{event} {args[0]}")

    def is_ours(self, path: object) -> bool:
        # With a folder's descriptor, as shutil.rmtree works, only the file's name is seen: it is one of ours.
        plain = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        return plain.startswith(self.below) or bool(plain and not os.path.isabs(plain))

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.meet(name)
            return function(*args)

        return call

    def meet(self, what: str) -> None:
        number, at = len(self.log), self.kill_before
        self.log.append(what)
        if self.before_each:
            self.before_each()
        if at is None or not (number == at or (self.lasting and number > at)):
            return
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        elif not what.startswith("SQL"):
            raise OSError(self.error, os.strerror(self.error), what.partition(" ")[2] or None)


@dataclass
class Outcome:
    """How a process ended, and what it had reported before."""

    killed: bool
    told: list[str]
    result: Any = None


_tried: set[str] = set()  # modules that `preload` has looked at


def preload(names: Iterable[str]) -> None:
    """Import all modules that a child has imported, so that the next children need not: torch and the plugins
    of llm take seconds."""
    if not (new := set(names) - _tried):
        return
    _tried.update(new)
    for name in new - sys.modules.keys():
        with suppress(Exception), redirect_stderr(io.StringIO()):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a child that collects garbage would otherwise copy every page of what is loaded


def in_child(
    work: Callable[[Reporter], Any],
    often: bool = True,
    waiting: Callable[[list[str]], None] | None = None,
) -> Outcome:
    """Call a function in a forked process. What it reports arrives even if it is killed; its result is sent
    as JSON. The modules that it has imported are imported here too if it is called `often`. `waiting` is
    called, with what was told so far, while it waits.

    Raises RuntimeError with its traceback if it fails, or hangs.
    """
    reading, writing = os.pipe()
    held, go_on = os.pipe()
    if not (pid := os.fork()):
        code = 1
        try:
            os.close(reading)
            os.close(go_on)
            signal.alarm(SECONDS)
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            result = work(Reporter(writing, held))
            with open(writing, "wb", closefd=False) as pipe:  # which holds less than this
                pipe.write(f"M{json.dumps([*sys.modules])}\nR{json.dumps(result)}\n".encode())
            code = 0
        except BaseException:
            os.write(writing, f"E{json.dumps(traceback.format_exc())}\n".encode())
        finally:
            os._exit(code)
    os.close(writing)
    os.close(held)
    lines: list[str] = []
    with open(reading, "rb") as answers:
        for answer in answers:
            if answer != b"W\n":
                lines.append(answer.decode().rstrip("\n"))
            elif waiting:
                waiting([line[1:] for line in lines if line[0] == "T"])
                os.write(go_on, b".")
    os.close(go_on)
    _, status = os.waitpid(pid, 0)
    if failures := [json.loads(line[1:]) for line in lines if line[0] == "E"]:
        raise RuntimeError(failures[0])
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError(f"ended by signal {os.WTERMSIG(status)}")
    if often:  # the next one will import the same
        preload(name for line in lines if line[0] == "M" for name in json.loads(line[1:]))
    results = [json.loads(line[1:]) for line in lines if line[0] == "R"]
    return Outcome(os.WIFSIGNALED(status), [line[1:] for line in lines if line[0] == "T"], *results)
