"""llm hooks: every model folder is a model, and `llm nanogpt`. `llm_nanogpt.generate` writes the text."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from typing import Any

import llm
from pydantic import Field, field_validator

from .errors import NanogptError
from .home import model_names, nanogpt_home

# Pieces of text are fetched from the writing thread as many at a time as come in this many seconds.
ASYNC_SLICE = 0.02

ECHO = {"nanogpt": {"echo": True}}  # marks the part of an answer that is the prompt, said again


@llm.hookimpl
def register_models(register):
    for name in model_names(nanogpt_home()):
        register(NanoGPT(name), AsyncNanoGPT(name))


@llm.hookimpl
def register_commands(cli):
    from .commands import nanogpt

    cli.add_command(nanogpt)


class Options(llm.Options):
    """What `-o` takes. All default to None, so that llm knows which of them a person has set."""

    max_tokens: int | None = Field(None, description="How many tokens to write at most. Default: 500")
    temperature: float | None = Field(
        None,
        description="0 takes the likeliest token, 1 keeps to the model's odds, more is wilder. Default: 0.8",
    )
    top_k: int | None = Field(
        None, description="Choose among this many of the likeliest tokens, 0 for all. Default: 0"
    )
    top_p: float | None = Field(
        None,
        description="Choose among the likeliest tokens that hold this share of odds, 1 for all. Default: 0.9",
    )
    min_p: float | None = Field(
        None,
        description="Choose among tokens at least this times as likely as the likeliest. Default: 0",
    )
    repetition_penalty: float | None = Field(
        None, description="Above 1 makes words that the text already has less likely. Default: 1"
    )
    seed: int | None = Field(
        None, description="Same seed, prompt and options: same text. Default: a new one every time"
    )
    stop: str | list[str] | None = Field(
        None,
        description='End before this text, or before any of a JSON list: ["\\n", "."]. Default: no such text',
    )
    logprobs: int | None = Field(
        None,
        description="Log the probability of each token, and of so many likeliest ones. Default: not logged",
    )
    device: str | None = Field(
        None, description="cpu, mps or cuda. Default: cpu; for models above 50M parameters a GPU, if any"
    )
    echo: bool | None = Field(None, description="Begin the answer with the prompt. Default: false")

    @field_validator("stop", mode="before")
    @classmethod
    def _list_from_json(cls, value):
        if isinstance(value, str) and value.startswith("["):
            with suppress(ValueError):
                return json.loads(value)
        return value


class _Shared:
    """What the sync and the async model have in common."""

    can_stream = True
    Options = Options

    def __init__(self, name: str):
        self.model_id = name

    def write(self, prompt: llm.Prompt, response: Any) -> Generator[Any]:
        """The text in pieces. Once done, or closed, `response` has the figures."""
        from .generate import generate, open_model
        from .sampler import Sampler

        try:
            text, go_on = document(prompt)
            given = {name: value for name, value in dict(prompt.options).items() if value is not None}
            device, echo = given.pop("device", None), given.pop("echo", False)
            stop = [stop] if isinstance(stop := given.pop("stop", []), str) else stop
            how = {"max_tokens": given.pop("max_tokens", 500), "stop": stop}
            how["logprobs"] = given.pop("logprobs", None)
            sampler = Sampler(**given)
            opened = open_model(nanogpt_home() / self.model_id, device)
            run = generate(opened.model, opened.tokenizer, text, sampler=sampler, go_on=go_on, **how)
            if echo and text:
                yield llm.parts.StreamEvent("text", text, part_index=0, provider_metadata=ECHO)
            try:
                for piece in run:
                    yield llm.parts.StreamEvent("text", piece, part_index=1)
            finally:
                response.set_resolved_model(opened.version)
                response.set_usage(input=run.prompt_tokens, output=run.new_tokens)
                response.response_json = {
                    "finish_reason": run.finish_reason,
                    "dropped_prompt_tokens": run.dropped_tokens,
                    "tokens_per_second": round(run.new_tokens / run.seconds, 1) if run.seconds else None,
                    "device": opened.model.device,
                    "why_this_device": opened.reason,
                    "options": {**how, **sampler.settings(), "echo": echo},
                }
                if run.logprobs is not None:
                    response.response_json["logprobs"] = run.logprobs
        except NanogptError as ex:
            raise llm.ModelError(str(ex)) from ex


def check_free(name: str) -> None:
    """Raise NanogptError where llm knows `name` as another plugin's model, which ours would hide, or as an
    alias of one of ours, which would hide it."""
    for known in llm.get_models_with_aliases():
        ours, model_id = isinstance(known.model, NanoGPT), known.model.model_id
        if ours and name in known.aliases:
            raise NanogptError(
                f"{name!r} is an alias of {model_id}: choose another name, "
                f"or type `llm aliases remove {name}`"
            )
        if not ours and name in (model_id, *known.aliases):
            raise NanogptError(f"llm has a model {name!r} already: choose another name")


class NanoGPT(_Shared, llm.Model):
    def execute(self, prompt, stream, response, conversation=None) -> Iterator[Any]:
        return self.write(prompt, response)


class AsyncNanoGPT(_Shared, llm.AsyncModel):
    async def execute(self, prompt, stream, response, conversation=None) -> AsyncIterator[Any]:
        pieces = self.write(prompt, response)

        def fetch() -> list[Any]:
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
            # An answer that echoed its prompt has it as a part of its own.
            echo = (getattr(part, "provider_metadata", None) or {}).items() >= ECHO.items()
            added = "" if echo else getattr(part, "text", "")
            if role == "user" and text and added and not (text[-1].isspace() or added[0].isspace()):
                text += "\n"
            text += added
    return text, role != "user"
