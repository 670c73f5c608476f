"""From a corpus to token files, or to those of an earlier run on the same text with the same settings.

`<home>/.cache/tokens/<key>` is the cache; runs share its files by hard links. The key is a hash of every
value read and of everything that decides what becomes of it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from llm_nanogpt.atomic import write_json
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.habits.table_habits import measure_habits, read_habits
from llm_nanogpt.home import cache_folder
from llm_nanogpt.tokenizer import Tokenizer
from llm_nanogpt.tokenizer_training import gpt2, train_bpe, train_char
from llm_nanogpt.words import WordCounter, WordList

from ..events import Part, Progress
from ..formatting import memory_size
from ..hookspecs import document_hook
from .background import in_background, until_done
from .columns import NoTextError
from .corpus import Corpus
from .split import Split, split_documents
from .token_files import open_tokens, token_dtype, write_tokens

T = TypeVar("T")
# The version of the cache and of everything that decides what is in it: raise it to make old entries invalid.
FORMAT = 16
CACHE_DAYS = 30  # since an entry was last used
SPARE_BYTES = 50_000_000  # disk space to leave free, for the model and for other programs
# Bytes of text that a vocabulary needs for each of its tokens.
TEXT_BYTES_PER_TOKEN = 250
TOKEN_FILES = ("train.bin", "val.bin")
# A word list is kept if at least this fraction of the words in held-out text are in it. In genomes or hashes
# fewer are, because there runs of letters are not words.
KNOWN_FRACTION = 0.5


@dataclass(frozen=True)
class TokenizerChoice:
    """Which tokenizer to use: "bpe", with `vocab_size` tokens (None: by the amount of text), "gpt2" or
    "char"."""

    kind: str = "bpe"
    vocab_size: int | None = None


BPE = TokenizerChoice()


class PreparedCorpus(NamedTuple):
    """What became of a corpus, beside its token files."""

    tokenizer: Tokenizer
    corpus: dict[str, Any]  # what nanogpt.json keeps: numbers of documents, bytes and tokens


def choose_vocab_size(corpus_bytes: int) -> int:
    """512 to 4,096 tokens, by the bytes of text to train on."""
    for size in (4096, 2048, 1024):
        if corpus_bytes >= size * TEXT_BYTES_PER_TOKEN:
            return size
    return 512


def prepare(
    corpus: Corpus,
    folder: Path,
    home: Path,
    *,
    tokenizer: TokenizerChoice = BPE,
    seed: int = 0,
    cache: bool = True,
) -> Generator[Progress, None, PreparedCorpus]:
    """Write train.bin and val.bin into `folder`, which exists.

    With `cache` the token files are kept in `home`, and used again. Raises NanogptError where rows cannot be
    read, have no text, or the disk is too small.
    """
    yield from corpus.load()
    digest, size = yield from _report(Part.LOOKING, corpus.digest(), corpus.row_count)
    entry = None
    if cache and document_hook() is None:  # a key cannot tell what a plugin would write now
        versions = [version(name) for name in ("datasette-nanogpt", "tiktoken", "tokenizers")]
        settings = [FORMAT, digest, tokenizer.kind, tokenizer.vocab_size, seed, *versions]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]
        entry = cache_folder(home) / "tokens" / key
        if prepared := _from_cache(entry, corpus, folder):
            return prepared
    _check_disk(home, folder, size, tokenizer.kind)
    try:
        prepared = yield from _make(corpus, folder, tokenizer, seed)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # too many open files: there is room enough
            raise
        way_out = "Make room there, or set NANOGPT_HOME to another folder."
        if error.errno == errno.EFBIG:
            way_out = "Allow bigger files (ulimit -f unlimited)."
        raise NanogptError(f"Cannot write in {home}: {error.strerror}. {way_out}") from error
    if entry:
        with suppress(OSError):  # the run does not need it
            _add_to_cache(entry, corpus, folder, prepared)
    return prepared


def _make(
    corpus: Corpus, folder: Path, choice: TokenizerChoice, seed: int
) -> Generator[Progress, None, PreparedCorpus]:
    documents = folder / "documents"
    reading = split_documents(corpus.documents(), documents, seed)
    try:
        split = yield from _report(Part.READING, reading, corpus.document_count)
    except NoTextError as error:
        if reasons := [remark for source in corpus.sources for remark in source.remarks()]:
            raise NoTextError(f"{error} {' '.join(reasons)}") from error
        raise
    making = in_background(partial(_make_tokenizer, choice, split))
    yield from (Progress(Part.VOCABULARY) for _ in until_done(making))
    tokenizer = making.result()
    counts: dict[str, int] = {}
    counter = WordCounter()
    texts = {"val": split.texts(split.val), "train": counter.count(split.texts(split.train))}
    for name, spans in (("val", split.val), ("train", split.train)):
        tokenizing = write_tokens(texts[name], tokenizer, folder / f"{name}.bin")
        counts[f"{name}_tokens"] = yield from _report(Part.TOKENIZING, tokenizing, len(spans))
    tokenizer.words = _word_list(counter, split)
    tokenizer.habits = measure_habits(split.texts(split.train), tokenizer)
    val_bytes = _text_bytes(folder / "val.bin", tokenizer)
    if not val_bytes:
        raise NoTextError("There is too little text to hold out any of it: use a table with more.")
    documents.unlink()
    skipped: Counter[str] = sum((source.skipped for source in corpus.sources), Counter())
    return PreparedCorpus(
        tokenizer,
        {
            "documents": split.documents,
            "skipped": dict(skipped),
            "duplicates": split.duplicates,
            "near_duplicates": split.near_duplicates,
            "near_duplicates_divided": split.near_duplicates_divided,
            "cut": split.documents_cut,
            "train_documents": len(split.train),
            "val_documents": len(split.val),
            "bytes": split.train_bytes + split.val_bytes,
            "train_bytes": split.train_bytes,
            "val_bytes": val_bytes,
            "vocab_size": tokenizer.n_vocab,
            "sha256": split.sha256,
            # Of a document that was cut in two, the second half begins with no title.
            "titles": corpus.has_titles and not split.documents_cut,
            **tokenizer.habits.as_json(),
            **counts,
        },
    )


def _make_tokenizer(choice: TokenizerChoice, split: Split) -> Tokenizer:
    if choice.kind == "gpt2":
        return gpt2()
    texts = split.texts(split.train)
    if choice.kind == "char":
        return train_char(texts)
    return train_bpe(texts, choice.vocab_size or choose_vocab_size(split.train_bytes))


def _word_list(counter: WordCounter, split: Split) -> WordList | None:
    """The words of the training documents; None where held-out text has hardly any of them."""
    held_out = WordCounter()
    for _ in held_out.count(split.texts(split.val)):
        pass
    known = counter.most_frequent()
    return known if known and held_out.fraction_in(known) >= KNOWN_FRACTION else None


def _text_bytes(file: Path, tokenizer: Tokenizer) -> int:
    """Bytes of the text in a token file: characters that a character-level tokenizer lacks are not in it,
    cost no bits, and so must not count."""
    lengths = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.n_vocab)])
    return int(lengths[open_tokens(file, tokenizer.n_vocab)].sum())


def _report(part: Part, steps: Generator[int | Part, None, T], total: int) -> Generator[Progress, None, T]:
    """Turn what `steps` yields, numbers of rows or another part that it has come to, into Progress; returns
    what it returns."""
    while True:
        try:
            at = next(steps)
            yield Progress(at) if isinstance(at, Part) else Progress(part, at, total, "rows")
        except StopIteration as end:
            return end.value


def _check_disk(home: Path, folder: Path, size: int, kind: str) -> None:
    """Raise NanogptError if the disk has too little room for `size` bytes of text.

    Documents and tokens are on the disk together: 2 bytes a token, which is at least one byte of text with
    characters, and hardly ever less than two with BPE.
    """
    need = size * (3 if kind == "char" else 2) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if need > free:
        raise NanogptError(
            f"This needs up to {memory_size(need)} of disk in {home}, and {memory_size(free)} are free: "
            "make room there, set NANOGPT_HOME to a folder on another disk, or choose fewer rows "
            "with a condition."
        )


# ---- The cache


def _from_cache(entry: Path, corpus: Corpus, folder: Path) -> PreparedCorpus | None:
    """What was prepared before, linked into `folder`; None if it is not there or incomplete."""
    try:
        counts = json.loads((entry / "corpus.json").read_text("utf-8"))
        itemsize = np.dtype(token_dtype(counts["vocab_size"])).itemsize
        for split in ("train", "val"):
            if (entry / f"{split}.bin").stat().st_size != itemsize * counts[f"{split}_tokens"]:
                return None
        tokenizer = Tokenizer.load(entry)
        tokenizer.habits = read_habits(counts)
        for name in TOKEN_FILES:
            link(entry / name, folder / name)
        os.utime(entry)
    except (OSError, ValueError, KeyError, NanogptError):
        return None
    for source, left in zip(corpus.sources, counts.pop("by_table"), strict=True):
        source.skipped, source.decoded = Counter(left["skipped"]), Counter(left["decoded"])
        source.attachments, source.cut = left.get("attachments", 0), left.get("cut", 0)
    return PreparedCorpus(tokenizer, counts)


def _add_to_cache(entry: Path, corpus: Corpus, folder: Path, prepared: PreparedCorpus) -> None:
    """Write an entry beside its place and rename it; delete the entries that were not used for long."""
    half = folder / "cache"  # where a kill leaves nothing: the folder is that of a model in the making
    half.mkdir()
    entry.parent.mkdir(parents=True, exist_ok=True)
    try:
        for name in TOKEN_FILES:
            link(folder / name, half / name)
        write_json(half / "tokenizer.json", prepared.tokenizer.spec)
        if prepared.tokenizer.words:
            prepared.tokenizer.words.save(half)
        counted = ("skipped", "decoded", "attachments", "cut")
        by_table = [{name: getattr(source, name) for name in counted} for source in corpus.sources]
        write_json(half / "corpus.json", {**prepared.corpus, "by_table": by_table})
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one
        os.rename(half, entry)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    for other in entry.parent.iterdir():
        if other.stat().st_mtime < time.time() - CACHE_DAYS * 86_400:
            shutil.rmtree(other, ignore_errors=True)


def link(file: Path, to: Path) -> None:
    """Have `file` at another place too, without a second copy of its bytes where the file system can."""
    to.unlink(missing_ok=True)
    try:
        os.link(file, to)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(file, to)
