"""From a corpus to token files, or to those of an earlier run on the same text with the same settings.

`<home>/.cache/tokens/<key>` keeps what was prepared; runs share its files by hard links. The key is a hash
of every value read and of all that decides what becomes of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from llm_nanogpt.atomic import write_json
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import cache_folder
from llm_nanogpt.tokenizer import Tokenizer
from llm_nanogpt.tokenizer_training import gpt2, train_bpe, train_char

from ..events import Progress
from ..hookspecs import document_hook
from . import token_files as dataset
from .source import Corpus

FORMAT = 2  # of what is kept, and of the way that leads there
KEPT_DAYS = 30  # since it was last used
SPARE_BYTES = 50_000_000  # for the model and for what else the disk is used for
FILES = ("train.bin", "val.bin")

Made = tuple[Tokenizer, dict[str, Any]]


def choose_vocab_size(corpus_bytes: int) -> int:
    """A bigger vocabulary needs more text to learn each token: about 250 bytes of it, up to 4,096 tokens."""
    for size in (4096, 2048, 1024):
        if corpus_bytes >= size * 250:
            return size
    return 512


def prepare(
    corpus: Corpus,
    folder: Path,
    home: Path,
    *,
    tokenizer: str = "bpe",
    vocab_size: int | None = None,
    seed: int = 0,
    cache: bool = True,
) -> Generator[Progress, None, Made]:
    """Write train.bin and val.bin into `folder`, which exists.

    `tokenizer` is bpe, gpt2 or char; `vocab_size` is for bpe. With `cache` the token files are kept in
    `home`, and found there again. Returns the tokenizer and what nanogpt.json keeps of the corpus. Raises
    NanogptError where rows cannot be read, have no text, or the disk is too small.
    """
    yield from corpus.load()
    yield Progress("looking through the rows")
    digest, size = corpus.digest()
    kept = None
    if cache and document_hook() is None:  # what a plugin would write now, no key can tell
        versions = [version(name) for name in ("datasette-nanogpt", "tiktoken", "tokenizers")]
        settings = [FORMAT, digest, tokenizer, vocab_size, seed, *versions]
        kept = cache_folder(home) / "tokens" / hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]
        if found := _take(kept, corpus, folder):
            return found
    _check_disk(home, folder, size, tokenizer)
    try:
        made = yield from _make(corpus, folder, tokenizer, vocab_size, seed)
    except OSError as error:
        raise NanogptError(
            f"Cannot write in {home}: {error.strerror}. Make room there, or set NANOGPT_HOME."
        ) from error
    if kept:
        with suppress(OSError):  # the run does not need it
            _keep(kept, corpus, folder, *made)
    return made


def _make(
    corpus: Corpus, folder: Path, kind: str, vocab_size: int | None, seed: int
) -> Generator[Progress, None, Made]:
    spool = dataset.spool(corpus.documents(), folder / "documents", seed)
    spool = yield from _report("reading", spool, corpus.row_count)
    yield Progress("making the vocabulary")
    if kind == "gpt2":
        tokenizer = gpt2()
    elif kind == "char":
        tokenizer = train_char(spool.texts(spool.train))
    else:
        tokenizer = train_bpe(spool.texts(spool.train), vocab_size or choose_vocab_size(spool.train_bytes))
    counts = {}
    for split, spans in (("val", spool.val), ("train", spool.train)):
        tokens = dataset.write_tokens(spool.texts(spans), tokenizer, folder / f"{split}.bin")
        counts[f"{split}_tokens"] = yield from _report("tokenizing", tokens, len(spans))
    val_bytes = _bytes_of(folder / "val.bin", tokenizer)
    if not val_bytes:
        raise NanogptError("There is too little text to hold any of it out: use a table with more")
    spool.file.unlink()
    skipped = sum((source.skipped for source in corpus.sources), Counter())
    return tokenizer, {
        "documents": spool.documents,
        "skipped": dict(skipped),
        "duplicates": spool.duplicates,
        "near_duplicates": spool.alike,
        "near_duplicates_divided": spool.divided,
        "cut": spool.cut,
        "train_documents": len(spool.train),
        "val_documents": len(spool.val),
        "bytes": spool.train_bytes + spool.val_bytes,
        "train_bytes": spool.train_bytes,
        "val_bytes": val_bytes,
        "vocab_size": tokenizer.n_vocab,
        "sha256": spool.sha256,
        **counts,
    }


def _bytes_of(file: Path, tokenizer: Tokenizer) -> int:
    """Of the text in a token file: characters that a character-level tokenizer lacks are not in it, cost no
    bits, and so must not count."""
    lengths = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.n_vocab)])
    return int(lengths[dataset.open_tokens(file, tokenizer.n_vocab)].sum())


def _report(what: str, steps: Generator[int, None, dataset.T], total: int) -> Generator:
    while True:
        try:
            yield Progress(what, next(steps), total, "rows")
        except StopIteration as end:
            return end.value


def _check_disk(home: Path, folder: Path, size: int, tokenizer: str) -> None:
    """Documents and tokens lie on the disk together: 2 bytes a token, which is at most a byte of text
    for each character, and with BPE hardly ever more than half of that."""
    need = size * (3 if tokenizer == "char" else 2) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if need > free:
        raise NanogptError(
            f"This needs up to {need / 1e9:,.1f} GB of disk in {home}, and {free / 1e9:,.1f} GB are "
            "free: make room there, set NANOGPT_HOME to another place, or choose fewer rows with --where."
        )


def _take(kept: Path, corpus: Corpus, folder: Path) -> Made | None:
    """What was prepared before, linked into `folder`; None if it is not there or not whole."""
    try:
        counts = json.loads((kept / "corpus.json").read_text("utf-8"))
        width = np.dtype(dataset.token_dtype(counts["vocab_size"])).itemsize
        for split in ("train", "val"):
            if (kept / f"{split}.bin").stat().st_size != width * counts[f"{split}_tokens"]:
                return None
        tokenizer = Tokenizer.load(kept)
        for name in FILES:
            link(kept / name, folder / name)
        os.utime(kept)
    except (OSError, ValueError, KeyError, NanogptError):
        return None
    for source, skipped in zip(corpus.sources, counts.pop("skipped_by_table"), strict=True):
        source.skipped = Counter(skipped)
    return tokenizer, counts


def _keep(kept: Path, corpus: Corpus, folder: Path, tokenizer: Tokenizer, counts: dict[str, Any]) -> None:
    half = kept.with_name(f".{kept.name}.{os.getpid()}")
    half.mkdir(parents=True)
    try:
        for name in FILES:
            link(folder / name, half / name)
        write_json(half / "tokenizer.json", tokenizer.spec)
        by_table = [dict(source.skipped) for source in corpus.sources]
        write_json(half / "corpus.json", {**counts, "skipped_by_table": by_table})
        shutil.rmtree(kept, ignore_errors=True)  # a damaged one
        os.rename(half, kept)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    for other in kept.parent.iterdir():
        if other.stat().st_mtime < time.time() - KEPT_DAYS * 86_400:
            shutil.rmtree(other, ignore_errors=True)


def link(file: Path, to: Path) -> None:
    """Have `file` at another place too, without a second copy of its bytes where the file system can."""
    to.unlink(missing_ok=True)
    try:
        os.link(file, to)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(file, to)
