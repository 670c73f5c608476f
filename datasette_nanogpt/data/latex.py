"""LaTeX to text: what somebody would read, without commands. Formulas stay as they are written."""

from __future__ import annotations

import re
import unicodedata

from .around_code import MARKDOWN_CODE, fenced, rewrite_around

# What only a text in LaTeX has, or one about LaTeX, which has it in code: of a whole text, and in its lines.
_STRUCTURE = re.compile(
    r"^[ \t]*\\(?:documentclass|(?:part|chapter|(?:sub)*section|paragraph)\*?\{|maketitle\b)"
    r"|\\begin\{(?:document|abstract|itemize|enumerate|description|quote|quotation|verse|center|figure|table"
    r"|tabular|theorem|lemma|proof|definition|corollary|proposition|remark)\*?\}",
    re.MULTILINE,
)
_IN_LINE = re.compile(
    r"\\(?:emph|text(?:bf|it|tt|sc|sl)|cite[a-z]*|footnote|href)\*?[\[{]"
    r"|\{\\['`^\"~=.](?:[a-zA-Z]|\{[a-zA-Z]\})\}"
)
_HTML = re.compile(r"<(?:p|code|pre|div|br)\b[^<>]*>", re.IGNORECASE)

# An argument has no blank line, so that an open brace is not looked for in all of a text.
_CHAR = r"(?:[^{}\n\\]|\\[^\n]|\n(?![ \t]*\n))"
_BRACES_1 = rf"\{{{_CHAR}*+\}}"
_BRACES_2 = rf"\{{(?:{_CHAR}|{_BRACES_1})*+\}}"
_BRACES_3 = rf"\{{(?:{_CHAR}|{_BRACES_2})*+\}}"
_INSIDE = rf"\{{((?:{_CHAR}|{_BRACES_3})*+)\}}"
_BRACKETS = r"(?:\[[^\[\]]{0,300}\])"

# Formulas, and code as it was typed.
_DISPLAY = "equation|align|alignat|gather|multline|eqnarray|displaymath|math|flalign|IEEEeqnarray"
_KEPT = re.compile(
    r"\\begin\{(?P<typed>verbatim|Verbatim|lstlisting|minted|alltt)\}(?:\[[^\[\]\n]*\])?(?:\{(?P<language>\w+)\})?\n?"
    r"(?P<code>.*?)\\end\{(?P=typed)\}"
    rf"|\\begin\{{(?P<display>(?:{_DISPLAY})\*?)\}}.*?\\end\{{(?P=display)\}}"
    r"|(?<!\\)\$\$.{1,5000}?\$\$|\\\[.{1,5000}?\\\]|\\\(.{1,2000}?\\\)"
    r"|(?<![\\$])\$(?=[^\s$])(?:[^$\\\n]|\\.|\n(?!\s*\n)){1,2000}?\$"
    r"|\\verb\*?(?P<sign>[^\sa-zA-Z*])(?P<verb>[^\n]*?)(?P=sign)",
    re.DOTALL,
)
_BEFORE = re.compile(r"[ \t]*\n[ \t]*(?=\$\$|\\\[|\\begin\{)")
_AFTER = re.compile(r"(\$\$|\\\]|\\end\{[a-zA-Z]+\*?\})\n[ \t](?=\S)")
_NUMBERED = re.compile(r"[ \t]*\\(?:label\{[^{}]*\}|nonumber\b|notag\b)")
_SINGLE = re.compile(r"\\(?:begin|end)\{(?:equation|displaymath)\*?\}")

_COMMENT = re.compile(r"^[ \t]*%[^\n]*(?:\n|\Z)|(?<!\\)%[^\n]*(?:\n[ \t]*(?=\S))?", re.MULTILINE)
_DOCUMENT = re.compile(r"\\begin\{document\}(.*?)(?:\\end\{document\}|\Z)", re.DOTALL)
_WHOLE = re.compile(r"\\(?:documentclass|maketitle)\b")
_TITLE = re.compile(rf"\\title{_BRACKETS}?[ \t]*{_INSIDE}")
# Parts that are no prose; of a figure the caption is.
_FLOAT = re.compile(r"\\begin\{((?:wrap|side|sub)?(?:figure|table)\*?)\}.*?\\end\{\1\}", re.DOTALL)
_CAPTION = re.compile(rf"\\caption\*?{_BRACKETS}?{_INSIDE}")
_NO_PROSE = re.compile(
    r"\\begin\{(tikz\w*|picture|tabular\w?\*?|longtable|thebibliography|filecontents\*?|comment|algorithmic"
    r"|forest|axis|pgf\w*)\}.*?\\end\{\1\}",
    re.DOTALL,
)
_DROPPED_NAMES = """
label index footnote footnotemark footnotetext thanks marginpar todo vspace hspace vskip hskip
includegraphics input include bibliography bibliographystyle printbibliography addbibresource pagestyle
thispagestyle setlength addtolength setcounter addtocounter newcommand renewcommand providecommand
newtheorem def usepackage documentclass author date affil affiliation email address keywords subjclass
title pagenumbering hypersetup addcontentsline graphicspath newenvironment DeclareMathOperator nocite
hypertarget selectlanguage
"""
_DROPPED = re.compile(
    rf"[ \t]*\\(?:{'|'.join(_DROPPED_NAMES.split())})(?![a-zA-Z])\*?(?:[ \t]*\\[a-zA-Z]+(?=[\[{{]))?"
    rf"(?:{_BRACKETS}|{_BRACES_3})*"
)
_REFERENCE = re.compile(
    r"(?P<space>[ \t~]*)\\(?!href)(?P<name>[a-zA-Z]*(?:cite[a-z]*|[rR]ef))\*?"
    rf"{_BRACKETS}{{0,2}}\{{(?P<keys>[^{{}}]*)\}}"
)
_NAMED_IN_TEXT = ("citet", "textcite", "citeauthor", "Citet", "Textcite")
_NAMES_OF_THINGS = """
fig=Figure tab=Table sec=Section eq=Equation ch=Chapter thm=Theorem lem=Lemma def=Definition app=Appendix
"""
_THINGS = dict(pair.split("=") for pair in _NAMES_OF_THINGS.split())
_LEADS_NOWHERE = re.compile(r"(?:(?<=[.!?])[ ]|(?<![^\n]))See(?: also)?[ ,]*(?:and[ ,]*)*\.(?![^\s])")
_EMPTY = re.compile(r"[ \t~]*(?:\([\s,;]*\)|\[[\s,;]*\])")
_HEADING = re.compile(
    rf"\s*\\(?:part|chapter|(?:sub)*section|(?:sub)?paragraph)\*?{_BRACKETS}?[ \t]*{_INSIDE}\s*"
)
_ITEM = re.compile(r"\s*\\item(?![a-zA-Z])[ \t]*(?:\[([^\[\]]{0,300})\])?\s*")
_STATEMENT = re.compile(
    r"\s*\\begin\{(theorem|lemma|proof|definition|corollary|proposition|remark|example|conjecture|claim)\*?\}"
    r"[ \t]*(?:\[([^\[\]]{0,300})\])?\s*"
)
_ENVIRONMENT = re.compile(
    rf"[ \t]*\\(begin|end)\{{[a-zA-Z]+\*?\}}{_BRACKETS}?(?:{_BRACES_1}(?=\s*\n))?[ \t]*"
)
_LINK = re.compile(rf"\\href\{{[^{{}}]*\}}{_INSIDE}")
_BREAK = re.compile(r"[ \t]*\\\\(?:\*|\[[^\[\]\n]{0,20}\])?[ \t]*\n?|[ \t]*\\newline(?![a-zA-Z])[ \t]*\n?")
_NAMED_SIGNS = """
LaTeX=LaTeX TeX=TeX ldots=\u2026 dots=\u2026 textellipsis=\u2026 S=\u00a7 copyright=\u00a9
pounds=\u00a3 euro=\u20ac textasciitilde=~ textendash=\u2013 textemdash=\u2014 textdegree=\u00b0 ss=\u00df
o=\u00f8 O=\u00d8 l=\u0142 L=\u0141 ae=\u00e6 AE=\u00c6 oe=\u0153 OE=\u0152 aa=\u00e5 AA=\u00c5 i=i j=j
"""
_SIGNS = dict(pair.split("=") for pair in _NAMED_SIGNS.split())
_SIGNS |= dict.fromkeys(["space", "quad", "qquad"], " ")
_SIGN = re.compile(rf"\\({'|'.join(sorted(_SIGNS, key=len, reverse=True))})(?:\{{\}}|(?![a-zA-Z])[ \t]?)")
# The combining character of each accent.
_MARKS = dict(
    zip(
        "'`^\"~=.cHvukrd",
        "\u0301\u0300\u0302\u0308\u0303\u0304\u0307\u0327\u030b\u030c\u0306\u0328\u030a\u0323",
        strict=True,
    )
)
_ACCENT = re.compile(
    r"\\(?:([\'`^\"~=.])[ ]?(?:\{\\?([a-zA-Z])\}|\\?([a-zA-Z]))"
    r"|([cHvukrd])(?:\{\\?([a-zA-Z])\}|[ ]([a-zA-Z])))"
)
_COMMAND = re.compile(rf"\\[a-zA-Z@]+\*?(?:{_BRACKETS}(?=\{{))?[ \t]*")
_SPACES = re.compile(r"[ \t]+")


def is_latex(text: str) -> bool:
    """Whether a text is written in LaTeX: it has headings, lists or the like of it."""
    return bool(_STRUCTURE.search(text)) and bool(_STRUCTURE.search(_without_code(text)))


def has_latex(text: str) -> bool:
    """Whether a text of prose has something of LaTeX in its lines, as the abstracts of papers do."""
    return bool(_IN_LINE.search(text)) and bool(_IN_LINE.search(_without_code(text)))


def _without_code(text: str) -> str:
    """What is not code; nothing of HTML, in which LaTeX is what somebody writes about."""
    return "" if _HTML.search(text) else MARKDOWN_CODE.sub("", text)


def split_document(text: str) -> tuple[str | None, str] | None:
    """The title of a whole document, and what is between its beginning and end; None for other texts."""
    document = _DOCUMENT.search(text) if _WHOLE.search(text) else None
    if not document:
        return None
    title = _TITLE.search(_COMMENT.sub("", text))
    return (" ".join(read_latex(title[1]).split()) or None) if title else None, document[1].strip("\n")


def read_latex(text: str) -> str:
    """Headings, lists and paragraphs without commands, comments, tables, references and footnotes."""
    text = text.replace("\r\n", "\n")
    if split := split_document(text):
        text = split[1]
    text = rewrite_around(_KEPT, text, _without_commands, _read_kept)
    return _AFTER.sub(r"\1\n", _BEFORE.sub("\n", text)).strip()


def read_latex_in_prose(text: str) -> str:
    """A text with commands in its lines, without these: its `%` and `~` mean themselves."""
    text = rewrite_around(_KEPT, text.replace("\r\n", "\n"), _without_commands_in_lines)
    return text.lstrip(" ")


def _read_kept(found: re.Match[str]) -> str:
    if found["typed"]:
        return fenced(found, found["code"], found["language"] or "")
    if found["verb"] is not None:
        return found["verb"]
    formula = _NUMBERED.sub("", found[0])
    formula = _SINGLE.sub("$$", formula)
    return formula if formula.startswith(("$", "\\(")) and not formula.startswith("$$") else f"\n{formula}\n"


def _without_commands(text: str) -> str:
    text = _COMMENT.sub("", text)
    text = _FLOAT.sub(_captions, text)
    text = _NO_PROSE.sub("", text)
    text = _HEADING.sub(r"\n\n\1\n\n", text)
    text = _STATEMENT.sub(_read_statement, text)
    # Lines end as wide as the page of who wrote them was; a break is a command.
    text = _ENVIRONMENT.sub("\n\n", text)
    text = re.sub(r"(?<=\S)[ \t]*\n[ \t]*(?=\S)", " ", text)
    text = _BREAK.sub("\n", _ITEM.sub(_read_item, text))
    text = _without_commands_in_lines(text).replace("~", " ")
    return re.sub(r"[ \t]*\n[ \t]*", "\n", re.sub(r"\n\s*\n", "\n\n", text))


def _without_commands_in_lines(text: str) -> str:
    text = _REFERENCE.sub(_read_reference, text)
    text = _LEADS_NOWHERE.sub("", _EMPTY.sub("", _DROPPED.sub("", text)))
    text = _LINK.sub(r"\1", text)
    text = _SIGN.sub(lambda sign: _SIGNS[sign[1]], _ACCENT.sub(_read_accent, text))
    text = _COMMAND.sub("", text)
    text = re.sub(r"\\([&%$#_{}])|[{}]|\\([,;:!/ -])", _read_escape, text)
    text = re.sub(r"``|''", lambda quote: "\u201c" if quote[0] == "``" else "\u201d", text)
    text = text.replace("---", "\u2014").replace("--", "\u2013")
    text = re.sub(r"(?<![\w`])`(?=\w)", "\u2018", text)
    return _SPACES.sub(" ", re.sub(r"[ \t]+(?=[.,;:!?)])", "", text))


def _read_escape(escape: re.Match[str]) -> str:
    return escape[1] or (" " if escape[2] and escape[2] in ",;: " else "")


def _captions(found: re.Match[str]) -> str:
    return "\n\n" + "\n\n".join(caption[1] for caption in _CAPTION.finditer(found[0])) + "\n\n"


def _read_item(item: re.Match[str]) -> str:
    return f"\n- {item[1]}: " if item[1] else "\n- "


def _read_statement(found: re.Match[str]) -> str:
    """As it is printed: "Lemma (Ada). If ..."."""
    of = f" ({found[2]})" if found[2] else ""
    return f"\n\n{found[1].capitalize()}{of}. "


def _read_reference(found: re.Match[str]) -> str:
    """The name of who is cited where it is part of the sentence, or of the thing, if a program writes it."""
    name, keys = found["name"], found["keys"]
    first = re.match(r"[a-zA-Z]+", keys)
    if name in _NAMED_IN_TEXT and first and len(first[0]) > 2:
        return f"{found['space']}{first[0].capitalize()}"
    if name.lower() in ("autoref", "cref") and first and first[0] in _THINGS:
        return f"{found['space']}{_THINGS[first[0]]}"
    return ""


def _read_accent(accent: re.Match[str]) -> str:
    mark, letter = accent[1] or accent[4], accent[2] or accent[3] or accent[5] or accent[6]
    return unicodedata.normalize("NFC", letter + _MARKS[mark])
