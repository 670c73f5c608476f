"""Tags of Jekyll, Hexo and Hugo in markdown, which are replaced when a site is built. Code stays as it is."""

from __future__ import annotations

import re

from .around_code import MARKDOWN_CODE, rewrite_around

# Only their own names: what loops and chooses ({% for %}) is written about where it stands in a text.
_NAMES = (
    r"(?:end)?(?:include(?:_relative|_cached)?|highlight|codeblock|code_block|raw|figure|figure_img|picture|image"
    r"|img|asset_\w+|youtube|vimeo|video|audio|gist|tweet|twitter|embed|jsfiddle|note|alert|blockquote|pullquote"
    r"|quote|cite|bibliography|seo|feed_meta|responsive_image|cq|gallery|tabs|tab|details)"
)
_LIQUID = rf"\{{%-?[ \t]*{_NAMES}(?:[ \t][^%{{}}\n]{{0,500}})?[ \t]*-?%\}}"
_HUGO = r"\{\{<[ \t]*/?[ \t]*[a-z][^<>{}\n*]{0,500}>\}\}|\{\{%[ \t]*/?[ \t]*[a-z][^%{}\n*]{0,500}%\}\}"
_ADDRESS = re.compile(
    r"\[([^\[\]\n]{1,300})\]\((?:\{\{[<%][ \t]*(?:rel)?ref[^{}\n]{0,300}\}\}|\{%-?[ \t]*(?:post_url|link)"
    r"[^{}\n]{0,300}%\})[^()\s]{0,100}\)"
)
_TAG = re.compile(f"{_LIQUID}|{_HUGO}")
_ALONE = re.compile(rf"^[ \t]*(?:{_LIQUID}|{_HUGO})[ \t]*(?:\n|\Z)", re.MULTILINE)
_VARIABLE = re.compile(r"\{\{-?[ \t]*(?:site|page)\.[\w.]+(?:[ \t]*\|[^{}\n]{0,200})?[ \t]*-?\}\}")
_REMARK = re.compile(r"\{%-?[ \t]*comment[ \t]*-?%\}.{0,5000}?\{%-?[ \t]*endcomment[ \t]*-?%\}\n?", re.DOTALL)
# Looking farther for the end of code would take seconds where tags are not closed.
_HIGHLIGHT = re.compile(
    r"^[ \t]*(?:\{%-?[ \t]*(?P<liquid>highlight|codeblock)\b|\{\{[<%][ \t]*(?P<hugo>highlight)\b)"
    r"(?:[ \t]+(?:lang:)?(?P<language>[\w+#-]+))?[^{}\n]{0,300}\}\}?[ \t]*\n(?P<code>.{0,4000}?)\n?"
    r"^[ \t]*(?:\{%-?[ \t]*end(?:highlight|codeblock)[ \t]*-?%\}"
    r"|\{\{[<%][ \t]*/[ \t]*highlight[ \t]*[>%]\}\})",
    re.MULTILINE | re.DOTALL,
)


def has_site_tags(text: str) -> bool:
    """Whether a text has such tags outside of its code."""
    prose = MARKDOWN_CODE.sub("", text) if "{{" in text or "{%" in text else ""
    return bool(_TAG.search(prose) or _ADDRESS.search(prose))


def without_site_tags(text: str) -> str:
    """Without tags and variables; code that a tag coloured is between backticks, as markdown has it."""
    text = _HIGHLIGHT.sub(lambda h: f"```{h['language'] or ''}\n{h['code']}\n```", text.replace("\r\n", "\n"))
    return rewrite_around(MARKDOWN_CODE, text, _without_tags)


def _without_tags(text: str) -> str:
    text = _ADDRESS.sub(r"\1", _REMARK.sub("", text))
    return _VARIABLE.sub("", _TAG.sub("", _ALONE.sub("", text)))
