"""What a run can be compared with: other runs on the same table, and known scores on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasette.app import Datasette

from ..registry.db import registry
from ..registry.metrics import bits_of_documents
from ..registry.runs import find_runs, plan_of, settings_of
from ..training.replaced import score_on
from ..training.run_before import described, held_out_alike
from ..training.sizes import SIZES
from ..training.verdict import FEW_DOCUMENTS, standard_error
from . import forms
from .permissions import Actor, Origin, origin_of_run, visible_models
from .run_states import OTHER_LABELS
from .state import state_of
from .threads import in_thread

OTHER_RUNS = 12  # how many are offered
AUTOMATIC = "automatic"  # in place of a setting that the planner chose
PLANNED = ("size", *(key for keys in forms.GROUPS.values() for key in keys))  # what the planner can choose
NAMES = ("name", "resume", "force")  # settings that say nothing about how a model is trained


async def other_runs(
    datasette: Datasette, run: Mapping[str, Any], origin: Origin, may_train: bool
) -> list[dict[str, Any]]:
    """Other runs on the same table that have a score, the newest first, with the settings that differ, and
    whether they were scored on the same held-out rows. If so, the model's previous run is `shown` at
    first."""
    others = [
        other
        for other in await in_thread(_scored_runs, state_of(datasette).home, run)
        if origin_of_run(datasette, other) == origin
    ]
    alike = {other["id"] for other in others if held_out_alike(run, other)}
    before = [other["id"] for other in others if other["name"] == run["name"] and other["id"] < run["id"]]
    return [
        {
            "id": other["id"],
            "name": other["name"],
            "val_bpb": other["val_bpb"],
            "differs": differences(run, other, may_train),
            "comparable": other["id"] in alike,
            "shown": other["id"] in before[:1] and other["id"] in alike,
        }
        for other in others
    ]


def margin_between(home: Path, run: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """Twice the standard error of the difference between the scores of two runs on the same held-out rows, in
    bits per byte: how far another choice of such rows would move it. Both read the same documents, so what
    makes one of them hard for both does not count. None where too few were scored one by one."""
    with registry(home) as db:
        (one, sizes), (two, _) = (bits_of_documents(db, each["id"]) for each in (run, other))
    n = min(len(one), len(two))
    if n < FEW_DOCUMENTS:
        return None
    documents = (plan_of(run).get("corpus") or {}).get("val_documents") or n
    error = standard_error(np.subtract(one[:n], two[:n]), np.array(sizes[:n]), documents)
    return None if error is None else 2 * error


def _scored_runs(home: Path, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    same = "database = ? and \"table\" = ? and kind = 'train' and val_bpb is not null and id != ?"
    newest = f"id in (select id from runs where {same} order by id desc limit ?)"
    return find_runs(home, newest, run["database"], run["table"], run["id"], OTHER_RUNS)


def differences(run: Mapping[str, Any], other: Mapping[str, Any], may_train: bool) -> str:
    """The settings in which another run differs from this one, in words."""
    here, there = (_settings(each, may_train) for each in (run, other))
    parts = []
    for label in dict.fromkeys([*there, *here]):
        if here.get(label) != there.get(label):
            theirs, ours = both(there.get(label), here.get(label))
            parts.append(f"{label} {theirs}, here {ours}")
    return "; ".join(parts)


def both(
    one: str | None, other: str | None, planned: str | None = None, other_planned: str | None = None
) -> tuple[str, str]:
    """The values of a setting in two runs, of which one may not have it: what is "yes" in one is "no" in the
    other, and everything else was chosen by the planner, as `planned` has it if that is known."""
    if "yes" in (one, other):
        return one or "no", other or "no"
    chosen, other_chosen = (f"{n} ({AUTOMATIC})" if n else AUTOMATIC for n in (planned, other_planned))
    return one or chosen, other or other_chosen


def same_value(one: str, other: str) -> bool:
    """Whether two values of `both` are the same, whoever chose them."""
    return one.removesuffix(f" ({AUTOMATIC})") == other.removesuffix(f" ({AUTOMATIC})")


def planned_settings(run: Mapping[str, Any]) -> dict[str, str]:
    """What a run was trained with, under the names of the form, as far as the planner can choose it."""
    plan = plan_of(run)
    values = (plan.get("settings") or {}) | (config := plan.get("config") or {})
    shape = (config.get("n_layer"), config.get("n_embd"))
    values["size"] = next((size for size, known in SIZES.items() if known == shape), None)
    return describe_settings({key: values[key] for key in PLANNED if values.get(key) is not None}, False)


def _settings(run: Mapping[str, Any], may_train: bool) -> dict[str, str]:
    """The settings that a run was started with, and the size of its model."""
    given = settings_of(run)
    described = describe_settings({k: v for k, v in given.items() if k not in NAMES}, may_train)
    config = plan_of(run).get("config")
    if config:
        shape = f"{config['n_layer']} x {config['n_embd']}"
        described.setdefault("layers x width", shape)
    return described


def describe_settings(settings: Mapping[str, Any], may_train: bool) -> dict[str, str]:
    """The settings of a run under the names of the form. SQL, which may name private tables and values, is
    only for those who may train."""
    described, hidden = {}, ("database", "token") + (() if may_train else ("where", "sql"))
    for key, value in settings.items():
        if key not in hidden:
            label = (forms.LABELS | OTHER_LABELS).get(key, key.replace("_", " ")).lower()
            shown = forms.shown_size(value) if key == "size" else value
            values = shown if isinstance(shown, list) else [shown]
            described[label] = ", ".join(map(_in_words, values))
    return described


def _in_words(value: Any) -> str:
    return "yes" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


async def known_scores(
    datasette: Datasette, actor: Actor, run: Mapping[str, Any], origin: Origin, others: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Scores to compare a run with, as {"label", "model", "bpb"}, all on the same held-out rows: those of
    gzip, of this model's previous run, and of the best other model of this table."""
    known = []
    if gzip_bpb := plan_of(run).get("gzip_bpb"):
        known.append({"label": "gzip", "model": "", "bpb": gzip_bpb})
    before = [other for other in others if other["name"] == run["name"] and other["id"] < run["id"]]
    if before and before[0]["comparable"]:
        known.append({"label": f"run {before[0]['id']}", "model": "", "bpb": before[0]["val_bpb"]})
    models = await visible_models(datasette, actor, lambda of: of == origin)
    ours = described(run)
    scores = {model.name: score_on(model.meta, ours) for model, _ in models}
    scored = {name: bpb for name, bpb in scores.items() if bpb is not None and name != run["name"]}
    if scored:
        best = min(scored, key=scored.__getitem__)
        known.append({"label": "best other", "model": best, "bpb": scored[best]})
    return known
