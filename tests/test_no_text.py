"""What stands in a column of text and is none: redirects of a wiki, encrypted parts, comments, pictures."""

import json
import sqlite3
import time

import pytest
from click.testing import CliRunner

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.data.html import html_to_text
from datasette_nanogpt.data.markdown import are_pictures, without_comments
from datasette_nanogpt.data.markup import find_markup, read_markup
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.repeated_lines import repeated_lines
from datasette_nanogpt.data.source import Selection

PAGE = (
    "'''Old Harbour''' is a [[town|small town]].\n\n== History ==\nIt was founded in {}, before the [[mill]]."
)


def source_of(path, texts, titles=False, **selection):
    with sqlite3.connect(path) as db:
        db.execute("create table t (id integer primary key, title text, body text)")
        named = [(f"The page with the number {i}" if titles else None, text) for i, text in enumerate(texts)]
        db.executemany("insert into t (title, body) values (?, ?)", named)
    return open_source(str(path), "t", Selection(**selection))


REDIRECTS = [
    "#REDIRECT [[Old Harbour]]",
    "#redirect: [[Old Harbour#History]]\n{{R from move}}",
    "#WEITERLEITUNG [[Alter Hafen]]",
    "#REDIRECTION[[Vieux port]]",
    "#перенаправление [[Старая гавань]]",
    "#REDIRECCIÓN [[Puerto viejo]]\n[[Categoría:Puertos]]",
    "#重定向 [[老港]]",
    "#转向 [[老港]] __STATICREDIRECT__",
    "#تغيير_مسار [[مرفأ]]",
    "#अनुप्रेषित [[बंदरगाह]]",
]


@pytest.mark.parametrize("titles", [False, True], ids=["no titles", "titles"])
@pytest.mark.parametrize("pages", [4, 40], ids=["few pages", "many pages"])
def test_pages_that_lead_to_another_one_have_no_text(tmp_path, titles, pages):
    texts = [*REDIRECTS, *(PAGE.format(1200 + i) for i in range(pages))]
    source = source_of(tmp_path / "wiki.db", texts, titles)
    documents = list(source.documents())
    assert len(documents) == pages and not any("#" in text or "REDIR" in text for text in documents)
    assert source.skipped == {"a wiki's redirects to other pages": len(REDIRECTS)}
    assert source.remarks() == ["10 rows are skipped: a wiki's redirects to other pages."]


def test_redirects_are_left_out_with_a_template_too(tmp_path):
    texts = [*REDIRECTS, *(PAGE.format(1200 + i) for i in range(20))]
    source = source_of(tmp_path / "wiki.db", texts, True, template="{{ title }}\\n\\n{{ body }}")
    assert len(list(source.documents())) == 20


def test_lists_at_the_beginning_of_a_page_are_kept(tmp_path):
    texts = ["#First [[mill|the mill]]\n#Then [[harbour|the harbour]]", "# [[Mill]]", "#1 [[Mill]]"]
    source = source_of(tmp_path / "wiki.db", [*texts, *(PAGE.format(1200 + i) for i in range(20))])
    assert len(list(source.documents())) == 23 and not source.skipped


@pytest.mark.parametrize("nothing", ["-", "\u2014", "n/a", "N/A", "none", "[]", "{}"])
def test_what_people_and_programs_write_for_nothing(tmp_path, nothing):
    texts = [*(f"The mill number {i} stands beside the river." for i in range(20)), nothing]
    source = source_of(tmp_path / "form.db", texts)
    assert len(list(source.documents())) == 20
    assert source.skipped == {f"only {nothing!r}": 1}


def test_the_title_in_json_is_read(tmp_path):
    rows = [
        {"title": f"Mill {i}", "text": f"Mill {i}\nIt stands by the river.", "pinned": False}
        for i in range(20)
    ]
    source = source_of(tmp_path / "notes.db", [json.dumps(row) for row in rows])
    assert next(source.documents()) == "Mill 0\n\nIt stands by the river." and source.has_titles
    assert source.read_as_text == ["JSON with titles"]


PAGE_OF_ITS_OWN = (
    "<!DOCTYPE html><html><head><title>{title}{site}</title></head><body><header><h1>{title}</h1></header>"
    "<section>The wheel turns.</section><section><h3>{title}</h3><h4>The wheel turns.</h4>"
    "<p>It stands by the river {i}.</p></section><footer><p>By Ada</p></footer></body></html>"
)


@pytest.mark.parametrize("site", ["", " - The Daily Mill"])
def test_the_title_of_a_page_is_read(tmp_path, site):
    pages = [PAGE_OF_ITS_OWN.format(title=f"Mill {i} &amp; inn", site=site, i=i) for i in range(20)]
    source = source_of(tmp_path / "pages.db", pages)
    assert next(source.documents()) == "Mill 0 & inn\n\nThe wheel turns.\n\nIt stands by the river 0."
    assert source.has_titles and source.read_as_text == ["pages of HTML"]


def test_a_page_without_a_title_keeps_that_of_its_front_matter(tmp_path):
    """Which also goes before the title of the page, as whoever wrote it called the page so."""
    above = "---\ntitle: {}\n---\n"
    pages = [PAGE_OF_ITS_OWN.format(title=f"Mill {i}", site="", i=i) for i in range(20)]
    bare = [
        above.format(f"Harbour {i}") + f"<html><body><p>The tide falls {i}.</p></body></html>"
        for i in range(5)
    ]
    source = source_of(tmp_path / "pages.db", [*bare, *pages, above.format("Another mill") + pages[3]])
    documents = list(source.documents())
    assert documents[0] == "Harbour 0\n\nThe tide falls 0."
    assert documents[5].startswith("Mill 0\n\n") and documents[-1].startswith("Another mill\n\n")


def test_the_name_of_a_website_is_no_title(tmp_path):
    page = "<html><head><title>The Daily Mill</title></head><body><p>It stands by the river {}.</p></body>"
    source = source_of(tmp_path / "pages.db", [page.format(i) for i in range(20)])
    assert next(source.documents()) == "It stands by the river 0." and not source.has_titles


@pytest.mark.parametrize("titled", [False, True])
def test_a_template_is_told_for_json_without_titles_alone(tmp_path, titled):
    """A template has no title of what is in a column."""
    rows = [{"text": f"Mill {i} stands there.\n\nAll rights are reserved."} for i in range(40)]
    rows = [row | ({"title": f"The mill {i}"} if titled else {}) for i, row in enumerate(rows)]
    source = source_of(tmp_path / "notes.db", [json.dumps(row) for row in rows])
    (told,) = repeated_lines(source, source.read_sample()[0])
    assert ("--template" in told) == (not titled)


def test_json_is_read_where_the_text_is_empty(tmp_path):
    """Checklists, and the same text once more where a newer version of a program has it alone."""
    says = "The mill number {} stands beside the river, and its wheel has not turned for many years."
    lists = [json.dumps([{"text": "bread", "done": 1}, {"text": f"milk {i}", "done": 0}]) for i in range(10)]
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table t (id integer primary key, body text, items text)")
        rows = [("", lists[i // 3]) if i % 3 == 0 else (says.format(i), None) for i in range(30)]
        db.executemany("insert into t (body, items) values (?, ?)", rows)
        db.execute("create table u (id integer primary key, body text, rich text)")
        blocks = [json.dumps({"contents": [{"text": says.format(i)}]}) for i in range(100)]
        db.executemany(
            "insert into u (body, rich) values (?, ?)",
            [(says.format(i) if i % 40 else None, blocks[i]) for i in range(100)],
        )
    source = open_source(path, "t")
    assert list(source.documents())[:2] == ["bread\nmilk 0", says.format(1)]
    again = open_source(path, "u")
    assert list(again.documents()) == [says.format(i) for i in range(100)]


def test_what_evernote_encrypted_is_left_out():
    note = "<en-note><div>Before</div><en-crypt hint='x'>RU5DMIkxjdY7a8Sd+q9f</en-crypt>After</en-note>"
    assert html_to_text(note).split() == ["Before", "After"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "<!-- Thanks for filing an issue!\nFill this in. -->\r\n\r\n### Steps\n\nNone.",
            "### Steps\n\nNone.",
        ),
        ("# A\n\n<!-- one -->\n\nText\n<!-- two -->\nmore", "# A\n\nText\nmore"),
        ('[plan](a.pdf)<!-- {"embed":"true"} --> and that', "[plan](a.pdf) and that"),
        ('text = "<!-- {} -->".format(x)', None),
        ("Write `<!-- like this -->` in it", None),
        ("```html\n<!-- kept -->\n```\nText\n<!-- gone -->", "```html\n<!-- kept -->\n```\nText"),
        ("Code:\n\n    <!-- kept -->\n", None),
        ("One\n<!-- a -->\n\ntwo\n\n\nthree", "One\n\ntwo\n\n\nthree"),
        ("An arrow --> and <!-- no end", None),
    ],
)
def test_comments_of_markdown_are_left_out(text, left):
    assert without_comments(text.replace("\r", "")) == (text if left is None else left)


def test_comments_are_found_in_a_column_of_markdown(tmp_path):
    texts = [
        f"{'<!-- a template -->' * (i % 6 == 0)}\n\n### Steps {i}\n\n- It was *quiet*." for i in range(30)
    ]
    source = source_of(tmp_path / "issues.db", [*texts, "<!-- a template -->"])
    assert not any("<!--" in text for text in source.documents()) and source.skipped == {"no text": 1}


def test_comments_above_plain_text_are_left_out(tmp_path):
    texts = [f"{'<!-- a template -->' * (i % 6 == 0)}\n\nIt was quiet on day {i}." for i in range(30)]
    assert not any("<!--" in text for text in source_of(tmp_path / "a.db", texts).documents())
    texts = [f"On day {i} there was <!-- in it." + " Then came -->" * (i % 6 == 0) for i in range(30)]
    assert sum("-->" in text for text in source_of(tmp_path / "b.db", texts).documents()) == 5


def test_comments_without_end_take_no_time():
    began = time.perf_counter()
    without_comments("<!-- --> " + "<!-- " * 20_000)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("![image](https://user-images.example.org/1.png)", True),
        ('\n![a b](x.png "A title")\n\n![[photo.jpg]]\n', True),
        ("[![badge](https://x.org/b.svg)](https://x.org)", True),
        ("![image](https://x.org/1.png) Look!", False),
        ("[a link](https://x.org)", False),
        ("", False),
    ],
)
def test_pictures_alone_are_no_text(text, alone):
    assert are_pictures(text) == alone


def test_a_row_with_a_picture_alone_is_skipped(tmp_path):
    texts = [f"### Steps {i}\n\n- It was *quiet*." for i in range(30)]
    source = source_of(tmp_path / "issues.db", [*texts, "![image](https://x.org/1.png)"])
    assert len(list(source.documents())) == 30 and source.skipped == {"no text": 1}


def test_pictures_in_the_store_of_bear_are_left_out():
    texts = ["Look: [image:3F2B5C1E-AAAA-4000/IMG_448.jpg]\nat it", "[file:3F2B5C1E/a plan.pdf]"]
    name = find_markup(texts)
    assert [read_markup(name, text) for text in texts] == ["Look: \nat it", ""]
    assert find_markup(["See [image: the mill]", "and [file: x]"]) == ""


def test_a_table_whose_rows_have_no_text_is_refused_before_anything_else(tmp_path):
    """It was said twice, once in the preview and once after torch was loaded."""
    path = tmp_path / "empty.db"
    with sqlite3.connect(path) as db:
        db.execute("create table note (id integer primary key, body text)")
        db.executemany("insert into note (body) values (?)", [["  "] for _ in range(9)])
    for more in ([], ["--dry-run"]):
        done = CliRunner().invoke(train_command, [str(path), "note", "--body", "body", *more])
        assert done.exit_code == 2 and done.output.count("text") < 5, done.output
        assert "None of the rows of note has any text. 9 rows are skipped: no text." in done.output
        assert "Choose other columns" in done.output and "loading torch" not in done.output
        assert "The rows of note" not in done.output
