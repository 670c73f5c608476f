"""A prompt that ends in an opening bracket goes on without a gap."""

from collections import Counter

import numpy as np
import pytest

from llm_nanogpt.habits.lengths import Lengths
from llm_nanogpt.habits.opened_prompts import OpenedPrompt, ends_in_item_mark, ends_in_opening
from llm_nanogpt.habits.table_habits import Habits


@pytest.mark.parametrize("prompt", ["(", "I walked (", "He said\n“", 'She said "', "„"])
def test_a_prompt_ends_in_an_opening(prompt):
    assert ends_in_opening(prompt)


@pytest.mark.parametrize("prompt", ["", "(a", "oh :(", 'so"', "f(", "«", "- [", "( "])
def test_a_prompt_ends_in_no_opening(prompt):
    assert not ends_in_opening(prompt)


def test_no_gap_is_left_right_after_it(bpe):
    follower, before = OpenedPrompt(bpe), np.zeros(bpe.n_vocab, np.float32)
    logits = before.copy()
    follower.penalise(logits)
    lost = [bpe.token_bytes(i) for i in np.flatnonzero(logits) if i != bpe.eot]
    assert b" " in lost and b"\n" in lost and not Counter(t[:1] for t in lost).keys() & {b"a", b")"}
    assert logits[bpe.eot] < 0
    follower.add("so")
    logits[:] = before
    follower.penalise(logits)
    assert not logits.any()


@pytest.mark.parametrize("prompt", ["- a\n-", "1. Open\n2.", "so\n  * a\n  *", "1) a\n2)"])
def test_a_prompt_ends_in_the_mark_of_an_item(prompt):
    assert ends_in_item_mark(prompt)


@pytest.mark.parametrize(
    "prompt", ["", "-", "- a\n- ", "- a\n*", "-a\n-", "1. a\n2)", "so\n-", "- \n-", "- a\n3"]
)
def test_a_prompt_ends_in_no_mark_of_an_item(prompt):
    assert not ends_in_item_mark(prompt)


def test_an_item_begins_with_a_space(bpe):
    follower, logits = OpenedPrompt(bpe, item=True), np.zeros(bpe.n_vocab, np.float32)
    follower.penalise(logits)
    assert {bpe.token_bytes(i)[:1] for i in np.flatnonzero(logits == 0) if i != bpe.eot} == {b" "}
    assert logits[bpe.eot] < 0


def test_it_follows_what_is_known_of_a_table(bpe):
    def follows(habits, prompt):
        return any(isinstance(each, OpenedPrompt) for each in habits.followers(bpe, prompt))

    assert follows(Habits(strings=Lengths(9, 12)), "I walked (")
    assert not follows(Habits(strings=Lengths(9, 12)), "I walked")
    assert follows(Habits(strings=Lengths(9, 12)), "- a\n-")
    assert not follows(Habits(), "I walked (")
