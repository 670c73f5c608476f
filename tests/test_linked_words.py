"""The words that definitions are of are told, where a third table leads to them."""

import shlex
import sqlite3

import pytest
from odd_tables import WORDS, Writer

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection

ROWS = 60


@pytest.fixture
def wordnet(tmp_path):
    path = str(tmp_path / "wn.db")
    with sqlite3.connect(path) as db:
        db.execute("create table words (wordid integer primary key, lemma)")
        db.execute("create table senses (wordid int, synsetid int, tagcount int)")
        db.execute("create table synsets (synsetid integer primary key, pos, definition)")
        db.executemany("insert into words values (?, ?)", enumerate(dict.fromkeys(WORDS)))
        pairs = [(i % 40, 1000 + i // 2, i) for i in range(2 * ROWS)]
        db.executemany("insert into senses values (?, ?, ?)", pairs)
        texts = [(1000 + i, "nv"[i % 2], Writer(i).sentence()) for i in range(ROWS)]
        db.executemany("insert into synsets values (?, ?, ?)", texts)
    db.close()
    return path


def remarks(path, table):
    return preview(open_corpus(path, [table])).tables[0].remarks


def test_the_words_of_a_definition(wordnet):
    (told,) = [remark for remark in remarks(wordnet, "synsets") if "words (lemma)" in remark]
    typed = shlex.split(told.partition(": ")[2])
    assert typed[:4] == ["datasette", "nanogpt-train", wordnet, "--sql"] and typed[5:] == ["--title", "words"]
    (source,) = open_corpus(wordnet, [], Selection(sql=typed[4], title="words")).sources
    first, second = list(dict.fromkeys(WORDS))[:2]
    assert next(source.documents()) == f"{first}, {second}\n\n{Writer(0).sentence()}"


def test_a_table_of_pairs_that_leads_elsewhere(wordnet):
    with sqlite3.connect(wordnet) as db:
        db.execute("update senses set synsetid = synsetid + 5000")
    assert not any("words (lemma)" in remark for remark in remarks(wordnet, "synsets"))
