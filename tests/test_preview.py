"""The preview of a table before a model is trained on it."""

import base64
import json
import random
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import TEXTS
from test_columns import N, prose, rows, title

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import ALL_ROWS, Selection
from datasette_nanogpt.formatting import not_read, shell_command
from datasette_nanogpt.terminal import preview_lines
from datasette_nanogpt.training.check import check
from datasette_nanogpt.training.options import TrainOptions, typed_command


@pytest.fixture
def make(tmp_path):
    def write(**columns):
        path = str(tmp_path / f"{'-'.join(columns)}.db")
        with sqlite3.connect(path) as db:
            db.execute(f"create table posts ({', '.join(columns)})")
            marks = ", ".join("?" * len(columns))
            db.executemany(f"insert into posts values ({marks})", zip(*columns.values(), strict=True))
        return path

    return write


def look(path, documents=1, **selection):
    return preview(open_corpus(path, ["posts"], Selection(**selection)), documents).tables[0]


def test_documents_and_reasons(make):
    path = make(
        id=rows(int), title=rows(title), body=rows(lambda i: f"<p>{prose(i)}</p>"), url=rows(lambda i: None)
    )
    table = look(path, 3)
    assert table.documents == [f"{title(i)}\n\n{prose(i)}" for i in range(3)]
    assert (table.title, table.body, table.read_as) == ("title", ["body"], {"body": ["HTML"]})
    assert table.left_out == {"id": "numbers", "url": "empty"} and not table.remarks
    text = "\n".join(preview_lines(preview(open_corpus(path, ["posts"]))))
    assert (
        "the title from title, the text from body (HTML)" in text
        and "Not read: id (numbers), url (empty)" in text
    )
    assert "To read other columns, use --title and --body; to read the text otherwise, use --text." in text
    with_template = open_corpus(path, ["posts"], Selection(template="{{ title }}: {{ body }}"))
    text = "\n".join(preview_lines(preview(with_template)))
    assert "To read other columns, change the --template; " in text and "--body" not in text


def test_versions_of_a_text_are_shown_once(make):
    """As WordPress has them: each post, then its revisions."""
    posts = [" ".join(prose(i * 9 + j) for j in range(9)) for i in range(20)]
    path = make(title=[title(i // 2) for i in range(40)], body=[posts[i // 2] + "!" * i for i in range(40)])
    shown = [document.partition("\n")[0] for document in look(path, 3).documents]
    assert shown == [title(0), title(1), title(2)]


def test_of_a_long_document_only_the_beginning_is_handed_out(make):
    """With `--json` all of a row of 50 MB was printed."""
    text = " ".join(prose(i) for i in range(2000))
    (document,) = look(make(body=[text])).documents
    assert len(document) == 20_000 and text.startswith(document)


@pytest.mark.parametrize(
    "word", ["a b", "it's", "x = 'a' and \"b\" > 2", "$HOME's", "a\\'b", "don't!", "''", "two\n'lines'"]
)
def test_commands_can_be_typed(word):
    command = shell_command(["printf", "%s", word])
    assert shlex.split(command)[-1] == word == subprocess.check_output(["sh", "-c", command], text=True)
    assert "'\"'\"'" not in command or "$" in word or "\\" in word or "!" in word


def test_plain_prose_is_not_odd(make):
    assert not look(make(body=rows(prose))).remarks
    assert not look(
        make(b=rows(lambda i: "\u0915\u094d\u0937\u0947\u0924\u094d\u0930\u0947 " * 9 + str(i)))
    ).remarks


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my phone",
        "Date:  [2118],  kept as  it is",
        "This site's cookies: 'accept' all",
        "Follow us on the web, at example.org, for more of the same",
    ],
)
def test_a_repeated_line_is_counted_with_how_to_leave_it_out(make, line):
    path = make(title=rows(title), body=rows(lambda i: prose(i) + (f"\n\n{line}\n" if i % 8 else "")))
    (remark,) = look(path).remarks
    count = sum(bool(i % 8) for i in range(N))
    assert remark.startswith(f"{count} of {N} rows looked at have the line ")
    _, template = shlex.split(remark.partition("--body): ")[2])
    corpus = open_corpus(path, ["posts"], Selection(template=template))
    documents = list(corpus.documents())
    assert not any(line in document for document in documents) and corpus.row_count == N
    assert documents[1] == f"{title(1)}\n\n{prose(1)}" and corpus.has_titles and corpus.sources[0].keys


def test_a_repeated_line_of_html_is_left_out_too(make):
    path = make(title=rows(title), body=rows(lambda i: f"<p>{prose(i)}</p><p>Sent by Ann &amp; Ben</p>"))
    (remark,) = look(path).remarks
    assert remark.startswith(f"{N} of {N} rows looked at have the line 'Sent by Ann & Ben'. To leave it out ")
    _, template = shlex.split(remark.partition("--body): ")[2])
    corpus = open_corpus(path, ["posts"], Selection(template=template))
    assert list(corpus.documents())[1] == f"{title(1)}\n\n{prose(1)}"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_whole_lines_are_left_out(make, end):
    def body(i):
        return end.join(
            ["Read more of it", prose(i), "Read more of it:", f"{i} read. Read more of it", "Read more of it"]
        )

    path = make(body=rows(body), id=rows(lambda i: i))
    (remark, *_) = [r for r in look(path).remarks if "line 'Read more of it'." in r]
    _, template = shlex.split(remark.partition("--body): ")[2])
    corpus = open_corpus(path, ["posts"], Selection(template=template))
    expected = f"{prose(3)}\nRead more of it:\n3 read. Read more of it"
    assert list(corpus.documents())[3] == expected


@pytest.mark.parametrize(
    "line", ["import sys", "from os import path", "    return None;", "def main():", "x = 3"]
)
def test_nobody_is_told_to_leave_lines_of_code_out(make, line):
    remarks = look(
        make(body=rows(lambda i: f"{prose(i)}\n{line} \n{line}\n{prose(i + 1)}")), body=["body"]
    ).remarks
    assert not any("To leave" in remark for remark in remarks)


DISCLAIMER = "This message is confidential.\nIf it is not for you,\nplease delete it."


def test_a_block_of_lines_at_the_end_of_a_quarter_of_the_rows(make):
    path = make(
        title=rows(title), body=rows(lambda i: prose(i) + (f"\n\n{DISCLAIMER}" if i % 4 == 0 else ""))
    )
    (remark,) = look(path).remarks
    assert remark.startswith(
        f"{N // 4} of {N} rows looked at end in the 3 lines 'This message is confidential. / "
    )
    _, template = shlex.split(remark.partition("--body): ")[2])
    documents = list(open_corpus(path, ["posts"], Selection(template=template)).documents())
    assert documents == [f"{title(i)}\n\n{prose(i)}" for i in range(N)]


def test_two_blocks_one_below_the_other(make):
    """Those who write the same greeting, some of them with a disclaimer below it."""
    greeting = "Best regards,\nAda"
    path = make(
        body=rows(lambda i: f"{prose(i)}\n\n{greeting}" + (f"\n\n{DISCLAIMER}" if i % 4 == 0 else "")),
        id=rows(lambda i: i),
    )
    first, second, *_ = look(path).remarks
    assert "end in the" in first and "end in the" in second and "--template" not in first
    _, template = shlex.split(second.partition("--body): ")[2])
    documents = list(open_corpus(path, ["posts"], Selection(template=template)).documents())
    assert documents == [prose(i) for i in range(N)]


@pytest.mark.parametrize("separator", ["--", "-- ", "__________"])
def test_signatures_of_a_forum(make, separator):
    def body(i):
        return prose(i) + (f"\n\n{separator}\nThe motto of member {i % 7}\nMember {i % 7}" if i % 2 else "")

    path = make(title=rows(title), body=rows(body))
    (remark,) = look(path).remarks
    assert remark.startswith(f"{N // 2} of {N} rows looked at end in a line {separator!r} and a signature ")
    _, template = shlex.split(remark.partition("--body): ")[2])
    documents = list(open_corpus(path, ["posts"], Selection(template=template)).documents())
    assert documents == [f"{title(i)}\n\n{prose(i)}" for i in range(N)]


@pytest.mark.parametrize(
    "body",
    [
        lambda i: f"{prose(i)}\n--\n{prose(i + 50)} {i}",  # a poem in two parts
        lambda i: f"# Part {i}\n\n{prose(i)}\n\n---\n\nThe end of part {i}",
        lambda i: f"{prose(i)}\n\n> {prose(i + 7)} {i}",
    ],
)
def test_what_only_looks_like_a_signature(make, body):
    path = make(title=rows(title), body=rows(body))
    assert not any("signature" in remark or "end in" in remark for remark in look(path).remarks)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda i: json.dumps({"id": i, "values": list(range(40))}), "JSON"),
        (lambda i: random.Random(i).randbytes(200).hex(), "hexadecimal"),
        (lambda i: base64.b64encode(random.Random(i).randbytes(200)).decode(), "base64"),
    ],
)
def test_data_is_told(make, value, what):
    (remark, *_) = look(make(body=rows(value)), body=["body"]).remarks
    assert f"Most of body is {what}" in remark


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (
            lambda i: (
                f"2024-05-{i % 28 + 1:02d} 10:{i % 60:02d}:07,123 [7{i}] GET /a/{i}?x={i * 7}  200 {i * 913}"
            ),
            "logs, tables and code",
        ),
        (lambda i: "".join(random.Random(i).choices("ACGT", k=3000)), "no spaces"),
        (lambda i: "\n".join(f"{j};{i * j};{j / 7:.4f};x" for j in range(30)), "logs, tables and code"),
    ],
)
def test_text_of_machines_is_told(make, value, what):
    assert any(what in remark for remark in look(make(body=rows(value)), body=["body"]).remarks)


def test_what_is_skipped_is_told_with_its_cure(make):
    bodies = [prose(i) if i % 2 else "Москва слезам".encode("cp1251") for i in range(N)]
    path = make(title=rows(title), body=bodies)
    (remark,) = look(path).remarks
    assert remark.startswith(f"{N // 2} rows are skipped: body is not UTF-8. If you know its encoding")
    commands = remark.split("`")[1].replace(
        "sqlite-utils", str(Path(sys.executable).with_name("sqlite-utils"))
    )
    assert "ENCODING" in commands
    facts = open_corpus(path, ["posts"])
    list(facts.documents())
    assert facts.describe()["tables"][0]["skipped"] == {"body is not UTF-8": N // 2}


def test_what_was_told_before_training_is_not_told_again(make):
    """The preview counts rows of the sample, the run all of them: that is the same remark."""
    bodies = rows(lambda i: prose(i) if i % 9 else "Москва слезам".encode("cp1251"), 300)
    path = make(title=rows(title, 300), body=bodies)
    arguments = [path, "posts", "--dry-run", "--device", "cpu", "--max-iters", "1", "--no-cache"]
    done = CliRunner().invoke(train_command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.count("are skipped: body is not UTF-8. If you know") == 1
    path = make(body=rows(lambda i: f"Déjà vu {i}, et encore".encode("cp1252"), 300))
    done = CliRunner().invoke(train_command, [path, *arguments[1:]], catch_exceptions=False)
    assert done.output.count("of the 200 rows looked at are in Windows-1252, and decoded") == 1
    assert done.output.count("Windows-1252") == 1


def test_rows_without_a_fixed_order_are_told(tmp_path):
    with sqlite3.connect(tmp_path / "blog.db") as db:
        db.execute("create table entry (body)")
        db.executemany("insert into entry values (?)", [(text,) for text in TEXTS[:20]])
        db.execute("create view newest as select * from entry order by body")
    sql = Selection(sql="select body from entry order by body")
    for table, selection, what in (("newest", ALL_ROWS, "view"), ("", sql, "query")):
        corpus = open_corpus(str(tmp_path / "blog.db"), [table] if table else [], selection)
        assert any(f"rows of a {what} come in no order" in r for r in preview(corpus).tables[0].remarks)
    corpus = open_corpus(str(tmp_path / "blog.db"), ["entry"])
    assert not any("order" in remark for remark in preview(corpus).tables[0].remarks)


def test_where_a_title_comes_from_that_has_no_column(make):
    mail = "From: a@example.org\nDate: today\nMessage-ID: <1>\nSubject: {}\n\n{}"
    path = make(raw=rows(lambda i: mail.format(title(i), prose(i))))
    assert (
        "the title from the subject, the text from raw (mail)"
        in preview_lines(preview(open_corpus(path, ["posts"])))[0]
    )
    path = make(page=rows(lambda i: f"---\ntitle: {title(i)}\n---\n{prose(i)}"))
    assert "the title from the front matter, " in preview_lines(preview(open_corpus(path, ["posts"])))[0]


def test_a_command_is_told_as_it_was_typed(monkeypatch, tmp_path):
    """With the options that do not say what is read, the path that was typed, and the condition."""
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("any.db") as db:
        db.execute("create table t (id integer primary key, title, note, data)")
        data = (json.dumps({"a": {"x": 1, "story": prose(i) * 3}}) for i in range(N))
        values = [[title(i), f"a short  note {i}", each] for i, each in enumerate(data)]
        db.executemany("insert into t (title, note, data) values (?, ?, ?)", values)
    options = TrainOptions("any.db", ["t"], body=["note"], where="note like '%  note%'", name="q1", minutes=2)
    corpus, _ = check(options)
    remarks = preview(corpus, command=typed_command(options)).tables[0].remarks
    (remark,) = (remark for remark in remarks if "There is more" in remark)
    words = shlex.split(remark.partition("of it: ")[2])
    assert words[:4] == ["datasette", "nanogpt-train", "any.db", "--sql"]
    assert words[4].endswith("from t where (note like '%  note%')")
    assert sorted(words[5:]) == sorted(["--name", "q1", "--minutes", "2"])
    assert open_corpus("any.db", selection=Selection(sql=words[4])).row_count == N


def test_a_comment_in_a_condition_stays_one(make):
    path = make(title=rows(title), body=rows(prose))
    for where in ("title != '' -- all", "title != ''"):
        (source,) = open_corpus(path, ["posts"], Selection(where=where)).sources
        again = open_corpus(path, selection=Selection(sql=f"select * from {source.from_typed}"))
        assert again.row_count == source.row_count


def test_of_very_many_columns_a_few_are_told_with_each_reason():
    survey = {f"Q{i}": "few different values" for i in range(1, 191)} | {"id": "numbers", "sent": "dates"}
    told = "Q1, Q2, Q3, Q4, Q5 and 185 more (few different values); id (numbers); sent (dates)"
    assert not_read(survey) == told


def test_columns_that_are_not_read_for_the_same_reason_stand_together():
    posts = {
        "ID": "numbers",
        "post_date": "dates",
        "post_author": "numbers",
        "guid": "URLs",
        "pinged": "empty",
    }
    assert not_read(posts) == "ID, post_author (numbers); post_date (dates); guid (URLs); pinged (empty)"
    assert not_read({"id": "numbers", "url": "empty"}) == "id (numbers), url (empty)"
