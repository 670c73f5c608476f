"""The llm plugin: from a checkpoint to text. The hooks live in `llm_nanogpt.plugin`."""
