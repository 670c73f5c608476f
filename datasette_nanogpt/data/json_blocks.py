"""JSON of blocks, as editors store a page, to the text of the blocks in order.

Wagtail's StreamField, Editor.js, Ghost's Lexical and Mobiledoc, ProseMirror and TipTap, Slate, Draft.js,
Quill, Portable Text, Contentful, Notion, BlockNote, Gutenberg and Day One differ in names, and agree in this:
a page is a list of blocks, a block has a type, and its text is a string in it or is spread over children.
Ids, addresses, types and colours are strings too, but they are not text. A list of sentences is lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape
from itertools import pairwise
from typing import Any

from .html import html_to_text
from .json_records import read_list
from .json_values import json_or_none

_TYPE_KEYS = ("type", "_type", "nodeType", "blockName", "object")
_CHILD_KEYS = ("children", "content", "nodes", "leaves")
_CONTENT_KEYS = (*_CHILD_KEYS, "value", "data", "text", "innerHTML", "rich_text")
_PAGE_KEYS = ("root", "doc", "document", "blocks", "content", "nodes", "children", "results", "body")
_LEAF_TYPES = ("text", "span", "extended-text", "code-highlight", "leaf", None)
_BREAK_TYPES = ("linebreak", "hardBreak", "hard_break", "br", "break")
_ITEM = re.compile(
    r".*(?:list|bullet|numbered|ordered|task|check|todo)[-_]?(?:list)?[-_]?item|li|to_do", re.IGNORECASE
)
# Under these keys is how a text looks, where it leads to, or a copy of text that was read already.
_NO_TEXT = """
marks markDefs markups entityMap inlineStyleRanges entityRanges styles innerContent tunes annotations type
_type nodeType blockName object id _id _key key uuid url href src uri link style class className format mode
direction lang language locale version icon image file slug rel target theme layout align textAlign alignment
color textColor backgroundColor background listItem embed provider mimeType tag
"""
# Words of the names of keys whose strings are text, whatever they look like.
_TEXT = """
text title subtitle heading headline subheading caption alt quote cite citation description summary html
markdown code message question answer intro introduction lead paragraph content body author
"""
_SKIPPED, _TEXT_WORDS = frozenset(_NO_TEXT.split()), frozenset(_TEXT.split())
_RUN_KEYS = frozenset(["text", "attributes", "embeddedObjects"])
_CODE_KEYS = ("code", "markdown")
_KEY_WORD = re.compile(r"[A-Z]?[a-z]+")
_MACHINE = re.compile(
    r"(?:[\w+.-]+:/?/?|/|#)\S*|[0-9a-fA-F-]{8,}|rgba?\(.*\)|[-+\d.,:%]+|\d{4}-\d\d-\d\d[T \d:.Z+-]*"
    r"|\d+(?:px|r?em|vh|vw)|\S+\.(?:png|jpe?g|gif|webp|svg|pdf|mp[34]|html?|css|js)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?:\u2026\u3002][\"'\u201d\u2019)]?\Z")
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>")
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);")
MAX_DEPTH = 200  # levels of blocks within blocks; pages that people write have about ten


class _Item(str):
    """A paragraph that is the item of a list: the next item follows without a blank line."""


def read_blocks(text: str) -> str | None:
    """The text of the blocks in the JSON `text`, None where it is not JSON of blocks."""
    if text.lstrip()[:1] not in ("{", "[", "c"):
        return None
    try:
        page = _parse(text)
        if (lines := _lines(page)) is not None:
            return "\n".join(lines)
        if (message := _message_parts(page)) is not None:
            return "".join(message)
        if (runs := _runs(page)) is not None:
            return "".join(runs).strip("\n")
        if not _is_page(page):
            return None
        paragraphs = list(_mobiledoc(page) if _is_mobiledoc(page) else _paragraphs(page, 0))
    except (ValueError, RecursionError, TypeError, IndexError):  # the last two of what only looks like a page
        return None
    parts: list[str] = []
    for paragraph in paragraphs:
        if parts:
            parts.append("\n" if isinstance(paragraph, _Item) and isinstance(parts[-1], _Item) else "\n\n")
        parts.append(paragraph)
    return "".join(parts)


def _parse(text: str) -> Any:
    """JSON, or else a list as Python or R print it. Raises ValueError for anything else."""
    try:
        return json.loads(text)
    except ValueError:
        if lines := read_list(text):
            return lines
        raise


def _lines(value: Any) -> list[str] | None:
    """The lines that JSON is, None if it is anything else: a list of sentences, as the steps of a recipe, or
    answers with the places where they stand, as in SQuAD."""
    if isinstance(value, dict) and "text" in value:
        others = [each for key, each in value.items() if key != "text"]
        if not all(isinstance(each, list) and all(isinstance(n, int) for n in each) for each in others):
            return None
        return value["text"] if _is_list_of_strings(value["text"]) else None
    # Without a space they are tags or keys.
    is_text = _is_list_of_strings(value) and any(re.search(r"\s|[^\x00-\x7f]", each) for each in value)
    return value if is_text else None


def has_parts(text: str) -> bool:
    """Whether `text` is JSON of strings and objects that are one text together, as of a chat message with a
    link in it: ["See ", {"type": "link", "text": "https://example.org"}, "."]."""
    return text.lstrip()[:1] == "[" and _message_parts(json_or_none(text)) is not None


def _message_parts(value: Any) -> list[str] | None:
    if not isinstance(value, list) or not any(isinstance(each, str) for each in value):
        return None
    texts = [each.get("text") if isinstance(each, dict) else each for each in value]
    strings = [text for text in texts if isinstance(text, str)]
    is_mixed = any(isinstance(each, dict) for each in value)
    return strings if is_mixed and len(strings) == len(value) else None


def _runs(value: Any) -> list[str] | None:
    """The parts of a text of Day One's, which have its line breaks; a part without text is a picture."""
    parts = value.get("contents") if isinstance(value, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return None
    texts = [text for part in parts if isinstance(text := part.get("text"), str)]
    are_runs = all(_RUN_KEYS.issuperset(part) for part in parts)
    return texts if texts and are_runs else None


def _is_list_of_strings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _is_page(value: Any) -> bool:
    """Whether parsed JSON is made of blocks."""
    if isinstance(value, list):
        blocks = [each for each in value if isinstance(each, dict)]
        return len(blocks) == len(value) > 0 and 2 * sum(map(_is_block, blocks)) >= len(value)
    if not isinstance(value, dict):
        return False
    if _is_mobiledoc(value):
        return True
    if isinstance(ops := value.get("ops"), list):
        return bool(ops) and all(isinstance(op, dict) and "insert" in op for op in ops)
    if isinstance(value.get("root"), dict):
        return _is_page(value["root"])
    return any(isinstance(value.get(key), list | dict) and _is_page(value[key]) for key in _PAGE_KEYS)


def _are_apart(nodes: Sequence[Any], depth: int) -> bool:
    """Whether texts are paragraphs, as those of Tumblr, and not parts of a line: no spaces are between them,
    and nothing is around them, or they end as sentences do, or are said to be headings and the like."""
    typed = [node for node in nodes if isinstance(node, dict) and "type" in node and _leaf(node)]
    texts = [text for node in typed if (text := _leaf(node))]
    pairs = list(pairwise(texts))
    if not pairs or any(before[-1].isspace() or after[0].isspace() for before, after in pairs):
        return False
    are_told = any("subtype" in node for node in typed)
    return depth == 0 or are_told or all(_SENTENCE_END.search(before) for before, _ in pairs)


def _is_mobiledoc(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("sections"), list) and "version" in value


def _is_block(block: Mapping[str, Any]) -> bool:
    kind = _type_of(block)
    if kind is None:
        return any(isinstance(block.get(key), list) and _is_inline(block[key]) for key in _CHILD_KEYS)
    return kind in block or any(key in block for key in _CONTENT_KEYS)


def _type_of(node: Mapping[str, Any]) -> str | None:
    kinds = (node[key] for key in _TYPE_KEYS if isinstance(node.get(key), str))
    return next((kind for kind in kinds if kind != "block" or "children" in node), None)


def _leaf(node: Any) -> str | None:
    """The text of a node that is part of a line, None for any other node."""
    if not isinstance(node, dict):
        return None
    kind = _type_of(node)
    if kind in _BREAK_TYPES:
        return "\n"
    if "insert" in node:
        return node["insert"] if isinstance(node["insert"], str) else ""
    if kind not in _LEAF_TYPES or any(isinstance(node.get(key), list) for key in _CHILD_KEYS[:3]):
        return None
    if isinstance(leaves := node.get("leaves"), list):
        return "".join(_leaf(leaf) or "" for leaf in leaves)
    for key in ("plain_text", "text", "value" if node.get("nodeType") == "text" else "text"):
        if isinstance(node.get(key), str):
            return str(node[key])
    return None


def _is_inline(nodes: Sequence[Any]) -> bool:
    return any(_leaf(node) is not None for node in nodes)


def _line(nodes: Iterable[Any]) -> str:
    """The text of nodes that are parts of a line; some, such as links, have children of their own."""
    parts = []
    for node in nodes:
        leaf = _leaf(node)
        if leaf is None and isinstance(node, dict):
            leaf = _line(next((node[key] for key in _CHILD_KEYS if isinstance(node.get(key), list)), []))
        parts.append(leaf or "")
    return "".join(parts)


def _paragraphs(node: Any, depth: int, key: str = "") -> Iterator[str]:
    """The paragraphs below a node, in order. `key` is the name under which its parent has it."""
    if depth > MAX_DEPTH:
        return
    if isinstance(node, str):
        if text := _text(key, node):
            yield text
    elif isinstance(node, list):
        if _is_inline(node) and _are_apart(node, depth):
            for each in node:
                yield from _apart(each, depth + 1)
        elif _is_inline(node):
            yield from filter(None, [_line(node).strip("\n")])
        elif node and all(isinstance(row, list) for row in node):  # a table
            yield from (_Item(" | ".join(_cell(cell, depth + 1) for cell in row)) for row in node)
        else:
            for each in node:
                below = _paragraphs(each, depth + 1, "text" if key == "items" else key)
                yield from _as_item(below) if key == "items" else below
    elif isinstance(node, dict):
        below = _below(node, depth)
        is_item = "listItem" in node or _ITEM.fullmatch(_type_of(node) or "")
        yield from _as_item(below) if is_item else below


def _apart(node: Any, depth: int) -> Iterator[str]:
    """The paragraph of a text that is one by itself, or those of another node."""
    if (text := _leaf(node)) is None:
        yield from _paragraphs(node, depth)
    elif text.strip():
        is_item = isinstance(node, dict) and _ITEM.fullmatch(str(node.get("subtype") or ""))
        yield from _as_item([text]) if is_item else [text]


def _cell(cell: Any, depth: int) -> str:
    if isinstance(cell, str | int | float):
        return html_to_text(str(cell)).replace("\n", " ")
    return " ".join(_paragraphs(cell, depth, "text"))


def _below(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    plain = "inlineStyleRanges" in node  # Draft.js has no HTML in its texts
    for key, value in node.items():
        if key in _SKIPPED and not (isinstance(value, dict | list) and key == _type_of(node)):
            continue
        if plain and key == "text" and isinstance(value, str):
            yield from filter(None, [value])
        else:
            yield from _paragraphs(value, depth + 1, key)


def _as_item(paragraphs: Iterable[str]) -> Iterator[str]:
    if lines := "\n".join(paragraphs):
        yield _Item(lines if lines.startswith("- ") else "- " + lines.replace("\n", "\n  "))


def _text(key: str, value: str) -> str:
    """A string of a block as text, "" if it is not text. HTML becomes text, except in code."""
    value = value.strip()
    words = {word.lower() for word in _KEY_WORD.findall(key)}
    if not value or _MACHINE.fullmatch(value):
        return ""
    if not (words & _TEXT_WORDS) and not re.search(r"\s|[^\x00-\x7f]|^[A-Z].*[a-z]|<", value):
        return ""  # one word, as settings are
    if key in _CODE_KEYS:
        return value
    if _TAG.search(value):
        return html_to_text(value)
    return unescape(value) if value.count("&") == len(_ENTITY.findall(value)) else value


def _mobiledoc(page: Mapping[str, Any]) -> Iterator[str]:
    """The paragraphs of Ghost's older format, in which all parts are numbered lists."""
    atoms, cards = page.get("atoms") or [], page.get("cards") or []

    def line(markers: Iterable[Sequence[Any]]) -> str:
        return "".join(
            str(atoms[value][1])
            if kind == 1 and isinstance(value, int) and value < len(atoms)
            else str(value)
            for kind, *_, value in markers
        )

    for kind, *section in page["sections"]:
        if kind == 1 and len(section) > 1:
            yield from filter(None, [line(section[1])])
        elif kind == 3:
            yield from (_Item("- " + line(markers)) for markers in section[1])
        elif kind == 10 and section[0] < len(cards):
            yield from _paragraphs(cards[section[0]][1], 1)
