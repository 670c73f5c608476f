"""Which columns are read: names propose, what is in them decides."""

import base64
import gzip
import hashlib
import random
import sqlite3
import subprocess
import sys
import unicodedata
import uuid
import zlib
from pathlib import Path

import pytest
from conftest import convert_as_told
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from datasette_nanogpt.data.column_content import columns_of
from datasette_nanogpt.data.column_names import words_of
from datasette_nanogpt.data.columns import NoTextError, choose_columns
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.sample import BLOCKS, SAMPLE_ROWS, Relation, read_sample
from datasette_nanogpt.data.shapes import shape_of
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.sqlite import connect

PROSE = [
    "Early in the morning the harbour was quiet, and nobody had seen the boat leave.",
    "The letter came a week late; by then everyone knew what it would say.",
    "What remains of the mill stands beside the river, roofless and full of swallows.",
    "She counted the steps to the door, as she had done every evening that winter.",
]
TITLES = [
    "The harbour",
    "A late letter",
    "What is left",
    "Every evening",
    "On counting",
    "Rivers",
    "Old mills",
]
N = 40


def prose(i: int) -> str:
    return f"{PROSE[i % 4]} {PROSE[(i + i // 4) % 4]} Number {i} of them."


def title(i: int) -> str:
    return f"{TITLES[i % 7]} {'again ' * (i // 7)}".strip()


@pytest.fixture
def make(tmp_path):
    """make({"column": values, …}) writes a table `posts` with these columns, and returns its path."""

    def write(columns, table="posts", types=""):
        path = str(tmp_path / "any.db")
        db = sqlite3.connect(path)
        with db:
            names = ", ".join(f'"{name}" {types}' for name in columns)
            db.execute(f'drop table if exists "{table}"')
            db.execute(f'create table "{table}" ({names})')
            marks = ", ".join("?" * len(columns))
            db.executemany(f'insert into "{table}" values ({marks})', zip(*columns.values(), strict=True))
        db.close()
        return path

    return write


title_of = title


def rows(function, count=N):
    return [function(i) for i in range(count)]


@pytest.mark.parametrize(
    ("columns", "row", "title", "body"),
    [
        ("Headline, BODY, text", ("h", "b" * 20, "t" * 30), "Headline", "BODY"),
        ("name, notes, lang", ("n", "some words", "en"), "name", "notes"),
        ("name", ("n",), None, "name"),
        ("id integer primary key, line", (1, "words"), None, "line"),
        ("url, data, description", ("http://x.org/" * 9, '{"a": 1}' * 9, "words"), None, "description"),
        ("word text unique, meaning", ("w", "long meaning"), "word", "meaning"),
        ("a text unique, b text unique, c", ("a", "b", "long"), None, "c"),
        ("name, content, readme", ("n", b"\0\1", "words"), "name", "readme"),
        ("title, body", ("t", 12), None, "title"),
        (
            "post_title, postContent, post_excerpt",
            ("A day", "so many words " * 9, ""),
            "post_title",
            "postContent",
        ),
        ("'Subject Line', fullText", ("A day", "so many words"), "Subject Line", "fullText"),
        ("PostTitle, 'post-body'", ("A day", "so many words"), "PostTitle", "post-body"),
        ("heading, body_text", ("A day", "so many words"), "heading", "body_text"),
        ("author_name, text", ("Jane Doe", "so many words"), None, "text"),
        ("pos, headword, gloss", ("noun", "swallow", "a small bird"), "headword", "gloss"),
        (
            "place_guess, species_guess, description",
            ("Oslo", "Red fox", "so many words"),
            "species_guess",
            "description",
        ),
        ("alt_text, article", ("a boat", "so many words " * 9), None, "article"),
        ("content_type, text_color, body_md", ("text/html", "red", "so many words"), None, "body_md"),
    ],
)
def test_columns_are_found(tmp_path, columns, row, title, body):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table t ({columns})")
        db.execute(f"insert into t values ({','.join('?' * len(row))})", row)
    found = open_source(path, "t")
    assert (found.title, found.body) == (title, (body,))


@pytest.mark.parametrize(
    ("others", "title", "body"),
    [
        (["product_title"], "review_headline", "review_body"),
        (["Product Name"], "Review Title", "Review Text"),
        (["product_title", "title"], "title", "review_body"),  # the row's own
    ],
)
def test_a_title_that_is_named_like_the_text_is_its_own(make, others, title, body):
    names = dict.fromkeys([*others, title])
    path = make({name: rows(title_of) for name in names} | {body: rows(prose)}, "t")
    found = open_source(path, "t")
    assert (found.title, found.body) == (title, (body,))


def test_a_name_belongs_to_the_table(make):
    path = make({"recipe_name": rows(title), "steps": rows(prose)}, "recipes")
    assert open_source(path, "recipes").title == "recipe_name"
    path = make({"user_name": rows(title), "steps": rows(prose)}, "recipes")
    assert open_source(path, "recipes").title is None
    for name, title_column in (("Nombre de la receta", "Nombre de la receta"), ("nombre_usuario", None)):
        path = make({name: rows(title), "pasos": rows(prose)}, "recetas")
        assert open_source(path, "recetas").title == title_column


def test_short_codes_are_no_titles(make):
    path = make({"código": rows(lambda i: f"B-{i}"), "descripción": rows(prose)})
    assert open_source(path, "posts").title is None


@pytest.mark.parametrize(
    "name", ["postTitle", "post_title", "PostTitle", "POST_TITLE", "post-title", "Post title"]
)
def test_words_of_names(name):
    assert words_of(name) == ("post", "title")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("introtext", ("intro", "text")),
        ("FullText", ("full", "text")),
        ("Beitragstext", ("beitrags", "text")),
        ("brødtekst_no", ("brod", "tekst", "no")),
        ("context", ("context",)),
        ("text", ("text",)),
        ("texture_file", ("texture", "file")),
    ],
)
def test_names_that_are_joined(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("names", "title", "body"),
    [
        ("标题 作者 内容", "标题", "内容"),
        ("temat autor tresc", "temat", "tresc"),
        ("文章标题 新闻正文", "文章标题", "新闻正文"),
        ("標題 內文", "標題", "內文"),
        ("タイトル 本文", "タイトル", "本文"),
        ("記事タイトル 記事本文", "記事タイトル", "記事本文"),
        ("제목 내용", "제목", "내용"),
        ("기사제목 기사내용", "기사제목", "기사내용"),
        ("titre texte", "titre", "texte"),
        ("TitreArticle contenu_article", "TitreArticle", "contenu_article"),
        ("título cuerpo", "título", "cuerpo"),
        ("titulo contenido", "titulo", "contenido"),
        ("titolo testo", "titolo", "testo"),
        ("Überschrift Inhalt", "Überschrift", "Inhalt"),
        ("BetreffZeile Volltext", "BetreffZeile", "Volltext"),
        ("tytuł treść", "tytuł", "treść"),
        ("BAŞLIK içerik", "BAŞLIK", "içerik"),
        ("заголовок текст", "заголовок", "текст"),
        ("ЗаголовокСтатьи ТекстСтатьи", "ЗаголовокСтатьи", "ТекстСтатьи"),
        ("عنوان نص", "عنوان", "نص"),
        ("שם כותרת תוכן", "כותרת", "תוכן"),
        ("शीर्षक पाठ", "शीर्षक", "पाठ"),
        ("หัวข้อ เนื้อหา", "หัวข้อ", "เนื้อหา"),
        ("tiêu_đề nội_dung", "tiêu_đề", "nội_dung"),
        ("judul isi", "judul", "isi"),
        ("ZTITLE1 ZTEXT", "ZTITLE1", "ZTEXT"),
        ("song_name lyrics", "song_name", "lyrics"),
        ("strTitle txtBody", "strTitle", "txtBody"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_other_languages(make, names, title, body, form):
    """The other columns have text, too: half as much, and a title of nothing in particular."""
    names, title, body = (unicodedata.normalize(form, text) for text in (names, title, body))
    values = {"aaa": rows(lambda i: prose(i)[:30]), "bbb": rows(lambda i: prose(i + 1)[:60])}
    for name in names.split():
        values[name] = rows(title_of if name == title else prose if name == body else lambda i: f"P. {i}")
    found = open_source(make(values), "posts")
    assert (found.title, found.body) == (title, (body,))


# ---- What is empty is no body


@pytest.mark.parametrize(
    "content",
    [
        lambda i: None,
        lambda i: "",
        lambda i: "  \n",
        lambda i: "More" if i % 9 == 0 else "",
        lambda i: "Read more…",
        lambda i: prose(i) if i == 3 else None,
        lambda i: b"",
    ],
)
@pytest.mark.parametrize("name", ["content", "body", "text"])
def test_an_empty_column_is_no_body(make, name, content):
    path = make({"title": rows(title), name: rows(content), "summary": rows(prose)})
    found = open_source(path, "posts")
    assert (found.title, found.body) == ("title", ("summary",))
    assert name in found.left_out


def test_rows_from_all_over_the_table_decide(make):
    late = [None] * 5000 + rows(prose, 45_000)
    early = rows(prose, 400) + [None] * 49_600
    path = make({"text": early, "late": late})
    assert open_source(path, "posts").body == ("late",)
    with sqlite3.connect(path) as db:
        db.execute("create view v as select * from posts")
        db.execute("create table w (k integer primary key, text, late) without rowid")
        db.execute("insert into w select rowid, * from posts")
    assert open_source(path, "v").body == open_source(path, "w").body == ("late",)
    assert open_source(path, "posts", Selection(where="rowid > 2")).body == ("late",)


def test_a_sample_is_bounded_and_spread(make):
    path = make({"text": rows(str, 100_000)})
    with sqlite3.connect(path) as db:
        db.execute("insert into posts (rowid, text) values (?, 'far')", [2**62])
    for table in ("posts", "v"):
        with connect(Path(path)) as db:
            steps = []
            db.set_progress_handler(lambda: steps.append(1), 1000)  # noqa: B023
            relation = Relation(
                table, "it", ("text",), "posts", path, 100_001, "rowid" if table == "posts" else None
            )
            values = read_sample(db, relation)["text"]
        assert len(values) == SAMPLE_ROWS
        places = {int(value) // (100_000 // BLOCKS) for value in values if value != "far"}
        assert len(places) >= BLOCKS - 1
    path = make({"text": rows(str, 1000)})
    with connect(Path(path)) as db:
        assert (
            len(read_sample(db, Relation("posts", "it", ("text",), "posts", path, 1000, "rowid"))["text"])
            == 200
        )


# ---- A title is words

KEYS = {
    "UUIDs": lambda i: str(uuid.UUID(int=i * 77777777777777777)),
    "hexadecimal": lambda i: hashlib.sha1(str(i).encode()).hexdigest(),
    "URLs": lambda i: f"https://example.org/posts/{i}?q=a",
    "dates": lambda i: f"2020-01-{i % 28 + 1:02d}T10:00:00+00:00",
    "numbers": lambda i: str(1000 + i),
    "file paths": lambda i: f"posts/2020/{i:03d}-hello.md",
    "file names": lambda i: f"My holiday {i}.txt",
    "e-mail addresses": lambda i: f"reader{i}@example.org",
    "keys": lambda i: f"msg_01J{i:05d}XYZabc",
    "JSON": lambda i: f'{{"id": {i}}}',
    "the same in most rows": lambda i: "Untitled" if i % 3 else title(i),
    "few different values": lambda i: "Ada" if i % 20 < 11 else "Ben",
    "few different values, as even as can be": lambda i: ("Mr", "Mrs", "Dr")[i % 3],
    "the same in most rows, as good as": lambda i: "Ada" if i % 20 else "Ben",
    "empty": lambda i: None,
}


@pytest.mark.parametrize("why", KEYS)
@pytest.mark.parametrize("name", ["title", "subject", "id"])
def test_a_title_is_words(make, name, why):
    values = rows(KEYS[why])
    path = make(
        {name: values, "body": rows(prose)}, types="unique" if name == "id" and len(set(values)) == N else ""
    )
    found = open_source(path, "posts")
    assert (found.title, found.body) == (None, ("body",))
    assert found.left_out[name] == why.partition(", as")[0]


def test_the_title_that_has_values_is_chosen(make):
    path = make({"title": rows(lambda i: None), "headline": rows(title), "body": rows(prose)})
    assert open_source(path, "posts").title == "headline"
    path = make({"title": rows(KEYS["UUIDs"]), "post_title": rows(title), "body": rows(prose)})
    assert open_source(path, "posts").title == "post_title"


@pytest.mark.parametrize(
    "words",
    [
        "红楼梦",
        "Überall",
        "Mr. Smith goes home",
        "1984 and after",
        "सत्य",
        "It's 10:30!",
        "O'Brien",
        "t7",
        "[00:12] Jane: good morning",
        "[1] A note at the foot",
        "[12:30:05] Jane joined [the call]",
        '{"Quoted" words in braces',
    ],
)
def test_words_have_no_shape(words):
    assert shape_of(words) == ""


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Mon, 24 Sep 2012 03:35:21 +0000", "dates"),
        ("Sep 24, 2012 at 3:35 PM", "dates"),
        ("24.09.2012", "dates"),
        ("$1,200.50", "numbers"),
        ("+1 (555) 010-9999", "numbers"),
        ("Jane Doe <jane@example.org>", "e-mail addresses"),
        ("www.example.org/a", "URLs"),
        ("urn:isbn:0451450523", "URLs"),
        ("https://a.org/1 https://a.org/2", "URLs"),
        ("C:\\Users\\me\\a.doc", "file paths"),
        ("Notes/My long day.md", "file paths"),
        ("0xDEADBEEF00", "hexadecimal"),
        ("dQw4w9WgXcQ", "keys"),
        ("PROJ-123", "keys"),
        ("ACGT" * 5000, "long codes"),
        ("[1, 2]", "JSON"),
        ("[]", "JSON"),
        ("[12]", "JSON"),
        ('{"a": [1, "b"]}', "JSON"),
        ('["' + "word " * 900, "JSON"),
        ("{}", "JSON"),
    ],
)
def test_values_that_are_not_words_are_told_by_their_shape(text, shape):
    assert shape_of(text) == shape


# ---- Several columns


@pytest.mark.parametrize(
    ("names", "together"),
    [
        (("question", "answer"), ("question", "answer")),
        (("Answer", "Question"), ("Question", "Answer")),
        (("back", "front"), ("front", "back")),
        (("card_front", "card_back"), ("card_front", "card_back")),
        (("instruction", "output", "input"), ("instruction", "input", "output")),
        (("intro", "body"), ("intro", "body")),
        (("content", "summary"), ("summary", "content")),
        (("body", "extended"), ("body", "extended")),
        (("headline", "standfirst", "body"), ("standfirst", "body")),
        (("answers", "context", "question"), ("context", "question", "answers")),
        (("completion", "prompt"), ("prompt", "completion")),
        (("lyrics", "artist"), ("artist", "lyrics")),
        (("assistant", "user"), ("user", "assistant")),
        (("directions", "ingredients"), ("ingredients", "directions")),
        (("recipeInstructions", "recipeIngredient"), ("recipeIngredient", "recipeInstructions")),
        (("method", "ingredients"), ("ingredients", "method")),
        (("zubereitung", "zutaten"), ("zutaten", "zubereitung")),
        (("preparación", "ingredientes"), ("ingredientes", "preparación")),
        (("modo_preparo", "ingredientes"), ("ingredientes", "modo_preparo")),
        (("préparation", "ingrédients", "description"), ("description", "ingrédients", "préparation")),
        (("procedimento", "ingredienti"), ("ingredienti", "procedimento")),
        (("bereidingswijze", "ingrediënten"), ("ingrediënten", "bereidingswijze")),
        (("fremgangsmåte", "ingredienser"), ("ingredienser", "fremgangsmåte")),
        (("sposób_przygotowania", "składniki"), ("składniki", "sposób_przygotowania")),
        (("приготовление", "ингредиенты"), ("ингредиенты", "приготовление")),
        (("hazırlanışı", "malzemeler"), ("malzemeler", "hazırlanışı")),
        (("作り方", "材料"), ("材料", "作り方")),
        (("做法", "食材"), ("食材", "做法")),
        (("طريقة_التحضير", "المكونات"), ("المكونات", "طريقة_التحضير")),
        (("विधि", "सामग्री"), ("सामग्री", "विधि")),
        (("วิธีทำ", "ส่วนผสม"), ("ส่วนผสม", "วิธีทำ")),
        (("回答", "问题"), ("问题", "回答")),
        (("a", "q"), ("q", "a")),
        (("closing", "body", "salutation"), ("salutation", "body", "closing")),
        (
            ("question", "option_a", "option_b", "explanation"),
            ("question", "option_a", "option_b", "explanation"),
        ),
        (("msgstr", "msgid"), ("msgid", "msgstr")),
        (("tgt", "src"), ("src", "tgt")),
        (("review_text", "reply"), ("review_text", "reply")),
        (("fulltext", "introtext"), ("introtext", "fulltext")),  # Joomla
        (("haupttext", "introtext"), ("introtext", "haupttext")),
        (("sql", "question"), ("question", "sql")),
        (("weaknesses", "summary", "strengths"), ("summary", "strengths", "weaknesses")),
        (("negative_remark", "positive_remark"), ("positive_remark", "negative_remark")),
        (("treść", "streszczenie"), ("streszczenie", "treść")),
        (("leipäteksti", "ingressi"), ("ingressi", "leipäteksti")),
        (("текст", "анонс"), ("анонс", "текст")),
        (("meaning", "proverb"), ("proverb", "meaning")),
        (("example", "gloss", "phrase"), ("phrase", "gloss", "example")),
        (("Site answer (HTML)", "Site question (HTML)"), ("Site question (HTML)", "Site answer (HTML)")),
    ],
)
def test_columns_that_go_together(make, names, together):
    path = make(
        {name: rows(lambda i, k=k: prose(i * 7 + k)) for k, name in enumerate(names)} | {"title": rows(title)}
    )
    found = open_source(path, "posts")
    assert (found.title, found.body) == ("title", together)


def test_a_question_goes_with_the_text_that_it_is_about(make):
    """As in SQuAD: the context is by far the longest, and the answers are JSON."""
    path = make(
        {
            "id": rows(KEYS["keys"]),
            "title": rows(title),
            "context": rows(lambda i: prose(i) * 9),
            "question": rows(lambda i: f"What stands beside river {i}?"),
            "answers": rows(lambda i: f'{{"text": ["the mill of number {i}"], "answer_start": [{i}]}}'),
        }
    )
    found = open_source(path, "posts")
    assert (found.title, found.body) == ("title", ("context", "question", "answers"))
    assert next(found.documents()).endswith("\n\nWhat stands beside river 0?\n\nthe mill of number 0")


def test_a_part_that_says_the_title_again_is_no_text(make):
    """As the summaries of an export of books: the title, the author and the year."""
    columns = {"title": rows(title), "body": rows(prose)}
    again = rows(lambda i: f"{title(i)} by Ann ({i})")
    assert open_source(make(columns | {"summary": again}), "posts").body == ("body",)
    longer = rows(lambda i: f"{title(i)}: of this book there is much more to be said than of any other, {i}.")
    assert open_source(make(columns | {"summary": longer}), "posts").body == ("summary", "body")


def test_what_few_long_texts_go_on_with_is_read(make):
    more = rows(lambda i: prose(i + 3) if i % 5 == 0 else None)
    path = make({"entry_text": rows(prose), "entry_text_more": more})
    assert open_source(path, "posts").body == ("entry_text", "entry_text_more")
    path = make({"entry_text": rows(prose), "more": rows(lambda i: "a word" if i % 5 == 0 else None)})
    assert open_source(path, "posts").body == ("entry_text",)


def test_each_kind_of_post_has_a_column_of_its_own(make):
    """A quotation is much shorter than the other posts, and is named like the text."""
    columns = ("body", "caption", "text")
    path = make(
        {
            name: rows(lambda i, k=k: [prose(i), prose(i) * 2, "To be or not"][k] * (i % 3 == k))
            for k, name in enumerate(columns)
        }
    )
    found = open_source(path, "posts")
    assert set(found.body) == set(columns) and len(list(found.documents())) == found.row_count


def test_what_is_the_same_in_most_rows_does_not_go_with_the_text(make):
    path = make({"summary": rows(lambda i: "incoming"), "body": rows(prose)})
    assert open_source(path, "posts").body == ("body",)


def test_one_line_before_the_text_is_its_title(make):
    path = make({"summary": rows(title), "description": rows(prose), "status": rows(lambda i: "open")})
    found = open_source(path, "posts")
    assert (found.title, found.body) == ("summary", ("description",))
    path = make({"summary": rows(lambda i: prose(i + 2)), "description": rows(lambda i: prose(i) * 2)})
    found = open_source(path, "posts")
    assert (found.title, found.body) == (None, ("summary", "description"))


@pytest.mark.parametrize("prefix", ["fields_", "issue.", ""])
def test_one_line_is_the_title_also_below_a_prefix(make, prefix):
    path = make({f"{prefix}summary": rows(title), f"{prefix}description": rows(prose)}, "posts")
    found = open_source(path, "posts")
    assert (found.title, found.body) == (f"{prefix}summary", (f"{prefix}description",))


def test_other_columns_of_one_line_that_are_titles(make):
    path = make({"Short Summary": rows(title), "Detailed Description": rows(prose)})
    assert open_source(path, "posts").title == "Short Summary"
    path = make(
        {"summary": rows(lambda i: f"<p>{title(i)}.</p>"), "content": rows(lambda i: f"<p>{prose(i)}</p>")}
    )
    found = open_source(path, "posts")
    assert (found.title, found.body) == (None, ("summary", "content"))
    path = make(
        {
            "章节名": rows(lambda i: f"第{i}章 老磨坊{i}"),
            "内容": rows(lambda i: f"后来孩子们放学回来{i}。" * 9),
        }
    )
    assert open_source(path, "posts").title == "章节名"


def test_what_is_said_of_a_task_is_not_its_title(make):
    """What has to be done is shorter than what some tasks say more of it."""
    path = make({"content": rows(title), "description": rows(lambda i: prose(i) if i % 3 == 0 else "")})
    found = open_source(path, "posts")
    assert found.title != "description" and "content" in (found.title, *found.body)


@pytest.mark.parametrize("of", [str, lambda text: f" {text} "])
def test_no_text_that_says_so_by_the_name_of_its_column(make, of):
    columns = {
        "Negative_Review": rows(lambda i: of("No Negative") if i % 4 == 0 else prose(i)),
        "Positive_Review": rows(lambda i: of("No Positive") if i % 5 == 0 else prose(i + 2)),
    }
    found = open_source(make(columns), "posts")
    documents = list(found.documents())
    assert found.body == ("Positive_Review", "Negative_Review")
    assert not any("No Negative" in text or "No Positive" in text for text in documents)
    assert len(documents) == N - N // 20 and found.skipped == {"no text": N // 20}
    kept = {"body": rows(lambda i: "No body" if i == 3 else prose(i))}  # once, it may be an answer
    assert "No body" in list(open_source(make(kept), "posts").documents())


def test_what_says_the_title_again_is_called_so(make):
    columns = {"title": rows(title), "fancy_title": rows(title), "body": rows(prose)}
    columns["slug"] = rows(lambda i: title(i).lower().replace(" ", "-"))
    found = open_source(make(columns), "posts")
    assert (found.left_out["fancy_title"], found.left_out["slug"]) == ("also in title", "also in title")


def test_a_summary_is_the_title_beside_texts_that_go_together(make):
    path = make(
        {
            "summary": rows(title),
            "description": rows(prose),
            "steps_to_reproduce": rows(lambda i: f"1. {prose(i + 2)}\n2. Again"),
        }
    )
    found = open_source(path, "posts")
    assert (found.title, found.body) == ("summary", ("description", "steps_to_reproduce"))


@pytest.mark.parametrize(
    "names",
    [
        ("What did you like most about it?", "What could be better?", "Any other comments for us?"),
        ("fr", "en", "de"),
        ("Latin", "English"),
        ("text1", "text2"),
        ("q12_text", "q7_text", "q40_text"),
        ("q1_a", "q1_b"),
        ("paragraph_a", "paragraph_b", "paragraph_c"),
        ("Greek text", "Latin text"),
        ("nld", "slk"),
        ("first_stanza", "second_stanza", "third_stanza"),
    ],
)
def test_columns_that_are_all_alike_are_read_in_the_order_of_the_table(make, names):
    values = {name: rows(lambda i, k=k: prose(i * 5 + k)[: 60 + 5 * k]) for k, name in enumerate(names)}
    assert open_source(make(values | {"place": rows(lambda i: "here")}), "posts").body == names


@pytest.mark.parametrize(
    ("heading", "again"),
    [
        (lambda i: f"# {title(i)}\n\n", True),
        (lambda i: f"<h1>{title(i).upper()}</h1>\n", True),
        (lambda i: f"# {title(i)}\n" if i % 3 else "", True),
        (lambda i: f"{title(i)}\n", False),  # as of a poem
        (lambda i: f"{title(i)}\n\n", True),
        (lambda i: f"<p>{title(i)}</p>", True),
        (lambda i: f"# Chapter {i}\n\n", False),
    ],
)
def test_a_heading_that_says_the_title_again_is_left_out(make, heading, again):
    tag = "<p>" if "<" in heading(1) else ""
    path = make({"title": rows(title), "body": rows(lambda i: f"{heading(i)}{tag}{prose(i)}")})
    found = open_source(path, "posts")
    assert found.kinds["body"].title_again == again
    first = list(found.documents())[1]
    assert (first == f"{title(1)}\n\n{prose(1)}") == again and prose(1) in first


def test_why_a_longer_column_is_not_read(make):
    path = make({"text": rows(prose), "notes": rows(lambda i: prose(i + 1) * 3)})
    assert open_source(path, "posts").left_out == {"notes": "not named like the text"}
    assert open_source(path, "posts", Selection(body=["text"])).left_out == {"notes": "not asked for"}


# ---- The same text twice


def as_html(i):
    return f"<p>{prose(i).replace('quiet', '<em>quiet</em>')}</p>\n<ul><li>One</li><li>Two</li></ul>"


def as_markdown(i):
    return f"{prose(i).replace('quiet', '*quiet*')}\n\n- One\n- Two\n"


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("html", "markdown"),
        ("body_html", "body"),
        ("body", "body_md"),
        ("cooked", "raw"),
        ("content", "content_text"),
        ("rendered", "source"),
    ],
)
def test_of_the_same_text_the_one_without_html_is_read(make, html, plain):
    path = make({"title": rows(title), html: rows(as_html), plain: rows(as_markdown)})
    found = open_source(path, "posts")
    assert found.body == (plain,) and found.left_out == {html: f"also in {plain}"}
    assert open_source(path, "posts", Selection(body=[html])).body == (html,)


@pytest.mark.parametrize(
    ("short", "long"),
    [("text", "full_text"), ("content", "content_full"), ("body", "story"), ("message", "raw")],
)
def test_the_beginning_of_a_text_is_not_the_text(make, short, long):
    whole = rows(lambda i: f"{prose(i)} {prose(i + 1)} {prose(i + 2)}")
    cut = [text if i % 5 == 0 else text[:117] + "… [more]" for i, text in enumerate(whole)]
    found = open_source(make({short: cut, long: whole}), "posts")
    assert found.body == (long,) and found.left_out == {short: f"also in {long}"}
    names = {short: rows(prose), long: rows(lambda i: f"He wrote: {prose(i)} {prose(i + 1)} {prose(i + 2)}")}
    assert open_source(make(names), "posts").body == (short,)  # a thread with the message in it


def test_encoded_subjects_are_words(make):
    encoded = rows(lambda i: f"=?utf-8?B?{base64.b64encode(f'{title(i)} — café'.encode()).decode()}?=")
    found = open_source(make({"subject": encoded, "body": rows(prose)}), "posts")
    assert found.title == "subject"
    assert next(found.documents()).startswith(f"{title(0)} — café\n")


def test_html_is_read_where_the_other_is_only_its_beginning(make):
    path = make({"html": rows(lambda i: as_html(i) * 4), "excerpt": rows(prose), "text": rows(title)})
    assert open_source(path, "posts").body == ("html",)


def test_a_short_question_goes_with_a_long_answer(make):
    path = make({"question": rows(title), "answer": rows(lambda i: f"{prose(i)}\n\n" * 30)})
    assert open_source(path, "posts").body == ("question", "answer")


@pytest.mark.parametrize("name", ["ai_summary", "summary_gpt", "AutoSummary", "generated_abstract"])
def test_a_summary_by_a_program_is_left_out(make, name):
    summary = rows(lambda i: f"The article is about {title(i)} and {title(i + 1)}, and about what they mean.")
    values = {name: summary, "article": rows(prose)}
    assert open_source(make(values), "posts").body == ("article",)
    assert open_source(make({name: values[name]}), "posts").body == (name,)


def long_prose(i):
    return " ".join(prose(i + j * 7) for j in range(4))


@pytest.mark.parametrize("name", ["excerpt", "summary", "intro"])
def test_a_beginning_is_not_taken_for_the_whole(make, name):
    """Beside a longer text the whole of a shorter one is read, and not a column of its beginnings."""
    other = [f"Page {i}. {long_prose(i)} {long_prose(i)}"[::-1] for i in range(N)]
    whole = rows(long_prose)
    path = make({"title": rows(title), "description": whole, name: [t[:80] for t in whole], "page": other})
    found = open_source(path, "posts")
    assert found.body == ("description", "page")
    assert found.left_out[name] == "also in description"


def test_a_longer_text_is_not_called_a_copy_of_its_beginning(make):
    whole = rows(long_prose)
    path = make({"whole": whole, "text": [text[:80] for text in whole], "drafts": [t[:150] for t in whole]})
    found = open_source(path, "posts", Selection(body=["text"]))
    assert found.left_out == {"whole": "not asked for", "drafts": "not asked for"}
    assert open_source(path, "posts").left_out == {"text": "also in whole", "drafts": "also in whole"}


def test_texts_that_only_begin_alike_are_not_called_copies(make):
    start = "Dear reader of this long and faithful chronicle of ours, "
    first = [f"{start}{long_prose(i)}" for i in range(N)]
    second = [f"{start}{long_prose(i + 1000)[::-1]}" for i in range(N)]
    found = open_source(make({"text": first, "remark": second}), "posts", Selection(body=["text"]))
    assert found.left_out == {"remark": "less text"}


def test_a_teaser_is_not_read_where_the_text_is_missing(make):
    """It is not the text of these rows."""
    whole = rows(long_prose)
    texts = [text if i % 3 else None for i, text in enumerate(whole)]
    found = open_source(make({"text": texts, "teaser": [text[:90] for text in whole]}), "posts")
    assert found.body == ("text",)


def test_a_page_in_html_is_read_where_its_plain_text_is_missing(make):
    whole = rows(long_prose)
    plain = [text if i % 5 else None for i, text in enumerate(whole)]
    path = make({"plain_body": plain, "html_body": [f"<div><p>{text}</p></div>" for text in whole]})
    source = open_source(path, "posts")
    assert source.body == ("plain_body", "html_body")
    assert [document.strip() for document in source.documents()] == whole


def test_a_summary_that_says_the_same_is_left_out(make):
    path = make(
        {"summary": rows(lambda i: prose(i)[:70] + "…"), "content": rows(lambda i: f"<p>{prose(i)}</p>")}
    )
    found = open_source(path, "posts")
    assert found.body == ("content",) and found.left_out == {"summary": "also in content"}
    path = make({"question": rows(prose), "answer": rows(lambda i: None)})
    assert open_source(path, "posts").body == ("question",)


# ---- Bytes


def test_text_in_blobs(make):
    path = make(
        {"path": rows(lambda i: f"a/{i}.md"), "content": rows(lambda i: prose(i).encode()), "size": rows(int)}
    )
    found = open_source(path, "posts")
    assert (found.title, found.body) == (None, ("content",))
    assert list(found.documents())[0] == prose(0) and not found.skipped


PACKED = {
    "zlib": lambda text: zlib.compress(text),
    "gzip": lambda text: gzip.compress(text),
}


@pytest.mark.parametrize("how", PACKED)
def test_compressed_text_is_not_passed_over(make, how):
    path = make({"title": rows(title), "body": rows(lambda i: PACKED[how](prose(i).encode()))})
    for body in ([], ["body"]):
        with pytest.raises(NoTextError, match=f"Column body is {how}-compressed") as told:
            open_source(path, "posts", Selection(body=body))
    if how == "gzip":
        convert_as_told(str(told.value))
    else:  # one of them in a real shell
        command = str(told.value).split("`")[1]
        tool = Path(sys.executable).with_name("sqlite-utils")
        command = command.replace("sqlite-utils", str(tool), 1)
        subprocess.run(command, shell=True, check=True, capture_output=True)
    assert list(open_source(path, "posts").documents())[1] == f"{title(1)}\n\n{prose(1)}"


@pytest.mark.parametrize("how", PACKED)
@pytest.mark.parametrize("name", ["body", "body_gz", "content", "data"])
def test_a_packed_text_beside_a_short_one_is_not_passed_over(make, how, name):
    """What the name and the size say is the text stops the run, rather than a summary being learnt."""
    long = rows(lambda i: "".join(random.Random(i).choices(PROSE[0] + PROSE[1], k=900)))
    path = make(
        {"title": rows(title), "summary": rows(prose), name: [PACKED[how](text.encode()) for text in long]}
    )
    with pytest.raises(NoTextError, match=f"Column {name} is {how}-compressed") as told:
        open_source(path, "posts")
    assert "To train on summary instead, name it as the column of text (--body)" in str(told.value)
    assert open_source(path, "posts", Selection(body=["summary"])).body == ("summary",)


@pytest.mark.parametrize(
    "values",
    [
        {"body": rows(prose), "body_gz": rows(lambda i: zlib.compress(prose(i).encode()))},
        {"body": rows(prose), "thumbnail": rows(lambda i: b"\x89PNG\r\n" + bytes(9000))},
        {"caption": rows(prose), "content": rows(lambda i: b"\xff\xd8\xff" + bytes(9000))},
        {"notes": rows(prose), "content": rows(lambda i: zlib.compress(b"x")), "size": rows(int)},
        {"body": rows(prose), "text": [zlib.compress(b"other" * 9)] + [None] * (N - 1)},
    ],
)
def test_packed_data_beside_the_text_is_left_out(make, values):
    assert len(open_source(make(values), "posts").body) == 1


def test_titles_alone_are_read_where_somebody_says_so(make):
    path = make({"title": rows(title), "body": rows(lambda i: zlib.compress(prose(i).encode()))})
    found = open_source(path, "posts", Selection(body=["title"]))
    assert list(found.documents())[0] == title(0) and found.left_out == {"body": "zlib-compressed"}


def test_a_picture_beside_the_text_is_left_out(make):
    path = make({"photo": rows(lambda i: b"\x89PNG\r\n\x1a\n\0\0" + bytes([i])), "caption": rows(prose)})
    found = open_source(path, "posts")
    assert found.body == ("caption",) and found.left_out == {"photo": "a PNG image"}


@pytest.mark.parametrize(
    ("encoding", "text", "read"),
    [
        ("latin-1", "Le café était déjà fermé: ", True),
        ("cp1252", "“Quoted” – it’s 5 € for the crème brûlée ", True),
        ("latin-1", "Die Größe der Straße überrascht ", True),
        ("cp1251", "Москва слезам не верит ", False),
        ("shift-jis", "吾輩は猫である。名前はまだ無い。", False),
        ("latin2", "Zażółć gęślą jaźń, łódź ", False),
    ],
)
def test_text_in_other_encodings(make, encoding, text, read):
    path = make({"title": rows(title), "body": rows(lambda i: f"{text}{i}".encode(encoding))})
    with sqlite3.connect(path) as db:
        db.execute("update posts set body = cast(body as text)")
    if read:
        found = open_source(path, "posts")
        assert list(found.documents())[0] == f"{title(0)}\n\n{text}0"
        assert found.decoded == {"Windows-1252": N} and not found.skipped
        return
    with pytest.raises(NoTextError, match="Column body is not UTF-8") as told:
        open_source(path, "posts")
    convert_as_told(str(told.value).replace("ENCODING", encoding))
    assert list(open_source(path, "posts").documents())[0] == f"{title(0)}\n\n{text}0"


FRENCH = "Le café était déjà fermé, et la Seine gelée: "
RUSSIAN = "Москва слезам не верит, сказала она "


def as_text(path):
    """SQLite's TEXT, with whatever bytes are in it."""
    with sqlite3.connect(path) as db:
        db.execute("update posts set body = cast(body as text)")


def test_a_column_has_one_encoding(make):
    """A short text in another encoding makes sense in Windows-1252 by chance; its column does not."""
    bodies = rows(lambda i: (("Да " if i % 5 else RUSSIAN) + str(i)).encode("cp1251") if i % 2 else prose(i))
    path = make({"title": rows(title), "body": bodies})
    as_text(path)
    found = open_source(path, "posts")
    assert not any("Äà" in text for text in found.documents())
    assert found.skipped == {"body is not UTF-8": N // 2} and not found.decoded
    path = make({"title": rows(title), "body": rows(lambda i: f"{FRENCH}{i}".encode("cp1252"))})
    as_text(path)
    found = open_source(path, "posts")
    assert found.kinds["body"].encoding == "Windows-1252" and len(list(found.documents())) == N


@pytest.mark.parametrize(("text", "encoding", "read"), [(FRENCH, "cp1252", True), (RUSSIAN, "cp1251", False)])
def test_a_column_has_one_encoding_where_the_sample_had_none(make, text, encoding, read):
    """Rows 3 and 4 are not in the sample, and one of them alone would be read wrongly."""
    bodies = rows(prose, 5000)
    bodies[25], bodies[26] = (
        "Да".encode("cp1251") if not read else "é".encode("cp1252"),
        text.encode(encoding),
    )
    path = make({"body": bodies})
    as_text(path)
    found = open_source(path, "posts")
    assert not found.kinds["body"].encoding
    documents = list(found.documents())
    assert len(documents) == 5000 - 2 * (not read)
    assert (found.decoded, found.skipped) == (
        ({"Windows-1252": 2}, {}) if read else ({}, {"body is not UTF-8": 2})
    )


# ---- For any table

VALUES = {
    "prose": prose,
    "titles": title,
    "empty": lambda i: None,
    "blank": lambda i: "",
    "uuid": KEYS["UUIDs"],
    "hash": KEYS["hexadecimal"],
    "url": KEYS["URLs"],
    "number": lambda i: i,
    "date": KEYS["dates"],
    "shared": lambda i: "incoming",
    "picture": lambda i: b"\x89PNG\0" + bytes([i]),
    "bytes": lambda i: prose(i).encode(),
    "html": lambda i: f"<p>{prose(i)}</p>\n<p>{prose(i + 1)}</p>",
    "zlib": lambda i: zlib.compress(prose(i).encode()),
}
NAMES = [
    "title",
    "name",
    "subject",
    "body",
    "content",
    "text",
    "summary",
    "post_title",
    "postContent",
    "id",
    "notes",
    "question",
    "answer",
    "description",
    "html",
    "标题",
    "текст",
]
columns = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(sorted(VALUES))),
    min_size=1,
    max_size=6,
    unique_by=lambda c: c[0],
)
TEXTS = ("prose", "bytes", "html")
WORDS = (*TEXTS, "titles")


def choose(columns):
    """The choice for columns of a name and a kind of values each; None where there is no text."""
    values = {name: rows(VALUES[kind]) for name, kind in columns}
    relation = Relation("posts", "Table 'posts'", tuple(values), "posts", "any.db", N)
    try:
        return choose_columns(relation, columns_of(values), None, ())
    except NoTextError:
        return None


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(columns)
def test_no_empty_column_is_chosen_while_another_has_text(columns):
    kinds, found = dict(columns), choose(columns)
    texts = [name for name, kind in columns if kind in TEXTS]
    if texts:
        # A picture or compressed data in what is called the text is for a person to decide about.
        assert (
            all(kinds[name] in WORDS for name in found.body)
            if found
            else {"picture", "zlib"} & {*kinds.values()}
        )
    for name in (found.title, *found.body) if found and any(kind in WORDS for kind in kinds.values()) else ():
        assert name is None or kinds[name] in (*WORDS, "shared")
    if found:
        assert found.title is None or kinds[found.title] in WORDS
        assert found.title not in found.body and {found.title, *found.body, *found.left_out} - {None} == set(
            kinds
        )


@settings(max_examples=50)
@given(columns, st.randoms())
def test_neither_order_nor_case_matters(columns, random):
    found = choose(columns)
    other = [
        (random.choice([name, name.upper(), name.capitalize()]) if "_" in name else name, kind)
        for name, kind in columns
    ]
    random.shuffle(other)
    again = choose(other)
    assume(found is not None)
    assert again is not None
    assert (found.title or "").lower() == (again.title or "").lower()
    assert [name.lower() for name in found.body] == [name.lower() for name in again.body]


@pytest.mark.parametrize("size", [45, 90, 600])
def test_base64_is_not_called_a_path(make, size):
    data = [base64.b64encode(random.Random(i).randbytes(size)).decode() for i in range(N)]
    path = make({"session_key": [f"k{i}" for i in range(N)], "session_data": data})
    with pytest.raises(NoTextError, match="session_data holds encoded data, session_key has keys"):
        open_source(path, "posts")


@pytest.mark.parametrize(
    "text",
    [
        "/home/Ada/Documents/Projects2019/TheHarbourAndTheMill/Drafts/Chapter01/FirstVersion",
        "Users/ada/Library/Application-Support/Notes2024/attachments/Pictures/IMG_2024_05_07",
    ],
)
def test_paths_are_not_called_encoded(text):
    assert shape_of(text) == "file paths"
