"""A registry of an earlier version."""

from datasette_nanogpt.registry import db as registry_db
from datasette_nanogpt.registry.db import open_registry, registry
from datasette_nanogpt.registry.metrics import JOINED, scores_of
from datasette_nanogpt.registry.statements import insert


def test_models_that_had_a_generation_and_a_member_get_their_numbers(home):
    """The chart said "generation 2, member 3" where the status said "model 5 of 7"."""
    home.mkdir(exist_ok=True)
    db = open_registry(home, create=True)
    with db:
        runs = [insert(db, "runs", {"name": name, "kind": "train"}) for name in ("several", "one")]
        db.execute("alter table metrics drop column model")
        db.execute("delete from _sqlite_migrations where name = 'm016_model_numbers'")
        for step, place in enumerate([(0, 0), (1, 0), (1, 1), (2, 0), (2, -1)]):
            figures = {"step": step, "val_bpb": 2.0, "generation": place[0], "member": place[1]}
            insert(db, "metrics", figures | {"run": runs[0]})
        insert(db, "metrics", {"run": runs[1], "step": 1, "val_bpb": 2.0})
    db.close()
    registry_db._migrated.clear()  # as in a new process
    with registry(home) as db:
        assert [score.model for score in scores_of(db, runs[0])] == [1, 2, 3, 4, JOINED]
        assert [score.model for score in scores_of(db, runs[1])] == [1]
