"""From rows to tokens: reading tables, choosing columns, text, the split, token files."""
