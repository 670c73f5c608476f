"""Members of a generation that several processes train at once, each its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tiny_config

from datasette_nanogpt.events import BestWeights, Evaluation, Position
from datasette_nanogpt.training import members
from datasette_nanogpt.training.distributed import FAILURE_KEY, ProcessGroup
from datasette_nanogpt.training.members import Crew, Trained, next_position, next_work, start_of
from datasette_nanogpt.training.population import at_once, chain, population
from datasette_nanogpt.training.recipe import Settings, Stage
from llm_nanogpt.errors import NanogptError

CONFIG = tiny_config()
SETTINGS = Settings(4, 0.01, 0.1, 2, 0.5, 0.0, 0, "cpu", False, False, minutes=10.0, max_iters=100)


def stages_of(places):
    """Stages of 100 steps each, with the places of `places`."""
    return [
        Stage(
            m.config,
            replace(
                SETTINGS,
                stage=at,
                generation=m.generation,
                member=m.number,
                teachers=m.teachers,
                max_iters=100 * (at + 1),
                minutes=float(at + 1),
            ),
        )
        for at, m in enumerate(places)
    ]


def of_each(members):
    return [(member.generation, member.teachers) for member in members]


@pytest.mark.parametrize(
    ("processes", "size", "wanted"),
    [
        (1, 3, [[0], [1], [2], [3], [4], [5], [6]]),
        (2, 2, [[0, 1], [2, 3], [4]]),
        (2, 3, [[0, 1], [2], [3, 4], [5], [6]]),  # the third is trained by both together
        (3, 3, [[0, 1, 2], [3, 4, 5], [6]]),
        (4, 3, [[0], [1], [2], [3], [4], [5], [6]]),  # too few for all
    ],
)
def test_as_many_members_as_processes_are_trained_at_once(processes, size, wanted):
    places = of_each(population(CONFIG, size, 2))
    at, rounds = 0, []
    while at < len(places):
        rounds.append(at_once(places, at, processes))
        at = rounds[-1][-1] + 1
    assert rounds == wanted


def test_models_that_teach_each_other_are_trained_in_turn():
    members = of_each(chain([CONFIG] * 4))
    assert [at_once(members, at, 2) for at in range(4)] == [[0], [1], [2], [3]]


def test_members_begin_where_they_would_in_turn_and_share_the_time():
    stages, position = stages_of(population(CONFIG, 3, 1)), Position(step=40, windows=160, seconds=7.0)
    work = next_work(stages, position, 3, set())
    begins = [(p.stage, p.step, p.windows, p.seconds) for _, p in work]
    assert begins == [(0, 40, 160, 7.0), (1, 100, 400, 7.0), (2, 200, 800, 7.0)]
    assert {stage.settings.minutes for stage, _ in work} == {3.0}
    assert [stage.settings.model_seed for stage, _ in work] == [0, 1, 2]
    # One process: the next one begins where the one before really ended.
    assert next_work(stages, position, 1, set()) == [(stages[0], position)]
    assert next_position(stages, position, set()) == replace(position, stage=1)
    # What is trained already is passed over, wherever it is.
    assert next_position(stages, position, {1, 2}) == start_of(stages, 3, position)
    assert [stage.settings.stage for stage, _ in next_work(stages, position, 2, {1})] == [0, 2]


def trained(bpb, size=10):
    tensors = {"w": torch.arange(size, dtype=torch.float32)}
    best = BestWeights(CONFIG, {"w": np.arange(size, dtype=np.float32)}, 200, bpb, 1.0)
    return Trained(CONFIG, tensors, best, [Evaluation(200, bpb, 1.0, None, 3.0, True, "text")])


def test_a_finished_member_comes_through_the_store_in_pieces(monkeypatch):
    monkeypatch.setattr(members, "CHUNK", 1000)
    group = ProcessGroup(0, 2, torch.distributed.HashStore(), 2)
    crew, sent = Crew(group), trained(1.5, 5000)
    crew.begin({1, 2})
    assert crew.describe() == "; at the same time, model 2 and model 3 in other processes"
    assert list(crew.finished()) == []
    members._send(group, 2, sent)
    ((stage, member),) = crew.finished()
    assert stage == 2 and member.scores == sent.scores and member.config == CONFIG
    assert torch.equal(member.tensors["w"], sent.tensors["w"])
    assert np.array_equal(member.best.tensors["w"], sent.best.tensors["w"])
    assert (crew.waits_for, crew.trained) == ({1}, {2}) and list(crew.finished()) == []
    assert crew.describe() == "; at the same time, model 2 in another process"


def test_what_fails_in_another_process_ends_the_run_after_what_was_finished():
    store = torch.distributed.HashStore()
    group = ProcessGroup(0, 3, store, 3)
    crew, kept = Crew(group), []
    crew.begin({1, 2})
    members._send(group, 1, trained(1.5))
    store.set(FAILURE_KEY, "Process 2 of 3 failed: no memory")
    with pytest.raises(NanogptError, match="Process 2 of 3 failed"):
        kept += (stage for stage, _ in crew.finished())
    assert crew.trained == {1}
