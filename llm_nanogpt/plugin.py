"""llm hooks: every model folder is a model. What writes the text is in `llm_nanogpt.generate`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from typing import Any

import llm
from pydantic import Field

from .checkpoint import model_names, nanogpt_home
from .errors import NanogptError

# Pieces of text are fetched from the writing thread as many at a time as come in this many seconds.
ASYNC_SLICE = 0.02


@llm.hookimpl
def register_models(register):
    for name in model_names(nanogpt_home()):
        register(NanoGPT(name), AsyncNanoGPT(name))


class Options(llm.Options):
    """What `-o` takes. All default to None, so that llm knows which of them a person has set."""

    max_tokens: int | None = Field(None, description="How many tokens to write at most. Default: 500")
    temperature: float | None = Field(
        None,
        description="0 takes the likeliest token, 1 keeps to the model's odds, more is wilder. Default: 0.8",
    )
    top_k: int | None = Field(
        None, description="Choose among this many of the likeliest tokens, 0 for all. Default: 200"
    )
    top_p: float | None = Field(
        None,
        description="Choose among the likeliest tokens that share this much probability. Default: 1 (all)",
    )
    seed: int | None = Field(
        None,
        description="Same seed, prompt and options: same text. Default: a new one every time",
    )


class _Shared:
    """What the sync and the async model have in common."""

    can_stream = True
    Options = Options

    def __init__(self, name: str):
        self.model_id = name

    def write(self, prompt: llm.Prompt, response: Any) -> Generator[str]:
        """The text in pieces. Once done, or closed, `response` has the figures."""
        from .generate import generate, open_model
        from .sampler import Sampler

        try:
            text, go_on = document(prompt)
            options = {k: v for k, v in dict(prompt.options).items() if v is not None}
            max_tokens = options.pop("max_tokens", 500)
            sampler = Sampler(**options)
            opened = open_model(nanogpt_home() / self.model_id)
            run = generate(
                opened.model, opened.tokenizer, text, max_tokens=max_tokens, sampler=sampler, go_on=go_on
            )
            try:
                yield from run
            finally:
                response.set_resolved_model(opened.version)
                response.set_usage(input=run.prompt_tokens, output=run.new_tokens)
                response.response_json = {
                    "finish_reason": run.finish_reason,
                    "dropped_prompt_tokens": run.dropped_tokens,
                    "tokens_per_second": round(run.new_tokens / run.seconds, 1) if run.seconds else None,
                    "device": opened.model.device,
                    "why_this_device": opened.reason,
                    "options": {"max_tokens": max_tokens, **sampler.settings()},
                }
        except NanogptError as ex:
            raise llm.ModelError(str(ex)) from ex


class NanoGPT(_Shared, llm.Model):
    def execute(self, prompt, stream, response, conversation=None) -> Iterator[str]:
        return self.write(prompt, response)


class AsyncNanoGPT(_Shared, llm.AsyncModel):
    async def execute(self, prompt, stream, response, conversation=None) -> AsyncIterator[str]:
        pieces = self.write(prompt, response)

        def fetch() -> list[str]:
            """What comes within one slice of time, the first piece however long it takes; [] at the end."""
            found, end = [], None
            for piece in pieces:
                found.append(piece)
                end = end or time.monotonic() + ASYNC_SLICE
                if time.monotonic() >= end:
                    break
            return found

        try:
            while fetched := await asyncio.to_thread(fetch):
                for piece in fetched:
                    yield piece
        finally:
            # Whoever stops listening stops the work. If the thread is at it just now, its slice is the last.
            with suppress(ValueError):
                pieces.close()


def document(prompt: llm.Prompt) -> tuple[str, bool]:
    """The whole conversation as one text, and whether it is to go on without anything new from the user.

    What a person adds to a conversation starts on a line of its own, unless one side brings a space.
    """
    if prompt.system or any(message.role == "system" for message in prompt.messages):
        raise NanogptError(
            "A system prompt means nothing to this model: it continues text and was never taught to follow "
            "instructions. Put what it should continue into the prompt"
        )
    text, role = "", None
    for message in prompt.messages:
        role = message.role
        for part in message.parts:
            added = getattr(part, "text", "")
            if role == "user" and text and added and not (text[-1].isspace() or added[0].isspace()):
                text += "\n"
            text += added
    return text, role != "user"
