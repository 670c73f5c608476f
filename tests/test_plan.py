"""What the planner chooses for a text and a budget. Relations: the figures are for benchmarks to move."""

import itertools
import math
from dataclasses import replace

import pytest

from datasette_nanogpt.data.prepare import choose_vocab_size
from datasette_nanogpt.training import measure
from datasette_nanogpt.training.budget import DEFAULT_FLOPS, GPU_WINDOWS, Budget, machine_speed
from datasette_nanogpt.training.choose_members import (
    DELAY,
    FEWEST_MEMBERS,
    MAX_MODELS,
    MOST_GENERATIONS,
    MOST_MEMBERS,
    PAIR_EPOCHS,
    STUDENT_EPOCHS,
    leave_out,
    lengthen_last,
    one_more,
    shared_by_pair,
    without,
)
from datasette_nanogpt.training.flops import (
    flops_per_token,
    work_of_teaching,
    work_per_step,
)
from datasette_nanogpt.training.joined_size import joined_config
from datasette_nanogpt.training.memory import Workload, estimate_memory, process_bytes
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.plan import LONG_TEXT, choose_plan
from datasette_nanogpt.training.population import (
    DECAY_PER_EPOCH,
    LAST_EPOCHS,
    MAX_EPOCHS,
    Member,
    at_once,
    chain,
    last_student,
    population,
)
from datasette_nanogpt.training.rates import choose_rates
from datasette_nanogpt.training.reading import Reading
from datasette_nanogpt.training.recipe import plan_stages
from datasette_nanogpt.training.sizes import SIZES, make_config
from llm_nanogpt.errors import NanogptError

TINY, BLOG, LARGE = 10_000, 900_000, 300_000_000  # tokens
TEXTS = [TINY, BLOG, LARGE]
OF_BLOG = Reading(BLOG, 1024)
NAMES = list(SIZES)


def size_of(plan):
    """Its place among the sizes, by the shape."""
    return list(SIZES.values()).index((plan.config.n_layer, plan.config.n_embd))


def plan(tokens, minutes=10.0, vocab_size=1024, given=(), **machine):
    return choose_plan(dict(given), tokens, vocab_size, Budget(minutes, **machine))


@pytest.mark.parametrize("tokens", TEXTS)
def test_more_time_more_steps_or_a_faster_machine_never_mean_a_smaller_model(tokens):
    by_minutes = [size_of(plan(tokens, minutes)) for minutes in (0.1, 0.5, 1, 3, 10, 60, 600, 6000, 60_000)]
    by_speed = [size_of(plan(tokens, flops=10.0**power)) for power in range(9, 16)]
    by_steps = [size_of(plan(tokens, None, steps=10**power)) for power in range(1, 8)]
    for sizes in (by_minutes, by_speed, by_steps):
        assert sizes == sorted(sizes)
    if tokens >= BLOG:
        assert by_minutes[-1] > by_minutes[0] and by_speed[-1] > by_speed[0] and by_steps[-1] > by_steps[0]


def test_a_minute_of_much_text_gets_a_small_model_and_ten_of_a_little_a_big_one():
    assert size_of(plan(LARGE, 1.0)) <= NAMES.index("s")
    assert size_of(plan(TINY, 10.0)) >= size_of(plan(BLOG, 10.0)) > 0
    hurried = plan(LARGE, 0.05)  # no time for any size: the smallest
    assert size_of(hurried) == 0 and hurried.why.endswith("can read the text less than 0.1 times.")


def test_steps_and_minutes_together_end_at_the_sooner():
    by_steps, by_minutes = plan(BLOG, None, steps=100), plan(BLOG, 1.0)
    for steps, minutes, sooner in ((100, 1.0, by_steps), (10**8, 1.0, by_minutes)):
        both = plan(BLOG, minutes, steps=steps)
        assert (size_of(both), both.tokens_seen) == (size_of(sooner), sooner.tokens_seen)


def test_a_text_is_cut_into_windows_that_it_has_many_of():
    contexts = [plan(tokens).config.block_size for tokens in TEXTS]
    assert contexts == sorted(contexts) and contexts[0] < contexts[-1]
    assert all(block * 50 < tokens for block, tokens in zip(contexts, TEXTS, strict=True))
    for tokens in (100, *TEXTS):  # a short text gets more steps, but never a window longer than a step
        chosen = plan(tokens)
        assert chosen.batch_size * chosen.config.block_size == (1024 if tokens > TINY else 512)


def test_what_is_read_often_is_held_back_more():
    once, twice = (choose_rates(n, BLOG, 1024, DECAY_PER_EPOCH) for n in (1.0, 2.0))
    assert once[0] > twice[0] and once[1] == 0 < twice[1]
    # In a whole reading the weights shrink alike, whatever the text and the steps.
    for tokens, step_tokens in ((TINY, 1024), (LARGE, 1024), (BLOG, 64)):
        rate, decay = choose_rates(2.0, tokens, step_tokens, DECAY_PER_EPOCH)
        assert rate * decay * tokens / step_tokens == pytest.approx(twice[0] * twice[1] * BLOG / 1024)
    assert choose_rates(2.0, BLOG, 1024, DECAY_PER_EPOCH / 2)[1] == pytest.approx(twice[1] / 2)
    assert plan(TINY).weight_decay > plan(LARGE).weight_decay
    assert plan(BLOG, 60).epochs == pytest.approx(plan(BLOG, 60).tokens_seen / BLOG)


def models_of(p):
    return [*p.teachers, p]


def test_a_model_ends_after_its_epochs_whatever_the_minutes():
    for given in ({}, {"block_size": 32, "batch_size": 2}, {"batch_size": 7}):
        tiny = plan(TINY, given=given)
        assert tiny.tokens_seen == pytest.approx(tiny.epochs * TINY) and tiny.epochs <= LAST_EPOCHS[1]
        step = tiny.batch_size * tiny.config.block_size
        steps = tiny.max_iters - tiny.teachers[-1].max_iters
        assert 0 <= steps * step - tiny.tokens_seen < step
    # Not where there is no time for so much, where the steps are given, nor in nanoGPT's recipe.
    for other in (plan(LARGE), plan(TINY, 10.0, steps=10**6), plan(TINY, given={"arch": "gpt2"})):
        assert other.max_iters is None and not other.teachers and "enough" not in other.why


@pytest.mark.parametrize("size", NAMES)
def test_left_time_goes_into_teachers_where_the_model_still_has_time_to_learn(size):
    plans = [plan(BLOG, 2**power, given={"size": size}) for power in range(-4, 14)]
    alone = [p for p in plans if not p.teachers]
    assert all(p.epochs <= MAX_EPOCHS for p in alone) and plans[: len(alone)] == alone
    counts = [len(p.teachers) for p in plans]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == MOST_MEMBERS * MOST_GENERATIONS
    for p in plans[len(alone) :]:
        assert p.epochs >= STUDENT_EPOCHS and "enough" in p.why
        assert p.weight_decay < alone[-1].weight_decay or alone[-1].epochs <= 1
        models = models_of(p)
        flops = [flops_per_token(each.config) for each in models]
        assert flops == sorted(flops) and all(t.epochs >= MAX_EPOCHS for t in p.teachers)
        assert len({each.batch_size for each in models}) == 1
        for name in ("share", "minutes"):
            values = [getattr(each, name) for each in models]
            assert values == sorted(values) and values[0] > 0
        assert models[0].share < 1 == p.share
        steps = [t.max_iters for t in p.teachers]
        assert [*steps, p.max_iters] == sorted({*steps, p.max_iters})


@pytest.mark.parametrize("tokens", TEXTS)
def test_more_time_never_buys_less(tokens):
    """The work that a plan is for: of all its models, up to what the time is enough for."""
    spent = []
    for power in range(26):
        budget = 0.05 * 2**power
        p = plan(tokens, budget)
        members = [each.member for each in models_of(p)]
        step = p.batch_size * p.config.block_size
        work = sum(Reading(tokens, step).works(members))
        assert work <= 1.001 * budget * 60 * DEFAULT_FLOPS
        spent.append(work)
    assert all(later >= 0.99 * earlier for earlier, later in zip(spent, spent[1:], strict=False))


@pytest.mark.parametrize("machine", [{"flops": 200e9}, {"flops": 400e12, "largest_step": 65_536}])
@pytest.mark.parametrize("tokens", [4_500, 40_000, 320_000, 950_000])  # of some 10 and 100 kB, 1 and 3 MB
def test_from_ten_seconds_to_a_night_each_plan_buys_what_the_shorter_one_does(tokens, machine):
    before, seconds = 0.0, 10.0
    while seconds <= 8 * 3600:
        p = plan(tokens, seconds / 60, choose_vocab_size(3 * tokens), **machine)
        step = p.batch_size * p.config.block_size
        work = sum(Reading(tokens, step).works([each.member for each in models_of(p)]))
        assert 0.99 * before <= work <= 1.001 * seconds * machine["flops"]
        before, seconds = max(before, work), 1.4 * seconds


@pytest.mark.parametrize("tokens", [6_000, 25_000, 450_000, 1_700_000])
@pytest.mark.parametrize("megabytes", [200, 260, 310, 530, 960])  # the least for size xs with 8,192 tokens
def test_no_model_of_a_plan_takes_more_memory_than_there_is(tokens, megabytes):
    """Students take more than models that learn from the text alone, and wide ones drop out activations."""
    memory = process_bytes() + megabytes * 1e6
    for vocab_size, minutes in itertools.product((512, 4096, 8192), (1, 10, 100)):
        p = plan(tokens, minutes, vocab_size, flops=400e9, memory=memory)
        models = models_of(p)
        for each in models:
            teachers = tuple(models[teacher].config for teacher in each.member.teachers)
            work = Workload(each.config, each.batch_size, "cpu", each.member.dropout, teachers)
            assert estimate_memory(work) <= memory


def test_a_short_text_is_read_more_often_the_smaller_the_model_is():
    kilobytes = 4_700  # tokens of 10 kB: m makes 38 steps in four epochs
    for tokens, wanted in ((kilobytes, {"xs": 147, "s": 75, "m": 37}), (500, {"xs": 16, "m": 16})):
        for size, steps in wanted.items():
            member = Member(make_config(size, 512, {"block_size": 64}), MAX_EPOCHS)
            assert Reading(tokens, 512).steps(member) == pytest.approx(steps, abs=1)
            # The weights decay as much in all, however often it is read.
            rate, decay = choose_rates(
                MAX_EPOCHS, Reading(tokens, 512).epoch_tokens(member.config), 512, DECAY_PER_EPOCH
            )
            assert rate * decay * steps == pytest.approx(MAX_EPOCHS * DECAY_PER_EPOCH, rel=0.05)
    plans = (plan(kilobytes, 1, given={"size": "xs"}, flops=1e7 * 1.3**power) for power in range(60))
    ended = next(p for p in plans if p.max_iters)
    assert "ends after 16 times" in ended.why and ended.epochs == pytest.approx(16, abs=0.5)
    assert ended.tokens_seen == pytest.approx(ended.epochs * kilobytes)


def test_an_hour_is_for_a_population_and_ten_minutes_for_a_chain():
    ten, hour = plan(650_000, 10, 4096, flops=400e9), plan(650_000, 60, 4096, flops=400e9)
    assert size_of(ten) == NAMES.index("m") and "each to teach the next" in ten.why or len(ten.teachers) == 1
    assert len(hour.teachers) >= FEWEST_MEMBERS and hour.why.endswith("joined into one if that is better.")
    assert size_of(hour) >= size_of(ten)
    alone = plan(650_000, 60, 4096, flops=400e9, given={"size": "m"})
    assert "each to teach those that follow." in alone.why and not alone.joined
    gpu = plan(650_000, 10, 4096, **GPU)
    assert len(gpu.teachers) == MOST_MEMBERS * MOST_GENERATIONS and gpu.epochs == LAST_EPOCHS[1]
    assert NAMES[size_of(gpu)] == "l" and all(each.member.dropout for each in models_of(gpu))
    assert NAMES[size_of(plan(2_000_000, 480, 4096, flops=100e12))] == "xl"


@pytest.mark.parametrize("minutes", [25, 30, 45, 60, 120])
def test_a_population_whose_last_models_are_joined_ends_with_two_of_the_same_teachers(minutes):
    p = plan(140_000, minutes, flops=400e9)
    *_, first, second = models_of(p)
    same = replace(second.member, number=0) == first.member and first.epochs == second.epochs
    assert same == (NAMES[size_of(p)] == "l") == (minutes > 25)
    if same:
        assert p.joined == 2 and first.member.teachers and not models_of(p)[0].member.teachers


def test_each_generation_learns_from_all_of_the_one_before():
    config = plan(BLOG).config
    members = population(config, 3, 2)
    assert [(m.generation, m.number) for m in members] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (1, 2),
        (2, 0),
    ]
    assert [m.teachers for m in members] == [()] * 3 + [(0, 1, 2)] * 3 + [(3, 4, 5)]
    # What the teachers predict is computed once for all of their students.
    costs = OF_BLOG.works(members)
    assert costs[0] == costs[1] and costs[3] > costs[4] == costs[5]


def test_members_are_left_out_so_that_the_last_one_gets_its_epochs():
    config = plan(BLOG).config
    members = population(config, 4, 2)
    costs = OF_BLOG.works(members)
    rest = sum(costs[2:])
    assert leave_out(members, 1, OF_BLOG, rest) == set()
    out = leave_out(members, 1, OF_BLOG, rest - 3.5 * costs[5])
    assert out and 8 not in out and 0 not in out and 1 not in out
    kept = without(members, out)
    assert kept[-1].config == config and all(max(m.teachers, default=0) < i + 1 for i, m in enumerate(kept))
    # With nothing left at all the last one learns from those that are trained.
    out = leave_out(members, 1, OF_BLOG, 0.0)
    assert out == set(range(2, 8)) and without(members, out)[-1].teachers == (0, 1)


def test_between_too_little_time_for_a_teacher_and_enough_the_run_ends_after_four_readings():
    lone = [p for m in range(1, 200, 2) if not (p := plan(BLOG, m / 4, given={"size": "xs"})).teachers]
    ended = [p for p in lone if p.max_iters]
    assert ended and all("memorize" in p.why and p.epochs == MAX_EPOCHS for p in ended)


def test_each_process_gets_the_same_number_of_windows():
    assert [plan(BLOG, processes=n).batch_size for n in (1, 2, 3)] == [1, 2, 3]
    assert plan(TINY, processes=3).batch_size % 3 == 0
    one, two = (plan(TINY, 600.0, given={"batch_size": 1}, processes=n) for n in (1, 2))
    assert two.max_iters == pytest.approx(one.max_iters / 2, abs=MOST_MEMBERS * MOST_GENERATIONS + 1)


def test_what_is_given_by_hand_wins():
    hand = {"n_layer": 5, "n_head": 3, "n_embd": 48, "block_size": 96}
    config = plan(BLOG, given=hand).config
    assert {key: getattr(config, key) for key in hand} == hand
    assert (
        plan(BLOG, given={"n_head": 5}).config.n_embd == 5 * plan(BLOG, given={"n_head": 5}).config.head_dim
    )
    assert plan(BLOG, given={"n_embd": 320}).config.n_head == 5
    with pytest.raises(NanogptError, match="must be an even number"):
        plan(BLOG, given={"n_embd": 33})


def test_with_a_window_and_a_batch_by_hand_the_readings_are_those_of_the_run():
    given = {"block_size": 512, "batch_size": 16}
    assert plan(BLOG, None, given=given, steps=50).tokens_seen == 512 * 16 * 50
    assert plan(BLOG, None, given={"block_size": 4096}, steps=50).tokens_seen == 4096 * 50


@pytest.mark.parametrize("size", NAMES)
def test_a_size_is_a_number_of_layers_and_a_width_and_nothing_else(size):
    asked, chosen = plan(BLOG, given={"size": size}), plan(BLOG)
    assert (asked.config.n_layer, asked.config.n_embd) == SIZES[size]
    for same in ("block_size", "vocab_size", "arch", "tied", "rope_theta", "norm_eps"):
        assert getattr(asked.config, same) == getattr(chosen.config, same)
    assert asked.batch_size == chosen.batch_size
    assert plan(BLOG, given={"size": size, "n_layer": 7}).config.n_layer == 7


def test_each_size_takes_more_work_a_token_than_the_one_before():
    works = [flops_per_token(plan(BLOG, given={"size": size}).config) for size in NAMES]
    assert works == sorted(set(works))


def test_the_reason_names_the_budget_and_the_readings_of_this_size_and_of_the_next():
    chosen = plan(BLOG, 7.5, flops=20e9)
    small, next_one = (NAMES[size_of(chosen) + i] for i in (0, 1))
    bigger = plan(BLOG, 7.5, flops=20e9, given={"size": next_one})
    assert chosen.why == (
        f"In 7.5 minutes, at the 20 GFLOP/s of this machine, size {small} can read the text "
        f"{chosen.epochs:.1f} times; the next size, {next_one}, could read it {bigger.epochs:.1f} times."
    )
    busy = plan(BLOG, 7.5, flops=0.4e9)
    assert busy.why.startswith("In 7.5 minutes, at the 0.4 GFLOP/s of this machine, ")  # it said 0
    by_steps = plan(BLOG, None, steps=20_000)
    assert by_steps.why.startswith("In 20,000 steps size ") and f"{by_steps.epochs:.1f} times" in by_steps.why
    assert plan(BLOG, given={"size": "m"}).why == "Size m, as asked."
    assert plan(BLOG, 1.0, given={"n_layer": 9, "n_embd": 512}).why == ""
    both = plan(BLOG, 1.0, steps=20_000)
    assert both.why.startswith("In 20,000 steps or 1 minute, whichever ends first, size ")


def test_a_reason_is_of_the_model_that_was_asked_for_in_part():
    """Heads or width given by hand make another model than the size's name says."""
    for given in ({"n_head": 8}, {"n_embd": 512}, {"n_layer": 9}):
        chosen = plan(BLOG, 1.0, flops=40e9, given=given)
        assert f" a model of {chosen.config.parameters / 1e6:.1f}M parameters can read the text" in chosen.why
        assert "size" not in chosen.why


def test_a_reason_is_whole_sentences():
    plans = [plan(tokens, 10.0**p) for tokens in TEXTS for p in range(-2, 5)]
    for why in {p.why for p in plans}:
        assert why[0].isupper() and why.endswith(".") and " 1.0 times" not in why
        assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in why.split(". "))


def test_a_bigger_size_that_has_as_much_time_is_not_said_to_have_less():
    assert "next size" not in plan(LARGE, 1000.0, steps=5).why


def test_a_vocabulary_grows_with_the_text():
    sizes = [choose_vocab_size(10**power) for power in range(3, 10)]
    assert sizes == sorted(sizes) and sizes[0] >= 257 and sizes[-1] > sizes[0]


def test_no_size_is_chosen_beyond_the_parameters_that_are_allowed():
    free, limited = (plan(BLOG, given=given, flops=5e11) for given in ({}, {"max_parameters": 1_000_000}))
    assert size_of(free) == NAMES.index("m") and size_of(limited) == NAMES.index("s")
    assert all(teacher.config.parameters <= 1_000_000 for teacher in limited.teachers)
    for given in ({"size": "m"}, {"n_layer": 50}, {"size": "xs", "vocab_size": 10**6}):
        with pytest.raises(NanogptError, match="at most 1,000,000 parameters"):
            plan(BLOG, given=given | {"max_parameters": 1_000_000}, vocab_size=given.get("vocab_size", 1024))


def test_a_servers_limit_does_not_keep_models_from_being_joined():
    free = plan(BLOG, 60, flops=5e11)
    limited, less = (
        plan(BLOG, 60, given={"max_parameters": n}, flops=5e11) for n in (50_000_000, 15_000_000)
    )
    assert free.joined == 4 and limited == free
    assert less.joined == 2 and joined_config(less.config, 3).parameters > 15_000_000


def test_a_machine_that_is_slower_than_planned_trains_the_last_model_all_the_same():
    given = plan(BLOG, flops=5e11)
    small, big = given.teachers[0].config, given.config
    members = chain([small, small, big, big])
    last = OF_BLOG.works(members)[-1] / DELAY
    outs = [leave_out(members, 0, OF_BLOG, last * t) for t in (2.5, 1.7, 1, 0.1)]
    assert outs == [set(), {1}, {1, 2}, {1, 2}]
    assert leave_out(members, 2, OF_BLOG, 1.0) == set()  # the last one anyway


def test_the_last_student_gets_the_time_that_is_left():
    """After models were left out, or where steps are faster than planned; none is taken from it."""
    config = plan(BLOG, flops=5e11).config
    members = chain([config, config, config])
    rest = sum(OF_BLOG.works(members)[1:])
    epoch = BLOG / 1024 * work_per_step(config, 1024)
    epochs = [
        lengthen_last(members, 0, OF_BLOG, rest + n * epoch)[-1].epochs for n in (-1.0, 0.0, 2.5, 100.0)
    ]
    assert epochs == pytest.approx([6.0, 6.0, 8.5, 12.0])
    longer = lengthen_last(members, 0, OF_BLOG, rest + 100 * epoch)
    assert longer == [*members[:-1], last_student(config, 2, (0, 1), 12.0)]
    # One that smaller models teach would only memorize the text.
    of_small = chain([plan(BLOG, flops=5e11).teachers[0].config, config])
    assert lengthen_last(of_small, 0, OF_BLOG, 100 * rest) == of_small


def test_a_machine_that_is_faster_than_planned_trains_one_more():
    big = plan(BLOG, flops=5e11).config
    epoch = BLOG / 1024 * work_per_step(big, 1024)
    for members, teachers in (([Member(big, 4.0)], (0,)), (population(big, 3, 1), (0, 1, 2, 3))):
        least = STUDENT_EPOCHS * epoch + work_of_teaching([big] * len(teachers), BLOG)
        assert one_more(members, OF_BLOG, 0.99 * least) is None
        more = one_more(members, OF_BLOG, 1.01 * least)
        assert more.teachers == teachers and more.generation == members[-1].generation + 1
        assert more.epochs == pytest.approx(STUDENT_EPOCHS, rel=0.1)
    assert one_more([Member(big, 4.0)] * MAX_MODELS, OF_BLOG, 1e30) is None


def test_models_that_will_be_joined_come_in_generations_that_learn_from_the_one_before():
    given = plan(BLOG, flops=5e11)
    small, big = given.teachers[0].config, given.config
    members = chain([small] + [big] * 7, joined=True)
    places = [(m.generation, m.number, m.teachers, m.epochs) for m in members]
    first = (1, 2, 3)
    assert places[0] == (0, 0, (), 4)
    assert places[1:4] == [(1, n, (0,), 4) for n in range(3)]
    assert places[4:7] == [(2, n, first, 6) for n in range(3)]
    assert places[7] == (3, 0, (4, 5, 6), 6)
    assert (
        len(at_once([(m.generation, m.teachers) for m in members], 1, 3)) == 3
    )  # of several processes each trains one
    # A run with time left goes on in the same way; models of a size alone begin with a generation as well.
    more = [one_more(members[:n], OF_BLOG, 1e30, joined=True) for n in (2, 4)]
    assert [(m.generation, m.number, m.teachers, m.epochs) for m in more] == [
        (1, 1, (0,), 4),
        (2, 0, (1, 2, 3), 12),
    ]
    assert [m.teachers for m in chain([big] * 4, joined=True)] == [(), (), (), (0, 1, 2)]
    # Where time is short, no generation that others learn from is cut before the last one is.
    needed = OF_BLOG.works(members)
    assert leave_out(chain([small] + [big] * 8, joined=True), 3, OF_BLOG, sum(needed[4:]) / DELAY) == {7}
    # Of those that are joined a generation is kept whole rather than one student of what is left of it.
    several = chain([small, *[big] * 6], joined=True)
    needed = OF_BLOG.works(several)
    left_out = [
        leave_out(several, 0, OF_BLOG, sum(needed[1:n]) / DELAY, joined=True) for n in range(7, 1, -1)
    ]
    assert left_out == [set(), {5}, {4, 5}, {4, 5, 6}, {2, 4, 5, 6}, {1, 2, 4, 5, 6}]
    # What teachers predict is there for the second of a generation.
    least = STUDENT_EPOCHS * BLOG / 1024 * work_per_step(big, 1024)
    assert one_more(members[:5], OF_BLOG, 1.01 * least, joined=True)
    assert one_more(members[:4], OF_BLOG, 1.01 * least, joined=True) is None


def test_two_of_the_last_size_share_the_time_in_which_one_would_read_more_often():
    def shape(p):
        models = [each.member for each in models_of(p)]
        return "".join("s" if m.config.n_embd == 128 else "m" for m in models), [m.epochs for m in models]

    plans = [shape(plan(200_000, 0.2 * 1.1**power)) for power in range(50)]
    found = [name for name, _ in itertools.groupby(name for name, _ in plans)]
    assert found[found.index("m") : found.index("smmm")] in (["m", "sm", "smm"], ["m", "sm", "ssm", "smm"])
    pairs = [epochs[1:] for name, epochs in plans if name == "smm"]
    assert all(first == second and PAIR_EPOCHS <= first <= MAX_EPOCHS for first, second in pairs[:-1])
    assert plan(200_000, 14.0).joined == 2 and not plan(200_000, 2.0).joined
    assert "mm" not in shape(plan(200_000, 10.0, given={"size": "m"}))[0][-3:]  # of which none is joined


def test_a_pair_shares_what_time_there_is_once_its_teacher_is_trained():
    given = plan(BLOG, flops=5e11)
    small, big = given.teachers[0].config, given.config
    members = chain([small, big, big], joined=True)
    epoch = BLOG / 1024 * work_per_step(big, 1024)
    teaching = sum(OF_BLOG.works(members)[1:]) - 2 * MAX_EPOCHS * epoch
    for epochs, each in ((6.4, 3.2), (20.0, MAX_EPOCHS)):
        shared = shared_by_pair(members, 0, OF_BLOG, teaching + epochs * epoch)
        assert [m.epochs for m in shared] == pytest.approx([MAX_EPOCHS, each, each])
    assert shared_by_pair(members, 0, OF_BLOG, teaching + 5.9 * epoch) == []  # enough for one of them
    assert shared_by_pair(members, 1, OF_BLOG, 1e30) == []  # one is trained
    assert shared_by_pair(chain([small, big, big, big], joined=True), 0, OF_BLOG, 1e30) == []


def test_a_short_text_gets_a_short_warmup():
    warmups = [plan(tokens).warmup_steps for tokens in (300, 3_000, 8_000, BLOG)]
    assert warmups[0] == warmups[-1] == 20 and 0 < warmups[1] < warmups[2] < 20
    assert plan(BLOG, None, steps=50).warmup_steps == 5


def test_a_text_that_is_not_read_twice_gets_steps_as_big_as_a_gpu_wants():
    for minutes in (1, 10, 60):
        gpu = plan(LARGE, minutes, flops=50e12, largest_step=65_536)
        steps = gpu.tokens_seen / (gpu.batch_size * gpu.config.block_size)
        assert steps >= 2000 and (gpu.batch_size == 64 or steps < 4000)
    assert plan(LARGE, 10, flops=50e12).batch_size == 1
    assert plan(BLOG, 10, flops=50e12, largest_step=65_536).batch_size == 1
    limited = plan(LARGE, 60, flops=50e12, largest_step=65_536, memory=3e9)
    assert 1 < limited.batch_size < plan(LARGE, 60, flops=50e12, largest_step=65_536).batch_size
    assert plan(LARGE, 60, flops=50e12, largest_step=65_536, given={"batch_size": 3}).batch_size == 3


GPU = {"flops": 27e12, "flops_of_many": 235e12, "largest_step": 65_536, "memory": 139e9, "device": "cuda"}


@pytest.mark.parametrize("minutes", [0.2, 1, 3, 10, 60, 480])
@pytest.mark.parametrize("tokens", [10_000_000, 100_000_000, LARGE])
def test_a_long_text_fills_a_gpu_however_often_it_is_read(tokens, minutes):
    """Steps of 1,024 tokens take it 2 ms each, whatever they compute, and those of 16 times as many 4 ms."""
    p = plan(tokens, minutes, 8192, **GPU)
    step = p.batch_size * p.config.block_size
    steps = min(p.tokens_seen, MAX_EPOCHS * tokens) / step
    assert step == 65_536 or (step >= 8192 and 2000 <= steps < 4300)
    # No model is planned with steps that take less than launching them does, 1.7 ms.
    models = [each.member for each in models_of(p)]
    assert sum(m.epochs * tokens / step for m in models) * 1.7e-3 < 60 * minutes


# A GPU of 400 TFLOP/s that takes 1.7 ms to launch a step of m: made up, no such GPU was measured.
PEAK, LAUNCHING = 400e12, 1.7e-3


def true_step_seconds(config, step_tokens):
    return LAUNCHING * config.n_layer / SIZES["m"][0] + work_per_step(config, step_tokens) / PEAK


def launch_bound(vocab_size=4096, processes=1):
    """The budget of that GPU, as two measurements tell it."""
    config = make_config("m", vocab_size, {"block_size": 1024})
    one, many = (
        processes * work_per_step(config, tokens) / true_step_seconds(config, tokens)
        for tokens in (1024, GPU_WINDOWS * 1024)
    )
    return {**GPU, "flops": one, "flops_of_many": many, "processes": processes}


def true_seconds(p, tokens):
    """How long that GPU takes for all models of a plan, and for what their teachers predict."""
    step = p.batch_size * p.config.block_size
    members = [each.member for each in models_of(p)]
    teaching = sum(
        work_of_teaching([members[at].config for at in teachers], tokens, LAUNCHING / SIZES["m"][0] * PEAK)
        for teachers in {m.teachers for m in members if m.teachers}
    )
    return teaching / PEAK + sum(
        m.epochs * Reading(tokens, step).epoch_tokens(m.config) / step * true_step_seconds(m.config, step)
        for m in members
    )


@pytest.mark.parametrize("processes", [1, 4])
def test_two_measured_speeds_tell_launching_and_arithmetic_apart(processes):
    peak, launch = machine_speed(Budget(1, **launch_bound(processes=processes)), 4096)
    for size in SIZES:
        config = make_config(size, 4096, {"block_size": 1024})
        for each in (1024, 16_384):  # tokens of a process; all of them together are planned
            planned = work_per_step(config, processes * each, launch) / peak
            assert planned == pytest.approx(
                true_step_seconds(config, each), rel=0.01 if processes == 1 else 0.3
            )
    # A CPU launches nothing, and figures that contradict each other make no speed without bounds.
    assert machine_speed(Budget(1, flops=2e11), 4096) == (2e11, 0.0)
    for one, many in ((3e13, 3e13), (3e13, 1e15), (3e13, 2e13)):
        peak, launch = machine_speed(Budget(1, flops=one, flops_of_many=many), 4096)
        assert min(one, many) / 2 <= peak <= 10 * many and 0 <= launch < math.inf


def test_what_costs_a_gpu_nothing_is_bought():
    """Steps of l take it 1.5 times as long as those of m, not three times as their FLOPs say."""
    gpu = launch_bound()
    for minutes in (0.6, 1, 3):
        p = plan(650_000, minutes, 4096, **gpu)
        assert NAMES[size_of(p)] == "l"
        by_flops = plan(650_000, minutes, 4096, **{**gpu, "flops_of_many": None})
        assert sum(m.epochs * m.config.parameters for m in models_of(p)) > 1.3 * sum(
            m.epochs * m.config.parameters for m in models_of(by_flops)
        )
    assert NAMES[size_of(plan(1_700_000, 3, 4096, **gpu))] == "xl"
    # The steps of a text that is not read twice are launched for as many windows as memory allows.
    assert plan(100_000_000, 3, 4096, **gpu).batch_size == 64
    # A first model of a smaller size that is hardly faster would only be a worse teacher.
    first = plan(650_000, 0.5, 4096, given={"size": "m"}, **gpu)
    assert first.teachers and first.teachers[0].config == first.config


@pytest.mark.parametrize("tokens", [20_000, 650_000, 1_700_000, 10_000_000, 100_000_000])
def test_a_gpu_that_launches_slowly_is_given_what_it_has_time_for(tokens):
    gpu, before = launch_bound(), 0
    for minutes in (0.2, 0.5, 1, 3, 10, 60, 480):
        p = plan(tokens, minutes, 4096, **gpu)
        seconds = true_seconds(p, tokens)
        assert seconds <= 1.01 * 60 * minutes
        # Two thirds of the time have a plan of their own, unless it is that of all there is to do.
        whole = len(p.teachers) == MOST_MEMBERS * MOST_GENERATIONS and p.epochs >= 8
        assert whole or p.why.endswith("memorize the text.") or seconds >= 0.6 * 60 * minutes
        assert size_of(p) >= before
        before = size_of(p)


@pytest.mark.parametrize("tokens", [BLOG, 10_000_000])
def test_a_gpu_is_measured_with_steps_of_one_window_and_of_many(monkeypatch, tokens):
    measured = []

    def training_flops(device, vocab_size, seconds, windows=1):
        measured.append(windows)
        return GPU["flops" if windows == 1 else "flops_of_many"]

    monkeypatch.setattr(measure, "training_flops", training_flops)
    _, stages = plan_stages(TrainOptions("blog.db", ("entry",), minutes=10.0), tokens, 8192, "cuda")
    assert measured == [1, 16] and (stages[-1].settings.batch_size >= 8) == (tokens >= LONG_TEXT)


@pytest.mark.parametrize("tokens", [BLOG, 3_000_000, 10_000_000, LARGE])
def test_on_a_gpu_more_time_never_means_a_smaller_model_or_clearly_less_work(tokens):
    """Even where steps become longer or shorter in between."""
    sizes, work = [], []
    for power in range(33):
        p = plan(tokens, 0.1 * 1.3**power, 8192, **GPU)
        sizes.append(size_of(p))
        work.append(sum(m.member.epochs * m.config.parameters for m in models_of(p)))
    assert sizes == sorted(sizes)
    assert all(later >= 0.85 * earlier for earlier, later in itertools.pairwise(work))


def test_a_short_text_that_is_read_often_keeps_its_small_steps_on_a_gpu():
    for tokens, minutes in ((TINY, 1), (BLOG, 1), (BLOG, 60), (3_000_000, 60)):
        p = plan(tokens, minutes, **GPU)
        assert p.batch_size * p.config.block_size <= 1024


def test_several_models_are_told_in_one_sentence():
    p = plan(650_000, 10, 4096, **GPU)
    assert "are trained first, each from the text alone, then 2 times 4 that learn from the average" in p.why
    assert "then one that learns from the average of those before as well, for 12 epochs" in p.why
    p = plan(650_000, 10, 4096, flops=30e12)
    assert "can read the text 188 times. Reading the text 6 times is enough, so 4 models of" in p.why
    assert "then 2 that learn from the average of those before as well; the best 2 are joined" in p.why
    hour = plan(650_000, 60, 4096, flops=400e9)
    assert "M parameters is trained first, from the text alone, then 3 of " in hour.why
    assert "then 3 that learn from the average of those before as well; the best 4 are joined" in hour.why
    assert "M and " in plan(BLOG, 2**6, given={"size": "m"}).why
