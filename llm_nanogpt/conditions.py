"""Columns as conditions: writing a row of which some columns are given, and the model writes the others.

The given columns before the first open one are the prompt, and steer what follows as a title does. An open
column between given ones is written up to the text that follows it in every row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .checkpoint import Checkpoint
from .errors import InvalidOptions, NanogptError, Problem
from .generate import Continuation, GenerationSettings, generate
from .layout import BLANK_LINE, Layout, Segment, Slot
from .loading import OpenedModel
from .sampler import Sampler
from .template import Template

SUBJECT = "subject"  # what the title of a text is called that was a whole mail
# An open column before others that does not end by itself is cut: when it has twice the tokens that a row of
# the training text has on average, or half of those left. So many it may have in any case, if they are left:
COLUMN_TOKENS = 50
COLUMN_ROWS = 2
# Where such a column may be cut: before a line break, and after a sentence. "2." before a step is none.
_END = re.compile("(?=\n)|(?<=[^\\W\\d][.!?…])[\"'\u201d\u2019)\\]]*(?=\\s)|(?<=[\u3002\uff01\uff1f\u0964])")


def write_row(
    opened: OpenedModel,
    values: Mapping[str, str],
    prompt: str = "",
    *,
    sampler: Sampler | None = None,
    has_answers: bool = False,
    **settings: Any,  # the fields of GenerationSettings
) -> RowContinuation:
    """The text of a row with these columns, as from `generate`. `prompt` is the beginning of its last column;
    in a conversation that has answers (`has_answers`), it is all the text after the columns before the first
    one that is not given.

    Raises InvalidOptions for unknown columns, and NanogptError if the columns of a text cannot be told apart.
    """
    layout = layout_of(opened.checkpoint.meta.get("source") or {}, values)
    filled = layout.fill(values)
    if has_answers:
        filled = filled[: filled.index(None)]
    return RowContinuation(
        opened, layout, filled, prompt, sampler or Sampler(), GenerationSettings(**settings)
    )


def write_text(
    opened: OpenedModel,
    prompt: str,
    *,
    title: str = "",
    values: Mapping[str, str] | None = None,
    has_answers: bool = False,
    **how: Any,  # the sampler, and the fields of GenerationSettings
) -> Continuation:
    """A text with a title, with columns, or with neither, by a model of any kind: where a template says what
    a text is, its title is a column like others. Raises InvalidOptions as `write_row` does, and for a title
    where the texts have none."""
    if title:
        _check_has_titles(opened.checkpoint)
    has_template = (opened.checkpoint.meta.get("source") or {}).get("template")
    if values or (title and has_template):
        columns = {**(values or {}), **({"title": title} if title else {})}
        return write_row(opened, columns, prompt, has_answers=has_answers, **how)
    return generate(opened.model, opened.tokenizer, prompt, title=title, **how)


def _check_has_titles(checkpoint: Checkpoint) -> None:
    """Raises InvalidOptions if the model was trained on texts without titles. Of a model that was imported
    nobody knows. A template has a check of its own: a title is one of its columns."""
    source, corpus = (checkpoint.meta.get(key) or {} for key in ("source", "corpus"))
    if not source or source.get("template") or source.get("title"):
        return
    if checkpoint.config.titles or corpus.get("titles"):  # inside the texts, as the subject of a mail
        return
    columns = [name for name in (source.get("speaker"), *(source.get("body") or ())) if name]
    listed = f" Its columns are: {', '.join(columns)}." if columns else ""
    message = f"The text of this model has no title.{listed} Give the beginning of the text as the prompt"
    raise InvalidOptions([Problem("title", "missing_column", message)])


class RowContinuation(Continuation):
    """A `Continuation` of a row. The pieces are all of its text but for `prompt`, which is what is known of
    its beginning; given columns that come later are among them."""

    def __init__(
        self,
        opened: OpenedModel,
        layout: Layout,
        filled: Sequence[str | None],
        prompt: str,
        sampler: Sampler,
        settings: GenerationSettings,
    ) -> None:
        self.layout, self.filled = layout, list(filled)
        self._longest = _longest_column(opened.checkpoint)
        self._given = [i for i, text in enumerate(filled) if text is not None]
        self._known, self._made = _known_and_made(layout, filled, prompt)
        layout.check_ends(filled[: self._made])
        self._begins = layout.text_of(filled[: self._known])
        self._prompt_later = prompt if self._known < self._made else ""
        at_once = "" if self._prompt_later else prompt
        super().__init__(opened.model, opened.tokenizer, self._begins + at_once, sampler, settings)
        self.text = self.prompt  # as far as it is written

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns of the text, as far as it is written."""
        return self.layout.split(self.text, self.filled)

    def _run(self) -> Generator[str]:
        text = self._begins
        for i in range(self._known, self._made):
            after = self.layout.literals[i + 1]
            if self.filled[i] is None:
                self.filled[i] = self.layout.known(self.filled, i)
            if (value := self.filled[i]) is None:
                start = len(self.text)
                above = self.layout.above_blank_line(i)
                steers = any(j < i for j in self._given)
                yield from self._follow(text if steers else "", [after, BLANK_LINE] if above else [after])
                if self.finish_reason:
                    return
                self.filled[i] = self.text[start:]
                yield self._put(after)
            else:
                yield self._put(value + after)
            text = self.text
        if self._prompt_later:
            yield self._put(self._prompt_later)
        yield from self._follow(text if self._given else "")

    def _put(self, text: str) -> str:
        self.text += text
        return text

    def _follow(self, condition: str, ends: Sequence[str] = ()) -> Iterator[str]:
        """Write on, up to one of the `ends` of a column, if there are any; the figures are added up."""
        left = self.settings.max_tokens - self.new_tokens
        settings = replace(
            self.settings,
            condition=condition,
            max_tokens=max(1, int(min(left // 2, self._longest))) if ends else left,
            ends_whole=not ends,  # `_cut_at_end` cuts columns
            stop=[*self.settings.stop, *ends],
        )
        part = Continuation(self.model, self.tokenizer, self.text, self.sampler, settings)
        tokens, seconds, characters = self.new_tokens, self.seconds, len(self.text) - len(self.prompt)

        def add_up() -> None:
            self.new_tokens, self.seconds = tokens + part.new_tokens, seconds + part.seconds
            self.ends += [characters + end for end in part.ends[len(self.ends) - ended :]]
            if self.logprobs is not None:
                self.logprobs += (part.logprobs or [])[len(self.logprobs) - logged :]

        ended, logged = len(self.ends), len(self.logprobs or ())
        try:
            for piece in _cut_at_end(part) if ends else part:
                add_up()
                yield self._put(piece)
        finally:
            part.close()
            add_up()
            self.prompt_tokens = self.prompt_tokens or part.prompt_tokens
            self.dropped_tokens = max(self.dropped_tokens, part.dropped_tokens)
        stopped = part.stop_text is not None and part.stop_text in self.settings.stop
        if not ends or stopped or self.new_tokens >= self.settings.max_tokens:
            self.finish_reason, self.stop_text = part.finish_reason, part.stop_text
        elif part.finish_reason == "length":  # some tokens may have been left out
            written = len(self.text) - len(self.prompt)
            self.ends[ended:] = [min(end, written) for end in self.ends[ended:]]


def _longest_column(checkpoint: Checkpoint) -> float:
    """How many tokens an open column may have, by the length of the rows; any number, if it is not known."""
    corpus = checkpoint.meta.get("corpus") or {}
    tokens, rows = corpus.get("train_tokens"), corpus.get("train_documents")
    return max(COLUMN_TOKENS, round(COLUMN_ROWS * tokens / rows)) if tokens and rows else math.inf


def _cut_at_end(part: Continuation) -> Iterator[str]:
    """The pieces of a column. If it was cut, then with its last whole line or sentence, or at least with a
    whole word, where there is one in the later half of what it may have."""
    held, follows_end = "", False
    for piece in part:
        held += piece
        safe = len(held)
        if part.new_tokens > part.settings.max_tokens // 2:
            found = [match.end() for match in _END.finditer(held)]
            follows_end = follows_end or bool(found)
            safe = max(found, default=0)
        if safe:
            yield held[:safe]
            held = held[safe:]
    if part.finish_reason == "length":
        words, space, _ = held.rpartition(" ")
        held = "" if follows_end else words.rstrip(" ,;:") if space else held
    if held:
        yield held


def _known_and_made(layout: Layout, filled: Sequence[str | None], prompt: str) -> tuple[int, int]:
    """How many slots are known from the start; and how many are made one by one, up to the last given one, or
    to the one that the prompt begins. The rest is written in one go."""
    in_last = prompt and len(filled) == len(layout.slots)
    given = [i for i, text in enumerate(filled) if text is not None]
    made = len(filled) - 1 if in_last else max(given, default=-1) + 1
    return min(next((i for i, text in enumerate(filled) if text is None), len(filled)), made), made


def read_row(
    source: Mapping[str, Any], values: Mapping[str, str], prompt: str, written: str
) -> tuple[str, dict[str, str | None], str | None]:
    """A text that `write_text` wrote with these columns and this prompt, of which `written` is what it gave:
    what was known of its beginning, its columns, None for those that it does not get to, and which of them is
    the last one.

    Raises NanogptError as `write_row` does.
    """
    layout = layout_of(source, values or None)
    if not values:
        return prompt, *layout.split_last(prompt + written)
    filled = layout.fill(values)
    known, made = _known_and_made(layout, filled, prompt)
    begins = layout.text_of(filled[:known]) + ("" if known < made else prompt)
    return begins, *layout.split_last(begins + written, filled)


def can_be_given(source: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Whether a row can be written with these columns: the place of one may depend on another."""
    try:
        layout_of(source, values).fill(values)
    except NanogptError:
        return False
    return True


def layout_of(source: Mapping[str, Any], values: Mapping[str, str] | None = None) -> Layout:
    """The layout of what a model was trained on, by the `source` of its nanogpt.json; where its template has
    an `if`, it may depend on the columns that are given. Raises NanogptError where there is none."""
    if source.get("template"):
        return Template(source["template"]).layout(values)
    body = source.get("body") or []
    if not body:
        raise NanogptError("This model does not know which columns its text is made of")
    title = source.get("title") or (SUBJECT if "mail" in (source.get("read_as_text") or ()) else None)
    segments: list[Segment] = []
    for name, after in ((title, "\n\n"), (source.get("speaker"), ": ")):
        segments += [_column(name), after] if name else []
    for name in body:
        segments += [_column(name), "\n\n"]
    return Layout(segments[:-1], title=title)


def _column(name: str) -> Slot:
    return Slot(name, (name,), lambda values: str(values[name]))
