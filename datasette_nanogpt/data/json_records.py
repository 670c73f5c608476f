"""JSON that is a record with a text, the turns of a chat, the points of an outline or a notebook, as text.

Also lists of strings as Python and R print them, which many data sets have in a column.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .json_values import json_or_none, object_or_none

TEXT_KEYS = (
    "full_text",
    "text",
    "content",
    "body",
    "message",
    "markdown",
    "plain_text",
    "transcript",
    "value",
    "utterance",
)
# Of records that are not turns of a chat: senses of a word, examples, highlights.
_RECORD_KEYS = (*TEXT_KEYS[:-2], "string", "definition", "def", "gloss", "meaning", "sentence", "quote")
_VALUE_KEYS = frozenset(["value", "type", "format", "lang", "language"])  # of a text with what it is
SPEAKER_KEYS = ("role", "from", "speaker", "sender", "author", "user", "name")
CHAT_KEYS = (
    "messages",
    "conversations",
    "conversation",
    "turns",
    "dialog",
    "dialogue",
    "chat",
    "chosen",
    "chat_messages",
)
POINT_KEYS = ("string", "content", "text", "title", "name")
AMOUNT_KEYS = (
    ("quantity", "qty", "amount"),
    ("unit", "units", "measure"),
    ("name", "ingredient", "food", "item"),
)
TITLE_KEYS = ("title", "headline", "subject")
LONGEST_SPEAKER = 60  # characters of a name
LONGEST_TITLE = 300  # characters
MAX_DEPTH = 100  # levels of an outline
MAX_WRAPPED = 2  # levels of objects around one with a text

_STRING = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_PYTHON_LIST = re.compile(rf"\s*\[\s*{_STRING}(?:[\s,]+{_STRING})*[\s,]*\]\s*", re.DOTALL)
_R_VECTOR = re.compile(rf"\s*c\(\s*{_STRING}(?:\s*,\s*{_STRING})*\s*\)\s*", re.DOTALL)
_EACH_STRING = re.compile(_STRING, re.DOTALL)


def read_list(text: str) -> list[str] | None:
    """The strings of a list as Python, numpy or R print it; None if `text` is anything else, JSON too."""
    start = text.lstrip()[:2]
    is_list = (start == "c(" and _R_VECTOR.fullmatch(text)) or (
        start[:1] == "[" and "'" in text and _PYTHON_LIST.fullmatch(text)
    )
    if not is_list:
        return None
    try:
        return [str(ast.literal_eval(each)) for each in _EACH_STRING.findall(text.replace("\n", "\\n"))]
    except (SyntaxError, ValueError):
        return None


def read_record(text: str) -> str | None:
    """The text of JSON that is a chat, an outline, a notebook, an object with one text, or a list of such;
    None of any other."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _text_of_parts(text)
    if turns := next(filter(None, map(_turns, _chats(value))), None):
        return "\n\n".join(turns)
    if isinstance(value, dict) and (cells := _cells(value)):
        return "\n\n".join(cells)
    if points := list(_points(value, 0)) if _is_outline(value) else []:
        return "\n".join(points)
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        texts = [_amount_of(each) or _text_of(each) for each in value]
        return "\n".join(text.strip() for text in texts if text) if None not in texts else None
    return _text_of(value) if isinstance(value, dict) else None


def title_of_record(text: str) -> str | None:
    """The title in JSON that is an object with a title and a text, None where there is none."""
    value = object_or_none(text)
    titles = (value[key] for key in TITLE_KEYS if isinstance(value.get(key), str)) if value else iter(())
    title = next(titles, "").strip()
    return title if title and len(title) <= LONGEST_TITLE and "\n" not in title else None


def _text_of_parts(text: str) -> str | None:
    """The text of objects one after the other, which are parts of a line: comments as YouTube hands them
    out."""
    if text[:1] != "{" or text[-1:] != "}":
        return None
    parts = json_or_none(f"[{text}]") or []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(each for each in texts if isinstance(each, str)) or None


def is_chat(text: str) -> bool:
    """Whether `text` is JSON of a chat, whose speakers are to be read with what they say."""
    return any(_turns(each) for each in _chats(json_or_none(text)))


def _chats(value: Any) -> Iterator[Any]:
    """Where in JSON a chat may be."""
    yield value
    if isinstance(value, dict):
        yield _tree_of_turns(value.get("mapping", value))
        yield from map(value.get, CHAT_KEYS)


def _tree_of_turns(nodes: Any) -> list[Any]:
    """The turns of a chat that is kept as a tree, each node with its key, in the order of the file."""
    if not isinstance(nodes, dict) or not all(isinstance(n, dict) and "parent" in n for n in nodes.values()):
        return []
    messages = [node["message"] for node in nodes.values() if isinstance(node.get("message"), dict)]
    return [message for message in messages if _parts(message.get("content"))]


def _turns(value: Any) -> list[str]:
    """What is said in a chat, the speaker before it; [] where `value` is no chat."""
    if not isinstance(value, list) or not value or not all(isinstance(turn, dict) for turn in value):
        return []
    turns = []
    for turn in value:
        speaker = next((name for key in SPEAKER_KEYS if (name := _name(turn.get(key)))), None)
        text = next((_parts(turn[key]) for key in TEXT_KEYS if key in turn), None)
        if speaker is None or text is None or len(speaker) > LONGEST_SPEAKER or "type" in turn:
            return []
        if text.strip():
            turns.append(f"{speaker}: {text.strip()}")
    return turns


def _name(speaker: Any) -> str | None:
    """A speaker's name, or what he is in the chat."""
    if isinstance(speaker, dict):
        speaker = next((speaker[key] for key in ("name", "role") if speaker.get(key)), None)
    return speaker if isinstance(speaker, str) else None


def _parts(content: Any) -> str | None:
    """What a turn says: a string, or a list of parts, some of which are pictures or calls of a tool."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, dict):
        content = content.get("parts", content.get("text"))
        content = [content] if isinstance(content, str) else content
    if not isinstance(content, list):
        return None
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "\n".join(text for text in texts if isinstance(text, str))


def _is_outline(value: Any) -> bool:
    """Whether `value` is a list of points that have points below them, without types, as blocks have them."""
    if not isinstance(value, list) or not value:
        return False
    points = [point for point in value if isinstance(point, dict) and "type" not in point]
    below = [point["children"] for point in points if isinstance(point.get("children"), list)]
    named = all(any(isinstance(point.get(key), str) for key in POINT_KEYS) for point in points)
    children = [child for each in below for child in each]
    return (
        len(points) == len(value)
        and named
        and any("string" in point or "uuid" in point for point in [*points, *children])
    )


def _points(value: Sequence[Mapping[str, Any]], depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        return
    for point in value:
        if not isinstance(point, dict):
            continue
        text = next((point[key] for key in POINT_KEYS if isinstance(point.get(key), str)), "")
        if text.strip():
            yield "  " * depth + "- " + text.strip()
        if isinstance(point.get("children"), list):
            yield from _points(point["children"], depth + 1)


def _cells(notebook: Mapping[str, Any]) -> list[str]:
    """The texts and the code of a Jupyter notebook, without what the code printed; [] for anything else."""
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) and "source" in cell for cell in cells):
        return []
    sources = (cell["source"] for cell in cells)
    texts = ("".join(map(str, source)) if isinstance(source, list) else str(source) for source in sources)
    return [text.strip("\n") for text in texts if text.strip()]


def _amount_of(record: Mapping[str, Any]) -> str | None:
    """An ingredient with its amount: {"name": "flour", "quantity": 2, "unit": "cups"} is "2 cups flour"."""
    found = [next((record[key] for key in keys if record.get(key)), None) for keys in AMOUNT_KEYS]
    if found[0] is None or not isinstance(found[-1], str):
        return None
    return " ".join(str(part).strip() for part in found if isinstance(part, str | int | float))


def _text_of(record: Mapping[str, Any], depth: int = 0) -> str | None:
    """The text of an object that has one, and no longer string: a post as an API hands it out. It may be in
    an object of that object: {"tweet": {"full_text": ...}}."""
    if isinstance(parts := record.get("rich_text"), list):
        texts = [part.get("plain_text") for part in parts if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    if "value" in record and _VALUE_KEYS.issuperset(record) and isinstance(record["value"], str):
        return str(record["value"])
    key = next((key for key in _RECORD_KEYS if isinstance(record.get(key), str)), None)
    if key is None:
        named = [each for key in TEXT_KEYS if isinstance(each := record.get(key), dict)]
        inner = named or [each for each in record.values() if isinstance(each, dict)]
        texts = [text for each in inner if depth < MAX_WRAPPED and (text := _text_of(each, depth + 1))]
        return texts[0] if len(texts) == 1 else None
    if any(isinstance(record.get(key), list) for key in ("children", "content", "ops")):
        return None
    text = str(record[key])
    others = [each for other, each in record.items() if other != key and isinstance(each, str)]
    return text if all(len(each) <= max(len(text), 80) for each in others) else None
