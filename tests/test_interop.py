"""nanoGPT's checkpoints in, GGUF out, judged by the programs on the other side."""

import json
import os
import pickle
import shutil
import subprocess

import gguf
import llm
import numpy as np
import pytest
import torch
from conftest import TEXTS, write_model
from torch import nn
from torch.nn import functional as F

from llm_nanogpt.changes import hold
from llm_nanogpt.checkpoint import read_checkpoint, read_weights
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.export_gguf import export_gguf
from llm_nanogpt.import_nanogpt import import_nanogpt
from llm_nanogpt.loading import open_model
from llm_nanogpt.tokenizer import EOT, PRE_TOKENIZERS, Tokenizer
from llm_nanogpt.tokenizer_training import train_bpe, train_char

# ---- nanoGPT


class LayerNorm(nn.Module):
    def __init__(self, n, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))
        self.bias = nn.Parameter(torch.zeros(n)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class NanoGPT(nn.Module):
    """A model whose state_dict has the names and shapes of nanoGPT's."""

    def __init__(self, n_layer, n_head, n_embd, block_size, bias, vocab_size, dropout):
        super().__init__()

        def layer():
            attn = {"c_attn": nn.Linear(n_embd, 3 * n_embd, bias), "c_proj": nn.Linear(n_embd, n_embd, bias)}
            mlp = {
                "c_fc": nn.Linear(n_embd, 4 * n_embd, bias),
                "c_proj": nn.Linear(4 * n_embd, n_embd, bias),
            }
            return nn.ModuleDict(
                {
                    "ln_1": LayerNorm(n_embd, bias),
                    "attn": nn.ModuleDict(attn),
                    "ln_2": LayerNorm(n_embd, bias),
                    "mlp": nn.ModuleDict(mlp),
                }
            )

        self.n_head = n_head
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocab_size, n_embd),
                "wpe": nn.Embedding(block_size, n_embd),
                "h": nn.ModuleList(layer() for _ in range(n_layer)),
                "ln_f": LayerNorm(n_embd, bias),
            }
        )
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        for p in self.parameters():
            nn.init.normal_(p, std=0.3)

    @torch.inference_mode()
    def forward(self, ids):
        t = self.transformer
        x = t.wte(ids) + t.wpe(torch.arange(ids.shape[1]))
        for layer in t.h:
            q, k, v = layer.attn.c_attn(layer.ln_1(x)).chunk(3, dim=2)
            q, k, v = (z.unflatten(2, (self.n_head, -1)).transpose(1, 2) for z in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
            x = x + layer.attn.c_proj(y)
            x = x + layer.mlp.c_proj(F.gelu(layer.mlp.c_fc(layer.ln_2(x))))
        return self.lm_head(t.ln_f(x))[0, -1].numpy()


ARGS = {"n_layer": 2, "n_head": 2, "n_embd": 16, "block_size": 32, "bias": False, "dropout": 0.0}
LETTERS = sorted(set("".join(TEXTS)))


def save_ckpt(path, prefix="", mask=False, **changes):
    """A ckpt.pt as train.py saves it; returns the model in it."""
    args = ARGS | {"vocab_size": len(LETTERS)} | changes
    torch.manual_seed(0)
    model = NanoGPT(**args)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95))
    model.transformer.ln_f.weight.grad = torch.ones(16)
    optimizer.step()
    state = {prefix + key: value for key, value in model.state_dict().items()}
    if mask:  # runs without flash attention keep the causal mask
        state |= {f"{prefix}transformer.h.{i}.attn.bias": torch.ones(1, 1, 32, 32).tril() for i in range(2)}
    path.parent.mkdir(exist_ok=True)
    torch.save(
        {
            "model": state,
            "optimizer": optimizer.state_dict(),
            "model_args": args,
            "iter_num": 250,
            "best_val_loss": torch.tensor(1.4697),
            "config": {
                "out_dir": "out",
                "dataset": "shakespeare_char",
                "learning_rate": 1e-3,
                "compile": True,
            },
        },
        path,
    )
    return model


def save_meta(path, letters=LETTERS):
    """A meta.pkl as data/shakespeare_char/prepare.py saves it."""
    stoi = {c: i for i, c in enumerate(letters)}
    itos = dict(enumerate(letters))
    path.write_bytes(pickle.dumps({"vocab_size": len(letters), "itos": itos, "stoi": stoi}))
    return path


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"bias": True},
        {"prefix": "_orig_mod."},
        {"bias": True, "prefix": "module._orig_mod.", "mask": True},
    ],
    ids=str,
)
def test_a_character_level_checkpoint(tmp_path, home, layout):
    theirs = save_ckpt(tmp_path / "out" / "ckpt.pt", **layout)
    import_nanogpt(tmp_path / "out" / "ckpt.pt", home / "mine", save_meta(tmp_path / "meta.pkl"))
    opened = open_model(home / "mine")
    ids = opened.tokenizer.encode("Row 12: Zoë’s café")
    assert ids == [LETTERS.index(c) for c in "Row 12: Zoë’s café"]
    ours = opened.model.logits(ids, opened.model.new_cache())
    assert np.abs(ours - theirs(torch.tensor([ids]))).max() < 1e-4
    assert opened.checkpoint.meta["score"] == {"val_loss": pytest.approx(1.4697), "step": 250}
    assert opened.version.startswith("mine@step250-")
    # It has no <|endoftext|>: it writes on, from an empty prompt too.
    for prompt in ("", "Row"):
        response = llm.get_model("mine").prompt(prompt, max_tokens=100)
        assert len(response.text()) == 100
    from transformers import AutoModelForCausalLM

    hf = AutoModelForCausalLM.from_pretrained(home / "mine").eval()
    with torch.inference_mode():
        assert np.abs(hf(torch.tensor([ids])).logits[0, -1].numpy() - ours).max() < 1e-4


def test_a_gpt2_checkpoint_loses_its_padding(tmp_path, home, gpt2_ranks):
    size = len(gpt2_ranks) + 1
    theirs = save_ckpt(tmp_path / "ckpt.pt", vocab_size=size + 47)
    checkpoint = import_nanogpt(tmp_path / "ckpt.pt", home / "mine")
    assert checkpoint.config.vocab_size == size
    opened = open_model(home / "mine")
    ids = opened.tokenizer.encode("quick brown")
    ours = opened.model.logits(ids, opened.model.new_cache())
    assert np.abs(ours - theirs(torch.tensor([ids]))[:size]).max() < 1e-4
    assert llm.get_model("mine").prompt("Row").text()


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/evil-was-run",)


def spoil(tmp_path, what):
    """A ckpt.pt and a meta.pkl of which one is wrong."""
    ckpt, meta = tmp_path / "ckpt.pt", save_meta(tmp_path / "meta.pkl")
    save_ckpt(ckpt)
    saved = torch.load(ckpt, weights_only=True)
    if what == "evil ckpt":
        torch.save(saved | {"config": Evil()}, ckpt)
    elif what == "old evil ckpt":
        torch.save(saved | {"config": Evil()}, ckpt, _use_new_zipfile_serialization=False)
    elif what == "no ckpt":
        ckpt.unlink()
    elif what == "text":
        ckpt.write_text("hello")
    elif what == "cut":
        ckpt.write_bytes(ckpt.read_bytes()[:-2000])
    elif what == "only weights":
        torch.save(saved["model"], ckpt)
    elif what == "list":
        torch.save([1], ckpt)
    elif what == "args":
        torch.save(saved | {"model_args": {"n_layer": 2}}, ckpt)
    elif what == "not a tensor":
        saved["model"]["transformer.wte.weight"] = "hello"
        torch.save(saved, ckpt)
    elif what == "other tensor":
        saved["model"]["transformer.h.0.attn.q_norm.weight"] = torch.ones(1)
        torch.save(saved, ckpt)
    elif what == "lacks":
        del saved["model"]["transformer.wpe.weight"]
        torch.save(saved, ckpt)
    elif what == "shape":
        saved["model"]["transformer.wpe.weight"] = torch.ones(3, 16)
        torch.save(saved, ckpt)
    elif what == "evil meta":
        meta.write_bytes(pickle.dumps({"stoi": Evil()}))
    elif what == "innocent meta":
        meta.write_bytes(pickle.dumps({"stoi": {"a": 0}, "config": tmp_path}))
    elif what == "no letters":
        meta.write_bytes(pickle.dumps({"itos": {}}))
    elif what == "words":
        meta.write_bytes(pickle.dumps({"stoi": {"hello": 0}}))
    elif what == "holes":
        meta.write_bytes(pickle.dumps({"stoi": {"a": 0, "b": 2}}))
    elif what == "too many letters":
        save_meta(meta, [chr(i) for i in range(33, 200)])
    elif what == "cut meta":
        meta.write_bytes(meta.read_bytes()[:20])
    elif what == "no meta":
        meta.unlink()
    elif what == "huge meta":
        meta.write_bytes(b"x" * 10_000_001)
    return ckpt, meta


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("evil ckpt", r"ckpt.pt is refused: it wants to run (posix|nt|os).system"),
        ("old evil ckpt", "not a checkpoint that torch can read"),
        ("no ckpt", "Cannot read .*ckpt.pt: No such file"),
        ("text", "not a checkpoint that torch can read"),
        ("cut", "not a checkpoint that torch can read"),
        ("only weights", "no model and model_args"),
        ("list", "no model and model_args"),
        ("args", "its model_args lack n_head"),
        ("not a tensor", "'transformer.wte.weight' is not a tensor"),
        ("other tensor", "1 other tensors, transformer.h.0.attn.q_norm.weight among them"),
        ("lacks", "lacks the tensor transformer.wpe.weight"),
        ("shape", r"transformer.wpe.weight is \[3, 16\], not \[32, 16\]"),
        ("evil meta", r"meta.pkl is refused: it wants to run (posix|nt|os).system"),
        ("innocent meta", "meta.pkl is refused: it wants to run pathlib"),
        ("no letters", "no table of characters"),
        ("words", "no table of characters"),
        ("holes", "no table of characters"),
        ("too many letters", "they are of different runs"),
        ("cut meta", "not a meta.pkl of nanoGPT"),
        ("no meta", "Cannot read .*meta.pkl"),
        ("huge meta", "meta.pkl has 10,000,001 bytes, and at most 4,000,000 make sense"),
    ],
)
def test_what_is_not_nanogpt_s_is_refused_by_name(tmp_path, home, what, reason):
    ckpt, meta = spoil(tmp_path, what)
    with pytest.raises(NanogptError, match=reason) as caught:
        import_nanogpt(ckpt, home / "mine", meta)
    assert "\n" not in str(caught.value)
    assert not home.exists() or not list(home.iterdir())
    assert not os.path.exists("/tmp/evil-was-run")


def test_names_are_checked(tmp_path, home, make_model):
    save_ckpt(tmp_path / "ckpt.pt")
    with pytest.raises(NanogptError, match="cannot be named"):
        import_nanogpt(tmp_path / "ckpt.pt", home / "a b")
    with pytest.raises(NanogptError, match="There is a model 'taken' already"):
        import_nanogpt(tmp_path / "ckpt.pt", make_model("taken"))


def test_a_name_that_is_being_trained_is_left_alone(tmp_path, home):
    meta = save_meta(tmp_path / "meta.pkl")
    save_ckpt(tmp_path / "ckpt.pt")
    staging = home / ".mine.new"
    home.mkdir()
    with hold(home / "mine"):
        staging.mkdir()
        with pytest.raises(NanogptError, match="is being trained"):
            import_nanogpt(tmp_path / "ckpt.pt", home / "mine", meta)
        assert staging.exists()
    import_nanogpt(tmp_path / "ckpt.pt", home / "mine", meta)


def test_a_small_vocabulary_without_characters_says_what_it_needs(tmp_path, home, gpt2_ranks):
    save_ckpt(tmp_path / "ckpt.pt")
    with pytest.raises(NanogptError, match="give its characters with --meta"):
        import_nanogpt(tmp_path / "ckpt.pt", home / "mine")


# ---- GGUF

SHAPES = [("qwen3", {}), ("qwen3", {"tied": False, "n_kv_head": 4}), ("gpt2", {})]


@pytest.mark.parametrize(("arch", "changes"), SHAPES)
@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_gguf_has_all_of_the_model(make_model, tmp_path, arch, changes, dtype):
    folder = make_model(arch=arch, **changes)
    checkpoint = read_checkpoint(folder)
    reader = gguf.GGUFReader(export_gguf(checkpoint, tmp_path / "m.gguf", dtype))
    written = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    tensors = read_weights(checkpoint)
    assert len(written) == len(tensors)
    assert sum(t.size for t in written.values()) == checkpoint.config.parameters
    is_gpt2 = arch == "gpt2"
    up = tensors["transformer.h.1.mlp.c_fc.weight" if is_gpt2 else "model.layers.1.mlp.up_proj.weight"]
    up = up.T if is_gpt2 else up
    step = {"f32": 0, "f16": 2**-11, "bf16": 2**-8}[dtype]
    assert np.abs(written["blk.1.ffn_up.weight"] - up).max() <= step * np.abs(up).max()
    field = {name: f.contents() for name, f in reader.fields.items()}
    assert field["general.architecture"] == arch
    assert field[f"{arch}.context_length"] == 32
    assert field["tokenizer.ggml.pre"] == "llama-bpe"
    assert field["tokenizer.ggml.tokens"][field["tokenizer.ggml.eos_token_id"]] == EOT
    assert len(field["tokenizer.ggml.tokens"]) == 400
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["m.gguf"]


@pytest.mark.parametrize("deleted", [False, True])
def test_gguf_is_of_one_version_while_another_takes_its_place(
    make_model, bpe, tmp_path, monkeypatch, deleted
):
    old = make_model("nanogpt-tiny")
    new = write_model(tmp_path / "other" / "nanogpt-tiny", bpe, seed=1, n_layer=3)
    whole = [export_gguf(read_checkpoint(m), tmp_path / "whole.gguf").read_bytes() for m in (old, new)]
    checkpoint, read = read_checkpoint(old), Tokenizer.load

    def read_and_swap(folder, *name):
        tokenizer = read(folder, *name)
        if new.exists():
            old.rename(tmp_path / "aside")
            new.rename(old)
            if deleted:
                shutil.rmtree(tmp_path / "aside")
        return tokenizer

    monkeypatch.setattr(Tokenizer, "load", read_and_swap)
    assert export_gguf(checkpoint, tmp_path / "swapped.gguf").read_bytes() == whole[deleted]


def test_gguf_leaves_a_file_be_when_it_cannot_write(make_model, tmp_path):
    checkpoint = read_checkpoint(make_model())
    with pytest.raises(NanogptError, match="Cannot write"):
        export_gguf(checkpoint, tmp_path / "nowhere" / "m.gguf")
    with pytest.raises(NanogptError, match="Unknown dtype 'q4': use one of f32, f16, bf16"):
        export_gguf(checkpoint, tmp_path / "m.gguf", "q4")


LLAMA_CPP = """
import {getLlama} from "node-llama-cpp";
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", maxThreads: 1});
for (const {path, prompts, n} of JSON.parse(process.argv[2])) {
  const model = await llama.loadModel({modelPath: path});
  const context = await model.createContext({contextSize: 64});
  const told = [];
  for (const prompt of prompts) {
    const sequence = context.getSequence();
    const ids = model.tokenize(prompt);
    const next = [];
    for await (const token of sequence.evaluate(ids, {temperature: 0})) {
      if (next.push(token) >= n) break;
    }
    told.push([ids, next]);
    sequence.dispose();
  }
  console.log(JSON.stringify(told));
}
process.exit(0);
"""


@pytest.fixture(scope="module")
def llama_cpp(request):
    """A folder in which node finds node-llama-cpp; its package for this platform has llama.cpp in it."""
    if not shutil.which("npm"):
        pytest.skip("npm is not on this machine")
    folder = request.config.cache.mkdir("node-llama-cpp")
    if not (folder / "node_modules" / "node-llama-cpp").exists():
        # --omit: the packages for other platforms and for GPUs have hundreds of megabytes.
        packages = ["node-llama-cpp@3", "@node-llama-cpp/linux-x64@3"]
        command = [
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--omit=optional",
            "--ignore-scripts",
            *packages,
        ]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    (folder / "run.mjs").write_text(LLAMA_CPP)
    return folder


@pytest.mark.long
def test_llama_cpp_writes_what_we_write(make_model, tmp_path, llama_cpp):
    """The same ids, and the same likeliest tokens one after the other, of random models."""
    prompts = ["Row 12: quick Zoë’s café", "I'll be  there: 1234567!\n\n", "☕"]
    jobs, expected, n = [], [], 12
    kinds = [*SHAPES, ("gpt2", {"tokenizer": train_char(TEXTS)})]
    for i, (arch, changes) in enumerate(kinds):
        folder = make_model(f"m{i}", arch=arch, block_size=64, **changes)
        path = export_gguf(read_checkpoint(folder), tmp_path / f"{i}.gguf")
        jobs.append({"path": str(path), "prompts": prompts, "n": n})
        opened = open_model(folder)
        told = []
        for prompt in prompts:
            ids, next_ids = opened.tokenizer.encode(prompt), []
            for _ in range(n):
                logits = opened.model.logits(ids + next_ids, opened.model.new_cache())
                next_ids.append(int(logits.argmax()))
                if next_ids[-1] == opened.tokenizer.eot:
                    break
            told.append([ids, [i for i in next_ids if i != opened.tokenizer.eot]])
        expected.append(told)
    done = subprocess.run(
        ["node", "run.mjs", json.dumps(jobs)], cwd=llama_cpp, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected


@pytest.mark.long
def test_llama_cpp_cuts_words_with_marks_as_we_do(make_model, tmp_path, llama_cpp):
    marked = train_bpe(["क्षेत्रे कुरु समवेता। น้ำตาล שָׁמַיִם e\u0301te\u0301 it's "] * 30, 400)
    assert PRE_TOKENIZERS[marked.split] == "qwen35"
    checkpoint = read_checkpoint(make_model(block_size=64, tokenizer=marked))
    path = export_gguf(checkpoint, tmp_path / "marked.gguf")
    assert gguf.GGUFReader(path).fields["tokenizer.ggml.pre"].contents() == "qwen35"
    prompts = [
        "क्षेत्रे  कुरु १२।",
        "e\u0301te\u0301 \u0301x \u200dน้ำ\t\n ",
        "IT'S 1234-5,\u00a0…\r\n\n",
        "(שָׁמַיִם)  ‘x’",
    ]
    jobs = json.dumps([{"path": str(path), "prompts": prompts, "n": 1}])
    command = ["node", "run.mjs", jobs]
    done = subprocess.run(command, cwd=llama_cpp, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [ids for ids, _ in json.loads(done.stdout)] == [marked.encode(prompt) for prompt in prompts]
