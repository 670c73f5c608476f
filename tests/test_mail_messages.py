"""A message with its headers and parts becomes what a person wrote."""

import sqlite3
from email.header import Header
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_columns import prose, rows, title

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.mail_messages import is_message, read_message

OWN = "Le café était fermé — so we walked on, along the harbour.\n\nMore tomorrow."


def headers(message, subject="Café closed"):
    message["From"], message["To"] = "Jane <jane@example.org>", "john@example.org"
    message["Subject"] = Header(subject, "utf-8") if not isinstance(message, EmailMessage) else subject
    message["Date"], message["Message-ID"] = "Mon, 24 Sep 2012 03:35:21 +0000", "<1@example.org>"
    return message


def single(encoding):
    message = headers(EmailMessage())
    message.set_content(OWN, cte=encoding)
    return message.as_string()


def alternative():
    message = headers(EmailMessage())
    message.set_content(OWN)
    message.add_alternative(f"<p>{OWN}</p><p>This is HTML.</p>", subtype="html")
    message.add_attachment(b"\x89PNG\0\0", maintype="image", subtype="png", filename="a.png")
    message.add_attachment("Not mine.", filename="notes.txt")
    return message.as_string()


def html_alone(charset="utf-8"):
    paragraphs = "".join(f"<p>{p}</p>" for p in OWN.split("\n\n"))
    return headers(MIMEText(f"<html><body>{paragraphs}</body></html>", "html", charset)).as_string()


def nested():
    both = MIMEMultipart("alternative")
    both.attach(MIMEText(f"<p>{OWN}</p>", "html", "utf-8"))
    both.attach(MIMEText(OWN, "plain", "utf-8"))
    message = headers(MIMEMultipart("mixed"))
    message.attach(both)
    message.attach(MIMEBase("application", "pdf"))
    forwarded = EmailMessage()
    forwarded["Subject"] = "other"
    forwarded.set_content("Somebody else's words.")
    message.attach(MIMEBase("message", "rfc822"))
    message.get_payload()[-1].set_payload([forwarded])
    return message.as_string()


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize("wrap", ["{}", "From jane@example.org Mon Sep 24 03:35:21 2012\n{}", "\n{}"])
def test_a_message_of_one_part_is_read_in_every_encoding(encoding, wrap):
    raw = wrap.format(single(encoding))
    for value in (raw, raw.replace("\n", "\r\n")):
        assert is_message(value)
        assert read_message(value) == ("Café closed", OWN, 0)


@pytest.mark.parametrize(
    ("raw", "attachments"), [(alternative(), 2), (html_alone(), 0), (html_alone("cp1252"), 0), (nested(), 2)]
)
def test_of_several_parts_the_text_is_read(raw, attachments):
    assert is_message(raw) and read_message(raw) == ("Café closed", OWN, attachments)


@pytest.mark.parametrize("raw", [alternative(), nested()])
@pytest.mark.parametrize("before", ["", "\n", "This is a multi-part message in MIME format.\n\n"])
def test_a_body_without_its_headers(raw, before):
    body = before + raw.split("\n\n", 1)[1]
    assert is_message(body)
    assert read_message(body)[:2] == (None, OWN)


@pytest.mark.parametrize(
    ("text", "own"),
    [
        (f"{OWN}\n\nOn 1 May 2020, Jane Doe <jane@example.org> wrote:\n> Is it\n> open?\n>\n> J.\n", OWN),
        (f"On 1 May 2020 at 10:00, a very long name\n<jane@example.org> wrote:\n\n> Is it?\n\n{OWN}", OWN),
        ("> Is it open?\n\nNo.\n\n> And now?\n>> Yes?\n\nNo.", "No.\n\nNo."),
        (f"{OWN}\n\n-----Original Message-----\nFrom: Jane\nSubject: It\n\nHers.", OWN),
        (f"{OWN}\n\n---------- Forwarded message ---------\nFrom: Jane\n\nHers.", OWN),
        (f"{OWN}\n\n-- \nJane\nhttps://example.org", OWN),
        (f"{OWN}\n\n________________________________\nFrom: Jane\nSent: Monday\nTo: J\n\nHers.", OWN),
        ("> only a quote", "> only a quote"),
        ("Three things:\n- a > b\n- c", "Three things:\n- a > b\n- c"),
    ],
)
def test_what_is_quoted_is_left_out(text, own):
    message = headers(EmailMessage())
    message.set_content(text)
    assert read_message(message.as_string()).text == own


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Dear Jane,\n\nthe café is closed.",
        "From: Bob\nTo: Jane\nSubject: lunch\nDate: today\n\nAt one?",
        "Title: A post\nDate: 2020-01-01\nTags: a, b\n\nText.",
        "Q: Why?\nA: Because.\nQ: Oh.\n",
        "--\nA signature: yes\n",
        "---\ntitle: x\n---\n\nText",
    ],
)
def test_other_texts_are_not_messages(value):
    assert not is_message(value)


@given(st.text(), st.text())
def test_no_text_is_too_broken(start, text):
    read_message(f"Subject: {start}\nContent-Type: multipart/alternative; boundary={start}\n\n{text}")
    read_message(start)


def test_long_lines_and_many_quotes_take_no_time():
    read_message("From: a\n\n" + "a1 " * 100_000 + "\n> b\n" * 20_000 + "\n" * 50_000)


@pytest.mark.parametrize("as_blob", [False, True])
def test_a_table_of_messages(tmp_path, as_blob):
    """The headers are longer than what of other texts is looked at; the subject is the title."""

    def message(i):
        mail = headers(EmailMessage(), title(i))
        mail["X-Spam"] = "y" * 7000
        mail.set_content(prose(i) + "\n")
        mail.add_attachment(b"\0\1", maintype="image", subtype="png", filename="a.png")
        return mail.as_bytes() if as_blob else mail.as_string()

    path = str(tmp_path / "mail.db")
    with sqlite3.connect(path) as db:
        db.execute("create table m (id integer primary key, raw, folder)")
        db.executemany(
            "insert into m (raw, folder) values (?, 'a short note on it')", [[r] for r in rows(message)]
        )
    corpus = open_corpus(path, ["m"])
    (source,) = corpus.sources
    assert source.body == ("raw",) and corpus.has_titles and source.read_as_text == ["mail"]
    assert list(source.documents())[1] == f"{title(1)}\n\n{prose(1)}"
    (remark,) = source.remarks()
    assert remark == "Headers, quoted replies and signatures of mail are left out, and 40 attachments."
    assert source.read_sample()[1] == [remark]


def test_a_line_of_the_text_that_begins_with_from_is_no_separator_of_mailboxes():
    mail = "Subject: Ferry\nTo: ada@example.org\n\nWe went up.\nFrom the gallery one sees the islands.\n"
    assert read_message(mail).text == "We went up.\nFrom the gallery one sees the islands."
    assert read_message(f"From ada@example.org Mon Mar  2 10:00:00 2026\n{mail}") == read_message(mail)


@pytest.mark.parametrize(
    "header",
    [
        "X-Spam-Flag: YES",
        "X-Spam-Status: Yes, score=12.0 required=5.0",
        "X-Gmail-Labels: Spam,Unread",
        "X-Gmail-Labels: Unread,=?UTF-8?Q?Entw=C3=BCrfe?=",
        "X-Gmail-Labels: Archived,\n Trash",
    ],
)
def test_messages_that_are_spam_by_their_headers_are_left_out(tmp_path, header):
    others = ["X-Spam-Flag: NO", "X-Gmail-Labels: Inbox,Important", "Subject: spam"]
    rows = [
        f"{header if i % 5 == 0 else others[i % 3]}\n{single('quoted-printable')}{i} more" for i in range(60)
    ]
    with sqlite3.connect(tmp_path / "mail.db") as db:
        db.execute("create table mail (raw text)")
        db.executemany("insert into mail values (?)", [(row,) for row in rows])
    (source,) = open_corpus(str(tmp_path / "mail.db"), ["mail"]).sources
    assert len([*source.documents()]) == 48
    assert source.skipped == {"spam, drafts, or thrown away, as headers of the mail say": 12}


def test_a_table_of_spam_is_read(tmp_path):
    with sqlite3.connect(tmp_path / "mail.db") as db:
        db.execute("create table mail (raw text)")
        rows = [(f"X-Spam-Flag: YES\n{single('quoted-printable')}{i} more",) for i in range(60)]
        db.executemany("insert into mail values (?)", rows)
    (source,) = open_corpus(str(tmp_path / "mail.db"), ["mail"]).sources
    assert len([*source.documents()]) == 60
