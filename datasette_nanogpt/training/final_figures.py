"""The figures for a verdict, measured when a run is over: within seconds, in less memory than training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

import numpy as np

from llm_nanogpt.tokenizer import Tokenizer

from ..data.dataloader import Tokens
from ..data.memorization import find_memorized
from ..data.text_faults import measure_usual
from ..data.text_metrics import has_loop, is_prose, real_word_fraction
from ..data.token_files import document_ends, read_documents, read_pieces
from ..events import Busy
from .busy_machine import Slower
from .evaluate import batches_in_order, bits_per_byte, token_nats
from .flops import work_per_token
from .model_folder import ModelFolder
from .next_step import Limits, bigger_model_fits, next_step
from .odd_samples import Oddity, Sample, find_odd
from .trainer import Training
from .verdict import (
    Figures,
    SampleFigures,
    count_letters,
    fall_at_end,
    gzip_bits_per_byte,
    limit_of,
    standard_error,
)

# How long measuring may take: this fraction of the run, at most this many seconds. Half of it is for texts.
TIME_FRACTION, MAX_SECONDS = 0.05, 30.0
TEXTS, TEXT_TOKENS = 20, 150  # how many texts are written, and how long they are
COMPARED = 400  # the most held-out rows that texts are compared with
FEWEST_TEXTS = 5  # percentages of fewer texts say nothing
BIG = 50_000_000  # parameters: bigger models write none, 29M take 5 ms a token (LOG.md, "Beside a server")
TOKENS_READ = 400_000  # the most held-out tokens that are used, and the training tokens that gzip gets


@dataclass
class RunFacts:
    """What the leading process knows about its run at the end."""

    curve: list[tuple[float, int, float]]  # seconds, step and bits per byte of each score
    nats: np.ndarray | None  # of each held-out token but the first, by the saved model; None: not known
    train_loss: float | None  # nats per token, between the last two scores
    last_bpb: float | None  # score of the run before
    slower: Slower | None  # than an earlier run on this machine, by far
    steps_asked: int | None  # None: no limit of steps was set by hand
    stopped: bool  # whether somebody stopped it
    steps: int  # made, over all resumes
    seconds: float  # of training
    hurry: Callable[[], bool]  # whether somebody asked it to end at once
    keep_documents: Callable[[np.ndarray, np.ndarray], None]  # records what `document_bits` returns
    joined: str  # what the model is made of; "": it was trained


@dataclass(frozen=True)
class HeldOut:
    """What the held-out documents are like, or the first of them if there are very many."""

    size: int  # bytes of UTF-8
    letters: int
    prose: bool  # as `is_prose` has it
    gzip_bpb: float  # bits per byte with gzip, which has read the end of the training text before

    @property
    def letters_per_byte(self) -> float | None:
        """A score in bits per byte divided by this is in bits per letter; None where the text is no prose."""
        return self.letters / self.size if self.prose else None


def read_held_out(tokens: Tokens, tokenizer: Tokenizer) -> HeldOut:
    """Takes a fraction of a second."""
    texts = list(read_documents(tokens.val[:TOKENS_READ], tokenizer))
    encoded = [text.encode() for text in texts]
    before = tokenizer.decode(tokens.train[-TOKENS_READ:]).encode()
    return HeldOut(
        size=sum(map(len, encoded)),
        letters=count_letters("".join(texts)),
        prose=is_prose(texts),
        gzip_bpb=gzip_bits_per_byte(before, encoded),
    )


def measure_figures(
    folder: ModelFolder, training: Training, held_out: HeldOut, facts: RunFacts
) -> Generator[Busy, None, Figures]:
    """The figures of the model in `folder`, whose last stage was `training`."""
    limits = Limits(folder.stages[-1].settings.minutes, facts.steps_asked, facts.stopped)
    tokens, tokenizer, score = training.tokens, folder.tokenizer, folder.meta["score"]
    seconds = min(MAX_SECONDS, TIME_FRACTION * facts.seconds)
    yield Busy("comparing the score with others")
    # The score has them already, unless several processes shared it, or a resume found no better model.
    nats = facts.nats if facts.nats is not None else score_tokens(training, seconds / 4)
    bits, sizes = document_bits(nats, tokens.val, tokenizer)
    facts.keep_documents(bits, sizes)
    documents = folder.meta["corpus"]["val_documents"]
    samples, too_big = None, folder.config.parameters >= BIG
    if not too_big:
        yield Busy(f"writing {TEXTS} texts to judge it by")
        samples = write_texts(folder, training, seconds / 2, facts.hurry)
    # Scores of earlier models are from steps before the last one began.
    saved_before = training.settings.stage > 0 and score["step"] <= training.clock.start_step
    train_bpb = None
    if facts.train_loss is not None and not saved_before:
        train_bpb = bits_per_byte(facts.train_loss * (len(tokens.train) - 1), tokens.train_bytes)
    known = Figures(
        val_bpb=score["val_bpb"],
        error=standard_error(bits, sizes, documents),
        documents=documents,
        bits_per_letter=score["val_bpb"] * held_out.size / max(held_out.letters, 1),
        gzip_bpb=held_out.gzip_bpb,
        last_bpb=facts.last_bpb,
        train_bpb=train_bpb,
        epochs=training.epochs,
        fell=fall_at_end(facts.curve),
        stopped=facts.stopped,
        steps=facts.steps,
        bigger_fits=bigger_model_fits(folder.meta, folder.config, _flops(training), limits),
        samples=samples,
        why_no_samples="none were written, as the model is too big for that" if too_big else "",
        prose=held_out.prose,
        ends_only=bool(folder.meta["corpus"].get("cut")),
        by_steps=limits.minutes is None or facts.steps >= (limits.steps or math.inf),
        saved_before=saved_before,
        untold_columns=not folder.meta["source"].get("template") and len(folder.meta["source"]["body"]) > 1,
        slower=str(facts.slower or ""),
        joined=facts.joined,
    )
    command, reason = next_step(limit_of(known), folder.meta, limits)
    return replace(known, next_command=command, next_reason=reason)


def _flops(training: Training) -> float | None:
    """FLOP/s of the last model, as flops.work_per_step counts them; None if it made hardly a step."""
    config, speed = training.model.config, training.speed.tokens_per_second
    work = work_per_token(config, training.settings.batch_size * config.block_size)
    return work * speed if speed else None


def document_bits(
    nats: np.ndarray, tokens: np.ndarray, tokenizer: Tokenizer
) -> tuple[np.ndarray, np.ndarray]:
    """Bits and bytes, (documents,) each, of the documents of a stream of `tokens`, from the `nats` of each
    token but the first: of as many documents as those are enough for."""
    lengths = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.n_vocab)])
    ids = np.asarray(tokens[1 : len(nats) + 1])
    ends = np.flatnonzero(ids == tokenizer.eot) + 1
    if not len(ends):
        return np.empty(0), np.empty(0)
    starts = np.concatenate([[0], ends[:-1]])
    last = ends[-1]
    return (
        np.add.reduceat(nats[:last].astype(float), starts) / math.log(2),
        np.add.reduceat(lengths[ids[:last]], starts).astype(float),
    )


def score_tokens(training: Training, seconds: float) -> np.ndarray:
    """The nats of the held-out tokens, from the second one on, as many as can be scored in `seconds`. Their
    documents are in random order."""
    model, windows, device, bf16 = training.validation
    deadline, nats = time.monotonic() + seconds, [np.empty(0, np.float32)]
    for _, x, y in batches_in_order(model, windows):
        if time.monotonic() > deadline:
            break
        nats.append(token_nats(model, x, y, device, bf16))
    return np.concatenate(nats)


def write_texts(
    folder: ModelFolder, training: Training, seconds: float, hurry: Callable[[], bool]
) -> SampleFigures | None:
    """Write TEXTS texts with the kept weights, or as many as fit into `seconds`, and measure them; None if
    there are fewer than FEWEST_TEXTS."""
    from llm_nanogpt.generate import generate
    from llm_nanogpt.loading import open_model
    from llm_nanogpt.sampler import Sampler

    started, samples = time.monotonic(), list[Sample]()
    folder.put_back()
    opened = open_model(folder.path, "cpu")
    for number in range(TEXTS):
        spent = time.monotonic() - started
        if hurry() or spent * max(FEWEST_TEXTS, number) > seconds * max(number, 1):
            break
        sampler = Sampler(seed=number)
        run = generate(opened.model, opened.tokenizer, max_tokens=TEXT_TOKENS, sampler=sampler)
        samples.append(Sample("".join(run), run.finish_reason == "stop"))
    if len(samples) < FEWEST_TEXTS:
        return None
    texts = [sample.text for sample in samples]
    real = [real_word_fraction(text, opened.tokenizer.words or ()) for text in texts]
    known = [fraction for fraction in real if fraction is not None]
    copied = find_memorized(texts, _rows(training, opened.tokenizer)).texts
    words = sum(memorized.words for memorized in copied)
    return SampleFigures(
        texts=len(texts),
        loops=sum(map(has_loop, texts)),
        real_words=sum(known) / len(known) if known and opened.tokenizer.words else None,
        copied=sum(memorized.fraction * memorized.words for memorized in copied) / max(words, 1),
        tokens=TEXT_TOKENS,
        odd=() if folder.meta["corpus"].get("cut") else tuple(_odd(samples, training, opened.tokenizer)),
    )


def _odd(samples: list[Sample], training: Training, tokenizer: Tokenizer) -> list[Oddity]:
    """What `samples` have more often than held-out rows that are cut at the same length."""
    tokens, known = training.tokens, tokenizer.words
    ends = islice(pairwise(document_ends(tokens.val)), COMPARED)
    rows = [
        Sample(
            tokenizer.decode(tokens.val[start + 1 : min(end, start + 1 + TEXT_TOKENS)]),
            end - start <= TEXT_TOKENS,
        )
        for start, end in ends
    ]
    trained = list(read_documents(tokens.train[:TOKENS_READ], tokenizer))
    return find_odd(samples, rows, measure_usual(trained, known.joined if known else None), known)


def _rows(training: Training, tokenizer: Tokenizer) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The documents of the training text, as `find_memorized` takes them."""
    return (("", {}, text) for text in read_pieces(training.tokens.train, tokenizer))
