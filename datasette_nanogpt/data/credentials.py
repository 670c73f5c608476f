"""Rows with credentials in them, which a model may write out: tokens, private keys, passwords."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from .decode import decode_bytes
from .exclusions import exclusion, listed
from .sample import Value
from .source import Source
from .sqlite import quote

MIN_ROWS = 2  # with a credential
MIN_DIFFERENT = 10  # characters of one
MAX_STARTS, MAX_SHOWN = 20, 3  # of credentials that the condition names, and that the sentence does
# Tokens that say what they are. The first group is how all of a kind begin.
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(gh[pousr]_)[A-Za-z0-9]{20,}|(github_pat_)\w{22,}|(glpat-)[\w-]{20,}|(xox[abeoprs]-)[0-9A-Za-z-]{20,}"
    r"|(AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])|(AIza)[\w-]{35}|(hf_)[A-Za-z0-9]{30,}|(npm_)[A-Za-z0-9]{36}"
    r"|([sr]k_live_)[0-9A-Za-z]{20,}|(shpat_)[0-9a-fA-F]{32}|(dop_v1_)[0-9a-f]{64}|(SG\.)[\w-]{22}\.[\w-]{40,}"
    r"|(pypi-AgEIcHlwaS5vcmc)[\w-]{50,}|(sk-(?:proj-|ant-|or-|svcacct-|[A-Za-z0-9]{4}))[\w-]{20,})"
)
_AWS_NAMES = ("AKIA", "ASIA")  # of keys of Amazon's, which are no secret without the key itself
_AWS_KEY = re.compile(
    r"(?<![\w/+])(?=[^a-z]{0,39}[a-z])(?=[^A-Z]{0,39}[A-Z])(?=\D{0,39}\d)[\w/+]{40}(?![\w/+=])"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]{2,9} ){0,2}PRIVATE KEY-----(?=\s+(?:[\w-]+: .*\s+)*[A-Za-z0-9+/]{40})"
)
_ASSIGNED = re.compile(
    r"(?<![\w-])([\w-]{0,40}?(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key)[\"']?"
    r"(?:=| = |: ?)[\"']?)([\w+/=.~!@#%^*-]{16,200})",
    re.IGNORECASE,
)
_NO_CREDENTIAL = re.compile(
    r"csrf|page|next|cursor|sync|continu|public", re.IGNORECASE
)  # names of other tokens
_PLACEHOLDER = re.compile(
    r"(.)\1{3}|1234|abcd|qwert|example|sample|placeholder|your|dummy|fake|redacted|secret|password|change|insert"
    r"|replace|https?:|\.(?:com|org|net|py|js|json)\b",
    re.IGNORECASE,
)
_LONG_WORD = re.compile(r"[a-z]{6}|[A-Z]{9}|[A-Z][a-z]{4}")  # in a password of words, or a name in code


def credentials(source: Source) -> Iterator[str]:
    """A sentence about the rows of the source's sample with any, and the option that leaves these out."""
    starts: Counter[tuple[str, str]] = Counter()
    count = 0
    for row in source.sample:
        found = {(column, start) for column in source.text_columns for start in _starts(row[column])}
        starts.update(found)
        count += bool(found)
    if count < MIN_ROWS:
        return
    names = dict.fromkeys(start for (_, start), _ in starts.most_common(MAX_SHOWN))
    shown = ", ".join(start.rstrip("\"' ") + "…" for start in names)
    told = (
        f"{count:,} {source.looked_at} have a password, key or token ({shown}), it seems: a model may write "
        "it out."
    )
    if len(starts) > MAX_STARTS or count == len(source.sample):
        yield told
    else:
        conditions = (_is_without(source, column, start) for column, start in sorted(starts))
        yield exclusion(source, f"{told} To leave these out", " and ".join(conditions))


def _is_without(source: Source, column: str, start: str) -> str:
    """SQL for the rows in which that is not in a column."""
    is_raw = any(isinstance(row[column], bytes) for row in source.sample)
    string = f"cast({listed([start])} as blob)" if is_raw else listed([start])
    return f"not ifnull(instr({quote(column)}, {string}), 0)"


def _starts(value: Value) -> Iterator[str]:
    """How each credential in a value begins, without what is secret."""
    text = (decode_bytes(value).text or "") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return
    for token in _TOKEN.finditer(text):
        start = next(filter(None, token.groups()))
        is_whole = start not in _AWS_NAMES or _AWS_KEY.search(text)
        if is_whole and _is_random(token[0].removeprefix(start)):
            yield start
    for key in _PRIVATE_KEY.finditer(text):
        yield key[0]
    for name, secret in _ASSIGNED.findall(text):
        has_both = re.search(r"\d.*\d", secret) and re.search(r"[A-Za-z].*[A-Za-z]", secret)
        if (
            has_both
            and not _NO_CREDENTIAL.search(name)
            and not _LONG_WORD.search(secret)
            and _is_random(secret)
        ):
            yield name


def _is_random(secret: str) -> bool:
    return len(set(secret)) >= MIN_DIFFERENT and not _PLACEHOLDER.search(secret)
