"""Markup other than HTML and markdown, as programs keep it with a text, and the text without it.

Forums have BBCode, wikis wiki markup, films subtitles with times, issues the markup of Jira, WordPress
shortcodes, Anki clozes, Slack links of its own, and diaries escapes and pictures in their own store. A sample
of the column decides, as any of these may stand in a text that is about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .bbcode import has_bbcode, read_bbcode
from .chat_phrases import has_placeholders, without_placeholders
from .chat_stamps import are_lines_of_a_chat, has_chat_stamps, without_chat_stamps
from .chords import has_chords, without_chords
from .clippings import are_clippings, read_clippings
from .encodings import (
    is_escaped,
    is_percent_encoded,
    is_rtf,
    is_wrongly_decoded,
    read_escaped,
    read_percent_encoded,
    read_rtf,
    read_wrongly_decoded,
)
from .game_tags import has_game_tags, without_game_tags
from .hyphens import is_hyphenated, join_hyphenated
from .jira import is_jira, is_stamped, read_jira, read_stamped
from .latex import has_latex, is_latex, read_latex, read_latex_in_prose
from .misskey import has_misskey, read_misskey
from .notion import is_notion, read_notion
from .obsidian import has_obsidian, read_obsidian
from .program_lines import (
    has_properties,
    has_trailers,
    is_indented,
    without_indent,
    without_properties,
    without_trailers,
)
from .roff import is_roff, read_roff
from .site_tags import has_site_tags, without_site_tags
from .spoken_times import has_spoken_times, without_spoken_times
from .strongs_numbers import has_strongs_numbers, without_strongs_numbers
from .subtitles import has_signs, is_subtitles, read_cue, read_subtitles
from .textile import is_textile, read_textile
from .tiddlywiki import is_tiddlywiki, read_tiddlywiki
from .trac import is_trac, read_trac
from .wiki import is_wiki, read_wiki
from .wiki_notes import has_wiki_notes, without_wiki_notes

# In this fraction of the texts something must stand that only this markup has.
MIN_FRACTION, MIN_FRACTION_OF_WIKI, MIN_FRACTION_OF_LINKS = 0.5, 0.2, 0.05
MIN_FRACTION_OF_PICTURES = 0.01  # which only a chat has
WIKI, TIDDLYWIKI, TRAC, ROFF = "wiki markup", "TiddlyWiki's markup", "Trac's markup", "man pages"
CUES = "signs of subtitles"  # in rows that are a cue each, which the columns beside them say, not their text
WRONGLY_DECODED, CHAT, CLIPPINGS = "wrongly decoded UTF-8", "times of a chat", "clippings of a Kindle"
LATEX, LATEX_IN_PROSE = "LaTeX", "LaTeX in prose"
BEGINNINGS, STRONGS = "beginnings of NewsAPI", "Strong's numbers"

_SHORTCODE = re.compile(
    r"\[/?(?:caption|gallery|embed|audio|video|playlist|youtube|vimeo|tweet|gist|soundcloud|googlemaps|slideshare"
    r"|contact-form(?:-7)?|wp_caption|vc_\w+|et_pb_\w+|sc_\w+|su_\w+)\b[^\[\]\n]*\][ \t]*"
    r"|\[[a-z][\w-]*(?:\s+[\w-]+=(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\]\"']+))+\s*/?\][ \t]*"
)
_CARD = re.compile(
    r"\[sound:[^\[\]\n]*\]|\[/?latex\]|\[\$\$?\]|\[/\$\$?\]|\{\{c\d+::([^{}]*?)(?:::[^{}]*?)?\}\}"
)
_SLACK = re.compile(r"<(?:([@#!][^<>|\s]*)|((?:https?|mailto|tel):[^<>|\s]*))(?:\|([^<>]*))?>")
_SLACK_OWN = re.compile(r"<(?:@[UW][A-Z0-9]{5,}|#C[A-Z0-9]{5,}|![a-z]+|https?://[^<>|\s]+\|)")
# Discord's people, roles, channels and times are numbers; its pictures have names.
_DISCORD = re.compile(r"<(?:@[!&]?|#)\d{15,20}>[ \t]?|<t:\d+(?::[a-zA-Z])?>[ \t]?|<a?(:\w+:)\d{15,20}>")
# What scrapers take along with lyrics from Genius, above them, between them and at their end.
_GENIUS_END = re.compile(r"(?:(?<=[\w.,!?)\]\"'])\d{0,5}(?:\.\d)?K?|\n\d{1,5})Embed\s*\Z")
_GENIUS_START = re.compile(
    r"\A\s*(?:\d+ Contributors?[^\n]{0,300}?|[^\n\[\]]{1,150}?[ ])Lyrics(?=\[|\n|\S|\Z)[ \t]*\n*"
)
_GENIUS_BETWEEN = re.compile(
    r"^(?:See [^\n]{1,80} LiveGet tickets as low as \$\d+)?You might also like[ \t]*"
    r"|^See [^\n]{1,80} LiveGet tickets as low as \$\d+[ \t]*|(?<=\S)You might also like$",
    re.MULTILINE,
)
# NewsAPI hands out the first 200 characters, and says how many there are more.
CUT = re.compile(r"(?:\s*(?:\u2026|\.\.\.))?\s*\[\+\d+ chars\]\s*\Z")
# WeChat: who wrote a message of a group, above it. Of some of them it is a name that they chose as their id.
_WECHAT_SURE = re.compile(r"\s*wxid_\w{6,40}:\n")
_WECHAT = re.compile(r"\A\s*(?:wxid_\w{6,40}|[a-zA-Z][\w-]{5,19}|\d{5,20}@chatroom):\n")
# Escaped by a program: nobody puts a backslash before the full stop of a sentence.
_ESCAPED_STOP = re.compile(r"\w\\[.!](?=\s|\Z)")
_ESCAPED = re.compile(r"^(```+|~~~+).*?(?:^\1|\Z)|\\([!-/:-@\[-`{-~])", re.MULTILINE | re.DOTALL)
# A picture in the store of a program, as Day One, Bear and Joplin keep them.
_OWN_PICTURE = re.compile(
    r"!\[[^\[\]\n]*\]\((?:(?!https?:|ftp:|data:)[a-z][\w+.-]*:|:/)[^()\s]*\)[ \t]*"
    r"|\[(?:image|file):[^\[\]\n/]+/[^\[\]\n]+\.\w{2,5}\][ \t]*",
    re.IGNORECASE,
)
_JOPLIN_LINK = re.compile(r"(?<!!)\[([^\[\]\n]{1,300})\]\(:/[0-9a-f]{32}(?:#[^()\s]{0,300})?\)")
_LINES = re.compile(r"\n{3,}")


class Markup(NamedTuple):
    """A markup: what shows it, in which fraction of the texts at least, and how a text is read."""

    name: str
    is_in: Callable[[str], object]
    fraction: float
    read: Callable[[str], str]


def find_markup(texts: Sequence[str]) -> str:
    """The name of the markup that `texts` have, "" for none of these."""
    if are_lines_of_a_chat(texts):
        return CHAT
    for markup in MARKUPS:
        if sum(bool(markup.is_in(text)) for text in texts) > markup.fraction * len(texts):
            return markup.name
    return ""


def read_markup(name: str, text: str) -> str:
    """`text` without the markup of that name."""
    read = next((markup.read for markup in MARKUPS if markup.name == name), None)
    return _LINES.sub("\n\n", read(text)).strip("\n") if read else text


def _read_genius(text: str) -> str:
    if not _GENIUS_END.search(text) and not re.match(r"\s*\d+ Contributor", text):
        return text
    return _GENIUS_BETWEEN.sub("\n", _GENIUS_START.sub("", _GENIUS_END.sub("", text)))


def _read_slack(text: str) -> str:
    def shown(link: re.Match[str]) -> str:
        person, address, label = link.groups()
        if person:
            sign = "@" if person[0] == "!" else person[0]
            return sign + (label or person[1:]).lstrip("@#")
        return label or address

    return _SLACK.sub(shown, text)


def _read_discord(text: str) -> str:
    return _DISCORD.sub(r"\1", text)


def _read_escaped_markdown(text: str) -> str:
    return _ESCAPED.sub(lambda found: found[2] or found[0], _OWN_PICTURE.sub("", text))


MARKUPS = (
    Markup("tags of a game", has_game_tags, MIN_FRACTION_OF_LINKS, without_game_tags),
    Markup(STRONGS, has_strongs_numbers, MIN_FRACTION, without_strongs_numbers),
    Markup("RTF", is_rtf, MIN_FRACTION, read_rtf),
    Markup("percent-encoding", is_percent_encoded, MIN_FRACTION, read_percent_encoded),
    Markup("escapes", is_escaped, MIN_FRACTION, read_escaped),
    Markup("subtitles", is_subtitles, MIN_FRACTION, read_subtitles),
    Markup(CUES, has_signs, 1.0, read_cue),
    Markup("times of a recording", has_spoken_times, MIN_FRACTION, without_spoken_times),
    Markup(CLIPPINGS, are_clippings, MIN_FRACTION, read_clippings),
    Markup(CHAT, has_chat_stamps, MIN_FRACTION, without_chat_stamps),
    Markup(LATEX, is_latex, MIN_FRACTION, read_latex),
    Markup(ROFF, is_roff, MIN_FRACTION, read_roff),
    Markup(TIDDLYWIKI, is_tiddlywiki, MIN_FRACTION_OF_WIKI, read_tiddlywiki),
    Markup(TRAC, is_trac, MIN_FRACTION_OF_LINKS, read_trac),
    Markup(WIKI, is_wiki, MIN_FRACTION, read_wiki),
    Markup("Textile", is_textile, MIN_FRACTION_OF_LINKS, read_textile),
    Markup("Jira comments", is_stamped, MIN_FRACTION, read_stamped),
    Markup("Jira markup", is_jira, MIN_FRACTION_OF_LINKS, read_jira),
    Markup("chords", has_chords, MIN_FRACTION_OF_LINKS, without_chords),
    Markup("BBCode", has_bbcode, MIN_FRACTION_OF_LINKS, read_bbcode),
    Markup("pages of Genius", _GENIUS_END.search, MIN_FRACTION_OF_WIKI, _read_genius),
    Markup(BEGINNINGS, CUT.search, MIN_FRACTION_OF_WIKI, lambda text: CUT.sub("", text)),
    Markup("cards", _CARD.search, MIN_FRACTION_OF_LINKS, lambda text: _CARD.sub(lambda m: m[1] or "", text)),
    Markup("shortcodes", _SHORTCODE.search, MIN_FRACTION_OF_LINKS, lambda text: _SHORTCODE.sub("", text)),
    Markup("tags of a site", has_site_tags, MIN_FRACTION_OF_LINKS, without_site_tags),
    Markup("Notion's marks", is_notion, MIN_FRACTION_OF_LINKS, read_notion),
    Markup("pictures in a chat", has_placeholders, MIN_FRACTION_OF_PICTURES, without_placeholders),
    Markup(LATEX_IN_PROSE, has_latex, MIN_FRACTION_OF_LINKS, read_latex_in_prose),
    Markup("Slack links", _SLACK_OWN.search, MIN_FRACTION_OF_LINKS, _read_slack),
    Markup("Discord mentions", _DISCORD.search, MIN_FRACTION_OF_LINKS, _read_discord),
    Markup("Obsidian's marks", has_obsidian, MIN_FRACTION_OF_LINKS, read_obsidian),
    Markup("Misskey's marks", has_misskey, MIN_FRACTION_OF_PICTURES, read_misskey),
    Markup("names of WeChat", _WECHAT_SURE.match, MIN_FRACTION_OF_LINKS, lambda text: _WECHAT.sub("", text)),
    Markup("Markdown escapes", _ESCAPED_STOP.search, MIN_FRACTION, _read_escaped_markdown),
    Markup(
        "pictures and links in an app",
        lambda text: _OWN_PICTURE.search(text) or _JOPLIN_LINK.search(text),
        MIN_FRACTION_OF_LINKS,
        lambda text: _JOPLIN_LINK.sub(r"\1", _OWN_PICTURE.sub("", text)),
    ),
    Markup("notes of Wikipedia", has_wiki_notes, MIN_FRACTION_OF_WIKI, without_wiki_notes),
    Markup("blocks of an outline", has_properties, MIN_FRACTION_OF_LINKS, without_properties),
    Markup("commit messages", has_trailers, MIN_FRACTION_OF_LINKS, without_trailers),
    Markup("indented text", is_indented, MIN_FRACTION, without_indent),
    Markup("divided words", is_hyphenated, MIN_FRACTION, join_hyphenated),
    Markup(WRONGLY_DECODED, is_wrongly_decoded, MIN_FRACTION_OF_LINKS, read_wrongly_decoded),
)
# Whose own tags are not HTML.
OF_WHOLE_TEXTS = ("RTF", "subtitles", STRONGS, LATEX, ROFF, TIDDLYWIKI, TRAC, WIKI)
