"""The words of a table: `words.txt` beside a model. `speller.py` keeps a text to them.

A word is a run of letters with their marks and digits, in any script. "the" and "The" are one word, "Maße"
and "Masse" are two. What has capitals elsewhere, as "GitHub" and "SQL", is written only as the table has it,
and so is what has apostrophes, as "don't" (`apostrophes.py`). In scripts that put no spaces between words
each character counts as one. Of these, and of signs and symbols beyond ASCII, only those of the table are
written: a model makes up others out of their bytes. A capital at the beginning of a word stands only where
the rows can have one (`first_capitals.py`).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path

import regex

from .atomic import write_bytes
from .errors import NanogptError
from .files import WORDS_BYTES, WORDS_FILE, check_words, read_file
from .first_capitals import (
    FirstCapitals,
    begins_with_capital,
    first_capitals,
    read_first_capitals,
    with_capital,
)

LAST = "\U0010ffff"  # no character comes after it
WORDS = 200_000  # the most that are kept: those of 200 MB of English, 2 MB on disk
COUNTED = 2 * WORDS  # strings between spaces that are counted at a time, in some 60 MB
PIECE = 500_000  # characters of a text that become strings at once: these take ten times as much memory
LONGEST_WORD = 64  # characters; what is longer is data
# A word seen once, of so many letters or more, is a slip or was cut off ("datase") if the table has one with
# up to so many letters more this many times as often. LOG.md, "Brackets, strings and short texts".
HALF_LETTERS, HALF_LACKS, HALF_TIMES = 5, 3, 250

SPACELESS = "".join(
    rf"\p{{Script={name}}}" for name in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
)
LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{SPACELESS}]]"
LETTERS = regex.compile(rf"(?V1){LETTER}+")
LAST_LETTERS = regex.compile(rf"(?V1){LETTER}+\Z")
LAST_CHARACTER = regex.compile(rf"(?V1)[{SPACELESS}]\p{{M}}*\Z")
SPACES = [c for c in map(chr, range(0x80, 0x3001)) if c.isspace()]  # beyond ASCII; none comes after these
MARK = regex.compile(r"\p{M}")
PART = regex.compile(rf"(?V1){LETTER}+|[{SPACELESS}]\p{{M}}*")
# Characters beyond ASCII that are no part of a word.
OTHER = regex.compile(rf"(?V1)[[^\x00-\x7f\s]--{LETTER}]")
# As people see words: with the apostrophes in them.
APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
APOSTROPHE = f"[{APOSTROPHES}]"
JOINED = regex.compile(rf"(?V1){LETTER}+(?:{APOSTROPHE}{LETTER}+)+")
WORD = regex.compile(rf"(?V1){LETTER}+(?:{APOSTROPHE}{LETTER}+)*|[{SPACELESS}]\p{{M}}*")
# First bytes of UTF-8 under which most characters are letters of a script with spaces between words: Latin,
# Greek, Cyrillic and on to Georgian and Ethiopic; Hangul.
LETTER_BYTES = frozenset([*range(0xC3, 0xE2), *range(0xEA, 0xEE)])

# A word in small letters: all that compares words goes by it. str.casefold also has "ss" for "ß", one sigma
# for both, and letters for ligatures: texts had "Salzwaßer" in them, which no row had.
fold = str.lower


def words(text: str) -> list[str]:
    """The words of `text`, case folded: "Ada's 2 Bären" has "ada", "s", "2" and "bären"."""
    return [fold(word) for word in PART.findall(text)]


def first_letter(text: str) -> str:
    """What tokens are sorted by. What a list of any age takes for the same letter has the same one: "s" of
    "ß", "S" and "s"."""
    return text[0].casefold()[0]


def beginnings_in_small_letters(word: str) -> set[str]:
    """How words can begin in small letters that begin so in capitals: "STRAS" is "stras" and "straß"."""
    small = fold(word)
    endings = {small, small.replace("ss", "ß")}
    if small.endswith("s"):
        endings.add(small[:-1] + "ß")
    return endings


def joined_words(text: str, fold: Callable[[str], str] = fold) -> list[str]:
    """The words of `text` that have apostrophes within them, folded: "Don't, 'tis Ada's" has "don't" and
    "ada's"."""
    if not any(c in text for c in APOSTROPHES):
        return []
    return [fold(with_one_apostrophe(word)) for word in JOINED.findall(text)]


def with_one_apostrophe(word: str) -> str:
    """A word with one kind of apostrophe."""
    return word.replace(APOSTROPHES[1], APOSTROPHES[0])


def end_of_word(text: str) -> str:
    """The word that `text` ends in; "" where it ends in a space, a mark or a script without words."""
    found = LAST_LETTERS.search(text[-LONGEST_WORD:])
    return found[0] if found else ""


def is_in_capitals(word: str) -> bool:
    """Whether a word has two capitals and more, and no small letter: "THE"."""
    return _has_later_capitals(word) and word == word.upper()


def _has_later_capitals(word: str) -> bool:
    """Whether a word has capitals elsewhere than "The" has one: "THE", "GitHub"."""
    return word[1:] != word[1:].lower()


def ends_in_character(text: str) -> bool:
    """Whether `text` ends in a character of a script without spaces, with its marks if it has any."""
    return LAST_CHARACTER.search(text[-LONGEST_WORD:]) is not None


class WordList:
    """Words, case folded; where it is `cased`, those with inner capitals as they are written too, and with
    `capitals` those all in capitals. `first_capitals` are None where they are not known.

    `characters` are all characters beyond ASCII outside of words, and `joined` the words with apostrophes;
    None where these are not known. `fold` is how its words were folded: those of earlier versions with
    str.casefold, so that they have "strasse" for "straße".
    """

    def __init__(
        self,
        known: Iterable[str],
        cased: bool = False,
        characters: Iterable[str] | None = None,
        joined: Iterable[str] | None = None,
        capitals: bool = False,
        fold: Callable[[str], str] = fold,
    ) -> None:
        self.cased, self.capitals, self.fold = cased, capitals, fold
        self.joined: WordList | None = None if joined is None else WordList(joined, fold=fold)
        self._words = sorted(word.encode() for word in known)
        self._set = frozenset(self._words)  # ten times as fast as a search, where a word is whole
        self.first_capitals: FirstCapitals | None = None
        self.characters = None if characters is None else frozenset(characters)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and any(self.find(w.encode())[0] for w in (word, self.fold(word)))

    def __iter__(self) -> Iterator[str]:
        return (word.decode() for word in self._words)

    def __len__(self) -> int:
        return len(self._words)

    def __bool__(self) -> bool:
        return bool(self._words or self.characters)

    @cached_property
    def beginnings(self) -> frozenset[bytes]:
        """The first one to three bytes of each of the characters, and of each kind of space."""
        encoded = [c.encode() for c in (*(self.characters or ()), *SPACES)]
        return frozenset(c[:n] for c in encoded for n in range(1, len(c)))

    def find(self, word: bytes) -> tuple[bool, bool]:
        """Whether `word` is one of them, and whether one of them begins with it. It may end within a
        character."""
        if word in self._set:
            return True, True
        at = bisect_left(self._words, word)
        if at == len(self._words):
            return False, False
        return False, self._words[at].startswith(word)

    def next_characters(self, beginning: str) -> set[str]:
        """The characters that follow `beginning` in one of them, as `first_letter` has them."""
        as_written = self.keeps_as_written(beginning)
        folded, after = (beginning if as_written else self.fold(beginning)).encode(), set()
        at = bisect_left(self._words, folded)
        while at < len(self._words) and self._words[at].startswith(folded):
            if rest := self._words[at][len(folded) :].decode():
                after.add(first_letter(rest))
            # No byte of UTF-8 is 255: on to the words with another character there, or just one further.
            at = bisect_left(self._words, folded + rest[:1].encode() + (b"\xff" if rest else b"\0"), at + 1)
        return after

    def knows(self, word: str, unfinished: bool = False, within: bool = False) -> bool:
        """Whether it has the word as it is written or, if it is `unfinished`, one that begins with it.
        `within` is whether the word stands within a sentence."""
        folded = self.fold(word)
        if self._has(folded.encode(), unfinished):
            as_written = folded != word and self._has(word.encode(), unfinished)
            if as_written or (folded != word and self.keeps_as_written(word)):
                return as_written
            beginning = self.beginning_with(folded) if unfinished else (folded,)
            return self.first_capitals is None or self.first_capitals.allow(word, beginning, within)
        # "STRASSE" is folded "straße" in the list, and what begins with "ΟΔΟΣ" may have no "ς" there.
        if "SS" not in word and word[-1:] != "Σ":
            return False
        return self.keeps_as_written(word) and self._has(word.encode(), unfinished)

    def _has(self, word: bytes, unfinished: bool) -> bool:
        return self.find(word)[1] if unfinished else word in self._set

    def names_beginning_with(self, beginning: str) -> Iterator[str]:
        """The names that begin so, in small letters."""
        names = self.first_capitals.names if self.first_capitals else ()
        return (word for word in self.beginning_with(beginning) if word in names)

    def keeps_as_written(self, word: str) -> bool:
        """Whether such a word, or one that begins so, must be as it is written."""
        return self.cased and _has_later_capitals(word) and (self.capitals or word != word.upper())

    def beginning_with(self, beginning: str) -> Iterator[str]:
        """The words that begin so."""
        encoded = beginning.encode()
        for at in range(bisect_left(self._words, encoded), len(self._words)):
            if not self._words[at].startswith(encoded):
                return
            yield self._words[at].decode()

    def lacks(self, character: str) -> bool:
        """Whether this is a character beyond ASCII outside of words that is not one of those known."""
        return (
            self.characters is not None and character not in self.characters and bool(OTHER.match(character))
        )

    def save(self, folder: Path) -> None:
        """An empty line at the start says that the list is cased, a second one that the characters are
        known, a third one that words with apostrophes are, a fourth one that those all in capitals are, a
        fifth one that words are folded by `fold`, and not by str.casefold, a sixth one that words are there
        with a capital if they have one somewhere, and names only so. The characters come last."""
        sharp, first = self.capitals and self.fold is fold, self.first_capitals
        known = (
            self.cased,
            self.characters is not None,
            self.joined is not None,
            self.capitals,
            sharp,
            first,
        )
        names = {name.encode() for name in first.names} if first else ()
        lines = [b""] * sum(map(bool, known)) + [word for word in self._words if word not in names]
        lines += sorted(with_capital(word).encode() for word in first.words) if first else ()
        lines += [word.encode() for word in self.joined or ()]
        lines += [character.encode() for character in sorted(self.characters or ())]
        write_bytes(folder / WORDS_FILE, b"".join(line + b"\n" for line in lines))

    @classmethod
    def load(cls, folder: Path) -> WordList | None:
        """The words of a model folder; None where it has none: it is an old one, or an imported one. Raises
        NanogptError for a file that is damaged."""
        file = folder / WORDS_FILE
        if not os.path.lexists(file):
            return None
        check_words(file)
        try:
            text = read_file(file, WORDS_BYTES).decode("utf-8")
        except UnicodeDecodeError as ex:
            raise NanogptError(f"{WORDS_FILE} is damaged, it is not UTF-8 at byte {ex.start:,}") from ex
        if "\0" in text:  # a computer that lost its power leaves blocks of zeros
            raise NanogptError(f"{WORDS_FILE} is damaged, it has zeros at byte {text.index(chr(0)):,}")
        known = text.split()
        characters = {each for each in known if len(each) == 1 and OTHER.match(each)}
        joined = {each for each in known if APOSTROPHES[0] in each}
        listed = {each for each in known if each not in characters and each not in joined}
        first = read_first_capitals(listed) if text.startswith("\n\n\n\n\n\n") else None
        if first:
            listed = {each for each in listed if not begins_with_capital(each)} | first.names
        words = cls(
            listed,
            cased=text.startswith("\n"),
            characters=characters if text.startswith("\n\n") else None,
            joined=joined if text.startswith("\n\n\n") else None,
            capitals=text.startswith("\n\n\n\n"),
            fold=fold if text.startswith("\n\n\n\n\n") else str.casefold,
        )
        words.first_capitals = first
        return words


class WordCounter:
    """Counts the words of texts as they pass by. Memory does not grow with the text: of more than COUNTED
    different strings the rare ones are forgotten."""

    def __init__(self) -> None:
        self._strings: Counter[str] = Counter()  # between spaces: 10 times as fast as finding the words
        self._characters: set[str] = set()  # of texts that are not all ASCII

    def count(self, texts: Iterable[str]) -> Iterator[str]:
        """Hand the texts on, and count their words."""
        for text in texts:
            for piece in _pieces(text):
                self._strings.update(piece.split())
                if not piece.isascii():
                    self._characters.update(piece)
                if len(self._strings) > COUNTED:
                    self._strings = Counter(dict(self._strings.most_common(COUNTED // 2)))
            yield text

    def counts(self) -> Counter[str]:
        """How often each word was seen, case folded; "STRASSE" counts as "straße" where that was seen."""
        counts: Counter[str] = Counter()
        in_capitals: Counter[str] = Counter()
        for word, count in self._words():
            if "SS" in word and is_in_capitals(word):
                in_capitals[word] += count
            else:
                counts[fold(word)] += count
        sharp = _sharp_words(counts)
        for word, count in in_capitals.items():
            counts[sharp.get(word) or fold(word)] += count
        return counts

    def _words(self) -> Iterator[tuple[str, int]]:
        """The words as they were written, each with how often, some several times."""
        for string, count in self._strings.items():
            for word in LETTERS.findall(string):
                yield word, count

    def most_frequent(self, number: int = WORDS) -> WordList:
        """So many words, of those with inner capitals or all in capitals as many again at most, and all
        characters."""
        counts = _short(self.counts())
        known = {word for word, _ in counts.most_common(number)} - half_words(counts)
        cased: Counter[str] = Counter()
        sharp = _sharp_words(known)
        for word, count in self._words():
            if _has_later_capitals(word) and (word in sharp or fold(word) in known):
                cased[word] += count
        words = chain(known, (word for word, _ in cased.most_common(number)))
        characters = OTHER.findall("".join(self._characters))
        kept = WordList(words, True, characters, self._joined(number), capitals=True)
        kept.first_capitals = first_capitals((word for word, _ in self._words()), known)
        return kept

    def _joined(self, number: int) -> set[str]:
        """The words with apostrophes, so many at most."""
        counts: Counter[str] = Counter()
        for string, count in self._strings.items():
            for word in joined_words(string):
                counts[word] += count
        return {word for word, _ in _short(counts).most_common(number)}

    def fraction_in(self, known: WordList) -> float:
        """The fraction of the words seen that are in a list; 1 where there are none."""
        counts = self.counts()
        in_list = sum(count for word, count in counts.items() if word in known)
        return in_list / counts.total() if counts else 1.0


def _short(counts: Counter[str]) -> Counter[str]:
    return Counter({word: n for word, n in counts.items() if len(word) <= LONGEST_WORD})


def _sharp_words(known: Iterable[str]) -> dict[str, str]:
    """Those with a sharp s, by how they are in capitals: "STRASSE"."""
    return {word.upper(): word for word in known if "ß" in word}


def half_words(counts: Mapping[str, int]) -> set[str]:
    """Those of the words, with how often each was seen, that are only the beginning of another one."""
    half = set()
    some = sorted(word for word, n in counts.items() if n == 1 or n >= HALF_TIMES)
    for at, word in enumerate(some):
        if counts[word] == 1 and len(word) >= HALF_LETTERS:
            longer = some[at + 1 : bisect_left(some, word + LAST, at)]
            if any(counts[other] > 1 and len(other) <= len(word) + HALF_LACKS for other in longer):
                half.add(word)
    return half


def _pieces(text: str) -> Iterator[str]:
    """A long text in pieces that end at spaces, or nearly so where it has none."""
    start = 0
    while len(text) - start > PIECE:
        end = text.rfind(" ", start, start + PIECE) + 1 or start + PIECE
        yield text[start:end]
        start = end
    yield text[start:]
