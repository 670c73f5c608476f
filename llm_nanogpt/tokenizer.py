"""Text to token ids and back.

One format serves every kind: `tokenizer.json`, as the tokenizers library and transformers read it.
Byte-level BPE (our own vocabulary or GPT-2's) is encoded by tiktoken from the tokens in that file,
which gives the same ids 3.5 times faster; characters are looked up in a table. `tokenizer_training.py` makes
such files.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .atomic import write_bytes, write_json
from .config import MAXIMA
from .errors import BrokenModel, NanogptError
from .files import read_json
from .habits.sign_runs import is_sign
from .habits.strings import is_unbroken
from .habits.table_habits import Habits
from .words import LETTER_BYTES, LETTERS, WordList, first_letter

if TYPE_CHECKING:
    import numpy as np
    import tiktoken

EOT = "<|endoftext|>"  # ends every document, starts every sample

# Regexes for cutting text into words, each with the name that llama.cpp has for it in PRE_TOKENIZERS.
# Llama 3's: numbers in groups of three, a space with the word after it.
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Qwen 3.5's: combining marks (vowel signs, points, accents) belong to their word; each digit is a word.
QWEN35_SPLIT = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# GPT-2's, as OpenAI wrote it, and as versions of tiktoken spell it.
_GPT2_WORDS = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT2_SPLITS = (
    r"'s|'t|'re|'ve|'m|'ll|'d|" + _GPT2_WORDS,
    r"'(?:[sdmt]|ll|ve|re)|" + _GPT2_WORDS,
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
)
PRE_TOKENIZERS = {LLAMA3_SPLIT: "llama-bpe", QWEN35_SPLIT: "qwen35"} | dict.fromkeys(GPT2_SPLITS, "gpt-2")
FILE_BYTES = 48_000_000  # the largest tokenizer.json that is read: a million tokens have some 45 MB
LONGEST = 100_000  # characters that tiktoken gets at a time: a million spaces would overflow its stack


@cache
def _byte_letters() -> dict[str, int]:
    """GPT-2's spelling of the 256 bytes as printable letters, which byte-level tokenizer.json uses."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in set(printable)]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


@cache
def _letters_of_bytes() -> dict[int, str]:
    return {b: c for c, b in _byte_letters().items()}


def spell(token: bytes) -> str:
    """A token as byte-level tokenizer.json and GGUF write it: a letter a byte."""
    return "".join(_letters_of_bytes()[b] for b in token)


class Tokenizer:
    """Text <-> ids. `spec` is the parsed tokenizer.json; `load` reads one, `tokenizer_training` makes one.

    `words` are those of the table that a model was trained on, where they are known. Raises ValueError, or
    what Python raises for values of other types, for a file that is not one that this package writes.
    """

    def __init__(self, spec: dict[str, Any], words: WordList | None = None) -> None:
        self.spec, self.words = spec, words
        self.habits = Habits()  # of the table's rows, where they are known
        vocab: dict[str, int] = spec["model"]["vocab"]
        special = {t["content"]: t["id"] for t in spec["added_tokens"] if t["special"]}
        ids = [*vocab.values(), *special.values()]
        if not all(type(i) is int and 0 <= i < MAXIMA["vocab_size"] for i in ids):
            raise ValueError("an id is no number, or too high")
        self.eot: int = special[EOT]
        # GPT-2's own tokenizer.json, and so ours, may list the special token among the others.
        letters = {token: i for token, i in vocab.items() if token not in special}
        if not letters:
            raise ValueError("it has no tokens")
        self.n_letters: int = max(letters.values()) + 1  # ids that stand for text are below this
        self.n_vocab: int = max(self.n_letters, self.eot + 1)
        self.is_char: bool = spec["pre_tokenizer"] is None
        # The regex that cuts text into the words that BPE sees.
        self.split: str | None = None
        if not self.is_char:
            self.split = spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
            if self.split not in PRE_TOKENIZERS:  # some regexes take years for a line of text
                raise ValueError("it cuts words by a regex that is none of this package's")
        if self.is_char:
            if any(len(token) != 1 for token in letters):
                raise ValueError("it has tokens that are no single characters")
            self._bytes = {i: token.encode() for token, i in letters.items()}
        else:
            byte_of = _byte_letters()
            self._bytes = {i: bytes([byte_of[c] for c in token]) for token, i in letters.items()}
            if sum(len(token) == 1 for token in set(self._bytes.values())) < 256:  # which tiktoken relies on
                raise ValueError("it lacks tokens of single bytes")

    @cached_property
    def _tiktoken(self) -> tiktoken.Encoding:
        from tiktoken import Encoding

        assert self.split is not None  # noqa: S101  # characters do not come here
        ranks = {token: i for i, token in self._bytes.items()}
        # `_ids` never asks for the special token; without one tiktoken looks for it at every character.
        special = {EOT: self.eot}
        return Encoding("nanogpt", pat_str=self.split, mergeable_ranks=ranks, special_tokens=special)

    @cached_property
    def _letters(self) -> tuple[np.ndarray, np.ndarray]:
        """For characters: code points (n,), sorted, and the id of each (n,)."""
        import numpy as np

        pairs = sorted((ord(token.decode()), i) for i, token in self._bytes.items())
        points, ids = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return points, ids

    def encode(self, text: str) -> list[int]:
        """Ids of `text`. `<|endoftext|>` in it is plain text; characters that a table lacks are left out."""
        ids: list[int] = self.encode_batch([text])[0].tolist()
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of each text as a uint32 array. Other threads run meanwhile."""
        import numpy as np

        if self.is_char:
            points, ids = self._letters
            batch = []
            for text in texts:
                wanted = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
                at = np.searchsorted(points, wanted).clip(max=len(points) - 1)
                batch.append(ids[at][points[at] == wanted].astype(np.uint32))
            return batch
        return [
            self._ids(text) if len(text) <= LONGEST else np.concatenate([*self._parts_of_long(text)])
            for text in texts
        ]

    def encode_documents(self, texts: Sequence[str], dtype: type[np.integer] | None = None) -> np.ndarray:
        """Ids of all texts as one array, of uint32 or `dtype`, `<|endoftext|>` after each."""
        import numpy as np

        dtype, end = dtype or np.uint32, [self.eot]
        if not self.is_char and max(map(len, texts)) > LONGEST:  # as little as possible of it at once
            parts = (part for text in texts for part in chain(self._parts_of_long(text), [end]))
            return np.concatenate([np.asarray(part, dtype) for part in parts])
        joined = EOT.join([*texts, ""])
        if self.is_char or joined.count(EOT) > len(texts):
            each = self.encode_batch(texts)
            return np.concatenate([part for ids in each for part in (ids, end)]).astype(dtype)
        # One call for all: the way in and out costs as much as 200 characters.
        ids = self._tiktoken.encode_to_numpy(joined, allowed_special={EOT}, disallowed_special=())
        return ids.astype(dtype)

    def _ids(self, text: str) -> np.ndarray:
        return self._tiktoken.encode_to_numpy(text, disallowed_special=())

    def _parts_of_long(self, text: str) -> Iterator[np.ndarray]:
        """Ids of a text of any length, in parts. It is cut only where the split cuts it too, so the ids are
        those that the tokenizers library gives the whole."""
        import numpy as np

        start = 0
        while start < len(text):
            end = self._cut(text, start)
            if end - start > LONGEST and text[end - 1].isspace():
                # One run of spaces or line breaks, with which the regex overflows its stack.
                ids = self._tiktoken._encode_single_piece(text[start:end])
                yield np.array(ids, dtype=np.uint32)
            else:
                yield self._ids(text[start:end])
            start = end

    def _cut(self, text: str, start: int) -> int:
        """Where to cut `text` after `start`: at most LONGEST characters on, unless one word is longer."""
        limit = start + LONGEST
        if limit >= len(text):
            return len(text)
        # A word never goes on after a space: the split has it begin there. Looked for from the end.
        if space := re.search(r" \S", text[start:limit][::-1]):
            return limit - space.start() - 1
        import regex

        assert self.split is not None  # noqa: S101  # characters do not come here
        end = start
        for word in regex.finditer(self.split, text, pos=start):
            if word.end() > limit:
                return end if end > start else word.end()
            end = word.end()
        return end

    def token_bytes(self, token: int) -> bytes:
        """The bytes that one id stands for; none for `<|endoftext|>` and for unused ids."""
        return self._bytes.get(token, b"")

    def start(self, vocab_size: int) -> list[int]:
        """The ids that a document is written after: `<|endoftext|>`.

        A model of `vocab_size` tokens that was imported with its characters has none. It starts from a
        line break, as nanoGPT does.
        """
        return [self.eot] if self.eot < vocab_size else self.encode("\n") or [0]

    def split_last_word(self, text: str) -> tuple[str, str]:
        """Cut `text` before the last piece of it that BPE sees on its own; ("text", "") for characters."""
        if self.split is None or not text:
            return text, ""
        import regex

        word = regex.findall(self.split, text[-200:])[-1]
        return text[: -len(word)], word

    def longer_than(self, prefix: bytes) -> list[int]:
        """Ids of the tokens that start with `prefix` and go on after it."""
        tokens = []
        for at in range(bisect_right(self._sorted, (prefix, self.n_vocab)), len(self._sorted)):
            token, i = self._sorted[at]
            if not token.startswith(prefix):
                break
            tokens.append(i)
        return tokens

    @cached_property
    def _sorted(self) -> list[tuple[bytes, int]]:
        return sorted((token, i) for i, token in self._bytes.items())

    @cached_property
    def texts(self) -> list[str]:
        """The text of each id; "" for `<|endoftext|>` and unused ids, U+FFFD for a part of a character."""
        return [self.token_bytes(i).decode("utf-8", "replace") for i in range(self.n_vocab)]

    @cached_property
    def numbers(self) -> np.ndarray:
        """Ids of the tokens that are digits, with or without a space before them, sorted (n,)."""
        import numpy as np

        return np.array(
            sorted(i for i, token in self._bytes.items() if token.strip().isdigit()), dtype=np.intp
        )

    @cached_property
    def signs(self) -> np.ndarray:
        """Which tokens are no word of two letters, nor part of a character: (n_vocab,) of bool."""
        return self._tokens_that(is_sign)

    @cached_property
    def unbroken(self) -> np.ndarray:
        """Which tokens have no space in them: (n_vocab,) of bool."""
        return self._tokens_that(is_unbroken)

    @cached_property
    def line_breaks(self) -> np.ndarray:
        """Ids of the tokens with a line break, sorted (n,)."""
        return self._tokens_that(lambda text: "\n" in text).nonzero()[0]

    @cached_property
    def begins_with_letter(self) -> np.ndarray:
        """(n_vocab,) of bool."""
        return self._tokens_that(lambda text: text[:1].isalpha())

    @cached_property
    def with_letters(self) -> np.ndarray:
        """Which tokens have a letter, (n_vocab,) of bool. A character by itself is none."""
        return self._tokens_that(lambda text: not self.is_char and any(map(str.isalpha, text)))

    @cached_property
    def begin_words(self) -> np.ndarray:
        """Which tokens begin with a space and a letter, (n_vocab,) of bool."""
        return self._tokens_that(lambda text: text[:1] == " " and text[1:2].isalpha())

    def _tokens_that(self, is_so: Callable[[str], bool]) -> np.ndarray:
        import numpy as np

        return np.fromiter(map(is_so, self.texts), bool, self.n_vocab)

    @cached_property
    def extends_word(self) -> np.ndarray:
        """Which tokens go on with a word that stands before them, (n_vocab,) of bool: those that begin with a
        letter or digit."""
        import numpy as np

        extends = np.zeros(self.n_vocab, dtype=bool)
        for i, token in self._bytes.items():
            text = token.decode("utf-8", "ignore")
            # Bytes at the start of which no character is whole: by the first of them, where most are letters.
            whole = text and token.startswith(text[0].encode())
            extends[i] = LETTERS.match(text) is not None if whole else token[0] in LETTER_BYTES
        return extends

    @cached_property
    def by_first_character(self) -> dict[str, np.ndarray]:
        """Sorted ids (n,) of the tokens that begin with each character, as `first_letter` has it: with a
        space for the end of the text, with "" for what begins within a character."""
        import numpy as np

        ids: dict[str, list[int]] = {}
        for i in range(self.n_vocab):
            token = self.token_bytes(i) if i != self.eot else b" "
            text = token.decode("utf-8", "ignore")
            begins = text and token.startswith(text[0].encode())
            ids.setdefault(first_letter(text) if begins else "", []).append(i)
        return {first: np.array(some, np.intp) for first, some in ids.items()}

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`. A cut through a character can leave bytes that are not UTF-8: U+FFFD."""
        return b"".join(self.token_bytes(int(i)) for i in ids).decode("utf-8", "replace")

    def save(self, folder: Path, block_size: int) -> None:
        """Write tokenizer.json, tokenizer_config.json, and words.txt where there are words."""
        if self.words:
            self.words.save(folder)
        # Without spaces: of a large vocabulary they would be half of it.
        spec = json.dumps(self.spec, ensure_ascii=False, separators=(",", ":"))
        write_bytes(folder / "tokenizer.json", spec.encode())
        write_json(
            folder / "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": EOT,
                "eos_token": EOT,
                "add_bos_token": False,
                "clean_up_tokenization_spaces": False,
                "model_max_length": block_size,
            },
        )

    @classmethod
    def load(cls, folder: Path, name: str = "") -> Tokenizer:
        """Read tokenizer.json, and words.txt if it is there. Raises NanogptError where these are not as
        this module writes them; `name` is the model's, if the folder is not called so."""
        name = name or folder.name
        try:
            spec = read_json(folder / "tokenizer.json", FILE_BYTES)
            return cls(spec, WordList.load(folder))
        except NanogptError as ex:
            raise BrokenModel(name, f"Model {name!r} is broken: {ex}") from ex
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as ex:
            reason = str(ex) if type(ex) is ValueError else "it is not as this package writes it"
            raise BrokenModel(name, f"Model {name!r} is broken: tokenizer.json, {reason}") from ex
