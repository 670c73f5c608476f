"""Prompts to try a model with: titles, or first words, of rows that were held out from its training."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path

from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.conditions import layout_of
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.titles import Titles
from llm_nanogpt.tokenizer import Tokenizer

from ..data.token_files import document_ends, open_tokens
from ..training.prompt import TITLE_CHARACTERS, TOKENS, first_words

PROMPTS = 5
LOOKED_AT = 40  # held-out documents, for PROMPTS that are short enough and differ


def prompts_to_try(checkpoint: Checkpoint) -> list[str]:
    """Titles where the model knows titles, else first words; none where its token files are not there."""
    try:
        return _prompts(checkpoint.path, checkpoint.version)
    except NanogptError:  # it was removed meanwhile
        return []


def asks_for_title(checkpoint: Checkpoint) -> bool:
    """Whether there is a field for a title. Above a text by a template may stand something else."""
    return checkpoint.config.titles and not (checkpoint.meta.get("source") or {}).get("template")


def columns_to_set(checkpoint: Checkpoint) -> list[str]:
    """The columns of a template that can be given to `llm nanogpt sample`; none without a template."""
    source = checkpoint.meta.get("source") or {}
    try:
        return layout_of(source).settable if source.get("template") else []
    except NanogptError:  # they cannot be told apart
        return []


@lru_cache(maxsize=64)
def _prompts(folder: Path, _version: str) -> list[str]:
    checkpoint = read_checkpoint(folder)
    try:
        tokens = open_tokens(folder / "training" / "val.bin", checkpoint.config.vocab_size)
    except (OSError, ValueError):
        return []
    tokenizer = Tokenizer.load(folder)
    titles = Titles(tokenizer, checkpoint.config)
    found: dict[str, None] = {}
    for begin, end in islice(pairwise(document_ends(tokens)), LOOKED_AT):
        if asks_for_title(checkpoint):
            prompt = tokenizer.decode(titles.head(tokens[begin : begin + titles.longest])).strip()
        else:
            prompt = first_words(
                tokenizer.decode(tokens[begin + 1 : min(end, begin + TOKENS)]).rstrip("\ufffd")
            )
        if prompt and len(prompt) <= TITLE_CHARACTERS:
            found[prompt] = None
    return list(found)[:PROMPTS]
