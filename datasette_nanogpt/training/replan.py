"""The models that follow in a run, planned again at the end of each, as the speed of its steps is known."""

from __future__ import annotations

from collections.abc import Sequence

from ..events import Position
from . import choose_members
from .budget import SCORING_FRACTION, Budget, machine_speed
from .choose_members import leave_out, lengthen_last, one_more, shared_by_pair, without
from .flops import work_per_token
from .measure import flops_of_run
from .population import Member
from .reading import Reading
from .recipe import Stage, as_members, student_settings
from .trainer import Training

IMPROVED = 0.999  # a score below the best one times this is clearly better: two seeds differ by more


def next_stages(
    stages: Sequence[Stage],
    training: Training,
    position: Position,
    will_join: bool = False,
    was_joined: bool = False,
) -> tuple[list[Stage], str]:
    """The stages of the run, after `training`: some may be left out for lack of time, or one more added. Also
    a sentence about the change or about why no model follows, if any.

    The run is at `position`, where its next stage would begin. `will_join`: the last models will be joined.
    `was_joined`: they were already, in a run that was resumed.
    """
    config, settings = stages[-1]
    seconds = 60 * (settings.minutes or 0.0) - position.seconds
    if seconds <= 0:
        return list(stages), ""
    work, launch = _work_left(stages[-1], training, seconds)
    reading = Reading(len(training.tokens.train), settings.batch_size * config.block_size, launch)
    members = as_members(stages, reading.tokens)
    joined = will_join and not settings.device.startswith("cuda")  # as in the plan
    if position.stage == len(stages):
        more = one_more(members, reading, work, joined)
        better = was_joined or _another_may_help(training, members, more)
        if not more or not better:
            return list(stages), why_no_more(len(members), better)
        added = Stage(more.config, student_settings(settings, more, reading))
        added = _in_place(added, more, position.stage, position.step + reading.steps(more))
        return [*stages, added], "There is time for one more model."
    at, step = position.stage - 1, position.step
    if joined:
        members = shared_by_pair(members, at, reading, work) or members
    out = leave_out(members, at, reading, work, joined)
    kept = [stage for i, stage in enumerate(stages) if i not in out]
    for i, member in enumerate(lengthen_last(without(members, out), at, reading, work)):
        if i > at:
            step += reading.steps(member)
            config, s = kept[i]
            if member.weights != s.teacher_weights:  # other teachers than planned
                s = student_settings(s, member, reading)
            kept[i] = _in_place(Stage(config, s), member, i, step)
    # Whichever is the last one now has all the time that is left.
    kept[-1] = kept[-1].changed(minutes=settings.minutes)
    which = "model is" if len(out) == 1 else "models are"
    return kept, f"Steps take longer than planned, so {len(out)} {which} left out." if out else ""


def _another_may_help(training: Training, members: Sequence[Member], more: Member | None) -> bool:
    """Whether to train another model after the last of `members`: only if that one was better than those
    before it. But the first of its size had smaller teachers, so it says nothing of what its own students can
    do; and the members of a generation are better together, even if none is better than another."""
    improved = training.best < IMPROVED * training.best_before
    first_of_size = all(member.config != members[-1].config for member in members[:-1])
    return improved or first_of_size or (more is not None and more.generation == members[-1].generation)


def _work_left(last: Stage, training: Training, seconds: float) -> tuple[float, float]:
    """How much of flops.work_per_step there is time for beside scores, and its `launch`: by the speed of the
    model that was just trained, if that says how fast the `last` one will be, or else measured again."""
    (config, settings), trained = last, training.model.config
    group, speed, share = training.group, training.speed.tokens_per_second, 1 - SCORING_FRACTION
    # What steps of another size take says little on a GPU: launching them takes as long, however small.
    if speed and (settings.device == "cpu" or trained == config):
        work = work_per_token(trained, settings.batch_size * config.block_size)
        at_once = group.processes / group.size  # models, each as fast
        return share * seconds * (work * speed * at_once), 0.0
    flops, of_many = flops_of_run(settings.device, config.vocab_size, seconds, group.processes)
    budget = Budget(None, flops=flops, flops_of_many=of_many, processes=group.processes)
    flops, launch = machine_speed(budget, config.vocab_size)
    return share * seconds * flops, launch


def why_no_more(models: int, better: bool) -> str:
    """Why a run of `models` models, the last one `better` than those before it or not, trains no other one in
    the time that is left; "" if that is too short."""
    if not better:
        return "The last model is no better than those before it, so no other one follows."
    most = models >= choose_members.MAX_MODELS
    return f"No other model follows: a run trains at most {choose_members.MAX_MODELS}." if most else ""


def _in_place(stage: Stage, member: Member, number: int, max_iters: int) -> Stage:
    """A stage as number `number` of its run, which ends at that step."""
    place = {"generation": member.generation, "member": member.number, "teachers": member.teachers}
    return stage.changed(stage=number, max_iters=max_iters, **place)
