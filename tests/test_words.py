"""The words of a table: the list beside a model, and text that keeps to it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_nanogpt.apostrophes import Apostrophes
from llm_nanogpt.speller import LastWord, Speller, ends_in_half_word, last_word_is
from llm_nanogpt.words import (
    LONGEST_WORD,
    WordCounter,
    WordList,
    end_of_word,
    first_letter,
    fold,
    half_words,
    words,
)


def counted(*texts):
    counter = WordCounter()
    assert [*counter.count(texts)] == [*texts]
    return counter


def accepted(speller, *pieces):
    """How many of the pieces it takes, one after the other."""
    for n, piece in enumerate(pieces):
        piece = piece.encode() if isinstance(piece, str) else piece
        if not speller.accepts(piece):
            return n
        speller.add(piece)
    return len(pieces)


def test_words_of_any_script():
    assert words("Ada’s BÄREN don't_stop, the 2nd") == ["ada", "s", "bären", "don", "t", "stop", "the", "2nd"]
    assert words("नमस्ते दुनिया") == ["नमस्ते", "दुनिया"]
    assert words("Straße е́сть") == ["straße", "е́сть"]
    assert words("東京SQLite") == ["東", "京", "sqlite"]
    assert words("ที่นี่") == ["ที่", "นี่"]


def test_the_last_word():
    assert [end_of_word(text) for text in ("An Issue", "is ", "is\n", "is.", "", "x_y", "東京", "हिन्दी")] == [
        "Issue", "", "", "", "", "y", "", "हिन्दी",
    ]  # fmt: skip


def test_the_most_frequent_are_kept(tmp_path):
    counter = counted("the cat. The DOG! the 2nd 42", "the cat " + "x" * (LONGEST_WORD + 1), "東京")
    assert [*counter.most_frequent()] == ["2nd", "42", "DOG", "cat", "dog", "the"]
    known = counter.most_frequent(2)
    known.save(tmp_path)
    assert [*WordList.load(tmp_path)] == ["cat", "the"]
    assert "cat" in known and "dog" not in known and len(known) == 2
    assert counted("the dog").fraction_in(known) == 0.5
    assert WordList.load(tmp_path / "nowhere") is None


def test_a_word_that_was_cut_off_once_is_none():
    rows = ["datasette and the Datas " * 300, "tils.db datase is", "a mess of message message", "dog sheep"]
    known = counted(*rows).most_frequent()
    assert {"datase", "datas", "datasette", "mess", "dog"} - set(known) == {"datase"}
    assert half_words({"datase": 2, "datasette": 900}) == half_words({"datase": 1, "datasette": 200}) == set()
    assert half_words({"data": 1, "datum": 1, "datasette": 900, "datasett": 1}) == {"datasett"}


def test_counting_takes_no_more_memory_than_it_may(monkeypatch):
    from llm_nanogpt import words as module

    monkeypatch.setattr(module, "COUNTED", 100)
    counter = counted(*(f"the {i} and {i + 1}" for i in range(1000)))
    assert len(counter._strings) <= 100 + 3
    assert {"the", "and"} <= {*counter.most_frequent(2)}


@pytest.mark.parametrize(
    ("prompt", "pieces", "taken"),
    [
        ("", ["The", " cat", " sat", "."], 4),
        ("", ["The", " c", "at", "s", "\n"], 3),  # "cats" is no word
        ("", ["TH", "E", " ca", " "], 3),
        ("", ["xyz"], 0),
        ("", ["the cat xyz sat"], 0),
        ("", ["4", "2", ",000 2024-06-01"], 3),
        ("", ["4", "2x"], 1),
        ("", ["9", "lives"], 2),
        ("the c", ["at"], 1),
        ("the c", ["og"], 0),
        ("Zorblax", [" the", " Zorb", "lax", " and"], 3),  # the prompt's own word, but no other
        ("Zorblax", ["es"], 0),
        ("", ["東京", "の", "cat"], 3),
        ("", ["हिन", "्दी", " cat"], 3),
        ("", ["हिन", "्द", " cat"], 2),
        ("", ["the", "'", "cat"], 3),
    ],
)
def test_only_words_of_the_list(prompt, pieces, taken):
    speller = Speller(WordList(["the", "cat", "sat", "9lives", "हिन्दी"]), prompt)
    assert accepted(speller, *pieces) == taken


@pytest.mark.parametrize(
    ("prompt", "pieces", "taken"),
    [
        ("", ["The", " c", "At"], 2),
        ("", ["the", " C", "AT", " Cat"], 2),  # no row has "CAT"
        ("", ["the", " Cat", " THE"], 2),
        ("", [" SQL", " sql", ". Sql", " SQ", "L", ". I", "P"], 6),
        ("", [" SQ", "l"], 1),
        ("", [" sQL"], 0),
        ("", ["4X", " 4x", ". A", " 4K"], 3),
        ("", ["the", " Git", "Hub", " git", "hub", " GITHUB"], 5),
        ("", [" git", "Hub"], 1),
        ("", [" Gi", "thUb"], 1),
        ("", [" i", "Phone", " IP"], 2),
        ("", ["9Li", "ves"], 2),
        ("", ["straSSe"], 0),
        ("", [" Straße", " STRASSE"], 1),
        ("", [" Мо", "скВа"], 1),
        ("", [" МОСК"], 0),
        ("SEE THE CAT", [" SEE", " CAT", " the", " GITHUB"], 3),
        ("GITH", ["UB", " GITHUB", " CAT"], 2),  # a word of the table that was begun in capitals
        ("МОС", ["КВА", "."], 2),
        ("see LaTe", ["X", " and"], 1),  # the table has no "and"
        ("see LaTe", ["X", " the"], 2),
        ("I typed zORb", [" the", " zORb", " zorb", " ZorB"], 3),
    ],
)
def test_capitals_stand_where_the_table_has_them(prompt, pieces, taken, tmp_path):
    known = counted("the cat. The Cat. GitHub iPhone 9Lives Straße LaTeX Москва SQL 4X a").most_frequent()
    known.save(tmp_path)
    for each in (known, WordList.load(tmp_path)):
        assert accepted(Speller(each, prompt), *pieces) == taken


SHARP = "Die Straße, Maße und Masse, Wasser, heiß, Eiweiß. DIE STRASSE. ὁ λόγος, Σοφός, ΤΗΣ, oﬃce ŉ"


@pytest.mark.parametrize(
    ("prompt", "pieces", "taken"),
    [
        ("", [" Straße", " Maße", " MASSE", " heiß", " Wasser", " masse"], 2),  # no row has "MASSE"
        ("", [" Strasse"], 0),
        ("", [" Stras", "se"], 0),
        ("", [" Wa", "ßer"], 1),
        ("", [" Eiweiss"], 0),
        ("", [" STRASSE", " STRAßE"], 1),
        ("", [" STRA", "SSE", "."], 3),
        ("", [" Stra", "\u00df".encode()[:1], "\u00df".encode()[1:] + b"e", " Ma", "\u00dfe."], 5),
        ("DIE STRAS", ["SE", " Straße"], 2),  # begun in capitals
        ("DIE EIWEIS", ["S", " Straße"], 2),
        ("DIE EIWEIS", ["SE"], 0),
        ("Die Strasse", [" Strasse", " heiß"], 2),  # the prompt's own word
        ("", [" λόγος", ". Λόγος", " λόγοσ"], 2),
        ("", [" Σοφός", " ΤΗΣ", " της"], 3),
        ("", [" office"], 0),
        ("", [" ʼn"], 0),
    ],
)
def test_letters_that_readers_tell_apart_are_apart(prompt, pieces, taken, tmp_path):
    """Texts had "Salzwaßer" and "Eiweiss" in them, which no row had: str.casefold() has "ss" for "ß"."""
    known = counted(SHARP).most_frequent()
    known.save(tmp_path)
    for each in (known, WordList.load(tmp_path)):
        assert accepted(Speller(each, prompt), *pieces) == taken
        assert {"straße", "masse", "maße", "STRASSE"} <= {*each} and "strasse" not in {*each}
        assert each.next_characters("Stra") == {"s"} and each.next_characters("λόγο") == {"σ"}


@pytest.mark.parametrize(
    ("prompt", "pieces", "taken"),
    [
        ("", ["Cost", "ello", " sings"], 3),
        ("", [" cost", "s"], 2),  # a word of its own
        ("", [" cost", "ello"], 1),
        ("", ["CAT", "ANIA"], 2),
        ("", ["it", " co", "pper"], 3),
        ("", ["Ca", "tania"], 2),
        ("", ["ca", "t"], 2),
        ("", ["ca", "ta"], 1),  # all that begin so are names
        ("and costello", [" sang", " costello"], 2),  # as it was typed
        ("and catan", ["ia", " and", " catania"], 3),  # half a word that was typed so
        ("", ["ärger"], 0),
        ("", ["Ärger"], 1),
        # What is nowhere with a capital has one only where a sentence or a line begins.
        ("", ["Sings", " cat", ",", " Sings"], 3),
        ("", [" cat", " S", "ings"], 1),
        ("", ["cat", " ", "Sings"], 2),
        ("", ['Sings. Sings\nSings: Sings "', "Sings"], 2),
        ("", ["cat Sings"], 0),
        ("", ["cat, Cat cat"], 0),
        ("", ["It", " It"], 2),
        ("", [" cat", ".", " Cat"], 3),
        ("cat", [" Sings"], 0),
        ("cat ", ["Sings"], 0),
        ("cat. ", ["Sings"], 1),
        ("A Cat", [" Cat", " S", "ings"], 1),
    ],
)
def test_a_capital_at_the_beginning_of_words(prompt, pieces, taken, tmp_path):
    """In a third of the texts of young models a name, or a German noun, was in small letters, as in no row,
    and in nearly as many another word had a capital within a sentence."""
    known = counted("Costello costs it. It sang, copper sings cat CATANIA", "Catania Ärger").most_frequent()
    known.save(tmp_path)
    for each in (known, WordList.load(tmp_path)):
        assert accepted(Speller(each, prompt), *pieces) == taken
        assert {"costello", "it", "catania"} <= {*each} and "Costello" not in {*each}


def test_words_in_capitals_count_as_the_word_with_a_sharp_s():
    counts = counted("Straße STRASSE STRAẞE MASSE Masse", "MASSE").counts()
    assert counts == {"straße": 3, "masse": 3}
    assert counted("STRASSE").counts() == {"strasse": 1}
    assert words("Straße Strasse ΛΟΓΟΣ") == ["straße", "strasse", "λογος"]


def test_a_list_of_an_older_model_has_ss_for_a_sharp_s(tmp_path):
    """It does not say which of the two its rows had, so both pass, as they did."""
    lines = [*[""] * 4, "STRASSE", "die", "heiss", "strasse", "λόγοσ", "strasse's", "—"]
    (tmp_path / "words.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    known = WordList.load(tmp_path)
    assert "straße" in known and known.joined is not None and "straße's" in known.joined
    for each in ([" Straße", " heiß", " Strasse", " STRASSE", " Λόγος"], [" Stra", "ße", " hei", "ß."]):
        assert accepted(Speller(known, ""), *each) == len(each)
    assert accepted(Speller(known, "HEIS"), "S", " heiß") == 2
    assert accepted(Apostrophes(known, known.joined, ""), "Straße", "'s", " ", "Straße's") == 4
    known.save(tmp_path)
    assert (tmp_path / "words.txt").read_text(encoding="utf-8").split("\n")[:5] == [*[""] * 4, "STRASSE"]
    assert "straße" in WordList.load(tmp_path)


def test_letters_that_are_folded_alike_begin_alike():
    for c in map(chr, [*range(0xD800), *range(0xE000, 0x110000)]):
        assert first_letter(c) == first_letter(fold(c)) == first_letter(c.casefold())


def test_prompts_in_capitals_that_end_in_half_a_word():
    known = counted("Straße, Straßen, Maße, heißen").most_frequent()
    assert ends_in_half_word("DIE STRAS", known) and ends_in_half_word("HEISS", known)
    assert not any(ends_in_half_word(each, known) for each in ("STRASSE", "MASSE", "Strasse", "Stras"))


def test_what_the_last_word_of_a_prompt_is():
    known = counted("The garden… is green.").most_frequent()
    assert last_word_is("in the gard", known) is LastWord.HALF
    for whole in ("the garden", "in 12", "the gardq", "so ★"):
        assert last_word_is(whole, known) is LastWord.WHOLE
    for unknown in ("", "the ", "the garden.", "so…"):
        assert last_word_is(unknown, known) is LastWord.UNKNOWN
    assert last_word_is("in the gard", None) is LastWord.UNKNOWN


def test_a_list_without_capitals_lets_all_pass(tmp_path):
    WordList(["the", "cat"]).save(tmp_path)
    assert accepted(Speller(WordList.load(tmp_path), ""), "The", " cA", "T") == 3


def test_a_list_of_an_older_model_has_no_words_in_capitals(tmp_path):
    WordList(["cat", "github", "GitHub"], cased=True, characters="", joined=[]).save(tmp_path)
    assert accepted(Speller(WordList.load(tmp_path), ""), " CAT", " GITHUB", " GitHub", " gitHub") == 3


def test_what_was_written_all_the_same_is_let_go_on_to_its_end():
    speller = Speller(WordList(["the"]), "")
    speller.add(b"xy")
    assert accepted(speller, "z", "zy", " ", "the", " x") == 4


def test_characters_in_parts():
    speller = Speller(WordList(["caf\N{LATIN SMALL LETTER E WITH ACUTE}"]), "")
    speller.add(b"caf")
    assert speller.accepts(b"\xc3") and not speller.accepts(b"\xd0") and not speller.accepts(b" ")
    speller.add(b"\xc3")
    assert speller.accepts(b"\xa9") and not speller.accepts(b"\xa8")
    speller.add(b"\xa9")
    assert speller.accepts(b"\xe2")  # a dash may follow
    speller.add(b"\xe2")
    assert speller.accepts(b"\x80\x94")


@pytest.mark.parametrize(
    ("prompt", "pieces", "taken"),
    [
        ("", ["東京", "の", "cat"], 3),
        ("", ["東京", "都"], 1),  # the table has no such character
        ("都", ["東京", "都"], 2),  # but the prompt has
        ("", ["ที่", "นี่", "ป"], 2),
        ("", ["cat", "’", "cat", " — ", "☕", " cat ", "→"], 6),
        ("", ["\N{IDEOGRAPHIC SPACE}", "cat\N{NO-BREAK SPACE}"], 2),
        ("", ["~|<\x00", "42"], 2),
    ],
)
def test_only_characters_of_the_table(prompt, pieces, taken, tmp_path):
    """Models made up characters out of their bytes, in 15% of the texts of a table of many languages."""
    known = counted("東京の cat’ — ☕", "ที่นี่").most_frequent()
    known.save(tmp_path)
    for each in (known, WordList.load(tmp_path)):
        assert accepted(Speller(each, prompt), *pieces) == taken
        assert [*each] == ["cat"]


def test_bytes_that_are_no_character_are_refused():
    for known in (WordList(["the", "é"]), counted("the é \N{REPLACEMENT CHARACTER}").most_frequent()):
        speller = Speller(known, "")
        assert not any(map(speller.accepts, [b"\x80", b"the\xa9", b"\xff the", b"\xc3 the"]))
        assert speller.accepts(b" the \xc3")
        speller.add(b" \xc3")
        assert speller.accepts(b"\xa9") and not speller.accepts(b" the") and not speller.accepts(b"\xc3")
        speller.add(b" the")  # all the same
        assert accepted(speller, " the", "\N{REPLACEMENT CHARACTER}") >= 1


def test_characters_of_the_table_in_parts():
    speller = Speller(counted("東京 ☕").most_frequent(), "é")
    assert speller.accepts(b"\xe6") and speller.accepts(b"\xe6\x9d") and not speller.accepts(b"\xe6\x9e")
    assert speller.accepts(b"\xe2\x98") and not speller.accepts(b"\xf0")
    assert speller.accepts(b"\xc2")  # a space that does not break
    speller.add(b"\xe6\x9d")
    assert speller.accepts(b"\xb1") and not speller.accepts(b"\xb2")


def test_a_table_without_words_has_a_list_of_characters():
    assert counted("東京").most_frequent() and not counted("").most_frequent()


LETTERS_AND_SPACES = st.text(st.characters(categories=("L", "M", "N", "Zs")), max_size=30)


@given(LETTERS_AND_SPACES, st.lists(st.integers(1, 4), max_size=30), st.text(max_size=10))
@example("ก", [1], "")
def test_text_of_the_list_is_accepted_however_it_is_cut(text, lengths, prompt):
    """A text of known words alone passes, in whatever pieces of bytes; but for capitals, and the few marks
    among letters, if they are cut in two: their first byte may be one that no word has there."""
    text = fold(text)
    speller = Speller(counted(text).most_frequent(), prompt + " ")
    data = text.encode()
    for length in (*lengths, len(data)):
        piece, data = data[:length], data[length:]
        if piece:
            assert speller.accepts(piece)
            speller.add(piece)


SOME_WORDS = [
    "gar",
    "garden",
    "gardener",
    "gartenübung",
    "straße",
    "d'accord",
    "нет",
    "сад",
    "садик",
    "हिन्दी",
    "GitHub",
]


@given(
    st.sampled_from(["", "g", "Gar", "gard", "stra", "STRAS", "са", "САД", "हि", "git", "x", "12", "a gard"]),
    st.text("garden -.'ßEüНСадик्न東é1\n", min_size=1, max_size=6),
)
def test_what_may_come_next_begins_with_one_of_few_characters(prompt, piece):
    for known in (WordList(map(fold, SOME_WORDS)), counted(" ".join(SOME_WORDS)).most_frequent()):
        speller = Speller(known, "")
        speller.add(prompt.encode())
        characters = speller.next_characters()
        if characters is not None and speller.accepts(piece.encode()):
            assert first_letter(piece) in characters


def test_what_goes_on_with_half_a_word():
    known = WordList(map(fold, SOME_WORDS))
    assert known.next_characters("GAR") == {"d", "t"} and known.next_characters("x") == set()
    assert known.next_characters("са") == {"д"} and known.next_characters("gart") == {"e"}
    speller = Speller(known, "a gardens")
    assert speller.next_characters() is None  # the prompt's own word
    speller.add(b" gard")
    assert speller.next_characters() == {"e"}
    speller.add(b"\xc3")  # within a character
    assert speller.next_characters() is None
