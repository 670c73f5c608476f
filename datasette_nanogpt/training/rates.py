"""How fast a model learns: its learning rate, weight decay and warmup, from how often it reads the text.

Constants name the section of benchmarks/LOG.md that they come from.
"""

from __future__ import annotations

# Steps of warmup, and the number of steps below which a run does better without reaching its full rate ("The
# planner's grid").
WARMUP_STEPS, FEW_STEPS = 20, 16
# The learning rate for a text that is read at most once, and for one that is read more often.
RATES = (0.02, 0.01)


def choose_warmup(steps: float) -> int:
    """Steps of warmup for a model that is trained for `steps`: at most a tenth of them, or on a short text it
    would reach its full rate too late. On the shortest texts, a few kB, it does better without ever reaching
    that."""
    return min(WARMUP_STEPS, int(steps / 10)) if steps >= FEW_STEPS else WARMUP_STEPS


def choose_rates(epochs: float, epoch: float, step_tokens: int, decay: float) -> tuple[float, float]:
    """The highest learning rate and the weight decay of a model that reads the text `epochs` times, an epoch
    being `epoch` tokens. The logarithm of its weights decays by `decay` in an epoch, however short that is.

    A text that is read more than once is memorized, unless the rate is lower and the weights keep decaying
    ("Readings and regularisation"; one epoch as the limit is from "Runs of seconds").
    """
    if epochs <= 1:
        return RATES[0], 0.0
    return RATES[1], decay / RATES[1] * step_tokens / epoch
