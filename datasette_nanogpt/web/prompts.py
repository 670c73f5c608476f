"""Prompts to try a model with: titles, columns or first words of rows held out from training."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from pathlib import Path

from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.titles import Titles
from llm_nanogpt.tokenizer import Tokenizer

from ..data.token_files import documents
from ..training.prompt import TITLE_CHARACTERS, TOKENS, first_words, soonest_typed
from .play_settings import COLUMN
from .template_columns import held_out_columns, settable

PROMPTS = 5  # how many are offered
LOOKED_AT = 40  # held-out documents that are read to find PROMPTS that are short enough and differ


Fields = dict[str, str]  # the name of a field of the playground -> what to fill in


def prompts_to_try(checkpoint: Checkpoint) -> list[tuple[str, Fields]]:
    """The label of each button, and the fields that it fills in: a title where the model knows titles,
    columns where it has a template, else first words. Empty for a model without token files."""
    try:
        return _prompts(checkpoint.path, checkpoint.version)
    except NanogptError:  # the model was removed meanwhile
        return []


def asks_for_title(checkpoint: Checkpoint) -> bool:
    """Whether the page has a field for a title. With a template, what stands above a text may be no title."""
    return checkpoint.config.titles and not (checkpoint.meta.get("source") or {}).get("template")


@lru_cache(maxsize=64)
def _prompts(folder: Path, _version: str) -> list[tuple[str, Fields]]:
    checkpoint = read_checkpoint(folder)
    if settable(checkpoint):
        return _columns(checkpoint)
    field = "title" if asks_for_title(checkpoint) else "prompt"
    return [(text, {field: text}) for text in _texts(checkpoint)]


def _columns(checkpoint: Checkpoint) -> list[tuple[str, Fields]]:
    """The columns of held-out rows. The longest value, which tells them apart best, is the label."""
    found: dict[str, Fields] = {}
    for columns in islice(held_out_columns(checkpoint, TOKENS), LOOKED_AT):
        if columns:
            found[max(columns.values(), key=len)] = {COLUMN + name: value for name, value in columns.items()}
    return sorted(found.items(), key=lambda item: -len(item[1]))[:PROMPTS]


def _texts(checkpoint: Checkpoint) -> list[str]:
    tokenizer = Tokenizer.load(checkpoint.path)
    titles = Titles(tokenizer, checkpoint.config)
    found: dict[str, None] = {}
    texts: list[str] = []
    for ids in islice(documents(checkpoint.path, "val.bin", checkpoint.config.vocab_size), LOOKED_AT):
        if asks_for_title(checkpoint):
            prompt = tokenizer.decode(titles.head(ids)).strip()
        else:
            texts.append(tokenizer.decode(ids[1:TOKENS]).rstrip("\ufffd"))
            prompt = first_words(texts[-1])
        if prompt and len(prompt) <= TITLE_CHARACTERS:
            found[prompt] = None
    return soonest_typed(list(found), texts)[:PROMPTS]
