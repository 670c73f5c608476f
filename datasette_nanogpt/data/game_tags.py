"""What is said in games, without what their programs read: Unity's and Ren'Py's tags, RPG Maker's codes."""

from __future__ import annotations

import re

# Tags that only such texts have; the others are left out beside them.
_OWN = re.compile(
    r"<(?:color|size|sprite|material)=[^<>\n]+>|\{(?:color|size|cps|w|p)=[^{}\n]+\}|\{(?:nw|fast)\}|\{/[ibus]\}"
    r"|\\[CV]\[\d+\]"
)
_TAGS = (
    r"color|size|sprite|material|font|b|i|u|s|mark|voffset|align|alpha|cspace|indent|link|nobr|style|gradient"
)
_GONE = re.compile(
    rf"</?(?:{_TAGS})(?:=[^<>\n]*|[ \t]+\w+=[^<>\n]*)?>|</>"
    r"|\{/?(?:color|size|cps|font|alpha|outlinecolor|k|a|space|vspace)(?:=[^{}\n]*)?\}"
    r"|\{/?(?:b|i|u|s|plain|w|p|nw|fast|done)(?:=[\d.]+)?\}|\\[CIVcivGg](?:\[\d+\])|\\[.|!><^{}]"
)
_BREAK = re.compile(r"\\n|<br[ \t]*/?>")


def has_game_tags(text: str) -> bool:
    return bool(_OWN.search(text))


def without_game_tags(text: str) -> str:
    return _GONE.sub("", _BREAK.sub("\n", text))
