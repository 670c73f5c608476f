"""How a run is shown: live on a terminal, a plain line per score in a pipe, JSON for machines."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from dataclasses import asdict

import click

from .events import Busy, Evaluation, Finished, Note, Prepared, Progress, Speed, Step
from .formatting import duration, text_size

LITTLE_TEXT = 100_000  # bytes; a model of fewer gets to 2.2 bits per byte or worse: benchmarks/LOG.md
BAR_COLUMNS = 12  # of the bar, at least, and the percentage before it
WAIT_SECONDS = 10  # between lines about the work before training


def display(as_json: bool):
    if as_json:
        return JsonDisplay()
    return TerminalDisplay() if sys.stderr.isatty() and sys.stdout.isatty() else PlainDisplay()


class JsonDisplay:
    """One object a line, `event` telling its kind."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def event(self, event) -> None:
        click.echo(json.dumps({"event": type(event).__name__.lower(), **asdict(event)}))


class PlainDisplay(JsonDisplay):
    """One line per score, with the last training figures beside it."""

    def __init__(self):
        self.last: Step | None = None
        self.told = time.monotonic()

    def event(self, event) -> None:
        match event:
            case Progress():
                if time.monotonic() - self.told > WAIT_SECONDS:
                    self.told = time.monotonic()
                    click.echo(str(event))
            case Prepared():
                for line in plan_lines(event):
                    click.echo(line)
            case Speed():
                click.echo(f"Speed: {event.why}")
            case Step():
                self.last = event
            case Evaluation():
                click.echo(self.score(event))
            case Note():
                click.echo(event.text)
            case Finished():
                self.finish(event)

    def finish(self, event: Finished) -> None:
        click.echo("\n" + excerpt(event.sample))
        for line in closing_lines(event):
            click.echo(line)

    def score(self, e: Evaluation) -> str:
        speed = f", {pace(self.last)}" if self.last else ""
        left = f", {duration(self.last.eta)} left" if self.last and self.last.eta >= 1 else ""
        train = f" (train {e.train_loss:.3f})" if e.train_loss is not None else ""
        return (
            f"step {e.step:,}: {e.val_bpb:.3f} bits per byte on held-out text, "
            f"loss {e.val_loss:.3f}{train}, {duration(e.seconds)}{speed}{left}"
        )


class TerminalDisplay(PlainDisplay):
    """A progress bar, with each score and its sample printed above it."""

    bar = None
    val = ""

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def event(self, event) -> None:
        from tqdm import tqdm

        if isinstance(event, Progress | Step) and self.bar is None:
            self.bar = tqdm(
                total=100,
                dynamic_ncols=True,
                leave=False,
                bar_format="{percentage:3.0f}% {bar} {desc}",
            )
        if isinstance(event, Progress):
            self.bar.n = min(100.0, 100 * event.done / event.total) if event.total else 0
            self.bar.set_description_str(str(event))
            return
        if isinstance(event, Step):
            self.last = event
            self.bar.n = 100 * event.progress
            self.bar.set_description_str(self.status())
            return
        if isinstance(event, Busy):
            if self.bar is not None:
                self.bar.set_description_str(event.what)
            return
        if isinstance(event, Prepared):
            self.__exit__()
        if self.bar is not None:
            self.bar.clear()
        super().event(event)
        if isinstance(event, Evaluation):
            self.val = f"{event.val_bpb:.3f} bits per byte"
            click.secho(excerpt(event.sample), dim=True)
            if self.bar is not None:
                self.bar.set_description_str(self.status(), refresh=False)  # it is no longer scoring
        if self.bar is not None:
            self.bar.refresh()

    def status(self) -> str:
        return status(self.last, self.val, shutil.get_terminal_size().columns) if self.last else ""

    def finish(self, event: Finished) -> None:
        self.__exit__()
        for line in closing_lines(event):
            click.echo(line)


def status(e: Step, val: str, columns: int) -> str:
    """What stands beside the bar; on a narrow terminal what matters least is left out."""
    parts = {
        "step": f"step {e.step:,}",
        "loss": f"loss {e.train_loss:.3f}",
        "val": val,
        "pace": pace(e),
        "left": f"{duration(e.eta)} left",
    }
    for least in ("pace", "loss", "step", "val"):
        line = "  ".join(filter(None, parts.values()))
        if len(line) + BAR_COLUMNS <= columns:
            return line
        del parts[least]
    return parts["left"]


def pace(step: Step) -> str:
    return f"{step.tokens_per_second:,.0f} tokens/s" + utilisation(step.mfu)


def utilisation(mfu: float | None) -> str:
    return f" ({mfu:.0%} MFU)" if mfu else ""


def plan_lines(p: Prepared) -> list[str]:
    """What is about to happen: the text, the model, the time."""
    s, c, m = p.source, p.corpus, p.config
    columns = " + ".join([*([s["title"]] if s["title"] else []), *s["body"]])
    notes = [f"{n:,} skipped: {why}" for why, n in c["skipped"].items()]
    notes += [f"{c['duplicates']:,} duplicates dropped"] if c["duplicates"] else []
    if alike := c.get("near_duplicates"):
        split = (
            "on both sides of the split: the score flatters"
            if c["near_duplicates_divided"]
            else "kept together"
        )
        notes += [f"{alike:,} near-duplicates {split}"]
    notes += ["HTML read as text"] if s["html"] else []
    notes += [f"fetched {s['fetched']}"] if s.get("fetched") else []
    held = (
        "the end of each document held out"
        if c["cut"]
        else f"{c['val_documents']:,} of {c['documents']:,} documents held out"
    )
    limits = [f"{p.settings['max_iters']:,} steps"] if p.settings["max_iters"] else []
    if p.settings["minutes"]:
        limits.append(f"{'at most' if limits else 'about'} {duration(p.settings['minutes'] * 60)}")
    little = (
        ["       That is little to learn from: expect words and echoes."] if c["bytes"] < LITTLE_TEXT else []
    )
    resumed = f", from step {p.resumed_from:,}" if p.resumed_from else ""
    return [
        f"Text:  {s['rows']:,} rows of {s['table']} ({columns}), {text_size(c['bytes'])}"
        + (f" ({', '.join(notes)})" if notes else ""),
        f"       {c['train_tokens'] + c['val_tokens']:,} tokens of {m.vocab_size:,} kinds "
        f"({p.tokenizer} tokenizer), {held}",
        *little,
        f"Model: {p.name}, {m.parameters / 1e6:.2f}M parameters: {m.shape}, "
        f"context {m.block_size}; on {p.settings['device']} ({p.device_reason}), "
        f"{', '.join(limits)}{resumed}. Ctrl+C stops early and keeps it.",
        *([f"       {p.plan_reason}"] if p.plan_reason and not resumed else []),
        *(
            [f"       With its first score it replaces {p.name}: {p.replaces}. Another --name keeps it."]
            if p.replaces
            else []
        ),
    ]


def closing_lines(f: Finished) -> list[str]:
    best = "" if f.best_step == f.step else f", the best, of step {f.best_step:,}"
    reader = "" if f.models == 1 else f" by the last of {f.models} models"
    spare = f"{duration(f.seconds_left)} to spare. To train on all the same: --resume, with more --minutes."
    return [
        "",
        *(["Stopped early; the same command with --resume goes on."] if f.status == "stopped" else []),
        f"{f.val_bpb:.4f} bits per byte on held-out text (loss {f.val_loss:.3f}){best}, "
        f"after {f.step:,} steps in {duration(f.seconds)}{utilisation(f.mfu)}; "
        f"the text was read {f.epochs:.1f} times{reader}.",
        *([spare] if f.status == "finished" and f.seconds_left >= 5 else []),
        f"Saved, {f.parameters / 1e6:.2f}M parameters, in {f.folder}",
        f"Write with it:  llm -m {f.name} {shlex.quote(f.prompt)}",
    ]


def excerpt(sample: str, most: int = 400) -> str:
    """A sample as indented lines."""
    lines = sample.strip()[:most].splitlines() or ["(an empty sample)"]
    return "\n".join("    " + line for line in lines)
