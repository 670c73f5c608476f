"""The training loop, from tokens to events: nanoGPT's train.py.

It writes no file. Weights and state are handed out as events, and the caller writes them before it asks for
the next event.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from llm_nanogpt.gpt_torch import GPT
from llm_nanogpt.home import nanogpt_home

from ..data.dataloader import DataLoader, Tokens, Windows
from ..events import REPORT_SECONDS, BestWeights, Evaluation, Note, Position, Step, TrainingEvent, TrainState
from .autotune import Autotuner, TuningTask
from .batches import Batches
from .clock import Clock
from .cuda_graph import describe_graphs
from .distributed import SINGLE_PROCESS, TORCHRUN_DECAY_SECONDS, Command, ProcessGroup
from .divergence import Diverged, LastGood, all_finite
from .evaluate import bits_per_byte, estimate_loss_unless, token_nats
from .lr_schedule import ANNEAL_FRACTION, ANNEAL_SECONDS, Stop
from .meters import LossMeter, SpeedMeter
from .on_device import random_state, set_random_state
from .optim import configure_optimizers, load_state_tensors, state_tensors, use_bf16
from .process import peak_memory
from .recipe import Settings
from .score_schedule import ScoreSchedule
from .step import Knobs, Steps, TrainStep, make_steps
from .teacher_probs import TeacherProbs
from .trial_memory import TrialMemory

STATE_SECONDS = 30.0  # between TrainState events, from the first score to the last decay


class Training:
    """One model in training: what learns, where it is, and how long it has taken.

    With a `state`, as `read_state` returns it, training continues from there; a state without tensors only
    says where the model before ended. With a `teacher` it learns from these probabilities as well as from the
    text. Rank 0 of the `group` runs the loop, the others follow.
    """

    def __init__(
        self,
        model: GPT,
        tokens: Tokens,
        settings: Settings,
        state: TrainState | None = None,
        group: ProcessGroup = SINGLE_PROCESS,
        teacher: TeacherProbs | None = None,
    ):
        s = self.settings = settings
        block_size = model.config.block_size
        self.tokens, self.group, self.teacher = tokens, group, teacher
        self.model = model.to(s.device)
        self.optimizers = configure_optimizers(model, s.learning_rate, s.weight_decay)
        self.params = [p for p in model.parameters() if p.requires_grad]
        self.forward: Callable[..., torch.Tensor] = model  # compiled and in DDP after `set_up`
        self.bf16 = False
        self._step: Steps | None = None  # made when it is first needed
        self.tuner: Autotuner | None = None

        start = self.restore(state) if state else Position()
        self.clock = Clock(s, start)
        self.loader = DataLoader(
            tokens.train,
            block_size,
            s.model_seed,
            position=start.windows,
            replacement=s.replacement,
            titles=tokens.titles,
        )
        self.batches = Batches(self.loader, s.batch_size, s.device, group, teacher)
        self.best = start.best  # bits per byte, of the whole run
        # The same of earlier generations; after a resume infinite, as that may always add a model.
        self.best_before = start.best_before if not self.clock.model_steps else math.inf
        self.scores = ScoreSchedule(self.clock, s, self.best, s.batch_size * block_size, len(tokens.val))
        self.evaluated_step = -1  # the last one that was scored
        self.stopping = False  # whether a stop was asked for: then no other model follows

        self.lr_scale = 0.0  # fraction of the full learning rate
        self.lr_factor = start.lr_factor  # multiplies the schedule; below 1 once the loss got out of hand
        self.last_good = LastGood(tokens)
        self.loss = LossMeter(s.device, group)
        self.speed = SpeedMeter(model.config)

    # ---- The loop

    def run(
        self, stop: Stop, write_sample: Callable[[GPT], str] = lambda model: ""
    ) -> Iterator[TrainingEvent]:
        """Train the model in place. The first request of `stop` runs the learning rate down, the second ends
        it at once. `write_sample` gives the text beside each score.

        Raises NanogptError where the loss gets out of hand even at an eighth of the learning rate.
        """
        self.clock.was_paused = stop.was_paused
        yield from self.tune()
        yield from self.learn(stop, write_sample)

    def learn(self, stop: Stop, write_sample: Callable[[GPT], str]) -> Iterator[TrainingEvent]:
        """The same once it is set up."""
        try:
            self.keep_as_good()
            while True:
                try:
                    yield from self.loop(stop, write_sample)
                    break
                except Diverged as ex:
                    yield from self.go_back(ex)
        except GeneratorExit:  # the caller has stopped listening
            self.group.broadcast_command(Command.END)
            raise
        self.group.broadcast_command(Command.END)

    def loop(self, stop: Stop, write_sample: Callable[[GPT], str]) -> Iterator[TrainingEvent]:
        """The steps of rank 0, until the steps or the time are up or it is asked to stop."""
        clock = self.clock
        clock.begin_session()
        self.last_report = self.last_state = clock.seconds
        self.scores.begin(is_student=self.teacher is not None)
        while not clock.over and stop.requests < 2:
            if stop.requests == 1 and not self.stopping:
                self.stopping = True
                yield from self.anneal("Stopping")
            # One step, in all processes, at the learning rate of this moment.
            now = clock.now
            lr_scale = self.lr_factor * clock.schedule.get_lr_scale(clock.model_steps, now)
            progress = clock.schedule.progress(now)
            self.group.broadcast_command(Command.STEP, lr_scale, progress)
            self.train_step(lr_scale, progress)
            if clock.seconds - self.last_report >= REPORT_SECONDS:
                yield self.report()
                self.last_report = clock.seconds
            # Score the validation split, and keep what a resume needs.
            if self.scores.due and not clock.schedule.done(clock.now):
                yield from self.evaluate(stop, write_sample)
                if self.tuner and self.tuner.compile_pending:
                    yield from self.compile_model(self.tuner)
                if self.scores.past_its_best and not clock.annealing:
                    yield from self.anneal("The held-out score gets worse, so this model ends early")
                self.last_report = self.last_state = clock.seconds
            elif self.state_due():
                if not all_finite(self.model.state_dict()):  # a resume could not go on from them
                    raise Diverged(f"The weights are no longer numbers after step {clock.step:,}")
                yield self.state()
                self.last_state = clock.seconds
        # A last score, unless a stop at once was asked for and there is a score.
        at_once = stop.requests >= 2 and self.best < math.inf
        if not at_once and self.evaluated_step != clock.step:
            yield from self.evaluate(stop, write_sample)
            at_once = self.evaluated_step != clock.step  # a stop at once came meanwhile
        if at_once and not clock.annealing:  # a resume goes on from before the early decay, not out of it
            yield self.state()

    def train_step(self, lr_scale: float, progress: float) -> None:
        """One step of this process at the fraction `lr_scale` of the full learning rate. `progress` is how
        much of the model's training is done, 0 to 1."""
        self.lr_scale = lr_scale
        spans, weight = self.batches.next_spans()
        knobs = Knobs(lr_scale, weight, self.settings.teacher_weight(progress))
        loss = self.step(spans, knobs)
        self.loss.add(weight * loss, spans.shape[0] * self.loader.block_size)
        if self.last_good.first_loss is None:
            self.last_good.first_loss = loss.item()
        self.clock.step += 1

    @property
    def step(self) -> Steps:
        """The function that makes a step."""
        if self._step is None:
            s = self.settings
            step = TrainStep(self.forward, self.params, self.optimizers, s.grad_clip, (s.device, self.bf16))
            self._step = make_steps(step, self.batches)
        return self._step

    def anneal(self, why: str) -> Iterator[TrainingEvent]:
        """Run the learning rate down, unless it does so already. A resume continues from before that."""
        clock = self.clock
        if not clock.annealing:
            yield self.state()
            shortest, longest = ANNEAL_SECONDS
            seconds = min(max(ANNEAL_FRACTION * clock.seconds, shortest), longest)
            clock.anneal(min(seconds, TORCHRUN_DECAY_SECONDS) if self.group.processes > 1 else seconds)
        left = f"{clock.expected_seconds() - clock.seconds:.0f} s"
        text = f"{why}: {left} more while the learning rate runs down, then a last score."
        yield Note(text, stopping=self.stopping)

    # ---- Speed

    def tune(self) -> Iterator[TrainingEvent]:
        """Find out how the steps run fastest, and set up all processes for it."""
        s, clock = self.settings, self.clock
        task = TuningTask(
            device=s.device,
            batch_size=s.batch_size // self.group.size,
            bf16=s.bf16,
            compile=s.compile,
            seconds=clock.limit_seconds - clock.seconds,
            steps=s.max_iters - clock.step if s.max_iters else math.inf,
            # After the first score, so that one is seen soon. Several processes are set up only once.
            compile_later=self.best == math.inf and self.group.processes == 1,
            is_student=self.teacher is not None,
        )
        shape = self.model.config, task.is_student, task.batch_size
        tuner = self.tuner = Autotuner(self.model, task, TrialMemory(nanogpt_home(), s.device, *shape))
        speed = yield from tuner.tune()
        graphs = describe_graphs(s.device, self.group.size, self.batches.fit_on_device())
        speed = replace(speed, why="; ".join(filter(None, [speed.why, graphs])))
        if speed.machine_flops:
            self.speed.machine_flops = speed.machine_flops * self.group.size
        self.group.broadcast_object((speed.bf16, speed.compiled))
        self.set_up(speed.bf16, speed.compiled, tuner.compiled)
        if speed.why:
            yield speed

    def compile_model(self, tuner: Autotuner) -> Iterator[TrainingEvent]:
        """Compile a model whose training has begun, if a trial shows that this pays off."""
        began = self.clock.seconds
        speed = yield from tuner.try_compiling()
        self.forward = self.forward if tuner.compiled is None else tuner.compiled
        self._step = None
        self.clock.begin_session()
        self.scores.next_evaluation += self.clock.seconds - began
        yield speed

    def set_up(self, bf16: bool, compiled: bool, forward: Callable | None = None) -> None:
        """Precision, DDP and compiling; `forward` is the compiled model where there is one already."""
        self.bf16 = bf16
        use_bf16(self.optimizers, bf16)
        self.forward = self.group.wrap(self.model)
        if compiled:
            in_ddp = self.group.size > 1
            self.forward = torch.compile(self.forward) if in_ddp or forward is None else forward
        self._step = None
        if self.group.rank:  # otherwise every process would drop the same activations
            torch.manual_seed(int(torch.randint(2**31, ())) + self.group.rank)
        self.model.train()

    @property
    def epochs(self) -> float:
        """How often this model has read the text."""
        windows = self.clock.model_steps * self.settings.batch_size
        return windows * self.loader.block_size / len(self.tokens.train)

    # ---- The training loss

    def report(self) -> Step:
        tokens, clock = self.loss.tokens, self.clock
        loss = self.read_loss()  # waits for what a GPU has still to do
        seconds = clock.seconds
        expected = clock.expected_seconds() if self.stopping else clock.expected_run_seconds()
        elapsed = seconds - self.last_report
        self.speed.add(tokens, elapsed)
        return Step(
            step=clock.step,
            train_loss=loss,
            train_bpb=bits_per_byte(loss * (len(self.tokens.train) - 1), self.tokens.train_bytes),
            tokens_per_second=tokens / elapsed,
            mfu=self.speed.mfu(tokens, elapsed),
            learning_rate=self.settings.learning_rate * self.lr_scale,
            seconds=seconds,
            progress=min(1.0, seconds / expected),
            eta=max(0.0, expected - seconds),
            memory=peak_memory(),
        )

    def read_loss(self) -> float:
        """The mean loss in nats per token since it was last read. Raises Diverged if it is not finite."""
        self.group.broadcast_command(Command.LOSS)
        loss = self.loss.read()
        if not math.isfinite(loss):
            raise Diverged(f"The loss is no longer a number at step {self.clock.step:,}")
        return loss

    # ---- The validation score

    def evaluate(self, stop: Stop, write_sample: Callable[[GPT], str]) -> Iterator[TrainingEvent]:
        """Score the weights, and hand out the best. A stop at once ends it, if there is a score already."""
        clock = self.clock
        began = clock.seconds
        if self.loss.steps:
            self.read_loss()
        self.group.broadcast_command(Command.EVALUATE)
        scored = yield from estimate_loss_unless(
            *self.validation, self.group, lambda: stop.requests >= 2 and self.best < math.inf
        )
        if scored is None:
            return
        weights = self.with_score(self.model, *scored)
        val_bpb, val_loss = weights.val_bpb, weights.val_loss
        self.last_good.check_score(val_loss, val_bpb, clock.step, self.batch_nats)
        best = val_bpb < self.best
        self.scores.add(val_bpb)
        if best:
            self.best = val_bpb
            yield weights
        if not clock.annealing:
            self.keep_as_good()
            yield self.state()
        sample = write_sample(self.model)
        self.evaluated_step = clock.step
        self.scores.plan_next(cost=clock.seconds - began)
        train_loss = self.loss.since_score()
        yield Evaluation(clock.step, val_bpb, val_loss, train_loss, clock.seconds, best, sample)

    def with_score(self, model: GPT, nats: float, of_tokens: np.ndarray | None) -> BestWeights:
        """The weights of `model` at this step, with their score from the `nats` of all held-out tokens."""
        weights = {k: v.float().cpu().numpy() for k, v in model.state_dict().items()}
        bpb, loss = bits_per_byte(nats, self.tokens.val_bytes), nats / (len(self.tokens.val) - 1)
        return BestWeights(model.config, weights, self.clock.step, bpb, loss, of_tokens)

    @property
    def validation(self) -> tuple[GPT, Windows, str, bool]:
        windows = Windows(self.tokens.val, self.model.config.block_size, self.tokens.titles)
        return self.model, windows, self.settings.device, self.bf16

    def batch_nats(self) -> float:
        """The mean loss, in nats per token, on the last batch that was trained on."""
        return float(token_nats(self.model, *self.batches.last(), self.settings.device, self.bf16).mean())

    # ---- When the loss gets out of hand

    def keep_as_good(self) -> None:
        """Remember the present state, in all processes."""
        self.group.broadcast_command(Command.KEEP)
        self.last_good.keep(self.state())

    def go_back(self, why: Diverged) -> Iterator[TrainingEvent]:
        """Continue from the last good state at half the rate. Raises NanogptError when no attempt is left."""
        rate, good = self.settings.learning_rate, self.last_good
        if good.is_last_chance:
            raise good.failure(why, "and there is no time to try again", rate)
        good.halve_rate(why, rate * self.lr_factor)
        self.group.broadcast_command(Command.BACK)
        self.take_up_last_good()
        good.is_last_chance = self.clock.over and self.best == math.inf
        # If the time is over and there is a score, no other one is needed.
        self.evaluated_step = -1 if good.is_last_chance else self.clock.step
        if self.best < math.inf:
            yield self.state()
        yield Note(f"{why}. Back to step {self.clock.step:,}, at half the rate: {rate * self.lr_factor:.2g}.")

    def take_up_last_good(self) -> None:
        """Go back to the last good state, in this process."""
        good = self.last_good.state
        self.restore(good)
        self.clock.step, self.loader.position = good.position.step, good.position.windows
        self.lr_factor = good.position.lr_factor
        self.loss = LossMeter(self.settings.device, self.group)
        self._step = None  # its graph, if it is one, has the tensors of before

    # ---- What a resume needs

    def state(self) -> TrainState:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= state_tensors(self.optimizers) | random_state(self.settings.device)
        return TrainState(tensors, self.position)

    def state_due(self) -> bool:
        """Whether to write a state: not before the first weights are kept, nor once the early decay began."""
        kept = self.best < math.inf and not self.clock.annealing
        return kept and self.clock.seconds - self.last_state >= STATE_SECONDS

    @property
    def position(self) -> Position:
        clock = self.clock
        return Position(
            step=clock.step,
            seconds=clock.seconds,
            best=self.best,
            best_before=self.best_before,
            windows=self.loader.position,
            stage=self.settings.stage,
            start_step=clock.start_step,
            start_seconds=clock.start_seconds,
            lr_factor=self.lr_factor,
        )

    def restore(self, state: TrainState) -> Position:
        """Continue from a state of this model, or begin it where the model before ended."""
        p = state.position
        if p.stage != self.settings.stage or not state.tensors:
            return replace(p, start_step=p.step, start_seconds=p.seconds, lr_factor=1.0)
        weights = {k.removeprefix("model."): v for k, v in state.tensors.items() if k.startswith("model.")}
        self.model.load_state_dict(weights)
        load_state_tensors(self.optimizers, state.tensors)
        set_random_state(state.tensors, self.settings.device)
        return p
