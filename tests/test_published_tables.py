"""What a stranger expects to be read of tables as people publish them."""

import pytest
from published_tables import PUBLISHED, WITHOUT_TEXT
from test_odd_tables import write

from datasette_nanogpt.data.columns import NoTextError
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from llm_nanogpt.errors import NanogptError


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_read_of_it(tmp_path, name, reverse):
    columns, title, body = PUBLISHED[name]
    found = open_source(write(tmp_path / "any.db", columns, reverse), "t")
    assert found.title == title, found.left_out
    assert sorted(found.body) == sorted(body), found.left_out
    assert found.read_as_text in ([], ["HTML"])
    documents = list(found.documents())
    assert len(documents) == found.row_count
    assert not any("<p>" in document or '["' in document for document in documents)


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_labels_and_keys_are_no_text(tmp_path, name):
    path = write(tmp_path / "any.db", WITHOUT_TEXT[name])
    with pytest.raises(NoTextError, match="no column of text"):
        open_source(path, "t")
    with pytest.raises(NanogptError, match="None of them has a column of text"):
        open_corpus(path)


def test_the_tables_of_revisions_are_not_proposed(tmp_path):
    import sqlite3

    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        for table, copies in (("body_revision", 5), ("body", 1), ("notes_normalized", 3)):
            db.execute(f"create table {table} (body)")
            rows = [(f"The {i}th morning at the harbour was quiet. " * 3 * copies,) for i in range(20)]
            db.executemany(f"insert into {table} values (?)", rows)
    with pytest.raises(NanogptError, match="The one with the most text: .* body$"):
        open_corpus(path)
