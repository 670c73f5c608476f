"""What score a run will get to, forecast before it starts from the amount of text and the time.

The figures are of one table, docstrings. benchmarks/LOG.md, "What the form promises", has how far off the
forecast is on others: tables differ, but each by about the same fraction after every time.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence

from .verdict import KNOWS_NOTHING, LEVELS, level_of

Points = Sequence[tuple[float, float]]

# Letters of text, and (work in FLOPs of flops.work_per_step, bits per letter) of the best size after each
# time: LOG.md, "The planner's grid". From 300 kB on one seed; 30 and 100 kB are means of its three seeds with
# longer windows, and 2 kB is the mean of three seeds of speeches, below its second table.
MEASURED: tuple[tuple[float, Points], ...] = (
    (2e3, ((0.2e12, 5.30),)),
    (1e4, ((0.9e12, 3.85),)),
    (3e4, ((2.7e12, 3.15),)),
    (1e5, ((1.8e12, 2.55), (10.8e12, 2.49))),
    (3e5, ((7.7e12, 1.947), (23.2e12, 1.854), (63.6e12, 1.844))),
    (1e6, ((13.9e12, 1.694), (35.5e12, 1.606), (65.7e12, 1.541))),
    (3e6, ((11.7e12, 1.626), (38.0e12, 1.409), (126.7e12, 1.297), (175.4e12, 1.274))),
    (1e7, ((11.2e12, 1.585), (36.6e12, 1.327), (154.8e12, 1.162))),
)
# Bits per letter that a text loses while the work grows by a factor of e before the first of these points: a
# blog had 2.152 after 20 s and 1.84 after a minute ("Runs of seconds").
LOSS_BEFORE = 0.3
# Letters, and the same after the last one, as a fraction. Of 3 MB of blog posts ten minutes gave 1.590 and an
# hour, whose models are joined, 1.515 ("An hour on two cores, with groups"). Of little text nothing was
# measured after so long: there is less to learn from than from more of it.
LOSS_AFTER: Points = ((1e5, 0.009), (3e5, 0.026))
# (letters read in all epochs together, bits per letter): the grid's runs that read a text at most once. For
# sizes that are chosen by hand, which may be too big for the time.
BY_READING: Points = (
    (1e5, 3.6),
    (3e5, 2.8),
    (6e5, 2.4),
    (1e6, 1.93),
    (2e6, 1.65),
    (8e6, 1.33),
    (3.2e7, 1.16),
)
# What other tables got, as multiples of the forecast ("What the form promises"): from 50 kB of text on,
# scores of a blog, documentation and speeches were 0.85 to 1.23 times it, and one of 26 was above 1.2. Two
# tables of reference pages written to one pattern were far below, at 0.53 to 0.62.
LOWEST, HIGHEST = 0.85, 1.2
LITTLE_TEXT = 50_000  # letters below which no time gives sentences

# What models of Python's documentation wrote at each of verdict.LEVELS, with 1.2, 1.37, 2.2, 2.45 and 4.0
# bits per byte: LOG.md, "What a score reads like", and the table in README.md.
EXAMPLES = (
    "An optional mapping of records to be converted to strings.",
    "Create a new condition. The time must happens, return a list of last input to its output.",
    "Return the used int class of /op by an optional, so operand to.",
    "email format as 5 5 and 5 1 5 with 3a1 5 and close and 1 and long and foo>.",
    "the he E py. This method can' E. (Decimalidce_tion.comp",
)


def examples() -> list[tuple[str, str]]:
    """What texts of each level are like, and one of them, from the worst level to the best."""
    return [(like, text) for (_, like), text in zip(LEVELS, EXAMPLES, strict=True)][::-1]


def example_of(bits_per_letter: float) -> str:
    """A text of the level of that score."""
    return EXAMPLES[level_of(bits_per_letter)]


def expected_bits(letters: float, work: float, read: float = math.inf) -> float:
    """About how many bits per letter a run gets to, with a text of `letters`, `work` FLOPs of
    flops.work_per_step, and a size that reads `read` letters in all its epochs."""
    by_text = [(size, _after(points, work, _between(LOSS_AFTER, size))) for size, points in MEASURED]
    of_reading = _between(BY_READING, read) if read < math.inf else 0.0
    return min(max(_between(by_text, letters), of_reading), KNOWS_NOTHING)


def _after(points: Points, work: float, loss: float) -> float:
    """The bits per letter of a text with these `points` after so much work, which after the last of them
    loses that fraction while the work grows by a factor of e."""
    (first, first_bits), (last, last_bits) = points[0], points[-1]
    if work < first:
        return first_bits + LOSS_BEFORE * math.log(first / work)
    if work > last:
        return last_bits * max(0.0, 1 - loss * math.log(work / last))
    return _between(points, work)


def _between(points: Points, at: float) -> float:
    """The value at a place between points, on a logarithmic scale; that of the nearest one outside."""
    at = min(max(at, points[0][0]), points[-1][0])
    right = min(bisect([x for x, _ in points], at), len(points) - 1)
    if right == 0:
        return points[0][1]
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    return y0 + (y1 - y0) * math.log(at / x0) / math.log(x1 / x0)
