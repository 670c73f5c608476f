"""How the models of a run read its text: what an epoch is, in tokens, steps and work. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llm_nanogpt.config import GPTConfig

from .flops import work_of_teaching, work_per_step
from .population import MAX_EPOCHS, Member

# A model needs this many steps, divided by its width, to learn anything. A text of too few tokens for them in
# MAX_EPOCHS is repeated in what counts as an epoch here, at most this often (benchmarks/LOG.md, "A few
# kilobytes, read more often").
NEEDED_STEPS, MOST_REPEATS = 9600, 4.0


@dataclass(frozen=True)
class Reading:
    """A text of `tokens` tokens, read in steps of `step_tokens`; work is flops.work_per_step."""

    tokens: int
    step_tokens: int
    launch: float = 0.0  # as flops.work_per_step has it

    def repeats(self, config: GPTConfig) -> float:
        """How often that model reads the text in an epoch: a short one more than once."""
        repeats = NEEDED_STEPS / config.n_embd * self.step_tokens / (MAX_EPOCHS * self.tokens)
        return min(MOST_REPEATS, max(1.0, repeats))

    def epoch_tokens(self, config: GPTConfig) -> float:
        """The tokens of an epoch of that model."""
        return self.tokens * self.repeats(config)

    def epoch_work(self, config: GPTConfig) -> float:
        """The work of an epoch of that model."""
        steps = self.epoch_tokens(config) / self.step_tokens
        return steps * work_per_step(config, self.step_tokens, self.launch)

    def steps(self, member: Member, fewest_epochs: float = 0.0) -> int:
        """How many steps its epochs are; a last part of a step is one more, unless it is a rounding error."""
        epochs = max(member.epochs, fewest_epochs)
        return math.ceil(epochs * self.epoch_tokens(member.config) / self.step_tokens - 1e-6)

    def teaching_work(self, members: Sequence[Member], teachers: Sequence[int]) -> float:
        """The work of computing what these of the members predict for the text."""
        return work_of_teaching([members[at].config for at in teachers], self.tokens, self.launch)

    def works(self, members: Sequence[Member]) -> list[float]:
        """The work of each model of a run, with that of its teachers, whose predictions are computed once for
        all that learn from them."""
        known: set[tuple[int, ...]] = set()
        result = []
        for member in members:
            work = member.epochs * self.epoch_work(member.config)
            if member.teachers and member.teachers not in known:
                known.add(member.teachers)
                work += self.teaching_work(members, member.teachers)
            result.append(work)
        return result
