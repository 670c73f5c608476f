"""From the columns of a row to its text: by a template, by a plugin, or title and body."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pluggy import HookCaller

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.template import RenderError, Template

from .chat_phrases import MARK
from .decode import NOT_UTF8, NOTHING, WINDOWS_1252, Decoded, decode_bytes
from .documents import clean_text, join_document, without_heading
from .mail_messages import is_unread_message
from .markers import split_at_markers
from .markup import WIKI
from .sample import Value
from .speaker_names import speaker_name
from .sqlite import find_name
from .text_kinds import PLAIN, TextKind
from .values_as_text import documents_of, read_text, read_title
from .wiki import is_redirect

# Reasons for skipping rows
REDIRECTS = "a wiki's redirects to other pages"
UNREAD_MAIL = "spam, drafts, or thrown away, as headers of the mail say"
NO_TEXT, ONLY = "no text", "only "  # and then what the row has
_FOLLOWS = re.compile(
    r"[.,;:!?%)\]\u2026\u201d]+|['\u2019](?:s|d|m|t|re|ve|ll)|n['\u2019]t", re.IGNORECASE
)  # without a space
MAX_REASONS = 20  # reasons for skipping rows that are counted one by one; the rest are counted together


class RowText(NamedTuple):
    """The text of one row: a document, or a part of one."""

    title: str
    text: str
    others: list[str]  # documents after a marker
    goes_on: bool = False  # after the text of the row before it, on the same line
    speaker: str = ""  # who goes before the text, but for rows that follow another one of the same

    @property
    def with_speaker(self) -> str:
        """The text as that of the first row of who wrote it."""
        text = self.text.lstrip(" ") if self.goes_on else self.text
        return f"{self.speaker}: {text}" if self.speaker else text


@dataclass
class RowReader:
    """How the columns of a row become its text. `skipped` and `decoded` count rows, as `Source` has them."""

    database: str  # as plugins know it: the file's name without .db
    table: str
    title: str | None
    body: tuple[str, ...]
    kinds: Mapping[str, TextKind]
    encoding: Callable[[str], str]  # column -> encoding of its bytes that are not UTF-8, if `kinds` lacks it
    template: Template | None = None
    speaker: str | None = None  # the column that says who wrote the row; it is put before the text
    hook: HookCaller | None = None  # a plugin's; not used with a template, which was written for this run
    skipped: Counter[str] = field(default_factory=Counter)
    decoded: Counter[str] = field(default_factory=Counter)
    attachments: int = 0  # to mail
    cut: int = 0  # texts of mail of which something is left out

    @property
    def columns(self) -> list[str]:
        """The columns that become text."""
        return [*(name for name in (self.title, self.speaker) if name), *self.body]

    def documents(self, row: Mapping[str, Value]) -> list[str]:
        """The documents of a row by itself; none where it is left out, which is counted."""
        text = self.read(row)
        if text is None:
            return []
        documents = [
            join_document(text.title, [text.with_speaker]),
            *(join_document(None, [o]) for o in text.others),
        ]
        if not any(documents):
            nothing = [value for column in self.body if (value := row[column]) in NOTHING]
            self.skipped[f"{ONLY}{str(nothing[0]).lstrip(MARK)!r}" if nothing else NO_TEXT] += 1
        return [document for document in documents if document]

    def read(self, row: Mapping[str, Value]) -> RowText | None:
        """The text of a row, which may be empty; None where it is left out, which is counted."""
        if self.template:
            return self._of_template(self.template, row)
        text = self._of_plugin(self.hook, row) if self.hook else None
        if text is None:
            return self._of_columns(row)
        return RowText("", text, []) if text else None

    def _of_template(self, template: Template, row: Mapping[str, Value]) -> RowText | None:
        decoded = self._decode(row)
        if decoded is None:
            return None
        values: dict[str, str | int | float | None] = {}
        for column, value in decoded.items():
            values[column] = value
            if isinstance(value, str):
                read = read_text(value, self.kinds.get(column, PLAIN))
                values[column] = clean_text(read.text)
                self.attachments += read.attachments
                self.cut += read.is_cut
        named = {name: values[find_name(name, self.columns) or name] for name in template.columns}
        try:
            text = template.render(named)
        except RenderError as error:
            reason = str(error)
            few = reason in self.skipped or len(self.skipped) < MAX_REASONS
            self.skipped[reason if few else "the template fails for other reasons"] += 1
            return None
        has_markers = any(kind.markers for kind in self.kinds.values())
        first, *others = (split_at_markers(text) if has_markers else [text]) or [""]
        return RowText("", first, others)

    def _of_plugin(self, hook: HookCaller, row: Mapping[str, Value]) -> str | None:
        """The plugin's text of a row, "" if it is left out, None if the plugin has no opinion."""
        answer = hook(database=self.database, table=self.table, row=row)
        if answer is False:
            self.skipped["left out by a plugin"] += 1
            return ""
        if answer is None:
            return None
        if not isinstance(answer, str):
            raise NanogptError(
                "A plugin's nanogpt_document() must return a str, False or None, "
                f"not {type(answer).__name__}."
            )
        return answer or "\n"  # no text, which `documents` counts

    def _of_columns(self, row: Mapping[str, Value]) -> RowText | None:
        decoded = self._decode(row)
        if decoded is None:
            return None
        texts = {
            column: "" if value is None or value in NOTHING else str(value)
            for column, value in decoded.items()
        }
        has_entities = any(self.kinds[column].format == "html" for column in self.body)
        title, speaker = (
            read_title(text, self.kinds[name], entities=has_entities) if name else ""
            for name, text in (
                (self.title, texts.get(self.title or "", "")),
                (self.speaker, speaker_name(texts.get(self.speaker or "", ""))),
            )
        )
        bodies: list[str] = []
        others: list[str] = []
        for column in self.body:
            text = read_text(texts[column], self.kinds[column])
            is_own = not title and bool(text.title)
            title = title or text.title or ""
            self.attachments += text.attachments
            self.cut += text.is_cut
            if title and (is_own or self.kinds[column].title_again):
                text = text._replace(text=without_heading(text.text, title))
            first, *rest = documents_of(text.text, self.kinds[column]) or [""]
            if (question := self.kinds[column].question) and first.strip():
                first = f"{question}\n{first.lstrip(chr(10))}"
            bodies.append(first)
            others += rest
        body = join_document(None, bodies)
        if any(self.kinds[column].words for column in self.body):
            return RowText(title, body if _FOLLOWS.fullmatch(body) else f" {body}", others, True, speaker)
        goes_on = any(self.kinds[column].pieces for column in self.body) and body.startswith(" ")
        if body and speaker.strip():
            if self.kinds[self.speaker or ""].turns:
                return RowText(title, body, others, goes_on, speaker)
            return RowText(title, f"{speaker}: {body.lstrip(' ')}", others)
        return RowText(title, body, others, goes_on)

    def _decode(self, row: Mapping[str, Value]) -> dict[str, str | int | float | None] | None:
        """The values of the columns without bytes; None where some bytes are no text, or the row only leads
        to another one, which is counted."""
        values: dict[str, str | int | float | None] = {}
        encodings: set[str] = set()
        for column in self.columns:
            value = row[column]
            if self.kinds[column].instead and any(
                _is_text(values[name]) for name in self.body if name in values
            ):
                value = None
            if isinstance(value, bytes):
                decoded, what = self._decode_bytes(column, value)
                if decoded is None:
                    # Half a row would teach titles without texts.
                    self.skipped[f"{column} is {what}"] += 1
                    return None
                encodings |= {what} if what else set()
                value = decoded
            if isinstance(value, str) and self.kinds[column].markup == WIKI and is_redirect(value):
                self.skipped[REDIRECTS] += 1
                return None
            if isinstance(value, str) and self.kinds[column].without_unread and is_unread_message(value):
                self.skipped[UNREAD_MAIL] += 1
                return None
            values[column] = value
        self.decoded.update(encodings)
        return values

    def _decode_bytes(self, column: str, raw: bytes) -> Decoded:
        known = self.kinds[column].encoding
        decoded = decode_bytes(raw, known)
        if known or decoded.what not in (WINDOWS_1252, NOT_UTF8):
            return decoded
        return decode_bytes(raw, self.encoding(column))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value not in NOTHING
