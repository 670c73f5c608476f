"""Precision, compiling and the MFU, on models of a few thousand parameters."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import test_trainer
import torch
from conftest import finish, tiny_config
from torch._dynamo.testing import CompileCounter
from torch.utils.flop_counter import FlopCounterMode

from datasette_nanogpt.data.dataloader import Tokens
from datasette_nanogpt.events import Evaluation, Note, Speed, Step
from datasette_nanogpt.training import autotune as autotuning
from datasette_nanogpt.training import measure
from datasette_nanogpt.training.autotune import Autotuner, TuningTask, mps_warnings
from datasette_nanogpt.training.flops import flops_per_step, flops_per_token
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.measure import trial_batch
from datasette_nanogpt.training.optim import configure_optimizers
from datasette_nanogpt.training.trainer import Training
from datasette_nanogpt.training.trial_memory import KEPT_DAYS, TrialMemory, TrialResults, today
from llm_nanogpt.gpt_torch import build

SETTINGS = replace(test_trainer.SETTINGS, max_iters=60, eval_interval=60)


def model_of(**changes):
    torch.manual_seed(0)
    return build(tiny_config(**changes))


@pytest.fixture
def tokens():
    """A stream in which each id is followed by one of two."""
    rng = np.random.default_rng(0)
    ids = np.cumsum(rng.integers(1, 3, 5000)).astype(np.uint16) % 400
    return Tokens(ids[:4000], ids[4000:], 8000, 2000)


def last_score(tokens, folder, settings):
    folder.mkdir()
    events = Training(model_of(), tokens, settings).run(Stop())
    return [e for e in events if isinstance(e, Evaluation)][-1].val_bpb


def settled(model, memory=None, **changes):
    asked = {"bf16": None, "compile": False, "seconds": 600.0, "steps": math.inf} | changes
    tuner = Autotuner(model, TuningTask("cpu", 4, **asked), memory=memory)
    return finish(tuner.tune()), tuner.compiled


@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
@pytest.mark.parametrize("tied", [True, False])
def test_flops_are_those_that_torch_counts(arch, tied):
    """Attention by hand, as torch counts what its kernel for CPUs does, or does not."""
    model = model_of(arch=arch, tied=tied or arch == "gpt2")
    c = model.config
    batch = trial_batch(c, 4, "cpu")
    with FlopCounterMode(display=False) as counter:
        model(batch[:, :-1], batch[:, 1:]).backward()
    counted = sum(n for op, n in counter.get_flop_counts()["Global"].items() if "dot_product" not in str(op))
    attention = 12 * c.n_layer * c.n_head * c.head_dim * c.block_size
    n = batch[:, 1:].numel()
    assert (flops_per_token(c) - attention) * n == counted
    with FlopCounterMode(display=False) as counter:
        for optimizer in configure_optimizers(model, 0.01, 0.0):
            optimizer.step()
    assert flops_per_step(c, n) - flops_per_token(c) * n == counter.get_total_flops()


def test_bfloat16_learns_as_well(tokens, tmp_path):
    full = last_score(tokens, tmp_path / "full", SETTINGS)
    half = last_score(tokens, tmp_path / "half", replace(SETTINGS, bf16=True))
    assert full < 2.5 and half == pytest.approx(full, abs=0.02) and half != full


def test_trials_leave_no_trace():
    model = model_of()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    speed, compiled = settled(model)
    assert "bfloat16" in speed.why and compiled is None and speed.machine_flops > 1e8
    assert torch.equal(state, torch.get_rng_state()) and model.training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_short_runs_try_nothing():
    for limit in ({"seconds": 5.0}, {"seconds": math.inf, "steps": 10}):
        speed, _ = settled(model_of(), compile=None, **limit)
        assert (speed.bf16, speed.compiled, speed.machine_flops, speed.why) == (False, False, None, "")


def test_a_run_of_seconds_tries_bfloat16_but_not_compiling():
    speed, compiled = settled(model_of(), compile=None, seconds=20.0)
    assert "bfloat16" in speed.why and "too short to make up for" in speed.why and compiled is None


def test_where_products_in_bfloat16_are_slow_no_step_in_it_is_tried(monkeypatch):
    timed = measure.timed_products
    monkeypatch.setattr(
        measure, "timed_products", lambda *a: timed(*a) / (1 + 1e6 * (a[1] == torch.bfloat16))
    )
    monkeypatch.setattr(autotuning, "try_bf16", lambda *a: pytest.fail("tried"))
    found, _ = settled(model_of())
    assert not found.bf16 and "no faster here" in found.why


def test_a_trial_on_a_gpu_has_steps_as_long_as_the_run():
    config = tiny_config(block_size=256)
    assert [measure.trial_windows(config, n, "cpu") for n in (1, 4, 64, 500)] == [1, 4, 4, 4]
    assert [measure.trial_windows(config, n, "cuda:1") for n in (1, 4, 64, 500)] == [1, 4, 64, 256]


@pytest.mark.parametrize("supported", [False, True])
def test_whether_a_gpu_has_bfloat16_is_asked_and_not_timed(monkeypatch, supported):
    """Products as small as those that a CPU is timed with take as long in any precision there."""
    monkeypatch.setattr(measure, "timed_products", lambda *_: pytest.fail("timed"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert measure.bf16_may_pay("cuda:1") == supported and not measure.bf16_may_pay("mps")


@pytest.mark.parametrize(
    ("bfloat16", "seconds", "faster"),
    [(8e11, 20, torch.bfloat16), (1e9, 20, torch.float32), (8e11, 5, torch.float32)],
)
def test_a_guess_of_the_speed_is_that_of_the_faster_precision(monkeypatch, bfloat16, seconds, faster):
    """Of those that are tried in so many seconds."""
    products = {torch.float32: 1e11, torch.bfloat16: bfloat16}
    guess = measure.PRODUCT_FRACTIONS[faster] * products[faster]
    monkeypatch.setattr(measure, "timed_products", lambda device, dtype, n: products[dtype])
    assert measure.guess_training_flops(seconds) == pytest.approx(guess)


def test_a_slow_machine_is_not_measured_for_minutes(monkeypatch):
    monkeypatch.setattr(measure, "trial", lambda *_: pytest.fail("tried"))
    monkeypatch.setattr(measure, "timed_products", lambda device, dtype, n: 2e9)
    assert measure.training_flops("cpu", 4096, seconds=60) == pytest.approx(2e9 * 0.85)


def test_compiling_must_repay():
    assert "too short to make up for" in settled(model_of(), compile=None, seconds=120.0)[0].why
    # On CUDA it takes less time and gains more.
    for device, repays in (("cpu", False), ("cuda", True)):
        tuner = Autotuner(model_of(), TuningTask(device, 4, None, None, seconds=120.0, steps=math.inf))
        assert (tuner._compiling_does_not_repay() is None) == repays


def test_without_a_compiler_it_trains_all_the_same(monkeypatch, tmp_path, tokens):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no C++ compiler" in settled(model_of(), compile=None)[0].why
    import torch._inductor.config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    with inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        training = Training(model_of(), tokens, replace(SETTINGS, compile=True))
        events = list(training.run(Stop()))
    notes = [e for e in events if isinstance(e, (Note, Speed))]
    assert notes[-1].why.startswith("not compiled: it failed") and events[-1].step == 60


@pytest.mark.long
def test_a_compiled_model_learns_as_well(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(autotuning, "CLEARLY", math.inf)  # however slow it is
    eager = last_score(tokens, tmp_path / "eager", SETTINGS)
    training = Training(model_of(), tokens, replace(SETTINGS, compile=True))
    events = list(training.run(Stop()))
    compiled = [e for e in events if isinstance(e, Evaluation)][-1].val_bpb
    assert compiled == pytest.approx(eager, abs=0.02)
    assert training.forward is training.tuner.compiled, [e.why for e in events if isinstance(e, Speed)]


@pytest.mark.parametrize("is_student", [False, True])
def test_a_compiled_model_is_used_and_compiled_once(tokens, monkeypatch, tmp_path, is_student):
    """After the first score of a run, or before a student's first step. A module that torch has compiled
    refuses len(), and so has no truth value."""
    counter, compiler = CompileCounter(), torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: compiler(model, backend=counter))
    monkeypatch.setattr(autotuning, "CLEARLY", math.inf)  # however slow it is
    monkeypatch.setattr(autotuning, "COMPILERS", ("python3",))
    monkeypatch.setattr(autotuning, "compiling_repays", lambda *_: True)
    monkeypatch.setattr(autotuning, "SHORT_SECONDS", 0.0)
    settings = replace(SETTINGS, compile=None, bf16=False, max_iters=20, eval_interval=10)
    teacher = test_trainer.ask(model_of(), tokens, tmp_path) if is_student else None
    training = Training(model_of(), tokens, settings, teacher=teacher)
    events = list(training.run(Stop()))
    assert events[-1].step == 20
    assert training.forward is training.tuner.compiled, [e.why for e in events if isinstance(e, Speed)]
    assert counter.frame_count == 1


def test_mfu_is_told(tokens, tmp_path):
    settings, stop = replace(SETTINGS, max_iters=None, minutes=1, eval_interval=None), Stop()
    training = Training(model_of(), tokens, settings)
    steps = []
    for event in training.run(stop):
        if isinstance(event, Step):
            steps.append(event)
            stop.ask(2)
    flops = steps[0].tokens_per_second * flops_per_token(tiny_config())
    assert steps[0].mfu == pytest.approx(flops / training.speed.machine_flops)
    assert 0 < training.speed.mean_mfu < 1


def test_a_wrong_loss_on_mps_is_told():
    model = model_of()
    for p in model.parameters():  # until then attention has no say
        p.data += 0.5 * torch.randn_like(p)
    batch = trial_batch(model.config, 4, "cpu")
    assert not [*mps_warnings(model, batch, 4)] and all(p.grad is None for p in model.parameters())
    # As if the device computed gradients wrongly, those of one matrix alone, then losses as well.
    model.output.register_hook(lambda gradient: gradient * 1.1)
    (told,) = mps_warnings(model, batch, 4)
    assert "gradients of the first loss differ by 10%" in told and "--device cpu" in told
    model.cos.zero_()
    (told,) = mps_warnings(model, batch, 4)
    assert "The first loss is" in told and "--device cpu" in told


def test_steps_or_vocabularies_too_big_for_products_on_mps_are_told():
    config = tiny_config(vocab_size=32_767, block_size=32)
    for model, windows, too_big in (
        (build(config), 1, True),
        (model_of(), 1024, True),
        (model_of(), 64, False),
    ):
        told = [*mps_warnings(model, trial_batch(model.config, 1, "cpu"), windows)]
        assert bool(told) == too_big, told
        assert not told or "sums of 32,7" in told[0]


# ---- What trials found is remembered


@pytest.fixture
def memory(tmp_path):
    return TrialMemory(tmp_path, "cpu", "a shape")


def test_what_was_tried_is_not_tried_again(memory, monkeypatch):
    first, _ = settled(model_of(), memory)
    monkeypatch.setattr(autotuning, "trial", lambda *_: pytest.fail("tried"))
    tuner = Autotuner(model_of(), TuningTask("cpu", 4, None, False, 600.0, math.inf), memory=memory)
    events = [*tuner.tune()]
    again, _ = settled(model_of(), memory)
    assert events == [] and again.bf16 == first.bf16
    assert again.why.startswith(first.why.partition(";")[0]) and f"as tried on {today()}" in again.why
    assert again.machine_flops >= first.machine_flops


def test_another_shape_or_machine_or_a_month_later_is_tried_again(memory, monkeypatch, tmp_path):
    memory.remember(TrialResults(today(), bf16=True, machine_flops=1e9))
    assert memory.recall().bf16 and not TrialMemory(tmp_path, "cpu", "another").recall().bf16
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    assert not TrialMemory(tmp_path, "cpu", "a shape").recall().bf16
    monkeypatch.undo()
    a_month_later = time.time() + (KEPT_DAYS + 2) * 86_400
    monkeypatch.setattr(time, "time", lambda: a_month_later)
    assert memory.recall().bf16 is None
    memory.file.write_text("[damaged")
    assert memory.recall().bf16 is None


def known_gain(gain, seconds):
    return TrialResults(
        today(), step_seconds=0.1, bf16=True, bf16_reason="bf", compile_gain=gain, compile_seconds=seconds
    )


@pytest.mark.parametrize(
    ("gain", "compile_seconds", "run_seconds", "pays"),
    [(1.0, 25.0, 600.0, False), (1.5, 25.0, 600.0, True), (1.5, 103.0, 200.0, False), (1.5, 4.0, 60.0, True)],
)
def test_compiling_is_decided_by_what_it_gained(
    memory, monkeypatch, gain, compile_seconds, run_seconds, pays
):
    memory.remember(known_gain(gain, compile_seconds))
    monkeypatch.setattr(torch, "compile", lambda model: model)
    monkeypatch.setattr(autotuning, "COMPILERS", ("python3",))
    tuner = Autotuner(model_of(), TuningTask("cpu", 4, None, None, run_seconds, math.inf), memory=memory)
    events = [*tuner.tune()]
    assert (tuner.compiled is not None) == pays
    notes = [e.text for e in events if isinstance(e, Note)]
    assert notes == ([f"Compiling the model, which took {compile_seconds:.0f} s on {today()}."] * pays)
    assert finish(tuner.tune()).why.endswith(f"as tried on {today()}")


def test_compiling_for_the_first_time_waits_for_the_first_score(monkeypatch, tokens, tmp_path):
    monkeypatch.setattr(torch, "compile", lambda model: model)
    monkeypatch.setattr(autotuning, "COMPILERS", ("python3",))
    settings = replace(SETTINGS, max_iters=None, minutes=10, eval_interval=20, compile=None, bf16=False)
    training, stop, seen = Training(model_of(), tokens, settings), Stop(), []
    for event in training.run(stop):
        seen.append(event)
        if isinstance(event, Speed) and "compil" in event.why:
            stop.ask(2)
    kinds = [type(e) for e in seen]
    compiling = next(i for i, e in enumerate(seen) if isinstance(e, Note) and "Compiling" in e.text)
    assert kinds.index(Evaluation) < compiling and seen[compiling].text == "Compiling the model."
    assert "as fast" in seen[kinds.index(Speed, compiling)].why


def test_scores_come_every_20_seconds_while_they_are_cheap(tokens):
    training = Training(model_of(), tokens, replace(SETTINGS, max_iters=None, minutes=60, eval_interval=None))
    for cost, pause in ((0.5, 19.5), (1.0, 20.0), (10.0, 200.0)):
        training.scores.plan_next(cost)
        assert training.scores.next_evaluation - training.clock.seconds == pytest.approx(pause, abs=0.1)


def test_patience_is_of_a_quarter_of_the_time_however_often_it_is_scored(tokens):
    training = Training(model_of(), tokens, replace(SETTINGS, max_iters=None, minutes=10, eval_interval=None))
    scores, clock = training.scores, training.clock
    for bpb in (2.0, 2.1, 2.1, 2.1):
        scores.add(bpb)
    assert not scores.past_its_best
    clock.started -= 160
    assert scores.past_its_best
    scores.add(1.9)
    assert not scores.past_its_best
