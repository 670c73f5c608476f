"""What a score means: with numbers that are known, then of a whole run."""

import json
import math
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlite_utils
from conftest import TEXTS

from datasette_nanogpt.data.text_faults import measure_usual
from datasette_nanogpt.data.text_metrics import is_prose
from datasette_nanogpt.events import Finished
from datasette_nanogpt.registry.db import open_registry
from datasette_nanogpt.registry.metrics import bits_of_documents
from datasette_nanogpt.terminal import closing_lines
from datasette_nanogpt.training import final_figures
from datasette_nanogpt.training.next_step import Limits, bigger_model_fits, next_step
from datasette_nanogpt.training.odd_samples import Oddity, Sample, find_odd
from datasette_nanogpt.training.options import TrainOptions, as_command
from datasette_nanogpt.training.sizes import make_config
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.training.verdict import (
    Fall,
    Figures,
    SampleFigures,
    count_letters,
    describe_samples,
    fall_at_end,
    gzip_bits_per_byte,
    limit_of,
    reads_like,
    standard_error,
    verdict,
)
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.words import WordList

FIGURES = Figures(
    val_bpb=1.5934,
    error=0.0141,
    documents=58,
    bits_per_letter=1.62,
    gzip_bpb=2.714,
    last_bpb=1.6512,
    train_bpb=1.371,
    epochs=4.0,
    fell=Fall(0.031),
    stopped=False,
    bigger_fits=False,
    samples=SampleFigures(texts=20, loops=1, real_words=0.993, copied=0.021),
    next_command="datasette nanogpt-train blog.db blog_entry til",
    next_reason="more text",
)


def test_a_verdict_is_five_sentences():
    assert verdict(FIGURES) == {
        "reads like": "sentences that mean little",
        "score": "1.593 bits per byte, give or take 0.03, of 58 held-out documents; "
        "gzip needs 2.71, the run before got 1.651",
        "20 texts": "1 repeats itself, 99% of the words are in the table, 2% is copied from its rows",
        "limited by": "the amount of text: it has read it 4.0 times, "
        "and predicts it 14% better than held-out text",
        "next": "datasette nanogpt-train blog.db blog_entry til  (more text)",
    }


@pytest.mark.parametrize(
    ("loops", "real", "copied", "says"),
    [
        (0, 1.0, 0.0, "none repeats itself, all words are in the table, nothing is copied from its rows"),
        (3, 0.999, 0.001, "3 repeat themselves, 100% of the words are in the table, 0% is copied from its"),
        (0, None, 0.5, "none repeats itself, 50% is copied from its rows"),
    ],
)
def test_all_and_nothing_are_said_of_texts_only_where_it_is_so(loops, real, copied, says):
    assert describe_samples(SampleFigures(20, loops, real, copied)).startswith(says)


@pytest.mark.parametrize("changes", [{"documents": 2, "error": 0.2}, {"error": None, "documents": 2}])
def test_a_score_of_two_documents_has_no_error(changes):
    line = verdict(replace(FIGURES, **changes))["score"]
    assert line.startswith("about 1.593 bits per byte, as only 2 documents were held out; gzip needs 2.71")
    assert line.endswith("the run before got 1.651")


def test_a_score_of_unknown_certainty_does_not_blame_the_documents():
    line = verdict(replace(FIGURES, error=None))["score"]
    assert line.startswith("1.593 bits per byte, of 58 held-out documents; the run was too short to measure")
    assert "only" not in line


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (1, "as only the end of one document was held out;"),
        (3, "as only the ends of 3 documents were held out;"),
        (7, "give or take 0.03, of the ends of 7 documents;"),
    ],
)
def test_the_ends_of_documents_are_no_documents(documents, said):
    assert said in verdict(replace(FIGURES, documents=documents, ends_only=True))["score"]


@pytest.mark.parametrize(
    ("error", "shown"),
    [(0.0008, "1.593 bits per byte, give or take 0.002"), (0.2, "1.593 bits per byte, give or take 0.4")],
)
def test_a_score_tells_runs_apart_and_says_how_sure_it_is(error, shown):
    assert verdict(replace(FIGURES, error=error))["score"].startswith(shown + ",")


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({}, "text"),
        ({"epochs": 0.8}, "minutes"),
        ({"epochs": 2.0}, "text"),  # learnt by heart already
        ({"epochs": 2.0, "train_bpb": 1.55}, "minutes"),
        ({"epochs": 2.0, "train_bpb": None}, "minutes"),
        ({"bigger_fits": True}, "size"),
        ({"bigger_fits": True, "stopped": True, "epochs": 0.5}, "minutes"),
    ],
)
def test_what_limits_a_score(changes, limit):
    figures = replace(FIGURES, **changes)
    assert limit_of(figures) == limit
    word = {"text": "the amount of text", "minutes": "the minutes", "size": "its size"}[limit]
    word = "the stop" if figures.stopped else word
    assert verdict(figures)["limited by"].startswith(word)


def test_a_score_that_still_fell_is_told():
    figures = replace(FIGURES, epochs=0.8, fell=Fall(0.031))
    assert "fell by 3.1% in the last fifth" in verdict(figures)["limited by"]
    assert "fell" not in verdict(replace(figures, fell=Fall(0.001)))["limited by"]
    stopped = verdict(replace(figures, stopped=True, steps=1056))["limited by"]
    assert stopped.startswith("the stop at step 1,056: it has read the text 0.8 times")


def test_a_busy_machine_is_to_blame_for_too_few_minutes():
    busy = "other programs probably kept this machine busy, as training was 13 times slower than run 4"
    figures = replace(FIGURES, epochs=0.1, slower="13 times slower than run 4")
    assert verdict(figures)["limited by"].startswith(f"the minutes: {busy}; it has read the text")
    assert busy not in verdict(replace(figures, epochs=4.0))["limited by"]


def test_what_was_not_measured_is_left_out():
    assert "20 texts" not in verdict(replace(FIGURES, samples=None))
    assert verdict(replace(FIGURES, samples=None, why_no_samples="too big"))["texts"] == "too big"
    assert "next" not in verdict(replace(FIGURES, next_command="", next_reason=""))
    assert "before" not in verdict(replace(FIGURES, last_bpb=None))["score"]


def test_a_lower_score_never_reads_worse():
    levels = list(dict.fromkeys(reads_like(bits / 100) for bits in range(30, 800)))
    assert len(levels) == 5 and levels[-1] == "pieces of words" and "style" in levels[0]


def test_one_scale_for_the_readme_and_the_verdict():
    """The README's table says of each score what the verdict does."""
    table = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    rows = re.findall(
        r"^\| [\d,]+ \| [\d.]+ [kM]B \| \d+ \| ([\d.]+) \| .*: ([^|]+) \|$", table, re.MULTILINE
    )
    assert len(rows) == 4
    for bits, like in rows:
        assert reads_like(float(bits)) == like


@pytest.mark.parametrize("bits", [2.03, 2.35])
def test_phrases_are_no_sentences(bits):
    """SET('5, closed) / Sep. / The elements / E" RE" Pos)"""
    assert "sentences" not in reads_like(bits)


def test_rows_that_repeat_each_other_are_no_sentences_from_the_first_steps_on():
    """Models of notes made from a few parts had 0.5 bits per byte after a dozen steps, and wrote words."""
    assert [
        reads_like(bits, of_gzip=part) for bits, part in ((0.565, 1.01), (0.517, 0.83), (0.43, 0.72))
    ] == [
        "words with little order among them",
        "words and short phrases",
        "words and short phrases",
    ]
    assert reads_like(0.416, of_gzip=0.69) == "sentences that mean little"
    assert reads_like(1.2, of_gzip=0.5) == reads_like(1.2)
    assert reads_like(3.9, of_gzip=0.97) == "pieces of words"
    few_steps = replace(FIGURES, val_bpb=0.52, bits_per_letter=0.52, gzip_bpb=0.6)
    assert verdict(few_steps)["reads like"] == "words and short phrases"


def test_what_is_no_prose_gets_no_claim_about_its_sentences():
    assert is_prose(TEXTS) and is_prose(["日本語の文章です。"] * 3) and is_prose(["हिन्दी में एक छोटी कविता है"])
    codes = [f"{i:04}-{i * 7919 % 100_003:X}/{i % 7}" for i in range(50)]
    assert not any(map(is_prose, (codes, ["red", "light blue"], ['{"a": [1, 2], "b": 3.5}'] * 9, [""], [])))
    line = verdict(replace(FIGURES, prose=False))["reads like"]
    assert line == "text without sentences, like the rows: compare the two"


def test_odd_texts_are_told_beside_a_good_score():
    odd = (Oddity("soon", 12, 20, 0, 70), Oddity("circles", 6, 20, 1, 70))
    samples = SampleFigures(20, 0, 1.0, 0.5, tokens=150, odd=odd)
    good = replace(FIGURES, val_bpb=0.2, bits_per_letter=0.2)
    lines = verdict(replace(good, samples=samples, untold_columns=True))
    assert lines["reads like"] == "sentences in the style of the rows, with faults that rows do not have"
    assert lines["odd in them"] == (
        "of 20 texts, beside rows cut at the same length, 12 end within 150 tokens (rows: 0 of 70) and 6 say "
        "something twice in a row (rows: 1 of 70); what may help: more text, `-o temperature 1` against "
        "repetition or a `--template` that shows where columns begin and end"
    )
    assert list(lines).index("odd in them") == list(lines).index("20 texts") + 1
    few = verdict(replace(FIGURES, epochs=0.5, samples=replace(samples, odd=odd[:1])))["odd in them"]
    assert few.endswith("12 end within 150 tokens (rows: 0 of 70); what may help: more minutes")
    assert "odd in them" not in verdict(FIGURES)


ROWS = [Sample(f'Row {i} is a "fox".\nIt jumps over {i + 7} lazy dogs (or cats).', True) for i in range(70)]
KNOWN = WordList({"row", "is", "a", "fox", "it", "jumps", "over", "lazy", "dogs", "or", "cats"}, joined=())
CUT = Sample("Row 1 is a", False)


def odd_kinds(samples, rows=ROWS):
    usual = measure_usual([row.text for row in ROWS], KNOWN.joined)
    return [oddity.kind for oddity in find_odd(samples, rows, usual, KNOWN)]


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (Sample(f"{ROWS[0].text}\nIt jumps.\nIt jumps.", True), "circles"),
        (Sample(f"{ROWS[0].text} It jumpt.", True), "words"),
        (Sample(f"{ROWS[0].text} It jumps over dog's.", True), "words"),
        (Sample(f'{ROWS[0].text} A "fox.', True), "open"),
        (Sample(f"{ROWS[0].text} A fox jumps, it jumps over dogs or cats.", True), "lines"),
        (Sample(f" is a fox.\n{ROWS[0].text}", True), "start"),
        (Sample("Row 1 is a", True), "end"),
        (CUT, "on"),
    ],
)
def test_what_is_odd_in_texts(sample, kind):
    assert odd_kinds([sample] * 6 + ROWS[:14])[:1] == [kind]
    assert odd_kinds([sample] + ROWS[:19]) == []  # chance
    assert odd_kinds([sample] * 6 + ROWS[:14], []) == []  # nothing to compare with


def test_texts_that_end_too_soon_and_rows_that_do_not():
    assert odd_kinds(ROWS[:20], [CUT] * 60) == ["soon"]


def test_texts_like_rows_are_seldom_odd():
    """Rows of every kind, some with faults: of twenty of them as of texts, 1 verdict in 20 at most may find
    something."""
    rng = np.random.default_rng(0)
    rows = [*ROWS, *[Sample('A "fox', False)] * 9, *[Sample("a fox jumps; a fox jumps", True)] * 9]
    found = 0
    for _ in range(30):
        order = [rows[i] for i in rng.permutation(len(rows))]
        found += bool(odd_kinds(order[:20], order[20:]))
    assert found <= 2


def test_worse_than_knowing_nothing_is_said():
    assert verdict(replace(FIGURES, val_bpb=2449.1))["reads like"].startswith("noise")


def test_what_limits_is_not_told_of_a_model_that_is_not_saved():
    figures = replace(FIGURES, epochs=1.3, train_bpb=None, saved_before=True, fell=Fall(0.2))
    says = "an earlier model is saved, as the last one has read the text 1.3 times and is no better"
    assert verdict(figures)["limited by"] == f"the minutes: {says}"
    assert verdict(replace(figures, epochs=4.0))["limited by"].startswith(
        "the amount of text: an earlier model"
    )


def test_steps_are_not_called_minutes():
    by_steps = replace(FIGURES, epochs=0.04, by_steps=True)
    line = verdict(by_steps)["limited by"]
    assert line.startswith("the steps: it has read the text less than 0.1 times") and "minutes" not in line
    assert " and so many steps a bigger" in verdict(replace(by_steps, bigger_fits=True))["limited by"]


def test_the_standard_error_is_that_of_scores_on_other_documents():
    rng = np.random.default_rng(0)

    def split(n):
        sizes = rng.integers(100, 3000, n)
        return sizes * rng.normal(1.6, 0.2, n) + rng.normal(0, 50, n), sizes.astype(float)

    scores = [b.sum() / s.sum() for b, s in (split(60) for _ in range(2000))]
    estimates = [standard_error(*split(60), 60) for _ in range(200)]
    assert np.mean(estimates) == pytest.approx(np.std(scores), rel=0.08)
    some = [standard_error(*split(20), 60) for _ in range(400)]
    assert np.mean(some) == pytest.approx(np.std(scores), rel=0.1)
    assert standard_error(*split(6), 58) is None  # six documents may be alike by chance
    assert standard_error(*split(6), 6)
    assert standard_error(*split(1), 1) is None and standard_error(np.empty(0), np.empty(0), 5) is None


def test_gzip_remembers_what_it_has_read():
    documents = [text.encode() for text in TEXTS]
    size = sum(map(len, documents))
    alone = gzip_bits_per_byte(b"", documents)
    joined = b"".join(document + b"\0" for document in documents)
    assert alone == pytest.approx(8 * len(zlib.compress(joined, 9)) / size, rel=0.01)
    assert gzip_bits_per_byte(b"other rows " * 10**5 + joined, documents) < 0.7 * alone
    assert gzip_bits_per_byte(b"", []) == math.inf


def test_letters_of_all_scripts():
    assert count_letters("abc д") == 5
    assert count_letters("हिन्दी") == 6
    assert count_letters("日本") == count_letters("にほ") == 6  # as many as bytes
    assert count_letters("ไทย") == 3  # an alphabet


def test_the_fall_at_the_end_is_that_of_the_last_fifth():
    curve = [(10, 1, 3.0), (50, 5, 2.0), (80, 8, 1.8), (100, 10, 1.71)]  # seconds, step, bits per byte
    assert fall_at_end(curve) == Fall(pytest.approx(0.05))
    worse = [*curve, (115, 11, 2.5), (140, 14, 2.2), (150, 15, 1.75)]  # by another model, which is not saved
    assert fall_at_end(worse) == Fall(0)
    assert fall_at_end(curve[:1]) is None and fall_at_end([(95, 9, 2.0), (100, 10, 1.9)]) is None


def test_without_a_score_near_the_last_fifth_the_fall_names_the_step_since_which_it_is():
    assert fall_at_end([(14, 18, 2.0), (61, 245, 1.55)]) == Fall(pytest.approx(0.225), since_step=18)
    figures = replace(FIGURES, epochs=0.8, fell=Fall(0.225, since_step=1018))
    assert verdict(figures)["limited by"].endswith(", and its score fell by 22.5% since step 1,018")


# ---- What to do next


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    db = sqlite_utils.Database(path)
    db["entry"].insert_all({"title": f"T{i}", "body": t} for i, t in enumerate(TEXTS))
    db["note"].insert_all({"body": t[::-1] + t} for t in TEXTS)
    db["tag"].insert_all({"name": f"tag{i}"} for i in range(5))
    return str(path)


def meta_of(database, **changes):
    given = {"table": ["entry"]} | changes
    return {
        "name": "nanogpt-blog",
        "source": {"database": database},
        "options": {"database": database, **given},
        "corpus": {"bytes": 17_400, "train_tokens": 600_000},
        "training": {"step": 500},
    }


def test_more_text_is_in_the_table_that_has_most(database):
    command, reason = next_step("text", meta_of(database, minutes=3.0), Limits(3.0, None))
    assert command == (
        f"datasette nanogpt-train {database} entry note --minutes 3 --name nanogpt-blog-and-note"
    )
    assert reason == "more text"
    both = meta_of(database, table=["entry", "note"])
    assert next_step("text", both, Limits(10.0, None)) == ("", "only more text like this would help much")
    some = meta_of(database, table=["entry", "note"], where="1")
    assert next_step("text", some, Limits(10.0, None)) == (
        f"datasette nanogpt-train {database} entry note",
        "all rows",
    )


def test_more_minutes_are_those_of_a_resume(database):
    command, reason = next_step("minutes", meta_of(database, seed=3, name="mine"), Limits(10.0, None))
    assert command == f"datasette nanogpt-train {database} entry --name mine --resume --minutes 20"
    assert reason == "twice as long"
    command, _ = next_step("minutes", meta_of(database, max_iters=500), Limits(None, 500))
    assert command.endswith("entry --resume --max-iters 1000")


def test_a_bigger_model_is_the_same_command_without_the_size(database):
    meta = meta_of(database, size="xs", minutes=10.0)
    assert next_step("size", meta, Limits(10.0, None))[0] == f"datasette nanogpt-train {database} entry"
    config = make_config("xs", 4096, {"block_size": 1024})
    ten = Limits(10.0, None)
    assert bigger_model_fits(meta, config, 2e11, ten) and not bigger_model_fits(meta, config, None, ten)
    assert not bigger_model_fits(meta_of(database), config, 2e11, ten)  # the planner chose it


def test_what_would_help_goes_by_what_the_run_had_and_not_by_what_it_was_begun_with(database):
    """It was begun with 20,000 steps and went on to 45 of them."""
    meta = meta_of(database, size="xs", max_iters=20_000)
    config = make_config("xs", 4096, {"block_size": 1024})
    assert bigger_model_fits(meta, config, 2e11, Limits(None, 20_000))
    assert not bigger_model_fits(meta, config, 2e11, Limits(None, 45))
    meta["training"]["step"] = 45
    command, reason = next_step("minutes", meta, Limits(None, 45))
    assert command.endswith("entry --resume --max-iters 90") and reason == "twice as many steps"
    assert next_step("size", meta, Limits(None, 45))[0].endswith("entry --max-iters 45")


def test_twice_as_long_is_twice_what_a_run_of_seconds_took(database):
    meta = meta_of(database)
    meta["training"]["seconds"] = 7.08
    assert next_step("minutes", meta, Limits(0.02, None))[0].endswith("--resume --minutes 0.24")
    assert next_step("minutes", meta, Limits(0.1, None))[0].endswith("--resume --minutes 0.2")


def test_what_was_stopped_goes_on(database):
    meta = meta_of(database, max_iters=300)
    command, reason = next_step("minutes", meta, Limits(None, 300, stopped=True))
    assert command == f"datasette nanogpt-train {database} entry --resume"
    assert reason == "goes on where it stopped"


def test_a_command_has_every_option_as_it_is_typed():
    given = {"database": "a b.db", "table": ["t", "u"], "body": ["x", "y"], "minutes": 1.0, "compile": False}
    expected = "datasette nanogpt-train 'a b.db' t u --body x --body y --minutes 1 --no-compile"
    assert as_command(given) == expected


@pytest.mark.parametrize(
    ("names", "words"),
    [(["-x.db", "t"], "./-x.db t --minutes 2"), (["x.db", "-t"], "--minutes 2 -- x.db -t")],
)
def test_a_name_that_begins_with_a_hyphen_is_no_option(names, words):
    database, *tables = names
    given = {"database": database, "table": tables, "minutes": 2.0}
    assert as_command(given) == f"datasette nanogpt-train {words}"


# ---- Of a run


@pytest.fixture
def options(database):
    return TrainOptions(
        **{"database": database, "table": "entry", "max_iters": 20, "eval_interval": 10, "vocab_size": 400},
        **{"n_layer": 1, "n_head": 2, "n_embd": 32, "block_size": 32, "batch_size": 2, "device": "cpu"},
    )


def test_a_run_ends_with_a_verdict_that_is_kept(options, home, monkeypatch):
    monkeypatch.setattr(final_figures, "TIME_FRACTION", 100.0)
    *_, last = train_table(options)
    assert isinstance(last, Finished) and list(last.verdict)[:3] == ["reads like", "score", "20 texts"]
    assert "of 30 held-out documents" in last.verdict["score"]
    meta = read_checkpoint(home / "nanogpt-blog").meta
    assert meta["verdict"]["lines"] == last.verdict and meta["verdict"]["figures"]["samples"]["texts"] == 20
    (kept,) = open_registry(home).execute("select verdict from runs").fetchone()
    assert json.loads(kept) == last.verdict
    card = (home / "nanogpt-blog" / "README.md").read_text()
    assert f"| reads like | {last.verdict['reads like']} |" in card and "| next |" not in card
    shown = closing_lines(last)
    assert f"  Reads like  {last.verdict['reads like']}" in shown and len(shown) < 12
    *_, again = train_table(options)
    assert "the run before got" in again.verdict["score"]


def test_a_run_that_had_minutes_left_was_limited_by_its_steps(options):
    *_, last = train_table(replace(options, minutes=9.0))
    assert last.verdict["limited by"].startswith("the steps: ") and "less than planned" not in str(
        closing_lines(last)
    )


def test_the_error_is_of_all_documents_that_were_held_out(options, home, monkeypatch):
    """Their bits are those of the score, which even a short run has."""
    monkeypatch.setattr(final_figures, "TIME_FRACTION", 0.0)
    *_, last = train_table(options)
    with open_registry(home) as db:
        bits, sizes = map(np.array, bits_of_documents(db, 1))
    assert len(bits) == 30
    assert bits.sum() / sizes.sum() == pytest.approx(last.val_bpb, rel=1e-3)  # kept rounded
    figures = read_checkpoint(home / "nanogpt-blog").meta["verdict"]["figures"]
    assert figures["error"] == pytest.approx(standard_error(bits, sizes, 30), rel=0.01)
    assert "give or take" in last.verdict["score"]


def test_a_short_run_does_not_wait_for_texts(options, monkeypatch):
    """Nor does it decode the held-out text more than once."""
    decoded, read_documents = [], final_figures.read_documents
    monkeypatch.setattr(
        final_figures, "read_documents", lambda *args: decoded.append(1) or read_documents(*args)
    )
    *_, last = train_table(options)
    assert not [heading for heading in last.verdict if "texts" in heading]
    assert len(decoded) == 1


def test_a_big_model_writes_none_and_says_so(options, monkeypatch):
    monkeypatch.setattr(final_figures, "BIG", 1)
    *_, last = train_table(options)
    assert "too big" in last.verdict["texts"]
