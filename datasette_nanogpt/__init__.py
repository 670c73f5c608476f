"""Datasette hooks: each one thin, each importing what it needs only when called."""

from datasette import hookimpl


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
        from llm_nanogpt.checkpoint import nanogpt_home

        from .jobs import Worker

        datasette._nanogpt = Worker(nanogpt_home())
        datasette.add_background_task(datasette._nanogpt.work, name="nanogpt")

    return inner


@hookimpl
def shutdown(datasette):
    async def inner():
        if worker := getattr(datasette, "_nanogpt", None):
            await worker.close()

    return inner
