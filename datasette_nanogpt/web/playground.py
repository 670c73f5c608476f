"""Writing with a model for the browser: the settings, the text as it comes, and what of it is recited."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncGenerator, Generator, Mapping
from pathlib import Path
from typing import Any

from datasette.app import Datasette

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.streaming import in_time_slices

from ..data.memorization import Memorized, SearchResult, find_memorized
from ..data.source import Selection, open_source
from ..registry.row_scores import row_path
from .forms import read_number

SLICE = 0.05  # seconds: text is sent in pieces that come within
MOST_SAMPLES = 5
# name -> (kind, value where the form is empty, least, most, what it is called)
SETTINGS: dict[str, tuple[type, Any, float, float, str]] = {
    "temperature": (float, 0.8, 0, 5, "Temperature"),
    "top_k": (int, 0, 0, 10**6, "Top k"),
    "top_p": (float, 0.9, 0.001, 1, "Top p"),
    "min_p": (float, 0.0, 0, 1, "Min p"),
    "max_tokens": (int, 200, 1, 10**6, "Tokens"),
    "samples": (int, 1, 1, MOST_SAMPLES, "Samples"),
    "seed": (int, None, 0, 2**53 - 1, "Seed"),
}


def read_settings(form: Mapping[str, Any], most_tokens: int) -> dict[str, Any]:
    """The settings that a form or a URL asks for. Raises NanogptError with all that is wrong, a line each."""
    problems, found = [], {"prompt": str(form.get("prompt") or "")}
    for name, (kind, default, least, most, label) in SETTINGS.items():
        given = form.get(name)
        if name == "max_tokens":
            most, default = most_tokens, min(default, most_tokens)
        try:
            found[name] = default if given in (None, "") else read_number(given, kind, least, most, label)
        except NanogptError as ex:
            problems.append(str(ex))
    if problems:
        raise NanogptError("\n".join(problems))
    return found


def pieces(folder: Path, settings: Mapping[str, Any]) -> Generator[dict[str, Any]]:
    """Events: {"sample": i, "seed": its seed}, then {"text": ...} for each piece. Closing stops the work."""
    from llm_nanogpt.generate import generate
    from llm_nanogpt.loading import open_model
    from llm_nanogpt.sampler import Sampler

    opened = open_model(folder)
    first = Sampler(seed=settings["seed"]).seed  # of all: each further sample has the next
    for i in range(settings["samples"]):
        seed = first + i
        how = {name: settings[name] for name in ("temperature", "top_k", "top_p", "min_p")}
        sampler = Sampler(seed=seed, **how)
        yield {"sample": i, "seed": sampler.seed}
        run = generate(
            opened.model,
            opened.tokenizer,
            settings["prompt"],
            max_tokens=settings["max_tokens"],
            sampler=sampler,
        )
        try:
            for piece in run:
                yield {"text": piece}
        finally:
            run.close()


async def write_and_compare(
    checkpoint: Checkpoint, settings: Mapping[str, Any], datasette: Datasette, database: str
) -> AsyncGenerator[dict[str, Any]]:
    """The events of `pieces`, then {"recited": i, ...} for each text, and {"done": True, ...} at the end."""
    texts: list[str] = []
    seed = settings["seed"]
    slices = in_time_slices(pieces(checkpoint.path, settings), SLICE)
    try:
        async for events in slices:
            for event in events:
                if "sample" in event:
                    texts.append("")
                    seed = event["seed"] if seed is None else seed
                else:
                    texts[-1] += event["text"]
                yield event
    finally:
        await slices.aclose()
    # The prompt is what a person wrote: only what the model wrote is looked for.
    found, looked, all_of_them = await asyncio.to_thread(find_recited, checkpoint, texts)
    for i, one in enumerate(found):
        yield {"recited": i, **told_recited(one, datasette, database)}
    same = (checkpoint.name, {**settings, "seed": seed})
    lines = {"llm": llm_line(*same), "python": python_lines(*same)}
    yield {"done": True, "rows": looked, "all_rows": all_of_them, **lines}


def find_recited(checkpoint: Checkpoint, texts: list[str]) -> SearchResult:
    """What of the texts stands in the table that the model was trained on. Raises NanogptError without it."""
    from ..data.model_rows import open_rows

    source = checkpoint.meta["source"]

    def rows():
        if source.get("sql"):
            selection = Selection(source["title"] or "", source["body"], sql=source["sql"])
            opened = [open_source(source["database"], "query", selection)]
        else:
            tables = [known["table"] for known in source.get("tables") or [source]]
            selection = Selection(where=source.get("where"))
            opened = [open_rows(checkpoint, source["database"], table, selection) for table in tables]
        for table in opened:
            for keys, document in table.keyed_documents():
                yield table.table, keys, document

    return find_memorized(texts, rows())


def told_recited(found: Memorized, datasette: Datasette, database: str) -> dict[str, Any]:
    """For JSON: places in the text, and the addresses of rows."""
    passages = []
    for p in found.passages:
        row = row_path([*p.keys.values()])
        url = row and str(datasette.urls.row(database, p.table, row))
        passages.append({"start": p.start, "end": p.end, "words": p.words, "url": url})
    return {
        "passages": passages,
        "share": round(found.fraction, 3),
        "longest": found.longest,
        "words": found.words,
    }


def llm_line(name: str, settings: Mapping[str, Any]) -> str:
    """What to type in a terminal for the same."""
    options = []
    for key in ("temperature", "top_k", "top_p", "min_p", "max_tokens", "seed"):
        if settings[key] is not None:
            options += ["-o", key, str(settings[key])]
    prompt = settings["prompt"]
    if prompt.startswith("-"):  # else it would be an option
        return shlex.join(["llm", "prompt", "-m", name, *options, "--", prompt])
    return shlex.join(["llm", "-m", name, prompt, *options])


def python_lines(name: str, settings: Mapping[str, Any]) -> str:
    keys = ("temperature", "top_k", "top_p", "min_p", "max_tokens", "seed")
    options = "".join(f", {key}={settings[key]!r}" for key in keys if settings[key] is not None)
    return (
        f"import llm\n\nmodel = llm.get_model({json.dumps(name)})\n"
        f"print(model.prompt({settings['prompt']!r}{options}).text())"
    )
