"""A step as a graph runs it, with all that changes in tensors, against one that runs as it is written."""

import gc
import weakref
from dataclasses import replace
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest
import torch
from conftest import tiny_config
from test_trainer import SETTINGS, new_model, tokens  # noqa: F401

from datasette_nanogpt.data.dataloader import DataLoader, Windows
from datasette_nanogpt.training import batches as batches_module
from datasette_nanogpt.training import cuda_graph
from datasette_nanogpt.training import step as step_module
from datasette_nanogpt.training.batches import Batches, TextOnDevice
from datasette_nanogpt.training.cuda_graph import Captured, why_not_captured
from datasette_nanogpt.training.distributed import SINGLE_PROCESS
from datasette_nanogpt.training.optim import configure_optimizers, state_tensors, use_tensor_rates
from datasette_nanogpt.training.step import GraphedStep, Knobs, TrainStep
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


@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
@pytest.mark.parametrize("taught", [False, True])
def test_no_part_of_a_step_asks_for_a_number(tokens, teacher, monkeypatch, arch, taught):  # noqa: F811
    """In a capture that would wait for a GPU, which is an error. Tensors on "meta" have no numbers."""
    monkeypatch.setattr(step_module, "Captured", Uncaptured)
    monkeypatch.setattr(torch, "_fused_adamw_", Mock())  # it has no variant without numbers
    model = build(tiny_config(arch), dropout=0.1).to("meta").train()
    optimizers = configure_optimizers(model, 0.01, 0.1)
    use_tensor_rates(optimizers, "meta")
    params = [p for p in model.parameters() if p.requires_grad]
    step = TrainStep(model, params, optimizers, 1.0, ("meta", False))
    loader = DataLoader(tokens.train, 32, 0)
    text = TextOnDevice(loader, "meta", teacher if taught else None)
    graphed = GraphedStep(step, text.gather, 4)
    for _ in range(2):
        loss = graphed(loader.next_spans(4), Knobs(1.0, 1.0, 0.5))
    assert loss.is_meta and all(state.is_meta for state in state_tensors(optimizers).values())
    assert all({call.kwargs["lr"].device.type} == {"meta"} for call in torch._fused_adamw_.call_args_list)
    with pytest.raises(RuntimeError, match="meta"):
        loss.item()


class Uncaptured(Captured):
    """What a graph does, but in order, as the CPU has no graphs."""

    def __call__(self, work) -> None:
        work()


def test_windows_taken_on_the_device_are_those_of_the_token_file(
    tokens,  # noqa: F811
    teacher,
    bpe,
    monkeypatch,
):
    monkeypatch.setattr(batches_module, "ROWS_AT_ONCE", 1000)  # so that the text is copied in several pieces
    config = replace(tiny_config(), titles=True)
    for titles in (None, Titles(bpe, config)):
        loader = DataLoader(tokens.train, 32, 0, titles=titles)
        batches = Batches(loader, 7, "cpu", SINGLE_PROCESS, teacher)
        text = TextOnDevice(loader, "cpu", teacher)
        for _ in range(20):
            spans, _ = batches.next_spans()
            spans[::3, 1:] = [0, 5, 0]  # a title of five tokens, from the beginning,
            spans[1::3, 1:] = [0, 5, 4]  # and one that counts
            mine, theirs = batches.gather(spans), text.gather(torch.from_numpy(spans))
            for one, other in zip(mine[:2], theirs[:2], strict=True):
                assert torch.equal(one, other)
            for one, other in zip(mine.teacher_probs, theirs.teacher_probs, strict=True):
                assert torch.equal(one, other)
    row = 128 * 6
    assert TextOnDevice.size(loader, teacher) == len(tokens.train) * (4 + row)
    assert np.array_equal(batches.last()[0], mine.ids.numpy())


def test_a_graph_is_freed_with_its_step_and_not_when_garbage_is_collected(tokens):  # noqa: F811
    training = Training(new_model(), tokens, SETTINGS)
    step = TrainStep(training.model, training.params, training.optimizers, 1.0, ("cpu", False))
    graphed = GraphedStep(step, TextOnDevice(training.loader, "cpu", None).gather, SETTINGS.batch_size)
    run = weakref.ref(graphed.run)
    gc.disable()
    try:
        del graphed
        assert run() is None
    finally:
        gc.enable()


def test_a_step_that_fails_leaves_no_gradients(tokens, monkeypatch):  # noqa: F811
    training = Training(new_model(), tokens, SETTINGS)
    training.set_up(bf16=False, compiled=False)
    monkeypatch.setattr(training.optimizers[0], "step", Mock(side_effect=RuntimeError("not permitted")))
    with pytest.raises(RuntimeError, match="not permitted"):
        training.train_step(lr_scale=1.0, progress=0.0)
    assert all(p.grad is None for p in training.params)


@pytest.fixture
def cuda(monkeypatch):
    """torch.cuda's part played by mocks, as there is no GPU to test on: `cuda.calls` has them in order."""
    calls = MagicMock()
    names = ("device", "Stream", "stream", "current_stream", "set_stream", "CUDAGraph", "graph")
    for name in names:
        monkeypatch.setattr(torch.cuda, name, getattr(calls, name))
    calls.CUDAGraph.side_effect = lambda: MagicMock()  # a new one each time
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "default_generators", [None, calls.generator])
    monkeypatch.setattr(cuda_graph, "_failed", [])
    cuda_graph._own_stream.cache_clear()
    yield calls
    cuda_graph._own_stream.cache_clear()


@pytest.mark.parametrize("fails", [False, True])
def test_work_is_done_each_time_whether_it_can_be_captured_or_not(cuda, caplog, fails):
    if fails:
        cuda.graph.side_effect = RuntimeError("operation not permitted\nwhen stream is capturing")
    captured, work = Captured("cuda:1"), Mock()
    for _ in range(6):
        captured(work)
    assert {call.args for call in cuda.device.call_args_list} == {("cuda:1",)}
    assert cuda.Stream.call_count == 1 and cuda.graph.call_count == 1
    if fails:
        assert work.call_count == 6
        assert captured.failure == "operation not permitted when stream is capturing"
        assert captured.failure in caplog.text
    else:  # three times, and once to be recorded
        replays = captured.graph.replay.call_count
        assert (work.call_count, replays, captured.failure) == (4, 3, None)


def test_a_capture_that_failed_leaves_stream_random_numbers_and_memory_as_they_were(cuda):
    """torch.cuda.graph itself restores none of them where the end of the capture fails."""
    cuda.graph.return_value.__exit__.side_effect = RuntimeError("cudaErrorStreamCaptureInvalidated")
    captured = Captured("cuda:1")
    for _ in range(4):
        captured(Mock())
    cuda.set_stream.assert_called_once_with(cuda.current_stream.return_value)
    cuda.generator.graphsafe_set_state.assert_called_once_with(cuda.generator.clone_state.return_value)
    (graph,) = cuda_graph._failed  # kept, as torch's allocator still asks it
    assert captured.graph is None and graph.reset.call_count == 1


def test_all_graphs_of_a_device_share_a_stream(cuda):
    for _ in range(3):
        captured = Captured("cuda:1")
        for _ in range(5):
            captured(Mock())
    assert cuda.Stream.call_count == 1 and cuda.graph.call_count == 3
    assert {call.kwargs["stream"] for call in cuda.graph.call_args_list} == {cuda.Stream.return_value}


def test_why_steps_are_no_graphs():
    assert why_not_captured("cuda", 1, fits=True) is None
    assert "no graphs on cpu" in why_not_captured("cpu", 1, fits=False)
    assert "several processes" in why_not_captured("cuda:1", 2, fits=True)
    assert "does not fit" in why_not_captured("cuda", 1, fits=False)
