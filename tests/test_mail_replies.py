"""Of a mail what its writer wrote is learnt: not what it quotes, nor the signature."""

import sqlite3

import pytest
from test_columns import prose, rows, title

from datasette_nanogpt.data.mail_replies import came_by_mail, own_text, own_text_of_html
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.sqlite import quote

OWN = "Dear Ben,\n\nthe harbour is closed until May.\n\nBest regards,\nAda"
THEIRS = "Is the harbour open?\n\nBen"
QUOTED = "> Is the harbour open?\n>\n> Ben"

OUTLOOK = [
    "From: Ben\nSent: Monday\nTo: Ada\nSubject: Harbour",
    "From: Ben <ben@example.org>\nDate: Monday\nTo: Ada\nCc: Eve;\n  Bob\nSubject: Harbour",
    "Von: Ben\nGesendet: Montag\nAn: Ada\nBetreff: AW: Hafen",
    "*Von:* Ben\n*Gesendet:* Montag\n*An:* Ada; Eve;\nBob\n*Betreff:* AW: Hafen",
    "**From:** Ben\n**Sent:** Monday\n**To:** Ada\n**Subject:** Harbour",
    "De : Ben\nEnvoyé : lundi\nÀ : Ada\nObjet : Port",
    "De\xa0: Ben\n\nEnvoyé\xa0: lundi\n\nÀ\xa0: Ada\n\nObjet\xa0: Port",
    "De: Ben\nEnviado: lunes\nPara: Ada\nAsunto: Puerto",
    "De: Ben\nEnviado el: lunes\nPara: Ada\nAsunto: Puerto",
    "Van: Ben\nVerzonden: maandag\nAan: Ada\nOnderwerp: Haven",
    "Da: Ben\nInviato: lunedì\nA: Ada\nOggetto: Porto",
    "De: Ben\nEnviada em: segunda\nPara: Ada\nAssunto: Porto",
]
ATTRIBUTIONS = [
    "On Mon, Apr 5, 2021 at 9:12 AM Ben <ben@example.com> wrote:",
    "On Monday, a very long name that is wrapped, 5 April 2021\n<ben@example.com> wrote:",
    "Am 03.04.2021 um 12:33 schrieb Ben L.:",
    "Le lun. 5 avr. 2021 à 09:12, Ben a écrit :",
    "El lun, 5 abr 2021 a las 9:12, Ben (<ben@example.com>) escribió:",
    "Op ma 5 apr. 2021 om 09:12 schreef Ben <ben@example.com>:",
    "Il giorno lun 5 apr 2021 alle ore 09:12 Ben <ben@example.com> ha scritto:",
    "Em seg., 5 de abr. de 2021 às 09:12, Ben <ben@example.com> escreveu:",
    "Am Montag, 5. April 2021 um 09:12:33 MESZ hat Ben <ben@example.com> Folgendes geschrieben:",
    "2021年4月5日(月) 9:12 Ben <ben@example.com>:",
    "Ben wrote:",
]


@pytest.mark.parametrize("line", ["", "________________________________\n", "-----\n\n"])
@pytest.mark.parametrize("header", OUTLOOK)
def test_the_headers_of_outlook_begin_what_is_quoted(header, line):
    assert own_text(f"{OWN}\n\n{line}{header}\n\n{THEIRS}") == OWN


@pytest.mark.parametrize("said", ATTRIBUTIONS)
def test_quoted_lines_go_with_who_wrote_them(said):
    assert own_text(f"{OWN}\n\n{said}\n\n{QUOTED}\n") == OWN
    assert own_text(f"{said}\n{QUOTED}\n\n{OWN}") == OWN
    assert own_text(f"{OWN}\n{said}\n{QUOTED}\n\nNo.") == f"{OWN}\n\nNo."


@pytest.mark.parametrize("said", [each for each in ATTRIBUTIONS[:-2] if "\n" not in each])
def test_what_is_quoted_without_signs(said):
    assert own_text(f"{OWN}\n\n{said}\n\n{THEIRS}") == OWN


@pytest.mark.parametrize(
    "words",
    [
        "-----Original Message-----",
        "---------- Forwarded message ---------",
        "-----Ursprüngliche Nachricht-----",
        "-------- Messaggio originale --------",
        "Begin forwarded message:",
    ],
)
def test_forwarded_messages(words):
    assert own_text(f"{OWN}\n\n{words}\nFrom: Ben\n\n{THEIRS}") == OWN


SIGNATURES = [
    "-- \nAda Lovelace\nAnalytical Engines Ltd | +44 20 1234 5678\nhttps://example.com",
    "-- \nAda\n\n" + "A long motto of many words. " * 20,
    "--\nAda Lovelace",
    "Sent from my iPhone",
    "Get Outlook for iOS",
    "Von meinem iPhone gesendet",
    "Envoyé de mon iPhone",
    "Enviado desde mi iPad",
    "Inviato da iPhone",
    "Verzonden vanaf mijn Galaxy",
    "Sent from my Galaxy\n\n-- \nAda",
]


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("quote", ["", f"\n\n{OUTLOOK[0]}\n\n{THEIRS}", f"\n\n{ATTRIBUTIONS[0]}\n{QUOTED}"])
def test_signatures(signature, quote):
    assert own_text(f"{OWN}\n\n{signature}{quote}") == OWN


@pytest.mark.parametrize(
    "text",
    [
        QUOTED,  # and nothing else
        f"{OUTLOOK[0]}\n\n{THEIRS}",
        "I have 3 questions:\n- a > b\n- c",
        "A poem:\n\nOne line\n--\nAnother line\n--\nThe last line",
        "A poem:\n\nOne line\n\n--\n\n" + "\n".join(f"Line {i} of the poem" for i in range(30)),
        "One part\n\n---\n\nAnother part\n\n***\n\nThe end",
        "This works:\n\n>>> import os\n>>> os.getcwd()\n\nand prints a path.",
        "In R:\n\n> x <- c(1, 2)\n> mean(x)\n[1] 1.5\n\nas you see.",
        "Then type\n\n> npm install\n\nand wait.",
        "From: the harbour\nTo: the station\n\nit is a mile.",
        "The letter was sent from my uncle's house, he wrote:\n\nCome soon.",
        "Yesterday, at 9:12, he wrote:\n\nCome soon.\n\nI did not.",
        "On page 5 of 2021's report he wrote:\n\nCome soon.",
        "In Python:\n\n   >>> import os\n   >>> os.getcwd()\n\nand so on.",
        "In Oracle:\n\nSQL> select * from t\n\nand so on.",
        "You quote a line with > before it, or with two of them: >>.",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert own_text(text) == text


def test_code_that_somebody_wrote_is_a_quote():
    assert own_text(f"{OWN}\n\n> Ben wrote:\n> x = f(1)\n> print(x)") == OWN


@pytest.mark.parametrize(
    "quoted",
    [
        "> Is the mill open?\n> The one at the river.",  # nobody is said to have written it
        " > Is the mill open?\n > The one at the river.",
        ">> Is the mill open?\n> No.",
        "AL> Is the mill open?\nAL> The one at the river.",
        "Ann Lee wrote\n\n> Is the mill open?",
        "In article <12@example.com>, Ann says...\n> Is the mill open?",
        "Ann writes:\n> Is the mill open?",
    ],
)
def test_quotes_in_the_habits_of_lists(quoted):
    assert own_text(f"{OWN}\n\n{quoted}\n") == OWN
    assert own_text(f"{quoted}\n\n{OWN}\n").strip() == OWN


@pytest.mark.parametrize(
    "said",
    ["It is as Ada, who is never wrong about the mill, once wrote", "AB > CD in all cases", "2> is a file"],
)
def test_sentences_are_no_attribution(said):
    assert own_text(f"{OWN}\n{said}\n\n> Is it open?\n") == f"{OWN}\n{said}"


@pytest.mark.parametrize(
    "postscript",
    [
        "P.S. The lamp hangs beside the door.",
        "PS: The lamp hangs beside the door.\nIt is lit.",
        "PS the lamp hangs beside the door",
        "P.P.S. Bring bread.",
        "p.s. bring bread",
    ],
)
@pytest.mark.parametrize("signature", ["-- \nAda Lovelace", "--\nAda\n12 Mill Road\n", "-- \n"])
def test_a_postscript_below_the_signature_stays(signature, postscript):
    assert own_text(f"{OWN}\n\n{signature}\n{postscript}\n") == f"{OWN}\n\n{postscript}"


@pytest.mark.parametrize("line", ["PS 118, New York", "PS Ltd", "Ps. 23", "PSV Eindhoven"])
def test_a_signature_has_no_postscript(line):
    assert own_text(f"{OWN}\n\n-- \nAda\n{line}\n") == OWN


def test_words_before_a_quote_stay():
    assert own_text(f"I have 3 remarks on this.\n{ATTRIBUTIONS[0]}\n{QUOTED}") == "I have 3 remarks on this."
    assert own_text(f"Number 1 is this:\n{QUOTED}\nNo.") == "Number 1 is this:\n\nNo."


HTML = "".join(f"<p>{part}</p>" for part in OWN.replace("\n\n", "\0").replace("\n", "<br>").split("\0"))
FROM_BEN = "On Mon, Apr 5, 2021 at 9:12 AM Ben &lt;ben@example.com&gt; wrote:"
HTML_QUOTES = [
    f'<div class="gmail_quote"><div dir="ltr" class="gmail_attr">{FROM_BEN}<br></div>'
    '<blockquote class="gmail_quote" style="margin:0"><div>Is <div>it</div> open?</div></blockquote></div>',
    f'<div class="gmail_quote gmail_quote_container">{FROM_BEN}<br>'
    '<blockquote class="gmail_quote">a</blockquote></div>',
    '<div class="gmail_quote">Is it open?</div>',
    '<div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>'
    "From: Ben</div><p>Is it open?</p></div>",
    f'<div><br><blockquote type="cite"><div>{FROM_BEN}</div><div>Is it?</div></blockquote></div>',
    '<div class="moz-cite-prefix">Am 05.04.21 um 09:12 schrieb Ben:<br></div>'
    '<blockquote type="cite" cite="mid:1@example.org"><p>Is it?</p></blockquote>',
    f'<div id="ydp1yahoo_quoted_1" class="ydp1yahoo_quoted"><div>{FROM_BEN}</div><div>Is it?</div></div>',
    '<hr tabindex="-1"><div id="divRplyFwdMsg"><b>Von:</b> Ben</div><div>Is it?</div>',
    '<div style="border:none;border-top:solid #E1E1E1 1.0pt"><p><b>From:</b> Ben<br><b>Sent:</b> Monday<br>'
    "<b>To:</b> Ada<br><b>Subject:</b> Harbour</p></div><p>Is it?</p>",
    f"<div>{FROM_BEN}</div><blockquote><p>Is it?</p></blockquote>",
    '<div class="gmail_signature">-- <br>Ada</div>',
    f'<span class="gmail_signature_prefix">-- </span><br><div class="gmail_signature">Ada</div>{FROM_BEN}<br>'
    '<blockquote class="gmail_quote">never closed <p>a',
]


@pytest.mark.parametrize("quote", HTML_QUOTES)
def test_quotes_in_html(quote):
    assert own_text_of_html(f"<html><body><div>{HTML}</div>{quote}</body></html>") == OWN
    assert "> (quoted)" not in own_text_of_html(quote)


def test_answers_between_quotes_in_html_and_blockquotes_of_ones_own_stay():
    quote = '<blockquote class="gmail_quote">Is it open?</blockquote>'
    said = f'<div class="gmail_attr">{FROM_BEN}</div>'
    answers = f'<div class="gmail_quote">{said}{quote}<p>No.</p>{quote}<p>Yes.</p></div>'
    assert own_text_of_html(answers) == "No.\n\nYes."
    styled = f"<p>It says:</p><blockquote style='border-left: 1px solid'>Closed.</blockquote>{HTML}"
    assert own_text_of_html(styled) == f"It says:\n\nClosed.\n\n{OWN}"
    assert (
        own_text_of_html(f"<p>It says:</p><blockquote>Closed.</blockquote>{HTML}")
        == f"It says:\n\nClosed.\n\n{OWN}"
    )


def test_no_mail_takes_long():
    own_text("a1 " * 100_000 + "\n> b\n" * 20_000 + "\n" * 50_000 + "From: a;\n" * 20_000)
    own_text_of_html('<div class="gmail_quote"><blockquote type=cite>' * 5_000)


MAIL = {"sender": "Ben <ben@example.com>", "recipient": "ada@example.com", "subject": title}


def make(tmp_path, columns):
    path = str(tmp_path / "mail.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table t (id integer primary key, {', '.join(map(quote, columns))})")
        values = zip(
            *(rows(value) if callable(value) else [value] * 40 for value in columns.values()), strict=True
        )
        db.executemany(f"insert into t values (null, {', '.join('?' * len(columns))})", values)
    return path


def quoting(i):
    return f"{prose(i)}\n\n{ATTRIBUTIONS[0]}\n{QUOTED}" if i % 2 else prose(i)


@pytest.mark.parametrize(
    ("columns", "text_format"),
    [
        ({**MAIL, "body": quoting}, "plain"),
        ({"von": "ben@example.com", "betreff": title, "text": quoting}, "plain"),
        ({"message_id": "<1@example.com>", "from": "Ben", "subject": title, "body": quoting}, "plain"),
        ({"from": "Ben", "to": "Ada", "subject": title, "body": quoting}, "plain"),
        ({"author": "Ben", "subject": lambda i: ["", "Re: "][i % 2] + title(i), "body": quoting}, "plain"),
        # The table of an index of SQLite's, and names that begin alike.
        (
            {
                "c0subject": title,
                "c1body": quoting,
                "c2attachmentNames": "scan.pdf",
                "c3author": "Ben <ben@example.com>",
                "c4recipients": "ada@example.com",
            },
            "plain",
        ),
        ({"hdr_from": "ben@example.com", "hdr_subject": title, "msg_text": quoting}, "plain"),
        ({"em_from": "ben@example.com", "em_subject": title, "em_body": quoting}, "plain"),
        ({**MAIL, "body": lambda i: f"<p>{prose(i)}</p>{HTML_QUOTES[0] if i % 2 else ''}"}, "html"),
    ],
)
def test_columns_of_mail(tmp_path, columns, text_format):
    path = make(tmp_path, columns)
    source = open_source(path, "t")
    assert list(source.documents())[1].removeprefix("Re: ") == f"{title(1)}\n\n{prose(1)}"
    (remark,) = source.remarks()
    said = "Quoted replies and signatures of mail are left out of 20 rows. To keep them: --text"
    assert remark == f"{said} {text_format}"
    assert source.read_sample()[1] == [remark]
    kept = open_source(path, "t", Selection(text=text_format))
    assert "open?" in list(kept.documents())[1] and kept.remarks() == []


@pytest.mark.parametrize(
    "columns", [{"author": "Ben", "subject": title, "body": quoting}, {"title": title, "body": quoting}]
)
def test_other_tables_keep_what_they_quote(tmp_path, columns):
    source = open_source(make(tmp_path, columns), "t")
    assert QUOTED in list(source.documents())[1] and source.remarks() == []


GITHUB = "On Mon, Jan 13, 2021 at 4:11 PM Luis <notifications@github.com> wrote:"


@pytest.mark.parametrize(
    "text",
    [
        f"{GITHUB}\r\n\r\n> Does it build?\r\n\r\nIt does now.",
        f"It does now.\n\n{GITHUB}\n\n> Does it build?\n>\n> --\n> You are receiving this",
        f"It does now.\n\n{GITHUB}\n\nDoes it build?\n\nYou are receiving this because you commented.",
        "It does now.\n\nAm 13.01.2021 um 16:11 schrieb Luis <luis@example.org>:\n> Does it build?",
        "It does now.\n\nOn Mon, Jan 2, 2023 at 1:02 PM Ada ***@***.***> wrote:\n\n> Does it build?",
    ],
)
def test_a_comment_that_came_by_mail(text):
    assert came_by_mail(text) and own_text(text.replace("\r\n", "\n")).strip() == "It does now."


@pytest.mark.parametrize(
    "text",
    [
        "> Does it build?\n\nIt does now.",
        "A user asked me this.\n\nOn Mon, Jan 13, 2021 at 4:11 PM Luis <luis@example.org> wrote:\n\n"
        "> Does it build?\n\nHere is what I told him: it does, and this is how.",
        "On Monday at 4:11 PM, January 13 2021, my daughter wrote:\n\nDear diary, it was warm.",
        "He wrote:\n\n> It was warm.",
    ],
)
def test_what_people_quote_themselves_did_not_come_by_mail(text):
    assert not came_by_mail(text)


def test_comments_that_came_by_mail_are_read_without_what_they_quote(tmp_path):
    bodies = [f"{GITHUB}\r\n\r\n> Does it build?\r\n\r\nNumber {i} does now." for i in range(5)]
    bodies += [f"> Does it build?\n\nNumber {i} does not." for i in range(5, 40)]
    path = str(tmp_path / "t.db")
    with sqlite3.connect(path) as db:
        db.execute("create table comment (id integer primary key, body)")
        db.executemany("insert into comment (body) values (?)", [(body,) for body in bodies])
    source = open_source(path, "comment")
    read = list(source.documents())
    assert read[:5] == [f"Number {i} does now." for i in range(5)]
    assert read[5] == "> Does it build?\n\nNumber 5 does not."
    assert any("left out of 5 rows" in remark for remark in source.remarks())
    keep = Selection(text=open_source(path, "comment").kinds["body"].format)
    assert "wrote:" in next(open_source(path, "comment", keep).documents())
