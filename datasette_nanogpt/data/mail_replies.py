"""What a person wrote in a mail: its text without what it quotes and without the signature."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby

from .html import TAG_OR_COMMENT, html_to_text

# What a mail program puts before a message that it quotes or forwards as a whole: all that follows is that.
_FORWARDED_WORDS = """
Original Message|Forwarded (?:message|by)|Message d'origine|Message original|Message transféré
|Mensaje original|Mensaje reenviado|Ursprüngliche Nachricht|Originalnachricht|Weitergeleitete Nachricht
|Oorspronkelijk bericht|Doorgestuurd bericht|Messaggio originale|Messaggio inoltrato|Mensagem original
|Mensagem encaminhada|Исходное сообщение
"""
# The headers above a message that Outlook quotes, in English, German, French, Spanish, Dutch, Italian,
# Portuguese, Swedish, Danish, Polish and Russian.
_FROM = "From|Von|De|Van|Da|Från|Fra|Od|От"
_OTHER = """
Sent|Date|To|Cc|Bcc|Subject|Importance|Attachments?|Reply-To|Gesendet|Datum|An|Kopie|Betreff|Priorität|Anlagen?
|Envoyé|À|Objet|Importance|Enviado(?: el)?|Fecha|Para|CC|Asunto|Verzonden|Aan|Onderwerp|Inviato|Data|A|Oggetto
|Enviad[oa](?: em)?|Assunto|Skickat|Till|Ämne|Sendt|Til|Emne|Wysłano|Do|DW|Temat
|Отправлено|Дата|Кому|Копия|Тема
"""


def _header(names: str) -> str:
    """A line of such a header, perhaps with bold marks; a list of addresses may go on in the next lines."""
    joined = names.replace("\n", "")
    mark = r"[*_]{0,2}"
    return rf"[ \t]*{mark}(?:{joined})[ \t\xa0\u202f]?{mark}:[*_]{{0,2}}(?:[^\n]*[;,][ \t]*\n){{0,50}}[^\n]*"


_BREAK = r"\n(?:[ \t]*\n)?"
_FOLLOWS = re.compile(
    rf"^[ \t>]*-{{2,}}[ \t]*(?:{_FORWARDED_WORDS.replace(chr(10), '')})\b"
    rf"|^(?:Begin forwarded message|Anfang der weitergeleiteten Nachricht|Début du message réexpédié):[ \t]*$"
    rf"|^(?:[ \t]*[_-]{{5,}}[ \t]*\n\s{{0,9}})?{_header(_FROM)}(?:{_BREAK}{_header(_OTHER)}){{2}}",
    re.IGNORECASE | re.MULTILINE,
)

_WROTE = re.compile(
    r"\b(?:wrote|schrieb|geschrieben|geschreven|a écrit|escribió|ha scritto|schreef|escreveu|skrev|kirjoitti"
    r"|yazd\u0131|írta|napisał(?:\(a\)|a)?|napsal(?:\(a\)|a)?|написал(?:\(\u0430\)|\u0430)?|пишет)\b|写道|寫道|のメール",
    re.IGNORECASE,
)
_DATE = re.compile(r"\b(?:19|20)\d\d\b|\d[./-]\d\d?[./-]\d")
_WHEN = re.compile(rf"\d:\d\d|{_DATE.pattern}")
_OPENS = re.compile(
    r"[ \t]*(?:On|Am|Le|El|Il|Op|Em|A|Den|Dne|W dniu|Dnia|\u0412|\d|-{2,} ?On|\w{2,10}[.,])(?![^\W\d_])",
    re.IGNORECASE,
)
# Addresses of forges and forums, which send comments as mail: Luis <notifications@github.com> wrote:, and
# what GitHub puts for that of a person: Luis ***@***.***> wrote:
_NOTIFIED = re.compile(
    r"<(?:notifications?|no-?reply|reply|incoming|gitlab|jira|discourse)\b[^<>@\s]*@[^<>\s]+>"
    r"|\*{3}@\*{3}(?:\.\*{3})?>",
    re.IGNORECASE,
)
# A quoted line: after ">", which may be indented a little, or stand after the initials of who wrote it.
_QUOTED = re.compile(r" {0,3}(?:>|(?!SQL|PS|IN|OUT|DOS)[A-Z]{2,3}> )")
# A line before quoted lines that says who wrote them, and nothing else: "In article <1@x>, Ann says...",
# "Ann Lee wrote".
_SAYS = re.compile(
    r"(?:In (?:article|message|reply to) [^\n]{1,150}|[^\W\d_]\S*(?: \S+){0,4}),? "
    r"(?:wrote|writes|says|said|schrieb|schreibt|a écrit|escribió|ha scritto|schreef)\b[ .,:\u2026]*"
)
_MAX_ATTRIBUTION = 250  # characters of "On Monday Ada <ada@example.com> wrote:"
# A line of code after a prompt, not of a person: `> x <- c(1, 2)`, `> npm install`, `> const a = 1;`.
_CODE = re.compile(
    r"[\w.$@]+\(.*\)[;,:]?\s*\Z|[\w.$@]+(?:\[[^\]]*\])?\s*(?:<-|[+-]?=)\s*\S|.*[;{}]\s*\Z|.*\|>|#|\$ "
    r"|(?:import|library|print|echo|cat|cd|ls)\s\S+\s*\Z|(?:const|let|var) \w+ =|(?:npm|pip|git|sudo) \S"
)

# RFC 3676: two hyphens and a space. Many programs take the space away; then it must look like a signature.
_SIGNATURE = re.compile(r"(?:\A|\n)-- \n")
_BARE_SIGNATURE = re.compile(r"(?:\A|\n)--[ \t]*\n(?=((?:(?!--[ \t]*\n)[^\n]{0,100}(?:\n|\Z)){1,8})\s*\Z)")
_MAX_SIGNATURE = 1500  # characters
# Below a signature: "P.S. …", "PPS: …", and "PS …" with at least four words.
_POSTSCRIPT = re.compile(
    r"^[ \t]*(?:[Pp](?:[.][ ]?[Pp])*[.][ ]?[Ss]\b[.:,]?|P{1,3}S(?:[.:,]|(?=(?: +[^\s\d]\S*){4}))) *\S",
    re.MULTILINE,
)
_SENT_FROM = re.compile(
    r"(?:\A|\n)[ \t]*(?:Sent (?:from|via|with) (?:my [A-Za-z]|the |an? |[A-Z0-9])|Get Outlook for "
    r"|Outlook für |Von meinem \S.* gesendet|Gesendet (?:von|mit) |Diese Nachricht wurde von meinem "
    r"|Envoyé (?:de|depuis) mon |Envoyé à partir d|Télécharge[rz] Outlook "
    r"|Enviado (?:desde|do|de|a partir d) ?(?:mi|meu|el|o)? ?\S|Inviato (?:da|dal mio) |Scarica Outlook "
    r"|Verzonden (?:vanaf|met|van) |Verstuurd vanaf |Skickat från |Sendt fra |Lähetetty |Wysłan[eo] z "
    r"|Отправлено (?:\u0441|из) |发自我的|iPhoneから送信)[^\n]{0,60}\Z"
)

# Elements of HTML that hold what is quoted, and signatures, by what their start tags say.
_HINT = re.compile(
    r"gmail_(?:quote|attr|signature)|moz-(?:cite-prefix|signature)|yahoo_quoted|protonmail_quote|tutanota_quote"
    r"|zmail_extra|divRplyFwdMsg|stopSpelling|OutlookMessageHeader|<blockquote"
    r"|AppleMailSignature|id=[\"']Signature",
    re.IGNORECASE,
)
_QUOTE = re.compile(
    r"<blockquote\b(?=.*(?:gmail_quote|type\s*=\s*[\"']?cite|protonmail_quote))"
    r"|<\w+\b.*(?:gmail_attr|moz-cite-prefix|yahoo_quoted|protonmail_quote|tutanota_quote|zmail_extra)",
    re.IGNORECASE | re.DOTALL,
)
_GMAIL = re.compile(r"<div\b.*gmail_quote", re.IGNORECASE | re.DOTALL)
_REST = re.compile(r"<\w+\b.*(?:divRplyFwdMsg|stopSpelling|OutlookMessageHeader)", re.IGNORECASE | re.DOTALL)
_SIGNED = re.compile(
    r"<\w+\b.*(?:gmail_signature\b|moz-signature|AppleMailSignature|id=[\"']Signature)",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(r"<[^<>]*>")
_FORWARDED_TAG = re.compile(r"(?:\s|<[^<>]*>)*-{2,}")
_QUOTED_TEXT, _REST_TEXT = "> (quoted)", "-----Original Message-----"  # what stands for them in the text
_QUOTE_TAG, _REST_TAG = f"<p>{escape(_QUOTED_TEXT)}</p>", f"<p>{_REST_TEXT}</p>"


def own_text(text: str) -> str:
    """What is left of a mail without quoted and forwarded messages and the signature at its end; all of it,
    if nothing else is there. Lines of code after a prompt `>` stay, where nobody is said to have written
    them."""
    own = _without_rest(_without_quoted_lines(text)).strip("\n").rstrip()
    own = _without_signature(own)
    return re.sub(r"\n{3,}", "\n\n", own) if own.strip() else text


def came_by_mail(text: str) -> bool:
    """Whether `text` quotes a mail as programs do: from its first line on, or to its end; or a notification,
    which somebody answered. A mail that is quoted between other text is a person's choice."""
    if not _WROTE.search(text):
        return False
    lines = text.replace("\r\n", "\n").strip().split("\n")
    for i, line in enumerate(lines):
        if not line.rstrip().endswith(":") or (start := _attribution_start(lines, i + 1)) > i:
            continue
        said = " ".join(lines[start : i + 1])
        is_dated = re.search(r"\d:\d\d", said) and _DATE.search(said)
        if not (_OPENS.match(said) and _WROTE.search(said) and ("@" in said or is_dated)):
            continue
        rest = [after for after in lines[i + 1 :] if after.strip()]
        quoted = [after.startswith(">") for after in rest]
        if _NOTIFIED.search(said) or (any(quoted) and (all(quoted) or (start == 0 and quoted[0]))):
            return True
    return False


def answers_notification(text: str) -> bool:
    """Whether `text` names the address from which a forge or a forum sends comments."""
    return bool(_NOTIFIED.search(text))


def own_text_of_html(html: str) -> str:
    """The same of a mail in HTML, as text."""
    marked = _mark_quotes(html) if _HINT.search(html) else html
    text = html_to_text(marked)
    own = own_text(text)
    nothing_else = own == text and (not own.strip() or _QUOTED_TEXT in own or _REST_TEXT in own)
    return html_to_text(html) if marked != html and nothing_else else own


def _without_rest(text: str) -> str:
    """`text` up to where a mail program put another message as a whole."""
    if found := _FOLLOWS.search(text):
        text = text[: found.start()]
    lines = text.split("\n")
    for i, line in enumerate(lines):
        # With the date and the time, or the address, it is no sentence of a person.
        if i and line.rstrip().endswith(":") and (start := _attribution_start(lines, i + 1)) <= i:
            said = " ".join(lines[start : i + 1])
            is_dated = re.search(r"\d:\d\d", said) and _DATE.search(said)
            if _OPENS.match(said) and _WROTE.search(said) and ("@" in said or is_dated):
                return "\n".join(lines[:start])
    return text


def _without_quoted_lines(text: str) -> str:
    lines = text.split("\n")
    kept: list[str] = []
    at = 0
    for is_quoted, group in groupby(lines, key=lambda line: bool(_QUOTED.match(line))):
        block = list(group)
        end = at + len(block)
        if is_quoted:
            start = _attribution_start(lines, at)
            if start < at or not _is_code(block):
                del kept[len(kept) - (at - start) :]
                block = [""]
        kept += block
        at = end
    return "\n".join(kept)


def _attribution_start(lines: Sequence[str], quote: int) -> int:
    """The index of the line that says who wrote what is quoted from line `quote` on; `quote` for none. It may
    be two lines: "On 1 May 2020 at 10:00, Jane Doe\\n<jane@example.org> wrote:"."""
    last = quote - 1
    while last >= 0 and not lines[last].strip():
        last -= 1
    if last < 0 or _QUOTED.match(lines[last]):
        return quote
    line = lines[last]
    if _SAYS.fullmatch(line):
        return last
    if line.rstrip()[-1:] not in (":", "\uff1a"):
        return quote
    if len(line) > _MAX_ATTRIBUTION:
        return quote
    told = [bool(_WROTE.search(line)), "@" in line, bool(_WHEN.search(line))]
    if _OPENS.match(line) and sum(told) > 1:
        return last
    before = lines[last - 1] if last else ""
    whole = f"{before} {line}"
    if _OPENS.match(before) and len(whole) <= _MAX_ATTRIBUTION and _WHEN.search(before) and any(told[:2]):
        return last - 1
    return last if any(told) else quote


def _is_code(block: Sequence[str]) -> bool:
    """Whether lines that begin with ">" are what somebody typed after a prompt."""
    lines = [line.lstrip() for line in block if line.strip("> \t")]
    if any(_WROTE.search(line) and line.rstrip().endswith(":") for line in lines):
        return False
    if lines and all(line.startswith(">>> ") for line in lines):
        return True
    typed = sum(line[1:2] != ">" and bool(_CODE.match(line[1:].strip())) for line in lines)
    return typed * 2 > len(lines)


def _without_signature(text: str) -> str:
    text = _SENT_FROM.sub("", text).rstrip()
    if found := [*_SIGNATURE.finditer(f"{text}\n")]:
        if len(text) - found[-1].start() <= _MAX_SIGNATURE:
            text = _cut_signature(text, found[-1].start())
    elif len(bare := [*re.finditer(r"^--[ \t]*$", text, re.MULTILINE)]) == 1:
        if found := [*_BARE_SIGNATURE.finditer(text)]:
            text = _cut_signature(text, found[-1].start())
        elif bare[0].end() == len(text):
            text = text[: bare[0].start()]
    return _SENT_FROM.sub("", text.rstrip()).rstrip()


def _cut_signature(text: str, start: int) -> str:
    """`text` without the signature that starts there, but with the postscript below it."""
    postscript = _POSTSCRIPT.search(text, start + 1)
    return text[:start].rstrip() + (f"\n\n{text[postscript.start() :].strip()}" if postscript else "")


# ---- HTML


def _mark_quotes(html: str) -> str:
    """`html` with a line of ">" for each element that quotes, and without signatures."""
    parts: list[str] = []
    at = depth = 0
    inside, mark = "", ""  # the name of the element that is left out, and what stands for it
    last_quote = html.lower().rfind("<blockquote")
    for tag in TAG_OR_COMMENT.finditer(html):
        name = (tag[2] or "").lower()
        if inside:
            if name == inside and not tag[0].endswith("/"):
                depth += -1 if tag[1] else 1
            if not depth:
                parts.append(mark)
                at, inside = html.find(">", tag.end() - 1) + 1 or len(html), ""
            continue
        if not name or tag[1] or tag.start() < at:
            continue
        if _REST.match(tag[0]):
            parts.append(html[at : tag.start()] + _REST_TAG)
            at = tag.start()
        elif (stands_for := _mark_of(tag, html, last_quote)) is not None:
            parts.append(html[at : tag.start()])
            at, inside, depth, mark = len(html), name, 1, stands_for
    return "".join(parts) + (mark if inside else html[at:])


def _mark_of(tag: re.Match[str], html: str, last_quote: int) -> str | None:
    """What stands for the element with this start tag, None where it stays."""
    if _SIGNED.match(tag[0]):
        return ""
    is_quote = _QUOTE.match(tag[0]) or (_GMAIL.match(tag[0]) and last_quote < tag.start())
    if not is_quote and tag[2].lower() == "blockquote":
        before = " ".join(_TAG.sub(" ", html[max(tag.start() - 600, 0) : tag.start()]).split())
        is_quote = re.search(r":\Z", before) and _WROTE.search(before[-_MAX_ATTRIBUTION:])
    is_forward = "gmail_attr" in tag[0] and _FORWARDED_TAG.match(html, html.find(">", tag.end() - 1) + 1)
    return _QUOTE_TAG if is_quote and not is_forward else None
