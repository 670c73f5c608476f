"""What a run would train on and how, without training: `datasette nanogpt-train --dry-run`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from llm_nanogpt.changes import hold
from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.home import make_home, nanogpt_home
from llm_nanogpt.locks import hidden

from ..data.preview import preview, refuse_without_text
from ..events import Event
from .check import check, name_table
from .options import TrainOptions, typed_command

DOCUMENTS = 3  # shown of each table


def preview_table(options: TrainOptions) -> Iterator[Event]:
    """Yields Preview, Progress, then Prepared: everything that `train_table` reports before it trains.

    It writes no model and no run; the tokens are kept in the cache, so that the run itself starts sooner.
    Raises what `train_table` raises for these options.
    """
    if options.resume:
        message = "A dry run shows what a new run would read: a resumed one reads what it read before"
        raise InvalidOptions([Problem("resume", "conflict", message)])
    corpus, _ = check(options, "--dry-run")
    options = name_table(options, corpus)
    if corpus is None:  # as only a resumed run has none
        return
    shown = preview(corpus, DOCUMENTS, typed_command(options))
    refuse_without_text(corpus, shown)
    yield shown
    from llm_nanogpt.device import choose_device

    from .preparation import describe_plan, plan_models, prepare_text
    from .replaced import find_replaced

    home, final = nanogpt_home(), nanogpt_home() / options.model_name
    make_home(home)
    device, device_reason = choose_device(options.device, 1)
    place = home / f"+dry-run-{os.getpid()}"  # as no model is called; `hold` deletes what is beside it
    with hold(place):
        staging = hidden(place, "new")  # of the parts of a model, or `hold` would take it for somebody's own
        (staging / "training").mkdir(parents=True)
        text = yield from prepare_text(options, corpus, staging / "training", home)
        folder = plan_models(options, corpus, text, staging, final, device)
    yield describe_plan(folder, device_reason, find_replaced(final, folder.meta))
