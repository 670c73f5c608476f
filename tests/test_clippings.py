"""Passages that a Kindle keeps in one file, each below its book; and what scrapers take along with lyrics."""

import sqlite3
import time

import pytest

from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.row_hints import row_hints

WHERE = [
    "- Your Highlight on page {} | Location 1{}-19 | Added on Thursday, March 3, 2016 12:04:50 AM",
    "- Your Highlight on Location {0}-{0} | Added on Thursday, March 3, 2016 12:04:50 AM",
    "- Highlight Loc. {0}-{0}  | Added on Thursday, March 3, 2016, 12:04 AM",
    "- Ihre Markierung auf Seite {0} | Position {0}-19 | Hinzugefügt am Donnerstag, 3. März 2016 00:04:50",
    "- La subrayado en la página {} | Añadido el jueves, 3 de marzo de 2016 0:04:50",
    "- Votre surlignement sur la page {} | Ajouté le jeudi 3 mars 2016 00:04:50",
    "- Ваш выделенный отрывок в месте {}–19 | Добавлено: четверг, 3 марта 2016 г. в 0:04:50",
    "- 您在位置 #{}-19的标注 | 添加于 2016年3月3日星期四 上午12:04:50",
]


def clippings(where, count=40):
    for i in range(count):
        book = f"The Old Mill, part {i // 8} (Lee, Ada)"
        yield (
            book,
            f"{book}\r\n{where.format(i, i)}\r\n\r\nThe river was high, and {i} boats lay on the sand.\r\n",
        )


def source_of(path, texts, column="body"):
    with sqlite3.connect(path) as db:
        db.execute(f"create table t (id integer primary key, {column} text)")
        db.executemany(f"insert into t ({column}) values (?)", [(text,) for text in texts])
    db.close()
    return open_source(str(path), "t")


@pytest.mark.parametrize("where", WHERE)
def test_a_clipping_in_each_row(tmp_path, where):
    source = source_of(tmp_path / "t.db", [text for _, text in clippings(where)])
    assert source.has_titles
    assert [*source.documents()] == [
        f"{book}\n\nThe river was high, and {i} boats lay on the sand."
        for i, (book, _) in enumerate(clippings(where))
    ]


@pytest.mark.parametrize("where", WHERE)
def test_all_clippings_in_one_value(tmp_path, where):
    bookmark = f"Letters (Ben)\r\n{where.format(3, 3)}\r\n\r\n\r\n"
    texts = [*(text for _, text in clippings(where)), bookmark]
    source = source_of(tmp_path / "t.db", ["\ufeff" + "==========\r\n".join([*texts, ""])])
    assert [*source.documents()] == [
        f"{book}\n\nThe river was high, and {i} boats lay on the sand."
        for i, (book, _) in enumerate(clippings(where))
    ]


def test_lists_below_a_heading_stay(tmp_path):
    texts = [f"Walk {i}\n- 12 km | sun | 3 March 2016\n- bread | cheese\n\nA fine day." for i in range(20)]
    texts += [f"Shopping\n- bread {i}\n- milk | 2 l\n\nDone." for i in range(20)]
    source = source_of(tmp_path / "t.db", texts)
    assert [*source.documents()] == texts


VERSES = "[Verse 1]\nThe river was high\nAnd the boats lay on the sand\n\n[Chorus]\nOh, the mill"


@pytest.mark.parametrize(
    "page",
    [
        f"2 ContributorsThe Old Mill Lyrics{VERSES}12Embed",
        f"1 ContributorTranslationsDeutschThe Old Mill Lyrics{VERSES}Embed",
        f"The Old Mill Lyrics{VERSES}1.2KEmbed",
        f"The Old Mill Lyrics\n{VERSES}\n5Embed",
        f"2 ContributorsThe Old Mill Lyrics{VERSES}".replace("\n\n[Ch", "\nYou might also like[Ch")
        + "3Embed",
        f"2 ContributorsThe Old Mill Lyrics{VERSES}".replace(
            "\n\n[Ch", "\n\nSee Ada LiveGet tickets as low as $45You might also like[Ch"
        )
        + "Embed",
    ],
)
def test_lyrics_from_genius(tmp_path, page):
    texts = [page.replace("Old Mill", f"Old Mill {i}").replace("high", f"high, {i}") for i in range(20)]
    source = source_of(tmp_path / "t.db", texts, "lyrics")
    assert [*source.documents()] == [VERSES.replace("high", f"high, {i}") for i in range(20)]


def test_other_lyrics_stay(tmp_path):
    texts = [f"{VERSES}\nLyrics of mine {i}\nYou might also like\nEmbed" for i in range(20)]
    texts += [f"{VERSES} {i}" for i in range(99)]
    assert [*source_of(tmp_path / "t.db", texts, "lyrics").documents()] == texts


def test_beginnings_of_articles(tmp_path):
    texts = [
        f"The river was high, and {i} boats lay on the sand where they\u2026 [+{i + 900} chars]"
        for i in range(40)
    ]
    source = source_of(tmp_path / "t.db", texts, "content")
    assert next(source.documents()) == "The river was high, and 0 boats lay on the sand where they"
    (told,) = (each for each in row_hints(source) if "beginnings" in each)
    assert told.startswith("40 rows say in content how many characters they have more")


def test_long_values_take_little_time(tmp_path):
    began = time.process_time()
    texts = [
        "a\n- 1 | 2 " * 30_000,
        "A\n" * 90_000,
        "1 Contributors" * 20_000,
        "[+1 " * 60_000,
        "9" * 200_000 + "Embed",
    ]
    [*source_of(tmp_path / "t.db", texts * 3).documents()]
    assert time.process_time() - began < 20
