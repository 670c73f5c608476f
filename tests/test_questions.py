"""Answers of surveys are read after their questions, wherever these are."""

import shlex
import sqlite3

import pytest
from odd_tables import ROWS, Writer, number, sometimes
from test_odd_tables import write

from datasette_nanogpt.data.column_names import is_question
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection

QUESTIONS = ["What did you like?", "What should we change?", "Describe the room in your own words"]


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("What did you like most about it?", True),
        ("Best part?", True),
        ("Describe your day in a few words", True),
        ("Wie hat es Ihnen gefallen?", True),
        ("何が一番よかったですか？", True),
        ("Qu'est-ce qui vous a plu ?", True),
        ("Why did you come here *", True),
        ("Any other comments", True),
        ("Additional feedback (optional)", True),
        ("Other comments or suggestions:", True),
        ("Other names", False),
        ("other_comments", False),
        ("Full text of the article", False),
        ("what_is_it", False),
        ("List price", False),
        ("title?", False),
        ("Would recommend", False),
        ("is_spam?", False),
    ],
)
def test_names_that_are_questions(name, asks):
    assert is_question(name) == asks


def test_the_name_of_a_column_that_is_a_question_is_read_before_the_answer(tmp_path):
    columns = {
        "Timestamp": Writer.date,
        QUESTIONS[0]: Writer.paragraph,
        QUESTIONS[1]: sometimes(Writer.sentence),
    }
    found = open_source(write(tmp_path / "any.db", columns), "t")
    documents = list(found.documents())
    first, second = Writer(0), Writer(1)
    assert documents[0] == f"{QUESTIONS[0]}\n{first.paragraph()}"  # to the other one there is no answer
    assert documents[1].startswith(f"{QUESTIONS[0]}\n{second.paragraph()}\n\n{QUESTIONS[1]}\n")
    looked = preview(open_corpus(found.typed_database, ["t"])).tables[0]
    assert looked.text == "each answer after its question" and looked.documents == documents[:1]
    assert not any("have the line" in remark for remark in looked.remarks)
    template = open_source(found.typed_database, "t", Selection(template=f"{{{{ row['{QUESTIONS[0]}'] }}}}"))
    assert next(template.documents()) == Writer(0).paragraph()


@pytest.mark.parametrize(("question", "answer"), [("question", "answer"), ("question_text", "answer_text")])
def test_questions_in_a_column_of_their_own(tmp_path, question, answer):
    columns = {"id": number, "respondent": lambda w: w.i // 3, question: lambda w: QUESTIONS[w.i % 3]}
    found = open_source(write(tmp_path / "any.db", columns | {answer: Writer.text}), "t")
    assert found.body == (question, answer)
    assert next(found.documents()).startswith(f"{QUESTIONS[0]}\n\n")


@pytest.mark.parametrize("values", [["a", "b", "c"], ["q1", "q2", "q3"], QUESTIONS[:1]])
def test_labels_are_no_questions(tmp_path, values):
    columns = {"id": number, "question": lambda w: values[w.i % len(values)], "answer": Writer.text}
    assert open_source(write(tmp_path / "any.db", columns), "t").body == ("answer",)


@pytest.mark.parametrize("reference", [" references question(id)", ""])
@pytest.mark.parametrize(
    ("table", "text", "column"),
    [
        ("question", "text", "question_id"),
        ("question", "title", "question"),
        ("question", "label", "question_id"),
    ],
)
def test_questions_in_another_table_are_told(tmp_path, reference, table, text, column):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table {table} (id integer primary key, survey_id int, {text} text, kind text)")
        db.executemany(
            f"insert into {table} values (?, 1, ?, 'text')", [(i, q) for i, q in enumerate(QUESTIONS)]
        )
        db.execute(
            f"create table answer (id integer primary key, person int, {column} int{reference}, value text)"
        )
        rows = [(w.i, w.i // 3, w.i % 3, w.text()) for w in map(Writer, range(ROWS))]
        db.executemany("insert into answer values (?, ?, ?, ?)", rows)
    told = [r for r in preview(open_corpus(path, ["answer"])).tables[0].remarks if "questions" in r]
    assert len(told) == 1 and f"may be in question ({text})." in told[0]
    words = shlex.split(told[0].partition(": ")[2])
    options = dict(zip(words[3::2], words[4::2], strict=True))
    found = open_source(path, "query", Selection(sql=options["--sql"], title="", body=["question", "value"]))
    assert words[-6:] == ["--title", "", "--body", "question", "--body", "value"]
    assert next(found.documents()) == f"{QUESTIONS[0]}\n\n{Writer(0).text()}"


def test_a_number_that_leads_nowhere_is_not_told(tmp_path):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table question (id integer primary key, text)")
        db.executemany("insert into question values (?, ?)", enumerate(QUESTIONS))
        db.execute("create table answer (id integer primary key, question_id int, value text)")
        rows = [(w.i, 900 + w.i % 3, w.text()) for w in map(Writer, range(ROWS))]
        db.executemany("insert into answer values (?, ?, ?)", rows)
    assert not any("questions" in r for r in preview(open_corpus(path, ["answer"])).tables[0].remarks)
