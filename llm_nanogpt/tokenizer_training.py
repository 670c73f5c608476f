"""Where vocabularies come from: BPE or characters trained on texts, a table of characters, or GPT-2."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Any

from .errors import NanogptError
from .tokenizer import EOT, LLAMA3_SPLIT, QWEN35_SPLIT, Tokenizer, spell

TRAINING_SAMPLE = 10_000_000  # characters that a BPE is trained on: it holds every distinct word in memory
SPLIT_SAMPLE = 1_000_000  # characters from which the split is chosen
# Characters of a word that training sees at once: time grows with the square of a word's length. A million
# letters without a space take 3 s in words of 64 as of 256, and took 15 minutes in one.
LONGEST_WORD = 256
MARKS_PER_LETTER = 0.001  # with fewer combining marks, the script of a text does not need them


def train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE on the first TRAINING_SAMPLE characters of `texts`: same texts, same merges.

    `vocab_size` counts the 256 bytes and `<|endoftext|>`; a small corpus may not fill it. Words are what
    `choose_split` makes of the text.
    """
    from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Tokenizers

    texts = _at_most(texts, TRAINING_SAMPLE)
    sample = list(_at_most(texts, SPLIT_SAMPLE))
    bpe = Tokenizers(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(choose_split(sample)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_in_short_words(chain(sample, texts)), trainer)
    return Tokenizer(json.loads(bpe.to_str()))


def choose_split(texts: Iterable[str]) -> str:
    """The regex that cuts fewer words of `texts` apart: Qwen 3.5's where the letters carry marks, as in
    Devanagari, Tamil, Thai or vowelled Arabic, else Llama 3's.

    Both exist in llama.cpp, and no regex there keeps both marks with their words and numbers in groups of
    three. Hindi of 313 kB has 60,033 tokens with Llama 3's and 41,559 with Qwen 3.5's at a vocabulary of
    1,024; an English blog of 3 MB 862,604 and 889,918 at 4,096, all because of its numbers.
    """
    import regex

    letters = marks = digits = 0  # `marks` cut a word with Llama 3's split, `digits` a number with Qwen 3.5's
    for text in texts:
        letters += len(text)
        digits += sum((len(number) - 1) * 2 // 3 for number in re.findall(r"\d{2,}", text))
        if not text.isascii():
            marks += len(regex.findall(r"\p{L}\p{M}", text))
    return QWEN35_SPLIT if marks > max(digits, letters * MARKS_PER_LETTER) else LLAMA3_SPLIT


def _in_short_words(texts: Iterable[str]) -> Iterator[str]:
    """`texts`, those with longer words than LONGEST_WORD in pieces that have none."""
    import regex

    longer = f"{{{LONGEST_WORD + 1},}}+"
    long_word = regex.compile(rf"[\p{{L}}\p{{M}}]{longer}|[^\s\p{{L}}\p{{N}}]{longer}|\s{longer}")
    no_space = re.compile(rf"\S{{{LONGEST_WORD + 1}}}")
    long_space = re.compile(rf"\s{{{LONGEST_WORD + 1}}}")
    for text in texts:
        start = 0
        if no_space.search(text) or long_space.search(text):
            for word in long_word.finditer(text):
                yield text[start : word.start()]
                for at in range(word.start(), word.end(), LONGEST_WORD):
                    yield text[at : min(word.end(), at + LONGEST_WORD)]
                start = word.end()
        yield text[start:]


def train_char(texts: Iterable[str]) -> Tokenizer:
    """nanoGPT's character level: every character of `texts`, in code point order, after `<|endoftext|>`."""
    letters: set[str] = set()
    for text in texts:
        letters.update(text)
    return characters({c: i for i, c in enumerate(sorted(letters), 1)}, eot=0)


def characters(ids: dict[str, int], eot: int) -> Tokenizer:
    """A character-level tokenizer: character -> id, and the id of `<|endoftext|>`."""
    return Tokenizer(_spec(ids, [], eot, split=None))


def gpt2() -> Tokenizer:
    """GPT-2's 50,257 tokens. tiktoken downloads them once. Raises NanogptError where it cannot."""
    import tiktoken

    try:
        encoding = tiktoken.get_encoding("gpt2")
    except Exception as ex:  # whatever the network layer raises
        raise NanogptError(
            "GPT-2's vocabulary is not on this machine and cannot be downloaded: set TIKTOKEN_CACHE_DIR "
            "to a folder that has it, or do without it (train without --tokenizer gpt2, import with --meta)"
        ) from ex
    ranks = encoding._mergeable_ranks
    vocab = {spell(token): rank for token, rank in ranks.items()}
    merges = [
        [spell(part) for part in _merge_of(token, rank, ranks)]
        for token, rank in sorted(ranks.items(), key=lambda item: item[1])
        if len(token) > 1
    ]
    return Tokenizer(_spec(vocab, merges, encoding.eot_token, split=encoding._pat_str))


def _merge_of(token: bytes, rank: int, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens that `token` was merged from: BPE on its bytes with the merges before it alone."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        pairs = [ranks.get(a + b, rank) for a, b in pairwise(parts)]
        at = pairs.index(min(pairs))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _spec(vocab: dict[str, int], merges: list[list[str]], eot: int, split: str | None) -> dict[str, Any]:
    """A tokenizer.json: byte-level BPE after a regex `split`, or single characters where it is None."""
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": eot,
                "content": EOT,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        ],
        "normalizer": None,
        "pre_tokenizer": split
        and {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": split},
                    "behavior": "Isolated",
                    "invert": False,
                },
                byte_level,
            ],
        },
        "post_processor": None,
        "decoder": byte_level if split else {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {EOT: eot, **vocab},  # else the tokenizers library gives <|endoftext|> the next free id
            "merges": merges,
        },
    }


def _at_most(texts: Iterable[str], characters: int) -> Iterator[str]:
    """The first `characters` characters of `texts`."""
    for text in texts:
        yield text[:characters]
        characters -= len(text)
        if characters <= 0:
            return
