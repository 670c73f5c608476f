"""The rows that a table's page shows are the rows to train on: held against Datasette's own count of them."""

import json

import pytest
import sqlite_utils
from conftest import TEXTS, serve
from datasette import hookimpl
from datasette.filters import FilterArguments
from datasette.plugins import pm

from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.web.filters import with_values

ROOT = {"id": "root"}


class Plugin:
    @hookimpl
    def filters_from_request(self, request):
        if request.args.get("_odd"):
            return FilterArguments(["is_odd(id)"])

    @hookimpl
    def prepare_connection(self, conn):
        conn.create_function("is_odd", 1, lambda n: n % 2)


@pytest.fixture
async def datasette(tmp_path, home):
    db = sqlite_utils.Database(tmp_path / "blog.db")
    db["place"].insert_all([{"id": 1, "name": "here"}, {"id": 2, "name": "th'ere"}], pk="id")
    rows = [
        {
            "id": i,
            "title": None if i % 7 == 0 else f"T:p0 {i}",
            "body": text,
            "tags": json.dumps([i % 3]),
            "place": i % 2 + 1,
        }
        for i, text in enumerate(TEXTS)
    ]
    db["entry"].insert_all(rows, pk="id", foreign_keys=[("place", "place", "id")])
    db["entry"].enable_fts(["title", "body"])
    db["bare"].insert_all({"body": row["body"]} for row in rows)
    db["tag"].insert_all(
        ({"entry": i, "word": f"w{i % 5}"} for i in range(300)), foreign_keys=[("entry", "entry", "id")]
    )
    pm.register(plugin := Plugin())
    datasette = await serve(tmp_path / "blog.db")
    yield datasette
    datasette.close()
    pm.unregister(plugin)


@pytest.mark.parametrize(
    "query",
    [
        {"_search": "café"},
        {"_search": 'lazy "a dog"', "id__gt": "100"},
        {"_search": "it's 5' OR *"},  # as one types it, not as FTS reads it
        {"_search_title": "p0"},
        {"_search": "caf* NOT 23", "_searchmode": "raw"},
        {"body__contains": "Zoë’s", "id__lte": "200", "_sort_desc": "id", "_size": "10"},
        {"_where": "id < 10 or id > 290", "id__gt": "5"},
        {"_where": "title like ':p0' or 1", "title__startswith": "T:p0 1"},
        {"id__in": ",".join(map(str, range(270, 310))), "place": "2"},
        {"tags__arraycontains": "2"},
        {"title__isnull": "1"},
        {"_through": json.dumps({"table": "tag", "column": "word", "value": "w3"})},
        {"body__nosuchfilter": "1"},
    ],
    ids=lambda query: "-".join(query),
)
async def test_the_rows_are_those_of_the_page(datasette, home, query):
    theirs = await datasette.client.get(
        "/blog/entry.json", params={**query, "_extra": "count", "_size": 0}, actor=ROOT
    )
    count = theirs.json()["count"]
    page = await datasette.client.get("/blog/entry/-/nanogpt.json", params=query, actor=ROOT)
    if not count:
        assert "matches the condition" in page.json()["error"]
        return
    offer = page.json()["offer"]
    assert offer["rows"] == count and (count < 300 or offer["left_out"] or "or 1" in offer["where"])
    response = await datasette.client.post(
        "/blog/entry/-/nanogpt", params=query, data={"minutes": "1"}, actor=ROOT
    )
    assert response.status_code == 302
    assert json.loads(find_runs(home)[0]["settings"]).get("where") == offer["where"]


async def test_rows_of_a_table_without_a_key_have_a_number(datasette):
    response = await datasette.client.get("/blog/bare/-/nanogpt.json?rowid__lte=50", actor=ROOT)
    assert response.json()["offer"]["rows"] == 50


async def test_what_is_left_out_is_told(datasette):
    path = "/blog/bare/-/nanogpt?_search=fox&nosuch=%3Ci%3E&body__odd=1&body__contains=lazy"
    text = (await datasette.client.get(path, actor=ROOT)).text
    for told in (
        "_search: bare has no full-text search",
        "nosuch: there is no column nosuch",
        "body__odd: Datasette has no such filter",
    ):
        assert f"This filter is not applied here: {told}" in text
    assert "200 rows (where body contains &#34;lazy&#34;)" in text
    text = (await datasette.client.get("/blog/entry/-/nanogpt?_search=lazy", actor=ROOT)).text
    assert "not applied here" not in text and "where search matches &#34;lazy&#34;" in text


async def test_a_filter_with_a_function_of_the_servers_is_read_as_on_the_tables_page(datasette, home):
    theirs = await datasette.client.get("/blog/entry.json?_odd=1&_size=0&_extra=count")
    assert theirs.json()["count"] == 150
    page = (await datasette.client.get("/blog/entry/-/nanogpt?_odd=1", actor=ROOT)).text
    assert "150 rows" in page and "no such function" not in page
    assert not home.exists()  # nothing is made by looking


def test_values_in_a_condition_stay_values():
    params = {"p0": "x' or 1 --", "p1": 5}
    assert with_values('":p0" = :p0 and a > :p1', params) == "\":p0\" = 'x'' or 1 --' and a > 5"
    assert with_values("a match escape_fts(:search)", {"search": "it's"}) == "a match '\"it''s\"'"
    assert with_values("a = ':p0' and b = :other", params) == "a = ':p0' and b = :other"
