"""Reading nanoGPT's two pickles as data only. A pickle is a program, and even a small one can take all
memory.

Sizes are checked before anything is unpacked. Then unpicklers read the rest that import nothing but tensors
and numbers.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import stat
import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .device import loading_torch
from .errors import NanogptError
from .files import open_file, read_file

# The largest pickle in a ckpt.pt, which lists the tensors; that of nanoGPT's GPT-2 XL has 0.3 MB with its
# optimizer. One byte can make an object of 60.
CKPT_PICKLE_BYTES = 4_000_000
# The largest meta.pkl, in bytes and in opcodes: an alphabet of 100,000 characters has 2.5 MB and 600,000.
META_BYTES, META_STEPS = 4_000_000, 1_000_000
# The opcodes that make dicts, lists, texts and numbers. Not those for objects outside the file, nor for byte
# arrays, which are allocated at any length that the file claims.
DATA = re.compile(
    "PROTO|FRAME|STOP|MARK|POP|POP_MARK|MEMOIZE|(LONG_BIN|BIN)?(PUT|GET)|NONE|NEW(TRUE|FALSE)|INT|BININT[12]?"
    "|LONG[14]?|FLOAT|BINFLOAT|(SHORT_BIN|BIN)?STRING|(SHORT_BIN|BIN)?UNICODE|BINUNICODE8|(SHORT_)?BINBYTES"
    "|(EMPTY_)?(DICT|LIST|TUPLE)|TUPLE[123]|SETITEMS?|APPENDS?"
)
NOT_TORCHS = "is not a checkpoint that torch can read: give a ckpt.pt of nanoGPT's train.py"
IMPORTS = ("GLOBAL", "STACK_GLOBAL", "INST")


def check_ckpt(ckpt: Path) -> None:
    """Raises NanogptError if torch.save did not write the file. Does not import torch."""
    _check_there(ckpt)
    with open_file(ckpt) as fp:
        _check_zip(fp, ckpt.name)


def read_ckpt(ckpt: Path) -> Any:
    """The contents of a ckpt.pt, as torch.save wrote it. Raises NanogptError that names the obstacle."""
    with loading_torch():
        import torch

    _check_there(ckpt)
    with open_file(ckpt) as fp:
        try:
            _check_zip(fp, ckpt.name)
            fp.seek(0)
            with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(_numpy_numbers()):
                return torch.load(fp, map_location="cpu", weights_only=True)
        except NanogptError:
            raise
        except OSError as ex:
            raise NanogptError(f"Cannot read {ckpt}: {ex.strerror or ex}") from ex
        except Exception as ex:  # torch raises whatever its readers do, with advice that must not be taken
            foreign = re.search(r"GLOBAL (\S+)", str(ex))
            if foreign:
                what = f"it wants to run {foreign[1][:80]}, and nanoGPT's checkpoints are only data"
                raise NanogptError(f"{ckpt.name} is refused: {what}") from ex
            raise NanogptError(f"{ckpt.name} {NOT_TORCHS}") from ex


def _check_there(file: Path) -> None:
    try:
        file.lstat()
    except (OSError, ValueError) as ex:
        raise NanogptError(f"Cannot read {file}: {getattr(ex, 'strerror', None) or ex}") from ex


def _check_zip(fp: BinaryIO, name: str) -> None:
    """Raises NanogptError for a file that is not a zip as torch writes it, where nothing is packed, or whose
    program is too long."""
    try:
        with zipfile.ZipFile(fp) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as ex:
        raise NanogptError(f"{name} {NOT_TORCHS}") from ex
    size = fp.seek(0, io.SEEK_END)
    if any(e.compress_type != zipfile.ZIP_STORED or e.file_size != e.compress_size for e in entries):
        raise NanogptError(f"{name} is refused: parts of it are packed, and nanoGPT's checkpoints are not")
    if sum(entry.file_size for entry in entries) > size:
        raise NanogptError(f"{name} is refused: its parts are larger than the file")
    for entry in entries:
        if entry.filename.endswith(".pkl") and entry.file_size > CKPT_PICKLE_BYTES:
            raise NanogptError(
                f"{name} is refused: the list of its tensors has {entry.file_size:,} bytes, and at most "
                f"{CKPT_PICKLE_BYTES:,} make sense"
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise NanogptError(f"{name} is refused: there is a link in it")


class _NumberType:
    """Stands for numpy.dtype in the pickle of a NumPy number, and accepts only types of numbers."""

    def __init__(self, kind: str, align: bool = False, copy: bool = False) -> None:
        if not re.fullmatch(r"[<>|=]?([fiu][248]|[iu]1|b1|\?)", kind):
            raise ValueError(f"{kind[:20]} is not the type of a number")
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


def _number(kind: _NumberType, data: bytes) -> int | float | bool:
    """A NumPy number from its bytes."""
    if len(data) != kind.dtype.itemsize:
        raise ValueError("a number is of another length than its type")
    number: int | float | bool = np.frombuffer(data, kind.dtype)[0].item()
    return number


def _numpy_numbers() -> list[Any]:
    """What the pickle of a NumPy number may call: best_val_loss is one if it was averaged with NumPy."""
    scalar = "core.multiarray.scalar"  # of NumPy 2 and 1
    return [
        (_number, f"numpy._{scalar}"),
        (_number, f"numpy.{scalar}"),
        (_NumberType, "numpy.dtype"),
    ]


class _Data(pickle._Unpickler):  # in Python: in C a memo of nine bytes takes 4.4 GB
    """Unpickles data only, as DATA allows."""

    def find_class(self, module: str, name: str) -> Any:
        raise NanogptError(f"meta.pkl is refused: it wants to run {module[:40]}.{name[:40]}")


def read_meta(meta: Path) -> Any:
    """The contents of a meta.pkl. Raises NanogptError for anything but dicts, lists, texts and numbers."""
    _check_there(meta)
    data = read_file(meta, META_BYTES)
    try:
        for steps, (step, _, _) in enumerate(pickletools.genops(data)):
            if step.name in IMPORTS:  # _Data refuses this one, and reads no further
                break
            if not DATA.fullmatch(step.name):
                raise NanogptError(f"{meta.name} is refused: it refers to something outside itself")
            if steps > META_STEPS:
                raise NanogptError(f"{meta.name} is refused: it is too long for a list of characters")
        return _Data(io.BytesIO(data)).load()
    except NanogptError:
        raise
    except Exception as ex:  # a damaged pickle raises anything
        reason = " ".join(repr(ex).split())[:200]
        raise NanogptError(f"{meta.name} is not a meta.pkl of nanoGPT: {reason}") from ex
