"""From a model and a prompt to text, piece by piece: nanoGPT's sample.py, with `sampler.py`.

sample.py's loop is `Continuation._tokens`, its temperature and top_k are in `Sampler`, and its loading of
a checkpoint is in `loading.py`.
"""

from __future__ import annotations

import codecs
import math
import time
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .capitals import as_read
from .errors import InvalidOptions, NanogptError, Problem
from .guidance import GUIDANCE, MAX_GUIDANCE, GuidedModel
from .habits.opened_prompts import ends_in_item_mark
from .language_model import LanguageModel
from .like_rows import LikeRows
from .repetition import Repetition, default_allowed_length
from .sampler import Sampler, log_softmax
from .speller import LastWord, last_word_is
from .text_end import HELD, SOMETHING, TAIL, WORD, TextEnd, keep_end, whole_end
from .titles import BLANK_LINE, Titles, with_title
from .tokenizer import Tokenizer

# Characters. The ids of the prompt's last word are chosen again only if it is no longer than this, because
# each character may cost a short pass.
LONGEST_LAST_WORD = 40
DAMAGED = (
    "The model's weights are damaged, or its training went wrong: its results are not numbers. Train it "
    "again, or bring back the one before with `llm nanogpt restore`"
)


@dataclass(frozen=True)
class GenerationSettings:
    """How long a continuation may be and what comes with it. How tokens are chosen is a `Sampler`'s part.

    max_tokens   how many tokens to write at most
    ends_whole   whether a text that would have them all ends a little earlier, with a sentence or a line
    stop         strings: the text ends before the first of them to appear
    logprobs     keep the log probability of each token, and of this many most likely ones; None: keep none
    title        of the document that the prompt is in, before its first line; "" where the prompt has it, if
                 any: a first line before a blank line is a title, where the table has titles
    guidance     how strongly a title steers what comes after it; 1 leaves the model's probabilities
    condition    the beginning of the prompt that steers, where that is not a title

    Raises InvalidOptions with everything that is wrong.
    """

    max_tokens: int = 500
    ends_whole: bool = True
    stop: Sequence[str] = ()
    logprobs: int | None = None
    title: str = ""
    guidance: float = GUIDANCE
    condition: str = ""

    def __post_init__(self) -> None:
        problems = []
        if self.max_tokens < 1:
            problems.append(Problem("max_tokens", "minimum", "max_tokens must be 1 or more"))
        if self.logprobs is not None and self.logprobs < 0:
            message = "logprobs must be 0 (only the token itself) or more"
            problems.append(Problem("logprobs", "minimum", message))
        if not 0 <= self.guidance <= MAX_GUIDANCE:
            message = f"guidance must be from 0 to {MAX_GUIDANCE:g}"
            problems.append(Problem("guidance", "range", message))
        if not all(self.stop):
            problems.append(Problem("stop", "empty", "a stop string must not be empty"))
        if problems:
            raise InvalidOptions(problems)


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    sampler: Sampler | None = None,
    **settings: Any,  # the fields of GenerationSettings
) -> Continuation:
    """Text that continues `prompt`, as an iterator of pieces: `"".join(generate(model, tokenizer, "Once"))`.

    An empty prompt writes a document from its start. Raises InvalidOptions for settings that cannot be.
    """
    return Continuation(model, tokenizer, prompt, sampler or Sampler(), GenerationSettings(**settings))


class Continuation:
    """A text in the making: iterate over it once, read the figures at any time.

    prompt_tokens    of the prompt
    dropped_tokens   how many of them, at the prompt's start, did not fit into the context
    new_tokens       sampled so far, without <|endoftext|>
    finish_reason    "stop" after <|endoftext|> or a stop string, "length" after max_tokens, None before
    stop_text        the stop string that ended it, None if none did
    seconds          from the first step to the last piece
    logprobs         per token {"token", "logprob", "top": [[token, logprob], ...]}: natural logarithms,
                     before temperature and the other settings; None if not asked for
    ends             after each token, how many characters had been written; a stop string takes some away
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        prompt: str,
        sampler: Sampler,
        settings: GenerationSettings,
    ) -> None:
        # An argument of a command line that was not UTF-8 has surrogates, which no tokenizer takes.
        self.prompt = with_title(settings.title, prompt).encode("utf-8", "replace").decode()
        self.model, self.tokenizer, self.sampler, self.settings = model, tokenizer, sampler, settings
        self.prompt_tokens = self.dropped_tokens = self.new_tokens = 0
        self.finish_reason: str | None = None
        self.stop_text: str | None = None
        self.seconds = 0.0
        self.logprobs: list[dict[str, Any]] | None = None if settings.logprobs is None else []
        self.ends: list[int] = []
        self._titles = Titles(tokenizer, model.config)
        # Whether what stands before a blank line may be a title.
        above = settings.condition.endswith(BLANK_LINE.decode())
        self._titled = model.config.titles or bool(settings.title) or above
        self._head: list[int] = []  # what the context always begins with: the title, where there is one
        self._like_rows = LikeRows(tokenizer, self.prompt, sampler.real_words)
        self._end: TextEnd | None = None
        if sampler.real_words and sampler.temperature:
            self._end = TextEnd(tokenizer.eot, 1 - sampler.top_p, self.prompt)
        # The last tokens that the text may have are handed out when it is known where it is to end.
        whole = settings.ends_whole and sampler.real_words and tokenizer.words
        self._held_tokens = min(HELD, settings.max_tokens // 2) if whole else 0
        self._is_blank = True  # the text has nothing but spaces and marks yet, and must not end
        self._pieces = self._run()

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Stop here. Nothing runs between two pieces."""
        self._pieces.close()

    def _run(self) -> Generator[str]:
        start = time.perf_counter()
        stop, given = self.settings.stop, ""  # the end of what was handed out
        held = ""  # text not yet handed out: it may be the beginning of a stop string, or be left out
        for text in self._tokens():
            self.seconds = time.perf_counter() - start
            held += text
            self.ends.append((self.ends[-1] if self.ends else 0) + len(text))
            if ends := [(at, s) for s in stop if (at := held.find(s)) >= 0]:
                at, self.stop_text = min(ends)
                held = held[:at]
                self.finish_reason = "stop"
                break
            safe = len(held) - max((overlap(held, s) for s in stop), default=0)
            if safe and self.new_tokens <= self.settings.max_tokens - self._held_tokens:
                given = (given + held[:safe])[-TAIL:]
                yield held[:safe]
                held = held[safe:]
        if self.finish_reason == "length" and self._held_tokens:
            held = self._cut(given, held)
        if held:
            yield held

    def _cut(self, given: str, held: str) -> str:
        """`held` up to where the text is to end, which has all its tokens. The figures are then of these."""
        end, in_words = self.ends[-1], min(WORD, self.settings.max_tokens // 20)
        since = self.ends[-1 - in_words] if in_words < len(self.ends) else 0
        keep = whole_end(given, held, end - since, self.tokenizer.habits.paragraphs)
        end -= len(held) - keep
        self.new_tokens = bisect_left(self.ends, end) + 1
        self.ends = [min(at, end) for at in self.ends[: self.new_tokens]]
        if self.logprobs is not None:
            self.logprobs = self.logprobs[: self.new_tokens]
        return held[:keep]

    def _tokens(self) -> Iterator[str]:
        """The new text, token by token: "" for one that ends within a character."""
        # Bytes that never become a character are left out, and so is a character cut off at the end.
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        last = last_word_is(self.prompt, self.tokenizer.words)
        context, word = self._start(*self._split_last_word(last))
        steering = self._steering(context)
        if steering and self.settings.guidance != 1:
            self.model = GuidedModel(self.model, steering, self.settings.guidance)
        model, block_size = self.model, self.model.config.block_size
        cache = model.new_cache()
        context, token, given = self._first(cache, context, word, last)
        repetition = self._repetition(context)
        while token != self.tokenizer.eot:
            piece = self.tokenizer.token_bytes(token)[given:]
            context.append(token)
            repetition.add(token)
            text = decoder.decode(piece)
            self._is_blank = self._is_blank and SOMETHING.search(text) is None
            self._like_rows.add(piece, text)
            if self._end:
                self._end.add(text)
            self.new_tokens += 1
            yield text
            given = 0
            if self.new_tokens == self.settings.max_tokens:
                self.finish_reason = "length"
                return
            if len(context) > block_size:
                # The context is full: go on from its later half, which is read again in one pass. That makes
                # one more token to read for each one written; reading is about ten times cheaper than
                # writing. The title stays.
                self._head = self._head or self._find_head(context) or steering[: self._titles.longest]
                if isinstance(self.model, GuidedModel):
                    self.model.left_out = max(0, len(self._head) - 1)
                context = [*self._head, *context[-max(1, block_size // 2) :]]
                logits = self._read(context, cache)
            else:
                logits = self._read(context[-1:], cache, len(context) - 1)
            logits = self._allowed(logits)
            weighed = self._penalised(logits, context, repetition)
            if self._end and self.sampler.happens(self._end.probability(weighed)):
                break
            token = self.sampler.choose(weighed, self._like_rows.accepts, self._like_rows.possible)
            if token != self.tokenizer.eot:
                self._keep_logprobs(logits, token, range(len(logits)))
        self.finish_reason = "stop"

    def _first(self, cache: Any, context: list[int], word: str, last: LastWord) -> tuple[list[int], int, int]:
        """Read the prompt. Returns the ids so far, the next one, and how many of its bytes the prompt has.
        `context` and `word` are as `_start` has them, `last` is what the prompt's last word is.

        A prompt that ends in a word of the table goes on after it. One that ends in half a word, or in the
        space before one, ends in tokens that the model never saw there: in training that word was one token.
        So the last word's ids are chosen again. Every way to spell its beginning and run past its end in one
        token is weighed by its probability, and so is every token after the word as it stands; but after half
        a word only those that make it longer. After "in the gard" these are: tokens that begin with " gard",
        such as " garden", in the word's place; tokens that begin with "ard" after the ids of " g", and so for
        each cut; and tokens such as "en" after the ids of " gard".
        """
        tokenizer = self.tokenizer
        logits = self._read(context, cache)
        n_vocab = len(self._allowed(logits))
        ways: list[tuple[list[int], int, int]] = []  # ids of the word's beginning, token, bytes of it given
        logprobs, penalised = [], []  # of each way: its log probability, and after the penalties
        for cut in range(len(word) + 1):
            rest = word[cut:].encode()
            ids = tokenizer.encode(word[:cut])
            tokens = tokenizer.longer_than(rest) if rest else range(n_vocab)
            if not tokens or len(context) + len(ids) > self.model.config.block_size:
                continue
            before, after = 0.0, logits  # log probability of `ids`, logits after them
            for i, token in enumerate(ids):
                before += log_softmax(after)[token]
                after = self._read([token], cache, len(context) + i)
            after = self._allowed(after)
            if last is LastWord.WHOLE:
                after = np.where(tokenizer.extends_word[:n_vocab], -np.inf, after)
            ways += [(ids, token, len(rest)) for token in tokens]
            logprobs.append(before + log_softmax(after)[tokens])
            read = context + ids
            after = self._penalised(after, read, self._repetition(read), whole_prompt=not rest)
            weighed = before + log_softmax(after)[tokens]
            if last is LastWord.HALF and not rest:
                weighed[~tokenizer.extends_word[:n_vocab]] = -np.inf
            penalised.append(weighed)

        def accepts(way: int) -> bool:
            _, token, given = ways[way]
            return self._like_rows.accepts(token, given)

        chosen = self.sampler.choose(np.concatenate(penalised), accepts)
        ids, token, given = ways[chosen]
        if token != tokenizer.eot:
            self._keep_logprobs(np.concatenate(logprobs), chosen, [token for _, token, _ in ways])
        if ids:
            self._read(ids, cache, len(context))
        return context + ids, token, given

    def _penalised(
        self, logits: np.ndarray, ids: Sequence[int], repetition: Repetition, whole_prompt: bool = True
    ) -> np.ndarray:
        """`logits` (V,) of the token after `ids`, without what repeats these, or is unlike the table's rows
        where the text stands at the end of the prompt or beyond. A text does not end before there is
        something of it."""
        penalised, eot = logits.copy(), self.tokenizer.eot
        self.sampler.penalise(penalised, ids)
        repetition.penalise(penalised)
        if whole_prompt:
            self._like_rows.penalise(penalised)
        keep_end(logits, penalised, eot)
        if self._is_blank and eot < len(penalised):
            penalised[eot] = -np.inf
        return penalised

    def _read(self, ids: Sequence[int], cache: Any, past: int = 0) -> np.ndarray:
        """(V,) logits of the token after `ids`, which stand at positions `past` and up."""
        logits = self.model.logits(ids, cache, past)
        if not math.isfinite(logits.max()):
            raise NanogptError(DAMAGED)
        return logits

    def _start(self, stable: str, word: str) -> tuple[list[int], str]:
        """The ids to start from, cut to fit into the context, and the last word, whose ids are to be chosen.

        `stable` and `word` are the prompt; a word that is too long is left as it stands.
        """
        tokenizer, block_size = self.tokenizer, self.model.config.block_size
        self.prompt_tokens = len(tokenizer.encode(self.prompt))
        # Leave a place for each token to come, but at least half of the context is the prompt's.
        places = block_size - min(self.settings.max_tokens, block_size // 2)
        spelled = tokenizer.encode(word)
        if len(word) > LONGEST_LAST_WORD or len(spelled) >= places:
            stable, word, spelled = self.prompt, "", []
        if self.sampler.real_words:
            stable = as_read(self.prompt, tokenizer, self.model)[: len(stable)]
        context = [*tokenizer.start(self.model.config.vocab_size), *tokenizer.encode(stable)]
        over = max(0, len(context) + len(spelled) - places)
        self._head = self._find_head(context)
        # The first is <|endoftext|>, not the prompt's.
        self.dropped_tokens = over if self._head else max(0, over - 1)
        return [*self._head, *context[len(self._head) + over :]], word

    def _steering(self, context: Sequence[int]) -> list[int]:
        """The ids at the beginning of `context`, which has the prompt's, that steer: those of the condition,
        or of the title."""
        left = len(self.settings.condition.encode("utf-8", "replace"))
        if not left or self.dropped_tokens:
            return self._head
        for n, token in enumerate(context):
            left -= len(self.tokenizer.token_bytes(token)) if token != self.tokenizer.eot else 0
            if left <= 0:
                return list(context[: n + 1])
        return list(context)

    def _find_head(self, context: Sequence[int]) -> list[int]:
        return self._titles.head(context).tolist() if self._titled else []

    def _split_last_word(self, last: LastWord) -> tuple[str, str]:
        """The prompt without its last word, and that word; "" if it is a whole one. A blank line after the
        title is nothing that the text could extend."""
        title, blank, rest = self.prompt.partition(BLANK_LINE.decode())
        after_title = self._titled and title.strip() and blank and not rest
        if last is LastWord.WHOLE or after_title or ends_in_item_mark(self.prompt):
            return self.prompt, ""
        return self.tokenizer.split_last_word(self.prompt)

    def _repetition(self, ids: Sequence[int]) -> Repetition:
        tokenizer, numbers = self.tokenizer, self.tokenizer.numbers
        if tokenizer.habits.repeat:  # the rows have sentences again with other numbers
            numbers = numbers[:0]
        default = tokenizer.habits.repeat or default_allowed_length(tokenizer.is_char)
        length = self.sampler.dry_allowed_length or default
        begin_words = None if tokenizer.habits.doubles_words else tokenizer.begin_words
        return Repetition(self.sampler, length, numbers, ids, tokenizer.with_letters, begin_words)

    def _allowed(self, logits: np.ndarray) -> np.ndarray:
        """Logits of what may come next: a model's vocabulary may be padded beyond the tokenizer's."""
        return logits[: self.tokenizer.n_vocab]

    def _keep_logprobs(self, logits: np.ndarray, chosen: int, tokens: Sequence[int]) -> None:
        """Note `chosen`, an index into `logits`, whose entries stand for `tokens`, if that was asked for."""
        if self.logprobs is None:
            return
        logprobs = log_softmax(logits)
        best = np.argsort(-logprobs, kind="stable")[: self.settings.logprobs]
        pairs = [[self.tokenizer.decode([tokens[i]]), round(float(logprobs[i]), 4)] for i in (chosen, *best)]
        self.logprobs.append({"token": pairs[0][0], "logprob": pairs[0][1], "top": pairs[1:]})


def overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` are the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
