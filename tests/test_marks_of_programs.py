"""What Misskey, Obsidian, WeChat, Skype and Crossref have in a text beside its words; numbered columns."""

import sqlite3
import time

import pytest
from odd_tables import ROWS, Writer, number, same
from test_odd_tables import write

from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.text_kinds import kind_of
from datasette_nanogpt.data.values_as_text import read_text


def read(text, others="We meet at the mill, and bring bread."):
    kind = kind_of([text, *[others] * 9])
    return read_text(text, kind).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$[x2 Hooray] for the $[spin.speed=0.5s :boat:]", "Hooray for the :boat:"),
        ("$[tada $[x3 A $[fg.color=f00 red] boat]]", "A red boat"),
        (
            "$[ruby \u6f22\u5b57 \u304b\u3093\u3058] <center>mid</center> <small>low</small> $[x2 a]",
            "\u6f22\u5b57\nmid\nlow a",
        ),
        ("?[here](https://x.org) is $[blur it]", "[here](https://x.org) is it"),
        ("$[x2 never closed", "$[x2 never closed"),
    ],
)
def test_misskey(text, expected):
    assert read(text) == expected


NOTE = """rating:: 4
author:: [[Ada Lee]]
**Genre**:: tale

> [!note]- On boats
> They lie on the sand.

> [!warning]
> Not there.

The mill (due:: 2024-01-01) is %%private%%old [mood:: [[fine]]].

```dataview
TABLE rating FROM #books
```

- [ ] Bring bread \U0001f4c5 2024-02-01 \U0001f53c
- [x] Walk \u2705 2024-01-09

It has ==two== wheels `= this.rating` ^abc123

```cpp
a::b x; std::cout
```
"""


def test_obsidian():
    assert read(NOTE) == (
        "> On boats\n> They lie on the sand.\n\n> Not there.\n\nThe mill is old.\n\n- [ ] Bring bread\n"
        "- [x] Walk\n\nIt has two wheels\n\n```cpp\na::b x; std::cout\n```"
    )


@pytest.mark.parametrize(
    "text",
    ["> [!NOTE]\n> Do not go there.\n\n## Setup\n\nA == B and C == D.", "std::cout << 1;\nFoo::bar x;"],
)
def test_readme_files_stay(text):
    assert read(text, "## Setup\n\nGo.") == text


def test_wechat(tmp_path):
    """Of who wrote a message of a group the id is above it; some have chosen theirs."""
    who = ["wxid_ab12cd34ef56", "ada_lee88", "wxid_zz99yy88xx77"]
    said = [f"We meet at the mill at {i}." for i in range(60)]
    with sqlite3.connect(tmp_path / "t.db") as db:
        db.execute("create table message (msgId integer primary key, content text)")
        rows = [(f"{who[i % 3]}:\n{text}" if i % 2 else text,) for i, text in enumerate(said)]
        db.executemany("insert into message (content) values (?)", rows)
    db.close()
    assert [*open_source(str(tmp_path / "t.db"), "message").documents()] == said


def test_other_headings_with_a_colon_stay():
    assert read("Ingredients:\nbread, salt", "Ingredients:\nwater") == "Ingredients:\nbread, salt"


def test_messages_that_skype_quotes():
    quote = '<quote author="ada" authorname="Ada" timestamp="1"><legacyquote>[1] Ada: </legacyquote>When?'
    text = f'{quote}<legacyquote>\n&lt;&lt;&lt; </legacyquote></quote>At <b>eight</b> <a href="http://x.org">x</a>'
    assert read(text, "<b>No</b> and <i>so</i>") == "At eight x"


def test_abstracts_from_crossref():
    text = (
        "<jats:title>Abstract</jats:title><jats:sec><jats:title>Aim</jats:title><jats:p>We <jats:italic>walk"
        "</jats:italic> there.</jats:p><jats:p>And back.</jats:p></jats:sec>"
    )
    assert read(text, text).endswith("Aim\n\nWe walk there.\n\nAnd back.")


@pytest.mark.parametrize("name", ["c{}", "col{}", "Column {}", "field_{}", "{}", "Unnamed: {}", "列{}"])
def test_columns_that_are_numbered(tmp_path, name):
    """As imports of CSV files without a heading have them."""
    makers = [number, Writer.date, Writer.title, Writer.name, Writer.text, Writer.url, same("x"), same(None)]
    columns = {name.format(i): make for i, make in enumerate(makers, 1)}
    source = open_source(write(tmp_path / "any.db", columns), "t")
    assert (source.title, source.body) == (name.format(3), (name.format(5),))
    assert source.row_count == ROWS


def test_long_texts_take_little_time():
    began = time.process_time()
    for part in (
        "$[x2 ",
        "$[x2 a] ",
        "```dataview\n",
        "(a:: b ",
        "> [!note] a\n",
        "%%a",
        "<quote authorname=",
    ):
        read(part * (60_000 // len(part)))
    assert time.process_time() - began < 20
