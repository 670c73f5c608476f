"""How much the plugins add to the time that `datasette` takes to start."""

import subprocess
import sys

from conftest import HANG_SECONDS

# numpy is not ours: sqlite-utils, which Datasette imports, takes it wherever it is installed.
HEAVY = {"torch", "llm", "tokenizers", "tiktoken", "safetensors", "selectolax", "tqdm"}

PROBE = """
import sys
sys.argv[1:] = ["--version"]
from datasette.cli import cli
try:
    cli()
finally:
    print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_datasette_starts_without_anything_heavy():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=HANG_SECONDS)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "datasette_nanogpt" in loaded and not loaded & HEAVY


def test_datasette_starts_as_fast():
    """Our share of the import time, which on an idle machine is 1 ms of 500. A share, as machines differ."""
    log = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import datasette.cli"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    ).stderr
    rows = [line.removeprefix("import time:").split("|") for line in log.splitlines()[1:]]
    ours = sum(int(own) for own, _, name in rows if "nanogpt" in name)
    assert 0 < ours < 0.04 * sum(int(own) for own, _, _ in rows)
