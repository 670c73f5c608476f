"""The prompt that the end of a run suggests: how a held-out row begins, whole words in any script."""

import numpy as np
import pytest

from datasette_nanogpt.training.prompt import first_words, prompt_from
from llm_nanogpt.tokenizer_training import train_char


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("KATHARINA\n\nLove me or not", "KATHARINA"),
        ("mdnotes.md\n\nA tool", "mdnotes.md"),
        ("Hello, world and more", "Hello, world"),
        ("“Don’t” he said, twice", "“Don’t” he"),
        ("\n # Why 3.11?\nmore", "# Why 3"),
        ("धर्मक्षेत्रे कुरुक्षेत्रे समवेता", "धर्मक्षेत्रे कुरुक्षेत्रे"),
        ("בְּרֵאשִׁית בָּרָא אֱלֹהִים", "בְּרֵאשִׁית בָּרָא"),
        ("学而时习之，不亦说乎？有朋", "学而时习之"),
        ("「学而时习之」", "「学而时习之"),
        ("学而时习之" * 5, "学而时习之学而时"),
        ("GPT 的意思", "GPT"),
        ("ภาษาไทย เป็นภาษา", "ภาษาไทย"),
        ("ภาษาไทยเป็นภาษาที่ใช้ในประเทศไทย", "ภาษาไทยเป็น"),
        ("ACGT" * 50, "ACGTACGTAC"),
        ("a " + "b" * 60, "a"),
        ("...", "..."),
        ("", ""),
    ],
)
def test_the_first_words_of_a_text_are_its_prompt(text, prompt):
    assert first_words(text) == prompt
    assert text.strip().startswith(prompt)


@pytest.mark.parametrize("rows", [["Ann\n\nsaid", "Bob"], ["Ann"], ["", "Bob"], ["Ann and so on " * 50]])
def test_only_the_first_document_counts(rows):
    tokenizer = train_char(["Annad so\nBb said "])
    ids = [tokenizer.eot, *(i for row in rows for i in [*tokenizer.encode(row), tokenizer.eot])]
    prompt = prompt_from(np.array(ids), tokenizer)
    assert prompt == {1: "Ann", 2: "Ann"}.get(len(rows)) or prompt in ("Ann and", "The")
    assert prompt == "The" or rows[0].startswith(prompt)
