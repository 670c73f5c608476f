"""Lines that end because they were full become paragraphs; those that were ended on purpose stay."""

import random
import textwrap

import pytest
from click.testing import CliRunner
from odd_tables import WORDS, Writer
from test_odd_tables import write

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.text_kinds import kind_of
from datasette_nanogpt.data.values_as_text import read_text
from datasette_nanogpt.data.wrapped_lines import join_lines, wrapped_width
from datasette_nanogpt.formatting import TrainCommand

VERSE = """
Whan that Aprille with his shoures soote
The droghte of Marche hath perced to the roote
And bathed every veyne in swich licour
Of which vertu engendred is the flour
""".strip()
CODE = "def sail(boat):\n    for rope in boat.ropes:\n        rope.pull()\n    return boat.speed * 2"
TABLE = "port        boats   sails\nnorth       12      30\nsouth       4       9"
CLOSING = "Best wishes,\nAda"
PARAGRAPHS = [
    "The ferry leaves the harbour at seven in the morning, when the fishermen come back and the "
    "market on the quay begins. Nobody who lives here takes it for pleasure. It brings the post, two "
    "cows and a piano that was promised for the spring of last year.",
    "My grandfather kept the lighthouse for thirty-one years and wrote a line about the weather every "
    "evening, in a hand that became smaller as the paper grew scarce. The last entry says that the "
    "wind has turned to the north and that the lamp needs oil.",
    "We counted the steps to the top again, which are two hundred and nine, and argued about whether "
    "the landing is a step. From the gallery one sees the islands, and on clear days the other coast, "
    "as a thin blue line that might as well be a cloud.",
]
TEXT = "\n\n".join(PARAGRAPHS)
SONNET = (
    "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
    "Rough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date;\n"
    "Sometime too hot the eye of heaven shines,\nAnd often is his gold complexion dimm'd;\n"
    "And every fair from fair sometime declines,\nBy chance or nature's changing course untrimm'd;"
)
PROGRAM = (
    "import sqlite3\nfrom pathlib import Path\n\ndb = sqlite3.connect(Path('blog.db'))\n"
    "for row in db.execute('select title, body from entry'):\n    print(row[0])\n    print(len(row[1]))\n"
    "db.close()\nprint('all rows of the table were read')\nraise SystemExit(0)"
)


def paragraphs(i, count=3, words=60):
    chosen = random.Random(i)
    return [" ".join(chosen.choices(WORDS, k=words)).capitalize() + "." for _ in range(count)]


def wrapped(text, width=72, **indents):
    return textwrap.fill(text, width, **indents)


def wrap(text, width=72):
    return "\n\n".join(wrapped(part, width) for part in text.split("\n\n"))


def read(texts):
    kind = kind_of(texts)
    return [read_text(text, kind).text for text in texts]


@pytest.mark.parametrize("width", [60, 72, 79])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_paragraphs_are_joined(width, end):
    whole = [paragraphs(i) for i in range(20)]
    texts = ["\n\n".join(wrapped(each, width) for each in text).replace("\n", end) for text in whole]
    assert kind_of(texts).names == ["hard-wrapped lines"]
    assert read(texts) == ["\n\n".join(text) for text in whole]
    assert kind_of(texts, "plain").width == 0


def test_rows_that_are_a_paragraph_each():
    whole = [paragraphs(i, 1)[0] for i in range(20)]
    assert read([wrapped(text) for text in whole]) == whole


def test_short_texts_are_read_like_long_ones():
    whole = [paragraphs(i, 1, 20 if i % 2 else 200)[0] for i in range(20)]
    assert read([wrapped(text) for text in whole]) == whole


@pytest.mark.parametrize("other", [VERSE, CODE, TABLE, CLOSING, f"```\n{wrapped(paragraphs(1)[0])}\n```"])
def test_what_is_between_paragraphs_stays(other):
    whole = [paragraphs(i) for i in range(20)]
    texts = ["\n\n".join([wrapped(one), other, wrapped(two), wrapped(last)]) for one, two, last in whole]
    assert read(texts) == ["\n\n".join([one, other, two, last]) for one, two, last in whole]


def test_items_of_a_list_are_joined_each():
    whole = [paragraphs(i) for i in range(20)]
    texts = [
        "\n\n".join(
            [wrapped(one), "\n".join([wrapped(f"- {item}", subsequent_indent="  ") for item in items])]
        )
        for one, *items in whole
    ]
    assert read(texts) == [f"{one}\n\n- {two}\n- {last}" for one, two, last in whole]


def test_paragraphs_without_blank_lines_begin_with_spaces():
    whole = [paragraphs(i) for i in range(20)]
    texts = ["\n".join(wrapped(f"    {each}") for each in text) for text in whole]
    assert read(texts) == [text.replace("\n\n", "\n    ") for text in map("\n\n".join, whole)]


def test_a_heading_and_a_greeting_stay_on_their_lines():
    whole = [paragraphs(i) for i in range(20)]
    texts = ["Dear Ben,\n" + "\n\n".join(wrapped(each) for each in text) for text in whole]
    assert read(texts) == ["Dear Ben,\n" + "\n\n".join(text) for text in whole]


def lines_of(i, words):
    chosen = random.Random(i)
    return "\n".join(" ".join(chosen.choices(WORDS, k=chosen.choice(words))) for _ in range(12))


@pytest.mark.parametrize(
    "texts",
    [
        [lines_of(i, (6, 7, 8, 9)) for i in range(20)],  # verse
        [lines_of(i, (9, 14, 20)) for i in range(20)],  # a sentence a line
        [f"{CODE}\n\n{CODE}\n\n{CODE}"] * 20,
        ["\n\n".join(paragraphs(i)) for i in range(20)],
        ["白日依山盡黃河入海流\n欲窮千里目更上一層樓\n" * 8] * 20,
        ["9:00 Who is there?\n9:05 It is I: at 5:30.\n10:00 Come in.\n11:00 It is late.\n12:00 I know.\n"]
        * 9,
        ["one line"],
        [""],
    ],
)
def test_other_lines_stay(texts):
    assert wrapped_width(texts) == 0
    assert read(texts) == texts


def test_a_poem_among_letters_stays():
    letters = ["\n\n".join(map(wrapped, paragraphs(i))) for i in range(20)]
    poem = lines_of(1, (6, 7, 8, 9))
    assert read([*letters, poem])[-1] == poem
    assert join_lines(VERSE, 72) == VERSE


def test_it_is_told_before_training(tmp_path):
    columns = {"subject": Writer.title, "body": lambda w: "\n\n".join(map(wrapped, paragraphs(w.i)))}
    path = write(tmp_path / "any.db", columns)
    found = preview_source(open_source(path, "t"), TrainCommand(path))
    assert found.read_as == {"body": ["hard-wrapped lines"]}
    assert found.documents[0].count("\n") == 6
    as_it_is = preview_source(open_source(path, "t", Selection(text="plain")), TrainCommand(path))
    assert as_it_is.documents[0].count("\n") > 12


def test_its_lines_are_said_to_be_joined(tmp_path, monkeypatch):
    """And not to be read as text, unlike the HTML around them."""
    monkeypatch.setenv("NANOGPT_HOME", str(tmp_path / "models"))
    columns = {"body": lambda w: "\n\n".join(map(wrapped, paragraphs(w.i))) + "\n\nA &amp; B"}
    path = write(tmp_path / "any.db", columns)
    arguments = [path, "t", "--dry-run", "--device", "cpu", "--max-iters", "1"]
    done = CliRunner().invoke(train_command, arguments)
    assert "HTML entities read as text, hard-wrapped lines joined)" in " ".join(done.output.split())


def test_whole_messages_of_mail():
    whole = [paragraphs(i) for i in range(20)]
    texts = [
        f"From: ada{i}@example.org\nSubject: Sails\nMessage-ID: <{i}@example.org>\n\n"
        + "\n\n".join(map(wrapped, text))
        for i, text in enumerate(whole)
    ]
    assert read(texts) == ["\n\n".join(text) for text in whole]


@pytest.mark.parametrize(
    "text", [SONNET, SONNET.lower(), PROGRAM, TEXT, "- " + "\n- ".join(TEXT.split(". "))]
)
def test_lines_that_were_ended_on_purpose_stay(text):
    assert wrapped_width([text] * 5) == 0


KEPT = {
    "verse": SONNET,
    "code": PROGRAM,
    "indented code": textwrap.indent(PROGRAM, "    "),
    "fenced code": f"```\n{PROGRAM}\n```",
    "a table": "| harbour | ferries a day that leave from there in summer |\n| --- | --- |\n| Old | 2 |",
    "columns": "Old harbour           two ferries a day in the summer months\nnew harbour           eleven",
    "a quote": "> The ferry leaves the harbour at seven in the morning, when the\n> fishermen come back.",
    "an address": "Ada Lovelace\nSt James's Square 12\nLondon",
    "a greeting": "Best wishes from all of us here at the lighthouse,\nAda",
    "a list": "- bread, of which there is never enough in this house\n- oil for the lamp\n- a piano",
    "questions": "1. How many steps are there to the very top of the lighthouse?\n2. Who counted them?",
    "a heading": "The harbour of the island\n-------------------------\nThe ferry leaves at seven.",
    "markdown's break": "The ferry leaves the harbour at seven in the morning,  \nwhen fishermen come back.",
    "a dialogue": "Did you count the steps all the way up?\nNo.\nThen who did?\nNobody I know of.",
    "a session": "$ sqlite-utils tables blog.db --counts --columns --schema --csv\n$ datasette blog.db",
}


@pytest.mark.parametrize("name", KEPT)
def test_what_keeps_its_lines_beside_wrapped_text(name):
    assert join_lines(KEPT[name], 72) == KEPT[name]


JOINED = {
    "two lines": (
        "The ferry leaves the harbour at seven in the morning, when all of the\nfishermen come back.",
    ),
    "an item": (
        "- the ferry leaves the harbour at seven in the morning, when all of\n  the others return\n- oil",
        "- the ferry leaves the harbour at seven in the morning, when all of the others return\n- oil",
    ),
    "a first line that is indented": (
        "   The ferry leaves the harbour at seven in the morning, when all of\nthe fishermen come back.",
    ),
    "filled by hand": (
        "The ferry leaves the harbour at seven in the morning,\n"
        "when the fishermen come back and the market on\nthe quay begins.",
    ),
    "a compound": (
        "The ferry leaves the harbour at seven in the morning, when all thirty-\none fishermen come back.",
        "The ferry leaves the harbour at seven in the morning, when all thirty-one fishermen come back.",
    ),
    "Japanese": (
        "横浜の港から船が出るのは朝の七時で、漁師たちが戻り、岸壁の市場が始まる時刻である。この船に楽しみで乗る人\nはいない。",
        "横浜の港から船が出るのは朝の七時で、漁師たちが戻り、岸壁の市場が始まる時刻である。この船に楽しみで乗る人はいない。",
    ),
}


@pytest.mark.parametrize("name", JOINED)
def test_what_is_joined(name):
    text, *joined = JOINED[name]
    width = 52 if name == "Japanese" else 72
    assert join_lines(text, width) == (joined[0] if joined else text.replace("\n", " "))


def test_a_text_that_was_not_wrapped_stays_beside_those_that_were():
    text = TEXT + "\n\nThe keys of the lighthouse are kept in the drawer of the old harbour office\nby Ada."
    assert join_lines(text, 72) == text


def test_a_long_address_on_its_line_does_not_count():
    address = "https://example.org/" + "a" * 90
    wrapped = wrap(TEXT)
    assert join_lines(f"{wrapped}\n\n{address}", 72) == f"{TEXT}\n\n{address}"


def test_plain_keeps_all_lines():
    wrapped = wrap(TEXT)
    assert read_text(wrapped, kind_of([wrapped] * 4, "plain")).text == wrapped
