"""Checkpoints of nanoGPT that somebody else made: each is imported or refused in a line, nothing in
them runs, and none takes more memory than its size explains."""

import io
import os
import pickle
import resource
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.commands import nanogpt

torch = pytest.importorskip("torch")

LETTERS = {c: i for i, c in enumerate("abcde")}


def saved(**changes):
    n, vocab, block = 16, 5, 8
    shapes = {
        "wte": (vocab, n),
        "wpe": (block, n),
        "ln_f": (n,),
        "h.0.ln_1": (n,),
        "h.0.ln_2": (n,),
        "h.0.attn.c_attn": (3 * n, n),
        "h.0.attn.c_proj": (n, n),
        "h.0.mlp.c_fc": (4 * n, n),
        "h.0.mlp.c_proj": (n, 4 * n),
    }
    state = {f"transformer.{name}.weight": torch.ones(shape) for name, shape in shapes.items()}
    args = {"n_layer": 1, "n_head": 2, "n_embd": n, "block_size": block, "vocab_size": vocab}
    return {"model": state, "model_args": args, "iter_num": 7, "best_val_loss": 1.5} | changes


def args(**values):
    return lambda: saved(model_args=saved()["model_args"] | values)


def tensor(make, name="transformer.wpe.weight"):
    return lambda: saved(model=saved()["model"] | {name: make()})


class Runs:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


LOOP: list = []
LOOP.append(LOOP)

REFUSED = {
    "a million layers": args(n_layer=10**6),
    "a width of a billion": args(n_embd=10**9, n_head=1),
    "a context of a trillion": args(block_size=10**12),
    "half a layer": args(n_layer=2.5),
    "layers of a tensor": args(n_layer=torch.ones(3)),
    "a true head": args(n_head=True),
    "more layers than tensors": args(n_layer=900),
    "heads that do not divide": args(n_head=3),
    "a number without end": args(vocab_size=10**5000),
    "one number, repeated": tensor(lambda: torch.ones(1).expand(10**12)),
    "one number, repeated as a matrix": tensor(lambda: torch.ones(1, 1).expand(8, 16)),
    "a tensor without numbers": tensor(lambda: torch.empty((8, 16), device="meta")),
    "a sparse tensor": tensor(lambda: torch.ones(8, 16).to_sparse()),
    "complex numbers": tensor(lambda: torch.ones((8, 16), dtype=torch.complex64)),
    "whole numbers": tensor(lambda: torch.ones((8, 16), dtype=torch.int64)),
    "a tensor of another shape": tensor(lambda: torch.ones(8, 17)),
    "no tensor": tensor(lambda: [1.0]),
    "a tensor with another name": tensor(lambda: torch.ones(3), "x" * 100_000),
    "a name that is a number": tensor(lambda: torch.ones(3), 7),
    "no model": lambda: {"model_args": {}},
    "a model that is a list": lambda: saved(model=[1]),
    "arguments that are a text": lambda: saved(model_args="n_layer"),
    "a list": lambda: [1, 2],
    "a list in itself": lambda: LOOP,
    "something that runs": lambda: saved(config=Runs(os.system, ("touch ran",))),
    "something that opens": lambda: saved(best_val_loss=Runs(open, ("ran", "w"))),
    "a number of four gigabytes": lambda: saved(best_val_loss=Runs(np.dtype, ("V4000000000",))),
    "a number of texts": lambda: saved(best_val_loss=np.array("abc")[()]),
}

READ = {
    "weights that learn": tensor(lambda: torch.nn.Parameter(torch.ones(8, 16))),
    "weights of two bytes": tensor(lambda: torch.ones((8, 16), dtype=torch.bfloat16)),
    "weights of eight bytes": tensor(lambda: torch.ones((8, 16), dtype=torch.float64)),
    "weights turned around": tensor(lambda: torch.ones(16, 8).T),
    "a loss that is a tensor": lambda: saved(best_val_loss=torch.tensor(1.5)),
    "a loss of NumPy": lambda: saved(best_val_loss=np.float32(1.5)),
}
NO_LOSS = {
    "a loss that is a text": "low",
    "a loss that is a list": [1.5],
    "a loss of many": torch.ones(5),
    "an infinite loss": float("inf"),
    "a loss that is no number": float("nan"),
    "a loss without end": 10**400,
    "a loss without numbers": torch.empty((), device="meta"),
}


def import_it(folder, ckpt, meta):
    """The command's result, having checked its time."""
    start = time.process_time()
    options = ["import", str(ckpt), "--name", "x", "--meta", str(meta)]
    done = CliRunner().invoke(nanogpt, options)
    assert time.process_time() - start < 5 and not (folder / "ran").exists() and not Path("ran").exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 2e9
    return done


@pytest.fixture
def meta(tmp_path):
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": 5, "stoi": LETTERS, "itos": {}}))
    return tmp_path / "meta.pkl"


def assert_refused(done, home):
    assert done.exit_code == 1 and done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1, done
    assert "should not have happened" not in done.stderr and len(done.stderr) < 600, done.stderr
    assert not (home / "x").exists() and not list(home.glob(".x*"))


@pytest.mark.parametrize("case", REFUSED)
def test_a_checkpoint_is_refused_in_a_line(tmp_path, home, meta, case):
    torch.save(REFUSED[case](), tmp_path / "ckpt.pt")
    assert_refused(import_it(tmp_path, tmp_path / "ckpt.pt", meta), home)


@pytest.mark.parametrize("case", READ)
def test_a_checkpoint_is_imported(tmp_path, home, meta, case):
    torch.save(READ[case](), tmp_path / "ckpt.pt")
    done = import_it(tmp_path, tmp_path / "ckpt.pt", meta)
    assert done.exit_code == 0, done.output
    assert read_checkpoint(home / "x").meta["score"] == {"val_loss": 1.5, "step": 7}


@pytest.mark.parametrize("case", NO_LOSS)
@pytest.mark.parametrize("key", ["best_val_loss", "iter_num"])
def test_what_stands_beside_the_weights_may_be_anything(tmp_path, home, meta, case, key):
    torch.save(saved(**{key: NO_LOSS[case]}), tmp_path / "ckpt.pt")
    done = import_it(tmp_path, tmp_path / "ckpt.pt", meta)
    assert done.exit_code == 0, done.output
    score = read_checkpoint(home / "x").meta["score"]
    assert score == ({} if key == "best_val_loss" else {"val_loss": 1.5, "step": 0})


def packed(path, size):
    """The same checkpoint with a storage of `size` zeros, packed."""
    buffer = io.BytesIO()
    torch.save(saved(), buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("data/0"):
                data = bytes(size)
            new.writestr(entry.filename, data)


def test_a_packed_checkpoint_is_refused_before_it_is_unpacked(tmp_path, home, meta):
    packed(tmp_path / "ckpt.pt", 100_000_000)
    assert (tmp_path / "ckpt.pt").stat().st_size < 200_000
    done = import_it(tmp_path, tmp_path / "ckpt.pt", meta)
    assert_refused(done, home)
    assert "packed" in done.stderr


def test_a_program_that_is_too_long_is_refused(tmp_path, home, meta):
    with zipfile.ZipFile(tmp_path / "ckpt.pt", "w") as archive:
        archive.writestr("ckpt/data.pkl", b"\x80\x02" + b"]" * 10_000_000 + b".")
        archive.writestr("ckpt/version", b"3\n")
    assert_refused(import_it(tmp_path, tmp_path / "ckpt.pt", meta), home)


THINGS = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "without end": lambda path: path.symlink_to("/dev/zero"),
    "the root": lambda path: path.symlink_to("/"),
    "empty": Path.touch,
    "a text": lambda path: path.write_text("x" * 1000),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("which", ["ckpt.pt", "meta.pkl"])
def test_what_is_no_file_is_refused(tmp_path, home, meta, thing, which):
    torch.save(saved(), tmp_path / "ckpt.pt")
    (tmp_path / which).unlink()
    THINGS[thing](tmp_path / which)
    assert_refused(import_it(tmp_path, tmp_path / "ckpt.pt", meta), home)


PICKLES = {
    "a memo of four gigabytes": b"\x80\x02}r\xff\xff\xff\x1f.",
    "a memo of sixteen gigabytes": b"\x80\x04}r\xff\xff\xff\x7f.",
    "a byte array of a terabyte": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "a text of a terabyte": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b".",
    "bytes of a terabyte": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".",
    "a frame of a terabyte": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"}.",
    "an object outside": b"\x80\x04\x8c\x01aQ.",
    "an extension": b"\x80\x02\x82\x01.",
    "an import": b"cos\nsystem\n(S'touch ran'\ntR.",
    "a new import": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x09touch ran\x85R.",
    "an instance": b"(S'touch ran'\nios\nsystem\n.",
    "many lists": b"\x80\x02(" + b"]" * 3_900_000 + b"l.",
    "deep lists": b"\x80\x02" + b"]" * 900_000 + b"a" * 899_999 + b".",
    "a number of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "no end": b"\x80\x04}",
    "no table": pickle.dumps({"vocab_size": 5}),
    "a list": pickle.dumps([1]),
    "a table of lists": pickle.dumps({"stoi": {"a": []}}),
    "letters of two": pickle.dumps({"stoi": {"ab": 0}}),
    "half a letter": pickle.dumps({"stoi": {"\ud800": 0}}),
    "ids with a gap": pickle.dumps({"stoi": {"a": 0, "b": 2}}),
    "more letters than the model": pickle.dumps({"stoi": {chr(97 + i): i for i in range(20)}}),
    "too many bytes": b"\x80\x04" + b"N0" * 5_000_000 + b"}.",
}


@pytest.mark.parametrize("case", PICKLES)
def test_a_table_of_characters_is_refused_in_a_line(tmp_path, home, meta, case):
    torch.save(saved(), tmp_path / "ckpt.pt")
    meta.write_bytes(PICKLES[case])
    assert_refused(import_it(tmp_path, tmp_path / "ckpt.pt", meta), home)


@pytest.mark.parametrize("protocol", range(6))
def test_a_table_of_any_protocol_is_read(tmp_path, home, protocol):
    torch.save(saved(), tmp_path / "ckpt.pt")
    table = {"vocab_size": 5, "stoi": LETTERS, "itos": dict(enumerate(LETTERS))}
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps(table, protocol))
    assert import_it(tmp_path, tmp_path / "ckpt.pt", tmp_path / "meta.pkl").exit_code == 0
