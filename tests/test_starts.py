"""A text that has no prompt starts as the rows of its table do."""

import numpy as np
from conftest import penalised, write_model

from llm_nanogpt.generate import generate
from llm_nanogpt.habits.starts import FEWEST, STRENGTH, Start, common_starts, kind_of_start, rare_tokens
from llm_nanogpt.habits.table_habits import Habits, measure_habits, read_habits
from llm_nanogpt.loading import open_model
from llm_nanogpt.sampler import Sampler


def test_kinds_of_starts():
    starts = ["Once", "once", "1st", "«Once", " once", "", "Ёлка", "日本"]
    assert list(map(kind_of_start, starts)) == [
        "capital",
        "letter",
        "digit",
        "«",
        " ",
        "",
        "capital",
        "letter",
    ]


def test_starts_that_are_common_in_rows():
    rows = ["Acta"] * 198 + ["«Acta"] * 2
    assert common_starts(rows) == ("capital", "«")
    assert common_starts([*rows, "acta"]) == ("capital",)  # 2 of 201
    assert common_starts(rows[: FEWEST - 1]) == ()


def test_they_come_back_from_nanogpt_json(bpe):
    habits = measure_habits(["Once upon a time."] * FEWEST, bpe)
    assert habits.starts == ("capital",) and read_habits(habits.as_json()) == habits
    assert read_habits({"starts": None}) == Habits()


def test_only_the_first_token_is_less_likely_where_rows_start_otherwise(bpe):
    start, logits = Start(bpe, ("capital",)), np.zeros(bpe.n_vocab, np.float32)
    changed = penalised(start, logits)
    rare = rare_tokens(bpe, ("capital",))
    tokens = [bpe.token_bytes(i) for i in rare]
    assert b" " in tokens and b"a" in tokens and b"A" not in tokens and b"\xc3" not in tokens
    assert (changed[rare] == -STRENGTH).all() and changed.sum() == -STRENGTH * len(rare) and not logits.any()
    start.add("A")
    assert not penalised(start, logits).any()


def test_texts_of_a_model_start_as_rows_do_unless_a_prompt_says_otherwise(tmp_path, bpe):
    opened = open_model(write_model(tmp_path / "m", bpe, block_size=64), "cpu")
    opened.tokenizer.habits = Habits(starts=("capital", "letter"))

    def first(prompt):
        some = (
            generate(opened.model, opened.tokenizer, prompt, max_tokens=1, sampler=Sampler(seed=i))
            for i in range(30)
        )
        return [kind_of_start("".join(text)) for text in some]

    assert {*first("")} <= {"capital", "letter", "\N{REPLACEMENT CHARACTER}", ""}
    assert len({*first("Once")}) > 2
