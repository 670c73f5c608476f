"""Words with apostrophes, as "don't" and "l'eau": a text that is written has only those of its table.

`Speller` checks the parts of such a word, and so lets "sudden't" and "of's" pass.
"""

from __future__ import annotations

from collections import Counter

from .words import APOSTROPHES, JOINED, LONGEST_WORD, WordList, joined_words, with_one_apostrophe

ASCII_MARK, OTHER_MARK = (mark.encode() for mark in APOSTROPHES)
# After a name that the table lacks may stand what so many of its words with apostrophes end in. The end of
# "don't" may not, though it is more common than "'s" in some tables.
COMMON, NO_ENDING = 0.1, "t"


class Apostrophes:
    """Follows a text as it is written, and says which pieces keep its words with apostrophes known.

    `known` are the table's words, and `joined` those with apostrophes. What the prompt has counts as known,
    and where a word is the prompt's alone, as a name can be, a common ending may follow its apostrophe.
    """

    def __init__(self, known: WordList, joined: WordList, prompt: str) -> None:
        self._known, self._lists = known, (joined, WordList(joined_words(prompt, known.fold)))
        self._endings = _common_endings(joined)
        self._tail, self._begun = "", b""  # what the text has after its last space; the bytes of a character
        self._joining = False  # whether that has an apostrophe
        self._follow(prompt)

    def accepts(self, piece: bytes) -> bool:
        whole = self._begun + piece
        if not (self._joining or ASCII_MARK in whole or OTHER_MARK in whole):
            return True
        text = self._tail + whole.decode("utf-8", "ignore")
        return all(self._knows(match[0], match.end() == len(text)) for match in JOINED.finditer(text))

    def add(self, piece: bytes) -> None:
        if not self.accepts(piece):
            self._tail = ""  # the rest of it may be anything
        piece = self._begun + piece
        self._begun = b""
        try:
            text = piece.decode()
        except UnicodeDecodeError as ex:
            text = piece.decode("utf-8", "ignore")
            if ex.reason == "unexpected end of data":
                self._begun = piece[ex.start :]
        self._follow(text)

    def _follow(self, text: str) -> None:
        text = self._tail + text
        self._tail = text.split()[-1] if text and not text[-1].isspace() else ""
        if len(self._tail) > LONGEST_WORD:
            self._tail = ""
        self._joining = APOSTROPHES[0] in self._tail or APOSTROPHES[1] in self._tail

    def _knows(self, word: str, unfinished: bool) -> bool:
        word = self._known.fold(with_one_apostrophe(word))
        first, _, ending = word.partition(APOSTROPHES[0])
        if first.isnumeric():
            return True
        if not self._known.find(first.encode())[0] and any(
            each.startswith(ending) if unfinished else each == ending for each in self._endings
        ):
            return True
        return any(known.find(word.encode())[unfinished] for known in self._lists)


def _common_endings(joined: WordList) -> list[str]:
    """What the words have after their apostrophes: "s" of "Ada's"."""
    endings = Counter(word.partition(APOSTROPHES[0])[2] for word in joined)
    return [e for e, count in endings.items() if count >= COMMON * endings.total() and e != NO_ENDING]
