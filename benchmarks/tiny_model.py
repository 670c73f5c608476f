"""The options of a model so small that a run of it takes a moment: for benchmarks of all else."""

from typing import Any

TINY: dict[str, Any] = {
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 16,
    "block_size": 16,
    "batch_size": 2,
    "vocab_size": 300,
}
