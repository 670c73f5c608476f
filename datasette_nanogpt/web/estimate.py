"""What the form on a table's page shows beside its fields: the rows, and an estimate of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_nanogpt.counts import counted
from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem

from ..data.columns import NoTextError
from ..formatting import about_memory, in_minutes, text_size
from ..registry.db import NoRegistryError, registry
from ..training.available_memory import likely_device
from ..training.budget import DEFAULT_FLOPS
from ..training.busy_machine import FAR, work_of_run
from ..training.enough_text import tokens_needed, too_little_text
from ..training.expectation import LITTLE_TEXT, expected_bits
from ..training.memory import Workload, estimate_memory
from ..training.options import TrainOptions
from ..training.plan import Plan, plan_text
from ..training.plan_reasons import describe_members
from ..training.population import MAX_EPOCHS
from ..training.recipe import NANOGPT_RECIPE
from ..training.sizes import SIZES, make_config, size_is_given
from ..training.verdict import reads_like
from . import cards
from .forms import (
    READ_FIELDS,
    form_defaults,
    minutes_offered,
    selection_from_form,
    settings_from_form,
    shown_size,
)
from .table_rows import describe_rows, read_rows
from .target import Target
from .threads import UNAVAILABLE

RECENT_RUNS = 10  # the speed of this machine is that of the fastest of the last runs
# How many bytes of a short text make a token of its own small vocabulary (33 bytes make 12 tokens, 130 make
# 46), and which fraction of the text is trained on.
SHORT_TOKEN_BYTES = 2.5
TRAINED_FRACTION = 0.9
# What the forecast has no figures for: nanoGPT's recipe takes far longer (docs/benchmarks.md), and
# characters are other tokens than those it was measured with.
NOT_FORECAST = {"arch": "gpt2", "tokenizer": "char"}


def offer_and_estimate(
    target: Target, where: str | None, filters: str, form: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What the form shows, and the estimate for it, without its wrong fields; None if nothing can be read.

    `where` is the condition of the address, and `filters` the same in words. If the rows cannot be read with
    the fields of the form, they are shown without them. If no text is found, a column can still be chosen.
    """
    try:
        offered = offer(target, where, filters, form)
    except NoTextError as ex:
        choices = {"name": target.name_to_offer(), "minutes": minutes_offered(target.limits)}
        nothing: dict[str, Any] = {
            "text": str(ex),
            "parts": [str(ex)],
            "texts": [],
            "captions": [],
            "remarks": [],
        }
        nothing |= {"reasons": ex.reasons, "cures": ex.cures}
        return nothing | choices | cards.recommend([], 0), None
    except UNAVAILABLE:
        raise
    except NanogptError:
        form = {key: value for key, value in form.items() if key not in (*READ_FIELDS, "text", "where")}
        offered = offer(target, where, filters, {})
    try:
        # Without a name: a wrong one makes no difference to the estimate.
        settings = settings_from_form(target, _without_wrong_fields(target, form, where), where)
        offered["cards"] = _what_to_expect(target, settings)
        offered |= cards.recommend(offered["cards"], float(form_defaults(target.limits)["minutes"]))
        if "minutes" not in form:
            settings["minutes"] = offered["recommended"] or settings["minutes"]
        return offered, estimate(target, settings)
    except UNAVAILABLE:
        raise
    except NanogptError:
        return offered, None


def _without_wrong_fields(target: Target, form: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    """The form without its name and its wrong fields, or, if it is wrong all the same, what it reads: the
    page keeps its shape and its figures while somebody mends a field."""
    fields = {**form, "name": ""}
    for _ in range(2):
        try:
            settings_from_form(target, fields, where)
        except InvalidOptions as ex:
            wrong = {problem.field for problem in ex.problems}
            fields = {key: value for key, value in fields.items() if key not in wrong}
        else:
            return fields
    return {key: form[key] for key in ("title", "body", "text", "where") if form.get(key)}


def offer(target: Target, where: str | None, filters: str, form: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that were found, two rows as they will be read, how much text there is, and the choices.
    Raises NanogptError if the rows cannot be read with the fields of the `form`."""
    selection = selection_from_form(form, where)
    if selection.where != where:
        filters = selection.where or ""
    read = read_rows(target.rows, selection).with_text()
    parts = describe_rows(read, filters)
    return read | {
        "text": "".join(parts),
        "parts": parts,
        "where": selection.where,
        "carried": filters,
        "name": target.name_to_offer(),
        "minutes": minutes_offered(target.limits),
    }


def estimate(target: Target, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The size, memory and reading of a run with these `settings_from_form`, as numbers and words."""
    read = read_rows(target.rows, TrainOptions(**settings).selection).with_text()
    flops = _measured_flops(target.home)
    settings = {**settings, "max_parameters": target.limits.max_parameters}
    plan = plan_text(settings, read["bytes"], flops)
    slow = plan_text(settings, read["bytes"], (flops or DEFAULT_FLOPS) / FAR)
    teachers = tuple(teacher.config for teacher in plan.teachers)
    dropout = settings.get("dropout") or 0.0
    memory = estimate_memory(Workload(plan.config, plan.batch_size, likely_device(), dropout, teachers))
    refused = _too_little(read, plan)
    like = reads_like(_bits_per_letter(read, settings, plan, flops), read["prose"])
    brief = f"It reads each row {_times(plan.epochs)}, in {about_memory(memory)} of memory."
    words = _describe(plan, settings["minutes"], measured=flops is not None)
    return {
        "layers": plan.config.n_layer,
        "width": plan.config.n_embd,
        "parameters": plan.config.parameters,
        "tokens": round(plan.tokens_seen),
        "epochs": round(plan.epochs, 1),
        "memory": memory,
        "sizes": _sizes(plan, settings),
        "auto": {key: n for key, n in _automatic(plan, slow).items() if not settings.get(key)},
        "brief": "" if refused else brief,
        "text": "" if refused else words,
        "warning": _warn_of_little(read, like),
        "refused": refused,
    }


def _what_to_expect(target: Target, settings: Mapping[str, Any]) -> list[cards.Card]:
    """A card for each number of minutes that can be chosen; none where there is too little text."""
    read = read_rows(target.rows, TrainOptions(**settings).selection).with_text()
    flops = _measured_flops(target.home)
    shown: list[cards.Card] = []
    for minutes in minutes_offered(target.limits):
        choices = {**settings, "max_parameters": target.limits.max_parameters, "minutes": minutes}
        plan = plan_text(choices, read["bytes"], flops)
        if _too_little(read, plan):
            return []
        if any(settings.get(key) == value for key, value in NOT_FORECAST.items()):
            shown.append(cards.without_forecast(minutes))
        else:
            letter_bits = _bits_per_letter(read, choices, plan, flops)
            shown.append(cards.with_forecast(read, minutes, letter_bits, shown))
    return shown


def _bits_per_letter(
    read: Mapping[str, Any], settings: Mapping[str, Any], plan: Plan, flops: float | None
) -> float:
    """The forecast for a run with these settings, on a machine that does `flops` a second."""
    letters_read = read["letters"] * plan.epochs if size_is_given(settings) else math.inf
    return expected_bits(read["letters"], 60 * settings["minutes"] * (flops or DEFAULT_FLOPS), letters_read)


def check_enough(target: Target, settings: Mapping[str, Any]) -> None:
    """Raise InvalidOptions if a run with these settings would find too little text, or none."""
    try:
        refused = estimate(target, settings)["refused"]
    except NoTextError as ex:
        refused = str(ex)
    if refused:
        raise InvalidOptions([Problem("table", "too_little", refused)])


def _too_little(read: Mapping[str, Any], plan: Plan) -> str | None:
    """Why there is not enough text for a single window of the context; None if there is enough."""
    per_token = 1 if plan.config.vocab_size < 256 else SHORT_TOKEN_BYTES
    needed = tokens_needed(plan.config.block_size) * per_token / TRAINED_FRACTION
    if read["bytes"] >= needed:
        return None
    return too_little_text(read["bytes"], plan.config.block_size, needed)


def _warn_of_little(read: Mapping[str, Any], like: str) -> str | None:
    if read["letters"] >= LITTLE_TEXT:
        return None
    expect = f": expect {like}" if read["prose"] else ""
    size = text_size(read["bytes"])
    return f"{size} is little text{expect}, or better if the rows repeat each other."


def _sizes(plan: Plan, settings: Mapping[str, Any]) -> dict[str, str]:
    """The sizes that can be chosen, in words, with the vocabulary of the plan: name -> words."""
    given = {**settings, "block_size": plan.config.block_size}
    configs = {size: make_config(size, plan.config.vocab_size, given) for size in SIZES}
    return {
        size: f"{shown_size(size)} ({config.parameters / 1e6:.1f}M parameters)"
        for size, config in configs.items()
    }


def _automatic(plan: Plan, slow: Plan) -> dict[str, float | str]:
    """The numbers of the form that the planner chooses where a field is empty: field -> number. The learning
    rate depends on how often the text is read, so it is "0.02 or 0.01" where it is another one in `slow`,
    the plan for a busy machine."""
    config = plan.config
    numbers: dict[str, float | str] = {
        key: getattr(config, key) for key in ("n_layer", "n_head", "n_embd", "block_size", "vocab_size")
    }
    numbers |= {"batch_size": plan.batch_size}
    if config.arch == "gpt2":
        numbers |= {"learning_rate": float(NANOGPT_RECIPE["learning_rate"])}
    else:
        rates = dict.fromkeys((plan.learning_rate, slow.learning_rate))
        both = " or ".join(f"{rate:g}" for rate in rates)
        numbers |= {"learning_rate": both if len(rates) > 1 else plan.learning_rate}
    return numbers | {"dropout": plan.member.dropout or 0, "seed": 0}


def _describe(plan: Plan, minutes: float, measured: bool) -> str:
    config = plan.config
    enough = plan.max_iters and plan.epochs >= MAX_EPOCHS
    layers = counted(config.n_layer, "layer")
    speed = "At the speed of the last runs here" if measured else "On two cores"
    time = f"{'less than ' if enough else ''}{in_minutes(minutes)}"
    sentences = [
        f"{layers}, width {config.n_embd}, about {config.parameters / 1e6:.1f}M parameters.",
        f"{speed} it reads about {_tokens(plan.tokens_seen)} tokens in {time}: "
        f"each row {_times(plan.epochs)}.",
    ]
    if plan.teachers:
        teachers = describe_members(
            [each.member for each in (*plan.teachers, plan)], plan.epochs, plan.joined
        )
        sentences.append(f"{teachers[0].upper()}{teachers[1:]}.")
    elif enough:
        sentences.append("Reading the rows more often would only make it repeat them.")
    return " ".join(sentences)


def _tokens(count: float) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{round(count, -3):,.0f}"


def _times(epochs: float) -> str:
    return f"{epochs:.0f} times" if epochs >= 1.5 else "once" if epochs >= 0.95 else "at most once"


def _measured_flops(home: Path) -> float | None:
    """The work per second, as in flops.work_per_step, of the fastest of the last runs; None without a run."""
    select = "select plan, tokens_per_second from runs where kind = 'train' and status = 'finished' "
    select += "and tokens_per_second > 0 order by id desc limit ?"
    speeds = []
    with suppress(NoRegistryError), registry(home) as db:
        for run in db.execute(select, [RECENT_RUNS]):
            speeds.append(work_of_run(run) * run["tokens_per_second"])
    return max(speeds, default=None)
