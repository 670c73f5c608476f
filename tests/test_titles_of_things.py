"""Titles by the names of things and by contents, and what only seems to be a title or the text."""

import sqlite3

import pytest
from odd_tables import Writer

from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview_source
from datasette_nanogpt.data.row_hints import row_hints
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.formatting import TrainCommand


def opened(tmp_path, table, columns, rows=60):
    """A table with these columns of made-up values."""
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        names = ", ".join(f'"{name}"' for name in columns)
        db.execute(f'create table "{table}" ({names})')
        for i in range(rows):
            writer = Writer(i)
            values = [make(writer) for make in columns.values()]
            db.execute(f'insert into "{table}" values ({", ".join("?" * len(values))})', values)
    db.close()
    return open_source(path, table)


def handle(w):
    return f"{w.name().split()[0].lower()}{w.i % 40}"


@pytest.mark.parametrize("table", ["Tweets", "comments", "chat_messages"])
@pytest.mark.parametrize("person", [handle, Writer.name])
def test_the_name_of_who_wrote_a_message_is_no_title(tmp_path, table, person):
    assert (
        opened(tmp_path, table, {"id": lambda w: w.i, "name": person, "text": Writer.sentence}).title is None
    )


@pytest.mark.parametrize("text", ["tweet", "comment_text", "message"])
def test_nor_is_it_beside_such_a_text(tmp_path, text):
    assert opened(tmp_path, "t", {"name": Writer.name, text: Writer.sentence}).title is None


@pytest.mark.parametrize("table", ["wines", "items", "posts"])
def test_other_names_are_titles(tmp_path, table):
    assert opened(tmp_path, table, {"name": Writer.title, "description": Writer.paragraph}).title == "name"


@pytest.mark.parametrize(
    ("table", "thing", "text"),
    [
        ("menu_items", "dish", "description"),
        ("movies", "film", "plot"),
        ("data", "game", "description"),
        ("monsters", "monster", "description"),  # named as the table is
        ("obituaries", "deceased", "obituary"),
        ("Species", "species", "notes"),
        ("plants", "common_name", "description"),
    ],
)
def test_things_are_titles(tmp_path, table, thing, text):
    found = opened(tmp_path, table, {"price": lambda w: w.i, thing: Writer.title, text: Writer.paragraph})
    assert (found.title, found.body) == (thing, (text,))


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        # Of which many rows are.
        ("data", {"movie": lambda w: f"The {w.i % 9}th Harbour", "opinion": Writer.paragraph}),
        # The text itself, and one that is longer than a line.
        ("jokes", {"joke": Writer.sentence}),
        ("data", {"story": Writer.paragraph, "moral": Writer.sentence}),
        # A key.
        ("data", {"product": lambda w: f"B00{w.i:07d}", "description": Writer.paragraph}),
        ("posts", {"author": Writer.name, "text": Writer.paragraph}),
    ],
)
def test_other_things_are_none(tmp_path, table, columns):
    assert opened(tmp_path, table, columns).title is None


@pytest.mark.parametrize(
    "names",
    [("Col1", "Column 2 ", "Column3"), ("field1", "field2", "field3"), ("A", "B", "C"), ("0", "1", "2")],
)
def test_titles_below_names_that_say_nothing(tmp_path, names):
    first, title, text = names
    made = {first: lambda w: str(w.i), title: Writer.title, text: Writer.paragraph}
    found = opened(tmp_path, "Sheet1", made)
    assert (found.title, found.body) == (title, (text,))


def test_a_title_below_such_a_name_beside_a_text_that_has_one(tmp_path):
    made = {"Col1": lambda w: str(w.i), "Column 2 ": Writer.title, " Text\n(full)": Writer.paragraph}
    assert opened(tmp_path, "Sheet1", made).title == "Column 2 "


def test_a_dish_with_a_short_description(tmp_path):
    made = {
        "dish": lambda w: w.sentence(4)[:-1],
        "description": lambda w: w.sentence(5),
        "price": lambda w: w.i,
    }
    assert opened(tmp_path, "menu_items", made).title == "dish"


def test_names_that_begin_with_what_a_column_holds(tmp_path):
    made = {"idDrink": lambda w: w.i, "strDrink": Writer.title, "strInstructions": Writer.paragraph}
    made |= {f"strIngredient{n}": lambda w: w.title().split()[0] for n in (1, 2, 3)}
    found = opened(tmp_path, "drinks", made)
    assert found.title == "strDrink"
    assert found.body == ("strIngredient1", "strIngredient2", "strIngredient3", "strInstructions")


def test_the_meaning_of_words_is_no_title(tmp_path):
    made = {"Verse": lambda w: w.i, "WordMeaning": Writer.sentence, "translation": Writer.paragraph}
    assert opened(tmp_path, "verses", made).title is None


def test_answers_that_are_called_by_letters(tmp_path):
    made = {"Question": lambda w: f"{w.sentence()[:-1]}?"} | dict.fromkeys("ABCD", Writer.title)
    found = opened(tmp_path, "quiz", made | {"Answer": lambda w: "ABCD"[w.i % 4]})
    assert found.body == ("Question", "A", "B", "C", "D")


def test_people_below_such_names_are_no_titles(tmp_path):
    made = {"c1": lambda w: w.name().split()[0], "c2": Writer.paragraph}
    assert opened(tmp_path, "Sheet1", made).title is None


def test_what_is_written_on_a_card_in_some_rows_is_not_the_text(tmp_path):
    def flavor(w):
        return w.sentence(19) if w.i % 2 else None

    found = opened(
        tmp_path,
        "items",
        {"name": Writer.title, "description": lambda w: w.sentence(16), "flavor_text": flavor},
    )
    assert found.body == ("description",)


def test_a_clue_goes_with_its_answer(tmp_path):
    made = {"clue": Writer.sentence, "answer": lambda w: w.title().split()[0].upper()}
    assert opened(tmp_path, "clues", made).body == ("clue", "answer")


def test_what_comes_before_an_opinion_is_read_before_it(tmp_path):
    made = {"case_name": Writer.title, "opinion_text": Writer.text, "syllabus": Writer.paragraph}
    (told,) = [each for each in row_hints(opened(tmp_path, "decisions", made)) if "--body" in each]
    assert told.endswith("--body syllabus --body opinion_text")


SAME = "No further information is available at this time."


def remarks(source):
    return preview_source(source, TrainCommand(str(source.database))).remarks


@pytest.mark.parametrize("every", [3, 5])
def test_the_same_text_below_many_titles_is_told(tmp_path, every):
    made = {"subject": Writer.title, "note": lambda w: w.paragraph() if w.i % every == 0 else SAME}
    told = [each for each in remarks(opened(tmp_path, "notes", made)) if SAME in each]
    assert len(told) == 1 and told[0].startswith(f"{60 - 60 // every} rows have the same text in note, ")
    assert f"trim(note) <> '{SAME}'" in told[0]
    made = {"subject": Writer.title, "note": lambda w: SAME if w.i == 3 else w.paragraph()}
    (tmp_path / "any.db").unlink()
    assert not [each for each in remarks(opened(tmp_path, "notes", made)) if SAME in each]


def test_the_title_of_a_conversation_is_no_line_of_its_rows(tmp_path):
    made = {"play": lambda w: "The Harbour" if w.i < 45 else "The Mill", "line": Writer.sentence}
    path = str(opened(tmp_path, "lines", made).database)
    source = open_source(path, "lines", Selection(group_by="play", title="play"))
    assert not [each for each in remarks(source) if "'The Harbour'" in each]
