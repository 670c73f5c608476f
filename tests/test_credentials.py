"""Rows with passwords, keys and tokens are told, and examples of these are not."""

import random
import shlex
import string

import pytest
from odd_tables import ROWS, Writer
from test_odd_tables import write

from datasette_nanogpt.data.credentials import credentials
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection

LETTERS = string.ascii_letters + string.digits


def chosen(letters, size, seed=1):
    return "".join(random.Random(seed).choices(letters, k=size))


TOKEN = chosen(LETTERS, 36)
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{chosen(LETTERS + '+/', 64)}\n-----END OPENSSH PRIVATE KEY-----"


def hints(tmp_path, credential, column="body", raw=False, **selection):
    def text(w):
        one = f"{w.paragraph()} {credential} {w.sentence()}" if w.i % 6 == 0 else w.text()
        return one.encode() if raw else one

    path = write(tmp_path / "any.db", {"title": Writer.title, "body": Writer.text} | {column: text})
    return path, list(credentials(open_source(path, "t", Selection(**selection))))


@pytest.mark.parametrize(
    "credential",
    [
        f"export API_TOKEN=ghp_{TOKEN}",
        f"(github_pat_{chosen(LETTERS, 22)}_{chosen(LETTERS, 59, 2)})",
        f"glpat-{chosen(LETTERS, 20)}",
        f"sk-proj-{chosen(LETTERS, 60)}",
        f"OPENAI_API_KEY=sk-{chosen(LETTERS, 48)}",
        f"xoxb-{chosen(string.digits, 12)}-{chosen(string.digits, 12)}-{chosen(LETTERS, 24)}",
        f"AKIA{chosen(string.ascii_uppercase + string.digits, 16)} {chosen(LETTERS + '+/', 40)}",
        f"AIza{chosen(LETTERS, 35)}",
        f"mysql -u root --password='{chosen(LETTERS, 24)}'",
        f'"secret_key": "{chosen("0123456789abcdef", 40)}"',
        KEY,
    ],
)
@pytest.mark.parametrize("raw", [False, True], ids=["text", "bytes"])
def test_credentials_are_told_and_left_out(tmp_path, credential, raw):
    path, (told,) = hints(tmp_path, credential, raw=raw)
    assert told.startswith("10 rows have a password, key or token (")
    assert (credential[44:52] or credential[-8:]) not in told
    left = open_source(path, "t", Selection(where=shlex.split(told.partition("leave these out: ")[2])[-1]))
    assert left.row_count == ROWS - 10 and not list(credentials(left))


def test_credentials_are_told_with_a_template_too(tmp_path):
    _, told = hints(tmp_path, f"ghp_{TOKEN}", template="{{ title }} {{ body }}", where="title is not null")
    assert len(told) == 1 and "(title is not null) and" in told[0]


@pytest.mark.parametrize(
    "example",
    [
        "export API_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "TOKEN=ghp_1234567890abcdefghijklmnopqrstuvwxyz",
        "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        f'KEY_ID="AKIA{chosen(string.ascii_uppercase + string.digits, 16)}" AWS_SECRET_ACCESS_KEY="..."',
        "sk-your-key-here-0000000000000000",
        "sk-...",
        "OPENAI_API_KEY=$OPENAI_API_KEY",
        "the token = get_token_from_request2(request3)",
        "password: str = Form(default='x')",
        "password=correct-horse-battery-staple-22",
        "https://example.org/?next_token=" + TOKEN,
        "csrf_token=" + TOKEN,
        "task-list-with-many-words-that-are-long, a risk-" + "averse" * 4,
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "secret: 5 February 2021 at the mill",
        "commit " + chosen("0123456789abcdef", 40),
        "the tokens: " + " ".join(map(str, range(20))),
    ],
)
def test_examples_are_not_told(tmp_path, example):
    assert hints(tmp_path, example)[1] == []


def test_a_column_that_is_not_read_is_not_told(tmp_path):
    path = write(
        tmp_path / "any.db", {"body": Writer.text, "api_key": lambda w: f"ghp_{chosen(LETTERS, 36, w.i)}"}
    )
    assert list(credentials(open_source(path, "t"))) == []
