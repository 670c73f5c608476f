"""What a run does before its first model: rows to tokens, and a plan."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path

from ..data.corpus import Corpus
from ..data.prepare import PreparedCorpus, TokenizerChoice, prepare
from ..events import Prepared, Progress
from .disk import check_disk
from .enough_text import check_enough_text
from .join_models import JOINING_BYTES, planned_parameters
from .memory import estimate_memory
from .model_folder import ModelFolder
from .options import TrainOptions
from .recipe import largest_workload, plan_stages
from .replaced import Replaced


def prepare_text(
    options: TrainOptions, corpus: Corpus, folder: Path, home: Path
) -> Generator[Progress, None, PreparedCorpus]:
    """Read and tokenize rows as the options ask, by `prepare`. Raises InvalidOptions for too short a text."""
    text = yield from prepare(
        corpus,
        folder,
        home,
        tokenizer=TokenizerChoice(options.tokenizer or "bpe", options.vocab_size),
        seed=options.seed or 0,
        cache=not options.no_cache,
    )
    check_enough_text(options.given(), text.corpus)
    return text


def plan_models(
    options: TrainOptions, corpus: Corpus, text: PreparedCorpus, staging: Path, final: Path, device: str
) -> ModelFolder:
    """Plan the models of a run, and begin its folder in `staging`. Raises NanogptError for a run that does
    not fit in the memory or on the disk."""
    tokenizer, counts = text
    tokens = counts["train_tokens"]
    why, stages = plan_stages(options, tokens, tokenizer.n_vocab, device, counts["titles"])
    why += check_disk(staging, stages, tokens, planned_parameters(stages, options.given()))
    config = stages[0].config
    tokenizer.save(staging, config.block_size)
    meta = {
        "name": options.model_name,
        "source": corpus.describe(),
        "corpus": counts,
        "tokenizer": options.tokenizer or "bpe",
        "plan": why,
        "options": options.given(),
    }
    return ModelFolder(staging, config, stages, tokenizer, meta, final)


def describe_plan(
    folder: ModelFolder, device_reason: str, replaces: Replaced | None, resumed_from: int | None = None
) -> Prepared:
    """What a run is about to do: a new one, or one that goes on from the step `resumed_from`."""
    meta, (config, settings) = folder.meta, folder.stages[-1]
    joining = JOINING_BYTES * planned_parameters(folder.stages, meta["options"])
    return Prepared(
        name=folder.final.name,
        folder=str(folder.final),
        source=meta["source"],
        corpus=meta["corpus"],
        config=config,
        settings=asdict(settings),
        tokenizer=meta["tokenizer"],
        device_reason=device_reason,
        plan_reason=meta.get("plan", ""),
        resumed_from=resumed_from,
        **(replaces.as_plan() if replaces else {}),
        memory=estimate_memory(largest_workload(folder.stages)) + joining,
    )
