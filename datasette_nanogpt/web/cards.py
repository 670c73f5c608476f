"""The cards of the form, one for each number of minutes that can be chosen: what texts of such a run will
read like, and which time is recommended.

A card has these keys. Figures are None, and words are "", where nothing is promised:

minutes    of the run
like       what its texts will read like
words      the same with the best and the worst that is likely
bits       the forecast, in bits per byte
hardly_better  whether it is hardly better than the last shorter one of which this is not true
range      between which scores the run is likely to end, in bits per byte
same_as    the minutes of a shorter run that is about as good
brings     the words of the card
outlook    the sentence below the cards while this one is chosen, with an `example` of such a text
score      the sentence with the figures
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..formatting import in_minutes
from ..training.expectation import HIGHEST, LITTLE_TEXT, LOWEST, example_of
from ..training.verdict import reads_like

Card = Mapping[str, Any]

HARDLY_BETTER = 0.04  # a longer time whose score is better by less than this fraction is not recommended
CLEARLY_BETTER = 0.15  # half of the way from one of verdict.LEVELS to the next, which are 23% to 31% apart
UNKNOWN = "not known for this architecture or tokenizer"


def without_forecast(minutes: float) -> Card:
    """The card of a run whose score cannot be forecast."""
    words = {"brings": "", "outlook": f"What it will write is {UNKNOWN}.", "example": "", "score": ""}
    return {"minutes": minutes, "like": UNKNOWN, "bits": None, "range": None, "same_as": None} | words


def with_forecast(
    read: Mapping[str, Any], minutes: float, letter_bits: float, shorter: Sequence[Card]
) -> Card:
    """The card of a run of `minutes` that is likely to get to `letter_bits` per letter on the rows `read`,
    beside the cards of `shorter` times."""
    like = reads_like(letter_bits, read["prose"])
    # How well a model does on little text depends mostly on how much its rows repeat each other.
    promised = read["letters"] >= LITTLE_TEXT
    words = _with_the_range(letter_bits) if promised and read["prose"] else like
    bits = letter_bits * read["letters"] / read["bytes"]
    same = next((c for c in shorter if c["like"] == like and bits > (1 - HARDLY_BETTER) * c["bits"]), None)
    limits = [round(bits * LOWEST, 1), round(bits * HIGHEST, 1)] if promised else None
    # Two steps that are hardly worth anything may be worth something together: 60 minutes after 10, by 30.
    before = next((card for card in reversed(shorter) if not card["hardly_better"]), None)
    return {
        "minutes": minutes,
        "like": like,
        "words": words,
        "bits": round(bits, 3),
        "hardly_better": bool(before and bits > (1 - HARDLY_BETTER) * before["bits"]),
        "brings": _how_much_better(bits, before) if before and before["words"] == words else words,
        "range": limits,
        "same_as": same["minutes"] if same else None,
        "score": _score(minutes, bits, limits, shorter[-1] if shorter else None) if limits else "",
        **_outlook(minutes, letter_bits, read["prose"]),
    }


def _with_the_range(bits: float) -> str:
    """What texts read like at the forecast of `bits` per letter, and at the ends of its range."""
    like, best, worst = (reads_like(bits * factor) for factor in (1, LOWEST, HIGHEST))
    words = like
    if best != like:  # "sentences that mean little, at best in the style of the rows"
        words += f", at best {best.removeprefix('sentences ') if like.startswith('sentences') else best}"
    if worst != like:
        words += f", or only {worst}" if best == like else f", at worst {worst}"
    return words


def _how_much_better(bits: float, shorter: Card) -> str:
    """What a card says where a run reads like one of a shorter time."""
    fraction = 1 - bits / shorter["bits"]
    how = "Clearly better than" if fraction >= CLEARLY_BETTER else "A little better than"
    after = in_minutes(shorter["minutes"])
    return f"{how if fraction >= HARDLY_BETTER else 'Much the same as'} after {after}"


def _outlook(minutes: float, bits: float, prose: bool) -> dict[str, str]:
    """A sentence about the time that is chosen, and a text of another model that shows what it means."""
    after = f"After {in_minutes(minutes)} it writes {reads_like(bits, prose)}"
    if not prose:
        return {"outlook": f"{after}.", "example": ""}
    return {
        "outlook": f"{after}, such as these of a model of Python's documentation:",
        "example": example_of(bits),
    }


def _score(minutes: float, bits: float, limits: Sequence[float], shorter: Card | None) -> str:
    """The figures of a card, for those who know the measure."""
    range_ = f"{limits[0]} to {limits[1]} bits per byte"
    figures = f"After {in_minutes(minutes)}, most tables of this size score {range_}"
    if not shorter:
        return f"{figures}."
    percent = round(100 * (1 - bits / shorter["bits"]))
    than = f"{percent}% better than" if percent > 0 else "as"
    return f"{figures}, {than} after {in_minutes(shorter['minutes'])}."


def recommend(cards: Sequence[Card], default: float) -> dict[str, Any]:
    """The `recommended` minutes of the cards and `why`: the default, or fewer that bring as much; None if
    there are no cards. The cards after the first `unfolded` ones bring so little more than the last of these
    that they are folded into one, with the sentence `alike`, which is "" if none are."""
    if not cards:
        return {"recommended": None, "why": "", "alike": "", "unfolded": None}
    unfolded = _unfolded(cards)
    card = next((card for card in cards if card["minutes"] == default), cards[0])
    why = "Recommended to begin with."
    if card["same_as"] and card in cards[:unfolded]:
        why = f"Recommended: much the same as after {in_minutes(card['minutes'])}."
    alike = _more_time(cards[unfolded - 1], cards[-1]) if unfolded < len(cards) else ""
    minutes = card["same_as"] or card["minutes"]
    return {"recommended": minutes, "why": why, "alike": alike, "unfolded": unfolded}


def _unfolded(cards: Sequence[Card]) -> int:
    """How many cards stand by themselves: all but those of at least two last ones that are the same as the
    one before them."""
    for n, card in enumerate(cards[:-2], 1):
        if all(longer["same_as"] == card["minutes"] for longer in cards[n:]):
            return n
    return len(cards)


def _more_time(shorter: Card, longest: Card) -> str:
    """What the longest time brings where that is little."""
    times = [in_minutes(card["minutes"]) for card in (longest, shorter)]
    return f"More time changes little: texts after {times[0]} are much like those after {times[1]}."
