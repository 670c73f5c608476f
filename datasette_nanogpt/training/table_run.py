"""A run in its leading process: rows to tokens, then one model after the other, saved as they get better."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from llm_nanogpt.device import choose_device
from llm_nanogpt.errors import NanogptError

from ..data.corpus import Corpus
from ..events import (
    BestWeights,
    Busy,
    Evaluation,
    Event,
    Finished,
    LastPart,
    Note,
    Part,
    Position,
    Progress,
    Speed,
    Step,
    TrainState,
)
from ..registry.run_log import run_log_name
from ..registry.runs import Run
from .busy_machine import slower_than
from .distributed import ProcessGroup
from .evaluate import sample_writer
from .final_figures import HeldOut, RunFacts, measure_figures, read_held_out
from .join_models import best_alike, models_to_join, score_joined
from .joined_size import may_join
from .log_events import log_event, note
from .lr_schedule import Stop
from .members import Crew, next_position, next_work
from .model_folder import ModelFolder, staging_folder
from .nodes import Courier
from .options import TrainOptions
from .parts import Parts
from .preparation import describe_plan, plan_models, prepare_text
from .prompt import prompt_from, to_try
from .recipe import check_stages
from .reopen import reopen
from .replaced import find_replaced
from .replan import next_stages
from .results import Results
from .run_before import score_of_run_before
from .stages import begin_work, describe_stage, end_stages, predict_text
from .train_state import trained_after
from .trainer import Training
from .verdict import verdict


class TableRun:
    """A run in the leading process: writes and records the events of the trainer, and passes them on."""

    # Both are set once the text is read, or the run that is resumed.
    folder: ModelFolder
    results: Results

    def __init__(self, options: TrainOptions, run: Run, stop: Stop, group: ProcessGroup):
        self.options, self.run, self.stop, self.group = options, run, stop, group
        self.courier, self.crew = Courier(group), Crew(group)
        self.device, self.device_reason = choose_device(options.device, group.size)
        self.parts = Parts(run)
        self.unjoined = False  # whether a stop at once came after the last step, before models were joined

    def events(self, final: Path, corpus: Corpus | None, meta: dict[str, Any]) -> Generator[Event, None, str]:
        """Everything from the first row to the end. Returns the status that the run ended with.

        `final` is the place of the model folder. Without a `corpus`, the run that is there is resumed, and
        `meta` is its nanogpt.json.
        """
        state, replaces = None, None
        if corpus:
            self.folder = yield from self.prepare(corpus, final)
            replaces = find_replaced(final, self.folder.meta)
            self.folder.keep = replaces is not None and replaces.keep
        else:
            self.folder, state = reopen(self.options, meta, final, self.device)
            check_stages(self.folder.stages, self.options.given())
        self.results = Results(self.folder, self.run, replaces)
        self.folder.meta.setdefault("training", {})["log"] = run_log_name(self.run.id)
        resumed_from = state.position.step if state else None
        at = state.position.stage if state else 0
        self.crew.trained = trained_after(self.folder.path, at, len(self.folder.stages))
        if not (yield from self.predict_text(at)):
            raise KeyboardInterrupt
        self.parts.begin(Progress(Part.BUILDING))
        training = self.begin(state.position if state else Position(), state)
        if self.run.starts_on_a_page and not state:  # it takes a while: only for those who wait for it
            write_sample = sample_writer(self.folder.tokenizer, training.settings.seed)
            self.run.first_text(write_sample(training.model))
        held_out = read_held_out(training.tokens, self.folder.tokenizer)
        gzip_bpb = held_out.gzip_bpb if held_out.gzip_bpb < math.inf else None
        prepared = describe_plan(self.folder, self.device_reason, replaces, resumed_from)
        prepared = replace(prepared, gzip_bpb=gzip_bpb, letters=held_out.letters_per_byte)
        del state  # which is as big as the model and its optimizers
        self.run.update(status="running", note=None, plan=json.dumps(asdict(prepared)))
        log_event(prepared)
        yield prepared
        training = yield from self.train_stages(training)
        yield from self.join_models(training)
        finished = self.finish(training)
        finished = replace(finished, verdict=(yield from self.judge(training, held_out, finished)))
        log_event(finished)
        yield finished
        return finished.status

    def prepare(self, corpus: Corpus, final: Path) -> Generator[Progress, None, ModelFolder]:
        """Read and tokenize the table, and plan the models."""
        options, staging = self.options, staging_folder(final)
        (staging / "training").mkdir(parents=True)
        steps = prepare_text(options, corpus, staging / "training", final.parent)
        text = yield from self.parts.pass_on_progress(steps)
        self.parts.add_results(text.corpus)
        yield self.parts.begin(Progress(Part.MEASURING))
        return plan_models(options, corpus, text, staging, final, self.device)

    def begin(self, position: Position, state: TrainState | None = None) -> Training:
        """The model at that position, in all processes, or in this one while others train other models."""
        folder, crew = self.folder, self.crew
        work = next_work(folder.stages, position, self.group.processes, crew.trained)
        crew.begin({stage.settings.stage for stage, _ in work[1:]})
        return begin_work(folder.path, work, folder.meta["corpus"], state, self.courier)

    def predict_text(self, stage: int) -> Generator[Busy, None, bool]:
        """Compute the predictions of that stage's teachers. False if a stop was asked for meanwhile."""
        folder = self.folder
        steps = predict_text(folder.path, folder.stages[stage], folder.meta["corpus"])
        for busy in self.parts.pass_on(steps):
            if self.stop_asked():
                return False
            yield busy
        return True

    def stop_asked(self) -> bool:
        """Whether somebody has asked the run to stop, here or in Datasette."""
        self.stop.ask(self.run.stop_requested())
        return self.stop.requests > 0

    @property
    def hurries(self) -> bool:
        """Whether somebody has asked twice, so that the run stops at once."""
        return self.stop.requests > 1

    def train_stages(self, training: Training) -> Generator[Event, None, Training]:
        """Train the models of the run, beginning with this one. Returns the last that was trained."""
        folder, saver = self.folder, self.results.saver
        while True:
            at, settings, model = training.settings.stage, training.settings, training.model
            self.run.model = at + 1
            if len(folder.stages) > 1:
                place = f"model {at + 1} of {len(folder.stages)}"
                self.run.update(note=None, model=place)
                yield note(f"Now {place}, {describe_stage(training)}{self.crew.describe()}.")
            yield from self.train_stage(training)
            for busy in self.parts.pass_on(self.crew.gather(self.stop_asked)):
                yield from self.keep_members(training)
                yield busy
            position = next_position(folder.stages, training.position, self.crew.trained)
            # Stages that are trained already keep their numbers.
            if self.may_replan(training) and position.stage > max(self.crew.trained, default=at):
                joins = may_join(folder.meta["options"])
                folder.stages, change = next_stages(folder.stages, training, position, joins, self.is_joined)
                if change:
                    yield note(change)
            if self.ends_with(training):
                end_stages(self.group)
                return training
            self.parts.go_on("building the next model")
            saver.finish()
            saver.insist(partial(folder.write_teacher, at, model.config, model.state_dict()))
            # From here on a resume begins with the next model.
            saver.state(TrainState({}, position))
            if not (yield from self.predict_text(position.stage)) or self.stop.requests:
                end_stages(self.group)
                return training
            if folder.stages[position.stage].settings.generation != settings.generation:
                position = replace(position, best_before=training.best)
            training = self.begin(replace(position, seconds=training.clock.seconds))
            folder.drop_teachers(position.stage)
            saver.state(training.state())

    def train_stage(self, training: Training) -> Iterator[Event]:
        """Train one model to its end, and write and record its events."""
        run, results, busy = self.run, self.results, False
        write_sample = sample_writer(self.folder.tokenizer, training.settings.seed)
        for event in training.run(self.stop, write_sample):
            if isinstance(event, BestWeights):
                results.weights(event)
                continue
            if isinstance(event, TrainState):
                results.saver.state(event)
                continue
            if (busy and not isinstance(event, Busy)) or isinstance(event, Speed):
                run.update(note=None)
            busy = isinstance(event, Busy)
            match event:
                case Busy():
                    if self.ends_with(training) and (training.clock.over or self.hurries):
                        self.parts.begin(Progress(LastPart.SCORING))
                    run.update(note=str(event))
                case Step():
                    self.parts.go_on()
                    run.step(event)
                case Evaluation():
                    results.score(event, training)
                case Note():
                    run.update(note=event.text)
            self.stop_asked()  # after every event, as scores may leave no time for a Step
            log_event(event)
            yield event
            yield from self.keep_members(training)
            results.saver.retry()
            for text in (*run.notes(), *results.saver.notes()):
                yield note(text)

    def keep_members(self, training: Training) -> Iterator[Event]:
        """Keep the models that other processes have finished, and write and record their scores."""
        results = self.results
        if not results.last:  # there is no model folder yet, where they would be kept
            return
        for stage, member in self.crew.finished():
            best = member.best if member.best and member.best.val_bpb < training.best else None
            if best:
                training.best = best.val_bpb
                results.weights(best)
            for score in member.scores:
                event = replace(score, best=best is not None and score.step == best.step)
                results.score_of_member(event, stage, training)
                log_event(event)
                yield event
            results.saver.insist(partial(self.folder.write_teacher, stage, member.config, member.tensors))
            yield note(f"Model {stage + 1} of {len(self.folder.stages)} was trained by another process.")

    def join_models(self, training: Training) -> Iterator[Event]:
        """Join the best models of the last one's shape, or the latest of those whose scores are not known, if
        they are better together. Not where the size was set by hand, as the joined model is bigger."""
        results, last = self.results, self.results.last
        is_cut_short = self.hurries and self.is_cut_short(training)
        if not may_join(self.folder.meta["options"]) or last is None or is_cut_short:
            return
        stages = best_alike(self.folder.stages, training.settings.stage, results.scores)
        limit = self.options.max_parameters or math.inf
        models = models_to_join(self.folder.path, training.model, stages, limit)
        if not models:
            return
        yield Busy(f"scoring {len(models)} models joined into one")
        steps = score_joined(models, training, self.is_joined, lambda: self.stop_asked() and self.hurries)
        joined = yield from self.parts.pass_on(steps)
        if self.hurries and not joined:
            self.unjoined = True
            yield note("Stopped before the models were joined: --resume joins them if that is better.")
        if not joined:
            return
        (model, best), before = joined, training.best
        training.best = best.val_bpb
        results.weights(best)
        sample = sample_writer(self.folder.tokenizer, training.settings.seed)(model)
        seconds = training.clock.seconds
        score = Evaluation(best.step, best.val_bpb, best.val_loss, last.train_loss, seconds, True, sample)
        results.score_of_joined(score, training)
        log_event(score)
        yield score
        results.joined = (
            f"{len(models)} models joined into one of {model.config.parameters / 1e6:.1f}M parameters, as "
            f"together they are better: {best.val_bpb:.3f} bits per byte, the best alone {before:.3f}"
        )
        yield note(f"This run ends with {results.joined}.")

    @property
    def is_joined(self) -> bool:
        """Whether the model that is saved is one of models joined: in a run that goes on after its end."""
        return self.folder.config.n_embd > max(config.n_embd for config, _ in self.folder.stages)

    def may_replan(self, training: Training) -> bool:
        """Whether to plan the remaining stages again: not at the end of the run, nor where steps were asked
        for, nor for nanoGPT's recipe, which is one model."""
        config, settings = self.folder.stages[-1]
        planned = settings.minutes and not self.steps_asked and config.arch != "gpt2"
        return bool(planned) and not (self.out_of_time(training) or self.stop.requests)

    @property
    def steps_asked(self) -> int | None:
        """The limit of steps that was set by hand, now or when the run was started."""
        return self.options.max_iters or self.folder.meta["options"].get("max_iters")

    def out_of_time(self, training: Training) -> bool:
        return training.clock.seconds >= 60 * (self.folder.stages[-1].settings.minutes or math.inf)

    def is_over(self, training: Training) -> bool:
        """Whether the run has used up its time or its steps."""
        max_iters = self.folder.stages[-1].settings.max_iters
        return self.out_of_time(training) or training.clock.step >= (max_iters or math.inf)

    def is_cut_short(self, training: Training) -> bool:
        """Whether a stop that was asked for has taken steps from the run."""
        return training.stopping or not self.is_over(training)

    def ends_with(self, training: Training) -> bool:
        """Whether no other model follows this one, as far as that is planned."""
        following = next_position(self.folder.stages, training.position, self.crew.trained).stage
        is_last = following >= len(self.folder.stages)
        return is_last or self.is_over(training) or bool(self.stop.requests)

    def judge(
        self, training: Training, held_out: HeldOut, finished: Finished
    ) -> Generator[Busy, None, dict[str, str]]:
        """The verdict: what the score means, in plain words. It is also kept in nanogpt.json."""
        results, last = self.results, self.results.last
        self.parts.begin(Progress(LastPart.JUDGING))
        facts = RunFacts(
            curve=results.curve,
            nats=results.nats,
            train_loss=last.train_loss if last else None,
            last_bpb=score_of_run_before(self.run.home, self.run.id),
            slower=slower_than(self.run.home, self.run.id),
            steps_asked=self.steps_asked,
            stopped=finished.status == "stopped",
            steps=finished.step,
            seconds=finished.seconds,
            hurry=lambda: max(self.stop.requests, self.run.stop_requested()) >= 2,
            keep_documents=self.run.documents,
            joined=results.joined,
        )
        figures = yield from self.parts.pass_on(measure_figures(self.folder, training, held_out, facts))
        lines = verdict(figures)
        self.folder.meta["verdict"] = {"lines": lines, "figures": asdict(figures)}
        self.folder.write_meta()
        lines = {**lines, **results.replaced_by(finished.val_bpb)}  # about the run, so not in nanogpt.json
        self.run.update(verdict=json.dumps(lines))
        return lines

    def finish(self, training: Training) -> Finished:
        """Record the end. Raises NanogptError if the model was not good enough to replace the one there."""
        folder, clock, results = self.folder, training.clock, self.results
        results.saver.finish()
        if folder.path != folder.final:
            raise NanogptError(
                f"The model that was trained knows no more than how frequent each token is, so "
                f"{folder.final.name} stays as it was: train for longer"
            )
        # A stop that came after the last step has changed nothing, unless it was one at once.
        cut_short = self.unjoined or self.is_cut_short(training)
        status = "stopped" if self.stop.requests and cut_short else "finished"
        folder.end(status, clock.step, clock.seconds)
        self.run.update(progress=1.0, eta=0.0)
        score, tokens = folder.meta["score"], training.tokens
        seconds_left = 60 * (folder.stages[-1].settings.minutes or 0.0) - clock.seconds
        all_steps = clock.step >= (self.steps_asked or math.inf)
        return Finished(
            status=status,
            name=folder.final.name,
            folder=str(folder.final),
            parameters=folder.config.parameters,
            step=clock.step,
            seconds=folder.meta["training"]["seconds"],
            seconds_left=0.0 if all_steps else max(0.0, seconds_left),
            val_bpb=score["val_bpb"],
            val_loss=score["val_loss"],
            mfu=training.speed.mean_mfu,
            epochs=training.epochs,
            models=max(self.crew.trained | {training.settings.stage}) + 1,
            best_step=score["step"],
            better_before=results.better_before(score["val_bpb"]),
            sample=results.last.sample if results.last else "",
            prompt=prompt_from(tokens.val, folder.tokenizer),
            **to_try(tokens, folder.meta["source"]),
        )
