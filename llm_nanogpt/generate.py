"""From a model and a prompt to text, piece by piece.

A model here is anything with `config`, `device`, `new_cache()` and `logits(ids, cache, past)`, as in
`gpt_numpy.GPT`; `TorchModel` gives a torch module that shape.
"""

from __future__ import annotations

import codecs
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .checkpoint import Checkpoint, read_checkpoint, read_weights
from .errors import NanogptError
from .sampler import Sampler, log_softmax
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from .gpt_torch import GPT

LONGEST_LAST_WORD = 40  # characters: what may be encoded anew at the prompt's end, each costing a short pass


# Parameters. Below, numpy writes a page (500 tokens) before torch is imported and a GPU woken: 3 s of import
# against 1.5 ms a token at 3M parameters and 5 ms at 29M. On the CPU a token takes torch 3 times as long.
SMALL = 50_000_000


def load_model(checkpoint: Checkpoint, device: str | None = None) -> tuple[Any, str]:
    """The model of a checkpoint, ready to sample, and why it runs where it runs.

    `device` is cpu, mps or cuda; None takes the CPU, but a GPU if there is one and the model is large.
    """
    weights = read_weights(checkpoint)
    reason = "as asked"
    if device is None:
        device, reason = "cpu", "the fastest for a model of this size"
        if checkpoint.config.parameters >= SMALL:
            device, reason = "cpu", "no GPU found"
            if sys.platform == "darwin" or shutil.which("nvidia-smi"):  # only then import torch to look
                from .device import choose_device

                device, reason = choose_device(None)
    if device == "cpu":
        from . import gpt_numpy

        return gpt_numpy.build(checkpoint.config, weights), reason
    from .device import choose_device

    device, _ = choose_device(device)
    import torch

    from .gpt_torch import build

    module = build(checkpoint.config)
    module.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    return TorchModel(module.eval().to(device)), reason


@dataclass(frozen=True)
class Opened:
    """A model folder that is ready to write."""

    checkpoint: Checkpoint
    model: Any
    reason: str  # why it runs where it runs
    tokenizer: Tokenizer

    @property
    def version(self) -> str:
        """Which weights exactly, as in nanogpt-blog@step500-1a2b3c4d5e6f."""
        return "@".join(filter(None, (self.checkpoint.name, self.checkpoint.version)))


def open_model(folder: Path, device: str | None = None) -> Opened:
    """Read a model folder, or return what was read before if its weights are still the same.

    Raises NanogptError that says what is broken, or why the device cannot be had.
    """
    try:
        stat = (folder / "model.safetensors").stat()
    except OSError:
        stat = None  # read_checkpoint knows what to say
    return _open(folder, device, stat and (stat.st_mtime_ns, stat.st_ino, stat.st_size))


@lru_cache(maxsize=4)
def _open(folder: Path, device: str | None, stamp: tuple[int, ...] | None) -> Opened:
    checkpoint, tokenizer = read_checkpoint(folder), Tokenizer.load(folder)
    if tokenizer.n_letters > checkpoint.config.vocab_size:
        raise NanogptError(f"Model {folder.name!r} is broken: its tokenizer has more tokens than the model")
    return Opened(checkpoint, *load_model(checkpoint, device), tokenizer)


class TorchModel:
    """A torch module as `generate` wants it. Call `module.eval()` first, or dropout samples with it."""

    def __init__(self, module: GPT):
        self.module = module
        self.config = module.config

    @property
    def device(self) -> str:
        return str(next(self.module.parameters()).device)

    def new_cache(self) -> list:
        return []

    def logits(self, ids: Sequence[int], cache: list, past: int = 0) -> np.ndarray:
        """(V,) logits of the token after `ids` at positions `past` and up: see `gpt_numpy.GPT.logits`."""
        import torch

        cache[:] = [(k[:, :, :past], v[:, :, :past]) for k, v in cache] if past else []
        return self.module.logits(torch.tensor([list(ids)], device=self.device), cache)[0].cpu().numpy()


def generate(
    model: Any,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    max_tokens: int = 500,
    sampler: Sampler | None = None,
    stop: Sequence[str] = (),
    logprobs: int | None = None,
    go_on: bool = False,
) -> Generation:
    """Text that continues `prompt`, as an iterator of pieces: `"".join(generate(model, tokenizer, "Once"))`.

    An empty prompt writes a document from its start. The text ends before the first of the strings `stop`.
    With `logprobs` the log probability of each token is kept, and those of so many likeliest ones beside
    it. With `go_on` the text is not allowed to end at once. Raises NanogptError for wrong arguments.
    """
    return Generation(model, tokenizer, prompt, max_tokens, sampler or Sampler(), stop, logprobs, go_on)


class Generation:
    """One continuation on its way: iterate over it once, read the figures at any time.

    prompt_tokens, dropped_tokens   of the prompt, and how many of them, at its start, did not fit
    new_tokens                      sampled so far, <|endoftext|> not among them
    finish_reason                   "stop" after <|endoftext|> or a stop string, "length" after max_tokens
    seconds                         from the first step to the last piece
    logprobs                        per token {"token", "logprob", "top": [[token, logprob], ...]}, natural
                                    logarithms, before temperature and the rest; None if not asked for
    """

    def __init__(self, model, tokenizer, prompt, max_tokens, sampler, stop, logprobs, go_on):
        rules = {
            "max_tokens must be 1 or more": max_tokens >= 1,
            "logprobs must be 0 (the token itself) or more": logprobs is None or logprobs >= 0,
            "a stop string must not be empty": all(stop),
        }
        if wrong := [rule for rule, kept in rules.items() if not kept]:
            raise NanogptError("; ".join(wrong))
        prompt = prompt.encode("utf-8", "replace").decode()  # bytes of an argument that were not UTF-8
        self.model, self.tokenizer, self.prompt, self.max_tokens = model, tokenizer, prompt, max_tokens
        self.sampler, self.stop, self.n_top, self.go_on = sampler, stop, logprobs, go_on
        self.prompt_tokens = self.dropped_tokens = self.new_tokens = 0
        self.finish_reason: str | None = None
        self.seconds = 0.0
        self.logprobs: list[dict] | None = None if logprobs is None else []
        self._pieces = self._run()

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Stop here. Nothing runs between two pieces."""
        self._pieces.close()

    def _run(self) -> Iterator[str]:
        start = time.perf_counter()
        # Bytes that never become a character are left out; what is cut off at the end is, too.
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        held = ""  # may be the beginning of a stop string
        for piece in self._tokens():
            self.seconds = time.perf_counter() - start
            held += decoder.decode(piece)
            if found := [at for s in self.stop if (at := held.find(s)) >= 0]:
                held = held[: min(found)]
                self.finish_reason = "stop"
                break
            safe = len(held) - max((overlap(held, s) for s in self.stop), default=0)
            if safe:
                yield held[:safe]
                held = held[safe:]
        if held:
            yield held

    def _tokens(self) -> Iterator[bytes]:
        """The new bytes, token by token."""
        model, block_size = self.model, self.model.config.block_size
        cache = model.new_cache()
        context, token, given = self._first(cache)
        while token != self.tokenizer.eot:
            context.append(token)
            self.new_tokens += 1
            yield self.tokenizer.token_bytes(token)[given:]
            given = 0
            if self.new_tokens == self.max_tokens:
                self.finish_reason = "length"
                return
            if len(context) > block_size:
                # Full: go on from the later half, read anew in one pass. So each new token costs one more in
                # such a pass, where it is about ten times cheaper.
                context = context[-max(1, block_size // 2) :]
                logits = model.logits(context, cache)
            else:
                logits = model.logits(context[-1:], cache, len(context) - 1)
            logits = self._allowed(logits)
            token = self.sampler.choose(self.sampler.penalised(logits, context))
            if self.n_top is not None and token != self.tokenizer.eot:
                self._keep_logprobs(logits, token, range(len(logits)))
        self.finish_reason = "stop"

    def _first(self, cache: Any) -> tuple[list[int], int, int]:
        """Read the prompt. Returns the ids so far, the next one, and how many of its bytes the prompt has.

        A prompt that ends in half a word, or in the space before one, ends in tokens that the model never
        saw there: in training that word was one token. So the last word's ids are chosen anew. Every way
        to spell its beginning and run past its end in one token is weighed by its probability, and so is
        every token after the word as it stands.
        """
        model, tokenizer, block_size = self.model, self.tokenizer, self.model.config.block_size
        self.prompt_tokens = len(tokenizer.encode(self.prompt))
        # Leave room for what is to come, but half of the context at least is the prompt's.
        room = block_size - min(self.max_tokens, block_size // 2)
        stable, word = tokenizer.split_last_word(self.prompt)
        spelled = tokenizer.encode(word)
        if len(word) > LONGEST_LAST_WORD or len(spelled) >= room:
            stable, word, spelled = self.prompt, "", []
        context = [*tokenizer.start(model.config.vocab_size), *tokenizer.encode(stable)]
        over = max(0, len(context) + len(spelled) - room)
        context = context[over:]
        self.dropped_tokens = max(0, over - 1)  # what it starts from is not the prompt's
        logits = model.logits(context, cache)

        n_vocab = len(self._allowed(logits))
        ways = []  # (ids of the word's beginning, token, bytes of it given)
        odds, penalised = [], []  # their log probabilities, and the same after the repetition penalty
        for cut in range(len(word) + 1):
            rest = word[cut:].encode()
            ids = tokenizer.encode(word[:cut])
            tokens = tokenizer.longer_than(rest) if rest else range(n_vocab)
            if not tokens or len(context) + len(ids) > block_size:
                continue
            likelihood, after = 0.0, logits
            for i, token in enumerate(ids):
                likelihood += log_softmax(after)[token]
                after = model.logits([token], cache, len(context) + i)
            after = self._allowed(after)
            ways += [(ids, token, len(rest)) for token in tokens]
            odds.append(likelihood + log_softmax(after)[tokens])
            penalised.append(likelihood + log_softmax(self.sampler.penalised(after, context + ids))[tokens])
        odds, penalised = np.concatenate(odds), np.concatenate(penalised)
        way = self.sampler.choose(penalised)
        ids, token, given = ways[way]
        if self.n_top is not None and token != tokenizer.eot:
            self._keep_logprobs(odds, way, [token for _, token, _ in ways])
        if ids:
            model.logits(ids, cache, len(context))
        return context + ids, token, given

    def _allowed(self, logits: np.ndarray) -> np.ndarray:
        """Logits of what may come next: a model's vocabulary may be padded beyond the tokenizer's."""
        logits, eot = logits[: self.tokenizer.n_vocab], self.tokenizer.eot
        if self.go_on and not self.new_tokens and eot < len(logits):
            logits[eot] = -np.inf
        return logits

    def _keep_logprobs(self, logits: np.ndarray, chosen: int, tokens: Sequence[int]) -> None:
        """Note `chosen`, an index into `logits`, whose entries stand for `tokens`."""
        odds = log_softmax(logits)
        best = np.argsort(-odds, kind="stable")[: self.n_top]
        pairs = [[self.tokenizer.decode([tokens[i]]), round(float(odds[i]), 4)] for i in (chosen, *best)]
        self.logprobs.append({"token": pairs[0][0], "logprob": pairs[0][1], "top": pairs[1:]})


def overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` are the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
