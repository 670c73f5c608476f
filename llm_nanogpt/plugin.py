"""llm hooks."""
