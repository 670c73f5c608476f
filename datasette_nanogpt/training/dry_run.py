"""What a run would train on and how, without training: `datasette nanogpt-train --dry-run`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.home import nanogpt_home

from ..data.preview import preview
from ..events import Event, Prepared
from .check import check
from .options import TrainOptions

DOCUMENTS = 3  # shown of each table


def preview_table(options: TrainOptions) -> Iterator[Event]:
    """Yields Preview, Progress, then Prepared: all that `train_table` tells before it trains.

    It writes no model and no run; the tokens are kept in the cache, so that the run itself starts sooner.
    Raises what `train_table` raises for these options.
    """
    if options.resume:
        message = "A dry run shows what a new run would read: a resumed one reads what it read before"
        raise InvalidOptions([Problem("resume", "conflict", message)])
    corpus, _ = check(options)
    if corpus is None:  # as only a resumed run has none
        return
    yield preview(corpus, DOCUMENTS)
    from llm_nanogpt.device import choose_device

    from .recipe import resolve
    from .table_run import describe_model, prepare_text

    home = nanogpt_home()
    home.mkdir(parents=True, exist_ok=True)
    device, device_reason = choose_device(options.device, 1)
    with tempfile.TemporaryDirectory(prefix=".dry-run-", dir=home) as folder:
        tokenizer, counts = yield from prepare_text(options, corpus, Path(folder), home)
    why, stages = resolve(options, counts["train_tokens"], tokenizer.n_vocab, device)
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
        replaces=describe_model(home / options.model_name),
    )
