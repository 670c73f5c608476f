"""llm's own command line and Python API, with real model folders."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import llm
import pytest
from click.testing import CliRunner
from conftest import HANG_SECONDS, TEXTS
from llm.cli import cli
from test_checkpoint import DAMAGE

from llm_nanogpt.home import nanogpt_home
from llm_nanogpt.tokenizer_training import train_char

LLM = [sys.executable, "-m", "llm"]


def run(*arguments, input="", **kwargs):
    return subprocess.run(
        [*map(str, arguments)],
        input=input,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        encoding="utf-8",
        **kwargs,
    )


def in_this_process(*arguments, input=""):
    """As a new process does it, which imports llm anew in a second; only what no code foresaw is raised."""
    done = CliRunner().invoke(cli, [*map(str, arguments)], input=input)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def ask(prompt="", name="nanogpt-tiny", **options):
    return llm.get_model(name).prompt(prompt, **{"max_tokens": 20, "seed": 1} | options)


def test_the_command_line(make_model, bpe):
    make_model()
    command = [*LLM, "-m", "nanogpt-tiny", "Row 12", "-o", "max_tokens", 30, "-o", "seed", 0]
    first, again = run(*command), in_this_process(*command[len(LLM) :], "--async")
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert len(first.stdout) > 10
    assert not first.stdout.startswith("Row 12")
    assert again.stdout == first.stdout
    more = in_this_process("-c", "", "-o", "max_tokens", 5)
    assert more.exit_code == 0, more.stderr
    logged = json.loads(in_this_process("logs", "--json").stdout)
    assert [row["model"] for row in logged] == ["nanogpt-tiny"] * 3
    assert logged[0]["response"] == first.stdout[:-1]
    assert logged[0]["resolved_model"].startswith("nanogpt-tiny@step0-")
    assert logged[0]["output_tokens"] == 30
    assert logged[0]["response_json"]["finish_reason"] == "length"
    assert logged[0]["response_json"]["options"]["seed"] == 0
    so_far = "Row 12" + logged[1]["response"]
    assert logged[2]["input_tokens"] == len(bpe.encode(so_far))


def test_a_model_that_is_gone_is_one_line(make_model):
    (make_model() / "config.json").unlink()
    broken = in_this_process("-m", "nanogpt-tiny", "hi")
    assert broken.exit_code == 1
    assert broken.stderr.startswith("Error: Model 'nanogpt-tiny' is broken: config.json is missing")
    assert broken.stderr.count("\n") == 1
    assert broken.stderr.endswith("or type `llm nanogpt remove nanogpt-tiny`\n")
    assert broken.stdout == ""


@pytest.mark.skipif(sys.platform != "linux", reason="file names and arguments are other bytes elsewhere")
@pytest.mark.parametrize(
    "words", [[b"Zo\xeb"], ["Zoe", "-o", "title", b"Zo\xeb"], ["Zoe", "-o", "set", b"title=Zo\xeb"]]
)
def test_what_llm_could_not_log_is_refused_before_any_text(make_model, words):
    make_model()
    refused = in_this_process("-m", "nanogpt-tiny", *map(os.fsdecode, words))  # as Python decodes arguments
    assert refused.exit_code == 1 and refused.stdout == ""
    assert refused.stderr.startswith("Error: The text is not UTF-8") and refused.stderr.count("\n") == 1


def test_sync_and_async_write_the_same(make_model):
    make_model()

    async def write():
        response = llm.get_async_model("nanogpt-tiny").prompt("Row 12", max_tokens=50, seed=1)
        text = await response.text()
        return text, response.response_json, await response.usage()

    text, told, usage = asyncio.run(write())
    response = ask("Row 12", max_tokens=50)
    assert response.text() == text != ""
    del told["tokens_per_second"]
    assert response.response_json.items() >= told.items()
    assert usage.input == response.usage().input == 3
    assert 0 < usage.output == response.usage().output <= 50


def test_text_streams_in_pieces(make_model):
    make_model()
    assert len(list(ask("Row 12"))) > 5


def test_options_reach_the_sampler_and_the_log(make_model):
    make_model()
    response = ask("Row", temperature=0, top_k=3, top_p=0.5, seed=0, max_tokens=4)
    response.text()
    wanted = {"temperature": 0, "top_k": 3, "top_p": 0.5, "seed": 0, "max_tokens": 4}
    assert response.response_json["options"].items() >= wanted.items()
    drawn = ask("Row", seed=None)
    text = drawn.text()
    assert ask("Row", seed=drawn.response_json["options"]["seed"]).text() == text


def test_a_set_default_is_kept(make_model):
    make_model()
    in_this_process("models", "options", "set", "nanogpt-tiny", "max_tokens", "3")
    answer = in_this_process("-m", "nanogpt-tiny", "Row", "-u")
    assert "3 output" in answer.stderr


def test_each_option_tells_its_default():
    from llm_nanogpt.llm_model import SamplingOptions
    from llm_nanogpt.repetition import ALLOWED_TOKENS
    from llm_nanogpt.sampler import Sampler

    chosen_later = {"dry_allowed_length": ALLOWED_TOKENS}
    for name, field in SamplingOptions.model_fields.items():
        assert field.default is None, name
        told = field.description.rsplit("Default: ", 1)[1]
        if hasattr(Sampler, name) and name != "seed":
            wanted = chosen_later.get(name, getattr(Sampler, name))
            assert getattr(SamplingOptions(**{name: told}), name) == wanted, name


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"top_p": 3}, "top_p must be above 0"),
        ({"max_tokens": 0}, "max_tokens must be 1 or more"),
        ({"top_k": -1, "min_p": 2}, "^top_k must be 0 .all tokens. or more; min_p must be"),  # in one line
    ],
)
def test_wrong_options_are_model_errors(make_model, kwargs, reason):
    make_model()
    with pytest.raises(llm.ModelError, match=reason):
        ask("Row", **kwargs).text()


def test_a_system_prompt_is_refused(make_model):
    make_model()
    with pytest.raises(llm.ModelError, match="never taught to follow instructions"):
        llm.get_model("nanogpt-tiny").prompt("Row", system="Be brief").text()
    with pytest.raises(llm.ModelError, match="never taught to follow instructions"):
        llm.get_model("nanogpt-tiny").prompt(messages=[llm.system("Be brief"), llm.user("Row")]).text()


def test_what_it_cannot_do_is_refused_by_llm(make_model):
    make_model()
    model = llm.get_model("nanogpt-tiny")
    for kwargs in (
        {"schema": {"type": "object"}},
        {"tools": [len]},
        {"attachments": [llm.Attachment(url="x")]},
    ):
        with pytest.raises(ValueError, match="does not support"):
            model.prompt("Row", **kwargs)


def test_a_conversation_is_one_document(make_model):
    make_model()
    conversation = llm.get_model("nanogpt-tiny").conversation()
    first = conversation.prompt("Row 12", max_tokens=6, seed=1)
    written = "Row 12" + first.text()
    second = conversation.prompt("", max_tokens=6, seed=1)
    assert second.text() == ask(written, max_tokens=6).text()
    third = conversation.prompt("Row 13", max_tokens=6, seed=1)
    assert third.text() == ask(f"{written}{second.text()}\nRow 13", max_tokens=6).text()


def test_retraining_is_noticed(make_model, home):
    make_model(seed=1)
    before = ask("Row").text()
    assert ask("Row").text() == before
    make_model("other", seed=2)
    os.replace(home / "other" / "model.safetensors", home / "nanogpt-tiny" / "model.safetensors")
    assert ask("Row").text() != before


def test_async_leaves_the_loop_free_and_stops_when_closed(make_model):
    make_model(block_size=512, n_layer=8, n_embd=128)

    async def write():
        ticks = []

        async def tick():
            while True:
                ticks.append(time.monotonic())
                await asyncio.sleep(0.005)

        ticker = asyncio.create_task(tick())
        response = llm.get_async_model("nanogpt-tiny").prompt("Row", max_tokens=100_000, seed=1)
        stream = response.astream_events()
        async for _ in stream:
            if len(ticks) > 40:
                break
        await stream.aclose()
        ticker.cancel()
        return ticks, response.output_tokens

    ticks, written = asyncio.run(write())
    # All of it would take a minute and more.
    assert max(b - a for a, b in zip(ticks, ticks[1:], strict=False)) < 10
    assert 0 < written < 50_000


def test_many_at_once(make_model):
    make_model()
    alone = [ask("Row", seed=seed).text() for seed in range(4)]

    async def write():
        model = llm.get_async_model("nanogpt-tiny")
        responses = [model.prompt("Row", max_tokens=20, seed=seed) for seed in range(4)]
        return await asyncio.gather(*(response.text() for response in responses))

    assert asyncio.run(write()) == alone


# numpy is not among these: sqlite-utils, and so llm, imports it where it is installed. One after the other in
# one process, those that may import least first.
PROBE = """
import sys
import llm.cli
for words in (["--help"], ["models"], ["-m", "nanogpt-tiny", "hi", "-o", "max_tokens", "3"]):
    llm.cli.cli(words, standalone_mode=False)
    print([m for m in ("torch", "tiktoken", "tokenizers") if m in sys.modules], file=sys.stderr)
"""


def test_nothing_heavy_is_imported(make_model):
    make_model()
    done = run(sys.executable, "-c", PROBE)
    assert done.stderr.splitlines() == ["[]", "[]", "['tiktoken']"] and "nanogpt-tiny" in done.stdout


def test_importing_the_plugin_is_quick():
    """Beside importing llm, in one process, as machines differ; one of three: a busy one only adds."""

    def once():
        log = run(sys.executable, "-X", "importtime", "-c", "import llm, llm_nanogpt.plugin").stderr
        rows = (line.split("|") for line in log.splitlines()[1:])  # after the heading
        found = {name.strip(): int(total) for _, total, name in rows}
        return found["llm_nanogpt.plugin"] / found["llm"]

    assert any(once() < 0.2 for _ in range(3))  # 0.13 to 0.15 where nothing else runs


def test_two_hundred_models_are_listed_without_being_opened(home):
    from llm_nanogpt.plugin import register_models

    for i in range(200):
        (home / f"nanogpt-{i:03}").mkdir(parents=True)
    found = []

    def once():
        start = time.process_time()
        register_models(lambda *models: found.append(models))
        return time.process_time() - start

    assert min(once() for _ in range(5)) < 0.03
    assert found[7][0].model_id == found[7][1].model_id == "nanogpt-007"
    assert len(llm.get_models()) >= 200


def test_home_that_is_not_there_hurts_nobody():
    assert not nanogpt_home().exists()
    assert llm.get_models()


def test_text_of_every_kind_as_prompt(make_model):
    make_model()
    for prompt in ("", " ", "\n\n", "Zoë’s café ☕ ", "".join(TEXTS), "<|endoftext|>", "\0"):
        assert ask(prompt).text() is not None


# ---- Broken models


def damage_gone(folder):
    shutil.rmtree(folder)


def damage_folder_for_file(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()


def damage_other_tokenizer(folder):
    train_char([chr(i) for i in range(1000, 2000)]).save(folder, 32)


MORE_DAMAGE = DAMAGE | {
    "There is no model": damage_gone,
    "model.safetensors is not a file": damage_folder_for_file,
    "its tokenizer has more tokens": damage_other_tokenizer,
    "tokenizer.json, ": lambda folder: (folder / "tokenizer.json").write_text("{}"),
}


@pytest.mark.parametrize("reason", MORE_DAMAGE)
@pytest.mark.parametrize("used_before", [False, True])
def test_a_broken_model_says_why_and_leaves_the_others_working(make_model, reason, used_before):
    make_model("fine")
    folder = make_model("hurt")
    hurt = llm.get_model("hurt")
    if used_before:
        assert ask("Row", "hurt").text()
    before = [model.model_id for model in llm.get_models()]
    MORE_DAMAGE[reason](folder)
    # A loaded model is read again only when its weights have changed.
    if not used_before or not (folder / "model.safetensors").is_file():
        with pytest.raises(llm.ModelError, match=reason) as caught:
            hurt.prompt("Row").text()
        assert "\n" not in str(caught.value)
    after = [model.model_id for model in llm.get_models()]
    assert after == [name for name in before if folder.exists() or name != "hurt"]
    assert ask("Row", "fine").text()


def test_other_things_in_the_home_are_no_models(make_model, home):
    make_model()
    (home / "notes.txt").write_text("hello")
    (home / ".hidden").mkdir()
    (home / "loop").symlink_to(home / "loop")
    assert [m.model_id for m in llm.get_models() if type(m).__name__ == "NanoGPT"] == ["nanogpt-tiny"]


# ---- The other options


def test_a_stop_text_ends_the_text_before_it(make_model):
    make_model()
    text = ask("Row 12", max_tokens=100).text()
    middle = text[len(text) // 2 :][:2]
    wanted = text[: text.index(middle)]
    assert ask("Row 12", max_tokens=100, stop=middle).text() == wanted
    assert ask("Row 12", max_tokens=100, stop=["never comes", middle]).text() == wanted
    as_json = json.dumps(["never comes", middle])
    response = ask("Row 12", max_tokens=100, stop=as_json)
    assert response.text() == wanted
    assert response.response_json["finish_reason"] == "stop"
    assert response.response_json["options"]["stop"] == ["never comes", middle]
    assert ask("Row 12", stop="[").text() is not None  # no JSON: the letter itself


def test_logprobs_are_logged(make_model):
    make_model()
    response = ask("Row", logprobs=2)
    response.text()
    told = response.response_json["logprobs"]
    assert len(told) == response.output_tokens > 0
    assert len(told[0]["top"]) == 2
    quiet = ask("Row")
    quiet.text()
    assert "logprobs" not in quiet.response_json


def test_echo_does_not_enter_the_document_twice(make_model):
    make_model()
    conversation = llm.get_model("nanogpt-tiny").conversation()
    first = conversation.prompt("Row 12", echo=True, max_tokens=6, seed=1)
    plain = ask("Row 12", max_tokens=6).text()
    assert first.text() == "Row 12" + plain
    second = conversation.prompt("", max_tokens=6, seed=1)
    assert second.text() == ask("Row 12" + plain, max_tokens=6).text()


def test_a_device_can_be_chosen_if_it_is_known(make_model):
    make_model()
    response = ask("Row", device="cpu")
    assert response.text() == ask("Row").text()
    assert response.response_json["device"] == "cpu"
    with pytest.raises(llm.ModelError, match="Unknown device 'tpu'"):
        ask("Row", device="tpu").text()


def test_a_dropped_beginning_is_told(make_model):
    make_model()
    response = ask("".join(TEXTS))
    response.text()
    told = response.response_json["dropped_prompt_tokens"]
    assert response.input_tokens - 32 < told < response.input_tokens


def test_chat_is_one_document_and_reads_the_model_once(make_model, bpe):
    make_model(block_size=256)
    options = ["-m", "nanogpt-tiny", "-o", "seed", 1, "-o", "max_tokens", 9]
    in_this_process("chat", *options, input="Row 12\nRow 13\nquit\n")
    rows = json.loads(in_this_process("logs", "--json").stdout)
    assert rows[1]["input_tokens"] == len(bpe.encode(f"Row 12{rows[0]['response']}\nRow 13"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-o", "temperature", -1, "-o", "top_p", 3], "top_p must be above 0"),
        (["-o", "set", "tags=x"], "does not know which columns"),
        (["-s", "Be brief"], "never taught to follow instructions"),
    ],
)
def test_what_is_wrong_in_a_chat_is_one_line(make_model, options, reason):
    make_model()
    arguments = ["chat", "-m", "nanogpt-tiny", *map(str, options)]
    chat = CliRunner().invoke(cli, arguments, input="Row 12\nquit\n")
    assert chat.exit_code == 1
    *_, last = chat.output.splitlines()
    assert last.startswith(("Error: ", "> Error: ")) and reason in last


@pytest.mark.parametrize("kind", [[], ["--async"]])
def test_ctrl_c_leaves_no_traceback(make_model, kind):
    make_model()
    process = subprocess.Popen(
        [*LLM, "-m", "nanogpt-tiny", "Row", "-o", "max_tokens", "10000000", *kind],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.read(10)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    assert b"Traceback" not in errors


def test_a_title_is_before_the_prompt_and_stays_in_a_conversation(make_model):
    make_model(titles=True, block_size=64)
    model = llm.get_model("nanogpt-tiny")
    given = {"max_tokens": 9, "seed": 4}
    first = model.prompt("jumps", title="Row 1", echo=True, **given)
    assert first.text().startswith("Row 1\n\njumps")
    assert ask("Row 1\n\njumps", **given).text() == first.text().removeprefix("Row 1\n\njumps")
    without = ask("jumps", title="Row 1", guidance=1, **given).text()
    assert without != ask("jumps", title="Row 1", **given).text()
    assert first.response_json["options"]["title"] == "Row 1"
    conversation = model.conversation()
    text = conversation.prompt("jumps", title="Row 1", **given).text()
    more = conversation.prompt("", max_tokens=9, seed=5)
    assert more.text() == ask("jumps" + text, title="Row 1", max_tokens=9, seed=5).text()
