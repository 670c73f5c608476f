"""The text of a run, prepared as its options ask."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from ..data.corpus import Corpus
from ..data.prepare import PreparedCorpus, TokenizerChoice, prepare
from ..events import Progress
from .options import TrainOptions


def prepare_text(
    options: TrainOptions, corpus: Corpus, folder: Path, home: Path
) -> Generator[Progress, None, PreparedCorpus]:
    """Read and tokenize the rows of a corpus, as the options ask. See `prepare`."""
    return prepare(
        corpus,
        folder,
        home,
        tokenizer=TokenizerChoice(options.tokenizer or "bpe", options.vocab_size),
        seed=options.seed or 0,
        cache=not options.no_cache,
    )
