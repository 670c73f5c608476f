"""What a stranger expects to be read of tables as programs leave them behind."""

import sqlite3

import pytest
from odd_tables import ROWS, TABLES, UNREADABLE, Writer

from datasette_nanogpt.data.columns import NoTextError
from datasette_nanogpt.data.open_source import open_source


def write(path, columns, reverse=False):
    names = list(columns)[::-1] if reverse else list(columns)
    writers = [Writer(i) for i in range(ROWS)]
    values = [[columns[name](writer) for name in names] for writer in writers]
    quoted = ", ".join(f'"{name}"' for name in names)
    with sqlite3.connect(path) as db:
        db.execute(f"create table t ({quoted})")
        db.executemany(f"insert into t values ({', '.join('?' * len(names))})", values)
    return str(path)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_read_of_it(tmp_path, name, reverse):
    columns, title, body = TABLES[name]
    found = open_source(write(tmp_path / "any.db", columns, reverse), "t")
    # The questions of a form are read in the order of the table.
    expected = body[::-1] if reverse and name == "a survey" else body
    assert (found.title, found.body) == (title, expected), found.left_out
    document = next(found.documents())
    assert "<p>" not in document and '["' not in document


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read(tmp_path, name):
    columns, why = UNREADABLE[name]
    with pytest.raises(NoTextError, match=why):
        open_source(write(tmp_path / "any.db", columns), "t")
