"""Whether a table is one of mail: by the columns beside the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from .column_content import Column
from .column_names import words_of

MIN_ADDRESSES = 0.5  # of the senders, or of those written to, from which on they are addresses
_SENDER = """
from sender author von absender de expediteur remitente mittente da remetente van afzender от отправитель
"""
_RECIPIENT = """
to recipient recipients an empfanger a destinataire destinatario para aan ontvanger кому получатель cc
"""
_SUBJECT = "subject betreff objet asunto oggetto assunto onderwerp тема 件名 主题 主題"
# How the subjects of answers begin, and that of a message that is passed on.
_ANSWER = re.compile(
    r"\s*(?:\[[^\]]{1,40}\]\s*)?"  # the name of the list
    r"(?:R[Ee]|re|A[Ww]|S[Vv]|VS|Antw|R[Ee][Ss]|R|Odp|Fwd?|FWD?|WG|T[Rr])(?:\[\d+\])?: ?\S"
)
_OF_COMMITS = frozenset(["commit", "committer", "committed", "sha", "sha1", "parents"])  # of a git log
MIN_ANSWERS = 0.1  # of the subjects, from which on a table with senders is one of mail
_OF_MAIL = ("message_id", "in_reply_to", "reply_to", "email_id", "internet_message_id")  # only mail has these
# Words beside those in a column's name: mail_from, from_address, sender_email.
_BESIDE = frozenset(
    [
        *("mail", "email", "e", "message", "msg", "header", "headers", "hdr", "envelope", "env", "address"),
        *("addr", "name", "full"),
    ]
)
MIN_ALIKE = 3  # columns that begin with the same word, which then says nothing: em_from, em_to, em_subject


def is_mail(columns: Sequence[Column]) -> bool:
    """Whether there is a subject and who wrote to whom: both by name, or one of them as addresses; in the
    archive of a list only who wrote it, and many subjects are those of answers."""
    first = Counter(words[0] for column in columns if len(words := words_of(column.name)) > 1)
    beside = _BESIDE | {word for word, count in first.items() if count >= MIN_ALIKE}
    senders, recipients, subjects = (
        [column for column in columns if _is_named(column.name, names, beside)]
        for names in (_SENDER, _RECIPIENT, _SUBJECT)
    )
    are_commits = any(not _OF_COMMITS.isdisjoint(words_of(column.name)) for column in columns)
    if not subjects or not (senders or recipients) or are_commits:
        return False
    has_id = any("_".join(words_of(column.name)) in _OF_MAIL for column in columns)
    if has_id or bool(senders and recipients) or any(map(_has_addresses, [*senders, *recipients])):
        return True
    return bool(senders) and any(map(_has_answers, subjects))


def _has_answers(column: Column) -> bool:
    return sum(bool(_ANSWER.match(text)) for text in column.texts) > MIN_ANSWERS * max(len(column.texts), 1)


def _is_named(name: str, names: str, beside: AbstractSet[str]) -> bool:
    words = [word for word in words_of(name) if word not in beside]
    return len(words) == 1 and words[0] in names.split()


def _has_addresses(column: Column) -> bool:
    with_address = sum("@" in text and "." in text.rpartition("@")[2] for text in column.texts)
    return with_address > MIN_ADDRESSES * len(column.texts)
