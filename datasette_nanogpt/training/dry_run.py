"""What a run would train on and how, without training: `datasette nanogpt-train --dry-run`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict

from llm_nanogpt.changes import hold
from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.home import make_home, nanogpt_home
from llm_nanogpt.locks import hidden

from ..data.preview import preview
from ..events import Event, Prepared
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
    corpus, _ = check(options)
    options = name_table(options, corpus)
    if corpus is None:  # as only a resumed run has none
        return
    yield preview(corpus, DOCUMENTS, typed_command(options))
    from llm_nanogpt.device import choose_device

    from .enough_text import check_enough_text
    from .memory import estimate_memory
    from .recipe import largest_workload, resolve
    from .replaced import look_at
    from .run_text import prepare_text

    home = nanogpt_home()
    make_home(home)
    device, device_reason = choose_device(options.device, 1)
    place = home / f"+dry-run-{os.getpid()}"  # as no model is called; `hold` deletes what is beside it
    with hold(place):
        folder = hidden(place, "new")
        folder.mkdir()
        tokenizer, counts = yield from prepare_text(options, corpus, folder, home)
    check_enough_text(options.given(), counts)
    why, stages = resolve(options, counts["train_tokens"], tokenizer.n_vocab, device)
    meta = {"corpus": counts, "options": options.given()}
    replaces = look_at(home / options.model_name, meta)
    yield Prepared(
        name=options.model_name,
        folder=str(home / options.model_name),
        source=corpus.describe(),
        corpus=counts,
        config=stages[-1].config,
        settings=asdict(stages[-1].settings),
        tokenizer=options.tokenizer or "bpe",
        device_reason=device_reason,
        plan_reason=why,
        resumed_from=None,
        **(replaces.as_plan() if replaces else {}),
        memory=estimate_memory(largest_workload(stages)),
    )
