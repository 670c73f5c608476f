"""What the pages offer to whom, and what they have in them: menus, forms, the rows and the index."""

import asyncio
import html
import json
import re
import shutil
import sqlite3
import zlib
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
import sqlite_utils
from conftest import TEXTS, serve, write_model
from datasette.database import QueryInterrupted

from datasette_nanogpt import web
from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.kept_texts import kept_texts
from datasette_nanogpt.registry.manage import remove_model, rename_model
from datasette_nanogpt.registry.process_id import process_id
from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.registry.statements import insert, update_run
from datasette_nanogpt.training.expectation import HIGHEST, LOWEST, expected_bits
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.web import menus, play_settings, playground, trainable_tables
from datasette_nanogpt.web.cards import with_forecast
from datasette_nanogpt.web.pages import model

TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 64, "batch_size": 2, "vocab_size": 300}
TINY |= {"max_iters": 3, "device": "cpu"}
ROOT, WRITER = {"id": "root"}, {"id": "writer"}


@pytest.fixture
def database(tmp_path, home, bpe):
    """A table with a model, one without, and an empty one."""
    path = tmp_path / "blog.db"
    db = sqlite_utils.Database(path)
    rows = [{"id": i, "title": f"Title <b> {i}", "body": text} for i, text in enumerate(TEXTS)]
    db["entry"].insert_all(rows, pk="id")
    db["hush"].insert_all(rows)
    db["empty"].create({"body": str})
    db.create_view("no_rows", "select * from empty")
    table = {"table": "entry", "title": "title", "body": ["body"]}
    source = {"database": str(path), "table": "entry", "rows": 300, "tables": [table]}
    write_model(home / "nanogpt-blog", bpe, meta={"source": source})
    return path


@pytest.fixture
async def datasette(database):
    datasette = await serve(database, memory=True)
    yield datasette
    datasette.close()


async def text_of(datasette, path, actor=ROOT, status=200):
    response = await datasette.client.get(path, actor=actor)
    assert response.status_code == status, response.text
    return response.text


# ---- Menus

HUSH = {"tables": {"hush": {"allow": {"id": "root"}}}}


@pytest.mark.parametrize("action", ["nanogpt-generate", "nanogpt-train"])
@pytest.mark.parametrize("of", ["instance", "database", "table"])
async def test_the_main_menu_has_gpts_for_whoever_may_use_one(database, action, of):
    """Datasette's list of what is allowed is empty where another table denies what its database allows."""
    rule = {"permissions": {action: {"id": "writer"}}}
    blog = {
        "instance": HUSH,
        "database": HUSH | rule,
        "table": {"tables": HUSH["tables"] | {"entry": rule}},
    }[of]
    datasette = await serve(
        database, memory=True, config={"databases": {"blog": blog}, **(rule if of == "instance" else {})}
    )
    assert 'href="/-/nanogpt"' in await text_of(datasette, "/", WRITER)
    assert 'href="/-/nanogpt"' not in await text_of(datasette, "/", {"id": "reader"})
    datasette.close()


async def test_a_busy_server_leaves_out_the_link_in_the_main_menu(datasette, monkeypatch):
    """Datasette gives up each query after a second, also the one that asks what someone may do."""

    async def too_slow(action, *_, **__):
        raise QueryInterrupted("interrupted", "select 1", {})

    monkeypatch.setattr(datasette, "allowed_resources", too_slow)
    assert await menus.index_link(datasette, ROOT) == []


async def test_training_is_offered_where_it_can_be_done(datasette):
    await datasette.add_memory_database("passing").execute_write("create table t (body text)")
    await datasette.get_database("passing").execute_write("insert into t values ('a text')")
    for path, offered in (
        ("/blog/entry", True),
        ("/blog/hush", True),
        ("/blog/empty", False),
        ("/blog/no_rows", False),
        ("/passing/t", False),
    ):
        assert ("Train a GPT on this table" in await text_of(datasette, path)) is offered, path
    # The page of the address itself says why not.
    assert "is empty" in await text_of(datasette, "/blog/empty/-/nanogpt", status=400)


async def test_the_menus_of_a_table_and_its_rows_lead_to_its_model(datasette, home):
    assert "Write with nanogpt-blog" in await text_of(datasette, "/blog/entry")
    assert "Write with" not in await text_of(datasette, "/blog/entry", WRITER)
    assert "models of this table" not in await text_of(datasette, "/blog/entry")
    corpus = {"corpus": {"sha256": "a"}}
    # The three best are offered, each with what tells it from the others.
    for i, (name, bpb) in enumerate({"a": 1.5, "b": 1.4, "c": 1.6, "d": 3.1}.items()):
        shutil.copytree(home / "nanogpt-blog", home / f"nanogpt-{name}")
        file = home / f"nanogpt-{name}" / "nanogpt.json"
        told = {"training": {"updated": f"2027-01-01T10:00:0{i}"}, "score": {"val_bpb": bpb}, **corpus}
        told["verdict"] = {"lines": {"reads like": "short sentences"}}
        file.write_text(json.dumps(json.loads(file.read_text()) | told | {"name": f"nanogpt-{name}"}))
    text = await text_of(datasette, "/blog/entry")
    assert re.findall(r"Write with (nanogpt-\w+)", text) == ["nanogpt-b", "nanogpt-a", "nanogpt-c"]
    assert re.findall(r"(1.\d00) bits per byte: short sentences.", text) == ["1.400", "1.500", "1.600"]
    assert 'href="/blog/entry/-/nanogpt#models"' in text and "All 5 models of this table" in text
    form = await text_of(datasette, "/blog/entry/-/nanogpt")
    assert "All 5 models</label>" in form  # a phone has three at first
    assert "how well nanogpt-b predicts" in text and "/rows?model=nanogpt-b" in text
    assert (await text_of(datasette, "/-/nanogpt")).count("<p>Writes short sentences</p>") == 4
    assert "Write with" not in await text_of(datasette, "/blog/hush")
    menu = await text_of(datasette, "/blog/entry/7")
    assert "nanogpt-b goes on where" in menu and "How well nanogpt-b predicts it, among all" in menu
    for label in ("Continue this row", "Colour by surprise"):
        assert label in menu and label not in await text_of(datasette, "/blog/entry/7", WRITER)


# ---- What a strict Content-Security-Policy refuses

PAGES = (
    "/-/nanogpt",
    "/blog/entry/-/nanogpt",
    "/blog/entry/-/nanogpt/rows",
    "/-/nanogpt/models/nanogpt-blog",
)


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_of_ours_is_inline(datasette, path):
    ours = (await text_of(datasette, path)).split('<section class="content"', 1)[1].split("</section>")[0]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! type=\"application/json\")", ours)


# ---- The playground

MODEL = "/-/nanogpt/models/nanogpt-blog"


async def write(datasette, **settings):
    response = await datasette.client.post(MODEL, json={"max_tokens": 20, **settings}, actor=ROOT)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def test_each_token_comes_with_its_surprise(datasette):
    lines = await write(datasette, prompt="Row 1: qu", seed=7)
    text = "".join(line.get("text", "") for line in lines)
    tokens = [token for line in lines for token in line.get("tokens", [])]
    ends = [end for end, _, _ in tokens]
    assert 0 < len(tokens) <= 20 and ends == sorted(ends) and ends[-1] == len(text)
    assert all(bits >= 0 and 1 <= len(likely) <= 4 for _, bits, likely in tokens)
    assert all(0 <= p <= 1 for _, _, likely in tokens for _, p in likely)


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({"max_tokens": 5}, "It was cut at 5 pieces."),
        (
            {"prompt": "fox " * 200, "max_tokens": 5},
            "pieces of the prompt did not fit into the model's context of 32",
        ),
        ({"stop": "e\n \na\no\ni", "max_tokens": 200}, "It was ended by the stop text"),
    ],
)
async def test_what_happened_is_told(datasette, settings, outcome):
    (told,) = [line["outcome"] for line in await write(datasette, seed=2, **settings) if "ended" in line]
    assert outcome in told


async def test_who_is_gone_takes_no_place_while_passages_are_looked_for():
    closed = []

    async def events():
        try:
            yield {"ended": 0}
            await asyncio.Event().wait()  # as if the table was large
        finally:
            closed.append(True)

    gone, writing = asyncio.get_running_loop().create_future(), events()
    assert await model._next_event(writing, gone) == {"ended": 0}
    asyncio.get_running_loop().call_soon(gone.set_result, None)
    assert await asyncio.wait_for(model._next_event(writing, gone), 5) is None
    await writing.aclose()
    assert closed


async def test_one_bad_parameter_of_a_link_costs_only_that(datasette):
    text = await text_of(datasette, f"{MODEL}?temperature=warm&prompt=Row+9&seed=12345678901234&top_k=5")
    assert "Temperature must be a number, not &#39;warm&#39;.</span>" in text
    assert re.search(r'id="wrong">1 setting in this link is wrong.*#temperature">.*Its default is used', text)
    assert ">\nRow 9</textarea>" in text and 'value="12345678901234"' in text and "-o top_k 5" in text
    assert re.search(r'id="temperature" [^>]*aria-invalid="true"', text)  # the message stands beside it
    assert '<details id="more" open>' in text and '<details id="rare" open>' in text  # top_k is there


async def test_wrong_settings_are_named_in_the_order_of_the_page(datasette):
    every = sorted(play_settings.SETTINGS.keys() - {"guidance"})  # which only a model with titles has
    text = await text_of(datasette, f"{MODEL}?{'&'.join(f'{field}=x' for field in every)}")
    named = re.findall(r'href="#(\w+)"', text[text.index('id="wrong"') :].partition("</p>")[0])
    assert named == sorted(every, key=lambda field: text.index(f' id="{field}"'))


async def test_a_wrong_setting_is_told_with_its_field(datasette):
    text = await text_of(datasette, MODEL)
    assert '<details id="more">' in text and '<details id="rare">' in text
    headings = [text.index(f"<legend>{name}<") for name in ("Length and end", "Randomness")]
    assert headings == sorted(headings)
    for field in play_settings.SETTINGS.keys() - {"guidance"}:  # which only a model with titles has
        assert text.count(f'name="{field}"') == 1
    answer = await datasette.client.post(
        MODEL, json={"top_p": 7, "max_tokens": "few", "real_words": "maybe"}, actor=ROOT
    )
    assert answer.status_code == 400
    told = {problem["field"]: problem["message"] for problem in answer.json()["problems"]}
    assert told.pop("real_words") == "Words must be 0 (any letters) or 1 (those of the table), not 'maybe'"
    assert told.keys() == {"top_p", "max_tokens"} and "must be a whole number" in told["max_tokens"]


async def test_a_prompt_that_no_address_holds_is_posted(datasette):
    prompt = "long " * 20_000
    response = await datasette.client.post(
        MODEL, data={"prompt": prompt, "seed": "5"}, headers={"accept": "text/html"}, actor=ROOT
    )
    assert response.status_code == 200 and f">\n{prompt}</textarea>" in response.text


async def test_a_row_is_continued_or_coloured(datasette):
    text = await text_of(datasette, f"{MODEL}?table=entry&row=7")
    assert ">\nTitle &lt;b&gt; 7\n\nRow 7:" in text and "row <a href=" in text
    text = await text_of(datasette, f"{MODEL}?table=entry&row=7&show=surprise")
    assert ">\n</textarea>" in text
    assert re.search(r'id="row-text" hidden>Title &lt;b&gt; 7', text)
    places = [text.index(f'id="{name}"') for name in ("row-text", "texts", "prompt")]
    assert places == sorted(places)  # the row stands first
    assert re.search(r'<h1><a href="[^"]+/7">Title &lt;b&gt; 7, row 7 of entry</a>, by surprise</h1>', text)
    assert re.search(r'id="about">Read by <strong>[^<]+</strong>', text)
    assert "is no table of this model" in await text_of(datasette, f"{MODEL}?table=hush&row=7")
    assert "no text in row 9999" in await text_of(datasette, f"{MODEL}?table=entry&row=9999")


async def test_a_text_is_coloured_and_compared(datasette, monkeypatch):
    given = {"text": "Row 7: quick Zoë’s ☕ fox"}
    answer = (await datasette.client.post(f"{MODEL}/surprise", json=given, actor=ROOT)).json()
    assert answer["tokens"][-1][0] == len(given["text"]) and "bits per byte" in answer["outcome"]
    monkeypatch.setattr(playground, "COLOURED_TOKENS", 3)  # a number of the beginning is called one
    answer = (await datasette.client.post(f"{MODEL}/surprise", json=given, actor=ROOT)).json()
    assert re.search(r"This is of its first 3 pieces of \d+: only they are coloured\.$", answer["outcome"])
    answer = (await datasette.client.post(f"{MODEL}/copied", json={"text": TEXTS[5]}, actor=ROOT)).json()
    assert answer["longest"] >= 8 and answer["passages"][0]["url"].startswith("/blog/entry/")
    for path in ("surprise", "keep"):
        assert (await datasette.client.post(f"{MODEL}/{path}", json={}, actor=ROOT)).status_code == 400
    for path in ("surprise", "copied", "keep", "texts/1/remove"):
        assert (await datasette.client.post(f"{MODEL}/{path}", json=given, actor=WRITER)).status_code == 403
        assert (await datasette.client.get(f"{MODEL}/{path}", actor=ROOT)).status_code == 405


async def test_kept_texts_go_with_their_model(datasette, home):
    given = {"text": "and <b>so on\n\n", "prompt": "Row 3", "seed": 4, "temperature": 0.5}
    for _ in range(2):
        assert (await datasette.client.post(f"{MODEL}/keep", json=given, actor=ROOT)).status_code == 200
    text = await text_of(datasette, MODEL, {"id": "reader"})
    assert text.count("and &lt;b&gt;so on</div>") == 2 and "with temperature 0.5 and seed 4" in text
    assert 'title="Weights step0-' in text
    assert "/remove" not in text
    filled_in = f"{MODEL}?title=Row&temperature=0.5"  # which stays filled in without JavaScript, too
    action = re.search(r'action="([^"]+/texts/1/remove[^"]*)"', await text_of(datasette, filled_in))[1]
    removed = await datasette.client.post(action.replace("&amp;", "&"), actor=ROOT)
    assert removed.headers["location"] == f"{filled_in}#kept"
    (kept,) = kept_texts(home, "nanogpt-blog", 9)
    assert (kept["id"], kept["seed"], kept["settings"]["temperature"]) == (2, 4, 0.5)
    rename_model(home / "nanogpt-blog", "nanogpt-new")
    assert not kept_texts(home, "nanogpt-blog", 9) and kept_texts(home, "nanogpt-new", 9) == [kept]
    remove_model(home / "nanogpt-new")
    assert not kept_texts(home, "nanogpt-new", 9)


async def test_held_out_rows_are_offered_as_prompts(database, home):
    options = TrainOptions(str(database), "entry", name="nanogpt-real", **TINY)
    list(train_table(options))
    datasette = await serve(database, memory=True)
    page = await text_of(datasette, "/-/nanogpt/models/nanogpt-real")
    prompts = re.findall(r'data-fields="{&#34;title&#34;: [^"]*">([^<]*)<', page)
    assert 1 <= len(prompts) <= 5 and all(prompt.startswith("Title &lt;b&gt;") for prompt in prompts)
    datasette.close()


# ---- The form

FORM = "/blog/entry/-/nanogpt"


async def test_what_is_wrong_is_said_beside_its_field(datasette):
    """A seed beyond what PyTorch takes was cut off by its box, and Start then did nothing."""
    form = {"n_embd": "33", "dropout": "2", "minutes": "1"}
    response = await datasette.client.post(FORM, data=form, actor=ROOT)
    assert response.status_code == 400 and "Nothing was started: 2 fields are wrong" in response.text
    links = '<a href="#n_embd">Width</a>, <a href="#dropout">Dropout</a>.'
    assert (
        response.text.count(links) == 2 and f"Not started: see {links}" in response.text
    )  # beside Start, too
    assert "It reads each row" in response.text and 'id="figures" class="hint"><summary>' in response.text
    for field, message in (("n_embd", "must be an even number"), ("dropout", "at most 0.99")):
        assert re.search(
            rf'id="{field}"[^>]*aria-describedby="{field}-error {field}-hint" aria-invalid="true"',
            response.text,
        )
        assert re.search(rf'id="{field}-error">[^<]*{message}', response.text)
    assert '<details id="advanced" open>' in response.text
    answer = await datasette.client.post(FORM, json={**form, "estimate": 1}, actor=ROOT)
    assert {problem["field"] for problem in answer.json()["problems"]} == {"n_embd", "dropout"}
    right = await datasette.client.post(FORM, json={"minutes": "1", "estimate": 1}, actor=ROOT)
    assert answer.json()["estimate"] == right.json()["estimate"]  # so that the page keeps its shape


@pytest.mark.parametrize("texts", [["one", "two words", "and three"], [""] * 5, ["x"]])
async def test_what_cannot_train_is_refused(datasette, database, home, texts):
    sqlite_utils.Database(database)["few"].insert_all({"body": text} for text in texts)
    page = await datasette.client.get("/blog/few/-/nanogpt", actor=ROOT)
    assert "too little to train on" in page.text or "no text" in page.text
    assert re.search('id="start"[^>]* disabled', page.text) and "field is wrong" not in page.text
    assert ">Back to the rows of few</a>" in page.text
    assert "reads each row" not in page.text and "MB of memory" not in page.text  # nothing is promised of it
    response = await datasette.client.post("/blog/few/-/nanogpt", data={"body": "body"}, actor=ROOT)
    assert response.status_code == 400 and not find_runs(home, "name != 'nanogpt-blog'")


async def test_little_text_is_warned_of_and_cards_say_what_to_expect(datasette, database):
    answer = (await datasette.client.post(FORM, json={"estimate": 1}, actor=ROOT)).json()
    estimate, cards = answer["estimate"], answer["offer"]["cards"]
    assert "is little text: expect words with little order" in estimate["warning"] and not estimate["refused"]
    assert [card["minutes"] for card in cards] == [1, 3, 10, 30, 60]
    assert [card["same_as"] for card in cards] == [None, 1, 1, 1, 1] and not any(
        card["score"] for card in cards
    )
    assert answer["offer"]["recommended"] == 1 and "More time changes little" in answer["offer"]["alike"]
    text = await text_of(datasette, FORM)
    assert text.count("More time changes little") == 1 and answer["offer"]["unfolded"] == 1
    longer = re.search(r'<div class="longer">.*?</div>', text, re.DOTALL)[0]
    assert re.findall(r'name="minutes" value="(\d+)"', longer) == ["3", "10", "30", "60"]
    said = r"<strong>[^<]+ is little text</strong>: expect"
    assert re.search(rf'<h1>[^<]+</h1>\s*<div id="little"[^>]*(?<!hidden)><p id="notice">{said}', text)
    assert "<li>more rows: sentences need" in text and "a template</a>" not in text  # all is read
    assert "What helps" in text and "all rows of the table" not in text
    assert "all rows of the table" in await text_of(datasette, f"{FORM}?id__gt=5")
    assert 'id="held-out" hidden' in text  # no card has a score
    assert re.search(r'id="alike">More time changes little: texts after 60 minutes [^.]+ 1 minute\.<', text)
    assert re.search(r'id="brief">It reads each row [\w ]+, in about \d+ MB of memory\.</p>', text)
    assert re.search(r'value="1" checked.*?class="why">Recommended', text) and text.count(" checked") == 1
    assert "data-follows" in text  # the recommendation, until somebody chooses
    text = " ".join(TEXTS * 4)
    sqlite_utils.Database(database)["much"].insert_all({"body": f"{i} {text}"} for i in range(100))
    answer = await datasette.client.post("/blog/much/-/nanogpt", json={"estimate": 1}, actor=ROOT)
    one, *_, hour = answer.json()["offer"]["cards"]
    assert answer.json()["offer"]["alike"] == "" and answer.json()["offer"]["recommended"] == 3
    assert not answer.json()["estimate"]["warning"]
    assert re.search(r'id="little"[^>]* hidden>', await text_of(datasette, "/blog/much/-/nanogpt"))
    assert (
        one["like"] == "sentences that mean little" and hour["like"] == "sentences in the style of the rows"
    )


def test_cards_say_in_words_what_differs():
    """They promised bits per byte, in wide ranges that overlap, which is nothing that a reader can notice."""
    read = {"letters": 2e6, "bytes": 2e6, "prose": True}
    cards: list[dict] = []
    for minutes, bits in ((1, 2.05), (3, 1.7), (10, 1.5), (30, 1.4), (60, 1.39), (90, 1.18)):
        cards.append(with_forecast(read, minutes, bits, cards))
    assert [card["brings"] for card in cards] == [
        "words and short phrases, at best sentences that mean little, "
        "at worst words with little order among them",
        "sentences that mean little, or only words and short phrases",
        "sentences that mean little, at best in the style of the rows",
        "A little better than after 10 minutes",
        "Much the same as after 30 minutes",
        "sentences in the style of the rows, or only sentences that mean little",
    ]
    an_hour = ((10, 1.37), (30, 1.331), (60, 1.306))  # as a blog has it, whose models are joined
    cards_of_hour: list[dict] = []
    for minutes, bits in an_hour:
        cards_of_hour.append(with_forecast(read, minutes, bits, cards_of_hour))
    assert [card["brings"] for card in cards_of_hour[1:]] == [
        "Much the same as after 10 minutes",
        "A little better than after 10 minutes",
    ]
    assert all(card["example"] for card in cards) and cards[1]["example"] == cards[2]["example"]
    assert cards[1]["outlook"].startswith("After 3 minutes it writes sentences that mean little, such as ")
    assert cards_of_hour[2]["score"].endswith(", 2% better than after 30 minutes.")
    assert cards[1]["score"].endswith(" score 1.4 to 2.0 bits per byte, 17% better than after 1 minute.")
    first = with_forecast(read, 1, 2.3, [])
    assert with_forecast(read, 3, 1.9, [first])["brings"] != "Clearly better than after 1 minute"
    for few in (read | {"letters": 2e4}, read | {"prose": False}):
        first = with_forecast(few, 1, 2.3, [])
        assert first["brings"] == first["like"]  # no more is known
        assert with_forecast(few, 3, 1.9, [first])["brings"] == "Clearly better than after 1 minute"


@pytest.mark.parametrize(
    ("letters", "work", "known"),
    [
        (7e3, 36e12, 4.0),
        (77e3, 120e12, 2.2),
        (2e6, 30e12, 1.297),
        (2e6, 165e12, 1.197),
        (2e6, 17e12, 1.798),
        (2e6, 174e12, 1.59),
        (2e6, 1044e12, 1.515),
        (3e5, 38e12, 2.175),
        (1e6, 144e12, 1.765),
        (2e5, 20e12, 2.125),
        (1e7, 155e12, 1.162),
    ],
)
def test_the_expectation_is_near_what_was_measured(letters, work, known):
    """The figures are those of README.md and of benchmarks/LOG.md, most of tables it was not made from."""
    assert LOWEST - 0.01 < known / expected_bits(letters, work) < HIGHEST


def test_the_expectation_falls_smoothly_with_text_and_time():
    minutes, sizes = [60e11 * 1.5**i for i in range(14)], [1e4 * 1.3**i for i in range(26)]
    for letters in sizes:
        bits = [expected_bits(letters, work) for work in minutes]
        assert all(0.85 < later / earlier < 1 for earlier, later in pairwise(bits))
    for work in minutes:
        bits = [expected_bits(letters, work) for letters in sizes]
        assert all(0.88 < longer / shorter < 1 for shorter, longer in pairwise(bits) if longer != shorter)
        assert len(set(bits[:-1])) == len(bits) - 1  # no two sizes from 10 kB to 5 MB have one forecast
    assert expected_bits(1e6, 36e12, read=1e5) > 3  # a size that reads a tenth of the text in that time


async def test_a_card_says_between_which_scores_and_how_much_more_time_brings(datasette, database):
    text = " ".join(TEXTS * 4)
    sqlite_utils.Database(database)["much"].insert_all({"body": f"{i} {text}"} for i in range(100))
    address = "/blog/much/-/nanogpt"

    async def cards(**form):
        answer = await datasette.client.post(address, json={"estimate": 1, **form}, actor=ROOT)
        return answer.json()["offer"]["cards"]

    found = await cards()
    for shorter, card in pairwise(found):
        low, high = card["range"]
        assert low < card["bits"] < high < shorter["range"][1] + 0.1 and card["bits"] < shorter["bits"]
        assert f"After {card['minutes']} minutes, " in card["score"]
        percent = round(100 * (1 - card["bits"] / shorter["bits"]))
        than = f", {percent}% better than after {shorter['minutes']} minute"
        assert f" {low} to {high} bits per byte{than}" in card["score"]
        assert card["outlook"].startswith(
            f"After {card['minutes']} minutes it writes {card['like']}, such as"
        )
        assert card["brings"].startswith(card["like"]) or f" after {shorter['minutes']}" in card["brings"]
    assert found[0]["brings"].startswith(found[0]["like"]) and all(card["like"] for card in found)
    tiny = (await datasette.client.post(address, json={"estimate": 1, "size": "xs"}, actor=ROOT)).json()
    size = f"XS ({tiny['estimate']['parameters'] / 1e6:.1f}M parameters)"
    assert tiny["estimate"]["sizes"]["xs"] == size
    page = await text_of(datasette, address)
    assert f'value="xs">{size}<' in page
    # One score is shown, that of the time that is chosen
    assert re.findall(r'id="score">After (\d+) minutes', page) == ["3"] and page.count("most tables") == 1
    big = await cards(size="xl")
    assert big[0]["bits"] > found[0]["bits"]  # it reads less in a minute than the size that is chosen
    for unknown in ({"arch": "gpt2"}, {"tokenizer": "char"}):
        promised = await cards(**unknown)
        assert {card["like"] for card in promised} == {"not known for this architecture or tokenizer"}
        assert not any(card["score"] or card["brings"] or card["example"] for card in promised)
        assert promised[0]["outlook"].startswith("What it will write is not known")


async def test_a_form_is_filled_in_as_an_earlier_run_was(datasette, home, database):
    settings = {"minutes": 10, "n_layer": 3, "name": "nanogpt-three", "where": "id < 250", "body": ["body"]}
    run = queue.enqueue(
        home, str(database), {"database": str(database), "table": ["entry"], **settings}, None, 9
    )
    text = await text_of(datasette, f"{FORM}?_again={run}")
    for part in (
        'value="10" checked',
        'value="nanogpt-three"',
        'value="id &lt; 250"',
        '<details id="advanced" open>',
    ):
        assert part in text
    assert re.search(r'<input[^>]* name="n_layer"[^>]* value="3"', text)
    assert 'value="nanogpt-three"' not in await text_of(datasette, f"/blog/hush/-/nanogpt?_again={run}")


@pytest.mark.parametrize("name", ["nanogpt.css", "run.css", "form.css", "play.css", "compare.css"])
def test_a_stylesheet_is_whole(name):
    css = (Path(web.__file__).parents[1] / "static" / name).read_text("utf-8")
    depth = [0]
    for character in css:
        depth.append(depth[-1] + {"{": 1, "}": -1}.get(character, 0))
    assert depth[-1] == 0 and max(depth) <= 3 and min(depth) == 0  # a rule in a rule in an @media


# ---- What runs now, all models and runs


@pytest.fixture
def runs(home, database):
    """A run that goes on, one that is over, and one on a table that not everybody may see."""

    def add(table, status, **values):
        settings = {"database": str(database), "table": [table], "name": f"nanogpt-{table}", "n_layer": 2}
        run = queue.enqueue(home, str(database), settings | values.pop("settings", {}), None, 9)
        values |= {"status": status, "process": process_id(), "started": "2026-01-01T10:00:00"}
        with registry(home) as db:
            update_run(db, run, values)
            for seconds in (5, 15, 45):
                bpb = 4 - seconds / 30 - run / 10
                score = {"run": run, "step": seconds, "seconds": float(seconds), "val_bpb": bpb}
                insert(db, "metrics", score)
                insert(
                    db,
                    "samples",
                    {"run": run, "step": 9, "sample": f"{table} <b>wrote this {seconds}\nor so"},
                )
        return run

    over = add("entry", "finished", val_bpb=2.4, settings={"n_layer": 3, "name": "nanogpt-blog"})
    now = add("entry", "running", val_bpb=3.1, progress=0.4, eta=90.0)
    return {"over": over, "now": now, "hush": add("hush", "running", progress=0.2)}


async def test_what_runs_now_is_on_top_of_the_index_and_of_its_table(database, runs):
    datasette = await serve(database, memory=True, config={"databases": {"blog": HUSH}})
    for actor, seen in ((ROOT, {runs["now"], runs["hush"]}), (WRITER, {runs["now"]})):
        answer = await datasette.client.get("/-/nanogpt.json?now=1", actor=actor)
        assert {run["id"] for run in answer.json()["runs"]} == seen
        text = await text_of(datasette, "/-/nanogpt", actor)
        assert text.count('class="now-card"') == len(seen) and ("hush" in text) is (actor == ROOT)
        assert ('value="Stop"' in text) is (actor == ROOT)
        text = await text_of(datasette, "/blog/entry", actor)
        assert "GPTs at work on this table" in text
        assert text.count('class="now-card slim"') == 1 and "2 minutes left" in text
    address = re.search(r'id="now" data-url="([^"]*)"', text)[1].replace("&amp;", "&")
    (run,) = (await datasette.client.get(address)).json()["runs"]
    assert run["id"] == runs["now"] and run["progress"] == 0.4
    assert "now-card" not in await text_of(datasette, "/blog/empty")
    datasette.close()


async def test_the_list_offers_another_table_and_compares_only_two_runs(datasette, home, database):
    text = await text_of(datasette, "/-/nanogpt")
    another = text[text.index('<details id="another">') :]
    assert 'href="/blog/hush/-/nanogpt"' in another and "There are none yet" not in text
    assert 'id="another"' not in await text_of(datasette, "/-/nanogpt", WRITER)  # who may not train
    remove_model(home / "nanogpt-blog")
    settings = {"database": str(database), "table": ["entry"], "name": "nanogpt-first"}
    run = queue.enqueue(home, str(database), settings, None, 9)
    assert "The first one waits for its turn." in await text_of(datasette, "/-/nanogpt")
    with registry(home) as db:
        update_run(db, run, {"status": "running", "process": process_id(), "eta": 290.0})
    text = await text_of(datasette, "/-/nanogpt")
    assert "The first one is being trained." in text and '<details id="another">' in text
    form = await text_of(datasette, FORM)
    assert (
        "It starts after nanogpt-first, in about 5 minutes." in form
        and "<h2>GPTs at work on this table</h2>" in form
        and form.count('class="now-card slim"') == 1
    )
    assert "Compare" not in text and "<h2>Runs</h2>" not in text  # the one run stands under "Now"
    second = queue.enqueue(home, str(database), settings | {"name": "nanogpt-second"}, None, 9)
    queue.enqueue(home, str(database), settings | {"name": "nanogpt-third"}, None, 9)
    for scored, boxes in ((run, 0), (second, 2)):  # what has no score cannot be compared
        with registry(home) as db:
            update_run(db, scored, {"val_bpb": 2.0})
        text = await text_of(datasette, "/-/nanogpt")
        assert text.count('type="checkbox" name="run"') == boxes
        assert ("Tick two runs in the list." in text) is (boxes == 2)
    with registry(home) as db:
        update_run(db, run, {"val_bpb": 1.9})
    for address, order in (("", [second, run]), ("?_sort=bits_per_byte", [run, second])):
        text = await text_of(datasette, f"/-/nanogpt{address}")
        assert re.findall(r'name="run" value="(\d+)"', text) == [str(each) for each in order]


async def test_a_table_that_cannot_be_read_says_what_to_do_on_the_page(home, tmp_path):
    """Not which option to type; a command for a terminal is apart, to be selected with a click."""
    path = tmp_path / "marks.db"
    db = sqlite3.connect(path)
    with db:
        db.execute("create table mark (id integer primary key, summary text, body blob)")
        words = "We meet at the old mill beside the river and wait for the boat. "
        rows = [(f"{words} {i}", zlib.compress((words * 9 + str(i) * 200).encode() * 9)) for i in range(40)]
        rows = [(summary, raw + bytes(400)) for summary, raw in rows]
        db.executemany("insert into mark (summary, body) values (?, ?)", rows)
    db.close()
    datasette = await serve(path)
    page = await text_of(datasette, "/marks/mark/-/nanogpt")
    datasette.close()
    told = page[page.index('id="why-not"') :].partition("</p>")[0]
    assert "To train on summary instead, choose it below." in told and "--body" not in told
    assert '<code class="whole">sqlite-utils convert ' in told and "`" not in told


async def test_the_tables_with_the_most_text_are_offered(home, tmp_path, monkeypatch):
    monkeypatch.setattr(trainable_tables, "LOOKING_SECONDS", 60)
    path = tmp_path / "forum.db"
    db = sqlite3.connect(path)
    with db:
        for i in range(9):
            db.execute(f"create table app{i} (id integer primary key, name text)")
            db.executemany(f"insert into app{i} (name) values (?)", [(f"Thing {j}",) for j in range(50)])
        db.execute("create table codes (id integer primary key, data text)")
        db.executemany("insert into codes (data) values (?)", [("QmFzZTY0" * 400,) for _ in range(50)])
        for name in ("post_history", "post"):
            db.execute(f"create table {name} (id integer primary key, body text)")
            words = [(f"{i}. " + "We meet at the old mill beside the river. " * 4,) for i in range(40)]
            db.executemany(f"insert into {name} (body) values (?)", words)
    db.close()
    datasette = await serve(path)
    page = await text_of(datasette, "/-/nanogpt")
    offered = re.findall(r'href="/forum/(\w+)/-/nanogpt"', page)
    assert offered[:2] == ["post", "post_history"] and len(offered) == 6
    assert "codes" not in offered and "looked at" not in page
    little = r'<p class="hint">40 rows, in forum</p><p class="hint">[67]\.\d kB is little text: expect'
    assert re.search(little, page)
    assert "how many bits a model still needs" in page
    whole = await text_of(datasette, "/-/nanogpt?tables=1")  # the part that a script asks for
    assert re.findall(r'href="/forum/(\w+)/-/nanogpt"', whole) == offered and "<h1>" not in whole
    assert (
        whole.count(" rows, ") == 6 and "data-url" not in whole and 'data-url="/-/nanogpt?tables' not in page
    )
    trainable_tables._known.cache_clear()
    monkeypatch.setattr(trainable_tables, "LOOKING_SECONDS", 0)  # the page comes all the same, without any
    page = await text_of(datasette, "/-/nanogpt")
    assert len(re.findall(r'href="/forum/(\w+)/-/nanogpt"', page)) == 6
    assert " rows, " not in page and 'data-url="/-/nanogpt?tables=1"' in page
    monkeypatch.setattr(trainable_tables, "LOOKED_AT", 7)
    assert 'href="/forum/post/' not in await text_of(datasette, "/-/nanogpt?tables=1")
    datasette.close()


async def test_a_table_with_too_little_text_is_not_offered_but_says_why(home, tmp_path):
    path = tmp_path / "notes.db"
    db = sqlite3.connect(path)
    with db:
        db.execute("create table few (id integer primary key, title text, body text)")
        db.executemany(
            "insert into few (title, body) values (?, ?)", [("Note", "Buy good bread."), ("", "Call.")]
        )
    db.close()
    datasette = await serve(path)
    page = await text_of(datasette, "/-/nanogpt?tables=1")
    assert "too little to train on" in page and "Train a GPT" not in page and "2 rows, in notes" in page
    refused = re.search(r"refused\">([^<]+)<", page)[1]
    form = await text_of(datasette, "/notes/few/-/nanogpt")
    assert refused in re.sub("</?strong>", "", form)  # the form says the same
    with sqlite3.connect(path) as db:
        db.execute("insert into few (title, body) select 'Note', hex(randomblob(2000))")
    assert "Train a GPT on few" in await text_of(datasette, "/-/nanogpt?tables=1")  # it was read again
    datasette.close()


async def test_the_card_of_a_table_says_what_its_form_does(home, tmp_path, monkeypatch, make_model):
    """It offered 15.6 kB of text, of which the form read none, and 2.00 MB where the form said 1.98 MB."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("create table item (sku text primary key, tags text)")
        tags = (f'["red", "kitchen {i % 9}", "sale"]' for i in range(400))
        db.executemany(
            "insert into item values (?, ?)", ((f"A-{i:04d}", each) for i, each in enumerate(tags))
        )
        for table, rows in (("page", 900), ("note", 90)):
            db.execute(f"create table {table} (id integer primary key, body text)")
            text = "<p>We meet at the <b>old mill</b> beside the river, and wait for boat %s.</p>"
            db.executemany(f"insert into {table} (body) values (?)", ((text % i * 2,) for i in range(rows)))
    datasette = await serve(path)
    monkeypatch.setattr(trainable_tables, "LOOKING_SECONDS", 60)
    page = await text_of(datasette, "/-/nanogpt")
    cards = {re.search(r"<h4>(\w+)", card)[1]: card for card in page.split("<article>")[1:]}
    assert "400 rows, no column of plain text, in shop" in cards["item"]
    assert ">Choose what to read</a>" in cards["item"] and "Train a GPT" not in cards["item"]
    form = await text_of(datasette, "/shop/item/-/nanogpt")
    assert "The table has no column of plain text." in form
    size = re.search(r"900 rows, ([\d.]+ MB of text), in shop", cards["page"])[1]
    assert f"900 rows, about {size}." in await text_of(datasette, "/shop/page/-/nanogpt")
    little = re.search(r'<p class="hint">([^<]+is little text: expect [^<]+)</p><p><a', cards["note"])[1]
    form = await text_of(datasette, "/shop/note/-/nanogpt")
    assert little in re.sub("</?strong>", "", form) and "90 rows, in shop" in cards["note"]
    # Folded away below the models, they are not read until somebody opens them.
    make_model("nanogpt-shop", meta={"source": {"database": str(path), "table": "page"}})
    assert "900 rows, " + size in await text_of(datasette, "/-/nanogpt")
    trainable_tables._known.cache_clear()
    monkeypatch.setattr(trainable_tables, "measure_rows", None)
    page = await text_of(datasette, "/-/nanogpt")
    assert '<p class="hint">900 rows, in shop</p>' in page and 'data-url="/-/nanogpt?tables=1"' in page
    datasette.close()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"status": "failed", "error": "The name a is taken. Choose another with --name."},
            "the name a is taken",
        ),
        ({"status": "failed", "error": "ValueError: it is 1.5 <b>\nTraceback"}, "ValueError: it is 1.5 <b>"),
        ({"status": "failed", "error": "It went " + "wrong " * 40}, "it went " + "wrong " * 10 + "…"),
        ({"status": "failed", "error": None}, None),
        ({"status": "interrupted", "cause": "memory", "error": "Signal 9"}, "memory ran out"),
        ({"status": "failed", "cause": "diverged", "error": "Loss is NaN"}, "training broke down"),
        ({"status": "stopped", "step": 1200, "val_bpb": 2.0}, "at step 1,200"),
        ({"status": "stopped", "step": None, "val_bpb": None}, "before its first step, with nothing to keep"),
        ({"status": "finished", "error": None}, None),
    ],
)
async def test_the_list_says_in_half_a_line_why_a_run_broke_off(database, runs, home, values, says):
    with registry(home) as db:
        update_run(db, runs["over"], {"ended": "2026-01-01T11:00:00"} | values)
    datasette = await serve(database, memory=True)
    text = await text_of(datasette, "/-/nanogpt")
    reasons = [html.unescape(each) for each in re.findall('<span class="why">(.*?)</span>', text)]
    assert reasons == ([says] if says else [])
    settings = {"databases": {"blog": {"permissions": {"nanogpt-train": {"id": "root"}}}}}
    datasette.close()
    datasette = await serve(database, memory=True, config=settings)
    text = await text_of(datasette, "/-/nanogpt", WRITER)  # an error may name folders
    assert ('class="why"' in text) is bool(
        says and not values.get("error", "").startswith(("The", "Val", "It"))
    )
    datasette.close()


async def test_a_phone_has_ten_runs_at_first(datasette, home, database):
    for run in range(1, 12):
        settings = {"database": str(database), "table": ["entry"], "name": f"nanogpt-{run}"}
        queue.enqueue(home, str(database), settings, None, 99)
        with registry(home) as db:
            db.execute("update runs set status = 'finished'")
        if run >= 10:
            assert ("All 11 runs" in await text_of(datasette, "/-/nanogpt")) is (run == 11)


async def test_a_model_is_shown_with_a_line_that_it_wrote(datasette, runs, home):
    text = await text_of(datasette, "/-/nanogpt")
    assert "“entry &lt;b&gt;wrote this 45”" in text
    model = await text_of(datasette, "/-/nanogpt/models/nanogpt-blog")  # all of it
    assert "entry &lt;b&gt;wrote this 45\nor so" in model
    with registry(home) as db:  # another table's model had the name before
        db.execute("update runs set \"table\" = 'hush' where id = ?", [runs["over"]])
    assert "wrote this" not in await text_of(datasette, "/-/nanogpt")


async def test_two_runs_are_compared(database, runs, home):
    datasette = await serve(database, memory=True, config={"databases": {"blog": HUSH}})
    address = f"/-/nanogpt/compare?run={runs['over']}&run={runs['now']}"
    answer = (await datasette.client.get(address.replace("?", ".json?"), actor=ROOT)).json()
    assert ["layers", "3", "2"] in answer["settings"] and ["bits per byte", "2.400", "3.100"] in answer[
        "figures"
    ]
    assert ["after 20s", "3.400", "3.300"] in answer["scores"]
    text = await text_of(datasette, address)
    assert text.count("<polyline") == 4 and text.index("<polyline") < text.index('id="differ"')
    assert text.count("<circle") == 12 and "different held-out rows" in text  # nothing is known of their rows
    assert text.count("2.400") == 2  # its final score, and after the last time that both have
    with registry(home) as db:
        db.execute("update runs set plan = ?", [json.dumps({"corpus": {"sha256": "a"}})])
    text = await text_of(datasette, address)
    headline = f"After 45s each, run {runs['now']} is 0.100 bits per byte (4%) better."  # which goes on
    assert text.index(headline) < text.index("<polyline")
    assert text.count('<line class="mark"') == 2 and text.count(">45s each</text>") == 2  # in both charts
    assert '<td class="best">3.300</td>' in text and "The same in both" in text
    with registry(home) as db:
        insert(db, "samples", {"run": runs["over"], "step": 9, "sample": "A fox <b>writes</b>."})
    assert "A fox &lt;b&gt;writes&lt;/b&gt;." in await text_of(datasette, address)
    hidden = f"/-/nanogpt/compare?run={runs['over']}&run={runs['hush']}"
    assert (await datasette.client.get(hidden, actor=WRITER)).status_code == 404
    response = await datasette.client.get(f"/-/nanogpt/compare?run={runs['over']}", actor=ROOT)
    assert response.status_code == 302 and response.headers["location"] == "/-/nanogpt"
    assert "Tick the boxes of two runs" in str(datasette.unsign(response.cookies["ds_messages"], "messages"))
    response = await datasette.client.get("/-/nanogpt/compare.json", actor=ROOT)
    assert response.status_code == 400 and response.json()["error"] == "Name two runs, as in ?run=1&run=2"
    datasette.close()
