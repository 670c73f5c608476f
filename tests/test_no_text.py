"""What stands in a column of text and is none: redirects of a wiki, encrypted parts, comments, pictures."""

import sqlite3

import pytest

from datasette_nanogpt.data.html import html_to_text
from datasette_nanogpt.data.open_source import open_source
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


def test_what_evernote_encrypted_is_left_out():
    note = "<en-note><div>Before</div><en-crypt hint='x'>RU5DMIkxjdY7a8Sd+q9f</en-crypt>After</en-note>"
    assert html_to_text(note).split() == ["Before", "After"]
