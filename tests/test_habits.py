"""What rows have in common, measured once, kept in nanogpt.json, and kept to by texts: on numpy and torch."""

import numpy as np
import pytest
import torch
from conftest import TEXTS, penalised, write_model

from llm_nanogpt import gpt_torch
from llm_nanogpt.checkpoint import read_checkpoint, read_weights
from llm_nanogpt.generate import generate
from llm_nanogpt.gpt_torch import TorchModel
from llm_nanogpt.habits import table_habits as habits_module
from llm_nanogpt.habits.lengths import Lengths
from llm_nanogpt.habits.lines import FEWEST as FEWEST_LINES
from llm_nanogpt.habits.lines import LongLine, line_lengths
from llm_nanogpt.habits.short_texts import FEWEST, STRONGEST, ShortText, text_lengths
from llm_nanogpt.habits.strings import Unbroken, is_unbroken, string_lengths
from llm_nanogpt.habits.table_habits import Habits, measure_habits, read_habits
from llm_nanogpt.loading import open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.tokenizer_training import characters

ROWS = [f"see ({'b ' * (i % 50)}) at example.com/{'a' * (i % 30)} in 12-{i:03d}\n" for i in range(200)]
BRACKETS = {"(": Lengths(5, 9), '"': Lengths(5, 9)}
HABITS = Habits(Lengths(6, 12), Lengths(20, 30), Lengths(40, 20), BRACKETS, Lengths(20, 30))


def test_what_is_measured_comes_back_from_nanogpt_json(tmp_path, bpe):
    habits = measure_habits(ROWS, bpe)
    assert habits.runs and habits.strings and habits.texts and habits.brackets and habits.lines
    assert read_habits(habits.as_json()) == habits
    folder = write_model(tmp_path / "model", bpe, meta={"corpus": habits.as_json()})
    assert open_model(folder).tokenizer.habits == habits
    assert measure_habits([], bpe) == measure_habits(["", ""], bpe) == read_habits({}) == Habits()
    assert read_habits({"brackets": {"no": {"usual": 1, "rare": 9}}}) == Habits()


def test_a_model_with_fewer_tokens_than_its_tokenizer_has_no_habits(tmp_path):
    tokenizer, meta = characters({"a": 0, "b": 1}, eot=2), {"corpus": HABITS.as_json()}
    fewer = write_model(tmp_path / "fewer", tokenizer, vocab_size=2, meta=meta)
    assert open_model(fewer).tokenizer.habits == Habits()


def test_a_row_that_is_cut_is_not_counted_as_a_short_one(monkeypatch, bpe):
    monkeypatch.setattr(habits_module, "COUNTED", 10_030)
    assert measure_habits(iter(["word " * 10] * 300), bpe).texts == (50, 46)
    assert measure_habits(["(a) " * 10_000], bpe).brackets  # a table of one long row


def test_lengths_of_strings():
    assert string_lengths(["a bb ccc\n" * 100, "x" * 50]) == (3, 50)
    assert all(map(is_unbroken, ("a", "a/b"))) and not any(map(is_unbroken, (" a", "a\n", "", "\u3000")))


def test_what_lengthens_a_string_becomes_less_likely(bpe):
    string = Unbroken(bpe.unbroken, Lengths(4, 8))
    logits = np.zeros(bpe.n_vocab, np.float32)
    for piece, penalty in (("abcd", 0), ("ef", 1), (" abc", 0), ("d", 0), ("", 0), ("é", 0.5), ("\n", 0)):
        string.add(piece)
        changed = penalised(string, logits)
        assert -changed.min() == pytest.approx(penalty) and not logits.any()
        assert changed[bpe.encode(" fox")[0]] == changed[bpe.eot] == 0
    assert not penalised(Unbroken(bpe.unbroken, Lengths(4, 8)), logits).any()  # a prompt's does not count


def test_a_text_hardly_ends_before_the_shortest_rows(bpe):
    logits = np.zeros(bpe.n_vocab, np.float32)
    text = ShortText(bpe.eot, Lengths(40, 30), "0123456789")
    for piece, penalty in (
        ("", STRONGEST),
        ("0123456789", 4),
        ("0123456789", 2),
        ("01234", 1),
        ("56789", 0),
    ):
        text.add(piece)
        changed = penalised(text, logits)
        assert -changed[bpe.eot] == pytest.approx(penalty) == -changed.sum()


def test_a_line_that_is_longer_than_those_of_the_rows_is_ended(bpe):
    breaks, logits = bpe.line_breaks, np.zeros(bpe.n_vocab, np.float32)
    assert len(breaks) and all(b"\n" in bpe.token_bytes(i) for i in breaks)
    line = LongLine(breaks, bpe.eot, Lengths(4, 8), "a longer line\nab")  # the prompt's line is half of it
    for piece, gain in (("c", 0), ("def", 1), ("gh", 2), ("a\nb", 0), ("c", 0), ("édef", 1)):
        line.add(piece)
        gained = penalised(line, logits) - logits
        assert gained[[*breaks, bpe.eot]] == pytest.approx(gain)
        assert gained.sum() == pytest.approx(gain * (len(breaks) + 1)) and not logits.any()
    prompt = LongLine(breaks, bpe.eot, Lengths(4, 8), "a line that is too long")
    assert not penalised(prompt, logits).any()


def test_a_paragraph_ends_with_a_sentence(bpe):
    line = LongLine(bpe.line_breaks, bpe.eot, Lengths(4, 8), "", paragraphs=True)
    logits = np.zeros(bpe.n_vocab, np.float32)
    for piece, gain in (
        ("one two", 0),
        (".", 2),
        (" ", 2.5),
        ("in the", 0),
        ("", 0),
        (" end.\n", 0),
        ("a.", 0),
    ):
        line.add(piece)
        assert penalised(line, logits)[bpe.eot] == pytest.approx(gain)


def test_which_rows_have_paragraphs(bpe):
    notes = [f"A title\n\n{'A sentence of it. ' * n}\n\nShort" for n in range(1, 200)]
    verse = ["Of all the lines that verse may have,\nnot many end\nwith what ends a sentence"] * FEWEST_LINES
    for rows, paragraphs in ((notes, True), (verse, False), ([t.replace(".", "।") for t in notes], True)):
        habits = measure_habits(rows, bpe)
        assert habits.paragraphs == paragraphs and read_habits(habits.as_json()) == habits


def test_lengths_of_paragraphs_are_those_of_lines():
    """And not the columns that few of their characters stand beyond."""
    rows = ["a" * n + "." for n in range(199, 299)]
    assert line_lengths(rows) == (297, 301) and line_lengths([row[:-1] for row in rows]) == (260, 277)


def test_columns_of_lines():
    assert line_lengths(["a" * 9] * (FEWEST_LINES - 1)) is None
    assert line_lengths(["a" * 100 + "\n\n" + "b" * 50] * FEWEST_LINES) == (96, 100)
    listing = ["- short\n" * 90 + "a paragraph " * 80] * 10  # few lines have half of the text
    assert line_lengths(listing) == (913, 945)


def test_too_few_rows_say_nothing_about_how_short_one_may_be():
    assert text_lengths(["a" * 50] * (FEWEST - 1)) is None
    assert text_lengths(["a" * i for i in range(1000)]) == (50, 10)


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_numpy_and_torch_keep_to_the_same(tmp_path, bpe, temperature):
    folder = write_model(tmp_path / "model", bpe, meta={"corpus": HABITS.as_json()})
    checkpoint, opened = read_checkpoint(folder), open_model(folder, "cpu")
    module = gpt_torch.build(checkpoint.config).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in read_weights(checkpoint).items()})

    def written(model, **settings):
        sampler = Sampler(temperature=temperature, seed=0, **settings)
        return "".join(generate(model, opened.tokenizer, 'Row ("12', max_tokens=60, sampler=sampler))

    assert written(opened.model) == written(TorchModel(module)) != written(opened.model, real_words=False)


def test_rows_are_hardly_touched(bpe):
    """What the rows have is never held back by much, for nine tokens in ten."""
    habits = measure_habits(TEXTS, bpe)
    penalties = []
    for row in TEXTS[:40]:
        followers = habits.followers(bpe, "")
        for token in [*bpe.encode(row), bpe.eot]:
            logits = np.zeros(bpe.n_vocab, np.float32)
            for follower in followers:
                follower.penalise(logits)
                follower.add(bpe.token_bytes(token).decode("utf-8", "ignore"))
            penalties.append(-logits[token])
    assert np.mean(np.array(penalties) > 1) < 0.02
