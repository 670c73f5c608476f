"""DRY: what would lengthen a repetition becomes less likely."""

import numpy as np
import pytest
from conftest import penalised

from llm_nanogpt.repetition import SECOND, STRONGEST, Repetition
from llm_nanogpt.sampler import Sampler

NO_NUMBERS = np.array([], dtype=np.intp)


def penalties(ids, allowed, numbers=NO_NUMBERS, begin_words=None, **settings):
    logits = np.zeros(10, np.float32)
    repetition = Repetition(Sampler(**settings), allowed, numbers, ids, begin_words=begin_words)
    penalty = penalised(repetition, logits)
    assert not logits.any()
    return {i: pytest.approx(-p, rel=1e-5) for i, p in enumerate(penalty.tolist()) if p}


def by_definition(ids, allowed, last_n, multiplier, base):
    """llama.cpp's rule, the slow way: for each earlier place the length of the match that ends there."""
    found = {}
    start = max(0, len(ids) - last_n) if last_n >= 0 else 0
    for place in range(start, len(ids)):
        length = 0
        while length < place and ids[place - 1 - length] == ids[len(ids) - 1 - length]:
            length += 1
        if length >= allowed and place < len(ids):
            found[ids[place]] = max(found.get(ids[place], 0), length)
    return {t: min(multiplier * base ** (min(n, 50) - allowed), STRONGEST) for t, n in found.items()}


def test_the_penalty_grows_with_the_length_of_what_is_repeated():
    assert penalties([1, 2, 3, 1, 2], 2) == {3: 0.8}
    assert penalties([1, 2, 3, 1, 2], 3) == {}
    assert penalties([5, 1, 2, 3, 5, 1, 2], 2) == {3: 0.8 * 1.75}
    assert penalties([1, 2, 3, 1, 2], 2, dry_multiplier=2, dry_base=3) == {3: 2}
    assert penalties([1, 2, 3, 1, 2, 4, 1, 2], 2) == {3: 0.8, 4: 0.8}
    assert penalties([1] * 500, 2) == {1: STRONGEST}
    assert penalties([1, 2, 3, 1, 2], 2, dry_multiplier=0) == {}
    assert penalties([1, 2, 3, 1, 2], 2, dry_penalty_last_n=0) == {}
    assert penalties([1, 2, 3, 1, 2], 2, dry_penalty_last_n=2) == {}
    assert penalties([1, 2, 3, 1, 2], 2, dry_penalty_last_n=3) == {3: 0.8}
    assert penalties([], 2) == penalties([1], 2) == {}


def test_words_hardly_stand_twice_running():
    """1 and 2 begin words: "the the", "end of the end of", and " v" "env" " v" "env"."""
    begin_words = np.isin(np.arange(10), [1, 2])
    second = pytest.approx(0.8 * 1.75**SECOND)
    for ids, again in (([1], 1), ([5, 1], 1), ([1, 4, 1], 4), ([3, 1, 2, 1], 2), ([1, 4, 2, 1, 4], 2)):
        found = penalties(ids, 9, begin_words=begin_words)
        assert found[again] == second and not penalties(ids, 9)
    assert penalties([3], 9, begin_words=begin_words) == penalties([], 9, begin_words=begin_words) == {}
    assert penalties([4, 1, 4], 9, begin_words=begin_words) == {}  # "is this", within a word
    assert penalties([1, 4, 5, 6, 1, 4, 5], 9, begin_words=begin_words) == {}  # DRY's part
    assert penalties([1, 4, 1], 9, begin_words=begin_words, dry_penalty_last_n=1) == {1: second}
    assert penalties([1], 9, begin_words=begin_words, dry_multiplier=0) == {}


def test_numbers_count_as_one_token():
    """6 and 7 are numbers: 1 6 1 7 1 is a repetition, and any number would go on with it."""
    numbers = np.array([6, 7, 8])
    assert penalties([1, 6, 1, 7, 1], 2) == {}
    assert penalties([1, 6, 1, 7, 1], 3, numbers) == dict.fromkeys((6, 7, 8), pytest.approx(0.8))


@pytest.mark.parametrize("seed", range(30))
def test_it_is_llama_cpp_s_rule(seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, rng.integers(1, 4), size=rng.integers(0, 60)).tolist()
    allowed, last_n = int(rng.integers(1, 5)), int(rng.integers(-1, 30))
    wanted = by_definition(ids, allowed, last_n, 0.8, 1.75) if last_n else {}
    assert penalties(ids, allowed, dry_penalty_last_n=last_n) == wanted


def test_what_is_short_and_no_rule_of_signs_stands_twice():
    """1 to 3 have letters, 6 and 7 are numbers, 8 and 9 signs."""
    letters = np.array([False, True, True, True] + [False] * 6)

    def short(ids, **settings):
        repetition = Repetition(Sampler(**settings), 6, np.array([6, 7]), ids, letters)
        return {i: -p for i, p in enumerate(penalised(repetition, np.zeros(10, np.float32)).tolist()) if p}

    assert short([1]) == short([8] * 6) == short([9, 8] * 3) == short([4, 2, 9, 2]) == {}
    assert short([6] * 6) == short([6, 7] * 3) == {}  # one long number
    assert short([6, 9, 7, 9, 6, 9]) == {}  # "1.2.1."
    assert short([1, 1]) == {1: pytest.approx(0.8 * 1.75**2)}
    assert short([4, 2, 9, 2, 9]) == {2: pytest.approx(0.8 * 1.75**2)}
    assert short([6, 9] * 2) == {6: pytest.approx(0.8 * 1.75**2)}  # another number may follow
    assert short([1, 6] * 2) == {1: pytest.approx(0.8 * 1.75**2)}
    assert short([2, 9] * 3)[2] == pytest.approx(0.8 * 1.75**5)
    assert short([1, 9, 8] * 4)[1] == pytest.approx(0.8 * 1.75**8)
    assert short([1] * 3, dry_multiplier=0) == short([1] * 3, dry_penalty_last_n=0) == {}
    assert short([1] * 20)[1] <= STRONGEST
