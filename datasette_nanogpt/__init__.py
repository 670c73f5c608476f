"""Datasette hooks: each one thin, each importing what it needs only when called."""

from pluggy import HookimplMarker

# What `datasette.hookimpl` is, without importing datasette: llm imports this package, too.
hookimpl = HookimplMarker("datasette")


@hookimpl
def register_commands(cli):
    from .cli import register

    register(cli)


@hookimpl
def register_actions(datasette):
    from datasette.permissions import Action
    from datasette.resources import TableResource

    return [
        Action(name=name, description=what, resource_class=TableResource, also_requires="view-table")
        for name, what in (
            ("nanogpt-train", "Train a GPT on a table"),
            ("nanogpt-generate", "Write with the GPT of a table"),
        )
    ]


@hookimpl
def startup(datasette):
    async def inner():
        from llm_nanogpt.home import nanogpt_home

        from .web.forms import Limits
        from .web.polling import News
        from .web.worker import Worker

        most = Limits.of(datasette).max_parameters
        datasette._nanogpt = Worker(nanogpt_home(), datasette.plugins_dir, most)
        datasette._nanogpt.news = News(datasette._nanogpt.home)
        datasette.add_background_task(datasette._nanogpt.work, name="nanogpt")

    return inner


@hookimpl
def shutdown(datasette):
    async def inner():
        if worker := getattr(datasette, "_nanogpt", None):
            await worker.close()

    return inner


@hookimpl
def register_routes():
    from .web.pages import rows as rows_page
    from .web.pages import views

    table = r"^/(?P<database>[^/]+)/(?P<table>[^/]+)/-/nanogpt"
    return [
        (r"^/-/nanogpt(?:\.(?P<format>json))?$", views.index_page),
        (r"^/-/nanogpt/runs/(?P<run>\d{1,15})(?:\.(?P<format>json))?$", views.run_page),
        (r"^/-/nanogpt/runs/(?P<run>\d{1,15})\.csv$", views.run_csv),
        (r"^/-/nanogpt/runs/(?P<run>\d{1,15})/(?P<change>stop|stop-now|resume|delete)$", views.run_change),
        (r"^/-/nanogpt/models/(?P<model>[^/]+?)(?:\.(?P<format>json))?$", views.model_page),
        (table + r"(?:\.(?P<format>json))?$", views.table_page),
        (table + r"/rows(?:\.(?P<format>json))?$", rows_page.rows_page),
    ]


@hookimpl
def menu_links(datasette, actor):
    async def inner():
        from .web.permissions import may_anywhere

        if await may_anywhere(datasette, actor):
            return [{"href": datasette.urls.path("/-/nanogpt"), "label": "GPTs"}]

    return inner


@hookimpl
def table_actions(datasette, actor, database, table, request):
    async def inner():
        from .web.forms import action_links
        from .web.pages.rows import table_link

        links = await action_links(datasette, actor, database, table, request)
        return links + await table_link(datasette, actor, database, table)

    return inner


@hookimpl
def row_actions(datasette, actor, database, table, row):
    async def inner():
        from .web.pages.rows import row_link

        return await row_link(datasette, actor, database, table, row)

    return inner


@hookimpl
def view_actions(datasette, actor, database, view, request):
    return table_actions(datasette, actor, database, view, request)
