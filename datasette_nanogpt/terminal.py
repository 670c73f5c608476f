"""Showing a run: live on a terminal, a line for each score in a pipe, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from llm_nanogpt.counts import counted

from .data.text_kinds import WRAPPED
from .events import (
    Busy,
    Evaluation,
    Event,
    Finished,
    Note,
    Prepared,
    Preview,
    Progress,
    Speed,
    Step,
    TablePreview,
)
from .formatting import duration, memory_size, not_read, shown_name, text_size, without_controls, without_gaps
from .training.choose_members import MAX_MODELS
from .training.plan_reasons import times
from .training.replaced import what_is_kept

if TYPE_CHECKING:
    from tqdm import tqdm

# Bytes. With less text a model gets to 2.2 bits per byte or worse (LOG.md, "The planner's grid").
LITTLE_TEXT = 100_000
BAR_COLUMNS = 12  # the least width of the bar with its percentage
WAIT_SECONDS = 10  # between lines about the work before training, in a pipe
OF_MACHINE = "of this machine's speed"  # the MFU in plain words: docs/training.md
EXCERPT_CHARACTERS = 400  # how much of a sample or a document is shown


def display(as_json: bool, trains: bool = True) -> Display:
    """The display for this terminal or pipe. `trains`: it is no dry run, which has nothing to keep."""
    if as_json:
        return JsonDisplay()
    moves = sys.stderr.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return TerminalDisplay(trains) if moves else PlainDisplay(trains)


class Display:
    """Shows the events of a run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, ex: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""

    def event(self, event: Event) -> None:
        raise NotImplementedError


class JsonDisplay(Display):
    """One object a line; `event` is the kind of event in lower case. Of several Busy events in a row about
    the same work only the first is printed."""

    told: object = None  # what the last event was about

    def event(self, event: Event) -> None:
        about = event.what if isinstance(event, Busy) else event
        if about != self.told:
            click.echo(json.dumps({"event": type(event).__name__.lower(), **asdict(event)}))
        self.told = about


def _print(text: str) -> None:
    click.echo(without_controls(text))


class PlainDisplay(Display):
    """A line for each score, with the last speed and time left."""

    def __init__(self, trains: bool = True) -> None:
        self.trains = trains
        self.last: Step | None = None
        self.last_line = time.monotonic()
        self.last_progress = ""
        self.shown_remarks: set[str] = set()  # remarks on the rows, without their number

    def event(self, event: Event) -> None:
        match event:
            case Progress():
                is_under_way = event.done or not event.unit  # "0 of 380 rows" says nothing
                is_new = str(event) != self.last_progress
                if is_under_way and is_new and time.monotonic() - self.last_line > WAIT_SECONDS:
                    self.last_line, self.last_progress = time.monotonic(), str(event)
                    _print(self.last_progress)
            case Preview():
                self.shown_remarks = {_without_number(remark) for t in event.tables for remark in t.remarks}
                for line in preview_lines(event):
                    _print(line)
            case Prepared():
                for line in plan_lines(event, self.shown_remarks, self.trains):
                    _print(line)
            case Speed():
                _print(f"Speed: {event.why}")
            case Step():
                self.last = event
            case Evaluation():
                _print(self.score(event))
            case Note():
                again = " Press Ctrl+C again to stop at once." if event.stopping else ""
                _print(event.text + again)
            case Finished():
                self.finish(event)

    def finish(self, event: Finished) -> None:
        _print("\n" + excerpt(event.sample))
        for line in closing_lines(event):
            _print(line)

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

    bar: tqdm | None = None
    val = ""  # the last score

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def event(self, event: Event) -> None:
        match event:
            case Progress():
                done = min(100.0, 100 * event.done / event.total) if event.total else 0
                self.move(done, str(event))
            case Step():
                self.last = event
                self.move(100 * event.progress, self.status())
            case Busy():
                if self.bar is not None:
                    self.bar.set_description_str(str(event))
            case _:
                self.print_above(event)

    def move(self, percent: float, description: str) -> None:
        from tqdm import tqdm

        if self.bar is None:
            form = "{percentage:3.0f}% {bar} {desc}"
            self.bar = tqdm(total=100, dynamic_ncols=True, leave=False, bar_format=form)
        self.bar.n = percent
        self.bar.set_description_str(description)

    def print_above(self, event: Event) -> None:
        """Print what an event says, above the bar if there is one."""
        if isinstance(event, Prepared):
            self.close()
        if self.bar is not None:
            self.bar.clear()
        super().event(event)
        if isinstance(event, Evaluation):
            self.val = f"{event.val_bpb:.3f} bits per byte"
            click.secho(excerpt(event.sample), dim=not os.environ.get("NO_COLOR"))
            if self.bar is not None:
                self.bar.set_description_str(self.status(), refresh=False)  # it is no longer scoring
        if self.bar is not None:
            self.bar.refresh()

    def status(self) -> str:
        return status(self.last, self.val, shutil.get_terminal_size().columns) if self.last else ""

    def finish(self, event: Finished) -> None:
        self.close()
        for line in closing_lines(event):
            _print(line)


def status(e: Step, val: str, columns: int) -> str:
    """The text beside the bar; on a narrow terminal the least important parts are left out."""
    parts = {
        "step": f"step {e.step:,}",
        "loss": f"loss {e.train_loss:.3f}",
        "val": val,
        "pace": pace(e),
        "left": f"{duration(e.eta)} left",
    }
    for least_important in ("pace", "loss", "step", "val"):
        line = "  ".join(filter(None, parts.values()))
        if len(line) + BAR_COLUMNS <= columns:
            return line
        del parts[least_important]
    return parts["left"]


def pace(step: Step) -> str:
    speed = f" ({step.mfu:.0%} {OF_MACHINE})" if step.mfu else ""
    return f"{step.tokens_per_second:,.0f} tokens/s{speed}"


def preview_lines(p: Preview) -> list[str]:
    """How the rows will be read, and how to have them read otherwise."""
    lines: list[str] = []
    for table in p.tables:
        parts = [*_title_of(table), _text_from(table), *([table.text] if table.text else [])]
        rows = f"Rows of {shown_name(table.table)} as the model will read them, {', '.join(parts)}:"
        if not table.documents:
            rows = f"The rows of {shown_name(table.table)} have no text ({', '.join(parts)})."
        lines.append(rows)
        for i, document in enumerate(table.documents):
            lines += ["    ---"] if i else []
            lines.append(excerpt(document))
        if table.left_out:
            lines.append(f"Not read: {not_read(table.left_out)}")
        lines += [f"Note: {remark}" for remark in table.remarks]
    templates = p.tables and all(table.template for table in p.tables)
    columns = "change the --template" if templates else "use --title and --body"
    lines.append(f"To read other columns, {columns}; to read the text otherwise, use --text.")
    return [*lines, ""]


def _title_of(table: TablePreview) -> list[str]:
    if table.text.startswith("by the template"):
        return []
    read_as = {name for names in table.read_as.values() for name in names}
    inside = {
        "mail": "the subject",
        "front matter": "the front matter",
        "pages of HTML": "the pages",
        "JSON with titles": "the JSON",
    }
    title = next((where for name, where in inside.items() if name in read_as), None)
    title = shown_name(table.title) if table.title else title
    return [f"the title from {title}" if title else "no title"]


def _text_from(table: TablePreview) -> str:
    read_as = {c: f" ({', '.join(names)})" for c, names in table.read_as.items()}
    columns = [shown_name(c) + read_as.get(c, "") for c in table.body]
    return f"the text from {', then '.join(columns)}" if columns else "the text from a plugin"


def plan_lines(p: Prepared, shown_remarks: AbstractSet[str] = frozenset(), trains: bool = True) -> list[str]:
    """What a run is about to do: the text, the model, the time. `shown_remarks` are not shown again."""
    resumed = f", from step {p.resumed_from:,}" if p.resumed_from else ""
    m, limits = p.config, _limits(p)
    stop = " Press Ctrl+C to stop early and keep it." if trains else ""
    lines = [
        *_text_lines(p, shown_remarks),
        f"Model: {p.name}, {m.parameters / 1e6:.2f}M parameters: {m.shape}, context {m.block_size}; "
        f"on {p.settings['device']} ({p.device_reason}), {limits}{resumed}.{stop}",
    ]
    if p.memory:
        lines.append(f"       This takes about {memory_size(p.memory)} of memory at most.")
    if p.plan_reason and not resumed:
        lines.append(f"       {p.plan_reason}")
    if p.replaces:
        lines += _replaced_lines(p)
    return lines


def _replaced_lines(p: Prepared) -> list[str]:
    """What happens to the model that has this name already."""
    lines = [f"       Its first score replaces {p.name}: {p.replaces}."]
    lines += [f"       {sentence}" for sentence in what_is_kept(vars(p))]
    if p.replaces_bpb is not None and not p.deleted:
        lines.append(f"       On the same held-out text that one has {p.replaces_bpb:.3f} bits per byte.")
    return lines


def _without_number(remark: str) -> str:
    """A remark without its number of rows, which differs: the preview counts some rows, the run all."""
    return re.sub(r" of the [\d,]+ rows looked at| rows|[\d,]+", "", remark)


def _text_lines(p: Prepared, shown_remarks: AbstractSet[str]) -> list[str]:
    """The rows, their text and its split."""
    s, c = p.source, p.corpus
    columns = " + ".join(map(shown_name, [*([s["title"]] if s["title"] else []), *s["body"]]))
    notes = ["as it was when the run began"] if p.resumed_from is not None else []
    notes += [f"{n:,} skipped: {why}" for why, n in c["skipped"].items()]
    notes += [f"{counted(c['duplicates'], 'duplicate')} dropped"] if c["duplicates"] else []
    if near := c.get("near_duplicates"):
        divided = c["near_duplicates_divided"]
        where = "some held out, so the score is too good" if divided else "held out together or not at all"
        notes.append(f"{counted(near, 'near-duplicate')}, {where}")
    if read_as_text := s.get("read_as_text", ["HTML"] if s["html"] else []):
        kinds = [kind for kind in read_as_text if kind != WRAPPED]
        notes += [f"{', '.join(kinds)} read as text"] if kinds else []
        notes += [f"{WRAPPED} joined"] if WRAPPED in read_as_text else []
    notes += ["rows cut at <|endoftext|>"] if s.get("markers") else []
    notes += [f"most of it is {data}, learnt as it is" for data in s.get("data", ())]
    notes += [f"fetched {s['fetched']}"] if s.get("fetched") else []
    held_out = f"{c['val_documents']:,} of {counted(c['documents'], 'document')} held out"
    if c["cut"]:
        held_out = "the end of each document held out"
    grouped = f", a text for each {s['group_by']}" if s.get("group_by") else ""
    name = "the query" if s.get("sql") else shown_name(s["table"])
    lines = [
        f"Text:  {counted(s['rows'], 'row')} of {name} ({columns}{grouped}), {text_size(c['bytes'])}"
        + (f" ({', '.join(notes)})" if notes else ""),
        f"       {c['train_tokens'] + c['val_tokens']:,} tokens "
        f"({p.tokenizer} tokenizer, vocabulary of {p.config.vocab_size:,}), {held_out}",
    ]
    for table in s["tables"]:
        new = (remark for remark in table.get("remarks", ()) if _without_number(remark) not in shown_remarks)
        lines += [f"       {remark}" for remark in new if "no text" not in remark]
    if c["bytes"] < LITTLE_TEXT:
        lines.append("       That is little to learn from: expect words and echoes of the rows.")
    return lines


def _limits(p: Prepared) -> str:
    """How long the run takes."""
    steps, minutes = p.settings["max_iters"], p.settings["minutes"]
    limits = [counted(steps, "step")] if steps else []
    limits += [f"{'at most' if limits else 'about'} {duration(minutes * 60)}"] if minutes else []
    return ", ".join(limits)


def closing_lines(f: Finished) -> list[str]:
    """How a run ended, and what to do next."""
    best = "" if f.best_step == f.step else f", the best, from step {f.best_step:,}"
    reader = "it" if f.models == 1 else f"the last of {f.models} models"
    speed = f" at {f.mfu:.0%} {OF_MACHINE}" if f.mfu else ""
    lines = [""]
    if f.status == "stopped":
        lines.append("Stopped early.")
    lines.append(
        f"{f.val_bpb:.4f} bits per byte on held-out text (loss {f.val_loss:.3f}){best}, "
        f"after {counted(f.step, 'step')} in {duration(f.seconds)}{speed}; "
        f"{reader} read the text {times(f.epochs)}."
    )
    if f.status == "finished" and f.seconds_left >= 5:
        why = "To train for longer anyway, use --resume with more --minutes."
        if f.models >= MAX_MODELS:
            why = f"More minutes would change nothing, as a run trains at most {MAX_MODELS} models."
        lines.append(f"This took {duration(f.seconds_left)} less than planned. {why}")
    lines += _verdict_lines(f.verdict)
    lines.append(f"Saved, {f.parameters / 1e6:.2f}M parameters, in {f.folder}")
    # Without a prompt llm would wait for one.
    prompt = ["-o", "title", f.title, ""] if f.title else [f.prompt]
    command = ["llm", "-m", f.name, *prompt]
    if f.conditions:
        given = [word for name, value in f.conditions.items() for word in ("--set", f"{name}={value}")]
        command = ["llm", "nanogpt", "sample", f.name, *given]
    lines.append(f"Write with it:  {shlex.join(command)}")
    return lines


def _verdict_lines(verdict: dict[str, str]) -> list[str]:
    """What a score means, its headings in a column."""
    width = max(map(len, verdict), default=0) + 2
    return [f"  {heading.capitalize():{width}}{line}" for heading, line in verdict.items()]


def excerpt(sample: str) -> str:
    """The beginning of a sample or a document as indented lines."""
    text = without_gaps(sample.strip())
    more = "…" if len(text) > EXCERPT_CHARACTERS else ""
    lines = (text[:EXCERPT_CHARACTERS] + more).splitlines() or ["(an empty sample)"]
    return "\n".join("    " + line for line in lines)
