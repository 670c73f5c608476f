"""What must not end a run or print a traceback: terminals, homes, names and numbers of every sort."""

import errno
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import llm.cli
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import HANG_SECONDS
from datasette.app import Datasette
from datasette.utils import StartupError
from pydantic import ValidationError
from test_columns import prose, title

from datasette_nanogpt.cli import demo_command, train_command
from datasette_nanogpt.data.corpus import default_name, open_corpus
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.registry.db import registry_error
from datasette_nanogpt.terminal import PlainDisplay
from datasette_nanogpt.training import preparation
from datasette_nanogpt.training.check import check_home
from datasette_nanogpt.training.failures import advice
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.web.limits import Limits
from datasette_nanogpt.web.state import PluginState
from datasette_nanogpt.web.target import Target
from llm_nanogpt import unwritable
from llm_nanogpt.commands import nanogpt
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import name_after, valid_name
from llm_nanogpt.llm_model import SamplingOptions
from llm_nanogpt.plugin import register_models

BIN = Path(sys.executable).parent
TINY = [
    "--n-layer",
    "1",
    "--n-head",
    "2",
    "--n-embd",
    "16",
    "--block-size",
    "16",
    "--batch-size",
    "2",
    "--vocab-size",
    "300",
    "--max-iters",
    "2",
]


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "कविता.db"
    with sqlite3.connect(path) as db:
        db.execute("create table verse (title, body)")
        db.executemany(
            "insert into verse values (?, ?)",
            [(title(i), f"{prose(i)} धर्मभूमि कुरुक्षेत्र ☕") for i in range(60)],
        )
    return path


def run(*args, **env):
    changed = {key: value for key, value in {**os.environ, **env}.items() if value is not None}
    return subprocess.run([str(a) for a in args], capture_output=True, timeout=HANG_SECONDS, env=changed)


def test_neither_a_terminal_that_lacks_the_characters_nor_a_lost_home_ends_a_run(database, home):
    terminal = {"PYTHONIOENCODING": "cp1252"}
    unreachable = terminal | {"HOME": "/dev/null/x", "LLM_USER_PATH": None}
    done = run(BIN / "datasette", "nanogpt-train", database, "verse", *TINY, **unreachable)
    assert done.returncode == 0, done.stderr
    assert "nanogpt-?????" in done.stdout.decode("cp1252")
    name = "nanogpt-कविता"
    assert (home / name).is_dir()
    done = run(BIN / "llm", "nanogpt", "sample", name, "धर्म", "-n", 1, "-o", "echo", 1, **unreachable)
    assert done.returncode == 0 and b"?" in done.stdout, done.stderr
    done = run(BIN / "llm", "-m", name, "धर्म", "-o", "echo", 1, **terminal)
    assert done.returncode == 0 and b"?" in done.stdout, done.stderr
    assert (
        "धर्म" in CliRunner().invoke(llm.cli.cli, ["logs", "-r"]).stdout
    )  # what was written is kept as it is


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep names in UTF-8")
def test_the_name_of_a_file_need_not_be_utf8(database, home):
    path = os.fsencode(database.with_name("caf")) + b"\xe9.db"
    os.rename(database, path)
    done = CliRunner().invoke(train_command, [os.fsdecode(path), "verse", *TINY])
    assert done.exit_code == 0, done.output
    meta = json.loads((home / "nanogpt-caf" / "nanogpt.json").read_text("utf-8"))
    assert meta["source"]["database"].endswith("caf\\xe9.db")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", "-1"),
        ("--seed", "9" * 30),
        ("--minutes", "inf"),
        ("--minutes", "nan"),
        ("--minutes", "-1e400"),
        ("--learning-rate", "nan"),
        ("--dropout", "inf"),
        ("--max-iters", "0"),
    ],
)
def test_numbers_out_of_bounds_are_told_in_a_line(database, option, value):
    done = CliRunner().invoke(train_command, [str(database), "verse", option, value])
    assert (
        done.exit_code == 2
        and done.stderr.startswith(f"Error: {option}: The ")
        and done.stderr.count("\n") == 1
    )


@pytest.mark.parametrize("stop", ["[1,2]", "[null]", '{"a": 1}', "[", "[[]]", '["a", 1]'])
def test_any_stop_is_taken_or_refused_in_a_line(make_model, stop):
    make_model("nanogpt-tiny")
    done = CliRunner().invoke(
        nanogpt, ["sample", "nanogpt-tiny", "-n", "1", "-o", "stop", stop, "-o", "max_tokens", "2"]
    )
    good = stop in ("[", '{"a": 1}')
    assert done.exit_code == (0 if good else 2)
    assert good or (
        done.stderr.startswith("Error: stop: ")
        and "JSON list" in done.stderr
        and done.stderr.count("\n") == 1
    )
    words = ["-m", "nanogpt-tiny", "x", "-o", "stop", stop, "-o", "max_tokens", "2"]
    done = CliRunner().invoke(llm.cli.cli, words)
    assert done.exit_code == (0 if good else 1)
    assert isinstance(done.exception, SystemExit | None), done.exception  # no traceback


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("real_words", "maybe", "must be true or false, not 'maybe'"),
        ("echo", "", "must be true or false, not ''"),
        ("top_k", "1.5", "must be a whole number, not '1.5'"),
        ("temperature", "warm", "must be a number, not 'warm'"),
        ("set", "foo", "give column=value, one a line, or a JSON object"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_told_in_plain_words(make_model, option, value, message):
    make_model("nanogpt-tiny")
    done = CliRunner().invoke(nanogpt, ["sample", "nanogpt-tiny", "-o", option, value])
    assert done.exit_code == 2 and done.stderr == f"Error: {option}: {message}\n"
    with pytest.raises(ValidationError) as told:
        SamplingOptions(**{option: value})
    assert [error["msg"] for error in told.value.errors()] == [message]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (nanogpt, ["export", "nanogpt-tiny", "--gguf", "-"]),
        (nanogpt, ["sample", "nanogpt-tiny", "--save-table", "t", "--db", "-"]),
        (demo_command, ["-"]),
    ],
)
def test_what_needs_a_file_says_so_where_it_is_to_be_standard_output(
    command, words, make_model, tmp_path, monkeypatch
):
    make_model("nanogpt-tiny")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, words)
    assert not (tmp_path / "-").exists()
    assert done.exit_code == 2 and "needs a file: give its name" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has this disk, which is always full")
def test_a_disk_without_room_for_what_is_printed_is_told_in_a_line(make_model):
    make_model("nanogpt-tiny")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [BIN / "llm", "nanogpt", "models"], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1 and done.stderr.startswith("Error: No space left on device: make room"), done


@pytest.mark.skipif(sys.platform == "win32", reason="its shell has no >&-")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_outputs_end_no_command(closed, database, make_model, home):
    make_model("nanogpt-tiny")
    commands = [["llm", "nanogpt", "models"]]
    if "<&-" in closed:  # a run takes seconds, and has none of the three here
        commands.append(["datasette", "nanogpt-train", database, "verse", *TINY])
    for words in commands:
        command = shlex.join([sys.executable, "-m", *map(str, words)])
        assert subprocess.run(f"exec {command} {closed}", shell=True, timeout=HANG_SECONDS).returncode == 0
    assert (home / "nanogpt-कविता").is_dir() == (len(commands) == 2)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no ulimit")
def test_a_limit_on_the_size_of_files_is_told_as_one(database, make_model, tmp_path):
    make_model("nanogpt-tiny")
    train = ["datasette", "nanogpt-train", database, "verse", *TINY, "--no-cache"]
    export = ["llm", "nanogpt", "export", "nanogpt-tiny", "--gguf", tmp_path / "x.gguf"]
    for kilobytes, words in ((24, train), (1, export)):
        command = shlex.join([sys.executable, "-m", *map(str, words)])
        limited = ["bash", "-c", f"ulimit -f {kilobytes}; exec {command}"]
        done = subprocess.run(limited, capture_output=True, text=True, timeout=HANG_SECONDS)
        assert done.returncode == 1 and "ulimit -f unlimited" in done.stderr, done.stderr
    assert not (tmp_path / "x.gguf").exists()


def test_a_disk_that_fills_in_an_export_is_told(make_model, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("409600 requested and 167032 written")  # as numpy does

    make_model("nanogpt-tiny")
    monkeypatch.setattr("gguf.GGUFWriter.write_tensors_to_file", fail)
    done = CliRunner().invoke(nanogpt, ["export", "nanogpt-tiny", "--gguf", str(tmp_path / "x.gguf")])
    told = (
        f"Error: Cannot write {tmp_path / 'x.gguf'} (there was room for a part of it): make room on that disk"
    )
    assert done.exit_code == 1 and done.stderr.startswith(told) and not os.path.exists(tmp_path / "x.gguf")


def test_an_error_that_nobody_foresaw_is_a_line_and_a_log(database, home, monkeypatch):
    monkeypatch.setattr(preparation, "plan_stages", lambda *a: {}["a surprise"])
    done = CliRunner().invoke(train_command, [str(database), "verse", *TINY])
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(
        "Error: This should not have happened: KeyError: 'a surprise'. No model was kept"
    )
    log = Path(done.stderr.strip().rsplit(" ", 1)[1])
    assert log.parent == home / ".logs" and "Traceback" in log.read_text("utf-8")


def test_an_error_before_a_run_is_a_line_and_a_file(database, monkeypatch):
    from datasette_nanogpt.training import train

    def fail(*args):
        raise ZeroDivisionError("a\nsurprise")

    monkeypatch.setattr(train, "check", fail)
    done = CliRunner().invoke(train_command, [str(database), "verse"])
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    file = Path(done.stderr.strip().rsplit(" ", 1)[1])
    assert "ZeroDivisionError" in file.read_text("utf-8")
    file.unlink()


@pytest.mark.parametrize(
    ("command", "words", "place"),
    [
        (nanogpt, ["sample", "nanogpt-tiny"], "llm_nanogpt.llm_model.start"),
        (demo_command, ["demo.db"], "datasette_nanogpt.data.demo.build_demo_db"),
    ],
)
def test_ctrl_c_is_no_error(command, words, place, make_model, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    make_model("nanogpt-tiny")
    monkeypatch.setattr(place, interrupt)
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 130 and done.stderr == "\nStopped.\n"


@pytest.mark.parametrize("place", ["file", "file/models"])
@pytest.mark.parametrize("words", [["models"], ["sample", "x"], ["info", "x"], ["restore", "x"]])
def test_a_home_that_is_a_file_is_told(place, words, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("NANOGPT_HOME", str(tmp_path / place))
    done = CliRunner().invoke(nanogpt, words)
    assert done.exit_code == 1 and done.stderr.startswith(
        "Error: There is a file in the place of the folder "
    )


def test_a_model_that_may_not_be_read_is_not_called_broken(make_model, monkeypatch):
    folder, opened = make_model("nanogpt-x"), os.open

    def refuse(file, *args, **kwargs):
        if str(file).endswith("model.safetensors"):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    for words in (["sample", "nanogpt-x"], ["info", "nanogpt-x"]):
        done = CliRunner().invoke(nanogpt, words)
        assert done.exit_code == 1 and "broken" not in done.stderr and "remove" not in done.stderr
        refused = f"model.safetensors cannot be read, Permission denied ({folder}). You are not allowed"
        assert refused in done.stderr and f"`chmod -R u+rX {folder}`" in done.stderr


def test_a_model_that_cannot_be_opened_at_the_moment_is_not_called_broken(make_model, monkeypatch):
    folder, opened = make_model("nanogpt-x"), os.open

    def refuse(file, *args, **kwargs):
        if str(file).endswith("nanogpt.json"):
            raise OSError(errno.EMFILE, "Too many open files", str(file))
        return opened(file, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    done = CliRunner().invoke(nanogpt, ["info", "nanogpt-x"])
    told = f"nanogpt.json cannot be read, Too many open files ({folder}). Allow more open files (`ulimit -n"
    assert done.exit_code == 1 and told in done.stderr and "remove" not in done.stderr


def test_a_folder_that_may_not_be_written_is_named(home):
    refused = PermissionError(13, "Permission denied", str(home / "m" / ".model.safetensors.part"))
    assert f"make {home / 'm'} writable" in advice(refused, home / "m")


def test_a_registry_that_is_a_folder_or_anothers_is_told(database, home, monkeypatch):
    (home / "nanogpt.db").mkdir(parents=True)
    done = CliRunner().invoke(train_command, [str(database), "verse", *TINY])
    assert done.exit_code == 1
    told = f"Error: {home / 'nanogpt.db'} is a folder: move it away, and a new one is made"
    assert done.stderr.startswith(told)
    (home / "nanogpt.db").rmdir()
    (home / "nanogpt.db").touch()
    refused = sqlite3.OperationalError("attempt to write a readonly database")
    refused.sqlite_errorcode = sqlite3.SQLITE_READONLY
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) == home)
    assert "nanogpt.db is not yours to write: move it away" in registry_error(home, refused).args[0]


def test_a_registry_that_is_a_pipe_is_told_at_once(database, home):
    home.mkdir()
    os.mkfifo(home / "nanogpt.db")
    done = CliRunner().invoke(train_command, [str(database), "verse", *TINY])
    told = f"Error: {home / 'nanogpt.db'} is a pipe or a device: move it away, and a new one is made"
    assert done.exit_code == 1 and done.stderr.startswith(told)


def test_the_home_of_no_user_is_told(database, monkeypatch, tmp_path):
    monkeypatch.setenv("NANOGPT_HOME", "~nosuchuser/models")
    monkeypatch.chdir(tmp_path)
    told = "Error: NANOGPT_HOME is ~nosuchuser/models, and there is no user 'nosuchuser': set it to a folder"
    done = CliRunner().invoke(train_command, [str(database), "verse", *TINY])
    assert done.exit_code == 1 and done.stderr.startswith(told)
    done = CliRunner().invoke(nanogpt, ["models"])
    assert done.exit_code == 1 and done.stderr.startswith(told)
    register_models(lambda *models: pytest.fail("there are no models"))  # and llm goes on
    with pytest.raises(StartupError, match="there is no user 'nosuchuser'"):
        PluginState.start(Datasette())
    assert not (tmp_path / "~nosuchuser").exists()


@pytest.mark.parametrize("flags", [[], ["--device", "cpu"]])
def test_a_torch_that_cannot_be_loaded_is_told(database, home, monkeypatch, flags):
    monkeypatch.setitem(sys.modules, "torch", None)
    done = CliRunner().invoke(train_command, [str(database), "verse", *TINY, *flags])
    assert done.exit_code == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("Error: torch cannot be loaded (import of torch halted")
    assert done.stderr.endswith(". To install it again: pip install --force-reinstall torch\n")


def test_no_full_stop_follows_what_is_to_be_copied(database, make_model):
    make_model("nanogpt-x")
    done = CliRunner().invoke(train_command, [str(database), "verse", "--name", "nanogpt-x", *TINY])
    assert done.exit_code == 2 and done.stderr.endswith("replace it with --force\n")


def test_not_even_force_replaces_a_folder_of_other_things(database, home):
    thesis = home / "Documents" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    words = [str(database), "verse", "--name", "Documents", "--force", *TINY]
    done = CliRunner().invoke(train_command, words)
    told = f"Error: --name: The name Documents is taken: {thesis.parent} has files of something else. Choose"
    assert done.exit_code == 2 and done.stderr.startswith(told) and thesis.exists()


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("what", ["a link that leads nowhere", "a file"])
def test_a_place_that_no_model_can_take_is_told_before_training(what, force, database, home):
    home.mkdir()
    if what == "a file":
        (home / "x").touch()
    else:
        (home / "x").symlink_to("nowhere")
    done = CliRunner().invoke(train_command, [str(database), "verse", "--name", "x", *TINY, *force])
    told = f"Error: --name: The name x is taken: {home / 'x'} is {what}. Remove it, or choose another name"
    assert done.exit_code == 2 and done.stderr.startswith(told) and done.stderr.count("\n") == 1


def test_a_broken_model_that_is_to_be_resumed_is_told_with_a_way_out(database, make_model):
    (make_model("nanogpt-x") / "config.json").write_bytes(b"\xff")
    done = CliRunner().invoke(train_command, [str(database), "verse", "--name", "nanogpt-x", "--resume"])
    assert done.exit_code == 1 and done.stderr.startswith(
        "Error: Model 'nanogpt-x' is broken: config.json is damaged ("
    )
    assert done.stderr.endswith("train it again with --force, or type `llm nanogpt remove nanogpt-x`\n")


# ---- Names


@pytest.mark.parametrize(
    "name", ["", "a\nb", "a\x1b[2Jb", " ", "%s", "{x}", "a'b\"c", "[a]", "a`b", "-x", "😀"]
)
def test_any_name_of_a_table_and_of_its_text_is_read_and_shown(name, tmp_path, capsys):
    path, quoted = str(tmp_path / "odd.db"), '"' + name.replace('"', '""') + '"'
    with sqlite3.connect(path) as db:
        db.execute(f"create table {quoted} (id integer primary key, title, {quoted})")
        rows = [(title(i), prose(i)) for i in range(60)]
        db.executemany(f"insert into {quoted} (title, {quoted}) values (?, ?)", rows)
    shown = name if name.strip() and name.isprintable() else repr(name)
    for corpus in (open_corpus(path), open_corpus(path, [name], Selection(body=[name]))):
        PlainDisplay().event(preview(corpus))
        told = capsys.readouterr().out
        rows = f"Rows of {shown} as the model will read them, the title from title, the text from {shown}:\n"
        assert told.startswith(rows) and "\x1b" not in told


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("blog", "nanogpt-blog"),
        ("Government workers (1)", "nanogpt-Government-workers-1"),
        ("हिन्दी कविता", "nanogpt-हिन्दी-कविता"),
        ("தமிழ்", "nanogpt-தமிழ்"),
        ("ภาษาไทย", "nanogpt-ภาษาไทย"),
        ("我的 博客", "nanogpt-我的-博客"),
        (unicodedata.normalize("NFD", "café"), "nanogpt-café"),
        ("a/b?c=d&e", "nanogpt-a-b-c-d-e"),
        ("…!", "nanogpt-model"),
        ("my.blog.v2", "nanogpt-my.blog.v2"),
    ],
)
def test_a_name_is_made_of_any_database(stem, name, tmp_path, home):
    assert name_after(stem) == name and valid_name(name)
    if "/" not in stem:
        path = str(tmp_path / f"{stem}.db")
        assert TrainOptions(path, "t").model_name == name
        assert Target(home, Limits(), path, False, "t").default_name() == name


def test_long_names_are_cut(home):
    for stem in ("a" * 300, "語" * 300, "a b " * 100):
        assert valid_name(name_after(stem))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://host/my~20blog", "nanogpt-my-blog"),
        ("https://host/db/entry.json?_search=x", "nanogpt-entry"),
        ("https://host/prefix/db/", "nanogpt-db"),
    ],
)
def test_a_name_is_made_of_an_address(address, name):
    assert default_name(address) == name


@pytest.mark.parametrize(
    "name", ["", ".a", "-a", "a b", "a/b", "nanogpt.db", "\u0301a", "a" * 101, "語" * 80, "e\u0301"]
)
def test_names_that_are_refused(name):
    assert not valid_name(name)


@pytest.mark.parametrize("resume", [[], ["--resume"]])
@pytest.mark.parametrize("name", [".", "..", "x" * 300])
def test_nothing_is_looked_for_under_a_name_that_is_refused(database, home, name, resume):
    done = CliRunner().invoke(train_command, [str(database), "verse", "--name", name, *resume])
    assert done.exit_code == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("Error: --name: A ") and "--force" not in done.stderr


@pytest.mark.parametrize(
    "words", [["x" * 5000, "t"], ["no.db", "t" * 5000], ["~no-such-user/x.db", "~no-such-user/t"]]
)
def test_a_path_that_no_system_has_is_no_file(words, home):
    done = CliRunner().invoke(train_command, words)
    assert done.exit_code == 2 and done.stderr.startswith("Error: There is no file "), done.stderr


def test_no_path_is_the_folder_itself(home):
    done = CliRunner().invoke(train_command, ["", "t"])
    assert done.stderr == f"Error: {Path.cwd()} is a folder: name the SQLite file in it.\n"


def test_a_typed_name_is_found_however_it_is_composed(database, home):
    decomposed = unicodedata.normalize("NFD", "nanogpt-größe")
    done = CliRunner().invoke(train_command, [str(database), "verse", *TINY, "--name", decomposed])
    assert done.exit_code == 0, done.output
    assert (home / "nanogpt-größe").is_dir()
    assert CliRunner().invoke(nanogpt, ["info", decomposed]).exit_code == 0


# ---- Checkpoints


@pytest.mark.parametrize("prefix", ["_orig_mod.module.", "module._orig_mod.", "_orig_mod.", "module.", ""])
def test_checkpoints_with_wrappers_and_numpy_numbers_are_imported(tmp_path, home, prefix):
    torch = pytest.importorskip("torch")
    import pickle

    n, vocab, block = 16, 5, 8
    state = {
        "transformer.wte.weight": torch.randn(vocab, n),
        "transformer.wpe.weight": torch.randn(block, n),
        "transformer.ln_f.weight": torch.ones(n),
        "transformer.h.0.ln_1.weight": torch.ones(n),
        "transformer.h.0.ln_2.weight": torch.ones(n),
        "transformer.h.0.attn.c_attn.weight": torch.randn(3 * n, n),
        "transformer.h.0.attn.c_proj.weight": torch.randn(n, n),
        "transformer.h.0.mlp.c_fc.weight": torch.randn(4 * n, n),
        "transformer.h.0.mlp.c_proj.weight": torch.randn(n, 4 * n),
    }
    args = {
        "n_layer": np.int64(1),
        "n_head": 2,
        "n_embd": n,
        "block_size": block,
        "vocab_size": np.int32(vocab),
    }
    saved = {
        "model": {prefix + key: value for key, value in state.items()},
        "model_args": args,
        "iter_num": np.int64(7),
        "best_val_loss": np.float32(1.5),
        "config": {"learning_rate": np.float64(1e-3)},
    }
    torch.save(saved, tmp_path / "ckpt.pt")
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"stoi": {c: i for i, c in enumerate("abcde")}}))
    options = ["import", str(tmp_path / "ckpt.pt"), "--name", "x", "--meta", str(tmp_path / "meta.pkl")]
    done = CliRunner().invoke(nanogpt, options)
    assert done.exit_code == 0, done.output
    meta = json.loads((home / "x" / "nanogpt.json").read_text("utf-8"))
    assert meta["score"] == {"val_loss": 1.5, "step": 7}


@pytest.mark.parametrize(
    ("home", "told"),
    [
        ("x" * 256, r"\(the path is too long\): set NANOGPT_HOME to a shorter one"),
        ("circle", "circle is a link to a folder that is not there"),
        (
            "nowhere",
            "nowhere is a link to a folder that is not there.*: put that folder back, or set NANOGPT_HO",
        ),
        ("file", r"file is a file\): set NANOGPT_HOME to a folder for your models"),
    ],
)
def test_a_home_that_cannot_be_is_told(tmp_path, home, told):
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "file").touch()
    with pytest.raises(NanogptError, match=f"Cannot write in .*{told}"):
        check_home(tmp_path / home / "models")


@pytest.mark.skipif(not hasattr(os, "statvfs"), reason="the system does not tell")
def test_a_read_only_disk_is_told_as_such(database, make_model, home, monkeypatch):
    """And not as a folder of somebody else."""
    make_model("nanogpt-x")
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=unwritable.READ_ONLY))
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    told = f"Cannot write in {home} (its disk is read-only): mount it for writing, or set NANOGPT_HOME to a "
    done = CliRunner().invoke(train_command, [str(database), "verse", *TINY])
    assert done.exit_code == 1 and done.stderr.startswith(f"Error: {told}")
    refused = sqlite3.OperationalError("attempt to write a readonly database")
    refused.sqlite_errorcode = sqlite3.SQLITE_READONLY
    assert registry_error(home, refused).args[0].startswith(told)
    ended = advice(OSError(errno.EROFS, "Read-only file system", str(home / "m" / "x")), home / "m")
    assert f"mount the disk of {home} for writing" in ended
