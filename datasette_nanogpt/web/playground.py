"""Writing with a model in the browser: the text as it is generated, its copied passages, its surprise."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasette.app import Datasette

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.counts import counted
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.streaming import in_time_slices

from ..data.memorization import Memorized, SearchResult, find_memorized
from ..data.model_rows import open_rows
from ..data.source import QUERY, Selection
from ..registry.row_scores import row_path
from .for_visitors import reading_for_visitors
from .play_settings import SAMPLER_SETTINGS, llm_line, python_lines
from .template_columns import written_columns
from .threads import read_database

if TYPE_CHECKING:
    from llm_nanogpt.generate import Continuation

SLICE_SECONDS = 0.05  # the interval at which text is sent
COLOURED_TOKENS = 4096  # how many tokens of a text are coloured: each costs a pass over all weights
Event = dict[str, Any]  # a line of the answer, as JSON


def generate_texts(folder: Path, settings: Mapping[str, Any]) -> Generator[Event]:
    """Write as many texts as the settings ask for, with consecutive seeds.

    Yields {"sample": i, "seed": its seed, "begins": its prompt, after the columns that are given} before each
    text; {"text": ..., "tokens": ...} for each piece of it, with a `Surprise` for each token that was written
    since; {"ended": i, "outcome": a sentence} after it. Closing this stops the work.
    """
    from llm_nanogpt.conditions import RowContinuation, write_text
    from llm_nanogpt.loading import open_model
    from llm_nanogpt.surprise import LIKELY, surprise_of_writing

    opened = open_model(folder)
    how = {name: settings[name] for name in SAMPLER_SETTINGS}
    first = settings["seed"] if settings["seed"] is not None else Sampler().seed or 0
    for i in range(settings["samples"]):
        sampler = Sampler(**how, seed=first + i)
        run = write_text(
            opened,
            settings["prompt"],
            sampler=sampler,
            values=settings["set"],
            logprobs=LIKELY,
            **{name: settings[name] for name in ("max_tokens", "title", "guidance", "stop")},
        )
        begins = run.prompt if isinstance(run, RowContinuation) else settings["prompt"]
        yield {"sample": i, "seed": sampler.seed, "begins": begins}
        sent = 0  # tokens of the text so far
        with closing(run):
            for piece in run:
                tokens = surprise_of_writing(run, sent)
                sent += len(tokens)
                yield {"text": piece, "tokens": tokens}
        yield {"ended": i, "outcome": outcome(run)}


def outcome(run: Continuation) -> str:
    """Why a text ends where it does, and how much of its prompt did not fit into the context."""
    pieces = counted(run.new_tokens, "piece")
    if run.stop_text is not None:
        sentence = f"It was ended by the stop text {run.stop_text!r}, after {pieces}."
    elif run.finish_reason == "length":
        sentence = f"It was cut at {pieces}."
    else:
        sentence = f"It ended by itself, after {pieces}."
    if run.dropped_tokens:
        sentence += (
            f" The first {run.dropped_tokens:,} pieces of the prompt did not fit"
            f" into the model's context of {run.model.config.block_size:,}."
        )
    return sentence


async def write_and_compare(
    checkpoint: Checkpoint, settings: Mapping[str, Any], datasette: Datasette, database: str
) -> AsyncGenerator[Event]:
    """The events of `generate_texts`; then {"copied": i, ...} for each text, with its copied passages; at the
    end {"done": True, ...}, with the same for a terminal and Python. Raises NanogptError if the model or its
    table cannot be read."""
    texts: list[str] = []
    seeds: list[int] = []
    slices = in_time_slices(generate_texts(checkpoint.path, settings), SLICE_SECONDS)
    try:
        async for events in slices:
            for event in events:
                if "sample" in event:
                    texts.append("")
                    seeds.append(event["seed"])
                elif "text" in event:
                    texts[-1] += event["text"]
                elif "ended" in event:
                    event.update(written_columns(checkpoint, settings, texts[-1]))
                yield event
    finally:
        await slices.aclose()
    # Only what the model wrote is compared with the rows, not the prompt.
    result = await read_database(find_copied, checkpoint, texts)
    for i, memorized in enumerate(result.texts):
        yield {"copied": i, **memorized_as_json(memorized, datasette, database)}
    same = {**settings, "seed": seeds[0]}
    yield {
        "done": True,
        "rows": result.rows,
        "all_rows": result.complete,
        "llm": llm_line(checkpoint.name, same),
        "python": python_lines(checkpoint.name, same),
    }


# ---- Texts that exist


def find_copied(checkpoint: Checkpoint, texts: list[str]) -> SearchResult:
    """Search a model's rows for passages of the texts. Raises NanogptError if they cannot be read."""
    source = checkpoint.meta["source"]
    with reading_for_visitors(source["database"]):
        return find_memorized(texts, _training_rows(source, checkpoint))


def _training_rows(
    source: Mapping[str, Any], checkpoint: Checkpoint
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Table, primary key and document of each row that the `source` of a checkpoint names."""
    if source.get("sql"):
        opened = [open_rows(checkpoint, source["database"], QUERY, Selection(sql=source["sql"]))]
    else:
        selection = Selection(where=source.get("where"))
        tables = [known["table"] for known in source.get("tables") or [source] if known.get("table")]
        opened = [open_rows(checkpoint, source["database"], table, selection) for table in tables]
    for rows in opened:
        for keys, document in rows.keyed_documents():
            yield rows.table, keys, document


def memorized_as_json(memorized: Memorized, datasette: Datasette, database: str) -> dict[str, Any]:
    """The copied passages of a text: where they are in it, in characters, and the addresses of their rows."""
    passages = []
    for passage in memorized.passages:
        row = row_path([*passage.keys.values()])
        url = str(datasette.urls.row(database, passage.table, row)) if row else None
        place = {"start": passage.start, "end": passage.end}
        passages.append({**place, "words": passage.words, "url": url})
    return {
        "passages": passages,
        "fraction": round(memorized.fraction, 3),  # of the text's words
        "longest": memorized.longest,
        "words": memorized.words,
    }


def surprise(folder: Path, text: str) -> dict[str, Any]:
    """The `Surprise` of each token of a text, up to COLOURED_TOKENS, and a sentence about them. Raises
    NanogptError if the model cannot be read or there is no text."""
    from llm_nanogpt.loading import open_model
    from llm_nanogpt.score import score
    from llm_nanogpt.surprise import LIKELY, surprise_of_text

    opened = open_model(folder, "cpu")
    ids = opened.tokenizer.encode(text)
    beginning = opened.tokenizer.decode(ids[:COLOURED_TOKENS]) if len(ids) > COLOURED_TOKENS else text
    scored = score(opened, beginning, LIKELY)
    if scored.bits_per_byte is None:
        raise NanogptError("There is no text to colour")
    said = f"{scored.bits_per_byte:.3f} bits per byte: 8 is knowing nothing, and lower is better."
    if len(ids) > COLOURED_TOKENS:
        said += f" This is of its first {COLOURED_TOKENS:,} pieces of {len(ids):,}: only they are coloured."
    return {"tokens": surprise_of_text(scored, opened.tokenizer), "outcome": said}
