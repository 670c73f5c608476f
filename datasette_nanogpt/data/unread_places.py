"""Rows that are where nobody reads: mail in Spam, files in a folder of drafts, pages of talk in a wiki."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from .column_names import words_of
from .exclusions import Exclusion, exclusion, is_told, listed, not_among, without_null
from .folders import is_unread_folder
from .front_matter import split_front_matter
from .markup import WIKI
from .sample import Value
from .source import Source
from .sqlite import quote

MAX_TOLD = 2  # so many columns of folders are reported
MIN_FILES = 0.5  # a column of file names: this fraction of its values look like one
MIN_PAGES = 3  # a namespace of a wiki: so many titles begin with the same word and a colon
MIN_TAGGED = 3  # rows with a tag of mail: fewer may be about mail
MAX_SHOWN = 4  # so many namespaces are named
# Words in names of columns that have the folder or the labels of a row.
_FOLDERS = frozenset(["folder", "folders", "label", "labels", "mailbox", "mailboxes"])
_BETWEEN = re.compile(r"[,;|\[\]\"]+")  # what stands between labels
# Of tags these alone, beside others of a program of mail: elsewhere "spam" and "draft" may be what a text is
# about.
_TAGS = frozenset(["tags", "tag", "keywords"])
_TAGS_OF_MAIL = frozenset(["inbox", "unread", "sent", "replied", "flagged", "attachment", "signed"])
# Folders and beginnings of names of files that are drafts, or thrown away, as Jekyll, Hugo and Obsidian have
# them. A file "drafts.md" is about drafts.
_DRAFT = re.compile(
    r"(?:(?:^|[/\\])_?drafts?[/\\]|(?:^|[/\\])\.?_?trash[/\\]|(?:^|[/\\])draft[-_ ](?=[^/\\]+\Z))", re.I
)
_DRAFT_KEY = re.compile(
    r"^(?:draft[ \t]*[:=][ \t]*[\"']?(?:true|yes)|published[ \t]*[:=][ \t]*[\"']?(?:false|no)"
    r"|(?:status|state)[ \t]*[:=][ \t]*[\"']?(?:draft|private|unpublished))\b",
    re.IGNORECASE | re.MULTILINE,
)
_FILE = re.compile(r"\S[^/\\\n]*[/\\].*|.*\S\.[a-zA-Z][a-zA-Z0-9]{1,4}")
_NUMBER = re.compile(r"-?\d{1,6}")
_MIN_ARTICLES = 0.1  # the fraction of the pages of a wiki that must be articles, if these are what is read
# What stands before the colon in "User talk:Ada". After a colon in the title of an article is a space.
_NAMESPACE = re.compile(r"([^\W\d_][\w -]{1,30}):(?=\S)")


def unread_places(source: Source, of: str) -> Iterator[Exclusion]:
    """Sentences about rows of the source's sample in such places, each with the option that leaves them out.
    `of` is what a sentence calls the rows that were looked at, such as "rows"."""
    yield from islice(_in_folders(source, of), MAX_TOLD)
    yield from _drafts_of_files(source, of)
    yield from _drafts_by_keys(source, of)
    yield from _pages_of_a_wiki(source, of)


def _others(source: Source) -> list[str]:
    return [column for column in source.columns if column not in source.text_columns]


def _strings(source: Source, column: str) -> list[str]:
    values = (row[column] for row in source.sample)
    return [value if isinstance(value, str) else "" for value in values]


def _in_folders(source: Source, of: str) -> Iterator[Exclusion]:
    """About rows in folders, or with labels, that nobody reads."""
    for column in _others(source):
        values = _strings(source, column)
        if _FOLDERS.isdisjoint(words_of(column)) and not _are_tags_of_mail(column, values):
            continue
        unread = Counter(value for value in values if any(map(is_unread_folder, _labels(value))))
        if not is_told(source, unread.total()):
            continue
        found = {label for value in unread for label in _labels(value) if is_unread_folder(label)}
        name = without_null(source, column)
        if found == {*unread}:
            what, condition = "is", f"{name} {not_among(sorted(found))}"
        else:  # rows have several labels, and those outside the sample may have others beside these
            what = "has"
            condition = " and ".join(f"instr({name}, {listed([label])}) = 0" for label in sorted(found))
        told = f"In {unread.total():,} {of} {column} {what} {' or '.join(sorted(found))}"
        yield exclusion(source, f"{told}. To leave these out", condition)


def _are_tags_of_mail(column: str, values: Iterable[str]) -> bool:
    """Whether a column has what notmuch and its kin say of a mail: "inbox unread", or a list of that."""
    if _TAGS.isdisjoint(words_of(column)):
        return False
    return sum(not _TAGS_OF_MAIL.isdisjoint(_labels(value)) for value in values) >= MIN_TAGGED


def _labels(value: str) -> list[str]:
    labels = [label.strip() for label in _BETWEEN.split(value) if label.strip()]
    words = value.split()
    return words if len(labels) == 1 and not _TAGS_OF_MAIL.isdisjoint(words) else labels


def _drafts_of_files(source: Source, of: str) -> Iterator[Exclusion]:
    """About rows from files that are drafts or deleted, by the paths or names of these."""
    for column in _others(source):
        values = _strings(source, column)
        if sum(bool(_FILE.fullmatch(value)) for value in values) < MIN_FILES * len(values):
            continue
        found = Counter(draft[0] for value in values if (draft := _DRAFT.search(value)))
        if is_told(source, found.total()):
            starts = sorted({start.lstrip("/\\").lower() for start in found})
            slash = "\\" if any("\\" in start for start in found) else "/"
            path = f"'{slash}' || lower({quote(column)})"
            inside = (f"ifnull(instr({path}, {listed([slash + start])}), 0) = 0" for start in starts)
            told = f"{found.total():,} {of} are drafts or deleted, as {column} says ({', '.join(starts)})"
            yield exclusion(source, f"{told}. To leave these out", " and ".join(inside))
            return


def _drafts_by_keys(source: Source, of: str) -> Iterator[Exclusion]:
    """About files whose front matter says that they are drafts: "draft: true"."""
    for column in (name for name in source.body if source.kinds[name].front_matter):
        found = Counter(
            key[0] for value in _strings(source, column) if (key := _DRAFT_KEY.search(_above(value)))
        )
        if is_told(source, found.total()):
            keys = sorted({key.strip() for key in found})
            lines = (f"char(10) || {listed([key])}" for key in keys)
            inside = (f"ifnull(instr({quote(column)}, {line}), 0) = 0" for line in lines)
            told = f"{found.total():,} {of} are drafts, as their front matter says ({', '.join(keys)})"
            yield exclusion(source, f"{told}. To leave these out", " and ".join(inside))
            return


def _above(text: str) -> str:
    """The front matter of a text."""
    below = split_front_matter(text)[1]
    return text.removesuffix(below) if below else text


def _pages_of_a_wiki(source: Source, of: str) -> Iterator[Exclusion]:
    """About what is no article: pages of talk, of users, templates and files."""
    if all(source.kinds[column].markup != WIKI for column in source.body):
        return
    for column in _others(source):
        if {"namespace", "ns"}.isdisjoint(words_of(column)):
            continue
        found = _namespaces(row[column] for row in source.sample)
        articles = sum(found[number] for number in found if int(str(number)) == 0)
        count = found.total() - articles
        if articles >= _MIN_ARTICLES * len(source.sample) and is_told(source, count):
            told = f"In {count:,} {of} {column} is not 0: these are not articles, but talk pages and the like"
            zero = next(number for number in found if int(str(number)) == 0)
            yield exclusion(source, f"{told}. To leave these out", f"{quote(column)} = {listed([zero])}")
            return
        count = sum(n for number, n in found.items() if int(str(number)) % 2)
        if not articles and is_told(source, count):
            told = f"In {count:,} {of} {column} is an odd number, as of talk pages"
            yield exclusion(source, f"{told}. To leave these out", f"{quote(column)} % 2 = 0")
            return
    titles = _strings(source, source.title) if source.title else []
    spaces = Counter(space[1] for title in titles if (space := _NAMESPACE.match(title)))
    names = [name for name, count in spaces.most_common() if count >= MIN_PAGES]
    count = sum(spaces[name] for name in names)
    if source.title and is_told(source, count):
        shown = ", ".join(f"{name}:" for name in names[:MAX_SHOWN])
        told = f"{count:,} {of} are pages of a wiki that are not articles ({shown})"
        outside = (f"ifnull({quote(source.title)}, '') not like {listed([f'{name}:%'])}" for name in names)
        yield exclusion(source, f"{told}. To leave these out", " and ".join(outside))


def _namespaces(values: Iterable[Value]) -> Counter[int | str]:
    """How many rows are in each namespace, of which 0 is that of articles; none where some value is no
    number."""
    numbers: Counter[int | str] = Counter()
    for value in values:
        if not isinstance(value, int) and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
            return Counter()
        numbers[value] += 1
    return numbers
