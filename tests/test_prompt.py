"""The prompt that the end of a run suggests: how a held-out row begins, whole words in any script."""

import numpy as np
import pytest

from datasette_nanogpt.training.prompt import first_words, prompt_from, soonest_typed
from llm_nanogpt.tokenizer_training import train_char


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("KATHARINA\n\nLove me or not", "KATHARINA"),
        ("mdnotes.md\n\nA tool", "mdnotes.md"),
        ("Hello, world and more", "Hello, world"),
        ("“Don’t” he said, twice", "“Don’t” he"),
        ("\n # Why 3.11?\nmore", "# Why 3.11"),
        ("poplib.POP3.retr(which)\n\nRetrieve", "poplib.POP3.retr(which"),
        ("get-graphql-schema and more", "get-graphql-schema and"),
        ("Hugo: is anyone there", "Hugo: is anyone"),
        ("re: " * 9, "re: re: re: re: re: re: re: re: re"),
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
def test_a_run_ends_with_the_beginning_of_a_held_out_document(rows):
    tokenizer = train_char(["Annad so\nBb said "])
    ids = [tokenizer.eot, *(i for row in rows for i in [*tokenizer.encode(row), tokenizer.eot])]
    assert prompt_from(np.array(ids), tokenizer) == {"": "Bob", "A": "Ann"}[rows[0][:1]] + " and" * (
        len(rows[0]) > 20
    )


@pytest.mark.parametrize(
    ("rows", "prompt"),
    [
        (["C has C", "The man has", "The man of C"], "The man"),
        (["Chapter 7", "@ben The man", "the man", "The man", "A man"], "The man"),
        (["Gratin (baked", "“So he said”", '"So he said', "Soup and bread"], "Soup and"),
        (["@ben 7", "@ada 8"], "@ben 7"),
        (["12 apples", "7 pears", "and so on"], "and so"),
        (["", "..."], "..."),
        (["", " "], "The"),
    ],
)
def test_what_a_person_would_soonest_type_is_offered(rows, prompt):
    tokenizer = train_char(["", *rows])
    ids = [tokenizer.eot, *(i for row in rows for i in [*tokenizer.encode(row), tokenizer.eot])]
    assert prompt_from(np.array(ids), tokenizer) == prompt


def test_prompts_keep_their_order_where_none_is_odd():
    prompts = ["Bees", "Title <b", "7 ants", "POP3", "# “Ants"]
    assert soonest_typed(prompts) == ["Bees", "POP3", "Title <b", "7 ants", "# “Ants"]
    assert soonest_typed([]) == []
