"""What kinds and states say of a row in known programs, which have numbers or letters for them: whispers,
private notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .exclusions import Exclusion, exclusion, listed, not_among, without_null
from .source import Source
from .sqlite import quote


class _Kinds(NamedTuple):
    """Values of `column` that rows have which not everybody reads, or that nobody wrote. The program is known
    by `others`, which are columns of the same table."""

    program: str
    column: str
    others: str
    meanings: dict[str, str]


_JOINED_AND_LEFT = "who came and went"
_OF_TAGS = "what is said of a tag"
_PARTS_OF_A_SITE = """
custom_css customize_changeset nav_menu_item oembed_cache wp_font_face wp_font_family wp_global_styles
wp_navigation
wp_template wp_template_part
"""
# As the sources or the documentation of these programs have them: Discourse's Post.types, Mantis' VS_PRIVATE,
# Android's TextBasedSmsColumns, Gajim's KindConstant, Stack Exchange's PostTypes, eLabFTW's State, osTicket's
# ThreadEntry, Pinboard's API, WordPress' post types.
_KNOWN = (
    _Kinds(
        "Discourse",
        "post_type",
        "topic_id post_number raw",
        {
            "2": "what a moderator did",
            "3": "what was done with the topic",
            "4": "whispers, which are private to its staff",
        },
    ),
    _Kinds("Mantis", "view_state", "reporter_id", {"50": "what is private"}),
    _Kinds("Android", "type", "address thread_id date", {"3": "drafts", "5": "what could not be sent"}),
    _Kinds("Gajim", "kind", "jid_id contact_name message", {"0": _JOINED_AND_LEFT, "1": _JOINED_AND_LEFT}),
    _Kinds(
        "Stack Exchange",
        "posttypeid",
        "body score owneruserid",
        {"3": _OF_TAGS, "4": _OF_TAGS, "5": _OF_TAGS, "6": "nominations", "7": "texts of the site itself"},
    ),
    _Kinds("eLabFTW", "state", "elabid body", {"2": "what is archived", "3": "what is deleted"}),
    _Kinds("osTicket", "type", "thread_id poster body", {"N": "internal notes"}),
    _Kinds("Pinboard", "shared", "href extended toread", {"no": "private bookmarks"}),
    _Kinds(
        "WordPress",
        "post_type",
        "post_content post_status",
        dict.fromkeys(_PARTS_OF_A_SITE.split(), "what belongs to the look of the site"),
    ),
)


def known_kinds(source: Source) -> Iterator[Exclusion]:
    """Sentences about such rows of the source's sample, each with the option that leaves them out. A
    single row is enough, as it may be private."""
    names = {column.lower(): column for column in source.columns}
    for known in _KNOWN:
        column = names.get(known.column)
        if column is None or not {*known.others.split()} <= {*names} or column in source.text_columns:
            continue
        counts = Counter(row[column] for row in source.sample if str(row[column]) in known.meanings)
        count = counts.total()
        if not 0 < count < len(source.sample):
            continue
        values = sorted(counts, key=str)
        by_meaning: dict[str, list[str]] = {}
        for value in values:
            by_meaning.setdefault(known.meanings[str(value)], []).append(str(value))
        meanings = ", ".join(f"{' and '.join(of)} for {what}" for what, of in by_meaning.items())
        of = "row" if count == 1 and source.looked_at == "rows" else source.looked_at
        told = (
            f"In {count:,} {of} {column} is {' or '.join(map(str, values))}. {known.program} has {meanings}"
        )
        condition = f"{without_null(source, column)} {not_among(values)}"
        yield exclusion(source, f"{told}. To leave these out", condition)


def is_known(source: Source, column: str) -> bool:
    """Whether it is known what the values of a column mean."""
    names = {name.lower() for name in source.columns}
    return any(known.column == column.lower() and {*known.others.split()} <= names for known in _KNOWN)


def read_by_everybody(columns: Sequence[str], table: str) -> str:
    """SQL for the rows of a table with these columns that are of none of the known kinds, "" where it has
    none."""
    names = {column.lower(): column for column in columns}
    conditions = [
        f"ifnull({table}.{quote(names[known.column])}, '') not in ({_listed_as_both(known.meanings)})"
        for known in _KNOWN
        if known.column in names and {*known.others.split()} <= {*names}
    ]
    return " and ".join(conditions)


def _listed_as_both(meanings: Iterable[str]) -> str:
    """Values as numbers and as strings: it is not known which of them the rows have."""
    return listed(
        [value for each in meanings for value in ((int(each), each) if each.isdigit() else (each,))]
    )
