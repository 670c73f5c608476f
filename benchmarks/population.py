"""What more compute buys, whatever else the machine is doing: the plans for so many minutes, run by steps.

    python benchmarks/population.py notes.db note --minutes 1 3 10 30 60 --gflops 400

Each run is planned for those minutes at that speed, and its models are trained for the steps that the plan
has, however long they take. So the scores are those of an idle machine, but that nothing is planned again
between models. Bits per byte should never rise with the minutes by more than 0.5%, and should be 5% less
after an hour than after ten minutes. Write your own table for it: blog_entry, speech and python_docs are what
is reported elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch


def train(database: str, table: str, minutes: float, gflops: float, seed: int) -> None:
    """Train by steps; prints what came of each model."""
    from datasette_nanogpt.training.process import set_up_process

    set_up_process()
    from datasette_nanogpt.events import Finished, Prepared
    from datasette_nanogpt.training import measure, recipe, table_run
    from datasette_nanogpt.training.options import TrainOptions
    from datasette_nanogpt.training.train import train_table

    def resolve(*args: Any, **kwargs: Any) -> tuple[str, Sequence[recipe.Stage]]:
        why, stages = recipe.resolve(*args, **kwargs)
        return why, [recipe.Stage(config, by_steps(config, s, args[1])) for config, s in stages]

    def by_steps(config: Any, s: recipe.Settings, tokens: int) -> recipe.Settings:
        steps = s.max_iters
        if not steps:  # the only model, for less than all epochs
            work = recipe_work(config, s.batch_size * config.block_size)
            steps = max(1, int(60 * minutes * gflops * 1e9 / work))
        return replace(s, minutes=None, run_minutes=None, max_iters=steps)

    from datasette_nanogpt.training.flops import work_per_step as recipe_work

    options = TrainOptions(database, table, minutes=minutes, seed=seed, no_cache=True, compile=False)
    with (
        patch.object(measure, "training_flops", lambda *_: gflops * 1e9),
        patch.object(table_run, "resolve", resolve),
    ):
        for event in train_table(options):
            if isinstance(event, Prepared):
                print(json.dumps({"plan": event.plan_reason, "tokens": event.corpus["train_tokens"]}))
            elif isinstance(event, Finished):
                print(json.dumps({"bpb": event.val_bpb, "models": event.models, "steps": event.step}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database")
    parser.add_argument("table")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 3, 10, 30, 60])
    parser.add_argument("--gflops", type=float, default=400.0, help="flops.work_per_step a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        train(args.database, args.table, args.minutes[0], args.gflops, args.seed)
        return
    print("| minutes | plan | bits per byte | against the fewer minutes |\n|---|---|---|---|")
    before = None
    for minutes in args.minutes:
        with tempfile.TemporaryDirectory() as home:
            numbers = ["--minutes", f"{minutes}", "--gflops", f"{args.gflops}", "--seed", f"{args.seed}"]
            command = [sys.executable, __file__, args.database, args.table, *numbers, "--child"]
            environment = {**os.environ, "NANOGPT_HOME": home, "LLM_USER_PATH": home}
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        plan, end = (json.loads(line) for line in done.stdout.splitlines())
        change = f"{end['bpb'] / before - 1:+.1%}" if before else ""
        print(f"| {minutes:g} | {plan['plan']} | {end['bpb']:.4f} | {change} |", flush=True)
        before = end["bpb"]


if __name__ == "__main__":
    main()
