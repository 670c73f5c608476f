"""The model folder, judged by transformers, and what is said of a damaged one."""

import json

import pytest
import torch
from conftest import TEXTS, tiny_config

from llm_nanogpt.atomic import write_bytes
from llm_nanogpt.checkpoint import checkpoints, read_checkpoint, read_weights
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions, NanogptError
from llm_nanogpt.gpt_torch import build
from llm_nanogpt.home import nanogpt_home, valid_name
from llm_nanogpt.tokenizer import Tokenizer

SHAPES = [
    ("qwen3", {}),
    ("qwen3", {"tied": False, "n_kv_head": 4}),
    ("gpt2", {}),
    ("gpt2", {"activation": "gelu"}),
]


def load_torch(folder):
    checkpoint = read_checkpoint(folder)
    model = build(checkpoint.config).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in read_weights(checkpoint).items()})
    return model


@pytest.mark.parametrize(("arch", "changes"), SHAPES)
def test_transformers_reads_our_folder(make_model, arch, changes):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = make_model(arch=arch, **changes)
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer.load(folder)
    for text in TEXTS[:20]:
        assert tokenizer(text)["input_ids"] == ours.encode(text)
        assert tokenizer.decode(ours.encode(text)) == text
    assert tokenizer.eos_token_id == ours.eot
    ids = torch.tensor([ours.encode("".join(TEXTS))[:32]])
    with torch.inference_mode():
        expected = theirs(ids).logits[:, -1]
    assert torch.allclose(load_torch(folder).logits(ids), expected, atol=1e-4)


@pytest.mark.parametrize(("arch", "changes"), SHAPES)
def test_cached_decoding_is_uncached_decoding(make_model, arch, changes):
    model = load_torch(make_model(arch=arch, **changes))
    ids = torch.randint(0, 400, (1, 30))
    cache = []
    for start, end in ((0, 7), (7, 8), (8, 20), (20, 30)):
        cached = model.logits(ids[:, start:end], cache)
        assert torch.allclose(cached, model.logits(ids[:, :end]), atol=1e-4)


def test_config_names_what_is_wrong():
    with pytest.raises(NanogptError, match="multiple of the 4 heads"):
        tiny_config("gpt2", n_embd=30)
    with pytest.raises(NanogptError, match="qwen3 or gpt2"):
        tiny_config("llama")
    with pytest.raises(NanogptError, match="'llama' model"):
        GPTConfig.from_hf({"model_type": "llama"})


def test_config_names_the_field_of_each_problem():
    with pytest.raises(InvalidOptions) as ex:
        tiny_config(n_layer=0, n_head=-1)
    assert [(p.field, p.code) for p in ex.value.problems] == [("n_layer", "minimum"), ("n_head", "minimum")]
    with pytest.raises(InvalidOptions) as ex:
        tiny_config("gpt2", n_embd=30)
    assert [(p.field, p.code) for p in ex.value.problems] == [("n_embd", "multiple")]
    assert "--" not in str(ex.value)


@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
def test_config_survives_the_round_trip(arch):
    config = tiny_config(arch)
    assert GPTConfig.from_hf(json.loads(json.dumps(config.to_hf(0)))) == config
    assert config.parameters == sum(p.numel() for p in build(config).parameters())


def damage_newer(folder):
    (folder / "nanogpt.json").write_text('{"format": 99}')


def damage_truncated(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def damage_shape(folder):
    hf = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(hf | {"intermediate_size": 64}))


DAMAGE = {
    "is newer than this version": damage_newer,
    r"it has [\d,]+ bytes of": damage_truncated,
    "not F32": damage_shape,
    "config.json is missing": lambda folder: (folder / "config.json").unlink(),
    "nanogpt.json is empty": lambda folder: (folder / "nanogpt.json").write_text(""),
    "tokenizer.json is empty": lambda folder: (folder / "tokenizer.json").write_text(""),
    "tokenizer.json is damaged": lambda folder: (folder / "tokenizer.json").write_text('{"model": {"vo'),
    "tokenizer.json is missing": lambda folder: (folder / "tokenizer.json").unlink(),
    "model.safetensors is missing": lambda folder: (folder / "model.safetensors").unlink(),
    "nanogpt.json is damaged, see line 1": lambda folder: (folder / "nanogpt.json").write_text("{"),
    "does not start as": lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 100),
    "config.json is incomplete": lambda folder: (folder / "config.json").write_text("[]"),
    "not as this program": lambda folder: (folder / "nanogpt.json").write_text(
        '{"format": 1, "source": "a"}'
    ),
    "header is not that": lambda folder: (folder / "model.safetensors").write_bytes(
        b"\x08" + b"\0" * 7 + b'{"a":{}}'
    ),
    "lacks 24 tensors": lambda folder: (folder / "model.safetensors").write_bytes(
        b"\x02" + b"\0" * 7 + b"{}"
    ),
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_a_damaged_folder_says_why_and_spares_the_others(make_model, home, reason):
    make_model("fine")
    DAMAGE[reason](make_model("hurt"))
    with pytest.raises(NanogptError, match=reason):
        read_checkpoint(home / "hurt")
    found = dict(checkpoints(home))
    assert found["fine"].config.n_layer == 2
    assert isinstance(found["hurt"], NanogptError)


def test_a_write_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "model").mkdir()  # no file can take its place
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "model", b"weights")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_home_is_in_llms_folder_unless_a_variable_says_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("NANOGPT_HOME")
    assert nanogpt_home() == tmp_path / "llm" / "nanogpt"
    monkeypatch.delenv("LLM_USER_PATH")
    assert nanogpt_home().parts[-2:] == ("io.datasette.llm", "nanogpt")
    assert list(checkpoints(tmp_path / "nowhere")) == []


def test_a_shape_is_told_in_words():
    assert tiny_config(n_layer=1, n_head=1, n_kv_head=1).shape == "1 layer, 1 head, width 32"
    assert tiny_config(n_layer=2, n_head=4).shape == "2 layers, 4 heads, width 32"


def test_a_gpt2_without_heads_says_why(make_model, home):
    hf = make_model("hurt", arch="gpt2") / "config.json"
    hf.write_text(json.dumps(json.loads(hf.read_text()) | {"n_head": 0}))
    with pytest.raises(NanogptError, match="number of heads must be at least 1, not 0"):
        read_checkpoint(home / "hurt")


@pytest.mark.parametrize(
    "name", ["", "a/b", "-x", ".x", "x" * 101, "字" * 90, "nanogpt.db", "nanogpt.db-journal"]
)
def test_names_that_are_none(name):
    assert not valid_name(name)
    assert valid_name("nanogpt-dbs") and valid_name("字" * 60)
