"""Whether a text that is being written keeps to the words of its table, `words.py`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from functools import lru_cache

import regex

from .first_capitals import is_within_sentence
from .words import (
    LETTER_BYTES,
    LETTERS,
    LONGEST_WORD,
    OTHER,
    SPACELESS,
    WordList,
    beginnings_in_small_letters,
    end_of_word,
    is_in_capitals,
)

GAP = 8  # characters after a word that are kept: the first ones tell whether the sentence goes on
BROKEN = "\udc80"  # stands for bytes that are no UTF-8; no text has it


class LastWord(Enum):
    """The last word of a prompt, and so how a text goes on."""

    WHOLE = auto()  # a word of the table, a number, or a character that no row has: the text goes on after it
    HALF = auto()  # the beginning of a word of the table, and none itself: the text makes it longer
    UNKNOWN = auto()  # there is none, or nothing is known of words: the text may do either


def last_word_is(prompt: str, known: WordList | None) -> LastWord:
    """Which of these the last word of a prompt is; `known` are the words of the table."""
    if known and end_of_word(prompt):
        return LastWord.HALF if ends_in_half_word(prompt, known) else LastWord.WHOLE
    return LastWord.WHOLE if known and known.lacks(prompt[-1:]) else LastWord.UNKNOWN


def ends_in_half_word(prompt: str, known: WordList) -> bool:
    """Whether a prompt ends in the beginning of a word of the list that is no word by itself, and that the
    prompt does not have before."""
    word = end_of_word(prompt)
    is_word, begins_word = known.find(known.fold(word).encode())
    written = set(_written_in_capitals(word, known)) if is_in_capitals(word) else ()
    is_word, begins_word = is_word or word in written, begins_word or bool(written)
    if not word or is_word or not begins_word or word.isnumeric():
        return False
    as_written = (
        not known.keeps_as_written(word) or known.knows(word, unfinished=True) or is_in_capitals(word)
    )
    return as_written and word not in LETTERS.findall(prompt)[:-1]


def _written_in_capitals(beginning: str, known: WordList) -> Iterator[str]:
    """The words of the list that begin so in capitals, in capitals."""
    for small in set(map(known.fold, beginnings_in_small_letters(beginning))):
        for word in map(str.upper, known.beginning_with(small)):
            if word.startswith(beginning):
                yield word


class Speller:
    """Follows a text as it is written, and says which pieces keep its words and characters among those of a
    list.

    Numbers are not checked, and the prompt's words and characters count as known, but for half a word at its
    end. A word of the list that it has begun in capitals, as "CONTR", may be in capitals.
    """

    def __init__(self, known: WordList, prompt: str) -> None:
        own = LETTERS.findall(prompt)
        if ends_in_half_word(prompt, known):
            last = own.pop()
            if is_in_capitals(last):
                own += _written_in_capitals(last, known)
            own += known.names_beginning_with(last)
        words = {*own, *map(known.fold, own)}
        own_list = WordList(
            words, known.cased, OTHER.findall(prompt), capitals=known.capitals, fold=known.fold
        )
        self._lists = known, own_list
        # The word that the text ends in, as far as it goes, None where it is not checked; and the bytes of a
        # character that is begun after it.
        self._part: str | None = end_of_word(prompt)
        # What stands between the word before and that one, or the end.
        self._gap = _last_gap(prompt)
        self._begun = b""
        self._accepted: bytes | None = None  # the last piece that was, after what there is now

    def accepts(self, piece: bytes) -> bool:
        """Whether `piece` completes only words of the list, and ends in the beginning of one."""
        accepted = self._judge(piece)
        if accepted:
            self._accepted = piece
        return accepted

    def _judge(self, piece: bytes) -> bool:
        head, middle, tail, begun, others, gaps = _cut_piece(self._begun + piece)
        if others and not self._knows_characters(others):
            return False
        if self._part is None:
            part = tail
        else:
            word = self._part + head
            if tail is None:
                part = word
                if head and not self._knows(word, True, self._gap):
                    return False
            else:
                part = tail
                if word and not self._knows(word, False, self._gap):
                    return False
        if middle or tail:
            between = self._gaps(head, gaps)
            if not all(self._knows(word, False, gap) for word, gap in zip(middle, between, strict=False)):
                return False
            if tail and not self._knows(tail, True, between[-1]):
                return False
        return not begun or self._may_go_on(part, begun)

    def next_characters(self) -> set[str] | None:
        """What a piece may begin with, as `first_letter` has it, so that it can be accepted; None if that is
        not known."""
        if self._begun or not self._part or self._knows(self._part, False, self._gap):
            return None
        return set().union(*(known.next_characters(self._part) for known in self._lists))

    def add(self, piece: bytes) -> None:
        head, _, tail, begun, _, gaps = _cut_piece(self._begun + piece)
        if tail is not None:
            self._part, self._gap = tail, self._gaps(head, gaps)[-1][:GAP]
        elif self._part is not None:
            accepted = piece == self._accepted or self._judge(piece)
            self._part = self._part + head if accepted else None
        self._begun, self._accepted = begun, None

    def _gaps(self, head: str, gaps: list[str]) -> list[str]:
        """Those of a piece, as `_cut_piece` has them; the first goes on from that of the text before it."""
        goes_on = not head and not self._part
        return [self._gap + gaps[0], *gaps[1:]] if goes_on else gaps

    def _knows(self, word: str, unfinished: bool, gap: str) -> bool:
        """Whether a list has the word or, if it is `unfinished`, one that begins with it. `gap` is what
        stands before it."""
        table, prompt = self._lists
        within = is_within_sentence(gap)
        return table.knows(word, unfinished, within) or word.isnumeric() or prompt.knows(word, unfinished)

    def _knows_characters(self, others: frozenset[str]) -> bool:
        """Whether a list has all of these."""
        known, own = (each.characters for each in self._lists)
        if BROKEN in others:
            return False
        return known is None or all(c in known or c in (own or ()) for c in others)

    def _may_go_on(self, part: str | None, begun: bytes) -> bool:
        """Whether a character that is begun may be a letter of a word in a list, or another character after
        one. `part` is the word so far, None where it is not checked."""
        if part is not None:
            spelled = {part, self._lists[0].fold(part)}
            if any(known.find(each.encode() + begun)[1] for known in self._lists for each in spelled):
                return True
            if part and not self._knows(part, False, ""):
                return False
        may_be_letter = begun[0] in LETTER_BYTES and begun not in _spaceless_beginnings()
        if self._lists[0].characters is None:
            return part is None or not may_be_letter
        return (part is None and may_be_letter) or any(begun in known.beginnings for known in self._lists)


@lru_cache(1)
def _spaceless_beginnings() -> frozenset[bytes]:
    """The first one and two bytes of characters that are words by themselves, which no list has all of."""
    characters = regex.findall(
        rf"[{SPACELESS}]", "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10000)]))
    )
    return frozenset(character.encode()[:n] for character in characters for n in (1, 2))


def _last_gap(text: str) -> str:
    """What stands after the last word of a text, or before it if the text ends in it."""
    some = text[-2 * LONGEST_WORD :]
    *before, part = [match.span() for match in LETTERS.finditer(some)] or [(0, 0)]
    if part[1] < len(some):
        return some[part[1] :][:GAP] if part[1] else "\n"
    return some[before[-1][1] : part[0]][:GAP] if before else "\n"


@lru_cache(2**16)
def _cut_piece(piece: bytes) -> tuple[str, list[str], str | None, bytes, frozenset[str], list[str]]:
    """Cut a piece of text: what belongs to a word before it, its whole words, and the word that it ends in.

    The last is "" after a space or a mark, and None where the piece has neither. Then
    come the bytes of a character that is begun at the end, and the characters beyond ASCII outside of words.
    What is not UTF-8 is left out, and BROKEN is among these. The last are what stands before each of the
    whole words, and before the one that it ends in, or at its end.
    """
    begun = b""
    others: frozenset[str] = frozenset()
    while True:
        try:
            text = piece.decode()
            break
        except UnicodeDecodeError as ex:
            if ex.reason == "unexpected end of data":
                piece, begun = piece[: ex.start], piece[ex.start :]
            else:
                piece = piece[: ex.start] + piece[ex.end :]
                others = frozenset(BROKEN)
    found = [(match[0], match.start(), match.end()) for match in LETTERS.finditer(text)]
    head, tail = "", ""
    if found and found[0][1] == 0:
        head, _, end = found.pop(0)
        if end == len(text):
            return head, [], None, begun, others, [""]
    elif not text:
        return "", [], None, begun, others, [""]
    starts, ends = [start for _, start, _ in found], [len(head), *(end for *_, end in found)]
    gaps = [text[end:start] for end, start in zip(ends, [*starts, len(text)], strict=True)]
    if found and found[-1][2] == len(text):
        tail = found.pop()[0]
        gaps.pop()
    if not text.isascii():
        others |= frozenset(OTHER.findall(text))
    return head, [word for word, _, _ in found], tail, begun, others, gaps
