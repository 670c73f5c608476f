"""A bounded part of benchmarks/fuzz_files.py: files damaged by some seeds, and by those once not survived."""

import mmap
import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import fuzz_files

TRIES = 25
# Seeds that ended in a traceback before what is now right was made right.
ONCE = {"nanogpt.json": (94, 155), "ckpt.pt": (5007, 5168)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz")
    fuzz_files.make_whole(path / "whole")
    return path


@pytest.mark.parametrize("kind", fuzz_files.KINDS)
def test_a_damaged_file_is_read_or_refused(folder, kind):
    counts, bad = fuzz_files.fuzz(kind, folder, 0, 60, TRIES)
    assert not bad and counts.total() == TRIES and counts["refused"], (counts, bad)
    for seed in ONCE.get(kind, ()):
        assert not fuzz_files.fuzz(kind, folder, seed, 60, 1)[1]


def fail():
    raise fuzz_files.NanogptError("a line\nand another")


@pytest.mark.parametrize(
    ("work", "outcome"),
    [
        (lambda: 1 / 0, "traceback"),
        (fail, "traceback"),
        (lambda: os._exit(3), "traceback"),
        (lambda: time.sleep(60), "hang"),
        # Memory of its own: what malloc gives may have been this process's before.
        (lambda: mmap.mmap(-1, 150_000_000).write(b"x" * 150_000_000), "over 1 GB"),
    ],
)
def test_what_is_not_survived_is_told(folder, monkeypatch, work, outcome):
    monkeypatch.setattr(fuzz_files, "HANG_SECONDS", 2)
    monkeypatch.setattr(fuzz_files, "WAITS", 1)
    monkeypatch.setattr(fuzz_files, "MOST_BYTES", 50_000_000)
    monkeypatch.setitem(fuzz_files.KINDS, "meta.pkl", (lambda path, rng: None, lambda path: work()))
    counts, bad = fuzz_files.fuzz("meta.pkl", folder, 0, 60, 1)
    assert counts == {outcome: 1} and len(bad) == 1, bad
