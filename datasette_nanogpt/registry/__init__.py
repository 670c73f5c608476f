"""`nanogpt.db`: what was trained, from what, how it went, and what waits."""
