"""Lines that were broken at a column are joined; verse, code, lists and tables stay."""

import random
import textwrap

import pytest
from odd_tables import WORDS, Writer
from test_odd_tables import write

from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.text_kinds import kind_of, read_text
from datasette_nanogpt.data.wrapped import join_wrapped, wrapped_at
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


def paragraphs(i, count=3, words=60):
    chosen = random.Random(i)
    return [" ".join(chosen.choices(WORDS, k=words)).capitalize() + "." for _ in range(count)]


def wrapped(text, width=72, **indents):
    return textwrap.fill(text, width, **indents)


def read(texts):
    kind = kind_of(texts)
    return [read_text(text, kind).text for text in texts]


@pytest.mark.parametrize("width", [60, 72, 79])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_paragraphs_are_joined(width, end):
    whole = [paragraphs(i) for i in range(20)]
    texts = ["\n\n".join(wrapped(each, width) for each in text).replace("\n", end) for text in whole]
    assert kind_of(texts).names == ["wrapped lines"]
    assert read(texts) == ["\n\n".join(text) for text in whole]
    assert kind_of(texts, "plain").wrapped == 0


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
        ["one line"],
        [""],
    ],
)
def test_other_lines_stay(texts):
    assert wrapped_at(texts) == 0
    assert read(texts) == texts


def test_a_poem_among_letters_stays():
    letters = ["\n\n".join(map(wrapped, paragraphs(i))) for i in range(20)]
    poem = lines_of(1, (6, 7, 8, 9))
    assert read([*letters, poem])[-1] == poem
    assert join_wrapped(VERSE, 72) == VERSE


def test_it_is_told_before_training(tmp_path):
    columns = {"subject": Writer.title, "body": lambda w: "\n\n".join(map(wrapped, paragraphs(w.i)))}
    path = write(tmp_path / "any.db", columns)
    found = preview_source(open_source(path, "t"), TrainCommand(path))
    assert found.read_as == {"body": ["wrapped lines"]}
    assert found.documents[0].count("\n") == 6
    as_it_is = preview_source(open_source(path, "t", Selection(text="plain")), TrainCommand(path))
    assert as_it_is.documents[0].count("\n") > 12


def test_whole_messages_of_mail():
    whole = [paragraphs(i) for i in range(20)]
    texts = [
        f"From: ada{i}@example.org\nSubject: Sails\nMessage-ID: <{i}@example.org>\n\n"
        + "\n\n".join(map(wrapped, text))
        for i, text in enumerate(whole)
    ]
    assert read(texts) == ["\n\n".join(text) for text in whole]
