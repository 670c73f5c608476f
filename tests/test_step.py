"""A step as a graph runs it, with all that changes in tensors, against one that runs as it is written."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tiny_config
from test_trainer import SETTINGS, new_model, tokens  # noqa: F401

from datasette_nanogpt.data.dataloader import DataLoader, Windows
from datasette_nanogpt.training import step as step_module
from datasette_nanogpt.training.batches import Batches, TextOnDevice
from datasette_nanogpt.training.cuda_graph import Captured, why_not_captured
from datasette_nanogpt.training.distributed import SINGLE_PROCESS
from datasette_nanogpt.training.optim import use_tensor_rates
from datasette_nanogpt.training.step import GraphedStep, TrainStep
from datasette_nanogpt.training.teacher_probs import TeacherProbs, write_teacher_probs
from datasette_nanogpt.training.trainer import Training
from llm_nanogpt.gpt_torch import build
from llm_nanogpt.titles import Titles


@pytest.fixture
def teacher(tokens, tmp_path):  # noqa: F811
    torch.manual_seed(1)
    model, windows = build(tiny_config()), Windows(tokens.train, 32, None)
    for _ in write_teacher_probs(tmp_path / "probs", [model], windows, "cpu", bf16=False):
        pass
    return TeacherProbs(tmp_path / "probs", 400, len(tokens.train))


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_tensors_give_the_same_weights(tokens, teacher, monkeypatch, taught, weight_decay):  # noqa: F811
    monkeypatch.setattr(step_module, "Captured", Uncaptured)
    settings = replace(SETTINGS, weight_decay=weight_decay)
    runs = []
    for graphed in (False, True):
        training = Training(new_model(), tokens, settings, teacher=teacher if taught else None)
        training.set_up(bf16=False, compiled=False)
        if graphed:
            use_tensor_rates(training.optimizers, "cpu")
            text = TextOnDevice(training.loader, "cpu", training.teacher)
            precision = ("cpu", False)
            step = TrainStep(training.model, training.params, training.optimizers, 1.0, precision)
            training._step = GraphedStep(step, text.gather, settings.batch_size)
        for i in range(12):
            training.train_step(lr_scale=(i + 1) / 12, progress=i / 12)
        runs.append((training.loss.read(), training.model.state_dict()))
    (loss, weights), (other_loss, others) = runs
    assert other_loss == pytest.approx(loss, rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-4, atol=1e-5)


class Uncaptured(Captured):
    """What a graph does, but in order, as the CPU has no graphs."""

    def __call__(self) -> None:
        self.work()


def test_windows_taken_on_the_device_are_those_of_the_token_file(tokens, teacher, bpe):  # noqa: F811
    config = replace(tiny_config(), titles=True)
    for titles in (None, Titles(bpe, config)):
        loader = DataLoader(tokens.train, 32, 0, titles=titles)
        batches = Batches(loader, 7, "cpu", SINGLE_PROCESS, teacher)
        text = TextOnDevice(loader, "cpu", teacher)
        for _ in range(20):
            spans, _ = batches.next_spans()
            spans[::3, 1:] = [0, 5]  # a title of five tokens, from the beginning
            mine, theirs = batches.gather(spans), text.gather(torch.from_numpy(spans))
            for one, other in zip(mine[:2], theirs[:2], strict=True):
                assert torch.equal(one, other)
            for one, other in zip(mine.teacher_probs, theirs.teacher_probs, strict=True):
                assert torch.equal(one, other)
    row = 128 * 6
    assert TextOnDevice.size(loader, teacher) == len(tokens.train) * (4 + row)
    assert np.array_equal(batches.last()[0], mine.ids.numpy())


def test_why_steps_are_no_graphs():
    assert why_not_captured("cuda", 1, fits=True) is None
    assert "no graphs on cpu" in why_not_captured("cpu", 1, fits=False)
    assert "several processes" in why_not_captured("cuda:1", 2, fits=True)
    assert "does not fit" in why_not_captured("cuda", 1, fits=False)
