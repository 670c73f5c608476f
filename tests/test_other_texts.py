"""What people wrote beside the text is told, with the options that read both."""

import shlex

import pytest
from odd_tables import ROWS, Writer, number, same, sometimes
from test_odd_tables import write

from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.other_texts import other_texts
from datasette_nanogpt.data.source import Selection


def told(tmp_path, columns):
    path = write(tmp_path / "any.db", columns)
    return path, list(other_texts(open_source(path, "t"), "rows"))


def in_few(make, every=6):
    return lambda w: make(w) if w.i % every == 0 else None


KOBO = {
    "BookmarkID": Writer.uuid,
    "VolumeID": lambda w: f"file:///mnt/onboard/book{w.i % 3}.epub",
    "Text": Writer.paragraph,
    "Annotation": in_few(Writer.sentence),
    "DateCreated": Writer.date,
}
READWISE = {
    "id": number,
    "text": Writer.paragraph,
    "note": lambda w: w.sentence(3) if w.i % 4 == 0 else "",
    "location": number,
    "url": Writer.url,
}
MASTODON = {
    "id": number,
    "created_at": Writer.date,
    "content": lambda w: f"<p>{w.paragraph()}</p>",
    "spoiler_text": lambda w: w.sentence(3) if w.i % 5 == 0 else "",
    "uri": Writer.url,
}
REVIEWS = {
    "title": Writer.title,
    "review": Writer.text,
    "what_surprised_me": Writer.sentence,
    "shelf": lambda w: w.pick("read", "to-read"),
}


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        (KOBO, ["--body", "Text", "--body", "Annotation"]),
        (READWISE, ["--body", "text", "--body", "note"]),
        (MASTODON, ["--body", "spoiler_text", "--body", "content"]),
        (REVIEWS, ["--body", "review", "--body", "what_surprised_me"]),
    ],
)
def test_a_second_column_of_words_is_told(tmp_path, columns, options):
    path, (sentence,) = told(tmp_path, columns)
    assert shlex.split(sentence.rpartition(": ")[2]) == options
    before, body = open_source(path, "t"), options[1::2]
    found = open_source(path, "t", Selection(body=body))
    assert (found.title, found.body) == (before.title, tuple(body))
    both = [row for row in found.sample if all(row[name] for name in body)]
    assert len(both) >= ROWS / 10
    assert any(str(both[0][body[1]])[3:20] in text.partition("\n\n")[2] for text in found.documents())
    assert list(other_texts(found, "rows")) == []  # they were chosen


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("tags", lambda w: ", ".join(w.sentence(5)[:-1].split())),
        ("keywords", Writer.sentence),
        ("book_title", Writer.title),
        ("author", Writer.name),
        ("publisher", lambda w: f"{w.name()} and {w.name()}"),
        ("state", lambda w: w.pick("it is open for now", "it is closed for good")),
        ("citation", Writer.sentence),
        ("excerpt", lambda w: w.story[:80]),
        ("ai_summary", Writer.sentence),
        ("note", same("the same words in all of the rows")),
        ("note", lambda w: w.sentence() if w.i < 3 else None),
        ("place_of_birth", lambda w: f"Old {w.name()}, New {w.name()}"),
        ("path", lambda w: f"/home/{w.i}/notes of the day.md"),
        ("sometimes", sometimes(Writer.date)),
        ("dkim-signature", lambda w: f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={w.uuid()}; {w.sentence()}"),
        (
            "received",
            lambda w: f"from mail-{w.i} by mx.example.com with esmtp for the list of {w.sentence()}",
        ),
        ("X-Gmail-Labels", Writer.sentence),
    ],
)
def test_labels_and_facts_are_not(tmp_path, name, make):
    columns = {"id": number, "title": Writer.title, "body": lambda w: w.story, name: make}
    assert told(tmp_path, columns)[1] == []


def test_a_header_of_mail_is_no_text(tmp_path):
    received = "from mail by mx.example.com with esmtp for the list of all the readers in the old harbour"
    columns = {"received": lambda w: f"{received} {w.i}", "note": Writer.sentence}
    assert open_source(write(tmp_path / "any.db", columns), "t").body == ("note",)
