"""A text that is written says an item of a list, a line or a sentence twice as rarely as the rows do."""

import numpy as np
import pytest
from conftest import penalised, write_model

from llm_nanogpt.generate import generate
from llm_nanogpt.habits.repeated_items import (
    AGAIN,
    COMPLETES,
    ENDS,
    FEWEST,
    RepeatedItem,
    is_again,
    items,
    items_again,
)
from llm_nanogpt.habits.table_habits import Habits, measure_habits, read_habits
from llm_nanogpt.loading import open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.tokenizer_training import train_bpe

ROW = "import pytest\nimport json\nfrom pathlib import Path, PurePath\n"


@pytest.fixture(scope="module")
def bpe():
    return train_bpe([ROW] * 20, 320)


def test_items_and_those_that_are_said_again():
    some = items("Apples, pears; 3 APPLES.\nIt rains. It rains. No.\nv1.20 of it")
    assert some == ["apples", "pears", "apples", "it rains", "it rains", "v1.20 of it"]
    assert [is_again(some, at) for at in range(len(some))] == [False, False, True, False, True, False]


def test_how_often_rows_say_them_again(bpe):
    rows = [f"item {i}a, thing {i}b\n" for i in range(FEWEST // 2)]
    assert items_again(rows) == 0 and items_again(rows[1:]) is None
    assert items_again([*rows, "song, song, song, song"]) == round(3 / (FEWEST + 4), 4)
    habits = measure_habits(rows, bpe)
    assert habits.items_again == 0 and read_habits(habits.as_json()) == habits
    assert read_habits({}).items_again is None


def lost(bpe, prompt, pieces=()):
    """What each token of text loses after a prompt and what was written after it."""
    follower, logits = RepeatedItem(bpe, prompt), np.zeros(bpe.n_vocab, np.float32)
    for piece in pieces:
        follower.add(piece)
    changed = penalised(follower, logits)
    assert not logits.any()
    return {bpe.token_bytes(i).decode("utf-8", "replace"): -changed[i] for i in np.flatnonzero(changed)}


def test_what_completes_an_item_loses_and_what_ends_it_loses_more(bpe):
    assert [bpe.token_bytes(i) for i in bpe.encode("import pytest")] == [b"import", b" pytest"]
    assert lost(bpe, "import pytest\nimport") == {" pytest": COMPLETES}
    assert lost(bpe, "import pytest\nimport json\nimport") == {" pytest": COMPLETES, " json": COMPLETES}
    ended = lost(bpe, "import pytest\nimport pytest")
    assert {"\n", ",", ";"} <= ended.keys() and set(ended.values()) == {ENDS}
    # What was written counts as what was typed does, and marks make no other item of it.
    assert lost(bpe, "import pytest", ["\n", "import"]) == {" pytest": COMPLETES}
    assert lost(bpe, "(import pytest)\n    import") == {" pytest": COMPLETES}


@pytest.mark.parametrize(
    "prompt",
    [
        "import pytest",
        "import pytest\n",  # other items begin with the same word
        "import pytest\nfrom",
        "import pytest\nx = json\ny = json path\nimport",  # too long ago
        "abc, abc",  # too short
        "",
    ],
)
def test_other_items_lose_nothing(bpe, prompt):
    assert not lost(bpe, prompt)


def test_a_sentence_ends_where_the_next_begins(bpe):
    sentence = "import pytest."
    assert lost(bpe, f"{sentence} import") == {" pytest": COMPLETES}
    assert not lost(bpe, "pytest.json import")


def test_rows_that_say_items_again_are_left_alone(bpe):
    def followed(habits):
        return any(isinstance(each, RepeatedItem) for each in habits.followers(bpe, ""))

    assert followed(Habits(items_again=AGAIN)) and not followed(Habits(items_again=AGAIN + 0.001))
    assert not followed(Habits())


def test_texts_of_a_model_repeat_fewer_items(tmp_path, bpe):
    opened = open_model(write_model(tmp_path / "m", bpe, block_size=64), "cpu")

    def repeating(habits):
        opened.tokenizer.habits = habits
        some = (
            generate(
                opened.model, opened.tokenizer, "import pytest\nimport", max_tokens=2, sampler=Sampler(seed=i)
            )
            for i in range(60)
        )
        return sum(is_again(items("import pytest\nimport" + text), -1) for text in map("".join, some))

    opened.model.logits = lambda *_: np.where(
        np.isin(np.arange(bpe.n_vocab), [*bpe.encode(" pytest"), *bpe.encode(" json"), *bpe.encode("\n")]),
        5.0,
        -9.0,
    ).astype(np.float32)
    assert repeating(Habits(items_again=0.0)) < repeating(Habits()) / 4
