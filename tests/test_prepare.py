"""From a corpus to token files, kept for the next run; what a full disk leaves; near-duplicates."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import zlib

import numpy as np
import pytest
from conftest import TEXTS, finish

from datasette_nanogpt.data import deduplicate, prepare
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.deduplicate import NearDuplicates
from datasette_nanogpt.data.prepare import TokenizerChoice
from datasette_nanogpt.data.prepare import prepare as prepare_corpus
from datasette_nanogpt.data.split import split_documents
from datasette_nanogpt.data.token_files import open_tokens
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import cache_bytes, cache_folder

COMMON = """
the a of to and in that it is was for on are as with his they at be this from have or by one had not but what
all were when we there can an your which their said if do will each about how up out them then she many some
so these would other into has more her two like him see time could no make than first been
"""
WORDS = COMMON.split()


@pytest.fixture
def blog(tmp_path):
    path = tmp_path / "blog.db"
    with sqlite3.connect(path) as db:
        db.execute("create table t (id integer primary key, title text, body text)")
        db.executemany("insert into t (body) values (?)", [*((text,) for text in TEXTS), (None,), (b"\0",)])
    return path


def prepared(path, folder, home, tokenizer="bpe", **options):
    folder.mkdir(parents=True)
    corpus = open_corpus(str(path), ["t"])
    tokenizer, counts = finish(
        prepare_corpus(corpus, folder, home, tokenizer=TokenizerChoice(tokenizer, 400), **options)
    )
    return corpus, tokenizer, counts


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_second_run_uses_what_the_first_made(blog, home, tmp_path, monkeypatch):
    corpus, tokenizer, counts = prepared(blog, tmp_path / "a", home)
    assert counts["skipped"] == {"no text": 1, "body is binary": 1} and counts["documents"] == 300
    tokens = open_tokens(tmp_path / "a" / "train.bin", tokenizer.n_vocab)
    assert len(tokens) == counts["train_tokens"] and tokens[-1] == tokenizer.eot
    monkeypatch.setattr(prepare, "_make", None)  # would fail
    again, other, same = prepared(blog, tmp_path / "b", home)
    assert same == counts and other.spec == tokenizer.spec and files(tmp_path / "a") == files(tmp_path / "b")
    assert again.describe() == corpus.describe()
    assert other.habits == tokenizer.habits and other.habits.runs and other.habits.texts
    assert {"quick", "zoë", "é"} & {*other.words} == {"quick", "zoë"} and [*other.words] == [*tokenizer.words]
    assert os.stat(tmp_path / "a" / "train.bin").st_nlink == 3


def test_letters_that_are_no_words_make_no_list(home, tmp_path):
    path, rng = tmp_path / "genes.db", random.Random(0)
    with sqlite3.connect(path) as db:
        db.execute("create table t (id integer primary key, body text)")
        contigs = ("".join(rng.choices("ACGT", k=rng.randint(20, 300))) for _ in range(200))
        db.executemany("insert into t (body) values (?)", zip(contigs, strict=False))
    _, tokenizer, _ = prepared(path, tmp_path / "a", home)
    assert tokenizer.words is None


def test_anything_that_matters_makes_anew(blog, home, tmp_path, monkeypatch):
    def runs(**options):
        made = []
        monkeypatch.setattr(prepare, "_make", lambda *args: made.append(args) or (yield from make(*args)))
        folder = tmp_path / str(random.random())
        prepared(blog, folder, home, **options)
        monkeypatch.setattr(prepare, "_make", make)
        return bool(made)

    make = prepare._make
    assert runs() and not runs()
    assert runs(seed=1) and runs(tokenizer="char")
    assert not runs() and runs(cache=False)
    for train in cache_folder(home).rglob("train.bin"):
        os.truncate(train, train.stat().st_size - 2)
    assert runs() and not runs()
    with sqlite3.connect(blog) as db:
        db.execute("update t set body = 'x' where id = 1")
    assert runs() and not runs()
    for entry in (cache_folder(home) / "tokens").iterdir():
        os.utime(entry, (0, 0))
    assert runs(seed=3)
    assert len(list((cache_folder(home) / "tokens").iterdir())) == 1  # those not used for long went


def test_the_size_of_the_cache(blog, home, tmp_path):
    assert cache_bytes(home) == 0
    prepared(blog, tmp_path / "a", home)
    shared = cache_bytes(home)
    tokens = sum(file.stat().st_size for file in (tmp_path / "a").iterdir())
    shutil.rmtree(tmp_path / "a")
    assert cache_bytes(home) == shared + tokens


def test_what_a_plugin_writes_is_not_kept(blog, home, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "document_hook", lambda: print)
    prepared(blog, tmp_path / "a", home)
    assert not cache_folder(home).exists()


def test_disk_is_looked_at_before(blog, home, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 10))
    with pytest.raises(NanogptError, match=r"up to 50 MB of disk .* 0 MB are free"):
        prepared(blog, tmp_path / "a", home)
    assert not any((tmp_path / "a").iterdir())


FULL = """
import resource, sys
from pathlib import Path
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.prepare import TokenizerChoice, prepare
from llm_nanogpt.errors import NanogptError
path, folder, home, tokenizer, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    corpus = open_corpus(path, ["t"])
    list(prepare(corpus, Path(folder), Path(home), tokenizer=TokenizerChoice(tokenizer)))
except NanogptError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of this kind")
@pytest.mark.parametrize(("tokenizer", "limit"), [("bpe", 1_000), ("char", 19_000)])  # documents, tokens
def test_a_limit_on_the_size_of_files_is_one_line(blog, home, tmp_path, tokenizer, limit):
    folder = tmp_path / "training"
    folder.mkdir()
    child = [sys.executable, "-c", FULL, blog, folder, home, tokenizer, str(limit)]
    found = subprocess.run(list(map(str, child)), capture_output=True, text=True)
    assert not found.stderr
    assert found.stdout.startswith("Cannot write in ") and "ulimit -f unlimited" in found.stdout
    assert found.stdout.count("\n") == 1
    assert not list(cache_folder(home).rglob("corpus.json"))
    prepared(blog, tmp_path / "again", home, tokenizer=tokenizer)


def test_characters_that_are_left_out_do_not_count(tmp_path, home):
    """They cost no bits, so their bytes would praise the model."""
    path = tmp_path / "rare.db"
    with sqlite3.connect(path) as db:
        db.execute("create table t (body text)")
        db.executemany(
            "insert into t values (?)", [(f"{text} {chr(0x4E00 + i)}",) for i, text in enumerate(TEXTS)]
        )
    corpus, tokenizer, counts = prepared(path, tmp_path / "a", home, tokenizer="char")
    held_out = open_tokens(tmp_path / "a" / "val.bin", tokenizer.n_vocab)
    assert counts["val_bytes"] == len(tokenizer.decode(held_out).encode())
    assert counts["val_bytes"] + counts["train_bytes"] == counts["bytes"] - 3 * counts["val_documents"]


def test_too_little_to_hold_out(tmp_path, home):
    path = tmp_path / "tiny.db"
    with sqlite3.connect(path) as db:
        db.execute("create table t (body text)")
        db.executemany("insert into t values (?)", [(f"row {i}",) for i in range(9)])
    with pytest.raises(NanogptError, match="too little text to hold out any of it"):
        prepared(path, tmp_path / "a", home)


def essays(n, words=200, seed=0):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=words)) for _ in range(n)]


def edited(text, edits, rng):
    words = text.split()
    for _ in range(edits):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return " ".join(words)


def groups(texts, folder):
    data = [text.encode() for text in texts]
    digests = np.array([zlib.crc32(document) for document in data], dtype=np.uint64)
    with NearDuplicates(folder) as found:
        for start in range(0, len(data), 7):
            found.add(data[start : start + 7], digests[start : start + 7])
        return found.groups(np.arange(len(data)))


@pytest.mark.parametrize(
    "make",
    [
        lambda i: essays(1, seed=i)[0],
        lambda i: "".join(
            map(chr, np.random.default_rng(i).integers(0x4E00, 0x5E00, 300))
        ),  # Chinese characters
        lambda i: f"{i} said {i * i} things",
        lambda i: str(i),
    ],
)
def test_only_near_duplicates_are_grouped(tmp_path, make):
    texts = [make(i) for i in range(300)]
    assert len(set(groups(texts, tmp_path))) == 300


def test_copies_with_a_few_changes_are_grouped(tmp_path, monkeypatch):
    rng = random.Random(1)
    first = essays(200)
    copies = [edited(text, 4, rng) for text in first]  # some 85% of all pieces stand in both
    found = groups(first + copies, tmp_path)
    assert (found[200:] == np.arange(200)).mean() > 0.9
    assert len(set(found[:200])) == 200
    monkeypatch.setattr(deduplicate, "CHUNK_BYTES", 1000)  # a document is hashed in parts
    assert np.array_equal(found, groups(first + copies, tmp_path))


def test_groups_of_near_duplicates_are_transitive(tmp_path):
    rng = random.Random(1)
    chain = essays(1)
    for _ in range(30):
        chain.append(edited(chain[-1], 3, rng))
    found = groups(essays(50, seed=5) + chain, tmp_path)
    assert set(found[50:]) == {50} and len(set(found)) == 51


def copied(texts, others, size=40):
    """The share of `texts` that stands word for word in `others`, by pieces of `size` characters."""
    known = {other[i : i + size] for other in others for i in range(len(other) - size)}
    pieces = [text[i : i + size] for text in texts for i in range(0, len(text) - size, size)]
    return sum(piece in known for piece in pieces) / len(pieces)


def test_planted_copies_do_not_flatter_the_score(tmp_path, monkeypatch):
    rng = random.Random(2)
    first = essays(300)
    texts = first + [edited(text, 4, rng) for text in first]
    rng.shuffle(texts)

    def leak():
        found = split_of(texts)
        assert len(found.train) + len(found.val) == 600 and 30 <= len(found.val) <= 60
        return copied(*(list(found.texts(spans)) for spans in (found.val, found.train)))

    def split_of(texts):
        return finish(split_documents(iter(texts), tmp_path / "documents", 0))

    together = leak()
    found = split_of(texts)
    assert found.near_duplicates > 550 and not found.near_duplicates_divided
    monkeypatch.setattr(NearDuplicates, "groups", lambda self, chosen: np.arange(len(chosen)))
    apart = leak()
    assert apart > 0.5 and together < 0.05


def test_a_table_of_nothing_but_copies_is_divided_and_says_so(tmp_path):
    rng = random.Random(3)
    (text,) = essays(1)
    found = finish(split_documents((edited(text, 3, rng) for _ in range(100)), tmp_path / "documents", 0))
    assert found.near_duplicates_divided and found.near_duplicates == found.documents and len(found.val) == 10


def test_what_was_left_out_of_mail_is_told_of_prepared_text_too(home, tmp_path):
    path = tmp_path / "mail.db"
    with sqlite3.connect(path) as db:
        db.execute("create table t (id integer primary key, sender, subject, body)")
        quoted = "On 1 May 2020 at 10:00, Jane <jane@example.org> wrote:\n> yes"
        rows = [("ben@example.org", f"Subject {i}", f"{text}\n\n{quoted}") for i, text in enumerate(TEXTS)]
        db.executemany("insert into t (sender, subject, body) values (?, ?, ?)", rows)
    first, _, _ = prepared(str(path), tmp_path / "a", home)
    again, _, _ = prepared(str(path), tmp_path / "b", home)
    (told,) = first.sources[0].remarks()
    assert f"left out of {len(TEXTS)} rows" in told and again.sources[0].remarks() == [told]
