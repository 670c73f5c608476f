"""HTML to readable text, and how to recognise HTML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape, unescape
from typing import TYPE_CHECKING

from .around_code import MARKDOWN_CODE
from .html_pages import as_html, is_page, without_menus

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

# What is not named here is inline.
_PARAGRAPH_TAGS = """
ac:structured-macro article aside blockquote details dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header
hr listing main menu nav ol p plaintext pre section table ul xmp
"""
_LINE_TAGS = """
address caption center dd dialog dir div dt figcaption legend li optgroup option search select
summary textarea tr
"""
# noscript repeats what a script would show; svg, canvas and object hold labels, ac:parameter (Confluence)
# settings, and en-crypt (Evernote) base64, not prose.
_DROPPED = """
ac:parameter annotation audio canvas en-crypt head iframe noscript object rp rt script style svg template
title video
"""
# Elements without an end tag, or whose end tag may be left out: they do not nest in themselves.
_UNCLOSED_TAGS = "area base br col dd dt embed hr img input li link meta option p source td th tr track wbr"
# Newlines around an element: 2 leave a blank line.
_GAP = {**dict.fromkeys(_PARAGRAPH_TAGS.split(), 2), **dict.fromkeys(_LINE_TAGS.split(), 1)}
_DROPPED_TAGS = frozenset(_DROPPED.split())
_NOT_NESTED_TAGS = frozenset(_UNCLOSED_TAGS.split())
_LIST_TAGS = frozenset(["ul", "ol", "menu", "dir"])
_VERBATIM_TAGS = frozenset(["pre", "listing", "xmp", "plaintext", "textarea"])

# In these, as outside all elements, a blank line of the source may end a paragraph.
_CONTAINERS = "html body div blockquote section article main header footer aside details center fieldset form"
_CLOSED_TAGS = frozenset([*_GAP, "td", "th"]) - frozenset(_CONTAINERS.split())

# Where a long text may be cut: before one of the tags on the right if the innermost open element is that on
# the left, and all others are containers. Such a tag ends all that may be open in between, or nothing, as a
# line break and what is inline do: then what is open, a paragraph and its emphasis, goes on in the next
# piece.
# A table does not end a paragraph where there is no doctype.
_STARTS = "p div h1 h2 h3 h4 h5 h6 ul ol pre section article blockquote br span a"
_CONTAINER_TAGS = frozenset(_CONTAINERS.split()) - {"html", "body"}
# Elements that matter to the text and may have others in them.
_BLOCK_TAGS = (frozenset(_GAP) | _DROPPED_TAGS | {"thead", "tbody", "tfoot", "sup"}) - _NOT_NESTED_TAGS
_CUT_IN: dict[str, frozenset[str]] = {
    **dict.fromkeys(["", *_CONTAINERS.split()], frozenset(_STARTS.split())),
    **dict.fromkeys(["ul", "ol"], frozenset(["li"])),
    "dl": frozenset(["dt", "dd"]),
    **dict.fromkeys(["table", "tbody"], frozenset(["tr"])),
}
_CUT = "data-cut"  # the attribute of a tag that is the first one of the next piece

SAMPLE_CHARS = 20_000  # how much of a text is examined to recognise HTML
MAX_DEPTH = 500  # elements open at once; the time to parse, and to write, grows with the square of this
PIECE = 1_000_000  # characters that are parsed at once, if possible: their tree takes 7 times as much memory

_ANY_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*>")
# With its attributes, whose values may have tags in them.
TAG_OR_COMMENT = re.compile(
    r"""<!--.*?(?:-->|\Z)|<(/?)([a-zA-Z][^\s/>]*)(?:[^<>"']++|"[^"]*+"|'[^']*+')*+""", re.DOTALL
)
_BLOCK_TAG = r"</?(?:{})(?:\s[^<>]*)?/?>".format("|".join([*_GAP, "br", "html", "body", "td", "th"]))
# Only tags that touch other text or a line's edge: "the <p> tag" is prose about HTML.
_USED_TAG = re.compile(rf"(?<![ \t`'\"(]){_BLOCK_TAG}|{_BLOCK_TAG}(?![ \t`'\",.;:)])", re.IGNORECASE)
_MARKDOWN = re.compile(
    r"^ {0,3}(?:```|~~~|#{1,6} |[-*+] |\d+[.)] |> |\|)|\]\(|\*\*\w|`[^`\n]+`", re.MULTILINE
)
INLINE = "a|abbr|b|big|cite|code|del|em|font|i|ins|q|s|small|span|strike|strong|sub|sup|u"
_INLINE_PAIR = re.compile(rf"<({INLINE})(?:\s[^<>]*)?>[^<]{{1,500}}</\1>|<img\s[^<>]*>", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[((?:(?!\]\]>).)*)\]\]>", re.DOTALL)
# In the XML of books and articles sections have titles; that of a page, in its head, is not shown on it.
_SECTION_TITLE = re.compile(
    r"(<(?:section|sec|chapter|sect\d|appendix|preface)\b[^<>]*>\s*)<title>(.{0,1000}?)</title>", re.DOTALL
)
_P_TAG = re.compile(r"<p[\s>]", re.IGNORECASE)
# A blank line that stands between text and text, as far as tags tell.
_BLANK_LINE = re.compile(
    rf"(?:[^>\s]|</(?:{INLINE})>)[^\S\n]*\n[^\S\n]*\n\s*(?:[^<\s]|<(?:{INLINE}|img)[\s>])", re.IGNORECASE
)
_LINE_BREAK = re.compile(r"\r+\n|\r")
_LINE_ENDS = re.compile(r"(\s*\n\s*)")


def looks_like_markdown(text: str) -> bool:
    """Whether `text` has headings, lists, links, emphasis or code as markdown has them."""
    return bool(_MARKDOWN.search(text[:SAMPLE_CHARS]))


def has_inline_tags(text: str) -> bool:
    """Whether `text` has links, emphasis or images as HTML, and nothing of markdown."""
    text = text[:SAMPLE_CHARS]
    return bool(_INLINE_PAIR.search(MARKDOWN_CODE.sub("", text))) and not looks_like_markdown(text)


def looks_like_html(text: str) -> bool:
    """Whether `text` is HTML, by its first SAMPLE_CHARS characters.

    Block tags decide. Plain text with a stray `<` or an inline tag is not HTML, nor is markdown
    with some HTML in it or a block of HTML code.
    """
    text = as_html(text[:SAMPLE_CHARS])
    if "<" not in text:
        return False
    if _CDATA.match(text.lstrip()):
        return True
    tags = len(_USED_TAG.findall(MARKDOWN_CODE.sub("", text)))
    return tags > len(_MARKDOWN.findall(text))


def html_to_text(html: str) -> str:
    """The readable text of `html`: blocks on their own lines, `<pre>` exactly as it is.

    Links keep their text, images their alt text; list items get `-` or their number, table
    cells are separated by ` | `. Text without any tag keeps its lines; only entities are decoded. A blank
    line between texts ends a paragraph, as in the old editor of WordPress and in Textile; where there are no
    paragraphs but these, single lines are kept, too. The menus and the footer of a whole page are left out.
    Never fails: every string has a parse as HTML.
    """
    html = as_html(_LINE_BREAK.sub("\n", html))
    if "<![CDATA[" in html:
        html = _without_cdata(html)
    if is_page(html):
        html = without_menus(html)
    elif "<title>" in html:
        html = _SECTION_TITLE.sub(r"\1<h2>\2</h2>", html)
    if not _ANY_TAG.search(html):
        return unescape(html).replace("\xa0", " ").strip()
    has_lines = not re.search(_BLOCK_TAG, html, re.IGNORECASE) or bool(_BLANK_LINE.search(html))
    keep_lines = has_lines and not _P_TAG.search(html)
    texts: list[str] = []
    writer = _Writer(keep_lines)
    is_open: list[str] = []
    for piece, next_tag in _pieces(html):
        is_open = _write(piece, next_tag, writer, is_open)
        if next_tag:
            writer.pack()
        else:
            texts.append(writer.result())
            writer = _Writer(keep_lines)
    return "\n".join(filter(None, texts))


def _without_cdata(html: str) -> str:
    """CDATA alone is HTML, as in a feed. Among tags it is text, as the code on the pages of a wiki."""
    if whole := _CDATA.fullmatch(html.strip()):
        return whole[1]
    end = html.rfind("]]>") + 3  # each search for an end that there is not would take all of the text
    return _CDATA.sub(_text_of_cdata, html[:end]) + html[end:]


def _text_of_cdata(cdata: re.Match[str]) -> str:
    text = escape(cdata[1])
    return f"<pre>{text}</pre>" if "\n" in text else text


def _pieces(html: str) -> Iterator[tuple[str, str]]:
    """`html` in pieces, each with the name of the tag that begins the next one. It is cut after PIECE
    characters where that makes no difference to its text; and wherever more than MAX_DEPTH elements would be
    open, which only broken HTML has: then that name is "", as at the end."""
    start = 0
    if html.count("<") > MAX_DEPTH or len(html) > PIECE:
        is_open: Counter[str] = Counter()
        depth = 0
        blocks = _Blocks()
        look_from = PIECE
        for tag in TAG_OR_COMMENT.finditer(html):
            end, name, at = tag[1], (tag[2] or "").lower(), tag.start()
            if not name:
                continue
            if at >= look_from and not end and blocks.may_cut(name):
                yield html[start:at], name
                start, look_from = at, at + PIECE
            blocks.follow(name, bool(end))
            if name in _NOT_NESTED_TAGS or (end and not is_open[name]):
                continue
            change = -1 if end else 1
            is_open[name] += change
            depth += change
            if depth > MAX_DEPTH:
                yield html[start:at], ""
                start, depth, look_from = at, 1, at + PIECE
                is_open = Counter([name])
                blocks = _Blocks()
                blocks.follow(name, False)
    yield html[start:], ""


class _Blocks:
    """The open elements that matter to the text, outermost first, as far as tags tell."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def may_cut(self, name: str) -> bool:
        """Whether a start tag of that name ends all that may be open in the innermost of them."""
        inner = self.names[-1] if self.names else ""
        return name in _CUT_IN.get(inner, ()) and all(
            outer in _CONTAINER_TAGS or (outer, inner) == ("table", "tbody") for outer in self.names[:-1]
        )

    def follow(self, name: str, is_end: bool) -> None:
        if name == "body":
            self.names.clear()
        if name not in _BLOCK_TAGS or (name == "form" and not is_end and name in self.names):
            return  # there is no form in a form
        if not is_end:
            self.names.append(name)
        elif name in self.names:
            while self.names.pop() != name:
                pass


def _write(html: str, next_tag: str, writer: _Writer, is_open: Sequence[str]) -> list[str]:
    """Write a piece. `is_open` are the elements that the piece before left open, outermost first; those that
    this one leaves open are returned, where `next_tag` begins the next one."""
    from selectolax.lexbor import LexborHTMLParser

    before = "".join(f"<{name}>" for name in is_open)
    after = f"<{next_tag} {_CUT}>" if next_tag else ""  # ends what it ends there
    tree = LexborHTMLParser(f"{before}{html}{after}".encode("utf-8", "replace"))
    entered = [*reversed(is_open)]  # which the writer has done already
    node = tree.body or tree.root
    above: list[tuple[str, LexborNode]] = []  # the elements we are in; a loop, as nesting may be of any depth
    while node is not None:
        tag = node.tag or ""
        child = None
        if tag == "-text":
            writer.text(node.text_content or "")
        elif entered and tag == entered[-1]:
            entered.pop()
            if (child := node.first_child) is None:
                writer.leave(tag)
        elif tag == next_tag and node.next is None and _CUT in node.attributes:
            return [name for name, _ in above]
        elif tag and tag[0] != "-" and tag not in _DROPPED_TAGS and writer.enter(tag, node):
            child = node.first_child
            if child is None:
                writer.leave(tag)
        if child is not None:
            above.append((tag, node))
            node = child
            continue
        while above and (sibling := node.next) is None:
            tag, node = above.pop()
            writer.leave(tag)
        node = sibling if above else None
    return []


def _person_of(tag: str, node: LexborNode) -> str:
    """Whom a tag names in an attribute, which no tag of HTML does: <lj user="ada">, <user name="ada"/>."""
    name = node.attributes.get("name" if tag == "user" else "user") or node.attributes.get("comm") or ""
    if not name or name.isdigit():
        return ""
    child = node.first_child
    shown = (child.text_content or "") if child is not None and child.tag == "-text" else ""
    return "" if shown.lstrip("@ ").casefold().startswith(name.casefold()) else name


class _Writer:
    """Collects text. A gap, a space or a marker is written once text follows it, never before."""

    def __init__(self, keep_lines: bool) -> None:
        self.keep_lines = keep_lines  # single ones of the source; blank ones always are
        self.parts: list[str] = []
        self.packed = 0  # of them, those that `pack` joined
        self.gap = 0  # newlines due
        self.source_gap = 0  # newlines due if text follows: those of the source
        self.closed = 0  # depth of elements in which those do not count
        self.space = False  # a space due, unless at the start of a line
        self.marker: str | None = None  # bullet or cell border due; voids gaps until its text
        self.lists: list[int | None] = []  # the lists we are in: next number, None if bulleted
        self.cells: list[int] = []  # the table cells we are in: where their parts begin
        self.row_start = False
        self.verbatim = 0  # depth of <pre>

    def result(self) -> str:
        return "".join(self.parts).strip("\n").rstrip()

    def pack(self) -> None:
        """Join the parts that were written since the last time: many small strings take more memory."""
        if new := self.parts[self.packed :]:
            self.parts[self.packed :] = ["".join(new)]
            self.packed += 1

    def text(self, text: str) -> None:
        if self.verbatim:
            self._start()
            self.parts.append(text)
            return
        for part in [text] if self.closed or "\n" not in text else _LINE_ENDS.split(text):
            words = part.split()
            self.space |= part[:1].isspace()
            if words:
                self._start()
                self.parts.append(" ".join(words))
                self.space = part[-1].isspace()
            elif not self.closed and (lines := part.count("\n")) > (not self.keep_lines):
                self.source_gap = max(self.source_gap, min(lines, 2))

    def _start(self) -> None:
        if self.source_gap:
            self._break(self.source_gap)
        line_start = self.gap or not self.parts
        if self.gap and self.parts:
            self.parts.append("\n" * self.gap)
        if line_start and self.lists and not self.verbatim:
            depth = min(len(self.lists), 20)  # broken HTML nests by thousands
            self.parts.append("  " * (depth - (self.marker is not None)))
        if self.marker:
            self.parts.append(self.marker)
        elif self.space and not line_start:
            self.parts.append(" ")
        self.gap, self.source_gap, self.space, self.marker = 0, 0, False, None

    def _break(self, newlines: int) -> None:
        self.space = False
        if self.marker is None:
            self.gap = max(self.gap, newlines)

    def _break_around(self, tag: str) -> None:
        if newlines := _GAP.get(tag):
            self._break(1 if self.lists and tag in _LIST_TAGS else newlines)
            self.source_gap = 0

    def enter(self, tag: str, node: LexborNode) -> bool:
        """Begin an element; False where its children are not wanted and it needs no `leave`."""
        if self.source_gap and not self.gap and tag in _GAP:
            self._break(self.source_gap)
        self._break_around(tag)
        self.closed += tag in _CLOSED_TAGS
        if tag in _VERBATIM_TAGS:
            self.verbatim += 1
        elif tag in _LIST_TAGS:
            first = (node.attributes.get("start") or "1") if tag == "ol" else ""
            self.lists.append(int(first) if re.fullmatch("[0-9]{1,9}", first) else None)
        elif tag == "li":
            self.marker = "- "
            if self.lists and (number := self.lists[-1]) is not None:
                self.marker = f"{number}. "
                self.lists[-1] = number + 1
        elif tag == "tr":
            self.row_start = True
        elif tag in ("td", "th"):
            if self.row_start:
                self.marker = self.marker or ""
            elif self.marker is not None or not self.gap:
                self.marker = (self.marker or "") + " | "
            self.row_start = self.space = False
            self.cells.append(len(self.parts))
        elif tag == "br":
            if self.verbatim:
                self.text("\n")
            else:
                self._break(min(self.gap + 1, 2))
        elif tag == "img":
            self.text(node.attributes.get("alt") or "")
        elif name := _person_of(tag, node):
            self.text(name)
        elif tag == "sup" and (digits := node.text().strip()).isdigit():
            # A footnote's mark or a power would read as one with the word or number before it.
            footnote = (node.parent and node.parent.tag == "a") or node.css_first("a")
            self.text(f"[{digits}]" if footnote else f"^{digits}")
            return False
        return True

    def leave(self, tag: str) -> None:
        self.closed -= tag in _CLOSED_TAGS
        if tag in _VERBATIM_TAGS:
            self.verbatim -= 1
            while self.parts and self.parts[-1].endswith("\n"):
                self.parts[-1] = self.parts[-1].rstrip("\n")
        elif tag in _LIST_TAGS:
            if self.lists:  # pieces may disagree about what is open
                self.lists.pop()
        elif tag in ("li", "tr"):
            self.marker = None  # an empty item, the empty cells at the end of a row
        elif tag in ("td", "th"):
            cell = self.parts[self.cells.pop() :] if self.cells else []
            if cell and not any("\n" in part for part in cell[1:]):
                self.gap = 0  # a cell of one line keeps its row on one line, whatever is in it
        self._break_around(tag)
