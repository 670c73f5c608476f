"""Models that are published, renamed, removed and restored; locks; and what a process that died has left."""

import errno
import fcntl
import json
import os
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import llm
import pytest
from conftest import HANG_SECONDS, write_model

from datasette_nanogpt.registry import db as registry_db
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.manage import remove_model, rename_model
from datasette_nanogpt.registry.runs import find_runs
from llm_nanogpt import change_steps, exchange, loading, locks
from llm_nanogpt.change_steps import replaced
from llm_nanogpt.changes import hold, publish, recover, refused, restore
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import model_names
from llm_nanogpt.loading import open_model
from llm_nanogpt.locks import hidden, is_training, lock, try_lock
from llm_nanogpt.renaming import rename_in_verdict


@pytest.fixture(params=["exchange", "two renames"])
def swapping(request, monkeypatch):
    """In one step, as on Linux, and in two."""
    if request.param == "two renames":
        monkeypatch.setattr(change_steps, "exchange", lambda a, b: False)
    elif exchange._renameat2() is None:
        pytest.skip("this system has no renameat2")


def left_over(home):
    return sorted(p.name for p in home.iterdir() if p.name.startswith("."))


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


# ---- Locks


def test_a_lock_that_was_unlinked_while_others_waited_guards_nothing(make_model, home, monkeypatch):
    monkeypatch.setattr(locks, "WAIT_SECONDS", HANG_SECONDS)
    model = make_model("m")
    first = try_lock(model)
    waiting, tried = [], threading.Event()
    monkeypatch.setattr(locks, "try_lock", lambda folder: (try_lock(folder), tried.set())[0])
    thread = threading.Thread(target=lambda: waiting.append(lock(model)))
    thread.start()
    tried.wait()
    first.release()
    thread.join()
    assert waiting[0] and try_lock(model) is None  # the process that waited has it, and no other
    waiting[0].release()
    assert left_over(home) == []


def test_a_stale_descriptor_of_a_lock_is_no_lock(make_model, home, monkeypatch):
    """As when the file is unlinked between our opening it and our locking it."""
    model = make_model("m")
    holder, flock, once = try_lock(model), fcntl.flock, []

    def late(fd, how):
        if not once:
            once.append(fd)
            holder.release()
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    mine = try_lock(model)
    assert mine and os.path.samestat(os.fstat(mine.fd), os.stat(hidden(model, "lock")))
    mine.release()


def test_looking_whether_a_model_is_in_training_takes_no_lock_and_leaves_no_file(make_model, home):
    model = make_model("m")
    assert not is_training(model) and left_over(home) == []
    with hold(model):
        assert is_training(model)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_once_and_works(make_model, bpe, home, monkeypatch, caplog, code):
    monkeypatch.setattr(
        fcntl, "flock", lambda fd, how: (_ for _ in ()).throw(OSError(code, os.strerror(code)))
    )
    monkeypatch.setattr(locks, "_warned", set())
    rename_model(make_model("a"), "b")
    write_model(hidden(home / "b", "new"), bpe, seed=2)
    recover(home)  # nobody can know whether someone is at work on it
    assert hidden(home / "b", "new").exists()
    remove_model(home / "b")
    assert model_names(home) == [] and left_over(home) == []
    assert caplog.text.count("without locks") == 1


def test_both_names_of_a_rename_are_locked(make_model, home):
    model = make_model("a")
    with hold(home / "b"), pytest.raises(NanogptError, match="b is being trained by another process"):
        rename_model(model, "b")
    with hold(model), pytest.raises(NanogptError, match="a is being trained by another process"):
        rename_model(model, "b")
    assert model_names(home) == ["a"] and left_over(home) == []


def test_a_model_that_went_away_before_the_lock_was_had_is_told(make_model, home):
    model = make_model("a")
    remove_model(model)
    for change in (lambda: remove_model(model), lambda: rename_model(model, "b")):
        with pytest.raises(NanogptError, match="no longer there"):
            change()


# ---- Changes


@pytest.mark.usefixtures("swapping")
def test_a_model_is_replaced_and_comes_back(make_model, home):
    old, new = make_model("m", seed=1), make_model(".m.new", seed=2)
    first, second = weights(old), weights(new)
    publish(new, old, keep=True)
    assert (weights(old), weights(replaced(old))) == (second, first) and left_over(home) == [".replaced"]
    restore(old)
    assert (weights(old), weights(replaced(old))) == (first, second)
    restore(old)
    assert (weights(old), weights(replaced(old))) == (second, first)
    third = weights(make_model(".m.new", seed=3))
    publish(new, old)  # as the next model of one run
    assert (weights(old), weights(replaced(old))) == (third, first) and left_over(home) == [".replaced"]
    rename_model(old, "n")
    assert json.loads((replaced(home / "n") / "nanogpt.json").read_text())["name"] == "n"
    restore(home / "n")
    assert weights(home / "n") == first
    remove_model(home / "n")
    assert list(home.iterdir()) == []


def test_there_is_nothing_to_restore(make_model):
    with pytest.raises(NanogptError, match="nothing to restore"):
        restore(make_model("m"))


def test_a_first_step_that_fails_changes_nothing(make_model, home, monkeypatch):
    model = make_model("a")
    rename = os.rename

    def refuse(source, target):
        if str(target).endswith("/b"):
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(NanogptError, match="Permission denied"):
        rename_model(model, "b")
    monkeypatch.undo()
    assert left_over(home) == [] and model_names(home) == ["a"]


def test_what_an_older_version_left_is_put_back(make_model, home):
    old = make_model("m")
    old.rename(home / ".m.old")
    make_model("other").rename(home / ".other.removed")
    (home / ".new.new" / "training").mkdir(parents=True)
    assert model_names(home) == ["m"] and left_over(home) == []


def test_what_looks_like_ours_in_a_home_of_other_things_is_left_alone(make_model, home):
    """As in somebody's own folder: a shell's .bashrc.old was deleted, and .mozilla.old became mozilla."""
    make_model("m")
    others = [
        ".bashrc.old",
        ".vimrc.new",
        ".mozilla.old/prefs.js",
        ".cpan.removed/lib/a",
        "Films/.film.part",
        ".x.lock",
    ]
    for name in others:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("kept")
    (home / ".Films.lock").touch()
    for name in ("m", "bashrc", "mozilla", "Films"):
        with hold(home / name):
            assert model_names(home) == ["m"]
    assert [(home / name).read_text() for name in others] == ["kept"] * len(others)
    assert not (home / "mozilla").exists()


def test_what_a_living_process_works_on_is_left_alone(make_model, home):
    with hold(make_model("m")):
        (home / ".m.new").mkdir()
        assert model_names(home) == ["m"]
        assert left_over(home) == [".m.lock", ".m.new"]
    assert left_over(home) == []


@pytest.mark.parametrize(
    "note",
    [
        "{",
        '{"kind": "rename", "name": "../m", "new_name": "x"}',
        '{"kind": "rename", "name": "m", "new_name": "../../x"}',
        '{"kind": "remove", "name": "other"}',
        '{"kind": "export", "name": "m", "part": "/etc/passwd"}',
    ],
)
def test_a_note_that_is_not_ours_does_nothing(make_model, home, note):
    make_model("m"), make_model("other")
    (home / ".m.change").write_text(note)
    assert model_names(home) == ["m", "other"] and left_over(home) == []


def test_aliases_are_written_beside_and_renamed(make_model, home, tmp_path):
    """Half a file of aliases is never to be seen."""
    llm.set_alias("mine", "a")
    llm.set_alias("yours", "b")
    file = llm.user_dir() / "aliases.json"
    before = os.stat(file).st_ino
    rename_model(make_model("a"), "c")
    assert json.loads(file.read_text()) == {"mine": "c", "yours": "b"} and os.stat(file).st_ino != before
    assert remove_model(home / "c") == ["mine"] and json.loads(file.read_text()) == {"yours": "b"}
    assert [p.name for p in file.parent.iterdir()] == ["aliases.json"]


def test_on_a_full_disk_a_change_that_was_refused_says_how_to_make_room(make_model):
    folder = make_model("a")
    full = refused(folder, OSError(errno.ENOSPC, "No space left on device"))
    assert full.endswith("it is unchanged. To make room, delete the cache, which `llm nanogpt models` names")
    assert refused(folder, OSError(errno.EIO, "Input/output error")).endswith("it is unchanged")


# ---- Runs


def test_queued_runs_are_renamed_with_their_settings(make_model, home):
    make_model("a")
    with registry(home, create=True) as db:
        settings = [{"name": "a", "resume": True}, {"name": "a"}, {"minutes": 3}, {"name": "other"}]
        for row in settings:
            values = [row.get("name", "a"), json.dumps(row)]
            db.execute("insert into runs (name, settings, status) values (?, ?, 'queued')", values)
        db.execute("insert into runs (name) values ('a')")
    rename_model(home / "a", "b")
    told = [(run["name"], json.loads(run["settings"] or "{}").get("name")) for run in find_runs(home)]
    # The third had its name by default, which would from now on mean another model.
    assert told == [("b", None), ("other", "other"), ("b", "b"), ("b", "b"), ("b", "b")]


@contextmanager
def locked_registry_of_a(make_model, home, monkeypatch):
    """A model "a" with a run, while another connection holds the registry."""
    monkeypatch.setattr(registry_db, "BUSY_SECONDS", 0.1)
    make_model("a")
    with registry(home, create=True) as db:
        db.execute("insert into runs (name) values ('a')")
        db.commit()
        db.execute("begin immediate")
        yield


def test_the_registry_is_told_later_where_it_is_locked(make_model, home, monkeypatch):
    with locked_registry_of_a(make_model, home, monkeypatch):
        rename_model(home / "a", "b")
        assert model_names(home) == ["b"]
        rename_model(home / "b", "c")
    assert [run["name"] for run in find_runs(home)] == ["c"] and left_over(home) == []


def test_changes_are_told_in_their_order_though_the_clock_was_set_back(make_model, home, monkeypatch):
    with locked_registry_of_a(make_model, home, monkeypatch):
        for hours, (name, new_name) in enumerate(("ab", "bc", "cd")):
            now = time.time_ns() - hours * 3600 * 10**9
            monkeypatch.setattr(change_steps, "time", SimpleNamespace(time_ns=lambda now=now: now))
            rename_model(home / name, new_name)
    assert [run["name"] for run in find_runs(home)] == ["d"] and left_over(home) == []


def test_a_change_is_made_though_the_registry_cannot_be_read(make_model, home):
    make_model("a")
    (home / "nanogpt.db").write_bytes(b"noise" * 1000)
    rename_model(home / "a", "b")
    remove_model(home / "b")
    assert model_names(home) == []


# ---- Readers


def test_a_reader_sees_one_model_while_two_are_swapped_without_pause(home, make_model, bpe):
    """Names, shapes and vocabularies of two models that load only together with their own."""
    from llm_nanogpt.tokenizer_training import train_char

    if exchange._renameat2() is None:
        pytest.skip("this system cannot exchange two folders")
    make_model("m", tokenizer=bpe, seed=1)
    make_model(".other", tokenizer=train_char(["abc"]), seed=2, n_layer=1)
    model, other, done = home / "m", home / ".other", []

    def swap():
        while not done:
            assert exchange.exchange(model, other)

    thread = threading.Thread(target=swap)
    thread.start()
    seen, until = set(), time.monotonic() + 2
    try:
        while time.monotonic() < until:
            opened = open_model(model, "cpu")
            loading._open.cache_clear()
            c = opened.checkpoint
            seen.add((c.meta["name"], c.config.n_layer, opened.tokenizer.is_char))
    finally:
        done.append(True)
        thread.join()
    assert seen == {("m", 2, False), (".other", 1, True)}


# ---- What else has the name


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("blog.db entry --name a --resume --max-iters 6", "blog.db entry --name b --resume --max-iters 6"),
        ("blog.db entry --resume --minutes 2", "blog.db entry --resume --minutes 2 --name b"),  # by default
        ("blog.db entry note --name a-and-note", "blog.db entry note --name a-and-note"),
        ("a.db a --name 'a b' --resume", "a.db a --name 'a b' --resume"),
    ],
)
def test_the_next_step_of_a_renamed_model_is_about_it(before, after):
    lines = {"score": "1.2 bits", "next": f"datasette nanogpt-train {before}  (twice as long)"}
    assert rename_in_verdict(lines, "a", "b") == lines | {
        "next": f"datasette nanogpt-train {after}  (twice as long)"
    }
    assert rename_in_verdict({"next": "a is good"}, "a", "b") == {"next": "a is good"}


def test_a_verdict_is_renamed_in_the_folder_and_in_the_registry(make_model, home):
    old = make_model("a")
    lines = {"next": "datasette nanogpt-train x.db t --resume  (twice as long)"}
    meta = json.loads((old / "nanogpt.json").read_text())
    (old / "nanogpt.json").write_text(json.dumps(meta | {"verdict": {"lines": lines}, "options": {}}))
    with registry(home, create=True) as db:
        db.execute("insert into runs (name, verdict) values ('a', ?), ('a', null)", [json.dumps(lines)])
    rename_model(old, "b")
    expected = {"next": "datasette nanogpt-train x.db t --resume --name b  (twice as long)"}
    new = json.loads((home / "b" / "nanogpt.json").read_text())
    assert new["verdict"]["lines"] == expected and new["options"] == {"name": "b"}
    first, second = find_runs(home, "name = 'b'")
    assert {first["verdict"], second["verdict"]} == {json.dumps(expected), None}


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
def test_a_home_whose_name_is_not_utf8(make_model, home, bpe):
    odd = home.with_name(os.fsdecode(b"bad\xffname"))
    make_model("a")
    home.rename(odd)
    with registry(odd, create=True) as db:
        db.execute(
            "insert into runs (name, plan) values ('a', ?)", [json.dumps({"name": "a", "folder": "x"})]
        )
    rename_model(odd / "a", "b")
    (run,) = find_runs(odd)
    assert run["name"] == "b" and json.loads(run["plan"]) == {"name": "b", "folder": str(odd / "b")}


def test_a_model_can_be_removed_from_a_full_disk(make_model, home, monkeypatch):
    """Its removal makes the room that the note of it needs."""
    model, write = make_model("a"), change_steps.write_bytes

    def full(path, data):
        if model.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    monkeypatch.setattr(change_steps, "write_bytes", full)
    remove_model(model)
    assert list(home.iterdir()) == []
