"""Songs with chords, what is said in games, and verses with numbers behind their words."""

import pytest

from datasette_nanogpt.data.text_kinds import kind_of
from datasette_nanogpt.data.values_as_text import read_text

PROSE = "The boat left the harbour at seven, and nobody knew why it had waited so long."
SONG = (
    "{title: The Boat}\n{key: G}\n{soc}\n[G]We left the [Em7]har[D/F#]bour\n[C] [G]\n\n"
    "{c: Twice}\nAnd [Am]sang it [Bb]all[Csus4] again[G]\n{eoc}\n"
)
TAB = "[tab][ch]G[/ch]     [ch]Em7[/ch]\nWe left the harbour[/tab]"


def read(text, others=4):
    kind = kind_of([text] * 5 + [PROSE] * others)
    return read_text(text, kind).text, kind.markup


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (SONG, "chords", "We left the harbour\n\nTwice\nAnd sang it all again"),
        (TAB, "chords", "G     Em7\nWe left the harbour"),
        ("Go <color=#f00><b>now</b></color>!\\nOr <sprite=3>wait.", "tags of a game", "Go now!\nOr wait."),
        ("{color=#f00}Go{/color} {b}now{/b}.{w=0.5} Wait.{nw}", "tags of a game", "Go now. Wait."),
        (r"\C[2]Ada\C[0]: Go now.\. \|Wait, {NAME}.\!", "tags of a game", "Ada: Go now. Wait, {NAME}."),
        (
            "<pb/>In<S>1722</S> the beginning<S>746</S> <J>was</J><S>1510</S> it<f>[1]</f>.",
            "Strong's numbers",
            "In the beginning was it.",
        ),
        (
            "In the beginning{H7225} God{H430} made{(H8804)} it.",
            "Strong's numbers",
            "In the beginning God made it.",
        ),
        (
            "In the beginning <H7225> God <H430> made <H1254> it.",
            "Strong's numbers",
            "In the beginning God made it.",
        ),
    ],
)
def test_what_is_sung_said_and_written(text, name, expected):
    assert read(text) == (expected, name)


@pytest.mark.parametrize(
    "text",
    [
        '"[A]nd so it was," he wrote, "[a] boat of [E]ngland [B]ay."',
        "See [A], [B] and [C] below, or [D7] in the table, and [G#] there.",
        "a[C] = b[Am]; x[F] = {w: 1}",
        "Press [Esc] or [F5], then [B]ack.",
        "G     Em\nWe left the harbour\nD     C\nAnd sang it all again",
        "{title: The Boat}\nA template writes {b} and {i}.",
        "It says {name} and \\section{A}, then <now>.",
        "See [1], [2] and a[0]. Then x.y[1] = b[2]; it is (so) [3].",
        "a = line.split(',')[0]\nb = f(a, c)[1]\nd = 'abc'[2]\ne = x?.[3] ?? y.[4];",
        "The codes H7225 and G3056, {H1} and [G2] are written so.",
    ],
)
def test_what_looks_like_these_stays(text):
    assert read(text, others=0) == (text, "")


VOICES = (
    "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ada Byron>Who is there?</v>\n\n00:02.000 --> 00:03.000\n"
    "<v Ada Byron>Say it.</v>\n\n00:03.000 --> 00:04.000\n<v.loud Ben>It is <i>I</i>.</v>\n"
)


def test_who_speaks_in_subtitles_is_said():
    kind = kind_of([VOICES] * 5)
    assert read_text(VOICES, kind).text == "Ada Byron: Who is there?\nSay it.\nBen: It is I."
