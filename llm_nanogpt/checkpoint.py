"""The checkpoint: reading and writing model folders.

A folder is a standard Hugging Face model (Qwen3 or GPT-2), so other programs load it as it is:

    config.json  generation_config.json  model.safetensors  tokenizer.json  tokenizer_config.json
    nanogpt.json  README.md  training/

A reader never sees half of a file. A new folder appears by a single rename (changes.py has how one takes the
place of another), and after that each file is replaced by a single rename.
`model.safetensors` carries the step and the score of its own weights in its metadata, so weights and score
cannot disagree, whatever moment a process dies at.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .atomic import write_bytes, write_json
from .config import GPTConfig, shortened
from .counts import counted
from .errors import BrokenModel, NanogptError, NewerFormat
from .files import WORDS_FILE, check_whole_json, check_words, is_file, open_file, parse_json, read_json
from .home import model_names, unreadable_names
from .meta import FORMAT, read_meta

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
HEADER_BYTES = 16_000_000  # the longest safetensors header that is read; 1,000 layers have one of 1.3 MB
_BITS = "F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8"
ITEM_BYTES = {kind: int(kind.lstrip("BFIU")) // 8 for kind in _BITS.split()} | {"BOOL": 1}


@dataclass(frozen=True)
class Checkpoint:
    """What a model folder says about itself; the weights are not read yet."""

    path: Path
    config: GPTConfig
    meta: dict[str, Any]  # nanogpt.json
    weights: dict[str, str]  # the metadata of model.safetensors: step, val_bpb, hash

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def version(self) -> str:
        """Which weights these are, for example step500-1a2b3c4d5e6f."""
        parts = (
            f"step{self.weights['step']}" if "step" in self.weights else "",
            self.weights.get("hash", ""),
        )
        return "-".join(filter(None, parts))

    @property
    def trained(self) -> str:
        """When it was trained last, UTC, ISO 8601; "" if that is not known."""
        return str((self.meta.get("training") or {}).get("updated") or "")

    @property
    def summary(self) -> str:
        """For someone about to replace it: "577 rows, 1.878 bits per byte, trained 2026-11-26"."""
        source, score = (self.meta.get(key) or {} for key in ("source", "score"))
        facts = [counted(source.get("rows") or 0, "row")]
        facts += [f"{score['val_bpb']:.3f} bits per byte"] if score.get("val_bpb") is not None else []
        facts += [f"trained {self.trained[:10]}"] if self.trained else []
        return ", ".join(facts)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a model folder: every file, and the name, type and shape of every tensor.

    Costs a few milliseconds; weights are left on disk. Raises NanogptError saying what is broken.
    """
    return read_version(path, lambda files: verify(path, files))


def read_version(path: Path, read: Callable[[Path], T]) -> T:
    """Calls `read` with a handle on the folder `path`, and returns its result. All files that it reads are of
    one model, even if another model takes its place meanwhile (on Linux, which has /proc/self/fd)."""
    while True:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return read(path)  # raises an error that says what is wrong
        try:
            files = Path(f"/proc/self/fd/{fd}")
            return read(files if files.exists() else path)
        except (NanogptError, OSError) as ex:
            with suppress(OSError):
                if not os.path.samestat(os.stat(path), os.fstat(fd)):
                    continue  # it was replaced, and its files may have been deleted while we read them
            if isinstance(ex, NanogptError) and str(files) in str(ex):
                message = str(ex).replace(str(files), str(path))
                if isinstance(ex, BrokenModel):
                    raise BrokenModel(path.name, message, ex.way_out) from ex
                raise NanogptError(message) from ex
            raise
        finally:
            os.close(fd)


def _way_to_read(path: Path, ex: NanogptError) -> str:
    """What to do about a model that cannot be read though nothing is wrong with it; "" for another error."""
    match getattr(ex.__cause__ or ex.__context__, "errno", None):
        case errno.EACCES | errno.EPERM:
            allow = f"`{shlex.join(['chmod', '-R', 'u+rX', str(path)])}`"
            return f"You are not allowed to read it: type {allow}, or ask its owner"
        case errno.EMFILE | errno.ENFILE:
            return "Allow more open files (`ulimit -n 1024`), then try again"
        case errno.EIO:
            return "Check its disk, then try again"
    return ""


def verify(path: Path, files: Path) -> Checkpoint:
    """The checkpoint in `path`, whose files are read from `files`, a handle on it. Raises NanogptError."""
    if not files.is_dir():
        raise NanogptError(
            f"There is no model {path.name!r} in {path.parent}: `llm nanogpt models` lists them"
        )
    try:
        meta = read_meta(files / "nanogpt.json")
        config = GPTConfig.from_hf(read_json(files / "config.json"))
        for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
            if not is_file(files / name):
                raise NanogptError(
                    f"{name} is missing" if not os.path.lexists(files / name) else f"{name} is not a file"
                )
        check_whole_json(files / "tokenizer.json")
        if os.path.lexists(files / WORDS_FILE):  # old models and imported ones have none
            check_words(files / WORDS_FILE)
        weights = _check_tensors(files / "model.safetensors", config)
    except NanogptError as ex:
        if way_out := _way_to_read(path, ex):
            raise BrokenModel(path.name, f"Model {path.name!r}: {ex} ({path})", way_out) from ex
        message = f"Model {path.name!r} is broken: {ex} ({path})"
        newer = isinstance(ex, NewerFormat)  # which says what to do
        raise (NanogptError(message) if newer else BrokenModel(path.name, message)) from ex
    return Checkpoint(path, config, meta, weights)


def describe(folder: Path) -> str | None:
    """The model in a folder, for someone about to replace it; None if there is none."""
    try:
        return read_checkpoint(folder).summary
    except NanogptError:
        return "a folder that holds no model that can be opened" if folder.exists() else None


def _check_tensors(file: Path, config: GPTConfig) -> dict[str, str]:
    """Returns the metadata of a safetensors file whose tensors are those of `config`."""
    header = read_safetensors_header(file)
    metadata: dict[str, str] = header.pop("__metadata__", {})
    expected = config.tensors()
    if missing := expected.keys() - header.keys():
        raise NanogptError(f"{file.name} lacks {len(missing)} tensors, {min(missing)} among them")
    for name, shape in expected.items():
        tensor = header[name]
        if tensor["dtype"] != "F32" or tuple(tensor["shape"]) != shape:
            theirs = shortened(tensor["shape"])
            raise NanogptError(f"tensor {name} is {tensor['dtype']} {theirs}, not F32 {list(shape)}")
    return metadata


def read_safetensors_header(file: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file: 8 bytes of length, little-endian, then the JSON.

    Reading it needs no library and reads no weights. It is checked that the tensors follow each other and
    fill the rest of the file. Raises NanogptError for a file that is damaged or truncated.
    """
    with open_file(file) as fp:
        size = os.fstat(fp.fileno()).st_size
        try:
            length = int.from_bytes(fp.read(8), "little")
            if not 2 <= length <= min(HEADER_BYTES, max(size - 8, 2)):
                raise NanogptError(f"{file.name} does not start as a safetensors file does")
            data = fp.read(length)
        except OSError as ex:
            raise NanogptError(f"{file.name} cannot be read, {ex.strerror}") from ex
        header = parse_json(data, file.name)
    damaged = NanogptError(f"{file.name} cannot be read, its header is not that of a safetensors file")
    if not isinstance(header, dict) or not _is_text_map(header.get("__metadata__", {})):
        raise damaged
    end = 0
    try:
        tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
        for tensor in sorted(tensors, key=lambda tensor: tensor["data_offsets"]):
            begin, stop = tensor["data_offsets"]
            each = ITEM_BYTES[tensor["dtype"]]
            whole = all(type(n) is int and n >= 0 for n in (begin, stop, *tensor["shape"]))
            if not whole or begin != end or stop - begin != each * math.prod(tensor["shape"]):
                raise damaged
            end = stop
    except (AttributeError, LookupError, TypeError, ValueError):
        raise damaged from None
    if size != (end := 8 + length + end):
        raise NanogptError(f"{file.name} cannot be read, it has {size:,} bytes of {end:,}")
    return header


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def read_weights(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """All tensors of a checkpoint as float32 arrays."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(checkpoint.path / "model.safetensors")
    except (OSError, SafetensorError) as ex:
        message = f"Model {checkpoint.name!r} is broken: model.safetensors, {ex}"
        raise BrokenModel(checkpoint.name, message) from ex


def write_weights(file: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write tensors and their hash as safetensors, atomically. transformers asks for `format: pt`."""
    from safetensors.numpy import save

    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        sha256.update(tensors[name].tobytes())
    write_bytes(file, save(dict(tensors), {"format": "pt", "hash": sha256.hexdigest()[:12], **metadata}))


def write_model_files(path: Path, config: GPTConfig, eot: int, meta: Mapping[str, Any], card: str) -> None:
    """Write everything in a model folder except the weights and the tokenizer.

    `eot` is the id of `<|endoftext|>`, `meta` becomes nanogpt.json, `card` README.md.
    """
    hf = config.to_hf(eot)
    write_json(path / "config.json", hf)
    write_json(
        path / "generation_config.json",
        {
            "bos_token_id": hf["bos_token_id"],
            "eos_token_id": hf["eos_token_id"],
            "do_sample": True,
            "max_new_tokens": config.block_size // 2,
        },
    )
    write_meta(path, meta, card)


def write_meta(path: Path, meta: Mapping[str, Any], card: str) -> None:
    """Replace nanogpt.json and the model card."""
    write_json(path / "nanogpt.json", {"format": FORMAT, **meta})
    write_bytes(path / "README.md", card.encode())


def checkpoints(home: Path) -> Iterator[tuple[str, Checkpoint | NanogptError]]:
    """Each model of `home` with its checkpoint, or with what is wrong with it."""
    for name in model_names(home):
        try:
            yield name, read_checkpoint(home / name)
        except NanogptError as ex:
            yield name, ex
    for name in unreadable_names(home):
        yield name, NanogptError(f"The name {name} cannot be shown as it is: rename the folder")
