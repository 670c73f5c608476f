"""Small tables of the shapes that programs leave behind, with what a stranger expects to be read of each.

`TABLES` is name -> (columns with how a row's values are made, the title, the columns of the text). All of it
is invented.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import random
import uuid
from collections.abc import Callable

_WORDS = """
the a river mill house door light water winter morning letter road stone bird swallow window table bread
knife garden tree leaf wind rain snow cloud hill field gate path boat harbour rope sail anchor lamp fire smoke
coat walked ran sat stood said asked gave took made found lost kept saw heard knew thought went came left
stayed and but or so because when while after before under over behind beside slow quick old young small large
"""
WORDS = _WORDS.split()
NAMES = ["Ada", "Ben", "Cara", "Dov", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jan", "Kofi", "Lena"]
ROWS = 60

Maker = Callable[["Writer"], object]


class Writer:
    """Makes up the values of one row."""

    def __init__(self, i: int) -> None:
        self.i, self.random = i, random.Random(i)  # noqa: S311
        self.story = self.text()

    def pick(self, *values: object) -> object:
        return self.random.choice(values)

    def sentence(self, words: int = 10) -> str:
        return " ".join(self.random.choices(WORDS, k=words)).capitalize() + "."

    def title(self) -> str:
        return self.sentence(4)[:-1]

    def paragraph(self, sentences: int = 3) -> str:
        return " ".join(self.sentence() for _ in range(sentences))

    def text(self) -> str:
        return "\n\n".join(self.paragraph() for _ in range(3))

    def name(self) -> str:
        return f"{self.random.choice(NAMES)} {self.random.choice(WORDS).capitalize()}"

    def date(self) -> str:
        return f"2020-{self.i % 12 + 1:02d}-{self.i % 28 + 1:02d}T10:{self.i % 60:02d}:00Z"

    def url(self) -> str:
        return f"https://example.org/{self.random.choice(WORDS)}/{self.i}"

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def hash(self) -> str:
        return hashlib.sha1(str(self.i).encode()).hexdigest()  # noqa: S324


def number(w: Writer) -> int:
    return w.i


def same(value: object) -> Maker:
    return lambda w: value


def sometimes(make: Maker, every: int = 3) -> Maker:
    return lambda w: make(w) if w.i % every else None


def html_of(text: str) -> str:
    return "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n"))


def as_html(w: Writer) -> str:
    return html_of(w.story)


def json_list(w: Writer) -> str:
    return json.dumps([w.sentence(5) for _ in range(4)])


def timed(w: Writer) -> str:
    return "\n".join(
        f"[00:{line:02d}:{w.i:02d}] {w.random.choice(NAMES)}: {w.sentence()}" for line in range(9)
    )


TABLES: dict[str, tuple[dict[str, Maker], str | None, tuple[str, ...]]] = {
    "mastodon": (
        {
            "id": number,
            "created_at": Writer.date,
            "content": as_html,
            "spoiler_text": same(""),
            "uri": Writer.url,
        }
        | {"language": same("en"), "raw": lambda w: json.dumps({"id": w.i, "content": "<p>x</p>"})},
        None,
        ("content",),
    ),
    "whatsapp": (
        {
            "_id": number,
            "key_remote_jid": lambda w: f"49{w.i:09d}@s.whatsapp.net",
            "text_data": Writer.sentence,
        }
        | {"media_url": same(None)},
        None,
        ("text_data",),
    ),
    "readwise": (
        {
            "Highlight": Writer.paragraph,
            "Book Title": lambda w: f"The {WORDS[w.i // 4]}",
            "Book Author": Writer.name,
        }
        | {"Amazon Book ID": lambda w: f"B00{w.i:07d}", "Color": same("yellow"), "Location": number},
        "Book Title",
        ("Highlight",),
    ),
    "evernote": (
        {"id": Writer.hash, "title": Writer.title, "author": Writer.name}
        | {"content": lambda w: f'<?xml version="1.0"?><en-note><div>{w.text()}</div></en-note>'},
        "title",
        ("content",),
    ),
    "zotero": (
        {
            "itemID": number,
            "key": lambda w: w.hash()[:8].upper(),
            "title": Writer.title,
            "DOI": lambda w: f"10.1/x{w.i}",
        }
        | {"abstractNote": sometimes(Writer.text), "itemType": same("book"), "publicationTitle": Writer.name},
        "title",
        ("abstractNote",),
    ),
    "git log": (
        {"hash": Writer.hash, "author_name": Writer.name, "author_email": same("a@example.org")}
        | {"message": lambda w: f"{w.title()}\n\n{w.paragraph()}"},
        None,
        ("message",),
    ),
    "feed reader": (
        {
            "guid": Writer.url,
            "title": Writer.title,
            "link": Writer.url,
            "author": Writer.name,
            "content": same(None),
        }
        | {"summary": as_html, "content_type": same("text/html")},
        "title",
        ("summary",),
    ),
    "bugs": (
        {
            "id": number,
            "status": lambda w: w.pick("open", "closed"),
            "reporter": Writer.name,
            "summary": Writer.title,
        }
        | {
            "description": Writer.paragraph,
            "steps_to_reproduce": lambda w: f"1. {w.sentence()}\n2. {w.sentence()}",
        },
        "summary",
        ("description", "steps_to_reproduce"),
    ),
    "recipes": (
        {"id": number, "name": Writer.title, "description": Writer.sentence, "ingredients": json_list}
        | {"directions": json_list, "prep_time": same("20 min"), "image_url": Writer.url},
        "name",
        ("description", "ingredients", "directions"),
    ),
    "poems": (
        {
            "id": number,
            "poet": Writer.name,
            "poem_title": Writer.title,
            "lines": lambda w: w.text().replace(". ", ",\n"),
        },
        "poem_title",
        ("lines",),
    ),
    "transcripts": (
        {"id": number, "video": Writer.hash, "transcript": timed, "audio": Writer.url},
        None,
        ("transcript",),
    ),
    "sms": (
        {"_id": number, "address": lambda w: f"+1555{w.i:07d}", "date": number, "body": Writer.sentence},
        None,
        ("body",),
    ),
    "tweets": (
        {"id": lambda w: str(10**18 + w.i), "created_at": Writer.date, "source": same("<a href='x'>Web</a>")}
        | {"full_text": lambda w: f"@{w.pick(*WORDS)} {w.sentence()} https://t.co/{w.hash()[:10]}"},
        None,
        ("full_text",),
    ),
    "chess": (
        {"id": number, "event": same("Rated"), "white": Writer.name, "result": same("1-0")}
        | {
            "pgn": lambda w: (
                f'[Event "Rated"]\n[White "{w.name()}"]\n\n'
                + " ".join(f"{n}. e4 N{w.i % 8}" for n in range(30))
            )
        },
        None,
        ("pgn",),
    ),
    "laws": (
        {
            "id": lambda w: f"s-{w.i}",
            "act": lambda w: w.pick("Companies Act", "Housing Act"),
            "number": lambda w: f"§ {w.i}",
        }
        | {"heading": Writer.title, "text": lambda w: f"(1) {w.paragraph()}\n(2) {w.paragraph()}"},
        "heading",
        ("text",),
    ),
    "reviews": (
        {"reviewerID": lambda w: f"A{w.i:012d}", "asin": lambda w: f"B{w.i:09d}", "reviewerName": Writer.name}
        | {"helpful": same("[0, 0]"), "reviewText": Writer.paragraph, "summary": Writer.title},
        "summary",
        ("reviewText",),
    ),
    "snippets": (
        {"id": number, "filename": lambda w: f"a_{w.i}.py", "language": same("python")}
        | {"code": lambda w: f"def run(x):\n    # {w.text()}\n    return x + {w.i}\n"},
        None,
        ("code",),
    ),
    "a spreadsheet": (
        {
            "Row ID": lambda w: str(w.i),
            "First Name": lambda w: w.pick(*NAMES),
            "Comments": sometimes(Writer.paragraph),
        }
        | {"Score": lambda w: f"{w.i / 7}", "Date": same("01/02/2020"), "Unnamed: 5": same("")},
        None,
        ("Comments",),
    ),
    "a blob first": (
        {"data": lambda w: b"\xff\xd8\xff\xe0" + bytes(9000), "name": Writer.title, "body": Writer.text},
        "name",
        ("body",),
    ),
    "a forum": (
        {"id": number, "raw": lambda w: w.story, "cooked": as_html},
        None,
        ("raw",),
    ),
    "anki": (
        {"id": number, "guid": lambda w: w.hash()[:10], "tags": same(""), "sfld": Writer.sentence}
        | {"flds": lambda w: f"{w.sentence()}\x1f{w.paragraph()}"},
        None,
        ("flds",),
    ),
    "questions": (
        {"Id": number, "Title": lambda w: f"{w.title()}?", "Body": as_html, "Tags": same("<sql>")}
        | {"AcceptedAnswerBody": lambda w: html_of(w.text())},
        "Title",
        ("Body", "AcceptedAnswerBody"),
    ),
    "tickets": (
        {
            "id": number,
            "subject": Writer.title,
            "customer_message": Writer.paragraph,
            "agent_reply": Writer.paragraph,
        }
        | {"customer_name": Writer.name},
        "subject",
        ("customer_message", "agent_reply"),
    ),
    "SQuAD": (
        {
            "id": Writer.hash,
            "title": Writer.title,
            "context": Writer.text,
            "question": lambda w: f"{w.title()}?",
        }
        | {"answers": lambda w: json.dumps({"text": [w.title()], "answer_start": [w.i]})},
        "title",
        ("context", "question", "answers"),
    ),
    "Alpaca": (
        {"instruction": Writer.sentence, "input": sometimes(Writer.sentence), "output": Writer.text},
        None,
        ("instruction", "input", "output"),
    ),
    "llm's log": (
        {
            "id": lambda w: f"01H{w.i:023d}",
            "model": same("gpt"),
            "prompt": Writer.sentence,
            "system": same(None),
        }
        | {"prompt_json": same('{"messages": []}'), "response": Writer.text},
        None,
        ("prompt", "response"),
    ),
    "songs": (
        {
            "id": number,
            "song": Writer.title,
            "artist": Writer.name,
            "lyrics": lambda w: w.text().replace(". ", "\n"),
        },
        "song",
        ("artist", "lyrics"),
    ),
    "a newspaper": (
        {"url": Writer.url, "headline": Writer.title, "standfirst": Writer.sentence, "body": Writer.text},
        "headline",
        ("standfirst", "body"),
    ),
    "a survey": (
        {"Timestamp": Writer.date, "What did you like most about it?": Writer.paragraph}
        | {"What could we do better next time?": sometimes(Writer.sentence)},
        None,
        ("What did you like most about it?", "What could we do better next time?"),
    ),
    "bookmarks": (
        {"href": Writer.url, "description": Writer.title, "extended": Writer.paragraph, "hash": Writer.hash},
        "description",
        ("extended",),
    ),
    "Core Data": (
        {"Z_PK": number, "ZTITLE": Writer.title, "ZTEXT": Writer.text, "ZUNIQUEIDENTIFIER": Writer.uuid}
        | {"ZMODIFICATIONDATE": lambda w: 6e8 + w.i, "ZENCRYPTEDDATA": same(None)},
        "ZTITLE",
        ("ZTEXT",),
    ),
    "مقالات": (
        {
            "المعرف": number,
            "العنوان": lambda w: f"عنوان رقم {w.i}",
            "النص": lambda w: f"كان الميناء هادئا {w.i} " * 5,
        },
        "العنوان",
        ("النص",),
    ),
    "게시글": (
        {
            "번호": number,
            "글제목": lambda w: f"아침 항구 {w.i}",
            "글내용": lambda w: f"항구는 조용했고 배가 떠났다 {w.i} " * 5,
        },
        "글제목",
        ("글내용",),
    ),
}
# Tables whose text cannot be read: the column, and what the message says of it.
UNREADABLE: dict[str, tuple[dict[str, Maker], str]] = {
    "notes": (
        {"Z_PK": number, "ZTITLE1": Writer.title, "ZSNIPPET": Writer.sentence}
        | {"ZNOTEDATA": lambda w: gzip.compress(f"{w.text()}{w.text()}".encode())},
        "ZNOTEDATA is gzip-compressed",
    ),
    "archive": (
        {
            "id": number,
            "subject": Writer.title,
            "payload": lambda w: base64.b64encode(w.text().encode()).decode(),
        },
        "payload is text in base64. .* To train on subject alone, name it",
    ),
    "messages": (
        {"id": number, "subject": Writer.title, "body": lambda w: w.text().encode("utf-16-le")},
        "body is binary",
    ),
    "sheet": (
        {"a": lambda w: str(w.i), "b": lambda w: f"{w.i}%", "c": lambda w: f"${w.i}.00"},
        "no column of plain text",
    ),
    "files": (
        {
            "id": Writer.uuid,
            "data": lambda w: base64.b64encode(w.text().encode()).decode(),
            "at": Writer.date,
        },
        r"data is text in base64. To decode it, .* 'base64.b64decode\(value\).decode\(\)' --import base64`",
    ),
}
