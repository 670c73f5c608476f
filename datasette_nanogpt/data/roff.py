"""Pages of manuals in roff, in either of its two languages (man and mdoc), as text."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

_IS_PAGE = re.compile(r"^[.'](?:TH|Dd|Dt)\b.*$", re.MULTILINE)
_SECTION = re.compile(r"^[.'](?:SH|Sh)\b", re.MULTILINE)
# A line that begins with an apostrophe and words is text to those who write such pages, though not to roff.
_REQUEST = re.compile(
    r"(?:\.[ \t]*|'(?=[a-z]{2}(?![\w'])|\\\"))([A-Za-z][A-Za-z0-9]*|\\\")(?:[ \t]+(.*)|\\.*)?"
)
# Requests with a text of their own: fonts one after the other, with a space between or without.
_FONTS = frozenset(["B", "I", "SM", "SB", "R"])
_FONTS_IN_TURN = frozenset(["BR", "BI", "IR", "IB", "RB", "RI"])
_BREAKS = frozenset(["PP", "P", "LP", "Pp", "sp", "HP", "RS", "RE", "Lp", "Bl", "El", "UR", "UE", "MT", "ME"])
_AS_IT_IS, _FILLED = frozenset(["nf", "EX", "Bd"]), frozenset(["fi", "EE", "Ed"])
# Of mdoc: what stands before and after the words of a request.
_AROUND = {
    **{"Op": ("[", "]"), "Oo": ("[", ""), "Oc": ("]", ""), "Pq": ("(", ")"), "Bq": ("[", "]")},
    **{"Aq": ("<", ">"), "Brq": ("{", "}"), "Dq": ("\u201c", "\u201d"), "Sq": ("\u2018", "\u2019")},
    **{"Ql": ("\u2018", "\u2019"), "Qq": ('"', '"'), "Nd": ("\u2013 ", ""), "In": ("<", ">")},
    **{"Fl": ("-", "")},
}
_SYSTEMS = {"Ox": "OpenBSD", "Fx": "FreeBSD", "Nx": "NetBSD", "Bx": "BSD", "Dx": "DragonFly", "Ux": "UNIX"}
_WORDS = frozenset(
    [
        *("Nm", "Ar", "Xr", "Em", "Sy", "Li", "Pa", "Cm", "Ic", "Dv", "Ev", "Er", "Va", "Vt", "Fa", "Fn"),
        *("Ft", "Fd", "An", "Lk", "Mt", "St", "At", "Tn", "No", "Ns", "Ad", "Cd", "Ms", "Do", "Dc", "So"),
        *("Sc", "Po", "Pc", "Ap", "Bo", "Bc", "Qo", "Qc", "Xo", "Xc", "Rs", "Re", "Dl", "D1", "Lb", "Sx"),
    ]
)
_INLINE = _WORDS | {*_AROUND} | {*_SYSTEMS}
_SIGNS = {
    **{"aq": "'", "cq": "\u2019", "oq": "\u2018", "lq": "\u201c", "rq": "\u201d", "dq": '"', "em": "\u2014"},
    **{"en": "\u2013", "bu": "\u2022", "co": "\u00a9", "ha": "^", "ti": "~", "rs": "\\", "mu": "\u00d7"},
    **{"ga": "`", "hy": "-", "mi": "-", "ge": ">=", "le": "<=", "!=": "!=", "+-": "\u00b1", "de": "\u00b0"},
    **{"->": "\u2192"},
}
# A name between brackets is looked for in so many characters, or text with many such escapes that do not end
# would take time in the square of its length. The longest of groff's own, `sqsupseteq`, has ten.
_NAME = r"[^\]\n]{0,60}\]"
_ESCAPE = re.compile(
    rf"\\(?:f(?:\(..|\[{_NAME}|.)|s[+-]?\d|s\[{_NAME}|m\[{_NAME}|[*n](?:\(..|\[{_NAME}|.)|\((..)"
    rf"|\[(?=\S)({_NAME})|h'[^']*'|v'[^']*'|([-e.'` ~0])|[&|^,/:%)!tcud]|\"[^\n]*)"
)
_ARGUMENT = re.compile(r"(?:[^ \t\"]+|\"[^\"]*\")+")
_SIGN = re.compile(r"\W|\(?\w{1,3}[.)]")  # of an item of a list
_CLOSING = frozenset([".", ",", ";", ":", ")", "]", "?", "!"])


def is_roff(text: str) -> bool:
    return bool(_IS_PAGE.search(text) and _SECTION.search(text))


def read_roff(text: str) -> str:
    """The text without requests and escapes, a paragraph a line."""
    return _Page().read(text)


class _Page:
    """A page on its way to text."""

    def __init__(self) -> None:
        self.parts: list[str] = []  # of the result, "\n" for breaks
        self.words: list[str] = []  # of the paragraph that is filled
        self.name = ""  # what `.Nm` alone stands for
        self.is_filled = True

    def read(self, text: str) -> str:
        tagged = False  # the line is the tag of an item, above its text
        in_macro = False
        for line in text.replace("\r\n", "\n").split("\n"):
            if in_macro:
                in_macro = line.strip() != ".."
                continue
            request = _REQUEST.fullmatch(line) if line[:1] in (".", "'") else None
            if request is None and line[:1] == ".":
                continue  # a dot alone
            name, rest = (request[1], request[2] or "") if request else ("", line)
            in_macro = name in ("de", "ig", "am")
            if name == "TP":
                self.end("\n\n")
                tagged = True
                continue
            self.take(name, rest)
            if tagged and self.words:
                self.end_tag("".join(self.words))
                tagged = False
        self.end("")
        return re.sub(r"\n{3,}", "\n\n", "".join(self.parts)).strip("\n")

    def take(self, name: str, rest: str) -> None:
        words = _split(rest) if name else []
        if not name:
            self.add(rest)
        elif name in ("SH", "SS", "Sh", "Ss"):
            self.end("\n\n")
            self.is_filled = True
            self.add(" ".join(words))
            self.end("\n")
        elif name in _BREAKS or name in _AS_IT_IS or name in _FILLED:
            self.end("\n\n")
            self.is_filled = name not in _AS_IT_IS and (self.is_filled or name in _FILLED)
        elif name in ("IP", "It", "TQ"):
            self.end("\n\n" if name == "IP" else "\n")
            tag = "".join(words[:1]) if name == "IP" else self.inline(words)
            if tag:
                self.add(tag)
                self.end_tag(_plain(tag))
        elif name == "br":
            self.end("\n")
        elif name in _FONTS or name in _FONTS_IN_TURN:
            self.add(("" if name in _FONTS_IN_TURN else " ").join(words))
        elif name in _INLINE:
            self.add(self.inline([name, *words]))

    def add(self, text: str) -> None:
        """A line of text."""
        plain = _plain(text)
        if not self.is_filled:
            self.parts.append(f"{plain}\n")
        elif plain.strip():
            self.words.append(" ".join(plain.split()))
        else:
            self.end("\n\n")

    def end_tag(self, tag: str) -> None:
        """The end of what stands before an item: on a line of its own, but for signs and numbers."""
        if not _SIGN.fullmatch(tag):
            self.end("\n")

    def end(self, gap: str) -> None:
        """The end of a paragraph."""
        if self.words:
            self.parts.append(" ".join(self.words))
            self.words = []
        self.parts.append(gap)

    def inline(self, words: Sequence[str]) -> str:
        """The text of the words of a line of mdoc, some of which are requests themselves."""
        last = len(words)
        while last and words[last - 1] in _CLOSING:
            last -= 1
        end, left = "".join(words[last:]), deque(words[:last])
        text, after, is_joined = "", list[str](), False
        while left:
            word = left.popleft()
            if word == "Ns":
                is_joined = True
                continue
            shown, closing = _AROUND.get(word) or (self.shown(word, left), "")
            gap = "" if is_joined or word in _CLOSING or text[-1:] in ("", "(", "[", "<", "{", "-") else " "
            text += (gap if shown else "") + shown
            after.append(closing)
            is_joined = is_joined and not shown
        return text + "".join(reversed(after)) + end

    def shown(self, word: str, left: deque[str]) -> str:
        """The text of a word of such a line; requests take what they need of the words that are `left`."""
        is_alone = not left or left[0] in _INLINE or left[0] in _CLOSING
        if word == "Nm":
            self.name = self.name if is_alone else self.name or left[0]
            return self.name if is_alone else ""
        if word == "Xr" and len(left) > 1:
            return f"{left.popleft()}({left.popleft()})"
        if word == "Fn" and left:
            name, arguments = left.popleft(), ", ".join(left)
            left.clear()
            return f"{name}({arguments})"
        if word == "Ar" and is_alone:
            return "file ..."
        return "" if word in _WORDS else _SYSTEMS.get(word, word)


def _split(rest: str) -> list[str]:
    """The words of a request, those between quotation marks together."""
    if rest.count('"') % 2:
        return rest.split()
    return [word.replace('"', "") for word in _ARGUMENT.findall(rest.replace("\\ ", "\\~"))]


def _plain(text: str) -> str:
    def shown(escape: re.Match[str]) -> str:
        sign, other = escape[1] or (escape[2] or "").removesuffix("]"), escape[3]
        if sign:
            return _SIGNS.get(sign, "")
        return {"-": "-", "e": "\\", " ": " ", "~": " ", "0": " "}.get(other, other) if other else ""

    return _ESCAPE.sub(shown, text)
