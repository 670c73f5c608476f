"""The shape of a model: what it must satisfy, its tensors, and its config.json."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .counts import counted
from .errors import InvalidOptions, NanogptError, Problem

ARCHITECTURES = ("qwen3", "gpt2")
ACTIVATIONS = ("gelu_new", "gelu")
# The largest sizes that make sense here. No memory is allocated for a shape until all its sizes are checked
# against these.
MAXIMA = {
    "vocab_size": 2**21,  # there are 1.1M characters in Unicode
    "block_size": 2**20,
    "n_layer": 1_000,
    "n_head": 10_000,
    "n_embd": 100_000,
    "n_kv_head": 10_000,
    "head_dim": 100_000,
    "n_inner": 1_000_000,
}
# Positions times head size: a table of rotations has 4 bytes for each, 512 MB at most.
MAX_ROTATIONS = 2**27
DERIVED = ("n_kv_head", "head_dim", "n_inner")  # a 0 means that they follow from the others
LABELS = {
    "vocab_size": "The vocabulary",
    "block_size": "The context",
    "n_layer": "The number of layers",
    "n_head": "The number of heads",
    "n_embd": "The width",
    "n_kv_head": "The number of key heads",
    "head_dim": "The size of a head",
    "n_inner": "The width of the MLP",
}


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT, under nanoGPT's names. `to_hf()` gives its config.json.

    Raises InvalidOptions for a shape that cannot be, with a Problem for each thing that is wrong.
    """

    vocab_size: int
    block_size: int  # context, in tokens
    n_layer: int
    n_head: int
    n_embd: int
    arch: str = "qwen3"  # one of ARCHITECTURES
    n_kv_head: int = 0  # key and value heads; 0: as many as heads (no grouped queries)
    head_dim: int = 0  # 0: n_embd / n_head
    n_inner: int = 0  # width of the MLP; 0: 4 x n_embd (gpt2), 8/3 x n_embd (qwen3, as SwiGLU has 3 matrices)
    tied: bool = True  # one matrix for embedding and output
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    activation: str = "gelu_new"  # gpt2 only: gelu_new (the tanh form, which every runtime has) or gelu
    titles: bool = False  # trained on windows that begin with their document's title, see titles.py

    def __post_init__(self) -> None:
        if problems := [*_size_problems(self)]:
            raise InvalidOptions(problems)
        inner = 4 * self.n_embd if self.arch == "gpt2" else round(self.n_embd / 24) * 64
        fill = {
            "n_kv_head": self.n_kv_head or self.n_head,
            "head_dim": self.head_dim or self.n_embd // self.n_head,
            "n_inner": self.n_inner or inner,
        }
        for key, value in fill.items():
            object.__setattr__(self, key, value)
        if problems := [*_head_problems(self)]:
            raise InvalidOptions(problems)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor in model.safetensors, as Hugging Face names them."""
        return _gpt2_tensors(self) if self.arch == "gpt2" else _qwen3_tensors(self)

    @property
    def shape(self) -> str:
        """Layers, heads and width in words: "4 layers, 2 heads, width 128"."""
        return f"{counted(self.n_layer, 'layer')}, {counted(self.n_head, 'head')}, width {self.n_embd}"

    @cached_property
    def parameters(self) -> int:
        """How many weights the model has. A tied embedding counts once."""
        return sum(math.prod(shape) for shape in self.tensors().values())

    def to_hf(self, eot: int) -> dict[str, Any]:
        """config.json as transformers, mlx-lm and vLLM read it.

        `eot` is the id of <|endoftext|>; an id beyond the vocabulary means that the model has none.
        """
        special = eot if eot < self.vocab_size else None
        common: dict[str, Any] = {
            "vocab_size": self.vocab_size,
            "bos_token_id": special,
            "eos_token_id": special,
            "tie_word_embeddings": self.tied,
            "dtype": "float32",
            "torch_dtype": "float32",  # the name before transformers 5
        }
        if self.titles:
            common["nanogpt_titles"] = True  # for us: others ignore it
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
        """Read config.json. Raises NanogptError for a model of another architecture, or a damaged file."""
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
                    titles=hf.get("nanogpt_titles", False),
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
                    titles=hf.get("nanogpt_titles", False),
                )
        except InvalidOptions as ex:
            raise NanogptError(
                f"config.json describes a model that cannot be: {'; '.join(p.message for p in ex.problems)}"
            ) from ex
        except (AttributeError, KeyError, TypeError) as ex:
            raise NanogptError(f"config.json is incomplete: {ex} is missing or wrong") from ex
        raise NanogptError(
            f"config.json describes a {shortened(arch)} model: only qwen3 and gpt2 can be read"
        )


def _size_problems(c: GPTConfig) -> Iterator[Problem]:
    if c.arch not in ARCHITECTURES:
        yield Problem("arch", "choice", f"Architecture {c.arch!r} is not known: use qwen3 or gpt2")
    for field, label in LABELS.items():
        value, least = getattr(c, field), 0 if field in DERIVED else 1
        if type(value) is not int:
            yield Problem(field, "number", f"{label} must be a whole number, not {shortened(value)}")
        elif value < least:
            yield Problem(field, "minimum", f"{label} must be at least {least}, not {shortened(value)}")
        elif value > MAXIMA[field]:
            message = f"{label} must be at most {MAXIMA[field]:,}, not {shortened(value)}"
            yield Problem(field, "maximum", message)
    for field in ("rope_theta", "norm_eps"):
        value = getattr(c, field)
        if type(value) not in (int, float) or not 0 < value < 1e30:
            message = f"{field} must be a number above 0 and below 1e30, not {shortened(value)}"
            yield Problem(field, "range", message)
    for field in ("tied", "titles"):
        if type(getattr(c, field)) is not bool:
            yield Problem(
                field, "boolean", f"{field} must be true or false, not {shortened(getattr(c, field))}"
            )
    if c.activation not in ACTIVATIONS:
        message = f"The activation {shortened(c.activation)} is not known: use gelu_new or gelu"
        yield Problem("activation", "choice", message)


def shortened(value: object, limit: int = 30) -> str:
    """A value from a file, short enough for an error message."""
    try:
        text = f"{value:,}" if isinstance(value, int) else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits
        return "something else"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _head_problems(c: GPTConfig) -> Iterator[Problem]:
    if c.arch == "gpt2" and c.n_embd % c.n_head:
        yield Problem(
            "n_embd", "multiple", f"The width must be a multiple of the {c.n_head} heads, not {c.n_embd}"
        )
    if c.head_dim < 1:
        yield Problem("n_head", "maximum", f"A width of {c.n_embd} cannot be shared by {c.n_head} heads")
    if c.n_head % c.n_kv_head:
        yield Problem("n_head", "multiple", f"{c.n_head} heads cannot share {c.n_kv_head} key heads evenly")
    if c.arch == "qwen3" and c.head_dim % 2:
        yield Problem(
            "n_head",
            "even",
            f"{c.n_head} heads share the width of {c.n_embd}, {c.head_dim} for each, which must be an even "
            "number: change the number of heads or the width",
        )
    if c.arch == "qwen3" and c.block_size * c.head_dim > MAX_ROTATIONS:
        longest = MAX_ROTATIONS // c.head_dim
        message = f"The context must be at most {longest:,} with heads of {c.head_dim}, not {c.block_size:,}"
        yield Problem("block_size", "maximum", message)


def _gpt2_tensors(c: GPTConfig) -> dict[str, tuple[int, ...]]:
    """HF's GPT-2 keeps its matrices as (in, out), unlike nn.Linear's (out, in)."""
    e, inner = c.n_embd, c.n_inner
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (c.vocab_size, e),
        "transformer.wpe.weight": (c.block_size, e),
    }
    for i in range(c.n_layer):
        h = f"transformer.h.{i}."
        shapes |= {f"{h}ln_1.weight": (e,), f"{h}ln_1.bias": (e,)}
        shapes |= {f"{h}attn.c_attn.weight": (e, 3 * e), f"{h}attn.c_attn.bias": (3 * e,)}
        shapes |= {f"{h}attn.c_proj.weight": (e, e), f"{h}attn.c_proj.bias": (e,)}
        shapes |= {f"{h}ln_2.weight": (e,), f"{h}ln_2.bias": (e,)}
        shapes |= {f"{h}mlp.c_fc.weight": (e, inner), f"{h}mlp.c_fc.bias": (inner,)}
        shapes |= {f"{h}mlp.c_proj.weight": (inner, e), f"{h}mlp.c_proj.bias": (e,)}
    return shapes | {"transformer.ln_f.weight": (e,), "transformer.ln_f.bias": (e,)}


def _qwen3_tensors(c: GPTConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each tensor. Matrices have nn.Linear's layout, (out, in)."""
    e, d, inner = c.n_embd, c.head_dim, c.n_inner
    q, kv = c.n_head * d, c.n_kv_head * d
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (c.vocab_size, e)}
    for i in range(c.n_layer):
        h = f"model.layers.{i}."
        shapes |= {f"{h}input_layernorm.weight": (e,), f"{h}post_attention_layernorm.weight": (e,)}
        shapes |= {f"{h}self_attn.q_proj.weight": (q, e), f"{h}self_attn.k_proj.weight": (kv, e)}
        shapes |= {f"{h}self_attn.v_proj.weight": (kv, e), f"{h}self_attn.o_proj.weight": (e, q)}
        shapes |= {f"{h}self_attn.q_norm.weight": (d,), f"{h}self_attn.k_norm.weight": (d,)}
        shapes |= {f"{h}mlp.gate_proj.weight": (inner, e), f"{h}mlp.up_proj.weight": (inner, e)}
        shapes |= {f"{h}mlp.down_proj.weight": (e, inner)}
    shapes["model.norm.weight"] = (e,)
    return shapes if c.tied else shapes | {"lm_head.weight": (c.vocab_size, e)}
