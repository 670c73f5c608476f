"""What a prompt opens is closed, in tables without such quotes too."""

import numpy as np
import pytest

from llm_nanogpt.habits.lengths import Lengths
from llm_nanogpt.habits.prompt_quotes import ENOUGH, PromptQuotes, closers_of, left_open
from llm_nanogpt.habits.table_habits import Habits
from llm_nanogpt.tokenizer_training import train_char


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("", []),
        ('She said "', ['"']),
        ('"I will', ['"']),
        ('She said "so" and (now', ["("]),
        ("(he said “so", ["(", "“"]),
        ("„Die", ["„"]),
        ("„Die“", []),
        ("“so”", []),
        ("I ran `", ["`"]),
        ("```python", []),
        ('lol :( and 5" and f(x', []),
        ('"an earlier line\nThe', []),
    ],
)
def test_what_a_prompt_leaves_open(prompt, opened):
    assert left_open(prompt, {}) == opened


def test_what_the_rows_close_is_left_to_them():
    assert left_open('"so (', {'"'}) == ["("]


LETTERS = 'ab .\n")'


def gains(follower, tokenizer, line_break=2.0):
    """What each character gains where the end of the line is likeliest."""
    logits = np.zeros(tokenizer.n_vocab, np.float32)
    logits[tokenizer.encode("\n")] = line_break
    before = logits.copy()
    follower.penalise(logits)
    return {c: float((logits - before)[tokenizer.encode(c)[0]]) for c in LETTERS}


def test_it_is_closed_before_the_line_ends():
    tokenizer = train_char([LETTERS])
    follower = PromptQuotes(tokenizer, ['"'])
    at_once = gains(follower, tokenizer)
    assert at_once["\n"] < 0 and at_once['"'] == 0
    follower.add("so")
    later = gains(follower, tokenizer)
    assert later["\n"] < 0 and later['"'] == pytest.approx(2) and not later["a"]
    follower.add('"')
    after = gains(follower, tokenizer)  # a model that does not know the mark went on without a space
    assert {c for c, gain in after.items() if gain} == {"a", "b"} and after["a"] < 0
    follower.add(" ")
    assert not any(gains(follower, tokenizer).values())


def test_a_long_one_is_closed_where_a_sentence_ends():
    tokenizer = train_char([LETTERS])
    follower = PromptQuotes(tokenizer, ["("])
    follower.add("a" * ENOUGH)
    assert gains(follower, tokenizer)[")"] == pytest.approx(2)
    follower.add(".")
    assert gains(follower, tokenizer)[")"] == pytest.approx(5)
    follower.add("\n")  # it was not to be had
    assert not any(gains(follower, tokenizer).values())


def test_the_outer_one_closes_the_inner_one_as_well():
    tokenizer = train_char([LETTERS])
    follower = PromptQuotes(tokenizer, ['"', "("])
    follower.add('so" ')
    assert not any(gains(follower, tokenizer).values())


def test_a_vocabulary_without_the_closing_quote_has_the_straight_one(bpe):
    assert closers_of(train_char(["a“"]), "„").mark == "“"
    assert closers_of(bpe, "„").mark == '"'
    none = PromptQuotes(train_char(["ab\n"]), ["("])
    logits = np.zeros(4, np.float32)
    none.penalise(logits)
    assert not logits.any()


def test_it_follows_what_is_known_of_a_table(bpe):
    def follows(habits, prompt):
        return any(isinstance(each, PromptQuotes) for each in habits.followers(bpe, prompt))

    known = Lengths(9, 12)
    assert follows(Habits(strings=known), 'She said "so')
    assert not follows(Habits(strings=known, brackets={'"': known}), 'She said "so')
    assert not follows(Habits(strings=known), "She said so")
    assert not follows(Habits(), 'She said "so')
    assert follows(Habits(strings=known), "I ran `") and not follows(Habits(backticks=known), "I ran `")
