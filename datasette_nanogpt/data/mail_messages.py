"""Whole messages of mail, with headers and MIME parts: their subject and what a person wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from typing import NamedTuple

from .folders import is_unread_folder
from .mail import decode_charset, decode_words
from .mail_replies import own_text, own_text_of_html

# Headers that most messages have, and those among them that no letter or memo has.
_HEADERS = """
from to cc subject date sender reply-to return-path received message-id in-reply-to references mime-version
content-type content-transfer-encoding delivered-to dkim-signature newsgroups organization lines path
x-mailer user-agent
"""
_KNOWN = frozenset(_HEADERS.split())
_TECHNICAL = _KNOWN - {"from", "to", "cc", "subject", "date", "sender"}
MIN_HEADERS = 3

_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]*):(?:[ \t].*)?\r?\n(?:[ \t]+\S.*\r?\n)*")
_MBOX_LINE = re.compile(r"\AFrom \S+ .*\r?\n")
# A body that was stored without its headers begins with its first boundary.
_BOUNDARY = re.compile(
    r"\s*(?:This is a multi-?part message in MIME format\.?\s+)?--(?P<name>[^\s\"]{6,70})\r?\n"
    r"(?=content-(?:type|transfer-encoding|disposition):)",
    re.IGNORECASE,
)
_SOFT_BREAK = re.compile(r"(?<=\S)(?<!^--)(?<!\n--) \n(?=[^\s>])")  # not after the "-- " above a signature


# What filters say of a message, and the labels that Gmail exports.
_SPAM = re.compile(r"x-spam(?:-flag|-status)?", re.IGNORECASE)
_LABELS = "x-gmail-labels"


class MailText(NamedTuple):
    """What a person wrote."""

    subject: str | None
    text: str
    attachments: int


def is_message(value: str) -> bool:
    """Whether `value` is a message with its headers, or a body of several parts without them."""
    names = {header[1].lower() for header in _headers(value)}
    known = names & _KNOWN
    return (len(known) >= MIN_HEADERS and bool(known & _TECHNICAL)) or bool(_BOUNDARY.match(value))


def is_unread_message(value: str) -> bool:
    """Whether the headers of a message say that it is spam, a draft, or thrown away."""
    for header in _headers(value):
        said = " ".join(header[0].partition(":")[2].split())
        if _SPAM.fullmatch(header[1]) and said.lower().startswith("yes"):
            return True
        if header[1].lower() == _LABELS and any(map(is_unread_folder, decode_words(said).split(","))):
            return True
    return False


def _headers(value: str) -> Iterator[re.Match[str]]:
    at = match.end() if (match := _MBOX_LINE.match(value)) else len(value) - len(value.lstrip())
    while header := _HEADER.match(value, at):
        yield header
        at = header.end()


def read_message(value: str) -> MailText:
    """The subject and the text of a message, without attachments, which are counted, what it quotes, and the
    signature.

    Of a text and its HTML the plain text is read.
    """
    if boundary := _BOUNDARY.match(value):
        value = f'Content-Type: multipart/mixed; boundary="{boundary["name"]}"\n\n{value}'
    else:
        value = _MBOX_LINE.sub("", value.lstrip(), count=1)
    message = message_from_string(value.replace("\r\n", "\n"))
    texts, attachments = _texts(message)
    text = "\n\n".join(filter(None, (text.strip() for text in texts)))
    subject = " ".join(decode_words(str(message.get("subject", ""))).split())
    return MailText(subject or None, text, attachments)


def _texts(part: Message) -> tuple[list[str], int]:
    """The texts of a part of a message, and the attachments in it."""
    if part.get_content_type() == "message/rfc822" or _is_attachment(part):
        return [], 1
    payload = part.get_payload()
    if not part.is_multipart():
        if part.get_content_type() not in ("text/plain", "text/html"):
            return [], 1
        return [_text(part, str(payload or ""))], 0
    below = [(each, *_texts(each)) for each in part.get_payload() if isinstance(each, Message)]
    if part.get_content_type() == "multipart/alternative":
        plain = [texts for each, texts, _ in below if each.get_content_type() == "text/plain" and any(texts)]
        with_text = plain or [texts for _, texts, _ in below if any(texts)]
        return (with_text or [[]])[0], sum(count for *_, count in below)
    return [text for _, texts, _ in below for text in texts], sum(count for *_, count in below)


def _is_attachment(part: Message) -> bool:
    named = bool(part.get_filename()) and part.get_content_maintype() != "multipart"
    return named or part.get_content_disposition() == "attachment"


def _text(part: Message, payload: str) -> str:
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if encoding in ("base64", "quoted-printable", "x-uuencode", "uuencode"):
        data = part.get_payload(decode=True)
        charset = str(part.get_content_charset() or "utf-8")
        payload = decode_charset(data, charset) if isinstance(data, bytes) else payload
    payload = payload.replace("\r\n", "\n")
    if part.get_content_type() == "text/html":
        return own_text_of_html(payload)
    flowed = part.get_param("format") == "flowed"
    return own_text(_SOFT_BREAK.sub(" ", payload) if flowed else payload)
