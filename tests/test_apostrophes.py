"""Words with apostrophes: those of the table, and no others."""

import pytest
from test_words import accepted, counted

from llm_nanogpt.apostrophes import Apostrophes
from llm_nanogpt.words import WordList, joined_words

ROWS = "I don't, 'tis Ada's o’clock; rock'n'roll of a sudden. L'été est à l'école, in the 1960's, c'mon 'of'"


def test_words_with_apostrophes():
    assert joined_words("Don’t say 'tis Ada's, dogs' or rock'n'roll") == ["don't", "ada's", "rock'n'roll"]
    assert joined_words("東京's 'quoted' it’") == joined_words("the cat") == []


@pytest.mark.parametrize(
    ("prompt", "pieces", "taken"),
    [
        ("", ["I", " don", "'t", " know"], 4),
        ("", ["I", " DON", "’T", "."], 4),  # either mark, either case
        ("", [" sudden", "'t"], 1),
        ("", ["Of", "'s"], 1),
        ("", [" of", "'", "s"], 2),  # an apostrophe may be a closing quote
        ("", ["'of'", " a", " 'sudden'"], 3),
        ("", ["don", "'t", "ada"], 2),
        ("", ["don", "'", "t", " "], 4),
        ("", ["rock", "'n", " "], 2),  # it is not whole yet
        ("", ["rock", "'n", "'roll", " "], 4),
        ("", ["l'", "éco", "le", " l'", "ado"], 4),
        ("", ["l'", "\u00e9".encode()[:1], "\u00e9".encode()[1:], "cole"], 4),
        ("", ["c", "\u2019".encode()[:2], "\u2019".encode()[2:] + b"mon"], 3),
        ("", ["c", "\u2019".encode()[:2], "\u2019".encode()[2:] + b"ado"], 2),
        ("", ["1970", "'s"], 2),  # numbers are free
        ("Ada and Lena", ["'s", " Lena", "'", "s"], 4),  # a name that the table does not have
        ("Ada and Johnson", ["'t"], 0),
        ("Ada and Johnson", [" of", " Johnson", "'xyz"], 2),
        ("Ada and Johnson'", ["s"], 1),
        ("Ada and Johnson'", [" and"], 1),
        ("We could", ["'s"], 0),
        ("We of's and we", [" of", "'s"], 2),
        ("I do", ["n't", " of", "'s"], 2),
    ],
)
def test_only_those_of_the_table(prompt, pieces, taken, tmp_path):
    known = counted(ROWS, "and we could know").most_frequent()
    known.save(tmp_path)
    for each in (known, WordList.load(tmp_path)):
        assert accepted(Apostrophes(each, each.joined, prompt), *pieces) == taken


def test_what_was_written_all_the_same_is_let_go_on_to_its_end():
    known = counted(ROWS).most_frequent()
    follower = Apostrophes(known, known.joined, "")
    for piece in (b"of", b"'s", b"x", b"y"):
        follower.add(piece)
    assert follower.accepts(b"'s") and not follower.accepts(b" of's")


def test_an_older_list_knows_nothing_of_them(tmp_path):
    WordList(["don", "t", "é"], cased=True, characters="—").save(tmp_path)
    assert WordList.load(tmp_path).joined is None
    WordList(["don", "t"], cased=True, characters="", joined=[]).save(tmp_path)
    loaded = WordList.load(tmp_path)
    assert [*loaded] == ["don", "t"] and loaded.joined is not None and not loaded.joined
