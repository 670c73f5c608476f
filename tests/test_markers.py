"""Markers between documents, and texts about them."""

import pytest

from datasette_nanogpt.data.markers import has_markers, split_at_markers

START, END = "<|startoftext|>", "<|endoftext|>"


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        (f"{START}A joke.{END}", ["A joke."]),
        (f"{START} A joke. {END}\n", ["A joke."]),
        (f"A joke.{END}\n{START}Another.{END}", ["A joke.", "Another."]),
        (f"A joke.{END}Another.", ["A joke.", "Another."]),
        (f"A joke.\n{END}\nAnother\n\nin two parts.\n", ["A joke.\n", "\nAnother\n\nin two parts.\n"]),
        (f"A joke.{END}{START}Another.", ["A joke.", "Another."]),
        (f"{START}\nA joke.\n{END}\n\n{START}\nAnother.\n{END}\n", ["\nA joke.\n", "\nAnother.\n"]),
        (f'{START}"Well," he said, "no."{END}', ['"Well," he said, "no."']),
        (f"{START}.find(it) {START}{END}", [".find(it)"]),
        (f"see `code`{END}\n{START}) and so on{END}", ["see `code`", ") and so on"]),
        (f"{START}`code`{END}", ["`code`"]),
        (f"{END}{END}", []),
        ("no marker", ["no marker"]),
        ("", []),
    ],
)
def test_documents_between_markers(text, documents):
    assert [part.strip(" ") for part in split_at_markers(text)] == documents
    if END in text or START in text:
        assert has_markers([text] * 5)


@pytest.mark.parametrize(
    "text",
    [
        f"GPT-2 writes {END} after each document.",
        f"The token `{END}` ends it.",
        f'It is called "{END}".',
        f"It ends with {END}, as you know.",
        f"(see {END})",
        f"{END}, as its name says, ends a text.",
        f"{END}: the end",
        f"a sentence that is wrapped before {END}\nand goes on",
    ],
)
def test_prose_about_markers_is_left_whole(text):
    assert split_at_markers(text) == [text]
    assert not has_markers([text])


def test_a_column_has_markers_where_many_rows_have_them():
    assert has_markers([f"{START}a{END}", f"b{END}", "c"])
    assert not has_markers(["a post", f"about {END} tokens", f"```\n{END}\n```"])
    assert not has_markers(["a post"] * 50 + [f"```\n{END}\n```"])
    assert not has_markers([])
