"""Lines, signatures and blocks at the end of texts that many rows have, and how to leave them out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import reduce
from itertools import islice
from keyword import iskeyword
from typing import NamedTuple

from llm_nanogpt.template import MAX_SOURCE, Template

from ..formatting import shell_command
from ..hookspecs import document_hook
from .source import Source

MIN_DOCUMENTS = 10  # with fewer documents, lines that repeat are not reported
REPEATED = 0.5  # a line is reported if at least this fraction of the documents have it
REPEATED_AT_END = 0.2  # a block of lines is reported if at least this fraction of the documents end in it
END_CHARS = 5_000  # how much of the end of a document is looked at for such a block
BLOCK_LINES = 12  # the most lines of such a block
SAME_BLOCK = (
    0.8  # the line above belongs to a block if at least this fraction of the block's documents have it
)
WHOLE_TEXT = 0.1  # a line is not reported that is the whole text below more than this fraction of the titles
REPEATED_CHARS = 8  # shorter lines are not reported
BLOCK_CHARS = 25  # nor are blocks that are a single line and shorter than this
MAX_REPORTED = 3  # how many repeated lines are reported
SHOWN_CHARS = 60  # how much of a line is shown
MIN_SIGNED = 0.1  # signatures are reported if at least this fraction of the documents have one
MAX_DIFFERENT = 0.7  # and if at most this fraction of them are different
SIGNATURE_LINES, SIGNATURE_CHARS = 6, 500  # a signature is no longer

_TEXT_LINE = re.compile(r"(?!```|~~~).*\w")
# A line of code is reported, but nobody is told to leave it out.
_CODE_LINE = re.compile(
    r".*[;{}(\[]|.*\w\(\S*\):?|@\w+|[\w.]+ [+-]?= .*|#include.*|(?:import|using|package|use|require) [\w.:]+"
    r"|(?:if|elif|else|try|except|for|while|def|class|with|function|from|return|const|let|var)\b.*[:=_()'\"].*"
    r"|from [\w.]+ import .*|(?:end|else|return|pass|break|begin|fi|done)"
)
_SEPARATOR = re.compile(r"^(?:-- ?|_{5,})$", re.MULTILINE)
_TAKEN = frozenset(["row", "loop", "self", "true", "false", "none", "caller", "varargs", "kwargs", "super"])
_IN_NO_STRING = re.compile(r"[\\\n]|\{[{%#]|[}%#]\}")


def repeated_lines(source: Source, documents: Sequence[str]) -> Iterator[str]:
    """Sentences about lines that many of `documents` have, which are some of the source's. The last one that
    has a remedy says what to type to leave all of them out."""
    if (total := len(documents)) < MIN_DOCUMENTS:
        return
    remarks: list[str] = []
    cures: list[_Cure] = []
    signed, separator = _signatures(documents)
    if signed:
        documents = [_unsigned(document) for document in documents]
        remarks.append(
            f"{signed} of {total} rows looked at end in a line {separator!r} and a signature that other rows "
            "have, too."
        )
        cures.append(_Cure(lambda text: f'("\\n" ~ {text}).rsplit("\\n{separator}\\n", 1)|first', ""))
    told = _told_elsewhere(source, documents)
    blocks = [(block, count) for block, count in _blocks_at_end(documents) if told.isdisjoint(block)]
    for block, count in blocks:
        what = f"{len(block)} lines" if len(block) > 1 else "line"
        remarks.append(f"{count} of {total} rows looked at end in the {what} {_shown(' / '.join(block))}.")
        cures += _leaving_out(documents, block)
    known = {line for block, _ in blocks for line in block} | told
    often = ((line, n) for line, n in _common_lines(documents) if line not in known)
    for i, (line, n) in enumerate(islice(often, MAX_REPORTED)):
        remarks.append(f"{n} of {total} rows looked at have the line {_shown(line)}.")
        cures += _leaving_out(documents, (line,)) if i == 0 else []
    if cures and (option := _template_option(source, cures)):
        what = "all of this" if len(cures) > 1 else "it"
        last = max(int(bool(signed)) + len(blocks) - 1, 0)
        remarks[last] += f" To leave {what} out (in place of --title and --body): {option}"
    yield from remarks


def _told_elsewhere(source: Source, documents: Sequence[str]) -> set[str]:
    """Lines of which other remarks tell, or that stand there once: questions, the titles of conversations, of
    which the documents here are single rows, and what is the whole text below many titles."""
    lines = {kind.question for kind in source.kinds.values()}
    if source.title and source.grouping:
        lines |= {document.partition("\n")[0] for document in documents}
    elif source.title:
        counts = Counter(document.partition("\n\n")[2].strip() for document in documents)
        lines |= {text for text, n in counts.items() if "\n" not in text and n > WHOLE_TEXT * len(documents)}
    return lines - {""}


def _shown(line: str) -> str:
    return repr(line if len(line) <= SHOWN_CHARS else line[:SHOWN_CHARS] + "…")


def _signatures(documents: Sequence[str]) -> tuple[int, str]:
    """How many documents end in a line that separates and a signature, and the line; 0 where the signatures
    are not those of several rows each."""
    blocks = Counter[str]()
    separators = Counter[str]()
    for document in documents:
        if (unsigned := _unsigned(document)) != document:
            separator, _, block = document[len(unsigned) :].lstrip("\n").partition("\n")
            blocks[block] += 1
            separators[separator] += 1
    count = blocks.total()
    if count < MIN_SIGNED * len(documents) or len(blocks) > MAX_DIFFERENT * count or len(blocks) < 2:
        return 0, ""
    return count, separators.most_common(1)[0][0]


def _unsigned(document: str) -> str:
    """A document without what may be a signature at its end."""
    lines = [*_SEPARATOR.finditer(document)]
    if not lines:
        return document
    block = document[lines[-1].end() :].strip("\n")
    is_short = block.count("\n") < SIGNATURE_LINES and len(block) <= SIGNATURE_CHARS
    return document[: lines[-1].start()].rstrip("\n") if block and is_short else document


def _common_lines(documents: Sequence[str]) -> list[tuple[str, int]]:
    """Lines that most documents have, and how many do."""
    counts = Counter[str]()
    for document in documents:
        lines = dict.fromkeys(line.strip() for line in document.split("\n"))
        counts.update(line for line in lines if len(line) >= REPEATED_CHARS and _TEXT_LINE.match(line))
    return [(line, n) for line, n in counts.most_common() if n >= REPEATED * len(documents)]


def _blocks_at_end(documents: Sequence[str]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Blocks of lines in which many documents end, and how many do; below one there may be another."""
    rest = [[line.strip() for line in document[-END_CHARS:].split("\n")] for document in documents]
    known: set[str] = set()
    for _ in range(MAX_REPORTED):
        block, count = _block_at_end(rest, known)
        known |= {*filter(None, block)}
        if count < REPEATED_AT_END * len(documents):
            return
        is_long = len("".join(block)) >= BLOCK_CHARS or len(block) > 1
        is_line = len(block) == 1 and count >= REPEATED * len(documents)  # `_common_lines` reports it
        is_code = any(_CODE_LINE.fullmatch(line) for line in block)
        if is_long and not is_line and not is_code and any(map(_TEXT_LINE.match, block)):
            yield block, count
        ending = (lines[-len(block) :] == [*block] for lines in rest)
        cut = [lines[: -len(block)] if ends else lines for lines, ends in zip(rest, ending, strict=True)]
        rest = [lines[: len(lines) - (lines[-1:] == [""])] for lines in cut]


def _block_at_end(texts: Sequence[Sequence[str]], known: AbstractSet[str]) -> tuple[tuple[str, ...], int]:
    """The lines in which most texts end, and how many do. None of them is `known` of another block."""
    ends = Counter[tuple[str, ...]]()
    for lines in texts:
        ends.update(tuple(lines[-n:]) for n in range(1, min(BLOCK_LINES, len(lines) - 1) + 1))
    block, count = next(iter(ends.most_common(1)), ((), 0))
    while longer := [(b, n) for b, n in ends.items() if len(b) == len(block) + 1 and b[1:] == block]:
        more, n = max(longer, key=lambda end: end[1])
        if n < SAME_BLOCK * count or more[0] in known:
            break
        block, count = more, n
    while block and not block[0]:
        block = block[1:]
    return block, count if block else 0


# ---- Leaving them out


class _Cure(NamedTuple):
    """How a template leaves something out of an expression of text, and what is then in no text."""

    change: Callable[[str], str]
    gone: str


def _leaving_out(documents: Sequence[str], block: Sequence[str]) -> list[_Cure]:
    """How to leave out whole lines; [] where these are code or cannot be written in a template."""
    if any(_CODE_LINE.fullmatch(line) or _IN_NO_STRING.search(line) for line in block):
        return []
    lines, text = "\n".join(block), "\\n".join(block)
    quotes = next((quotes for quotes in ('"', "'") if quotes not in text), "")
    parts = (f"\n{document}\n".split(f"\n{lines}\n")[:-1] for document in documents)
    # With the blank line above, where there always is one.
    gap = "\\n\\n" if all(part.endswith("\n") or not part for each in parts for part in each) else "\\n"
    find = f"{quotes}{gap}{text}\\n{quotes}"
    cure = _Cure(lambda name: f'("{gap}" ~ {name} ~ "\\n")|replace({find}, "\\n")', f"\n{lines}\n")
    return [cure] if quotes else []


def _template_option(source: Source, cures: Sequence[_Cure]) -> str:
    """The option with a template that makes these changes; "" where documents are not what a template can
    make of the columns, or something would not be gone."""
    kinds = [source.kinds[column] for column in source.body]
    is_more = any(kind.has_titles or kind.title_again for kind in kinds)
    if is_more or source.template or source.grouping or document_hook():
        return ""
    if any(sign in column for sign in '"\\' for column in (source.title or "", *source.body)):
        return ""
    parts = [_name(source.title)] if source.title else []
    is_alone = source.title is None and len(source.body) == 1
    for name in source.body:
        text = reduce(lambda text, cure: cure.change(text), cures, _name(name))
        parts.append(text if is_alone else f'({text}).strip("\\n")')  # what stands beside others
    template = "\\n\\n".join(f"{{{{ {part} }}}}" for part in parts)
    if len(template) > MAX_SOURCE:
        return ""
    opened = Template(template)
    changed, _ = replace(source, title=None, body=opened.columns, template=opened).read_sample()
    if any(cure.gone and cure.gone in f"\n{document}\n" for document in changed for cure in cures):
        return ""
    return shell_command(["--template", template])


def _name(column: str) -> str:
    """A column as a template names it."""
    is_name = column.isidentifier() and column.isascii() and not iskeyword(column)
    return column if is_name and column not in _TAKEN else f'row["{column}"]'
