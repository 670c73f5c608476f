"""The model card: README.md of a model folder, written from its nanogpt.json."""

from __future__ import annotations

from typing import Any


def model_card(meta: dict[str, Any]) -> str:
    """Markdown for people who come across the folder without having trained it. `meta` is nanogpt.json."""
    source, corpus, score, training = (meta[k] for k in ("source", "corpus", "score", "training"))
    columns = " + ".join([*([source["title"]] if source["title"] else []), *source["body"]])
    by = source.get("group_by")
    rows = f"{corpus['documents']:,} {'documents ' if by else ''}of {source['rows']:,} rows"
    where = f" where {source['where']}" if source["where"] else ""
    database = source["database"].rsplit("/", 1)[-1]
    grouped = f", one document for each {by}" if by else ""
    return f"""\
---
library_name: transformers
pipeline_tag: text-generation
---

# {meta["name"]}

A GPT of {meta["parameters"]:,} parameters, trained from scratch by datasette-nanogpt on the table
`{source["table"]}` of `{database}`: {rows}{where}, columns {columns}{grouped},
{corpus["bytes"]:,} bytes of text.

It continues text in the style of that table. It knows nothing else and does not answer questions. It may
repeat passages of its rows word for word: share it as you would share the rows.

| | |
|---|---|
| bits per byte on held-out rows | {score["val_bpb"]:.4f} |
| loss on held-out rows, nats per token | {score["val_loss"]:.4f} |
| held out | {corpus["val_documents"]:,} documents, {corpus["val_bytes"]:,} bytes |
| vocabulary | {corpus["vocab_size"]:,} tokens ({meta["tokenizer"]}) |
| best step | {score["step"]:,} |
| steps trained | {training["step"]:,} in {training["seconds"]:,.0f} seconds |
{_verdict(meta)}{_template(source)}
    llm -m {meta["name"]} "Once"

```python
from transformers import pipeline

write = pipeline("text-generation", "path/to/{meta["name"]}")
print(write("Once", max_new_tokens=100)[0]["generated_text"])
```
"""


def _verdict(meta: dict[str, Any]) -> str:
    """Rows of the table: what the score means. What to do next is for the one who trained it."""
    lines = meta.get("verdict", {}).get("lines", {})
    return "".join(f"| {heading} | {line} |\n" for heading, line in lines.items() if heading != "next")


def _template(source: dict[str, Any]) -> str:
    """What the text of a row is, as a block of code."""
    if not source.get("template"):
        return ""
    lines = source["template"].replace("\\n", "\n").rstrip("\n").split("\n")
    template = "\n".join(f"    {line}" for line in lines)
    return f"\nThe text of a row is\n\n{template}\n\nand this writes another:\n"
