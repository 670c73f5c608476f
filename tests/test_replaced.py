"""A model that is trained again: the run says which of the two is better, and the old one can be restored."""

import json
import re
from dataclasses import asdict, replace

import pytest
import sqlite_utils
from conftest import TEXTS, random_tensors, tiny_config, write_model
from test_commands import nanogpt
from test_pipeline import TINY, database, options, run  # noqa: F401
from test_trainer import SETTINGS

from datasette_nanogpt.events import BestWeights, Evaluation, Finished, Prepared
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.manage import rename_model
from datasette_nanogpt.registry.resume import minutes_to_offer
from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.registry.statements import insert
from datasette_nanogpt.terminal import closing_lines, plan_lines
from datasette_nanogpt.training import model_folder
from datasette_nanogpt.training.model_folder import ModelFolder, staging_folder
from datasette_nanogpt.training.options import TrainOptions, command_of_run
from datasette_nanogpt.training.recipe import Stage
from datasette_nanogpt.training.replaced import kept_if_trained_again, what_is_kept
from datasette_nanogpt.training.run_before import score_of_run_before
from llm_nanogpt.change_steps import replaced
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError


def train(options, **changes):  # noqa: F811
    events = run(replace(options, **changes))
    return *(next(e for e in events if isinstance(e, kind)) for kind in (Prepared, Finished)), events


def score(folder):
    return read_checkpoint(folder).meta["score"]["val_bpb"]


def test_a_worse_model_is_told_and_the_better_one_comes_back(options, home):  # noqa: F811
    model = home / "nanogpt-blog"
    plan, end, _ = train(options, max_iters=60)
    assert plan.replaces_bpb is plan.kept_bytes is end.better_before is None
    best = end.val_bpb
    plan, end, _ = train(options, max_iters=2)
    assert plan.replaces_bpb == end.better_before == best < end.val_bpb
    lines = "\n".join(plan_lines(plan))
    assert f"that one has {best:.3f} bits per byte" in lines and "`llm nanogpt restore nanogpt-blog`" in lines
    told = f"better on the same held-out text, {best:.4f} bits per byte"
    assert told in "\n".join(closing_lines(end)) and told in find_runs(home)[0]["verdict"]  # for its page
    assert (score(model), score(replaced(model))) == (end.val_bpb, best)
    worse = end.val_bpb
    assert "is then deleted" in kept_if_trained_again(model)[0]  # for the form
    # Of the two that could be kept now, the better one stays.
    plan, end, _ = train(options, max_iters=3)
    assert end.better_before == best and score(replaced(model)) == best
    lines = "\n".join(plan_lines(plan))
    assert f"The present model ({worse:.3f} bits per byte, trained 20" in lines and "is then deleted" in lines
    assert f"best score on this run's held-out text ({best:.3f} bits" in lines and "another --name" in lines
    assert "That is kept" not in lines
    assert "The model that nanogpt-blog replaced has" in nanogpt("models").stderr
    told = nanogpt("restore", "nanogpt-blog").stderr
    assert f"nanogpt-blog is now: 300 rows, {best:.3f} bits per byte" in told
    assert (score(model), score(replaced(model))) == (best, end.val_bpb)
    nanogpt("remove", "nanogpt-blog", "-y")
    assert not model.exists() and not replaced(model).exists()


def test_models_of_two_shapes_come_before_one_takes_its_place(home, bpe, monkeypatch):
    """The first two of a run were worse than the model that is there."""
    final = write_model(home / "nanogpt-blog", bpe)
    (staging_folder(final) / "training").mkdir(parents=True)
    monkeypatch.setattr(model_folder, "model_card", lambda meta: "")
    small, big = tiny_config(), tiny_config(n_layer=3)
    folder = ModelFolder(staging_folder(final), small, [], bpe, read_checkpoint(final).meta, final)
    folder.stages = [Stage(config, SETTINGS) for config in (small, big)]
    for step, config in enumerate((small, big, big)):
        folder.write_weights(BestWeights(config, random_tensors(config), step, 3.0 - step, 2.0))
        folder.write_score(Evaluation(step, 3.0 - step, 2.0, None, 1.0, True, ""), replace=step == 2)
        assert read_checkpoint(final).config == (big if step == 2 else small)
    assert score(final) == 1.0 and not staging_folder(final).exists()


def test_scores_on_other_rows_are_not_compared(options, home):  # noqa: F811
    train(options, max_iters=60)
    plan, end, _ = train(options, max_iters=2, seed=5)
    assert plan.replaces and plan.kept_bytes and plan.replaces_bpb is end.better_before is None
    assert replaced(home / "nanogpt-blog").exists()


def test_the_older_of_two_worse_models_is_told_to_be_deleted(options, home):  # noqa: F811
    train(options, max_iters=2)
    train(options, max_iters=4)
    plan, _, _ = train(options, max_iters=2)
    told = what_is_kept(asdict(plan))
    assert plan.kept and plan.deleted and plan.kept in told[0] and plan.deleted in told[1]
    assert told[1].startswith("The older one, which it had replaced") and "is then deleted" in told[1]
    assert score(replaced(home / "nanogpt-blog")) == plan.replaces_bpb


def test_a_resumed_run_replaces_only_itself(options, home):  # noqa: F811
    train(options, max_iters=4)
    plan, end, _ = train(options, max_iters=8, resume=True)
    assert plan.replaces is end.better_before is None and not (home / ".replaced").exists()


def test_the_run_of_what_was_restored_is_the_one_that_goes_on(options, home):  # noqa: F811
    train(options, max_iters=4)
    train(options, max_iters=8)
    second, first = find_runs(home)
    assert minutes_to_offer(home, second, 60) and not minutes_to_offer(home, first, 60)
    nanogpt("restore", "nanogpt-blog")
    assert minutes_to_offer(home, first, 60) and not minutes_to_offer(home, second, 60)
    train(options, max_iters=8, resume=True)
    third, second, first = find_runs(home)
    offered = [bool(minutes_to_offer(home, each, 60)) for each in (first, second, third)]
    assert offered == [False, False, True]


def test_commands_of_a_renamed_model_name_it(options, home):  # noqa: F811
    train(options, max_iters=4)
    train(options, max_iters=2)
    rename_model(home / "nanogpt-blog", "simon")
    second, first = find_runs(home)
    for each in (first, second):  # run pages and the form take their settings
        assert (
            command_of_run(each).endswith("--name simon") and json.loads(each["settings"])["name"] == "simon"
        )
    assert (
        "`llm nanogpt restore simon`" in second["verdict"] and "restore nanogpt-blog" not in second["verdict"]
    )
    old = {**first, "settings": json.dumps({"table": "entry"})}  # as an earlier version left them
    assert command_of_run(old).endswith("blog.db entry --name simon")
    assert "--name" not in command_of_run({**old, "name": "nanogpt-blog"})
    told = "There is no model 'nanogpt-blog'. simon was trained on this table: add --name simon, or leave out"
    with pytest.raises(NanogptError, match=re.escape(told)):
        run(TrainOptions(options.database, "entry", resume=True))
    sqlite_utils.Database(options.database)["other"].insert_all({"body": text} for text in TEXTS)
    told = r"There is no model 'nanogpt-blog' in .*: a run leaves one from its first score on\. Leave out"
    with pytest.raises(NanogptError, match=told):
        run(TrainOptions(options.database, "other", resume=True))
    train(options, table="other", name="nanogpt-blog", max_iters=1)
    with pytest.raises(
        NanogptError, match=r"trained on other of .*: simon was trained on this table: add --name"
    ):
        run(TrainOptions(options.database, "entry", resume=True))


def test_only_a_run_that_can_be_compared_is_the_run_before(home):
    """Not one with other held-out rows or other columns, nor the beginning of the run that is resumed."""

    def write(bpb, text="a", seed=0, resume=False, **more):
        plan = {"corpus": {"sha256": text, "val_documents": 9}, "settings": {"seed": seed}}
        run = {"name": "x", "database": "/b.db", "table": "entry", "val_bpb": bpb, "plan": json.dumps(plan)}
        settings = json.dumps({"resume": True} if resume else {})
        with registry(home, create=True) as db:
            run = insert(db, "runs", {**run, "settings": settings, "status": "finished", **more})
        return score_of_run_before(home, run)

    assert write(2.0) is None and write(1.9) == 2.0
    assert write(1.8, resume=True) == write(1.7, resume=True) == 2.0
    assert write(1.6, name="y") is None and write(1.6, table="other") is None and write(1.5) == 1.7
    assert write(1.4, seed=5) is None and write(1.3) is None and write(1.2, text="b") is None
    assert write(1.1, text="b", plan=None) is None and write(1.0, text="b") is None
