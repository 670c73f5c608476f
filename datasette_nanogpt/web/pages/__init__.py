"""The pages, each of which has its JSON. Each view checks permissions first."""

from __future__ import annotations

from datasette import NotFound, Request, Response
from datasette.app import Datasette

from ..responses import View, page
from .compare import compare_page
from .index import index_page
from .model import model_page
from .rows import rows_page
from .run import run_change, run_csv, run_page
from .table import table_page
from .texts import text_change

TABLE = r"^/(?P<database>[^/]+)/(?P<table>[^/]+)/-/nanogpt"
RUN = r"^/-/nanogpt/runs/(?P<run>\d{1,15})"
MODEL = r"^/-/nanogpt/models/(?P<model>[^/]+?)"
JSON = r"(?:\.(?P<format>json))?$"


def routes() -> list[tuple[str, View]]:
    """The patterns of the addresses, and their views."""
    return [
        (r"^/-/nanogpt" + JSON, index_page),
        (r"^/-/nanogpt/compare" + JSON, compare_page),
        (RUN + JSON, run_page),
        (RUN + r"\.csv$", run_csv),
        (RUN + r"/(?P<change>stop|stop-now|resume|restore|delete)$", run_change),
        (MODEL + JSON, model_page),
        (MODEL + r"/(?P<change>copied|surprise|keep)$", text_change),
        (MODEL + r"/texts/(?P<text>\d{1,15})/(?P<change>remove)$", text_change),
        (TABLE + JSON, table_page),
        (TABLE + r"/rows" + JSON, rows_page),
        (r"^/-/nanogpt/.+?" + JSON, _no_page),
    ]


@page()
async def _no_page(datasette: Datasette, request: Request) -> Response:
    """Any other address below ours, which Datasette would take for that of a row, and answer with status 500
    where rich is installed."""
    raise NotFound(f"There is no such page: all models and runs are at {datasette.urls.path('/-/nanogpt')}")
