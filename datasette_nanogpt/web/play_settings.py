"""The settings of the playground: their fields, links with them, and the same for a terminal and Python."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.guidance import GUIDANCE, MAX_GUIDANCE
from llm_nanogpt.sampler import Sampler


@dataclass(frozen=True)
class Setting:
    """A number that can be set on the page."""

    label: str
    kind: type[int] | type[float]
    default: float | None  # the value if the field is empty
    minimum: float
    maximum: float
    step: float | None = None  # how far the arrows beside its box go; None: any number is valid
    hint: str = ""  # its effect, in a few words
    meanings: tuple[str, ...] = ()  # of the numbers from 0 on, where they are answers to a question

    def read(self, field: str, text: str, maximum: float) -> float:
        """The number in a field. Raises InvalidOptions if it is none, or not from `minimum` to `maximum`."""
        try:
            value = self.kind(text)
        except ValueError:
            noun = "whole number" if self.kind is int else "number"
            message = self._choice(text) if self.meanings else f"must be a {noun}, not {text!r}"
            raise self._problem(field, "number", message) from None
        if not self.minimum <= value <= maximum:
            shown = f"{value:,g}" if isinstance(value, float) else f"{value:,}"
            message = f"must be from {self.minimum:,} to {maximum:,}, not {shown}"
            raise self._problem(field, "range", self._choice(text) if self.meanings else message)
        return value

    def _choice(self, text: str) -> str:
        allowed = (f"{number} ({meaning})" for number, meaning in enumerate(self.meanings))
        return f"must be {' or '.join(allowed)}, not {text!r}"

    def _problem(self, field: str, code: str, message: str) -> InvalidOptions:
        return InvalidOptions([Problem(field, code, f"{self.label} {message}")])


PIECES = "A piece (token) is a word or a part of one. 4 are about 3 words."
SETTINGS = {  # in their order on the page, in which wrong ones are named
    "temperature": Setting("Temperature", float, Sampler.temperature, 0, 5, 0.05),
    "max_tokens": Setting("Pieces at most", int, 200, 1, 10**6, 1, PIECES),
    "samples": Setting("How many texts", int, 1, 1, 5, 1, "They are written one after the other."),
    "top_p": Setting(
        "Top p",
        float,
        Sampler.top_p,
        0.001,
        1,
        hint="Higher: rarer words as well. 1 allows all.",
    ),
    "min_p": Setting("Min p", float, Sampler.min_p, 0, 1, hint="Higher: fewer rare words. 0 allows all."),
    "guidance": Setting(
        "Guidance", float, GUIDANCE, 0, MAX_GUIDANCE, hint="Higher: closer to the title. 1 is off."
    ),
    # Up to JavaScript's greatest whole number.
    "seed": Setting("Seed", int, None, 0, 2**53 - 1, 1, "The same seed writes the same text."),
    "repetition_penalty": Setting(
        "Repetition penalty",
        float,
        Sampler.repetition_penalty,
        0.1,
        10,
        hint="Higher: fewer words again. 1 is off.",
    ),
    "dry_multiplier": Setting(
        "DRY multiplier",
        float,
        Sampler.dry_multiplier,
        0,
        100,
        hint="Higher: fewer phrases again. 0 is off.",
    ),
    "top_k": Setting("Top k", int, Sampler.top_k, 0, 10**6, 1, "More: rarer words as well. 0 allows all."),
    "real_words": Setting(
        "Words", int, int(Sampler.real_words), 0, 1, 1, meanings=("any letters", "those of the table")
    ),
}
# The fields under "More settings", in groups. Those of RARE are folded away once more.
GROUPS = {
    "Length and end": ("max_tokens", "samples"),
    "Randomness": ("top_p", "min_p", "guidance", "seed"),
}
RARE = ("repetition_penalty", "dry_multiplier", "top_k", "real_words")
TEXTS = ("title", "prompt")
COLUMN = "set."  # the name of a column's field is this and the name of the column
SAMPLER_SETTINGS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "dry_multiplier",
    "real_words",
)
OPTIONS = (*SAMPLER_SETTINGS, "max_tokens", "seed")  # the settings that are also options of llm
MAX_STOPS = 20  # how many stop texts are used
LONGEST_LINK = 2000  # how many characters of an address every browser and server accepts
LLM_TOKENS = 500  # llm's own default for max_tokens


def read_settings(form: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """The settings of a form, with its `title`, `prompt`, list of `stop` texts, and given columns in `set`.
    Raises InvalidOptions with everything that is wrong."""
    settings, problems = read_link(form, max_tokens)
    if problems:
        raise InvalidOptions(problems)
    return settings


def read_link(form: Mapping[str, Any], max_tokens: int) -> tuple[dict[str, Any], list[Problem]]:
    """The same settings, with the default for each that is wrong, and the problems."""
    problems: list[Problem] = []
    settings: dict[str, Any] = {name: str(form.get(name) or "") for name in TEXTS}
    settings["stop"] = _lines(str(form.get("stop") or ""))
    settings["set"] = {
        name.removeprefix(COLUMN): str(value)
        for name, value in form.items()
        if name.startswith(COLUMN) and value not in (None, "")
    }
    for field, setting in SETTINGS.items():
        text = form.get(field)
        maximum = max_tokens if field == "max_tokens" else setting.maximum
        settings[field] = default_of(field, max_tokens)
        try:
            if text not in (None, ""):
                settings[field] = setting.read(field, str(text), maximum)
        except InvalidOptions as ex:
            problems += ex.problems
    return settings, problems


def default_of(field: str, max_tokens: int) -> Any:
    """The value of a setting that is not given."""
    if field == "max_tokens":
        return min(SETTINGS[field].default or 0, max_tokens)
    return SETTINGS[field].default if field in SETTINGS else []


def _lines(text: str) -> list[str]:
    r"""The stop texts of a field, one a line; \n stands for a line break within one."""
    lines = text.replace("\r", "").split("\n")
    return [line.replace("\\n", "\n") for line in lines if line][:MAX_STOPS]


def as_lines(stop: list[str]) -> str:
    """The stop texts as the field shows them."""
    return "\n".join(text.replace("\n", "\\n") for text in stop)


def link(settings: Mapping[str, Any]) -> str:
    """The query of an address that writes the same, without default values; "" if it is too long."""
    values = {name: settings[name] for name in TEXTS if settings.get(name)}
    values |= {COLUMN + name: value for name, value in (settings.get("set") or {}).items()}
    values |= {"stop": as_lines(stop)} if (stop := settings.get("stop")) else {}
    for field, setting in SETTINGS.items():
        if settings.get(field) not in (None, setting.default) and field != "samples":
            values[field] = settings[field]
    query = urlencode(values)
    return query if len(query) <= LONGEST_LINK else ""


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of llm for these settings, without those that change nothing."""
    given = {key: settings[key] for key in ("title", "set") if settings.get(key)}
    if given and settings.get("guidance", GUIDANCE) != GUIDANCE:
        given["guidance"] = settings["guidance"]
    for option in OPTIONS:
        default = LLM_TOKENS if option == "max_tokens" else SETTINGS[option].default
        if settings.get(option) not in (None, default):
            given[option] = settings[option]
    if stop := settings.get("stop"):
        given["stop"] = stop[0] if len(stop) == 1 and not stop[0].startswith("[") else json.dumps(stop)
    return given


def _word(value: Any) -> str:
    """The value of an option, as llm reads it in a terminal."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def llm_line(name: str, settings: Mapping[str, Any]) -> str:
    """What to type in a terminal for the same text."""
    options = [word for key, value in _given(settings).items() for word in ("-o", key, _word(value))]
    prompt = settings["prompt"]
    if prompt.startswith("-"):  # without "--", llm would read it as an option
        return shlex.join(["llm", "prompt", "-m", name, *options, "--", prompt])
    return shlex.join(["llm", "-m", name, prompt, *options])


def python_lines(name: str, settings: Mapping[str, Any]) -> str:
    """The same in Python."""
    arguments = "".join(f", {key}={value!r}" for key, value in _given(settings).items())
    return (
        f"import llm\n\nmodel = llm.get_model({json.dumps(name)})\n"
        f"print(model.prompt({settings['prompt']!r}{arguments}).text())"
    )
