"""`llm nanogpt …` on real folders and real tables."""

import errno
import json
import math
import os
import re
import shlex
import sqlite3
from ast import literal_eval
from contextlib import closing
from pathlib import Path

import llm
import llm.cli
import numpy as np
import pytest
import sqlite_utils
from click.testing import CliRunner
from conftest import TEXTS, random_tensors, tiny_config

from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.runs import find_runs
from llm_nanogpt import loading
from llm_nanogpt.changes import hold
from llm_nanogpt.checkpoint import read_checkpoint, write_meta
from llm_nanogpt.gpt_numpy import build
from llm_nanogpt.listing import as_table, megabytes
from llm_nanogpt.loading import open_model
from llm_nanogpt.sampler import log_softmax
from llm_nanogpt.score import score
from llm_nanogpt.tokenizer_training import train_char


def nanogpt(*arguments, input=None, exit_code=0):
    result = CliRunner().invoke(llm.cli.cli, ["nanogpt", *map(str, arguments)], input=input)
    assert result.exit_code == exit_code, result.output
    return result


def refused(*arguments, input=None, exit_code=2):
    """What a command says that cannot be done as it was typed: one line."""
    result = nanogpt(*arguments, input=input, exit_code=exit_code)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def failed(*arguments, input=None):
    """What a command says that was typed well and yet fails: one line."""
    return refused(*arguments, input=input, exit_code=1)


@pytest.fixture
def blog(tmp_path):
    """A database of posts, of which one is about something else."""
    path = tmp_path / "blog.db"
    db = sqlite_utils.Database(path)
    rows = [{"id": i, "title": f"Row {i}", "body": text} for i, text in enumerate(TEXTS[:12])]
    rows[7]["body"] = "Zxqj wvkp ßðæ 9#9#9 qqzz"
    db["posts"].insert_all(rows, pk="id")
    db.create_view("view", "select * from posts")
    db["other"].insert({"a": 1})
    return path


@pytest.fixture
def trained(make_model, blog, home):
    """A model with the nanogpt.json of a training run."""

    def make(name="nanogpt-blog", status="finished"):
        folder = make_model(name)
        meta = {
            "name": name,
            "source": {
                "database": str(blog),
                "table": "posts",
                "title": "title",
                "body": ["body"],
                "where": None,
                "rows": 12,
                "tables": [{"table": "posts", "title": "title", "body": ["body"], "rows": 12}],
            },
            "score": {"val_bpb": 2.125, "val_loss": 4.0, "step": 100},
            "training": {
                "status": status,
                "updated": "2026-01-02T03:04:05.678+00:00",
                "step": 120,
                "seconds": 6.0,
            },
            "corpus": {"bytes": 1000, "documents": 12, "val_bytes": 90, "val_documents": 2},
            "settings": {"batch_size": 4, "device": "cpu"},
            "options": {"database": str(blog), "table": "posts", "minutes": 0.1},
        }
        write_meta(folder, meta, f"# {name}\n\nllm -m {name}\n")
        return folder

    return make


def test_models_lists_folders_with_their_size_and_state(trained, make_model, home):
    trained()
    trained("running", status="running")
    make_model("plain")
    (make_model("hurt") / "config.json").unlink()
    cached = home / ".cache" / "tokens" / "file"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"x" * 3_000_000)
    found = nanogpt("models")
    assert "The cache has 3.0 MB in" in found.stderr
    lines = found.stdout.splitlines()
    assert lines[0].split() == [
        "name",
        "table",
        "rows",
        "parameters",
        "bits/byte",
        "trained",
        "on",
        "disk",
        "state",
    ]
    row = next(line for line in lines if line.startswith("nanogpt-blog"))
    assert row.split()[:7] == ["nanogpt-blog", "posts", "12", "0.03M", "2.125", "2026-01-02", "03:04"]
    assert row.split()[-2:] == ["MB", "ready"]
    hurt = next(line for line in lines if line.startswith("hurt"))
    assert hurt.endswith(f"config.json is missing ({home / 'hurt'})")
    assert next(line for line in lines if line.startswith("running")).endswith("interrupted")
    listed = json.loads(nanogpt("models", "--json").stdout)
    told = {model["name"]: model for model in listed}
    assert told["nanogpt-blog"]["bits_per_byte"] == 2.125
    assert told["nanogpt-blog"]["parameters"] == tiny_config().parameters
    assert told["nanogpt-blog"]["bytes_on_disk"] > 100_000
    assert told["hurt"]["state"] == "broken"
    assert told["plain"]["rows"] is None

    width = max(len(line) for line in lines if not line.startswith("hurt"))
    assert list(as_table(listed, width)) == lines  # a terminal that has room for it
    narrow = list(as_table(listed, 40))
    assert max(map(len, narrow)) <= max(40, 2 + len(str(home / "hurt")) + 2)  # a path is not broken
    at = narrow.index("nanogpt-blog")
    assert narrow[at + 1 : at + 3] == [
        "  posts, 12 rows, 0.03M parameters,",
        "  2.125 bits/byte, 2026-01-02 03:04,",
    ]
    assert narrow[at + 3].endswith(" MB, ready") and narrow[at + 4] in told


def test_a_running_training_is_told(trained, home):
    trained(status="running")
    with hold(home / "nanogpt-blog"):
        assert json.loads(nanogpt("models", "--json").stdout)[0]["state"] == "training"
        assert "is being trained by another process" in failed("remove", "nanogpt-blog", "-y")
        assert "is being trained by another process" in failed("rename", "nanogpt-blog", "other")
    assert (home / "nanogpt-blog" / "config.json").exists()


def test_models_says_how_to_train_one_when_there_is_none():
    result = nanogpt("models")
    assert result.stdout == ""
    assert "train one with `llm nanogpt train`" in result.stderr
    assert json.loads(nanogpt("models", "--json").stdout) == []


def test_a_home_that_only_its_owner_may_read_is_not_called_empty(trained, home, monkeypatch):
    trained()
    scan = os.scandir

    def refuse(path):
        if Path(path) == home:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for arguments in (
        ("models",),
        ("models", "--json"),
        ("info", "nanogpt-blog"),
        ("sample", "nanogpt-blog"),
    ):
        assert "Permission denied): ask its owner to let you, or set NANOGPT_HOME" in failed(*arguments)


def test_info_and_path(trained, home):
    trained()
    shown = nanogpt("info", "nanogpt-blog").stdout
    lines = dict(re.split("  +", line, maxsplit=1) for line in shown.splitlines())
    assert lines["bits per byte"] == "2.1250"
    assert re.fullmatch(r"\d+ kB|[\d.]+ MB", lines["on disk"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", lines["trained"])
    assert lines["shape"] == "2 layers, 4 heads, width 32"
    assert lines["loss"] == "4.0000 nats per token of the held-out text"
    assert lines["columns"] == "title + body"
    assert lines["text"] == "1,000 bytes in 12 documents"
    assert lines["held out"] == "90 bytes in 2 documents"
    assert lines["training"] == (
        "120 steps in 6 s on cpu, 2,560 tokens/s, including the time for trials, compiling and scores"
    )
    assert lines["options"] == "minutes 0.1"
    assert "where" not in lines
    told = json.loads(nanogpt("info", "nanogpt-blog", "--json").stdout)
    assert told["nanogpt"]["source"]["table"] == "posts"
    assert nanogpt("path", "nanogpt-blog").stdout == f"{home / 'nanogpt-blog'}\n"


@pytest.mark.parametrize("newline", ["\n", "\\n"])  # as a file has it, and as it is typed
def test_info_has_the_template_once_as_it_can_be_pasted(trained, newline):
    folder = trained()
    meta = read_checkpoint(folder).meta
    template = f"# {{{{ title }}}}{newline}It's {{{{ body }}}}"
    meta["source"]["template"] = meta["options"]["template"] = template
    write_meta(folder, meta, "")
    shown = nanogpt("info", "nanogpt-blog").stdout
    lines = dict(re.split("  +", line, maxsplit=1) for line in shown.splitlines())
    assert shlex.split(lines["template"]) == [r"# {{ title }}\nIt's {{ body }}"]
    assert lines["options"] == "minutes 0.1"


def test_info_names_the_log_of_the_run(trained, home):
    folder = trained()
    assert not re.search("^log ", nanogpt("info", "nanogpt-blog").stdout, re.MULTILINE)
    meta = read_checkpoint(folder).meta
    meta["training"]["log"] = ".logs/run-7.log"  # relative to the folder of all models
    meta["options"]["title"] = ""
    write_meta(folder, meta, "")
    assert not re.search("^log ", nanogpt("info", "nanogpt-blog").stdout, re.MULTILINE)  # copied without it
    (home / ".logs").mkdir()
    (home / ".logs" / "run-7.log").touch()
    lines = dict(line.split(maxsplit=1) for line in nanogpt("info", "nanogpt-blog").stdout.splitlines())
    assert lines["log"] == str(home / ".logs" / "run-7.log")
    assert lines["options"] == "minutes 0.1, title none"


def test_a_name_that_is_not_there(trained):
    assert "train one with" in refused("path", "nowhere")
    trained()
    for command in ("info", "path", "sample", "remove NAME -y", "score NAME -", "export NAME --gguf x"):
        for name in ("nowhere", "../nanogpt-blog"):
            verb, *rest = command.replace(" NAME", "").split()
            assert f"There is no model '{name}'" in refused(verb, name, *rest)
    assert refused("path", "nowhere").endswith("you have nanogpt-blog\n")
    assert refused("path", "nanogpt-blg").endswith("you have nanogpt-blog. Did you mean nanogpt-blog?\n")


def test_an_alias_stands_for_its_model_in_every_command(trained, home):
    trained()
    llm.set_alias("blog", "nanogpt-blog")
    assert nanogpt("path", "blog").stdout == f"{home / 'nanogpt-blog'}\n"
    nanogpt("rename", "blog", "simon")
    assert llm.get_model("blog").model_id == "simon"
    assert nanogpt("path", "blog").stdout == f"{home / 'simon'}\n"
    assert "Removed its alias blog" in nanogpt("remove", "blog", "-y").stderr
    assert "There is no model 'blog'" in refused("path", "blog")


def test_remove_asks_first_and_removes_a_broken_model_too(trained, home):
    trained()
    trained("other")
    assert nanogpt("remove", "other", input="n\n", exit_code=1)
    assert (home / "other").exists()
    nanogpt("remove", "other", input="y\n")
    (home / "nanogpt-blog" / "config.json").unlink()  # a broken one can be removed too
    assert nanogpt("remove", "nanogpt-blog", "-y").stderr == "Removed nanogpt-blog\n"
    assert list(home.iterdir()) == []


def test_rename_moves_the_folder_and_its_runs(trained, home):
    trained()
    trained("other")
    with registry(home, create=True) as db:
        db.execute("insert into runs (name) values ('nanogpt-blog'), ('other')")
    before = llm.get_model("nanogpt-blog").prompt("Row", seed=1, max_tokens=5).text()
    assert "There is a model 'other' already" in refused("rename", "nanogpt-blog", "other")
    assert "cannot be named" in refused("rename", "nanogpt-blog", "a/b")
    llm.set_alias("blog", "other")
    assert "'blog' is an alias of other" in refused("rename", "nanogpt-blog", "blog")
    assert "nanogpt-blog is now simon: llm -m simon" in nanogpt("rename", "nanogpt-blog", "simon").stderr
    assert llm.get_model("simon").prompt("Row", seed=1, max_tokens=5).text() == before
    assert read_checkpoint(home / "simon").meta["name"] == "simon"
    assert "llm -m simon" in (home / "simon" / "README.md").read_text()
    card = "# {0}\n\nOf the table `posts` of `blog.db`.\n\n    llm -m {0} Once\n\nload('path/to/{0}')\n"
    (trained("posts") / "README.md").write_text(card.format("posts"))
    nanogpt("rename", "posts", "letters")
    assert (home / "letters" / "README.md").read_text() == card.format("letters")
    assert [run["name"] for run in find_runs(home)] == ["other", "simon"]
    assert "There is no model" in refused("path", "nanogpt-blog")


def test_rename_and_remove_take_what_llm_keeps_of_a_model(trained, home):
    trained()
    llm.set_default_model("nanogpt-blog")
    options = llm.user_dir() / "model_options.json"
    options.write_text(json.dumps({"nanogpt-blog": {"max_tokens": 3}, "other": {"seed": 1}}))
    nanogpt("rename", "nanogpt-blog", "simon")
    assert llm.get_default_model() == "simon"
    assert json.loads(options.read_text()) == {"simon": {"max_tokens": 3}, "other": {"seed": 1}}
    assert "It was llm's default model: `llm models default NAME`" in nanogpt("remove", "simon", "-y").stderr
    assert llm.get_default_model() == llm.DEFAULT_MODEL
    assert json.loads(options.read_text()) == {"other": {"seed": 1}}
    trained()
    options.write_text("[not JSON")
    assert nanogpt("rename", "nanogpt-blog", "simon").exit_code == 0
    assert options.read_text() == "[not JSON"


# ---- sample


def test_sample_writes_as_many_texts_as_asked(trained, tmp_path):
    trained()
    text = nanogpt("sample", "nanogpt-blog", "Row 12", "-n", 3, "-o", "seed", 1, "-o", "max_tokens", 5).stdout
    samples = text.split("\n---\n")
    assert len(set(samples)) == 3
    (tmp_path / "prompt").write_text("Row 12")
    again = nanogpt(
        "sample", "nanogpt-blog", "-f", tmp_path / "prompt", "-n", 3, "-o", "seed", 1, "-o", "max_tokens", 5
    )
    assert again.stdout == text
    piped = nanogpt(
        "sample", "nanogpt-blog", "-f", "-", "-n", 1, "-o", "seed", 1, "-o", "max_tokens", 5, input="Row 12"
    )
    assert piped.stdout.rstrip("\n") == samples[0].rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-o", "top_p", 3], "top_p must be above 0"),
        (["-o", "nonsense", 3], "nonsense: There is no such option: there are title, "),
        (["-o", "titel", "x"], "titel: There is no such option: did you mean title?"),
        (["-o", "temp", "1"], "temp: There is no such option: did you mean temperature?"),
        (["-o", "Top-P", "1"], "Top-P: There is no such option: did you mean top_p?"),
        (["-o", "max_tokens", "many"], "max_tokens: must be a whole number"),
    ],
)
def test_sample_refuses_wrong_options(trained, arguments, reason):
    trained()
    assert reason in refused("sample", "nanogpt-blog", *arguments)


def test_sample_with_a_title(trained):
    trained()
    given = ("-n", 2, "-o", "seed", 1, "-o", "max_tokens", 5)
    titled = nanogpt("sample", "nanogpt-blog", "Row", "--title", "Foxes", *given).stdout
    assert titled == nanogpt("sample", "nanogpt-blog", "Row", "-o", "title", "Foxes", *given).stdout
    assert titled == nanogpt("sample", "nanogpt-blog", "Foxes\n\nRow", *given).stdout


def test_sample_takes_one_prompt(trained, tmp_path):
    trained()
    (tmp_path / "prompt").write_text("Row 12")
    said = refused("sample", "nanogpt-blog", "Row", "-f", tmp_path / "prompt")
    assert "a prompt or a file, not both" in said


# ---- score


@pytest.mark.parametrize("length", [0, 1, 7, 31, 32, 33, 100])
def test_a_score_is_what_the_logits_say(bpe, make_model, length):
    """Against one pass of the whole text per token, where it fits; else against half a context or more."""
    opened = open_model(make_model())
    text = bpe.decode(bpe.encode("".join(TEXTS))[:length])
    found = score(opened, text)
    ids = [bpe.eot, *bpe.encode(text), bpe.eot]
    assert found.tokens == ids[1:]
    assert found.bytes == len(text.encode())
    for i in range(min(len(ids) - 1, 32)):
        odds = log_softmax(opened.model.logits(ids[: i + 1], opened.model.new_cache()))
        assert found.bits[i] == pytest.approx(-odds[ids[i + 1]] / math.log(2), abs=1e-3)
    if length == 0:
        assert found.bits_per_byte is None
    else:
        assert found.bits_per_byte == pytest.approx(found.bits.sum() / found.bytes)


def test_an_even_model_scores_the_size_of_its_vocabulary(bpe, make_model):
    from llm_nanogpt.loading import OpenedModel

    tensors = {name: np.zeros_like(t) for name, t in random_tensors(tiny_config()).items()}
    opened = OpenedModel(read_checkpoint(make_model()), build(tiny_config(), tensors), "", bpe)
    found = score(opened, "".join(TEXTS[:3]))
    assert np.allclose(found.bits, math.log2(400))


def test_a_char_model_without_an_end_scores_too(make_model):
    tokenizer = train_char(TEXTS)
    opened = open_model(make_model(tokenizer=tokenizer))
    assert len(score(opened, "Row 1").bits) == 6
    assert score(opened, "Row 1").bytes == score(opened, "Row 1☂").bytes == 5  # what it lacks costs no bits


def test_a_score_needs_no_gpu(trained, monkeypatch, tmp_path):
    """Where there is one, a big model would write on it; scores are taken from another class."""
    trained()
    monkeypatch.setattr(loading, "SMALL", 0)
    monkeypatch.setattr(loading.shutil, "which", lambda program: program)  # nvidia-smi among them
    monkeypatch.setattr("llm_nanogpt.device.choose_device", lambda device: ("meta", "a GPU"))
    (tmp_path / "draft.txt").write_text(TEXTS[1])
    assert "bits/byte" in nanogpt("score", "nanogpt-blog", tmp_path / "draft.txt").stdout


@pytest.mark.parametrize("command", [["score", "nanogpt-blog"], ["sample", "nanogpt-blog", "-f"]])
def test_text_that_is_not_utf8_is_told(trained, tmp_path, command):
    trained()
    (tmp_path / "draft.txt").write_bytes("Zoë".encode("latin1"))
    assert "is not UTF-8" in failed(*command, tmp_path / "draft.txt")


def test_score_a_file(trained, tmp_path, home):
    trained()
    (tmp_path / "draft.txt").write_text(TEXTS[1])
    told = nanogpt("score", "nanogpt-blog", tmp_path / "draft.txt").stdout
    heading, line = told.splitlines()
    assert heading == "bits/byte  text"
    text = TEXTS[1].rstrip("\n")  # what an editor puts at the end of a file is not in the rows
    expected = score(open_model(home / "nanogpt-blog"), text).bits_per_byte
    assert float(line.split()[0]) == pytest.approx(expected, abs=1e-3)
    assert nanogpt("score", "nanogpt-blog", "-", input=TEXTS[1]).stdout == told
    lines = nanogpt("score", "nanogpt-blog", "-", "--tokens", input=TEXTS[1]).stdout.splitlines()
    assert lines[:3] == [heading, line, "     bits  token"]
    assert "".join(literal_eval(part.split(maxsplit=1)[1]) for part in lines[3:]) == text + "<|endoftext|>"
    told = json.loads(nanogpt("score", "nanogpt-blog", "-", "--jsonl", "--tokens", input=TEXTS[1]).stdout)
    assert sum(bits for _, bits in told["token_bits"]) == pytest.approx(
        told["bits_per_byte"] * told["bytes"], rel=1e-3
    )


def test_score_a_table(trained, blog):
    trained()
    result = nanogpt("score", "nanogpt-blog", "--db", blog, "--table", "posts", "--jsonl")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in told] == list(range(12))
    texts = [f"Row {i}\n\n{text}" for i, text in enumerate(TEXTS[:7])]
    sizes = [len(text.strip().encode()) for text in texts]
    assert [row["bytes"] for row in told[:7]] == sizes
    plain = nanogpt("score", "nanogpt-blog", "--db", blog, "--table", "posts", "--where", "id < 3")
    heading, *lines = plain.stdout.splitlines()
    assert heading.split() == ["bits/byte", "id", "text"]
    scores = [(float(line.split()[0]), int(line.split()[1])) for line in lines]
    assert [score for score, _ in scores] == sorted((score for score, _ in scores), reverse=True)
    assert {key for _, key in scores} == {0, 1, 2}
    by_id = {row["id"]: row["bits_per_byte"] for row in told}
    assert all(by_id[key] == pytest.approx(score, abs=1e-3) for score, key in scores)
    assert "over" in plain.stderr


def test_scores_are_saved_beside_the_rows(trained, blog):
    trained()
    command = ["score", "nanogpt-blog", "--db", blog, "--table", "posts", "--save-table", "scores"]
    nanogpt(*command, "--where", "id < 3")
    db = sqlite_utils.Database(blog)
    assert db["scores"].count == 3
    nanogpt(*command)
    rows = list(db["scores"].rows)
    assert [row["id"] for row in rows] == list(range(12))
    assert rows[0]["model"].startswith("nanogpt-blog@step0-")
    assert [(f.column, f.other_table) for f in db["scores"].foreign_keys] == [("id", "posts")]
    assert db["scores"].pks == ["id"]


def test_score_refuses_options_that_do_not_go_together(trained, blog):
    trained()
    name = "nanogpt-blog"
    assert "Give a FILE" in refused("score", name)
    assert "no text to score" in failed("score", name, "-", input="\n")
    assert "Give a FILE" in refused("score", name, "--db", blog)
    assert "Give a FILE" in refused("score", name, "-", "--db", blog, "--table", "posts", input="x")
    assert "go with --db and --table" in refused("score", name, "-", "--save-table", "s", input="x")
    assert "no table 'nowhere'" in refused("score", name, "--db", blog, "--table", "nowhere")
    table = ["score", name, "--db", blog, "--table"]
    assert "has other columns than scores" in refused(*table, "posts", "--save-table", "other")
    assert "has other columns than scores" in refused(*table, "posts", "--save-table", "posts")
    assert "is a view" in refused(*table, "view", "--save-table", "scores")
    sqlite_utils.Database(blog)["phone"].insert({"Model": "x", "body": "text"}, pk="Model")
    assert "is named model" in refused(*table, "phone", "--save-table", "scores")
    assert "scores" not in sqlite_utils.Database(blog).table_names()
    sqlite_utils.Database(blog)["blank"].insert({"title": None, "body": None})
    told = "Error: The rows of blank have no text: choose its column with --body\n"
    assert failed(*table, "blank", "--body", "body") == told


# ---- help, in, out


def test_every_command_has_an_example():
    names = llm.cli.cli.commands["nanogpt"].list_commands(None)
    assert len(names) == 12
    for name in names:
        assert "Example" in nanogpt(name, "--help").stdout, name


def test_what_is_no_checkpoint_is_told_before_its_name(trained, blog):
    trained()  # of the name that a model of blog.db would get
    assert "blog.db is not a checkpoint" in failed("import", blog)


def test_sizes_are_never_next_to_nothing():
    sizes = (0, 300, 4000, 99_000, 150_000, 2.5e9)
    assert [megabytes(n) for n in sizes] == ["0.0 MB", "1 kB", "4 kB", "99 kB", "0.1 MB", "2,500.0 MB"]


def test_llm_names_the_nearest_option(trained):
    trained()
    told = CliRunner().invoke(llm.cli.cli, ["-m", "nanogpt-blog", "-o", "titel", "x", "Row"])
    assert told.exit_code == 1 and told.stderr.split() == (
        ["Error:", "titel", "There", "is", "no", "such", "option:", "did", "you", "mean", "title?"]
    )


def test_import_and_export(tmp_path, home):
    from test_interop import save_ckpt, save_meta

    save_ckpt(tmp_path / "out-letters" / "ckpt.pt")
    meta = save_meta(tmp_path / "meta.pkl")
    result = nanogpt("import", tmp_path / "out-letters" / "ckpt.pt", "--meta", meta)
    assert result.stdout == "llm -m nanogpt-letters 'Once'\n"
    assert json.loads(nanogpt("models", "--json").stdout)[0]["imported"].endswith("ckpt.pt")
    assert "imported" in nanogpt("models").stdout
    out = tmp_path / "m.gguf"
    assert "Wrote" in nanogpt("export", "nanogpt-letters", "--gguf", out, "--dtype", "f16").stderr
    assert out.read_bytes()[:4] == b"GGUF"
    written = out.read_bytes()
    assert f"The file {out} exists already" in refused("export", "nanogpt-letters", "--gguf", out)
    assert out.read_bytes() == written
    (tmp_path / "blog.db").write_bytes(b"SQLite format 3")
    arguments = ["export", "nanogpt-letters", "--force", "--gguf"]
    assert "is not a GGUF file" in refused(*arguments, tmp_path / "blog.db")
    assert (tmp_path / "blog.db").read_bytes() == b"SQLite format 3"
    nanogpt(*arguments, out)
    assert len(out.read_bytes()) > len(written)  # f32 now
    llm.set_alias("letters", "nanogpt-letters")
    again = ["import", tmp_path / "out-letters" / "ckpt.pt", "--name", "letters"]
    assert "'letters' is an alias of" in refused(*again)
    assert "There is a model 'nanogpt-letters' already" in refused(
        "import", tmp_path / "out-letters" / "ckpt.pt", "--meta", meta
    )


def test_no_command_of_ours_needs_the_logs_of_llm(make_model, tmp_path):
    """They may be locked: only `llm -m` writes there."""
    make_model("nanogpt-a")
    (tmp_path / "draft.txt").write_text("Row 1: quick brown")
    with closing(sqlite3.connect(llm.user_dir() / "logs.db", timeout=0)) as db:
        db.execute("create table a (b)")
        db.execute("pragma locking_mode = exclusive")
        db.execute("begin exclusive")
        nanogpt("models")
        nanogpt("info", "nanogpt-a")
        assert nanogpt("sample", "nanogpt-a", "Row", "-n", 1, "-o", "max_tokens", 3).stdout
        nanogpt("score", "nanogpt-a", tmp_path / "draft.txt")
        nanogpt("export", "nanogpt-a", "--gguf", tmp_path / "a.gguf")
        nanogpt("rename", "nanogpt-a", "nanogpt-b")
        assert "nothing to restore" in failed("restore", "nanogpt-b")
        nanogpt("remove", "nanogpt-b", "-y")
