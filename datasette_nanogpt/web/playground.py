"""Writing with a model in the browser: the settings, the text as it is generated, what of it was copied."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasette.app import Datasette

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.streaming import in_time_slices

from ..data.memorization import Memorized, SearchResult, find_memorized
from ..data.model_rows import open_rows
from ..data.source import QUERY, Selection
from ..registry.row_scores import row_path
from .threads import read_database

SLICE_SECONDS = 0.05  # text is sent at intervals of this length
Event = dict[str, Any]  # a line of the answer, as JSON


@dataclass(frozen=True)
class Setting:
    """A number that can be set on the page."""

    label: str
    kind: type[int] | type[float]
    default: float | None  # the value where the field is empty
    minimum: float
    maximum: float

    def read(self, field: str, text: str, maximum: float) -> float:
        """The number that a field holds, at most `maximum`. Raises InvalidOptions where it holds none."""
        try:
            value = self.kind(text)
        except ValueError:
            noun = "whole number" if self.kind is int else "number"
            raise self._problem(field, "number", f"must be a {noun}, not {text!r}") from None
        if not self.minimum <= value <= maximum:
            message = f"must be from {self.minimum:,} to {maximum:,}, not {value:,}"
            raise self._problem(field, "range", message)
        return value

    def _problem(self, field: str, code: str, message: str) -> InvalidOptions:
        return InvalidOptions([Problem(field, code, f"{self.label} {message}")])


SETTINGS = {
    "temperature": Setting("Temperature", float, Sampler.temperature, 0, 5),
    "top_k": Setting("Top k", int, Sampler.top_k, 0, 10**6),
    "top_p": Setting("Top p", float, Sampler.top_p, 0.001, 1),
    "min_p": Setting("Min p", float, Sampler.min_p, 0, 1),
    "dry_multiplier": Setting("DRY multiplier", float, Sampler.dry_multiplier, 0, 100),
    "real_words": Setting("Only real words, 1 or 0", int, int(Sampler.real_words), 0, 1),
    "max_tokens": Setting("Tokens", int, 200, 1, 10**6),
    "samples": Setting("Texts", int, 1, 1, 5),
    "seed": Setting("Seed", int, None, 0, 2**53 - 1),  # JavaScript's greatest whole number
}
TEXTS = ("title", "prompt")
SAMPLER_SETTINGS = ("temperature", "top_k", "top_p", "min_p", "dry_multiplier", "real_words")
OPTIONS = (*SAMPLER_SETTINGS, "max_tokens", "seed")  # those that llm has, too


def read_settings(form: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """The settings that a form or an address asks for, with a `title` and a `prompt`. Raises InvalidOptions
    with everything that is wrong."""
    problems: list[Problem] = []
    settings: dict[str, Any] = {name: str(form.get(name) or "") for name in TEXTS}
    for field, setting in SETTINGS.items():
        text = form.get(field)
        limited = field == "max_tokens"
        maximum = max_tokens if limited else setting.maximum
        default = min(setting.default or 0, max_tokens) if limited else setting.default
        try:
            settings[field] = default if text in (None, "") else setting.read(field, str(text), maximum)
        except InvalidOptions as ex:
            problems += ex.problems
    if problems:
        raise InvalidOptions(problems)
    return settings


def generate_texts(folder: Path, settings: Mapping[str, Any]) -> Generator[Event]:
    """Write as many texts as the settings ask for, each with the seed after the last one's.

    Yields {"sample": i, "seed": its seed} before each text, then {"text": ...} for each piece of it. Closing
    this stops the work.
    """
    from llm_nanogpt.generate import generate
    from llm_nanogpt.loading import open_model

    opened = open_model(folder)
    how = {name: settings[name] for name in SAMPLER_SETTINGS}
    first = settings["seed"] if settings["seed"] is not None else Sampler().seed or 0
    for i in range(settings["samples"]):
        sampler = Sampler(**how, seed=first + i)
        yield {"sample": i, "seed": sampler.seed}
        run = generate(
            opened.model,
            opened.tokenizer,
            settings["prompt"],
            max_tokens=settings["max_tokens"],
            title=settings["title"],
            sampler=sampler,
        )
        with closing(run):
            for piece in run:
                yield {"text": piece}


async def write_and_compare(
    checkpoint: Checkpoint, settings: Mapping[str, Any], datasette: Datasette, database: str
) -> AsyncGenerator[Event]:
    """The events of `generate_texts`; then {"copied": i, ...} for each text, with its copied passages; at the
    end {"done": True, ...}, with how to write the same elsewhere. Raises NanogptError where the model or its
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
                else:
                    texts[-1] += event["text"]
                yield event
    finally:
        await slices.aclose()
    # The prompt is what a person wrote: it is not searched for.
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


def find_copied(checkpoint: Checkpoint, texts: list[str]) -> SearchResult:
    """Search the rows that a model was trained on for passages of the texts. Raises NanogptError where these
    rows cannot be read."""
    return find_memorized(texts, _training_rows(checkpoint.meta["source"], checkpoint))


def _training_rows(
    source: Mapping[str, Any], checkpoint: Checkpoint
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Table, primary key and document of each row that the `source` of a checkpoint names."""
    if source.get("sql"):
        opened = [open_rows(checkpoint, source["database"], QUERY, Selection(sql=source["sql"]))]
    else:
        selection = Selection(where=source.get("where"))
        tables = [known["table"] for known in source.get("tables") or [source]]
        opened = [open_rows(checkpoint, source["database"], table, selection) for table in tables]
    for rows in opened:
        for keys, document in rows.keyed_documents():
            yield rows.table, keys, document


def memorized_as_json(memorized: Memorized, datasette: Datasette, database: str) -> dict[str, Any]:
    """The copied passages of a text: places in it, counted in characters, and the addresses of their rows."""
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


def llm_line(name: str, settings: Mapping[str, Any]) -> str:
    """What to type in a terminal for the same text."""
    title = settings.get("title")
    options = ["-o", "title", title] if title else []
    for option in OPTIONS:
        if settings[option] is not None:
            options += ["-o", option, str(settings[option])]
    prompt = settings["prompt"]
    if prompt.startswith("-"):  # else it would be taken for an option
        return shlex.join(["llm", "prompt", "-m", name, *options, "--", prompt])
    return shlex.join(["llm", "-m", name, prompt, *options])


def python_lines(name: str, settings: Mapping[str, Any]) -> str:
    """The same in Python."""
    title = settings.get("title")
    given = {"title": title} if title else {}
    given |= {key: settings[key] for key in OPTIONS if settings[key] is not None}
    arguments = "".join(f", {key}={value!r}" for key, value in given.items())
    return (
        f"import llm\n\nmodel = llm.get_model({json.dumps(name)})\n"
        f"print(model.prompt({settings['prompt']!r}{arguments}).text())"
    )
