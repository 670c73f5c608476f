"""What kind of text a column has, and what becomes of its values."""

import json
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data.documents import join_document
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.text_kinds import PLAIN, TextKind, kind_of
from datasette_nanogpt.data.values_as_text import read_text, read_title

PROSE = ["It was a fine day.", "Nothing happened, he said.", "Well, well."]
POSTS = [f"A post {i} with <strong>force</strong>.\n\nSee <a href='/{i}'>there</a>." for i in range(5)]
BLOCKS = [json.dumps([{"type": "paragraph", "value": f"<p>Paragraph {i} has words.</p>"}]) for i in range(5)]
RECORDS = [json.dumps({"name": f"n{i}", "size": i}) for i in range(5)]

COMPONENT = """import React from "react";

export function Card({ title, children }) {
  const [open, setOpen] = useState(false);
  if (!children) {
    return null;
  }
  return (
    <div className="card">
      <h2>{title}</h2>
      <p>Some words</p>
      {open && <div>{children}</div>}
    </div>
  );
}
"""


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], PLAIN),
        (["", " "], PLAIN),
        (PROSE, PLAIN),
        ([*PROSE, "if a < b: c > d && e"], PLAIN),
        (["Tom &amp; Jerry", "x -&gt; y", "it&#39;s", "caf&eacute;", *PROSE], TextKind(entities=True)),
        (["Tom &amp; Jerry", "Fish & chips", "R&D"], PLAIN),
        (["Write `&amp;` for an ampersand and `&lt;` for <", *PROSE], PLAIN),
        (["if (a && b) x = &y;", "&notanentity; &amp"], PLAIN),
        (
            ["&lt;p&gt;Escaped&lt;/p&gt;\n&lt;p&gt;HTML &amp;amp; so&lt;/p&gt;"] * 3,
            TextKind("html", entities=True),
        ),
        (["<p>HTML &amp; more</p>", "<p>b</p>"], TextKind("html")),
        (POSTS, TextKind("html")),
        (["# A title\n\nSome *words*", "- one\n- two", "[a](b)"], TextKind("markdown")),
        (["---\ntitle: A\n---\n# Hello\n\n[a](b)", "# b"], TextKind("markdown", front_matter=True)),
        (["caf=C3=A9 and so =\non", *PROSE], TextKind(quoted_printable=True)),
        (["<p>caf=C3=A9</p>=\n<p class=3D'x'>b</p>"], TextKind("html", quoted_printable=True)),
        (["<|startoftext|>a<|endoftext|>", "<|startoftext|>b<|endoftext|>"], TextKind(markers=True)),
        (BLOCKS, TextKind("blocks")),
        ([*BLOCKS, "<p>one old row</p>"], TextKind("blocks")),
        ([*PROSE, *PROSE, *["I saw <i>The Mill</i> & slept."] * 3], TextKind("html")),
        ([*PROSE, *PROSE, *["Use <i>The Mill</i>, <T> or a<b>."] * 3], PLAIN),
        (["- one\n- two"] * 5 + ["I saw <i>The Mill</i>."] * 3, TextKind("markdown")),
        ([f"<?php\n// part {i}\n?><p>Hello <?= $name ?></p>\n" for i in range(3)], PLAIN),
        ([COMPONENT, COMPONENT.replace("Card", "Note")], PLAIN),
        (
            [f"{{% include a %}}\n{{{{ b }}}}\n<p>A post, {i}</p>\n<p>of three</p>" for i in range(3)],
            TextKind("html", markup="tags of a site"),
        ),
        (["See this:\n<pre>\na = 1;\nb();\n</pre>\n<p>It works.</p>"] * 3, TextKind("html")),
        (RECORDS, TextKind(data="JSON")),
        (["[link](a) first", "{braces} too", "[1] a footnote"], PLAIN),
        (["5f4dcc3b5aa765d61d8327deb882cf99" * 2] * 3, TextKind(data="hex")),
        (["aGVsbG8gd29ybGQgSSBhbSBiYXNlNjQgYW5kIGEgbG9uZyBzdHJpbmcgMTIz"] * 3, TextKind(data="base64")),
        (["ACGT" * 500], PLAIN),
        (["a" * 500], PLAIN),
        (["學而時習之不亦說乎" * 50], PLAIN),
    ],
)
def test_the_kind_of_a_column_is_found_by_its_values(values, kind):
    assert kind_of(values) == kind


@pytest.mark.parametrize("text_format", ["plain", "html", "markdown"])
def test_what_somebody_says_counts(text_format):
    for values in (BLOCKS, POSTS, PROSE, ["Tom &amp; Jerry"], ["---\ntitle: A\n---\n# b"], []):
        assert kind_of(values, text_format).format == text_format
        assert not kind_of(values, text_format).entities
    post = "---\ntitle: A\n---\n<p>Tom &amp; Jerry</p>"
    read = read_text(post, kind_of([post], text_format))
    assert (read.title, read.text) == {
        "plain": (None, post),
        "html": (None, "--- title: A ---\n\nTom & Jerry"),
        "markdown": ("A", "<p>Tom &amp; Jerry</p>"),
    }[text_format]


def test_empty_paragraphs_are_none():
    texts = [f"{text}\n\n&nbsp;\n\n&nbsp;\n\nThe end &amp; more." for text in PROSE]
    assert read_text(texts[0], kind_of(texts)).text == f"{PROSE[0]}\n\nThe end & more."


@given(st.lists(st.text(), max_size=5), st.sampled_from([None, "plain", "html", "markdown"]))
def test_any_column_can_be_read(values, text_format):
    kind = kind_of(values, text_format)
    assert TextKind(**json.loads(json.dumps(kind.as_json()))) == kind
    for value in values:
        read_text(value, kind)


@given(st.text(st.sampled_from("ab &;<>/p\n=C3A9{}[]\"\x1f'#")))
def test_text_without_any_sign_of_a_kind_stays(text):
    kind = kind_of([text])
    if kind.format in ("plain", "markdown") and not kind.names:
        assert read_text(text, kind).text == text


@pytest.mark.parametrize(
    ("separator", "gap"),
    [*((c, "\n\n") for c in "\x1f\x1e\x1d\u2029"), *((c, "\n") for c in "\x0b\x0c\x85\u2028\r")],
)
def test_separators_are_breaks(separator, gap):
    assert join_document(None, [f"front{separator}back"]) == f"front{gap}back"
    assert join_document(f"one{separator}line", ["x"]) == "one line\n\nx"
    html = f"<b>front</b>{separator}<i>back</i>"
    text = join_document(None, [read_text(html, TextKind("html")).text])
    assert text == f"front{' ' if separator == chr(12) else gap}back"


def test_what_is_between_nuls_is_a_field():
    assert join_document(None, ["front side\0\0back side\0"]) == "front side\n\nback side"
    assert join_document(None, ["o\0n\0e\0"]) == "one"


def test_several_separators_are_one_break():
    assert join_document(None, ["a\x1f\x1fb\n\x1e\nc"]) == "a\n\nb\n\nc"


# ---- As rows of a table


@pytest.fixture
def make(tmp_path):
    """make("create table t …", rows) writes a database and returns its path."""

    def write(create, rows, name="t.db"):
        (tmp_path / name).unlink(missing_ok=True)
        db = sqlite3.connect(tmp_path / name)
        with db:
            db.execute(create)
            for row in rows:
                db.execute(f"insert into t values ({','.join('?' * len(row))})", row)
        db.close()
        return str(tmp_path / name)

    return write


def documents(make, rows, **selection):
    path = make(
        "create table t (id integer primary key, body text)", [(i, row) for i, row in enumerate(rows)]
    )
    return list(open_source(path, "t", Selection(**selection)).documents())


def test_front_matter_gives_a_title_where_no_column_does(make):
    pages = [f"---\ntitle: Page {i}\ntags: [x]\n---\n\nText {i}.\n" for i in range(3)]
    assert documents(make, [*pages, "No title."]) == [
        *(f"Page {i}\n\nText {i}." for i in range(3)),
        "No title.",
    ]
    path = make(
        "create table t (id integer primary key, title text, body text)",
        [(i, "From the column" if i else None, page) for i, page in enumerate(pages)],
        name="titled.db",
    )
    found = list(open_source(path, "t").documents())
    assert found[:2] == ["Page 0\n\nText 0.", "From the column\n\nText 1."]


def test_mail_is_decoded_title_and_body(make):
    path = make(
        "create table t (id integer primary key, subject text, body text)",
        [(1, "=?utf-8?Q?Caf=C3=A9?=", "Stra=C3=9Fe, a long line that=\n goes on"), (2, "Plain", "a = b")],
    )
    assert list(open_source(path, "t").documents()) == [
        "Café\n\nStraße, a long line that goes on",
        "Plain\n\na = b",
    ]


def test_a_row_with_markers_is_several_documents(make):
    rows = ["<|startoftext|>One.<|endoftext|>\n<|startoftext|>Two.<|endoftext|>", "<|endoftext|>", "Three."]
    path = make("create table t (id integer primary key, body text)", list(enumerate(rows)))
    source = open_source(path, "t")
    assert list(source.documents()) == ["One.", "Two.", "Three."]
    assert [key["id"] for key, _ in source.keyed_documents()] == [0, 0, 2]
    assert source.skipped == {"no text": 1}
    assert list(source.documents_by_key([["0"], ["2"]])) == ["One.\n\nTwo.", "Three."]


def test_a_blog_about_markers_is_not_cut(make):
    posts = [f"Post {i}. GPT-2 has a token, <|endoftext|>, for this." for i in range(5)]
    assert documents(make, posts) == posts


def test_text_overrides_what_the_sample_tells(make):
    assert documents(make, POSTS, text="plain") == POSTS
    assert documents(make, ["a <b>c</b>"] * 3, text="html")[0] == "a c"


def test_the_option_is_kept_and_rows_are_read_the_same_way_later(make, home):
    """--text on the command line, in nanogpt.json, and in every reader of the rows of the model's table."""
    from click.testing import CliRunner

    from datasette_nanogpt.cli import train_command
    from datasette_nanogpt.data.model_rows import open_rows
    from llm_nanogpt.checkpoint import read_checkpoint

    rows = [(i, f"Row {i} is <b>so</b> short &amp; sweet.") for i in range(60)]
    path = make("create table t (id integer primary key, body text)", rows)
    shape = [
        "--n-layer",
        "1",
        "--n-head",
        "1",
        "--n-embd",
        "32",
        "--block-size",
        "32",
        "--batch-size",
        "2",
        "--max-iters",
        "2",
    ]
    for option, text in (("plain", rows[7][1]), ("html", "Row 7 is so short & sweet.")):
        command = [path, "t", "--name", f"nanogpt-{option}", "--text", option, *shape, "--device", "cpu"]
        done = CliRunner().invoke(train_command, command)
        assert done.exit_code == 0, done.output
        assert ("HTML read as text" in done.output) == (option == "html")
        checkpoint = read_checkpoint(home / f"nanogpt-{option}")
        assert checkpoint.meta["options"]["text"] == option
        assert checkpoint.meta["source"]["tables"][0]["kinds"]["body"].get("format", "plain") == option
        assert list(open_rows(checkpoint, path, "t").documents())[7] == text
    refused = CliRunner().invoke(train_command, [path, "t", "--text", "latex"])
    assert refused.exit_code == 2


def test_json_that_is_data_is_told(make):
    path = make("create table t (id integer primary key, body text)", list(enumerate(RECORDS)))
    source = open_source(path, "t", Selection(body=["body"]))
    assert (source.read_as_text, source.data) == ([], ["JSON"])


def test_the_form_has_it_too():
    from datasette_nanogpt.training.options import validate
    from datasette_nanogpt.web.forms import ADVANCED, selection_from_form

    assert "text" in ADVANCED
    assert selection_from_form({"text": "markdown"}, None) == Selection(text="markdown")
    assert validate({"text": "html"}) == ({"text": "html"}, [])
    (problem,) = validate({"text": "latex"})[1]
    assert problem.message == "The format of the text must be one of plain, html, markdown, not latex"


def test_some_values_are_json_of_the_parts_of_a_text():
    """As of a chat: messages with a link are lists, the others are strings."""
    link = json.dumps(["See ", {"type": "link", "text": "https://example.org"}, "."])
    kind = kind_of(["Good morning.", "[I have been there]", "And you?", link])
    assert kind.parts and kind.names == ["JSON in some rows"]
    assert read_text(link, kind).text == "See https://example.org."
    for plain in ("[I have been there]", "Good morning."):
        assert read_text(plain, kind).text == plain
    assert kind_of([link.replace("See", f"See {i}") for i in range(5)]).format == "blocks"


def test_rows_of_plain_text_among_records_are_kept():
    records = [json.dumps({"content": f"The {i}th morning was quiet.", "id": i}) for i in range(5)]
    kind = kind_of([*records, "A row without JSON."])
    assert kind.format == "records"
    assert read_text("A row without JSON.", kind).text == "A row without JSON."
    assert read_text("<p>One.</p><p>Two.</p>", kind).text == "One.\n\nTwo."
    assert read_text("[12] is a note", kind).text == "[12] is a note"
    assert read_text('{"size": 3}', kind).text == "" == read_text("[1, 2]", kind).text


def test_speakers_are_read_where_what_they_say_is_blocks():
    def turn(sender, text):
        return {"uuid": "1", "sender": sender, "text": text, "content": [{"type": "text", "text": text}]}

    chats = [json.dumps([turn("human", f"Is it {i}?"), turn("assistant", "It is.")]) for i in range(5)]
    kind = kind_of(chats)
    assert kind.format == "records"
    assert read_text(chats[0], kind).text == "human: Is it 0?\n\nassistant: It is."


def test_strings_of_json_are_read_as_what_they_say():
    texts = [f'Line {i}\n"caf\u00e9"' for i in range(5)]
    kind = kind_of([json.dumps(text) for text in texts])
    assert [read_text(json.dumps(text), kind).text for text in texts] == texts
    titles = kind_of(['"Morning"', '"A walk"', '"Rain"', '"Evening"', '"Night"'])
    assert read_title('"A walk"', titles, entities=False) == "A walk"
    assert read_title("Without", titles, entities=False) == "Without"


def test_quotation_marks_of_people_stay():
    said = ['"Good morning," she said, "and good luck."', '"Why?"', "He did not know.", '"So it goes."'] * 3
    assert kind_of(said) == PLAIN


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["Tom &amp; Ann", 'so <e type="smile">:)</e>', "3 &lt; 4", *PROSE], TextKind("html")),
        (["Tom &amp; Ann", "so <3", "3 &lt; 4", *PROSE], TextKind(entities=True)),
        (["Tom and Ann", "the <name> of a file", *PROSE], PLAIN),
    ],
)
def test_tags_among_entities_are_tags(values, kind):
    """In a text in which a `<` is written `&lt;`, any other one begins a tag, though few values have one."""
    assert kind_of(values) == kind


def test_the_invisible_signs_of_editors_are_left_out():
    values = ["One &amp; two.\n\n&amp;#x200B;\n\nThree.", "A &lt; B", *PROSE]
    assert read_text(values[0], kind_of(values)).text.split() == ["One", "&", "two.", "Three."]
    assert read_text("&#8203;<p>One</p>", TextKind("html")).text == "One"
    assert read_text("Write &#8203; so", PLAIN).text == "Write &#8203; so"


def test_a_feed_of_cdata_is_html():
    assert kind_of(["<![CDATA[Tom &amp; <b>Ann</b>]]>", "<![CDATA[So]]>"]) == TextKind("html")


def test_a_paragraph_may_be_a_title():
    kind = kind_of([f"<p>Of the {word} &amp; <i>more</i>.</p>" for word in ("mill", "boat", "gate")])
    assert read_title("<p>Of the mill &amp; <i>more</i>.</p>", kind, entities=True) == "Of the mill & more."
    assert read_title("About the <p> tag", kind, entities=True) == "About the <p> tag"


def test_line_breaks_and_marks_that_programs_added():
    assert (
        join_document("A\r\r\ntitle", ["one\r\r\ntwo\r\n\r\nthree\rfour"])
        == "A title\n\none\ntwo\n\nthree\nfour"
    )
    assert (
        join_document("", ["\u200f\u0627\u200e x\u2069 \u0646\u200c\u0627"]) == "\u0627 x \u0646\u200c\u0627"
    )
