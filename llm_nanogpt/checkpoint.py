"""The model folder: where it is, what is in it, how it is read, and how it is written in one piece.

A folder is a standard Hugging Face model (Qwen3 or GPT-2), so other programs load it as it is:

    config.json  generation_config.json  model.safetensors  tokenizer.json  tokenizer_config.json
    nanogpt.json  README.md  training/

A reader never sees half of a file. A new folder appears by a single rename, and after that each file is
replaced by a single rename; a model that replaces another is gone for a moment between two.
`model.safetensors` carries the step and the score of its own weights in its metadata, so weights and score
cannot disagree, whatever moment a process dies at.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import NanogptError

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1  # of nanogpt.json; a folder of a newer format is refused, never guessed at


def nanogpt_home() -> Path:
    """The folder that holds all models: `$NANOGPT_HOME`, else `nanogpt` in llm's user folder."""
    if home := os.environ.get("NANOGPT_HOME"):
        return Path(home).expanduser()
    if user_dir := os.environ.get("LLM_USER_PATH"):
        return Path(user_dir) / "nanogpt"
    import click

    return Path(click.get_app_dir("io.datasette.llm")) / "nanogpt"


def cache_folder(home: Path) -> Path:
    """Tokenized corpora and copies of remote tables. Safe to delete: all of it can be made again."""
    return home / ".cache"


def cache_bytes(home: Path) -> int:
    """How much of the disk would be free again without the cache: files that a model shares do not count."""
    found = [file.stat() for file in cache_folder(home).rglob("*") if file.is_file()]
    return sum(stat.st_size for stat in found if stat.st_nlink == 1)


def model_names(home: Path) -> list[str]:
    """Names of the model folders in `home`, broken ones too, sorted. Looks at no file inside them."""
    try:
        with os.scandir(home) as entries:
            return sorted(e.name for e in entries if not e.name.startswith(".") and _is_folder(e))
    except OSError:
        return []


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def valid_name(name: str) -> bool:
    """A model name is also a folder name, none of our own beside it, and a word on a command line."""
    short = len(name.encode(errors="replace")) <= 200  # bytes: file systems take 255, and we add to it
    return bool(re.fullmatch(r"\w[\w.-]{0,99}", name)) and short and not name.startswith("nanogpt.db")


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT, under nanoGPT's names. `to_hf()` gives its config.json."""

    vocab_size: int
    block_size: int  # context, tokens
    n_layer: int
    n_head: int
    n_embd: int
    arch: str = "qwen3"  # or gpt2
    n_kv_head: int = 0  # 0: as many as heads (no grouped queries)
    head_dim: int = 0  # 0: n_embd / n_head
    n_inner: int = 0  # width of the MLP; 0: 4 x n_embd (gpt2), 8/3 x n_embd (qwen3, as SwiGLU has 3 matrices)
    tied: bool = True  # one matrix for embedding and output
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    activation: str = "gelu_new"  # gpt2 alone: the tanh form, which every runtime has; or gelu

    def __post_init__(self):
        fill = {
            "n_kv_head": self.n_kv_head or self.n_head,
            "head_dim": self.head_dim or self.n_embd // self.n_head,
            "n_inner": self.n_inner
            or (4 * self.n_embd if self.arch == "gpt2" else round(self.n_embd / 24) * 64),
        }
        for key, value in fill.items():
            object.__setattr__(self, key, value)
        if self.arch not in ("qwen3", "gpt2"):
            raise NanogptError(f"Architecture {self.arch!r} is not known: use qwen3 or gpt2")
        if min(self.vocab_size, self.block_size, self.n_layer, self.n_head, self.n_embd) < 1:
            raise NanogptError("Vocabulary, block size, layers, heads and width must all be at least 1")
        if self.arch == "gpt2" and self.n_embd % self.n_head:
            raise NanogptError(f"--n-embd {self.n_embd} must be a multiple of --n-head {self.n_head}")
        if self.n_head % self.n_kv_head:
            raise NanogptError(f"{self.n_head} heads cannot share {self.n_kv_head} key heads evenly")
        if self.arch == "qwen3" and self.head_dim % 2:
            raise NanogptError(
                f"Rotary positions need an even head size, not {self.head_dim}: change --n-head"
            )

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor in model.safetensors, as Hugging Face names them."""
        e, v, d = self.n_embd, self.vocab_size, self.head_dim
        shapes: dict[str, tuple[int, ...]]
        if self.arch == "gpt2":
            # HF's GPT-2 keeps its matrices as (in, out), unlike nn.Linear's (out, in).
            shapes = {
                "transformer.wte.weight": (v, e),
                "transformer.wpe.weight": (self.block_size, e),
            }
            for i in range(self.n_layer):
                h = f"transformer.h.{i}."
                shapes |= {f"{h}ln_1.{p}": (e,) for p in ("weight", "bias")}
                shapes |= {f"{h}attn.c_attn.weight": (e, 3 * e), f"{h}attn.c_attn.bias": (3 * e,)}
                shapes |= {f"{h}attn.c_proj.weight": (e, e), f"{h}attn.c_proj.bias": (e,)}
                shapes |= {f"{h}ln_2.{p}": (e,) for p in ("weight", "bias")}
                shapes |= {
                    f"{h}mlp.c_fc.weight": (e, self.n_inner),
                    f"{h}mlp.c_fc.bias": (self.n_inner,),
                }
                shapes |= {f"{h}mlp.c_proj.weight": (self.n_inner, e), f"{h}mlp.c_proj.bias": (e,)}
            shapes |= {f"transformer.ln_f.{p}": (e,) for p in ("weight", "bias")}
        else:
            q, kv = self.n_head * d, self.n_kv_head * d
            shapes = {"model.embed_tokens.weight": (v, e)}
            for i in range(self.n_layer):
                h = f"model.layers.{i}."
                shapes |= {
                    f"{h}input_layernorm.weight": (e,),
                    f"{h}post_attention_layernorm.weight": (e,),
                }
                shapes |= {
                    f"{h}self_attn.q_proj.weight": (q, e),
                    f"{h}self_attn.k_proj.weight": (kv, e),
                }
                shapes |= {
                    f"{h}self_attn.v_proj.weight": (kv, e),
                    f"{h}self_attn.o_proj.weight": (e, q),
                }
                shapes |= {f"{h}self_attn.q_norm.weight": (d,), f"{h}self_attn.k_norm.weight": (d,)}
                shapes |= {f"{h}mlp.gate_proj.weight": (self.n_inner, e)}
                shapes |= {f"{h}mlp.up_proj.weight": (self.n_inner, e)}
                shapes |= {f"{h}mlp.down_proj.weight": (e, self.n_inner)}
            shapes["model.norm.weight"] = (e,)
            if not self.tied:
                shapes["lm_head.weight"] = (v, e)
        return shapes

    @property
    def shape(self) -> str:
        """In words."""
        counted = (
            f"{n} {what}{'s' if n != 1 else ''}"
            for n, what in ((self.n_layer, "layer"), (self.n_head, "head"))
        )
        return f"{', '.join(counted)}, width {self.n_embd}"

    @property
    def parameters(self) -> int:
        """How many numbers the model has. A tied embedding counts once."""
        import math

        return sum(math.prod(shape) for shape in self.tensors().values())

    def to_hf(self, eot: int) -> dict[str, Any]:
        """config.json as transformers, mlx-lm and vLLM read it.

        `eot` is the id of <|endoftext|>; beyond the vocabulary it means that the model has none.
        """
        eot = eot if eot < self.vocab_size else None
        common = {
            "vocab_size": self.vocab_size,
            "bos_token_id": eot,
            "eos_token_id": eot,
            "tie_word_embeddings": self.tied,
            "dtype": "float32",
            "torch_dtype": "float32",  # the name before transformers 5
        }
        if self.arch == "gpt2":
            return common | {
                "architectures": ["GPT2LMHeadModel"],
                "model_type": "gpt2",
                "n_positions": self.block_size,
                "n_ctx": self.block_size,
                "n_embd": self.n_embd,
                "n_layer": self.n_layer,
                "n_head": self.n_head,
                "n_inner": self.n_inner,
                "activation_function": self.activation,
                "layer_norm_epsilon": self.norm_eps,
                "attn_pdrop": 0.0,
                "embd_pdrop": 0.0,
                "resid_pdrop": 0.0,
            }
        return common | {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "hidden_size": self.n_embd,
            "intermediate_size": self.n_inner,
            "num_hidden_layers": self.n_layer,
            "num_attention_heads": self.n_head,
            "num_key_value_heads": self.n_kv_head,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": self.block_size,
            "rms_norm_eps": self.norm_eps,
            "rope_theta": self.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "attention_bias": False,
            "attention_dropout": 0.0,
            "use_sliding_window": False,
        }

    @classmethod
    def from_hf(cls, hf: Mapping[str, Any]) -> GPTConfig:
        """Read config.json. Raises NanogptError for a model that is not one of our two shapes."""
        try:
            arch = hf.get("model_type")
            if arch == "gpt2":
                return cls(
                    arch="gpt2",
                    vocab_size=hf["vocab_size"],
                    block_size=hf["n_positions"],
                    n_layer=hf["n_layer"],
                    n_head=hf["n_head"],
                    n_embd=hf["n_embd"],
                    n_inner=hf.get("n_inner") or 0,
                    norm_eps=hf.get("layer_norm_epsilon", 1e-5),
                    activation=hf.get("activation_function", "gelu_new"),
                )
            if arch == "qwen3":
                return cls(
                    vocab_size=hf["vocab_size"],
                    block_size=hf["max_position_embeddings"],
                    n_layer=hf["num_hidden_layers"],
                    n_head=hf["num_attention_heads"],
                    n_embd=hf["hidden_size"],
                    n_kv_head=hf["num_key_value_heads"],
                    head_dim=hf["head_dim"],
                    n_inner=hf["intermediate_size"],
                    tied=hf["tie_word_embeddings"],
                    rope_theta=hf["rope_theta"],
                    norm_eps=hf["rms_norm_eps"],
                )
        except (AttributeError, KeyError, TypeError, ZeroDivisionError) as ex:
            raise NanogptError(f"config.json is incomplete: {ex} is missing or wrong") from ex
        raise NanogptError(f"config.json describes a {arch!r} model; this reads qwen3 and gpt2")


@dataclass(frozen=True)
class Checkpoint:
    """What a model folder says of itself, weights not yet read."""

    path: Path
    config: GPTConfig
    meta: dict[str, Any]  # nanogpt.json
    weights: dict[str, str]  # the metadata of model.safetensors: step, val_bpb, hash

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def version(self) -> str:
        """Which weights exactly, as in step500-1a2b3c4d5e6f."""
        parts = (
            f"step{self.weights['step']}" if "step" in self.weights else "",
            self.weights.get("hash", ""),
        )
        return "-".join(filter(None, parts))

    @property
    def summary(self) -> str:
        """What would be lost with it: 577 rows, 1.878 bits per byte, trained 2026-11-26."""
        source, score, training = (self.meta.get(key) or {} for key in ("source", "score", "training"))
        facts = [f"{source.get('rows') or 0:,} rows"]
        facts += [f"{score['val_bpb']:.3f} bits per byte"] if score.get("val_bpb") is not None else []
        facts += [f"trained {training['updated'][:10]}"] if training.get("updated") else []
        return ", ".join(facts)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a model folder: every file, and the name, type and shape of every tensor.

    Costs a few milliseconds; weights are left on disk. Raises NanogptError saying what is broken.
    """

    def broken(reason: str) -> NanogptError:
        return NanogptError(f"Model {path.name!r} is broken: {reason} ({path})")

    def load(name: str) -> Any:
        try:
            return json.loads((path / name).read_text("utf-8"))
        except FileNotFoundError:
            raise broken(f"{name} is missing") from None
        except (OSError, ValueError) as ex:
            raise broken(f"{name} cannot be read, {ex}") from ex

    if not path.is_dir():
        raise NanogptError(
            f"There is no model {path.name!r} in {path.parent}: `llm nanogpt models` lists them"
        )
    meta = load("nanogpt.json")
    if not isinstance(meta, dict) or not isinstance(meta.get("format"), int):
        raise broken("nanogpt.json does not say its format")
    if any(not isinstance(meta.get(key) or {}, dict) for key in ("source", "corpus", "score", "training")):
        raise broken("nanogpt.json is not as this program writes it")
    if meta["format"] > FORMAT:
        raise broken(
            f"its format {meta['format']} is newer than this version reads: upgrade datasette-nanogpt"
        )
    hf = load("config.json")
    try:
        config = GPTConfig.from_hf(hf)
    except NanogptError as ex:
        raise broken(str(ex)) from ex
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        if not (path / name).is_file():
            raise broken(f"{name} is missing")
    try:
        header = read_safetensors_header(path / "model.safetensors")
    except (OSError, ValueError) as ex:
        raise broken(f"model.safetensors cannot be read, {ex}") from ex
    weights = header.pop("__metadata__", {})
    expected = config.tensors()
    if missing := expected.keys() - header.keys():
        raise broken(f"model.safetensors lacks {len(missing)} tensors, {min(missing)} among them")
    for name, shape in expected.items():
        if header[name]["dtype"] != "F32" or tuple(header[name]["shape"]) != shape:
            found = f"{header[name]['dtype']} {header[name]['shape']}"
            raise broken(f"tensor {name} is {found}, not F32 {list(shape)}")
    return Checkpoint(path, config, meta, weights)


def read_safetensors_header(file: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file: 8 bytes of length, little-endian, then the JSON.

    Reading it takes no library and no weights. Raises ValueError for a damaged or truncated file.
    """
    with open(file, "rb") as fp:
        length = int.from_bytes(fp.read(8), "little")
        if not 2 <= length <= 100_000_000:
            raise ValueError("it does not start as a safetensors file does")
        header = json.loads(fp.read(length))
    try:
        tensors = [value for key, value in header.items() if key != "__metadata__"]
        ends = [t["data_offsets"][1] for t in tensors if t["dtype"] and t["shape"] is not None]
        end = 8 + length + max(ends, default=0)
    except (AttributeError, LookupError, TypeError):
        raise ValueError("its header is not that of a safetensors file") from None
    if file.stat().st_size != end:
        raise ValueError(f"it has {file.stat().st_size:,} bytes of {end:,}")
    return header


def read_weights(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """All tensors of a checkpoint as float32 arrays."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(checkpoint.path / "model.safetensors")
    except (OSError, SafetensorError) as ex:
        raise NanogptError(f"Model {checkpoint.name!r} is broken: model.safetensors, {ex}") from ex


def write_weights(file: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write tensors and their hash as safetensors, atomically. transformers asks for `format: pt`."""
    from safetensors.numpy import save

    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        sha256.update(tensors[name].tobytes())
    write_bytes(file, save(dict(tensors), {"format": "pt", "hash": sha256.hexdigest()[:12], **metadata}))


def write_json(file: Path, value: Any) -> None:
    write_bytes(file, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_bytes(file: Path, data: bytes) -> None:
    """Replace a file by one rename, after its bytes are on the disk."""
    part = file.with_name(f".{file.name}.part")
    try:
        with open(part, "wb") as fp:
            fp.write(data)
            fp.flush()
            os.fsync(fp.fileno())
        os.replace(part, file)
    except OSError:  # on a full disk a part is in the way
        part.unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def write_model_files(path: Path, config: GPTConfig, eot: int, meta: Mapping[str, Any], card: str) -> None:
    """Write everything of a model folder but the weights and the tokenizer."""
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


def publish(staging: Path, final: Path) -> None:
    """Put a finished folder in its place. A folder that is there already is moved aside, then deleted.

    A process that dies between the two renames leaves the old folder aside; `recover()` puts it back.
    """
    aside = final.with_name(f".{final.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if final.exists():
        os.rename(final, aside)
    os.rename(staging, final)
    _sync_folder(final.parent)
    shutil.rmtree(aside, ignore_errors=True)


def is_training(folder: Path) -> bool:
    """Whether a process holds the lock of this model."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep everyone else from training, renaming or removing a model. Not needed to read it.

    The system drops the lock when the process dies, however it dies. Raises NanogptError if it is taken.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise NanogptError(
            f"{folder.name} is being trained by another process: wait for it, stop it, or choose another name"
        ) from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def recover(final: Path) -> None:
    """Undo a `publish()` that died halfway."""
    aside = final.with_name(f".{final.name}.old")
    if aside.is_dir() and not final.exists():
        os.rename(aside, final)


def _sync_folder(path: Path) -> None:
    """Make a rename last through a power cut, where the system lets a folder be synced."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def checkpoints(home: Path) -> Iterator[tuple[str, Checkpoint | NanogptError]]:
    """Each model of `home` with its checkpoint, or with what is wrong with it."""
    for name in model_names(home):
        try:
            yield name, read_checkpoint(home / name)
        except NanogptError as ex:
            yield name, ex
