"""The chart of two runs: round numbers on its axes, and both lines inside them."""

import math

import pytest

from datasette_nanogpt.web.chart import FONT, LABELS, NARROW, WIDE, round_ticks, two_lines
from datasette_nanogpt.web.outcome import Outcome
from datasette_nanogpt.web.pages.compare import _at_marks, _for_table


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1.882, 3.584, [1.5, 2, 2.5, 3, 3.5, 4]),
        (0, 2.48, [0, 0.5, 1, 1.5, 2, 2.5]),
        (1.8731, 1.8742, [1.873, 1.8735, 1.874, 1.8745]),
        (2, 2, [2, 3, 4]),
        (0, 0.4, [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    found = round_ticks(low, high)
    assert found[0] <= low and found[-1] >= high and len(found) <= 7
    if ticks != [2, 3, 4]:
        assert found == ticks


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_lines_lie_inside_their_axes(size):
    a = [(4.0, 3.231), (30.0, 2.078), (119.0, 1.979)]
    b = [(5.0, 3.584), (149.0, 1.882)]
    width, height = size
    for scores in ((a, b), (a, []), ([(0.0, 2.0), (0.0, 2.0)], b[:1]), ([(s * 60, bpb) for s, bpb in a], b)):
        chart = two_lines(*scores, size)
        points = [point for side in chart["sides"] for point in side]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        assert chart["up"][0][0] == height and chart["up"][-1][0] == 0
        assert chart["across"][0] == (0.0, "0") and chart["across"][-1][0] == width
        assert len({len(label) for _, label in chart["up"]}) == 1  # as many decimals each
    assert chart["unit"] == "minutes" and chart["across"][-1][1] == "150"
    assert two_lines(a[:1], b[:1]) is None


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("single", [(6.0, 3.175), (300.0, 1.6), (590.0, 1.45), (600.0, 3.3), (300.0, 2.5)])
def test_the_label_of_a_single_score_is_nearer_to_it_than_to_the_other_line(single, size):
    """It stood above the first ring of the other line."""
    line = [(50.0, 3.304), (100.0, 2.184), (150.0, 1.796), (300.0, 1.6), (600.0, 1.442)]
    chart = two_lines(line, [single], size)
    none, label = chart["single"]
    assert none is None
    if single[1] > 3 and size == WIDE or single == (300.0, 2.5):
        assert label.lines == (2 if single[0] == 6 else 1)  # in two lines where the other one is near
    if not label:
        return  # the legend says it
    width, height = LABELS[label.lines] * FONT[size], 1.2 * label.lines * FONT[size]
    left, top = label.left, label.base - FONT[size]
    assert 0 <= left <= size[0] - width and 0 <= top <= size[1] - height

    def away(x, y):
        return math.hypot(max(left - x, 0, x - left - width), max(top - y, 0, y - top - height))

    assert away(*chart["sides"][1][0]) < 10
    assert all(away(*ring) > away(*chart["sides"][1][0]) for ring in chart["sides"][0])


def test_scores_are_shown_after_times_that_both_were_in_training():
    a, b = [(4.0, 3.2), (45.0, 2.0), (119.0, 1.9)], [(5.0, 3.5), (70.0, 1.8), (600.0, 1.2)]
    both = [("after 10s", "3.200", "3.500"), ("after 1m 00s", "2.000", "3.500")]
    assert _at_marks(a, b) == [*both, ("after 1m 59s", "1.900", "1.800")]  # the last time that both have
    assert _at_marks([(60.2, 2.0)], [(60.4, 1.9)]) == [("after 1m 00s", "2.000", "")]
    assert _at_marks(a, []) == []


def test_what_is_odd_in_texts_stands_with_them():
    """A run without such a line would otherwise seem not to have been measured."""
    verdict = {"score": "1", "20 texts": "none repeats itself", "odd in them": "9 end too soon", "next": "x"}
    assert _for_table(verdict, Outcome(True, "", "")) == {
        "score": "1",
        "its texts": "of 20, none repeats itself; 9 end too soon",
        "next": "x",
    }
