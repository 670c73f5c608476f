"""What a document is, by options: rows by a template, and the rows of a conversation together."""

import sqlite3

import pytest
from click.testing import CliRunner
from datasette import hookimpl
from datasette.plugins import pm

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.data import conversations
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.terminal import preview_lines
from datasette_nanogpt.training.options import TrainOptions, as_command, validate
from llm_nanogpt.errors import InvalidOptions

ENTRIES = [
    (1, "Q&amp;A", "<p>Fish &amp; <b>chips</b></p>", "food, fish", "2024-05-06", "é x"),
    (2, "Two", "<p>Second</p><p>more</p>", None, 2023, None),
    (3, None, "<p>Third</p>", "", "2022", b"\x00\xff"),
]
MESSAGES = [
    (1, "b", "Zoë", "2024-01-02", "hello from b"),
    (2, "a", "Ada", "2024-01-03", "second of a\nin two lines"),
    (3, "a", "Ben", "2024-01-01", "first of a"),
    (4, None, "Ada", "2024-01-01", "nobody answers"),
    (5, "b", None, "2024-01-01", "no name, earlier"),
    (6, "b", "Ada", "2024-01-04", None),
    (7, None, "Ben", "2024-01-01", "nobody answers either"),
]


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "t.db"
    db = sqlite3.connect(path)
    with db:
        db.execute('create table entry (id integer primary key, title, body, tags, "größe", "my col")')
        db.executemany("insert into entry values (?, ?, ?, ?, ?, ?)", ENTRIES)
        db.execute("create table message (id integer primary key, thread, sender text, sent text, text text)")
        db.executemany("insert into message values (?, ?, ?, ?, ?)", MESSAGES)
    db.close()
    return str(path)


def documents(database, table, **selection):
    return list(open_source(database, table, Selection(**selection)).documents())


# ---- Templates


def test_html_is_text_before_a_template_sees_it(database):
    read = documents(database, "entry", template=r"{{ tags }} · {{ größe[:4] }}\n# {{ title }}\n\n{{ body }}")
    assert read == [
        "food, fish · 2024\n# Q&A\n\nFish & chips",
        " · 2023\n# Two\n\nSecond\n\nmore",
        " · 2022\n# \n\nThird",
    ]


def test_columns_by_other_names(database):
    assert documents(database, "entry", template="{{ Title }} {{ row['MY COL'] }}", where="id < 3") == [
        "Q&A é x",
        "Two",
    ]


def test_rows_that_cannot_be_rendered_are_counted(database):
    found = open_source(database, "entry", Selection(template="{{ row['my col'] }}{{ größe + 1 }}"))
    assert list(found.documents()) == ["2024"]
    assert found.skipped.total() == 2
    assert found.skipped["my col is binary"] == 1
    assert any("the template fails (TypeError" in remark for remark in found.remarks())


def test_a_template_goes_before_a_plugin(database):
    class Plugin:
        @hookimpl
        def nanogpt_document(self, database, table, row):
            return f"plugin's {row['id']}" if row["id"] != 2 else False

    pm.register(plugin := Plugin())
    try:
        assert documents(database, "entry", template="{{ title }}") == ["Q&A", "Two"]
        grouped = documents(database, "message", group_by="thread", order_by="sent")
        assert grouped == ["plugin's 3", "plugin's 5\nplugin's 1\nplugin's 6", "plugin's 4", "plugin's 7"]
    finally:
        pm.unregister(plugin)


def test_what_is_wrong_is_told_before_work_starts_and_at_once(database):
    selection = Selection(template="{{ nope }}{{ title }}", group_by="nought", order_by="naught")
    with pytest.raises(InvalidOptions) as error:
        open_source(database, "entry", selection)
    fields = {problem.field: problem.message for problem in error.value.problems}
    assert fields.keys() == {"template", "group_by", "order_by"}
    assert "The columns are: id, title, body" in fields.pop("template")
    assert all("The columns of entry are: id, title, body" in message for message in fields.values())

    arguments = [database, "entry", "--template", "{{ title", "--title", "x", "--order-by", "id"]
    said = CliRunner().invoke(train_command, arguments).output
    assert "--template: The template does not work: line 1: unexpected end" in said
    assert said.count("unexpected end") == 1
    assert "--template: The template names the columns that are read: leave out the title" in said
    assert "--order-by: The order is that of the rows of one document" in said
    assert validate({"template": "{{ a }}", "body": ["b"]})[1][0].code == "conflict"


def test_the_preview_and_nanogpt_json_have_the_template(database):
    template = r"[{{ tags }}] {{ title }}\n{{ body }}"
    corpus = open_corpus(database, ["entry"], Selection(template=template))
    event = preview(corpus, 3)
    assert event.tables[0].documents[0] == "[food, fish] Q&A\nFish & chips"
    assert (
        "the text from tags, then title (HTML entities), then body (HTML), by the template"
        in preview_lines(event)[0]
    )
    source = corpus.describe()
    assert (source["template"], source["body"]) == (template, ["tags", "title", "body"])
    assert source["tables"][0]["template"] == template
    grouped = open_corpus(database, ["message"], Selection(group_by="thread", order_by="sent"))
    said = "the rows of each thread in the order of sent as one of 4 texts, sender before each row"
    assert said in preview_lines(preview(grouped))[0]


def test_a_template_of_a_query_and_of_two_tables(database):
    query = "select upper(title) as big, id from entry"
    corpus = open_corpus(database, [], Selection(sql=query, template="{{ id }}: {{ big }}"))
    assert list(corpus.documents())[1] == "2: TWO"
    with pytest.raises(InvalidOptions, match="Table 'message' has no column title"):
        open_corpus(database, ["entry", "message"], Selection(template="{{ title }}"))
    both = open_corpus(database, ["entry", "message"], Selection(template="row {{ id }}"))
    assert len(list(both.documents())) == 10


def test_a_template_changes_what_is_kept_of_the_text(database):
    def digest(**selection):
        steps = open_corpus(database, ["entry"], Selection(**selection)).digest()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value[0]

    assert digest(template="{{ title }}") != digest(template="# {{ title }}")
    assert digest(group_by="tags") != digest(group_by="tags", order_by="title") != digest()


def test_the_command_has_the_options():
    options = TrainOptions("a.db", "t", template="{{ a }}\n\n{{ b }}", group_by="thread", order_by="sent")
    command = as_command(options.given())
    assert "--group-by thread --order-by sent" in command
    assert r"--template '{{ a }}\n\n{{ b }}'" in command
    blank = TrainOptions("a.db", "t", template="", group_by="", order_by="")
    assert blank.selection == Selection()


# ---- Conversations


def test_rows_of_a_conversation_are_one_document(database):
    found = open_source(database, "message", Selection(group_by="thread", order_by="sent"))
    assert (found.speaker, found.body, found.document_count) == ("sender", ("text",), 4)
    assert list(found.documents()) == [
        "Ben: first of a\nAda: second of a\nin two lines",
        "no name, earlier\nZoë: hello from b",
        "Ada: nobody answers",
        "Ben: nobody answers either",
    ]
    assert found.skipped == {"no text": 1}
    keyed = list(found.keyed_documents())
    assert [key for key, _ in keyed] == [{"id": 3}, {"id": 5}, {"id": 4}, {"id": 7}]
    assert list(found.documents_by_key([["3"], ["5"], ["7"], ["2"], ["99"]])) == [
        keyed[0][1],
        keyed[1][1],
        keyed[3][1],
        keyed[0][1],
        None,
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"group_by": "THREAD"}, "Zoë: hello from b\nno name, earlier"),
        ({"group_by": "thread", "order_by": "sent desc"}, "Zoë: hello from b\nno name, earlier"),
        ({"group_by": "thread", "order_by": "sent ASC"}, "no name, earlier\nZoë: hello from b"),
        ({"group_by": "thread", "order_by": "sent, id"}, None),
        ({"group_by": "thread", "order_by": "-id"}, "no name, earlier\nZoë: hello from b"),
        ({"group_by": "upper(thread)", "where": "id != 5"}, "Zoë: hello from b"),
    ],
)
def test_groups_and_orders(database, options, expected):
    if expected is None:
        with pytest.raises(InvalidOptions, match="order by"):
            documents(database, "message", **options)
    else:
        assert documents(database, "message", **options)[1] == expected


def test_a_conversation_by_a_template(database):
    one_line = documents(database, "message", group_by="thread", template="<{{ sender }}> {{ text }}")
    assert one_line[0] == "<Ada> second of a\nin two lines\n<Ben> first of a"
    blank = documents(database, "message", group_by="thread", template=r"{{ sender }}\n{{ text }}\n\n")
    assert blank[0] == "Ada\nsecond of a\nin two lines\n\nBen\nfirst of a"


def test_a_subject_leads_the_conversation(tmp_path):
    path = str(tmp_path / "mail.db")
    with sqlite3.connect(path) as db:
        db.execute("create table mail (subject, body, from_name, user_id, list)")
        rows = [
            (f"Re: {i // 2} of all", f"some words {i} of a mail", ["Ada B.", "Cy"][i % 2], 7, i // 2)
            for i in range(20)
        ]
        db.executemany("insert into mail values (?, ?, ?, ?, ?)", rows)
    found = open_source(path, "mail", Selection(group_by="list"))
    assert (found.title, found.speaker) == ("subject", "from_name")
    first = next(found.documents())
    assert first == "Re: 0 of all\n\nAda B.: some words 0 of a mail\nCy: some words 1 of a mail"
    assert found.has_titles


def test_a_long_conversation_goes_on_in_another_document(database, monkeypatch):
    monkeypatch.setattr(conversations, "MAX_CHARACTERS", 5)
    read = documents(database, "message", group_by="thread", order_by="sent")
    assert read[:2] == ["Ben: first of a", "Ada: second of a\nin two lines"]


def test_groups_do_not_depend_on_the_collation(tmp_path):
    path = str(tmp_path / "c.db")
    with sqlite3.connect(path) as db:
        db.execute("create table t (room text collate nocase, text)")
        rows = [("A", "one two"), ("a", "three four"), ("A", "five six"), ("a", "seven eight")]
        db.executemany("insert into t values (?, ?)", rows)
    assert documents(path, "t", group_by="room") == ["one two\nfive six", "three four\nseven eight"]


def test_an_empty_name_is_refused(tmp_path):
    """It comes from a variable that is not set."""
    for name in ("", " "):
        result = CliRunner().invoke(train_command, [str(tmp_path / "a.db"), "t", "--name", name])
        assert result.exit_code == 2 and "--name" in result.output and "it is empty" in result.output


def test_names_that_were_wrongly_decoded(tmp_path):
    """As Facebook exports them: in titles and before rows, too."""
    path = str(tmp_path / "t.db")
    wrong = "Žofie Nováková".encode().decode("latin-1")
    with sqlite3.connect(path) as db:
        db.execute("create table chat (thread, thread_title, sender_name, content)")
        rows = [
            (f"t{i // 5}", wrong, ["Ada", wrong][i % 2], f"Přijdu v {i}.".encode().decode("latin-1"))
            for i in range(40)
        ]
        db.executemany("insert into chat values (?, ?, ?, ?)", rows)
    db.close()
    selection = Selection(title="thread_title", group_by="thread")
    document = next(open_source(path, "chat", selection).documents())
    assert document.startswith("Žofie Nováková\n\nAda: Přijdu v 0.\nŽofie Nováková: Přijdu v 1.\n")
