"""The loop, on a tiny model that learns in milliseconds."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TEXTS, finish, tiny_config

from datasette_nanogpt.data.dataloader import Tokens, Windows
from datasette_nanogpt.data.token_files import open_tokens, write_tokens
from datasette_nanogpt.events import BestWeights, Busy, Evaluation, Note, Position, Step, TrainState
from datasette_nanogpt.training import evaluate, trainer
from datasette_nanogpt.training.evaluate import bits_per_byte, estimate_loss
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.on_device import random_state, set_random_state
from datasette_nanogpt.training.recipe import Settings
from datasette_nanogpt.training.teacher_probs import TeacherProbs, write_teacher_probs
from datasette_nanogpt.training.train_state import read_state, write_state
from datasette_nanogpt.training.trainer import Training
from llm_nanogpt.checkpoint import read_safetensors_header, write_weights
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.gpt_torch import build

SETTINGS = Settings(
    batch_size=4,
    learning_rate=0.02,
    weight_decay=0.0,
    warmup_steps=2,
    decay_share=0.5,
    dropout=0.0,
    seed=0,
    device="cpu",
    compile=False,
    bf16=False,
    max_iters=40,
    eval_interval=10,
)


@pytest.fixture
def tokens(tmp_path, bpe):
    split = TEXTS[:-30], TEXTS[-30:]
    for name, texts in zip("tv", split, strict=True):
        finish(write_tokens(texts, bpe, tmp_path / name))
    return Tokens(
        *(open_tokens(tmp_path / name, bpe.n_vocab) for name in "tv"),
        *(sum(len(text.encode()) for text in texts) for texts in split),
    )


def new_model(arch="qwen3"):
    torch.manual_seed(0)
    return build(tiny_config(arch))


def ask(teacher, tokens, folder):
    """What a teacher predicts for the training text."""
    for _ in write_teacher_probs(folder / "probs", [teacher], Windows(tokens.train, 32, None), "cpu", False):
        pass
    return TeacherProbs(folder / "probs", 400, len(tokens.train))


def run(tokens, folder, settings=SETTINGS, model=None, stop=None, **kwargs):
    """The events for people; what is to be kept is written into `folder`."""
    training = Training(model or new_model(), tokens, settings, **kwargs)
    for event in training.run(stop or Stop()):
        if isinstance(event, BestWeights):
            write_weights(folder / "model.safetensors", event.tensors, {"val_bpb": repr(event.val_bpb)})
        elif isinstance(event, TrainState):
            write_state(folder, event)
        else:
            yield event


def test_validation_is_the_whole_split_in_order(tokens):
    """Against a plain sum over every token, one window at a time."""
    model = new_model()
    ids = torch.from_numpy(tokens.val.astype(np.int64))
    nats, block = 0.0, model.config.block_size
    for start in range(0, len(ids) - 1, block):
        window = ids[start : start + block + 1]
        for i in range(1, len(window)):
            nats -= torch.log_softmax(model.logits(window[None, :i]), -1)[0, window[i]].item()
    assert estimate_loss(model, Windows(tokens.val, block, None), "cpu") == pytest.approx(nats, rel=1e-5)
    assert bits_per_byte(math.log(2) * 8, 1) == pytest.approx(8)


@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
def test_it_learns_and_keeps_the_best(tokens, tmp_path, arch):
    settings = SETTINGS if arch == "qwen3" else replace(SETTINGS, learning_rate=1e-2)
    scores = [e for e in run(tokens, tmp_path, settings, new_model(arch)) if isinstance(e, Evaluation)]
    assert [e.step for e in scores] == [10, 20, 30, 40]
    assert scores[-1].val_bpb < 0.7 * scores[0].val_bpb
    assert scores[0].best
    at = read_state(tmp_path).position
    assert at.step == 40 and at.best == min(e.val_bpb for e in scores)


def test_a_resumed_run_is_the_uninterrupted_one(tokens, tmp_path):
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir()
    part.mkdir()
    # Dropout uses the random state, which has to survive too.
    uninterrupted = build(tiny_config(), dropout=0.2)
    twin = build(tiny_config(), dropout=0.2)
    twin.load_state_dict(uninterrupted.state_dict())
    torch.manual_seed(1)
    *_, expected = run(tokens, whole, model=uninterrupted)
    torch.manual_seed(1)
    for event in run(tokens, part, model=twin):
        if isinstance(event, Evaluation) and event.step == 20:
            break  # as if killed
    torch.manual_seed(99)
    resumed = build(tiny_config(), dropout=0.2)
    *_, found = run(tokens, part, model=resumed, state=read_state(part))
    assert (found.step, found.val_bpb) == (expected.step, expected.val_bpb)
    for p, q in zip(uninterrupted.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)


def test_the_first_stop_anneals(tokens, tmp_path):
    stop, seen = Stop(), []
    settings = replace(SETTINGS, max_iters=10**6, eval_interval=None, minutes=10)
    for event in run(tokens, tmp_path, settings, stop=stop):
        if not seen:
            stop.request()
        seen.append(event)
    kinds = [type(e) for e in seen]
    assert Note in kinds and kinds[-1] is Evaluation
    assert (tmp_path / "model.safetensors").exists()
    assert seen[-2].learning_rate < 0.5 * settings.learning_rate
    # A resume goes on from before the anneal.
    assert read_state(tmp_path).position.step < seen[-1].step


def test_the_second_stop_ends_at_once(tokens, tmp_path):
    stop, steps = Stop(), []
    settings = replace(SETTINGS, max_iters=10**6)
    for event in run(tokens, tmp_path, settings, stop=stop):
        if isinstance(event, Step | Evaluation):
            steps.append(event.step)
            stop.ask(2)
    assert len(set(steps)) == 1 and read_state(tmp_path).position.step == steps[0]
    assert (tmp_path / "model.safetensors").exists()


def test_a_second_stop_while_the_rate_runs_down_goes_on_from_before_that(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "REPORT_SECONDS", 0.0)
    stop, begun = Stop(), 0
    for event in run(tokens, tmp_path, replace(SETTINGS, max_iters=10**6), stop=stop):
        if isinstance(event, Evaluation):
            stop.request()
        if isinstance(event, Note):
            begun = read_state(tmp_path).position.step
        if begun and isinstance(event, Step) and event.step == begun + 5:
            stop.request()
    assert event.step == begun + 5 and read_state(tmp_path).position.step == begun


def test_every_model_of_a_run_warms_up(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "REPORT_SECONDS", 0.0)
    before = Position(step=100, seconds=5.0, best=9.0)
    settings = replace(SETTINGS, stage=1, max_iters=140)
    teacher = ask(new_model(), tokens, tmp_path)
    events = run(tokens, tmp_path, settings, state=TrainState({}, before), teacher=teacher)
    rates = [e.learning_rate / settings.learning_rate for e in events if isinstance(e, Step)]
    assert rates[:4] == pytest.approx([1 / 3, 2 / 3, 1, 1])


@pytest.mark.parametrize("scores", [1, 3])  # 3: during the last one
def test_a_stop_at_once_does_not_wait_for_a_score(tokens, tmp_path, monkeypatch, scores):
    monkeypatch.setattr(trainer, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(evaluate, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(evaluate, "logits_per_batch", lambda device: 1)  # so that a score has many parts
    stop, seen = Stop(), []
    for event in run(tokens, tmp_path, SETTINGS, stop=stop):
        if isinstance(event, Busy) and sum(type(e) is Evaluation for e in seen) == scores:
            stop.ask(2)
        seen.append(event)
    assert [e.step for e in seen if type(e) is Evaluation] == [10, 20, 30][:scores]
    assert type(seen[-1]) is Busy and "scoring" in seen[-1].what
    assert read_state(tmp_path).position.step == 10 * scores + 10  # saved all the same


def test_the_first_score_comes_early_however_long_the_interval(tokens):
    training = Training(new_model(), tokens, replace(SETTINGS, eval_interval=10**6, minutes=5.0))
    training.clock.step, training.scores.next_evaluation = 3, 0.0
    assert training.scores.due
    training.scores.run_has_score = True
    assert not training.scores.due


def test_a_first_score_waits_until_it_takes_no_longer_than_the_steps_before_it(tokens):
    settings = replace(SETTINGS, max_iters=None, minutes=2, eval_interval=None)
    training = Training(new_model(), tokens, settings)
    training.clock.step, training.clock.started = 1, training.clock.started - 20  # one step in 20 seconds
    training.scores.next_evaluation = 10.0
    windows = len(tokens.val) / training.model.config.block_size
    assert training.scores.expected_seconds == pytest.approx(windows * 20 / 4 / 3, rel=0.01)
    assert not training.scores.due
    training.clock.step = round(windows / 4 / 3 / 0.8)  # steps: a score takes 0.8 of their time
    assert training.scores.due


def test_weights_and_state_are_handed_out_before_the_score_that_is_about_them(tokens):
    kinds, weights = [], None
    for event in Training(new_model(), tokens, SETTINGS).run(Stop()):
        if isinstance(event, BestWeights):
            weights = event
        if isinstance(event, Evaluation) and event.best:
            assert (weights.step, weights.val_bpb, weights.val_loss) == (
                event.step,
                event.val_bpb,
                event.val_loss,
            )
        kinds += [type(event)] * isinstance(event, BestWeights | TrainState | Evaluation)
    assert kinds[:3] == [BestWeights, TrainState, Evaluation]
    assert kinds.count(TrainState) == kinds.count(Evaluation) == 4


def test_a_score_after_the_first_step_has_a_training_loss(tokens, tmp_path):
    first = next(
        e for e in run(tokens, tmp_path, replace(SETTINGS, eval_interval=1)) if type(e) is Evaluation
    )
    assert first.step == 1 and math.isfinite(first.train_loss)


def test_time_limits_a_run(tokens, tmp_path):
    settings = replace(SETTINGS, minutes=0.02, max_iters=None, eval_interval=None)
    *_, last = run(tokens, tmp_path, settings)
    assert 1.2 <= last.seconds < 60  # a busy machine may take long for the last step and the score


def test_a_loss_that_is_no_number_is_told(tokens, tmp_path):
    model = new_model()
    model.output.data.fill_(math.nan)
    with pytest.raises(NanogptError, match="--learning-rate"):
        list(run(tokens, tmp_path, replace(SETTINGS, max_iters=10**6, eval_interval=10**6), model))
    assert not (tmp_path / "model.safetensors").exists()


def test_a_state_comes_back_and_keeps_its_names_on_disk(tmp_path):
    position = Position(7, 1.5, 2.5, windows=28, stage=1, start_step=4, start_seconds=0.5, lr_factor=0.5)
    write_state(tmp_path, TrainState({"rng": torch.get_rng_state()}, position))
    state = read_state(tmp_path)
    assert state.position == position and torch.equal(state.tensors["rng"], torch.get_rng_state())
    header = read_safetensors_header(tmp_path / "training" / "state.safetensors")
    assert json.loads(header["__metadata__"]["at"]) == {
        "step": 7,
        "seconds": 1.5,
        "best": 2.5,
        "position": 28,
        "generation": 1,
        "born": [4, 0.5],
        "lr_factor": 0.5,
    }


def test_a_damaged_state_is_told(tmp_path):
    with pytest.raises(NanogptError, match="without --resume"):
        read_state(tmp_path)
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "state.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(NanogptError, match="without --resume"):
        read_state(tmp_path)


def test_memory_is_counted_in_bytes():
    code = (
        "import torch; from datasette_nanogpt.training.process import peak_memory; before = peak_memory(); "
        "filled = b'x' * 400_000_000; print(before, peak_memory())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    before, after = map(int, told.split())
    assert 400_000_000 < after < 400_000_000 + before


def test_a_run_that_only_learns_by_heart_ends_early(tokens, tmp_path):
    little = replace(tokens, train=tokens.train[:400])
    settings = replace(SETTINGS, minutes=5, max_iters=5000, eval_interval=20)
    events = list(run(little, tmp_path, settings))
    scores = [e for e in events if isinstance(e, Evaluation)]
    assert scores[-1].step < 2500 and scores[-1].val_bpb > 1.01 * min(e.val_bpb for e in scores)
    assert any(isinstance(e, Note) and "ends early" in e.text for e in events)
    # Who asks for steps gets them, and nanoGPT's recipe goes on.
    events = list(run(little, tmp_path, replace(settings, max_iters=300, decay_share=0.0)))
    assert [e for e in events if isinstance(e, Evaluation)][-1].step == 300


def test_a_teachers_probabilities_count_less_and_less(tokens, tmp_path):
    """One that knows nothing holds its student back, unless its weight runs down to nothing."""
    torch.manual_seed(7)
    ignorant = ask(build(tiny_config()), tokens, tmp_path)
    scores = {}
    for weights in ((0.9, 0.9), (0.9, 0.0), (0.0, 0.9)):
        *_, last = run(tokens, tmp_path, replace(SETTINGS, teacher_weights=weights), teacher=ignorant)
        scores[weights] = last.val_bpb
    assert scores[0.9, 0.0] < scores[0.0, 0.9] < scores[0.9, 0.9]


def test_a_score_tells_the_mean_loss_since_the_last_one(tokens, tmp_path):
    def losses(interval):
        settings = replace(SETTINGS, max_iters=8, eval_interval=interval)
        return [e.train_loss for e in run(tokens, tmp_path, settings) if isinstance(e, Evaluation)]

    each, seldom = losses(1), losses(4)
    assert seldom == [pytest.approx(np.mean(each[:4])), pytest.approx(np.mean(each[4:]))]


def test_the_random_numbers_of_a_gpu_go_on_as_well(monkeypatch):
    state = {"cuda:1": torch.tensor([7], dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: state[device])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda new, device: state.update({device: new}))
    saved = random_state("cuda:1")
    expected, state["cuda:1"] = torch.rand(3), torch.tensor([8], dtype=torch.uint8)
    set_random_state(saved, "cuda:1")
    assert state["cuda:1"].item() == 7 and torch.equal(torch.rand(3), expected)
    set_random_state(random_state("cpu"), "cuda:1")  # the run goes on elsewhere
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: state["cuda:1"])
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda new: state.update(mps=new))
    set_random_state(random_state("mps"), "mps")
    assert state["mps"].item() == 7
    assert "rng_cuda" not in random_state("cpu")
