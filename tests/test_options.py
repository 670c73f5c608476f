"""Options are checked once for the command line, the form and Python."""

import math
import subprocess
import sys
from dataclasses import fields

import click
import pytest
from click.testing import CliRunner
from conftest import HANG_SECONDS

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.training import memory
from datasette_nanogpt.training.options import (
    TrainOptions,
    bounds,
    choices,
    problems_of,
    typed_command,
    validate,
)
from datasette_nanogpt.training.sizes import SIZES
from llm_nanogpt.errors import Problem


def test_the_command_line_has_the_options_of_python():
    flags = {p.name: p for p in train_command.params}
    names = {field.name for field in fields(TrainOptions)}
    assert names - {"max_parameters"} == set(flags) - {"as_json", "dry_run", "plugins_dir", "load_extension"}
    for name, flag in flags.items():
        if isinstance(flag.type, click.Choice):
            assert tuple(flag.type.choices) == choices(name)
    assert choices("size") == tuple(SIZES)


def test_a_form_gets_numbers_and_no_blanks():
    form = {"minutes": "0.5", "n_layer": " 3 ", "learning_rate": "", "where": None, "title": "", "size": "m"}
    assert validate(form) == ({"minutes": 0.5, "n_layer": 3, "title": "", "size": "m"}, [])


@pytest.mark.parametrize(
    ("field", "value", "code", "message"),
    [
        ("n_layer", "0", "minimum", "The number of layers must be at least 1, not 0"),
        ("n_head", "20000", "maximum", "The number of heads must be at most 10,000, not 20000"),
        ("n_embd", "x", "number", "The width must be a whole number, not 'x'"),
        ("block_size", "1.5", "number", "The context must be a whole number, not '1.5'"),
        ("minutes", "nan", "number", "The time in minutes must be a number, not 'nan'"),
        ("learning_rate", math.nan, "number", "The learning rate must be a number, not nan"),
        ("minutes", "61", "maximum", "The time in minutes must be at most 60, not 61"),
        ("dropout", "-1", "minimum", "The dropout must be at least 0, not -1"),
        ("size", "xxl", "choice", "The size must be one of xs, s, m, l, xl, not xxl"),
        ("device", "gpu", "choice", "The device must be one of cpu, cuda, mps, not gpu"),
        (
            "name",
            "a/b",
            "name",
            "A model cannot be named 'a/b': use letters, digits and the characters . - _",
        ),
        (
            "name",
            "-x",
            "name",
            "A model cannot be named '-x': begin with a letter, a digit or _",
        ),
        (
            "name",
            "..",
            "name",
            "A model cannot be named '..': begin with a letter, a digit or _",
        ),
        (
            "name",
            "nanogpt.db",
            "name",
            "A model cannot be named 'nanogpt.db': the record of all runs has that name",
        ),
        (
            "name",
            "x" * 300,
            "name",
            "A name of 300 characters is too long for a model: use at most 100 characters, and 200 bytes",
        ),
        ("shape", "1", "unknown", "There is no option 'shape'"),
    ],
)
def test_each_problem_names_its_field_and_what_may_be_given(field, value, code, message):
    cleaned, problems = validate({field: value}, max_minutes=60)
    assert problems == [Problem(field, code, message)] and (
        field not in cleaned or field in ("minutes", "name")
    )


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"n_head": 3, "n_embd": 64, "arch": "gpt2"}, "n_embd", "multiple"),
        ({"n_head": 6, "n_embd": 18}, "n_head", "even"),
        ({"vocab_size": 300, "tokenizer": "char"}, "vocab_size", "conflict"),
        ({"vocab_size": 100, "tokenizer": "char"}, "vocab_size", "conflict"),
        ({"vocab_size": 0, "tokenizer": "gpt2"}, "vocab_size", "conflict"),
        ({"title": "Title", "body": ["text", "title"]}, "body", "conflict"),
        ({"force": True, "resume": True}, "force", "conflict"),
        ({"size": "l", "max_parameters": 1_000_000}, "size", "too_big"),
        ({"n_layer": 500, "max_parameters": 1_000_000, "minutes": 3}, "size", "too_big"),
    ],
)
def test_values_that_do_not_go_together(values, field, code):
    (problem,) = validate(values)[1]
    assert (problem.field, problem.code) == (field, code)


def test_everything_is_told_at_once():
    wrong = {"n_layer": "0", "dropout": "2", "n_head": "6", "n_embd": "18", "tokenizer": "words"}
    assert [p.field for p in validate(wrong)[1]] == ["n_layer", "dropout", "tokenizer", "n_head"]


def test_python_gives_numbers_not_text():
    assert not problems_of(TrainOptions("blog.db", ["entry"], minutes=3, seed=1))
    codes = [p.code for p in problems_of(TrainOptions("blog.db", "entry", minutes="3", n_layer=True))]
    assert codes == ["number", "number"]


def test_bounds_are_those_of_a_forms_fields():
    assert bounds("n_layer") == (1, 1000) and bounds("max_iters") == (1, None)
    numbers = [f.name for f in fields(TrainOptions) if "Interval" in str(f.type)]
    assert len(numbers) == 13 and all(bounds(name)[0] is not None for name in numbers)


def test_wrong_options_and_missing_files_are_told_without_torch(home):
    code = """
import sys
from datasette_nanogpt.training.train import TrainOptions, train_table
from llm_nanogpt.errors import InvalidOptions
try:
    list(train_table(TrainOptions("nowhere.db", "entry", n_layer=0, name="a/b")))
except InvalidOptions as ex:
    print([p.field for p in ex.problems], "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.stdout.strip() == "['n_layer', 'name', 'database'] False", done.stderr


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"n_head": 5000}, "n_head", "5,000 heads need a width of 320,000, which is too much"),
        ({"n_head": 1000}, "n_head", "heads fit"),
        ({"n_head": 1000, "n_layer": 1000}, "n_head", "available: "),
        ({"n_embd": 3}, "n_embd", "must be an even number"),
        ({"n_head": 7, "n_embd": 100, "arch": "gpt2"}, "n_embd", "a multiple of the 7 heads"),
    ],
)
def test_a_problem_is_one_of_an_option_that_was_given(given, field, message, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 8e9)
    (problem,) = validate(given)[1]
    assert problem.field == field and message in problem.message


def test_the_command_line_names_the_flag_of_each_problem(home):
    done = CliRunner().invoke(train_command, ["nowhere.db", "entry", "--n-layer", "0", "--batch-size", "0"])
    assert done.exit_code == 2
    assert done.stderr.splitlines()[:2] == [
        "Error: --n-layer: The number of layers must be at least 1, not 0.",
        "Error: --batch-size: The number of windows in a step must be at least 1, not 0.",
    ]
    assert "nowhere.db" in done.stderr.splitlines()[2] and "--database" not in done.stderr


def test_a_command_with_a_condition_or_a_query_names_a_file_that_begins_with_a_hyphen():
    command = typed_command(TrainOptions("-blog.db", ("entry",), body=("text",), minutes=3.0))
    assert command.with_condition("a > 1") == (
        "datasette nanogpt-train ./-blog.db entry --body text --where 'a > 1' --minutes 3"
    )
    assert " ./-blog.db --sql 'select 1' --minutes 3" in command.with_query("select 1")
