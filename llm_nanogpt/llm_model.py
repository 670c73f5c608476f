"""A model folder as a model of llm: its options, and how a prompt becomes a text."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_args

import click
import llm
from llm.parts import StreamEvent
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from .ctrl_c import command_begins
from .errors import NanogptError, in_full, print_anything
from .home import nanogpt_home
from .streaming import in_time_slices

if TYPE_CHECKING:
    from pydantic import ValidatorFunctionWrapHandler

    from .generate import Continuation
    from .loading import OpenedModel

ASYNC_SLICE = 0.02  # seconds: pieces of text that the writing thread hands over at a time

KINDS = {bool: "true or false", int: "a whole number", float: "a number"}  # of options
ECHO = {"nanogpt": {"echo": True}}  # marks the part of an answer that repeats the prompt


def _unknown_option(name: str, known: Sequence[str]) -> PydanticCustomError:
    from .suggestions import closest

    near = closest(name, known)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
    return PydanticCustomError("unknown_option", "There is no such option: {hint}", {"hint": hint})


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("option", "{message}", {"message": message})


class SamplingOptions(llm.Options):
    """The options of `-o`. All default to None, so that llm knows which ones were set."""

    title: str | None = Field(
        None,
        description="The title of the text. The prompt is then how the text after it begins. "
        "Default: no title, or the prompt's first line, if a blank line follows",
    )
    set: dict[str, str] | str | None = Field(
        None,
        description="Columns of the row that is written, column=value, one a line, or a JSON object. The "
        "prompt is then how its last column begins. Default: all are left to the model",
    )
    guidance: float | None = Field(
        None,
        description="How strongly a title, or what is set, steers the text: 1 leaves the model's "
        "probabilities, more keeps closer to it, up to some 5. "
        "Default: 2, for tables with titles",
    )
    max_tokens: int | None = Field(
        None,
        description="How many tokens to write at most; with real_words up to 80 fewer, where a sentence or a "
        "line ends. Default: 500",
    )
    temperature: float | None = Field(
        None,
        description="0 always takes the most likely token, 1 keeps the model's probabilities, "
        "more is wilder. Default: 0.8",
    )
    top_k: int | None = Field(
        None, description="Choose among this many of the most likely tokens, 0 for all. Default: 0"
    )
    top_p: float | None = Field(
        None,
        description="Choose among the most likely tokens that together have this probability, 1 for all. "
        "Default: 0.9",
    )
    min_p: float | None = Field(
        None,
        description="Leave out tokens whose probability is below this fraction of the most likely one's. "
        "Default: 0",
    )
    repetition_penalty: float | None = Field(
        None, description="Above 1 makes tokens that the text already has less likely. Default: 1"
    )
    dry_multiplier: float | None = Field(
        None,
        description="DRY, as in llama.cpp: how strongly tokens that would lengthen a repetition are held "
        "back, 0 for not at all. Default: 0.8",
    )
    dry_base: float | None = Field(
        None, description="How much stronger that is with each token that is repeated. Default: 1.75"
    )
    dry_allowed_length: int | None = Field(
        None,
        description="How many tokens may be repeated freely; a model of characters has 24, one of a table "
        "whose rows repeat themselves has more. Default: 3",
    )
    dry_penalty_last_n: int | None = Field(
        None, description="How many of the last tokens are searched for repetitions, -1 for all. Default: -1"
    )
    real_words: bool | None = Field(
        None,
        description="Write only words that the table or the prompt has, and numbers; close brackets, and end "
        "lines, strings and runs of signs, as its rows do. Default: true",
    )
    seed: int | None = Field(
        None,
        description="The same seed, prompt and options give the same text. Default: a new seed each time",
    )
    stop: str | list[str] | None = Field(
        None,
        description='End before this text, or before any of a JSON list: ["\\n", "."]. Default: no such text',
    )
    logprobs: int | None = Field(
        None,
        description="Log the probability of each token, and of this many of the most likely ones. "
        "Default: not logged",
    )
    device: str | None = Field(
        None,
        description="cpu, mps or cuda. Default: cpu; for models above 50M parameters a GPU, if there is one",
    )
    echo: bool | None = Field(None, description="Begin the answer with the prompt. Default: false")

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest(cls, data: Any) -> Any:
        """Name the nearest option for an unknown one; llm would say "Extra inputs are not permitted"."""
        unknown = data.keys() - cls.model_fields.keys() if isinstance(data, dict) else ()
        if unknown:
            errors = [
                InitErrorDetails(type=_unknown_option(name, [*cls.model_fields]), loc=(name,), input=name)
                for name in sorted(unknown)
            ]
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return data

    @field_validator("*", mode="wrap")
    @classmethod
    def _in_plain_words(
        cls, value: Any, validate: ValidatorFunctionWrapHandler, field: ValidationInfo
    ) -> Any:
        """Say what an option must be; pydantic says "unable to interpret input"."""
        annotation = cls.model_fields[field.field_name or ""].annotation
        kind = next((KINDS[type_] for type_ in get_args(annotation) if type_ in KINDS), None)
        try:
            return validate(value)
        except ValidationError:
            if kind is None:
                raise
            raise _wrong(f"must be {kind}, not {value!r}") from None

    @field_validator("stop", mode="before")
    @classmethod
    def _list_from_json(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("["):
            with suppress(json.JSONDecodeError):
                value = json.loads(value)
        if isinstance(value, str) or value is None:
            return value
        # One error for the whole option: llm cannot print one about an item of a list.
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise _wrong('give a text, or a JSON list of texts, as ["1", "2"]')
        return value

    @field_validator("set", mode="before")
    @classmethod
    def _columns(cls, value: Any) -> Any:
        if isinstance(value, str) and value.lstrip().startswith("{"):
            with suppress(json.JSONDecodeError):
                value = json.loads(value)
        if isinstance(value, str):
            lines = [line.partition("=") for line in value.splitlines() if line.strip()]
            if not all(equals for _, equals, _ in lines):
                raise _wrong("give column=value, one a line, or a JSON object")
            value = {column.strip(): text for column, _, text in lines}
        if isinstance(value, dict):
            return {str(column): "" if text is None else str(text) for column, text in value.items()}
        return value


class NanoGPT(llm.Model):
    can_stream = True
    Options = SamplingOptions  # type: ignore[assignment]  # llm declares it as a nested class

    def __init__(self, name: str) -> None:
        self.model_id = name

    def execute(
        self,
        prompt: llm.Prompt,
        stream: bool,
        response: llm.Response,
        conversation: llm.Conversation | None = None,
    ) -> Generator[str | StreamEvent]:
        _prepare_terminal()
        return write(self.model_id, prompt, response, conversation)


class AsyncNanoGPT(llm.AsyncModel):
    can_stream = True
    Options = SamplingOptions  # type: ignore[assignment]  # llm declares it as a nested class

    def __init__(self, name: str) -> None:
        self.model_id = name

    async def execute(
        self,
        prompt: llm.Prompt,
        stream: bool,
        response: llm.AsyncResponse,
        conversation: llm.AsyncConversation | None = None,
    ) -> AsyncGenerator[str | StreamEvent]:
        _prepare_terminal()
        slices = in_time_slices(write(self.model_id, prompt, response, conversation), ASYNC_SLICE)
        try:
            async for pieces in slices:
                for piece in pieces:
                    yield piece
        finally:
            await slices.aclose()  # stop the work when the caller stops listening


def _prepare_terminal() -> None:
    """Let `llm -m` print any text. Other programs that use a model keep their own streams as they are."""
    command_begins()
    if click.get_current_context(silent=True):
        print_anything()


def _check_can_be_logged(texts: Iterable[str]) -> None:
    """Raise NanogptError for bytes of a command line or of standard input that are not UTF-8. A model could
    go on after them, but llm would end with a traceback when it logs them."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as ex:
            message = (
                f"The text is not UTF-8 (at character {ex.start + 1:,}): iconv -f latin1 -t utf-8 may help"
            )
            raise NanogptError(message) from ex


class WritingError(llm.ModelError, click.ClickException):
    """An error that `llm chat`, which expects none, prints as `Error: ...` and without a traceback."""


def write(
    name: str,
    prompt: llm.Prompt,
    response: llm.Response | llm.AsyncResponse,
    conversation: llm.Conversation | llm.AsyncConversation | None = None,
) -> Generator[str | StreamEvent]:
    """The text in pieces. When it is done, or closed, `response` has the figures.

    Raises WritingError, in one line, for options that cannot be and for a broken model.
    """
    try:
        text = document(prompt)
        given = {key: value for key, value in dict(prompt.options).items() if value is not None}
        for option in ("title", "set"):
            given[option] = given.get(option) or earlier_option(conversation, option)
        if click.get_current_context(silent=True):
            _check_can_be_logged([text, given["title"] or "", *(given["set"] or {}).values()])
        has_answers = bool(conversation and conversation.responses)
        opened, run, options = start(name, text, given, has_answers=has_answers)
        if options["echo"] and run.prompt:
            yield StreamEvent("text", run.prompt, part_index=0, provider_metadata=ECHO)
        try:
            for piece in run:
                yield StreamEvent("text", piece, part_index=1)
        finally:
            report(response, opened, run, options)
    except NanogptError as ex:
        raise WritingError("; ".join(in_full(ex).splitlines())) from ex


def start(
    name: str, text: str, options: dict[str, Any], *, has_answers: bool = False
) -> tuple[OpenedModel, Continuation, dict[str, Any]]:
    """A model, and the text that it is about to write after `text`, with all options that this takes.

    `options` are the SamplingOptions that were given. `has_answers` says that `text` is a conversation which
    has answers already. Raises NanogptError for invalid options, and for a broken model.
    """
    from .conditions import write_text
    from .guidance import GUIDANCE
    from .loading import open_model
    from .sampler import Sampler

    given = dict(options)
    device, echo = given.pop("device", None), given.pop("echo", False)
    stop = [stop] if isinstance(stop := given.pop("stop", []), str) else stop
    settings = {"max_tokens": given.pop("max_tokens", 500), "stop": stop}
    settings["logprobs"] = given.pop("logprobs", None)
    settings["guidance"] = given.pop("guidance", GUIDANCE)
    title, values = given.pop("title", None) or "", given.pop("set", None) or {}
    sampler = Sampler(**given)
    opened = open_model(nanogpt_home() / name, device)
    how = {"sampler": sampler, "has_answers": has_answers, **settings}
    run = write_text(opened, text, title=title, values=values, **how)
    known = {"title": title, **({"set": values} if values else {})}
    return opened, run, {**known, **settings, **sampler.settings(), "echo": echo}


def report(
    response: llm.Response | llm.AsyncResponse,
    opened: OpenedModel,
    run: Continuation,
    options: dict[str, Any],
) -> None:
    """Record for `llm logs --json` which weights wrote a text, with which options, and how fast."""
    response.set_resolved_model(opened.version)
    response.set_usage(input=run.prompt_tokens, output=run.new_tokens)
    response.response_json = {
        "finish_reason": run.finish_reason,
        "dropped_prompt_tokens": run.dropped_tokens,
        "tokens_per_second": round(run.new_tokens / run.seconds, 1) if run.seconds else None,
        "device": opened.model.device,
        "why_this_device": opened.reason,
        "options": options,
    }
    if run.logprobs is not None:
        response.response_json["logprobs"] = run.logprobs


def earlier_option(conversation: llm.Conversation | llm.AsyncConversation | None, name: str) -> Any:
    """The last title, or columns, that were set in a conversation: what follows continues the same text."""
    responses = conversation.responses if conversation else []
    values = (getattr(response.prompt.options, name, None) for response in reversed(responses))
    return next(filter(None, values), None)


def document(prompt: llm.Prompt) -> str:
    """The whole conversation as one text.

    What a person adds to a conversation starts on a line of its own, unless one side brings a space.
    """
    if prompt.system or any(message.role == "system" for message in prompt.messages):
        raise NanogptError(
            "This model cannot use a system prompt: it continues text and was never taught to follow "
            "instructions. Put what it should continue into the prompt"
        )
    text = ""
    for message in prompt.messages:
        for part in message.parts:
            # An answer that echoed its prompt has it as a part of its own.
            echo = (getattr(part, "provider_metadata", None) or {}).items() >= ECHO.items()
            added = "" if echo else getattr(part, "text", "")
            if message.role == "user" and text and added and not (text[-1].isspace() or added[0].isspace()):
                text += "\n"
            text += added
    return text
