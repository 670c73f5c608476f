"""The verdict: what a model's score means, in four to six plain sentences.

Nothing here reads a file or needs a model; `final_figures.py` measures the figures.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import regex

from .odd_samples import Oddity, describe_odd
from .plan_reasons import times
from .population import MAX_EPOCHS

# Bits per letter below which texts read like this: benchmarks/LOG.md, "What a score reads like".
LEVELS = (
    (1.3, "sentences in the style of the rows"),
    (1.85, "sentences that mean little"),
    (2.4, "words and short phrases"),
    (3.5, "words with little order among them"),
    (math.inf, "pieces of words"),
)
# The fraction of gzip's score from which on no better level is claimed. Of prose the bounds above come to the
# same, but rows that repeat each other have low scores from the first steps on ("What a score reads like").
OF_GZIP = ((0.55, 1), (0.72, 2), (0.95, 3))
WITH_FAULTS = ", with faults that rows do not have"
ODD = "odd in them"  # the heading of what texts have more often than rows
NO_PROSE = "text without sentences, like the rows: compare the two"
KNOWS_NOTHING = 8.0  # bits per byte
WINDOW = 32_768  # bytes that zlib can refer back to
ENOUGH_DOCUMENTS = 20  # of more, to estimate a standard error from: it is within a third or so then
FEW_DOCUMENTS = 5  # with fewer held-out documents, a score is shown without an error
SCORE_DECIMALS = 3  # of a score, as in lists of runs
EPOCHS_READ = 0.85 * MAX_EPOCHS  # from this many epochs on, more would only memorize the text
# A model has memorized its text if it predicts it better than held-out text by at least this fraction.
LEARNT_BY_HEART = 0.1
STILL_FALLING = 0.005  # a fall of the score at the end by at least this fraction is mentioned
BEFORE_END, NEAR_END = 0.8, 0.05  # of a run: where its last fifth begins, and how near to it a score is

# What pages take out of a verdict: how certain its score is, and the one before it (describe_score); and why
# the run of a busy machine ended where it did (describe_limit).
CERTAINTY = regex.compile(
    r"(?:about )?[\d.]+ bits per byte, (.+); gzip needs [^,]+(?:, (the run before got .+))?"
)
BUSY = regex.compile(r"other programs probably kept this machine busy, as training was (.+?); ")
_SYLLABLE = regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]")


@dataclass(frozen=True)
class SampleFigures:
    """Texts that the model wrote, without a prompt."""

    texts: int
    loops: int  # how many of them loop: text_metrics.has_loop
    real_words: float | None  # fraction of their words that the table has; None: it has no list of words
    copied: float  # fraction of their words in passages of eight or more that rows it was trained on have
    tokens: int = 0  # how long each may be
    odd: Sequence[Oddity] = ()  # what they have clearly more often than rows


@dataclass(frozen=True)
class Fall:
    """How much the best score, which is that of what is saved, fell at the end of a run."""

    fraction: float
    since_step: int | None = None  # None: in the last fifth of the run


@dataclass(frozen=True)
class Figures:
    """What is known of a run at its end. Scores are in bits per byte of the held-out text."""

    val_bpb: float
    error: float | None  # standard error of that, over documents; None: not known
    documents: int  # held out
    bits_per_letter: float
    gzip_bpb: float
    last_bpb: float | None  # of the run before on the same table, with the same name
    train_bpb: float | None  # of the text that was read since the score before the last
    epochs: float  # of the last model
    fell: Fall | None  # how much the score fell at the end of the run; None: there are too few scores
    stopped: bool  # as somebody asked, before the end
    bigger_fits: bool  # a bigger model than the one that was asked for has the time for this text
    samples: SampleFigures | None  # None: not written
    prose: bool = True  # whether the text is, as `is_prose` has it
    ends_only: bool = False  # whether only the end of each document was held out
    by_steps: bool = False  # whether steps limited the run, and no time
    saved_before: bool = False  # whether the model that is saved came before the last one, which is no better
    untold_columns: bool = False  # whether a row is several columns, and no template says how
    slower: str = ""  # "13 times slower than run 4", where that is far
    why_no_samples: str = ""  # "" where it goes without saying
    joined: str = ""  # what the model is made of; "": it was trained
    steps: int = 0  # made, over all resumes
    next_command: str = ""  # what would help most, "" if nothing is known to
    next_reason: str = ""

    @property
    def gap(self) -> float:
        """By which fraction it predicts its own text better than held-out text; 0 where that is not known."""
        return 1 - self.train_bpb / self.val_bpb if self.train_bpb else 0.0


def verdict(f: Figures) -> dict[str, str]:
    """Heading -> sentence, in the order in which they are shown."""
    like = reads_like(f.bits_per_letter, f.prose, f.val_bpb / f.gzip_bpb)
    if f.val_bpb >= KNOWS_NOTHING:
        like = "noise: a model that knows nothing has 8 bits per byte"
    elif f.samples and f.samples.odd:
        like += WITH_FAULTS
    lines = {"reads like": like, "score": describe_score(f)}
    if f.samples:
        lines[f"{f.samples.texts} texts"] = describe_samples(f.samples)
        more = {"size": "a bigger model", "text": "more text"}.get(limit_of(f), "more minutes")
        more = "more steps" if f.by_steps and more == "more minutes" else more
        if odd := describe_odd(f.samples.odd, f.samples.tokens, more, f.untold_columns):
            lines[ODD] = odd
    elif f.why_no_samples:
        lines["texts"] = f.why_no_samples
    if f.joined:
        lines["made of"] = f.joined
    lines["limited by"] = describe_limit(f)
    if f.next_command:
        lines["next"] = f"{f.next_command}  ({f.next_reason})"
    elif f.next_reason:
        lines["next"] = f.next_reason
    return lines


def level_of(bits_per_letter: float, of_gzip: float = 0.0) -> int:
    """Which of LEVELS a score is in: 0 is the best one. `of_gzip` is which fraction of gzip's it is."""
    level = next(i for i, (below, _) in enumerate(LEVELS) if bits_per_letter < below)
    return max([level, *(best for fraction, best in OF_GZIP if of_gzip >= fraction)])


def reads_like(bits_per_letter: float, prose: bool = True, of_gzip: float = 0.0) -> str:
    """What texts with that score are like, in words that follow "reads like" or "expect"."""
    if not prose:
        return NO_PROSE
    return LEVELS[level_of(bits_per_letter, of_gzip)][1]


def describe_score(f: Figures) -> str:
    """The score with as many digits as tell two runs apart, how certain it is, and other scores on the same
    text. Another choice of held-out rows would move it, but two runs on the same rows by about as much."""
    others = f"gzip needs {f.gzip_bpb:.2f}"
    if f.last_bpb is not None:
        others += f", the run before got {f.last_bpb:.{SCORE_DECIMALS}f}"
    score = f"{f.val_bpb:.{SCORE_DECIMALS}f} bits per byte"
    if f.documents < FEW_DOCUMENTS:
        held_out = "one document was" if f.documents == 1 else f"{f.documents:,} documents were"
        if f.ends_only:
            held_out = "the end of one document was" if f.documents == 1 else f"the ends of {held_out}"
        return f"about {score}, as only {held_out} held out; {others}"
    held_out = f"{'the ends of ' * f.ends_only}{f.documents:,} {'' if f.ends_only else 'held-out '}documents"
    if f.error is None:  # measuring it has a part of the run's time
        return f"{score}, of {held_out}; the run was too short to measure how certain that is; {others}"
    # One digit of it, rounded: it is an estimate, too.
    decimals = min(SCORE_DECIMALS, max(1, math.ceil(-math.log10(2 * f.error)))) if f.error else SCORE_DECIMALS
    margin = max(2 * f.error, 10**-decimals)
    return f"{score}, give or take {margin:.{decimals}f}, of {held_out}; {others}"


def describe_samples(s: SampleFigures) -> str:
    """How many of them loop, and which fractions of their words the table has and are copied; "all" and
    "nothing" only where that is so, not where it rounds to it."""
    loops = f"{s.loops or 'none'} {'repeat themselves' if s.loops > 1 else 'repeats itself'}"
    known = "all" if s.real_words == 1 else f"{s.real_words or 0:.0%} of the"
    real = f", {known} words are in the table" if s.real_words is not None else ""
    return f"{loops}{real}, {f'{s.copied:.0%}' if s.copied else 'nothing'} is copied from its rows"


def limit_of(f: Figures) -> str:
    """What a better score needs more of: "size", "text" or "minutes"."""
    if f.bigger_fits and not f.stopped:
        return "size"
    if f.epochs >= EPOCHS_READ or (f.epochs > 1 and f.gap > LEARNT_BY_HEART):
        return "text"
    return "minutes"


def describe_limit(f: Figures) -> str:
    """What a better score needs more of, and the reason."""
    limit, epochs = limit_of(f), times(f.epochs)
    if limit == "size":
        budget = "so many steps" if f.by_steps else "time"
        return f"its size: for this text and {budget} a bigger model would be chosen"
    busy = f"other programs probably kept this machine busy, as training was {f.slower}; " if f.slower else ""
    if f.saved_before:
        ended = "the amount of text" if limit == "text" else f"the {_ended(f)}"
        read = f"the last one has read the text {epochs} and is no better"
        return f"{ended}: {busy}an earlier model is saved, as {read}"
    if limit == "text":
        learnt = f", and predicts it {f.gap:.0%} better than held-out text" if f.gap >= 0.01 else ""
        return f"the amount of text: it has read it {epochs}{learnt}"
    falling = ""
    if f.fell and f.fell.fraction >= STILL_FALLING:
        is_fifth = f.fell.since_step is None
        when = "in the last fifth of them" if is_fifth else f"since step {f.fell.since_step:,}"
        falling = f", and its score fell by {f.fell.fraction:.1%} {when}"
    return f"the {_ended(f)}: {busy}it has read the text {epochs}{falling}"


def _ended(f: Figures) -> str:
    return f"stop at step {f.steps:,}" if f.stopped else "steps" if f.by_steps else "minutes"


# ---- Figures that need no model


def standard_error(bits: np.ndarray, sizes: np.ndarray, documents: int) -> float | None:
    """Standard error of the bits per byte of `documents` documents, from some of them: their `bits` and
    `sizes` in bytes, (n,) each. None for fewer than two, and for a few of many: how much they differ says
    little then, so the error could be ten times too small.

    The score is a ratio of two sums, so what varies is each document's bits beyond the ratio times its bytes.
    """
    n = len(bits)
    if n < max(2, min(documents, ENOUGH_DOCUMENTS)) or not sizes.sum():
        return None
    beyond = bits - bits.sum() / sizes.sum() * sizes
    return math.sqrt(float((beyond**2).sum()) / (n - 1) / documents) / float(sizes.mean())


def gzip_bits_per_byte(before: bytes, documents: Iterable[bytes]) -> float:
    """What `gzip -9` makes of held-out documents once it has read the text `before`: of that it remembers
    the last 32 kB, as of everything, so memory does not grow. A byte ends each document, as a token does for
    the model. inf where there is no byte.
    """
    zipper = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=before[-WINDOW:])
    size = zipped = 0
    for document in documents:
        size += len(document)
        zipped += len(zipper.compress(document + b"\0"))
    zipped += len(zipper.flush())
    return 8 * zipped / size if size else math.inf


def count_letters(text: str) -> int:
    """Characters of a text, as letters of an alphabet: three for each character of Chinese and Japanese,
    which says about as much as three letters, and has three bytes. Thai and its like are alphabets."""
    return len(text) + 2 * len(_SYLLABLE.findall(text))


def fall_at_end(curve: Sequence[tuple[float, int, float]]) -> Fall | None:
    """The fall of the best score in the last fifth of a run, or, where no score is near the beginning of
    that, since the score before it: short runs have two or three. `curve` has the seconds, step and bits per
    byte of each score. None where no score came before the last fifth."""
    points, end = curve[:-1], curve[-1][0] if curve else 0.0
    seconds = [each[0] / end for each in points if end]  # as fractions of the run
    nearest = min(seconds, key=lambda at: abs(at - BEFORE_END), default=0.0)
    is_near = abs(nearest - BEFORE_END) <= NEAR_END
    since = nearest if is_near else max((at for at in seconds if at < BEFORE_END), default=None)
    if since is None:
        return None
    before = [point for point, at in zip(points, seconds, strict=True) if at <= since]
    fraction = 1 - min(bpb for _, _, bpb in curve) / min(bpb for _, _, bpb in before)
    return Fall(fraction, None if is_near else before[-1][1])
