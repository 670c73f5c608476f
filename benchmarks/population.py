"""What more compute gains: whole runs at a given speed, whatever else this machine is doing.

    python benchmarks/population.py notes.db note --minutes 1 3 10 30 60 --gflops 400
    python benchmarks/population.py notes.db note --minutes 0.1 0.3 1 3 --gflops 20 --size xs   # in minutes

The clock of each run is that of an idle machine which does so many FLOPs of flops.work_per_step a second: it
goes on by the work of each step, score and teacher, however long these take here. So all that a run decides
by its clock is decided as it would be there: the plan, what is left out or added between models, an early
end. Bits per byte should never rise with the minutes by more than 0.5%, and should be 5% less after an hour
than after ten minutes. Write your own table for it: blog_entry, speech and python_docs are what is reported
elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch


class IdleMachine:
    """A clock that work moves on: `flops` of it take a second."""

    def __init__(self, flops: float) -> None:
        self.flops, self.seconds = flops, 0.0

    def monotonic(self) -> float:
        return self.seconds

    def work(self, work: float) -> None:
        self.seconds += work / self.flops

    def as_clock_of_runs(self, stack: ExitStack) -> None:
        """Until the stack is closed."""
        from datasette_nanogpt.training import clock, measure, parts, stages, trainer
        from datasette_nanogpt.training.evaluate import estimate_loss_unless
        from datasette_nanogpt.training.flops import work_of_teaching, work_per_step
        from datasette_nanogpt.training.teacher_probs import write_teacher_probs

        train_step = trainer.Training.train_step

        def timed_step(training: Any, lr_scale: float, progress: float) -> None:
            config = training.model.config
            train_step(training, lr_scale, progress)
            self.work(work_per_step(config, training.settings.batch_size * config.block_size))

        def timed_score(model: Any, windows: Any, *rest: Any) -> Generator[Any, Any, Any]:
            self.work(work_per_step(model.config, 1024) / 1024 * len(windows.tokens) / 3)
            return (yield from estimate_loss_unless(model, windows, *rest))

        def timed_teachers(file: Any, models: Any, windows: Any, *rest: Any) -> Iterator[float]:
            self.work(work_of_teaching([model.config for model in models], len(windows.tokens)))
            yield from write_teacher_probs(file, models, windows, *rest)

        time = SimpleNamespace(monotonic=self.monotonic)
        for module, name, value in (
            (clock, "time", time),
            (parts, "time", time),
            (measure, "training_flops", lambda *_: self.flops),
            (trainer.Training, "train_step", timed_step),
            (trainer, "estimate_loss_unless", timed_score),
            (stages, "write_teacher_probs", timed_teachers),
        ):
            stack.enter_context(patch.object(module, name, value))


def train(args: argparse.Namespace) -> None:
    """Train once, and print the plan and the result."""
    from datasette_nanogpt.training.process import set_up_process

    set_up_process()
    from datasette_nanogpt.events import Evaluation, Finished, Note, Prepared
    from datasette_nanogpt.training.options import TrainOptions
    from datasette_nanogpt.training.train import train_table

    given = {"size": args.size, "seed": args.seed, "device": "cpu", "compile": False, "no_cache": True}
    options = TrainOptions(args.database, args.table, minutes=args.minutes[0], **given)
    with ExitStack() as stack:
        IdleMachine(args.gflops * 1e9).as_clock_of_runs(stack)
        of_models: list[float] = []
        for event in train_table(options):
            if isinstance(event, Prepared):
                plan = event.plan_reason
            elif isinstance(event, Note) and (event.text.startswith("Now model") or not of_models):
                of_models.append(float("inf"))
            elif isinstance(event, Evaluation):
                of_models[-1:] = [min(event.val_bpb, of_models[-1] if of_models else float("inf"))]
            elif isinstance(event, Finished):
                numbers = {"bpb": event.val_bpb, "models": event.models, "seconds": event.seconds}
                print(json.dumps({"plan": plan, "of_models": of_models} | numbers))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database")
    parser.add_argument("table")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 3, 10, 30, 60])
    parser.add_argument("--gflops", type=float, default=400.0, help="flops.work_per_step a second")
    parser.add_argument("--size", help="of the model; left to the planner if it is not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        train(args)
        return
    print("| minutes | plan | models | time used | bits per byte | each model | against fewer minutes |")
    print("|---|---|---|---|---|---|---|")
    before = None
    for minutes in args.minutes:
        with tempfile.TemporaryDirectory() as home:
            numbers = ["--minutes", f"{minutes}", "--gflops", f"{args.gflops}", "--seed", f"{args.seed}"]
            numbers += ["--size", args.size] if args.size else []
            command = [sys.executable, __file__, args.database, args.table, *numbers, "--child"]
            environment = {**os.environ, "NANOGPT_HOME": home, "LLM_USER_PATH": home}
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        end = json.loads(done.stdout.splitlines()[-1])
        change = f"{end['bpb'] / before - 1:+.1%}" if before else ""
        each = ", ".join(f"{bpb:.3f}" for bpb in end["of_models"])
        used = f"{end['seconds'] / minutes / 60:.0%}"
        cells = [f"{minutes:g}", end["plan"], end["models"], used, f"{end['bpb']:.4f}", each, change]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        before = end["bpb"]


if __name__ == "__main__":
    main()
