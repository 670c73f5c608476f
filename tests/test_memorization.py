"""Passages that a text copies from a table, in every script."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data.memorization import MIN_WORDS, find_memorized

# Common letters of scripts, some with marks, that put no spaces between words.
LETTERS = {
    "Chinese": [chr(i) for i in range(0x4E00, 0x4F00)] + list("，。"),
    "Japanese": [chr(i) for i in range(0x3042, 0x3090)] + list("漢字の、。"),
    "Thai": ["ก", "น้", "ที่", "ร", "ำ", "า", "เ", "บ", "ส", "วั"],
    "Burmese": ["မြ", "န်", "မာ", "စာ", "က", "သည်"],
}


@pytest.mark.parametrize("script", LETTERS)
def test_copies_are_found_in_scripts_without_spaces(script):
    rng = random.Random(script)

    def sentence(n: int) -> str:
        return "".join(rng.choices(LETTERS[script], k=n))

    rows = [("t", {"id": i}, sentence(rng.randrange(40, 80))) for i in range(100)]
    copies = []
    for _, keys, document in rows[:92]:
        start = rng.randrange(5)
        copies.append((document[start : start + 33], keys))
    texts = [sentence(20) + copy + sentence(20) for copy, _ in copies]
    found = find_memorized(texts, rows).texts
    assert sum(bool(each.passages) for each in found) == 92
    for text, (copy, keys), each in zip(texts, copies, found, strict=True):
        assert any(passage.keys == keys for passage in each.passages)
        assert sum(passage.end - passage.start for passage in each.passages) >= len(copy) - 4
        documents = {keys["id"]: document for _, keys, document in rows}
        assert all(text[p.start : p.end] in documents[p.keys["id"]] for p in each.passages)
    others = find_memorized([sentence(60) for _ in range(50)], rows).texts
    assert not any(each.passages for each in others)


def test_sixteen_characters_are_a_passage_and_fifteen_are_not():
    row = "学而时习之不亦说乎有朋自远方来不亦乐乎人不知"
    rows = [("t", {"id": 1}, row)]
    (short, enough, mixed) = find_memorized(
        [f"我{row[:15]}我", f"我{row[:16]}我", f"new words {row[3:]}"], rows
    ).texts
    assert not short.passages
    (passage,) = enough.passages
    assert (passage.start, passage.end, passage.words) == (1, 17, MIN_WORDS)
    assert (enough.words, enough.fraction) == (9, 8 / 9)
    assert mixed.passages[0].start == len("new words ")


def test_words_and_characters_together():
    row = "GPT-2 用 中文 写了 a long sentence with 许多字 and words"
    (found,) = find_memorized([f"So: {row}!"], [("t", {}, row)]).texts
    (passage,) = found.passages
    assert passage.start == 4


@given(
    st.lists(st.text(st.sampled_from("ab 学而 \n，ที่"), max_size=60), max_size=3),
    st.text(st.sampled_from("ab 学而，ที่"), max_size=60),
)
def test_a_passage_stands_in_its_row(texts, row):
    found = find_memorized(texts, [("t", {"id": 1}, row)]).texts
    for text, each in zip(texts, found, strict=True):
        assert 0 <= each.fraction <= 1
        for passage in each.passages:
            copied = "".join(text[passage.start : passage.end].split())
            assert copied in "".join(row.split())
            assert passage.words >= MIN_WORDS
