"""Model folders that somebody else made, or that are damaged: each is a model or a reason, nothing hangs, and
nothing takes gigabytes. The cases are those that once ended in a traceback or worse, and their kind."""

import json
import os
import re
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import HANG_SECONDS, tiny_config

from llm_nanogpt.checkpoint import checkpoints, describe, read_checkpoint, write_weights
from llm_nanogpt.commands import nanogpt
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions, NanogptError
from llm_nanogpt.home import model_names
from llm_nanogpt.listing import details, facts, size_on_disk
from llm_nanogpt.loading import open_model

SECONDS, BYTES = 5.0, 1_000_000_000  # that a file may take
DEEP = "[" * 100_000 + "]" * 100_000


def change(file, **values):
    """Write fields into a file of JSON; a value may be JSON itself, as a string that begins with `raw `."""
    text = json.dumps(json.loads(file.read_text("utf-8")) | values)
    file.write_text(re.sub(r'"raw (.*?)"', r"\1", text), "utf-8")


def meta(**values):
    return lambda folder: change(folder / "nanogpt.json", **values)


def config(**values):
    return lambda folder: change(folder / "config.json", **values)


def instead(name, make):
    """Puts something else in the place of a file: `make` is called with the path."""

    def damage(folder):
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return damage


def write(name, data):
    return instead(name, lambda path: path.write_bytes(data))


def header(edit):
    """Changes the header of model.safetensors."""

    def damage(folder):
        file = folder / "model.safetensors"
        data = file.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        text = json.dumps(edit(json.loads(data[8 : 8 + size]))).encode()
        file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])

    return damage


def first(**values):
    def edit(tensors):
        name = next(key for key in tensors if key != "__metadata__")
        return tensors | {name: tensors[name] | values}

    return header(edit)


def tokenizer(edit):
    def damage(folder):
        spec = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        edit(spec)
        (folder / "tokenizer.json").write_text(json.dumps(spec))

    return damage


def overlap(tensors):
    names = [key for key in tensors if key != "__metadata__" and tensors[key]["shape"] == [32]]
    return tensors | {names[0]: tensors[names[0]] | {"data_offsets": tensors[names[1]]["data_offsets"]}}


BROKEN = {
    # nanogpt.json
    "a database that is a number": meta(source={"database": 7}),
    "a table that is a list": meta(source={"table": ["a"]}),
    "rows that are a dict": meta(source={"rows": {}}),
    "rows of half a line of digits": meta(source={"rows": "raw " + "9" * 400}),
    "tables that are texts": meta(source={"tables": ["a"]}),
    "a table without a name": meta(source={"tables": [{"title": "x"}]}),
    "a template that is a list": meta(source={"template": ["{{ a }}"]}),
    "a speaker that is a number": meta(source={"tables": [{"table": "a", "speaker": 1}]}),
    "a body that is a text": meta(source={"body": "body"}),
    "kinds that are a list": meta(source={"tables": [{"table": "a", "kinds": []}]}),
    "a score that is a text": meta(score={"val_bpb": "low"}),
    "a score that is infinite": meta(score={"val_bpb": "raw Infinity"}),
    "a score that is no number": meta(score={"val_loss": "raw NaN"}),
    "a training that is a list": meta(training=["running"]),
    "a date that is a number": meta(training={"updated": 20260101}),
    "seconds that are a dict": meta(training={"seconds": {}}),
    "settings without a batch": meta(settings={"device": "cpu"}),
    "settings that are a text": meta(settings="x"),
    "stages that are a dict": meta(generations={}),
    "versions that are numbers": meta(versions={"torch": 2}),
    "a verdict of numbers": meta(verdict={"lines": {"score": 1}}),
    "an import that is a text": meta(imported="ckpt.pt"),
    "a corpus of texts": meta(corpus={"bytes": "many"}),
    "half a letter": meta(source={"table": "\ud800"}),
    "a format that is true": meta(format=True),
    "a format without end": meta(format="raw " + "9" * 5000),
    "deep JSON": write("nanogpt.json", DEEP.encode()),
    "deep JSON inside": meta(source={"database": "raw " + DEEP}),
    "much JSON": write("nanogpt.json", b'{"a": [' + b"[]," * 3_000_000 + b"[]]}"),
    "too much JSON": write("nanogpt.json", b" " * 20_000_000),
    "JSON that is not UTF-8": write("nanogpt.json", b'{"format": 1, "name": "\xff"}'),
    "a list of a model": write("nanogpt.json", b"[]"),
    # config.json
    "half a layer": config(num_hidden_layers=2.5),
    "a billion layers": config(num_hidden_layers=10**9),
    "a million layers": config(num_hidden_layers=10**6),
    "heads that are a list": config(num_attention_heads=[1]),
    "a width that is true": config(hidden_size=True),
    "a vocabulary without end": config(vocab_size="raw " + "9" * 5000),
    "less than a context": config(max_position_embeddings=-1),
    "a context of a trillion": config(max_position_embeddings=10**12),
    "key heads of zero": config(num_key_value_heads=-2),
    "a head of half": config(head_dim=0.5),
    "an epsilon that is a text": config(rms_norm_eps="small"),
    "rotations of nothing": config(rope_theta=0),
    "tied by a text": config(tie_word_embeddings="yes"),
    "titles of a number": config(nanogpt_titles=3),
    "an architecture that is a list": config(model_type=["qwen3"]),
    "deep configuration": write("config.json", DEEP.encode()),
    # model.safetensors
    "a shape that is a number": first(shape=7),
    "a shape of texts": first(shape=["a", "b"]),
    "a shape of halves": first(shape=[2.5, 2]),
    "a shape below zero": first(shape=[-1, -1]),
    "a type that is a list": first(dtype=["F32"]),
    "a type that there is not": first(dtype="F1"),
    "offsets past the end": first(data_offsets=[0, 10**15]),
    "offsets backwards": first(data_offsets=[100, 0]),
    "three offsets": first(data_offsets=[0, 1, 2]),
    "offsets that are texts": first(data_offsets=["0", "1"]),
    "tensors that overlap": header(overlap),
    "tensors that are lists": header(lambda tensors: dict.fromkeys(tensors, [])),
    "a list of tensors": header(lambda tensors: [tensors]),
    "metadata of numbers": header(lambda tensors: tensors | {"__metadata__": {"step": 1}}),
    "metadata that is a list": header(lambda tensors: tensors | {"__metadata__": []}),
    "a header of a terabyte": write("model.safetensors", struct.pack("<Q", 2**40) + b"{}"),
    "a header larger than its file": write("model.safetensors", struct.pack("<Q", 90_000_000) + b"{}"),
    "a deep header": write("model.safetensors", struct.pack("<Q", len(DEEP)) + DEEP.encode()),
    "an empty file": write("model.safetensors", b""),
    # words.txt
    "no words": write("words.txt", b""),
    "words that are cut off": write("words.txt", b"\n\nharbour\nstea"),
    "words without end": write("words.txt", b"harbour\n" * 5_000_000),
    # Things that are no files
    **{
        f"{name} that is {what}": instead(name, make)
        for name in ("nanogpt.json", "config.json", "model.safetensors", "tokenizer.json", "words.txt")
        for what, make in {
            "a pipe": os.mkfifo,
            "a folder": Path.mkdir,
            "without end": lambda path: path.symlink_to("/dev/zero"),
            "the root": lambda path: path.symlink_to("/"),
            "a link to itself": lambda path: path.symlink_to(path),
        }.items()
    },
}

UNREADABLE = {  # which is found when the model is opened
    "words that are not UTF-8": write("words.txt", b"\n\nharb\xffur\n"),
    "words of zeros": write("words.txt", b"\n\nharbour\n" + b"\0" * 4096 + b"\n"),
    "a regex that takes years": tokenizer(
        lambda spec: spec["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex="(a+)+$|(.*)*x")
    ),
    "an id without end": tokenizer(lambda spec: spec["model"]["vocab"].update(x=10**12)),
    "an id that is a text": tokenizer(lambda spec: spec["model"]["vocab"].update(x="1")),
    "an id below zero": tokenizer(lambda spec: spec["model"]["vocab"].update(x=-1)),
    "an end without end": tokenizer(lambda spec: spec["added_tokens"][0].update(id=10**12)),
    "a vocabulary that is a list": tokenizer(lambda spec: spec["model"].update(vocab=[])),
    "a token of other letters": tokenizer(lambda spec: spec["model"]["vocab"].update({"漢": 3})),
    "no tokens": tokenizer(lambda spec: spec["model"].update(vocab={})),
    "one token": tokenizer(lambda spec: spec["model"].update(vocab={"a": 1})),
    "characters of several letters": tokenizer(lambda spec: spec.update(pre_tokenizer=None)),
    "no model": tokenizer(lambda spec: spec.update(model=None)),
    "a tokenizer that is a list": write("tokenizer.json", b"[]"),
    "a deep tokenizer": write("tokenizer.json", DEEP.encode()),
    "a tokenizer of many lists": write("tokenizer.json", b"[" + b"[]," * 4_000_000 + b"[]]"),
    "more tokens than the model": tokenizer(lambda spec: spec["model"]["vocab"].update(x=1000)),
}


def one_line(ex):
    return "\n" not in str(ex) and len(str(ex)) < 600


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_is_a_model_or_a_reason(make_model, home, case):
    make_model("fine")
    BROKEN[case](make_model("hurt"))
    start = time.monotonic()
    with pytest.raises(NanogptError) as ex:
        read_checkpoint(home / "hurt")
    assert one_line(ex.value) and str(ex.value).startswith("Model 'hurt' is broken: "), ex.value
    listed = dict(checkpoints(home))
    assert listed.keys() == {"fine", "hurt"} and facts("hurt", listed["hurt"])["state"] == "broken"
    assert describe(home / "hurt") == "a folder that holds no model that can be opened"
    with pytest.raises(NanogptError):
        open_model(home / "hurt")
    assert time.monotonic() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 2 * BYTES  # with all that pytest has


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_tokenizer_is_one_or_a_reason(make_model, home, case):
    UNREADABLE[case](make_model("hurt"))
    start = time.monotonic()
    with pytest.raises(NanogptError) as ex:
        open_model(home / "hurt")
    assert one_line(ex.value) and "Model 'hurt' is broken: " in str(ex.value), ex.value
    assert time.monotonic() - start < SECONDS


GOOD = {
    "nothing known": meta(source=None, score=None, training=None, corpus=None),
    "more than is known": meta(source={"new": [1]}, novelty={"a": {"b": None}}),
    "whole numbers": meta(score={"val_bpb": 2, "val_loss": 3, "step": 0}, training={"seconds": 1, "step": 2}),
    "empty objects": meta(source={}, corpus={}, score={}, settings=None, generations=[], verdict={}),
    "options of half a letter": meta(options={"title": "\ud800", "where": "\x1b[31m\nx"}),
    "a score without a step": meta(score={"val_bpb": 2.5}),
    "a training folder that is the root": lambda folder: (folder / "training").symlink_to("/"),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_is_missing_or_not_known_is_no_damage(make_model, home, case):
    GOOD[case](make_model("fine"))
    start = time.monotonic()
    checkpoint = read_checkpoint(home / "fine")
    assert "".join(details(checkpoint).values()) and checkpoint.summary and open_model(home / "fine")
    assert facts("fine", checkpoint)["bytes_on_disk"] < 10**6
    for command in (["models"], ["models", "--json"], ["info", "fine"], ["info", "fine", "--json"]):
        done = CliRunner().invoke(nanogpt, command)
        assert done.exit_code == 0, done.output
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"\x1b[31mred"])
def test_a_name_that_cannot_be_shown_is_left_out_and_told(make_model, home, name):
    folder = make_model("fine")
    os.rename(folder, os.fsencode(home) + b"/" + name)
    make_model("fine")
    assert model_names(home) == ["fine"]
    done = subprocess.run(
        [Path(sys.executable).parent / "llm", "models"],
        capture_output=True,
        timeout=HANG_SECONDS,
        env=os.environ,
    )
    assert done.returncode == 0 and b"nanoGPT: fine" in done.stdout.replace(b"NanoGPT", b"nanoGPT"), done
    done = CliRunner().invoke(nanogpt, ["models"])
    assert done.exit_code == 0 and "cannot be shown" in done.output and "\x1b" not in done.output


def test_a_link_to_the_root_is_no_model(home):
    home.mkdir()
    (home / "root").symlink_to("/")
    start = time.monotonic()
    assert size_on_disk(home / "root") >= 0
    done = CliRunner().invoke(nanogpt, ["models"])
    assert done.exit_code == 0 and "No models in" in done.output
    assert time.monotonic() - start < SECONDS


def test_folders_of_other_things_in_a_home_are_left_alone(make_model, home):
    """As in a home that is somebody's own folder."""
    make_model("fine")
    thesis = home / "Documents" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    (home / "empty").mkdir()
    assert model_names(home) == ["empty", "fine"]
    for words in (["path", "Documents"], ["restore", "Documents"], ["info", "Documents"]):
        done = CliRunner().invoke(nanogpt, words)
        assert done.exit_code == 2 and "There is no model 'Documents'" in done.stderr, done.stderr
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize("kept", ["nanogpt.json", "model.safetensors", "tokenizer.json"])
def test_what_is_left_of_a_model_is_listed(make_model, home, kept):
    for file in make_model("hurt").iterdir():
        if file.name != kept:
            file.unlink()
    assert model_names(home) == ["hurt"]


def test_sizes_are_checked_before_a_shape_is_made():
    for field in ("n_layer", "n_embd", "vocab_size", "block_size", "n_inner", "head_dim", "n_kv_head"):
        for value in (10**12, -1, 2.5, True, "7", None, float("nan")):
            with pytest.raises(InvalidOptions):
                tiny_config(**{field: value})
    for field, value in (("rope_theta", float("inf")), ("norm_eps", "x"), ("tied", 1), ("activation", "exp")):
        with pytest.raises(InvalidOptions):
            tiny_config(**{field: value})
    with pytest.raises(InvalidOptions, match="context must be at most"):
        GPTConfig(vocab_size=2, block_size=2**20, n_layer=1, n_head=1, n_embd=2, head_dim=1024)


# ---- Weights that are no numbers


def spoil(folder, value):
    checkpoint = read_checkpoint(folder)
    tensors = {k: np.full(shape, value, np.float32) for k, shape in checkpoint.config.tensors().items()}
    write_weights(folder / "model.safetensors", tensors, {"step": "0"})


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
@pytest.mark.filterwarnings("error")
def test_writing_with_weights_that_are_no_numbers_says_so(make_model, home, arch, value):
    from llm_nanogpt.generate import generate
    from llm_nanogpt.score import score

    spoil(make_model("hurt", arch=arch), value)
    opened = open_model(home / "hurt", "cpu")
    with pytest.raises(NanogptError, match="weights are damaged"):
        list(generate(opened.model, opened.tokenizer, "Row", max_tokens=3))
    with pytest.raises(NanogptError, match="weights are damaged"):
        score(opened, "Row 3")
    done = CliRunner().invoke(nanogpt, ["sample", "hurt", "-n", "1"])
    assert done.exit_code == 1 and done.stderr.startswith("Error: The model's weights are damaged")
    assert done.stderr.count("\n") == 1


def test_writing_on_torch_with_weights_that_are_no_numbers_says_so(make_model, home):
    import torch

    from llm_nanogpt.generate import generate
    from llm_nanogpt.gpt_torch import TorchModel, build

    opened = open_model(make_model("hurt"), "cpu")
    module = build(opened.checkpoint.config).eval()
    with torch.no_grad():
        module.output.fill_(torch.nan)
    with pytest.raises(NanogptError, match="weights are damaged"):
        list(generate(TorchModel(module), opened.tokenizer, "Row", max_tokens=3))


# ---- GGUF


GGUF_TARGETS = {
    "a folder of that name": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a text": lambda path: path.write_text("not GGUF"),
    "a link without end": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to the root": lambda path: path.symlink_to("/"),
}


@pytest.mark.parametrize("case", GGUF_TARGETS)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_target_that_is_no_gguf_file_is_left_alone(make_model, tmp_path, case, force):
    pytest.importorskip("gguf")
    make_model("fine")
    out = tmp_path / "x.gguf"
    GGUF_TARGETS[case](out)
    before = os.lstat(out)
    start = time.monotonic()
    done = CliRunner().invoke(nanogpt, ["export", "fine", "--gguf", str(out), *force])
    assert done.exit_code in (1, 2) and "Error: " in done.stderr and "should not" not in done.stderr, done
    assert os.lstat(out).st_ino == before.st_ino and time.monotonic() - start < SECONDS
    assert [p.name for p in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(
    "out", ["file/x.gguf", "none/x.gguf", "x" * 252 + ".gg", "x" * 300, "x/" * 3000 + "y", "a\udce9.gguf"]
)
def test_a_target_that_cannot_be_written_is_told_in_a_line(make_model, tmp_path, out):
    pytest.importorskip("gguf")
    make_model("fine")
    (tmp_path / "file").write_text("a file")
    done = CliRunner().invoke(nanogpt, ["export", "fine", "--gguf", str(tmp_path / out)])
    if "\udce9" in out:
        assert done.exit_code == 0 and os.path.exists(tmp_path / out)
        return
    assert done.exit_code in (1, 2) and "Error: " in done.stderr and "should not" not in done.stderr, done


def test_merges_of_another_kind_are_no_gguf(make_model, tmp_path):
    pytest.importorskip("gguf")
    tokenizer(lambda spec: spec["model"].update(merges=[1, 2]))(make_model("hurt"))
    done = CliRunner().invoke(nanogpt, ["export", "hurt", "--gguf", str(tmp_path / "x.gguf")])
    assert done.exit_code == 1 and done.stderr.startswith("Error: tokenizer.json does not have its merges")
    assert not (tmp_path / "x.gguf").exists()
