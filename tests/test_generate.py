"""From a prompt to text: the same on numpy and torch, whole characters, any prompt, any length."""

import itertools
import sys
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import TEXTS, penalised, random_tensors, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from datasette_nanogpt.data.text_metrics import has_loop, real_word_fraction
from llm_nanogpt import gpt_torch
from llm_nanogpt.checkpoint import read_checkpoint, read_weights
from llm_nanogpt.errors import InvalidOptions
from llm_nanogpt.generate import generate
from llm_nanogpt.gpt_numpy import build
from llm_nanogpt.gpt_torch import TorchModel
from llm_nanogpt.guidance import GuidedModel
from llm_nanogpt.loading import load_model
from llm_nanogpt.sampler import Sampler, log_softmax
from llm_nanogpt.text_end import ends_sentence, keep_end, whole_end
from llm_nanogpt.tokenizer import Tokenizer
from llm_nanogpt.tokenizer_training import train_bpe, train_char
from llm_nanogpt.words import LETTERS, MARK, WordCounter, WordList, end_of_word, words


class Scripted:
    """A model whose next token depends on the ids before it alone: `script` maps them to logits (V,)."""

    device = "cpu"

    def __init__(self, script, block_size=32):
        self.script, self.config, self.fed = script, tiny_config(block_size=block_size), []

    def new_cache(self):
        return []

    def logits(self, ids, cache, past=0):
        assert past <= len(cache)
        assert past + len(ids) <= self.config.block_size
        cache[past:] = ids
        self.fed.append(len(ids))
        return self.script(list(cache)).astype(np.float32)


def always(*texts):
    """A script that says the tokens `texts` in a row, for ever."""

    def script(ids):
        logits = np.zeros(400)
        logits[texts[len(ids) % len(texts)]] = 100
        return logits

    return script


@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
def test_numpy_and_torch_write_the_same(make_model, arch):
    checkpoint = read_checkpoint(make_model(arch=arch))
    module = gpt_torch.build(checkpoint.config).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in read_weights(checkpoint).items()})
    texts = [
        "".join(generate(model, Tokenizer.load(checkpoint.path), "Row 12: qui", sampler=Sampler(seed=0)))
        for model in (load_model(checkpoint)[0], TorchModel(module))
    ]
    assert texts[0] == texts[1] != ""


def test_a_run_knows_its_tokens_and_times(make_model):
    folder = make_model()
    model, reason = load_model(read_checkpoint(folder))
    assert (model.device, reason) == ("cpu", "the fastest for a model of this size")
    tokenizer = Tokenizer.load(folder)
    run = generate(model, tokenizer, "Row 12", max_tokens=5, sampler=Sampler(seed=1))
    assert run.finish_reason is None
    pieces = list(run)
    assert len(pieces) <= 5
    assert (run.prompt_tokens, run.dropped_tokens) == (len(tokenizer.encode("Row 12")), 0)
    assert (run.new_tokens, run.finish_reason) == (5, "length")
    assert run.seconds > 0


# Scripts repeat themselves, and must be allowed to.
LOOPING = Sampler(dry_multiplier=0)


def test_it_stops_at_the_end_of_the_text(bpe):
    a = bpe.encode("a")[0]
    run = generate(Scripted(always(a, a, a, bpe.eot)), bpe, "")
    assert "".join(run) == "aa"
    assert (run.finish_reason, run.new_tokens) == ("stop", 2)


@pytest.mark.parametrize("prompt", ["", "Row", "What do you think?", "Row 12:\n\n"])
@pytest.mark.parametrize("temperature", [0, 0.8])
@pytest.mark.parametrize("mark", ["\n", "!"])
def test_a_text_does_not_end_before_there_is_something_of_it(bpe, prompt, temperature, mark):
    """Six of 566 texts were empty, and some more had a mark alone."""
    a, line = bpe.encode("a")[0], bpe.encode(mark)[0]

    def script(ids):
        logits = np.zeros(400)
        logits[[bpe.eot, line if ids[-1] != line else a]] = 100, 50
        return logits

    text = "".join(generate(Scripted(script), bpe, prompt, sampler=Sampler(temperature=temperature, seed=0)))
    assert text in ("a", f"{mark}a")


PROSE = "One of them. Two, e.g. this; and three in 3. places: so on\n"


@pytest.mark.parametrize(
    ("max_tokens", "text"),
    [
        (148, PROSE * 2 + "One of them."),  # a sentence ends in the last 74
        (125, (PROSE * 2)[:-1]),  # a line
        (106, PROSE + "One of them."),
        (54, PROSE[:52]),  # only a word in the last 27, and in the last 2
        (50, PROSE[:50]),  # nothing
        (400, (PROSE * 6 + "One of them.")),  # a sentence in the last 80
        (1, "O"),
    ],
)
def test_a_text_that_is_cut_ends_with_a_sentence_or_a_line_or_a_word(max_tokens, text):
    char = train_char([PROSE])
    char.words = WordList(words(PROSE))
    char.habits = replace(char.habits, paragraphs=True)
    ids = char.encode(PROSE)
    model = Scripted(always(*ids[-1:], *ids[:-1]), 512)

    def write(real_words, **options):
        sampler = Sampler(dry_multiplier=0, real_words=real_words, seed=0)
        return generate(model, char, "", max_tokens=max_tokens, logprobs=0, sampler=sampler, **options)

    run = write(real_words=True)
    assert "".join(run) == text
    assert run.finish_reason == "length"
    assert len(run.logprobs) == len(run.ends) == run.new_tokens == run.ends[-1] == len(text)
    assert len("".join(write(real_words=False))) == max_tokens


def test_a_text_that_a_stop_text_or_the_model_ends_is_whole():
    char = train_char([PROSE])
    char.words = WordList(words(PROSE))
    ids = char.encode(PROSE)

    def write(*after, **options):
        model = Scripted(always(*after, *ids), 512)
        return generate(model, char, "", sampler=Sampler(dry_multiplier=0), **options)

    run = write(ids[-1], max_tokens=30, stop=["this"])
    assert "".join(run) == "One of them. Two, e.g. " and run.finish_reason == "stop"
    run = write(char.eot, max_tokens=len(ids) + 5)
    assert "".join(run) == PROSE and run.finish_reason == "stop"


@pytest.mark.parametrize(
    ("given", "held", "lines", "kept"),
    [
        ("The old", ", she said. And the\nnew", False, ", she said."),  # wrapped
        ("The old", ", she said. And the\nnew", True, ", she said. And the"),
        ("The old", " and the\nnew", False, " and the"),
        ("The old", " and\n\n", False, " and"),
        ("The old.", " And the", True, ""),
        ("", "2. Stir it well", True, "2. Stir it"),
        ("", "\n\n", True, "\n\n"),
        ("", "Stir it.", True, "Stir it."),
        ("Die alte", " Frau. Und", True, " Frau."),
        ("天気", "です。雨", True, "です。"),
    ],
)
def test_what_is_kept_of_a_text_that_is_cut(given, held, lines, kept):
    assert held[: whole_end(given, held, 5, lines)] == kept


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("It rains.", " So", True),
        ("It rains. ", "So", True),
        ("It rains", " so", False),
        ('"It rains."', " So", True),
        ("run `x`.", " So", True),
        ("version 3.", "5", False),
        ("2.", " Stir", False),
        ("J. R.", " Tolkien", False),
        ("see e.g.", " this", False),
        ("- a list", "\n-", True),
        ("- a list\n", "- ", True),
        ("I ran this:", "\n\n", False),
        ("the old,", "\nthe", False),
        ("so:\n```sql", "\nselect", False),
        ("1;\n```", "\nSo", True),
        ("यह है।", " वह", True),
        ("天気です。", "雨", True),
        ("", "\n", False),
    ],
)
def test_where_a_sentence_ends(before, after, wanted):
    assert ends_sentence(before, after) is wanted


def test_an_empty_prompt_starts_a_document(bpe):
    seen = []

    def script(ids):
        seen.append(ids)
        return always(65)(ids)

    list(generate(Scripted(script), bpe, "", max_tokens=1))
    assert seen == [[bpe.eot]]


def test_a_long_prompt_keeps_its_end(bpe):
    seen = []

    def script(ids):
        seen.append(ids)
        return always(*bpe.encode("a"))(ids)

    prompt = "".join(TEXTS)
    ids = bpe.encode(prompt)
    run = generate(Scripted(script), bpe, prompt, max_tokens=3)
    assert "".join(run) == "aaa"
    assert run.prompt_tokens == len(ids)
    assert seen[-3][-5:] == ids[-5:]
    assert run.prompt_tokens - run.dropped_tokens == 32 - 3


@pytest.mark.parametrize("block_size", [1, 2, 3, 8, 32])
def test_past_the_context_it_goes_on_at_no_quadratic_cost(bpe, block_size):
    a, b, c = (bpe.encode(x)[0] for x in "abc")
    follows = {a: b, b: c, c: a, bpe.eot: a}

    def script(ids):
        logits = np.zeros(400)
        logits[follows[ids[-1]]] = 100
        return logits

    model = Scripted(script, block_size)
    text = "".join(generate(model, bpe, "", max_tokens=300, sampler=LOOPING))
    assert text == "abc" * 100
    assert sum(model.fed) <= 2 * 300 + block_size


def test_whole_characters_only(bpe):
    id_of = {bpe.token_bytes(i): i for i in range(bpe.n_vocab)}
    tokens = [id_of[bytes([b])] for b in "☕".encode()]
    # <|endoftext|> stands where the first byte would: the last two come, then a whole cup, then half of one.
    assert list(generate(Scripted(always(*tokens)), bpe, "", max_tokens=7, sampler=LOOPING)) == ["☕"]


def test_closing_stops_the_work(bpe):
    model = Scripted(always(*bpe.encode("a")))
    run = generate(model, bpe, "", max_tokens=10_000, sampler=LOOPING)
    assert list(itertools.islice(run, 3)) == ["a"] * 3
    run.close()
    assert list(run) == []
    assert sum(model.fed) == 3


def test_settings_are_checked(bpe):
    with pytest.raises(InvalidOptions) as ex:
        generate(Scripted(always(1)), bpe, "", max_tokens=0, logprobs=-1, stop=[""])
    assert [problem.field for problem in ex.value.problems] == ["max_tokens", "logprobs", "stop"]


@pytest.mark.parametrize(
    ("stop", "wanted"),
    [
        (["d"], "abc"),
        (["cd"], "ab"),
        (["dea", "cde"], "ab"),
        (["x", "eab"], "abcd"),
        (["abcdef"], "abcde" * 4),  # never comes, and what was held back for it is not lost
        (["a"], ""),
    ],
)
def test_a_text_ends_before_the_first_stop_text(bpe, stop, wanted):
    tokens = [bpe.encode(letter)[0] for letter in "eabcd"]
    run = generate(Scripted(always(*tokens)), bpe, "", max_tokens=20, stop=stop, sampler=LOOPING)
    pieces = list(run)
    assert "".join(pieces) == wanted
    assert run.finish_reason == ("length" if len(wanted) == 20 else "stop")
    assert all(pieces)


@given(st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.text("ab", min_size=1, max_size=30))
def test_no_half_stop_string_is_ever_shown(bpe, stop, text):
    tokens = [bpe.eot, *(bpe.encode(letter)[0] for letter in text), bpe.eot]
    said = ""
    for piece in generate(Scripted(always(*tokens)), bpe, "", stop=stop, sampler=LOOPING):
        said += piece
        assert not any(s in said for s in stop)
    # The first stop string to be complete ends the text; of two at once, the one that starts earlier.
    found = ([text[:end].find(s) for s in stop if s in text[:end]] for end in range(len(text) + 1))
    assert said == text[: min(next(filter(None, found), [len(text)]))]


@pytest.mark.parametrize("prompt", ["", "Row 12: qu", "Row "])
def test_logprobs_are_the_model_s_own(bpe, prompt):
    config = tiny_config(vocab_size=bpe.n_vocab, block_size=64)
    model = build(config, random_tensors(config))
    sampler = Sampler(seed=3, top_k=5, temperature=2, repetition_penalty=1.5)
    run = generate(model, bpe, prompt, max_tokens=20, sampler=sampler, logprobs=3)
    list(run)
    assert len(run.logprobs) == run.new_tokens == 20
    for told in run.logprobs:
        assert len(told["top"]) == 3
        assert [p for _, p in told["top"]] == sorted((p for _, p in told["top"]), reverse=True)
        assert told["logprob"] <= told["top"][0][1]
    if not prompt:
        expected = log_softmax(model.logits([bpe.eot], model.new_cache()))
        assert run.logprobs[0]["top"][0][1] == pytest.approx(expected.max(), abs=1e-3)
    assert generate(model, bpe, prompt).logprobs is None


def test_a_repetition_penalty_changes_the_words(bpe):
    a, b = (bpe.encode(x)[0] for x in "ab")

    def script(ids):
        logits = np.zeros(400)
        logits[[a, b]] = 10, 9
        return logits

    def said(**settings):
        sampler = Sampler(temperature=0, dry_multiplier=0, **settings)
        return "".join(generate(Scripted(script), bpe, "", max_tokens=4, sampler=sampler))

    assert said() == "aaaa"
    assert said(repetition_penalty=1.2) == "abaa"


@pytest.mark.parametrize("gpu", ["cuda", "cpu"])
def test_a_large_model_looks_for_a_gpu(make_model, monkeypatch, gpu):
    """Where one may be; torch decides. Both parts of the machine that are not here are told to it."""
    from llm_nanogpt import device, loading

    checkpoint = read_checkpoint(make_model())
    monkeypatch.setattr(loading, "SMALL", 0)
    monkeypatch.setattr(loading.shutil, "which", lambda name: None)
    assert load_model(checkpoint)[1] == "no GPU found" or sys.platform == "darwin"
    monkeypatch.setattr(loading.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(device, "choose_device", lambda asked: (asked or gpu, f"torch finds {gpu}"))
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: self)
    model, reason = load_model(checkpoint)
    assert reason == f"torch finds {gpu}"
    assert isinstance(model, TorchModel) == (gpu == "cuda")


def test_a_gpu_that_torch_cannot_use_is_not_used_and_the_reason_told(monkeypatch):
    """One that is too old for this torch, or in use by another process alone, is found all the same."""
    from llm_nanogpt.device import choose_device

    error = RuntimeError("CUDA error: no kernel image is available\nCompile with ...")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", Mock(side_effect=error))
    device, reason = choose_device(None)
    assert reason == "torch cannot use the NVIDIA GPU: CUDA error: no kernel image is available"
    assert device == "cpu"
    with pytest.raises(InvalidOptions, match="No cuda on this machine .torch cannot use .*: use cpu"):
        choose_device("cuda")


# ---- the end of the prompt


def bigram_model(bpe, documents, block_size=64):
    """A model that knows which token follows which in `documents`, as training on them would teach it."""
    counts = np.full((bpe.n_vocab, bpe.n_vocab), 1e-6)
    for document in documents:
        ids = [bpe.eot, *bpe.encode(document), bpe.eot]
        np.add.at(counts, (ids[:-1], ids[1:]), 1)
    logits = np.log(counts)
    return Scripted(lambda ids: logits[ids[-1]], block_size)


@pytest.mark.parametrize("cut", range(len("Row 1: quick brown fox jumps")))
def test_a_prompt_may_end_anywhere(bpe, cut):
    """Whatever letter or space the prompt ends at, the text goes on as the documents do."""
    document = "Row 1: quick brown fox jumps over a lazy dog."
    model = bigram_model(bpe, [document])
    run = generate(model, bpe, document[:cut], sampler=Sampler(temperature=0))
    assert document[:cut] + "".join(run) == document


def test_the_ways_to_go_on_are_weighed_rightly(bpe):
    """Against the text's own shares: three of four rows with "quick brown", one with "quick bread"."""
    documents = ["quick brown"] * 3 + ["quick bread"]
    model = bigram_model(bpe, documents)
    sampler = Sampler(temperature=1, top_k=0, seed=0)
    ends = ["".join(generate(model, bpe, "quick br", sampler=sampler)) for _ in range(400)]
    assert set(ends) == {"own", "ead"}
    assert abs(ends.count("own") / 400 - 0.75) < 0.07


@settings(max_examples=100)
@given(st.text(max_size=80), st.integers(1, 40), st.integers(1, 64))
def test_any_prompt_goes(bpe, prompt, max_tokens, block_size):
    config = tiny_config(block_size=block_size, n_layer=1, vocab_size=bpe.n_vocab)
    run = generate(build(config, random_tensors(config)), bpe, prompt, max_tokens=max_tokens)
    text = "".join(run)
    assert run.new_tokens <= max_tokens
    assert "\ufffd" not in text
    assert 0 <= run.dropped_tokens <= run.prompt_tokens


def test_a_character_model_writes_characters_it_knows():
    tokenizer = train_char(TEXTS)
    config = tiny_config(vocab_size=tokenizer.n_vocab)
    run = generate(build(config, random_tensors(config)), tokenizer, "Row \N{SNOWMAN}", max_tokens=9)
    assert set("".join(run)) <= set("".join(TEXTS))
    assert run.prompt_tokens == 4


def test_a_padded_vocabulary_is_never_chosen_from(bpe):
    def script(ids):
        logits = np.zeros(450)
        logits[bpe.n_vocab :] = 100
        return logits

    run = generate(Scripted(script), bpe, "Row 1", max_tokens=20)
    assert len("".join(run)) > 0


def test_a_prompt_that_was_not_utf8_is_written_on(bpe, make_model):
    model, _ = load_model(read_checkpoint(make_model()))
    run = generate(model, bpe, "Zo\udceb", max_tokens=3)
    "".join(run)
    assert run.prompt == "Zo?" and run.prompt_tokens


# ---- a prompt that ends in a word, loops, and words that are no words


def with_words(tokenizer, texts):
    counter = WordCounter()
    for _ in counter.count(texts):
        pass
    return Tokenizer(tokenizer.spec, counter.most_frequent())


ISSUES = ["it is so", *["it issue tracks, it has an issue"] * 9]


@pytest.mark.parametrize("kind", ["bpe", "char"])
@pytest.mark.parametrize("temperature", [0, 0.8])
def test_a_word_that_was_typed_is_not_made_longer(kind, temperature):
    plain = train_bpe(ISSUES, 300) if kind == "bpe" else train_char(ISSUES)
    model = bigram_model(plain, ISSUES)

    def said(tokenizer, prompt, seed):
        sampler = Sampler(temperature=temperature, seed=seed)
        return "".join(generate(model, tokenizer, prompt, max_tokens=4, sampler=sampler))

    # "issue" is what the rows have most.
    assert any(said(plain, "it is", seed).startswith("s") for seed in range(40))
    known = with_words(plain, ISSUES)
    for seed in range(40):
        assert not said(known, "it is", seed)[:1].isalpha()
    if kind == "bpe":
        assert said(known, "it iss", 0).startswith("ue")  # half a word goes on
    assert said(known, "it is ", 0).strip()[:1].isalpha()


def test_a_number_that_was_typed_is_not_made_longer():
    texts = [f"in {year} so" for year in range(1990, 2030)]
    plain = train_bpe(texts, 400)
    run = generate(bigram_model(plain, texts), with_words(plain, texts), "in 19", sampler=Sampler(seed=0))
    assert not "".join(run)[:1].isdigit()


def test_half_a_word_that_a_row_has_too_is_completed():
    texts = ["it uses datasette here"] * 300 + ["tils.db datase is"]
    plain = train_bpe(texts, 300)
    run = generate(
        bigram_model(plain, texts), with_words(plain, texts), "it uses datase", sampler=Sampler(seed=0)
    )
    assert "".join(run).startswith("tte")


@pytest.mark.parametrize("kind", ["bpe", "char"])
@pytest.mark.parametrize(
    "before", ["", " ", "a ", "so. ", "a\n", "so\n\n", '"', "a (", "a '", "a-", "**", "MONTY "]
)
def test_half_a_word_always_becomes_a_word_of_the_table(kind, before):
    """Also where the model finds another word, or the end, much more likely after it."""
    texts = ["Zone of so", *["Zo is a so"] * 9, "Python is so", *["Py is a so"] * 9]
    plain = train_bpe(texts, 300) if kind == "bpe" else train_char([*texts, "\"('-*.\nMONTY"])
    tokenizer, model = with_words(plain, ["Zone of so", "Python is so a"]), bigram_model(plain, texts)
    for half, whole in (("Zo", "Zone"), ("pyth", "python"), ("PYTH", "PYTHON")):
        for seed in range(5):
            run = generate(model, tokenizer, before + half, sampler=Sampler(seed=seed), max_tokens=8)
            text = before + half + "".join(run)
            assert LETTERS.findall(text)[len(LETTERS.findall(before))] == whole
        said = "".join(generate(model, tokenizer, before + half + " ", sampler=Sampler(seed=0), max_tokens=3))
        assert not said[:1].isspace()


@pytest.mark.parametrize("prompt", ["東京", "so 🎉", "a👩‍👩‍👧"])
def test_no_word_is_joined_to_a_character_that_no_row_has(prompt):
    texts = ["so a ☕so 🙂 a so"] * 5
    plain = train_bpe(texts, 300)
    tokenizer, model = with_words(plain, texts), bigram_model(plain, texts)
    for seed in range(20):
        run = generate(model, tokenizer, prompt, sampler=Sampler(seed=seed), max_tokens=4)
        assert not LETTERS.match("".join(run))
    run = generate(model, tokenizer, "so a ☕", sampler=Sampler(temperature=0), max_tokens=4)
    assert "".join(run).startswith("so")


def test_a_name_that_is_half_a_word_but_stands_in_the_prompt_before_is_kept():
    texts = ["Zone of so", *["Zo is a so"] * 9]
    plain = train_bpe(texts, 300)
    tokenizer, model = with_words(plain, ["Zone of so is a"]), bigram_model(plain, texts)
    run = generate(model, tokenizer, "Zo is so Zo", sampler=Sampler(temperature=0), max_tokens=4)
    assert "".join(run).startswith(" is")


ALPHABETS = {  # words are made of these
    "Latin": "abcdefghij",
    "with marks": ["e\N{COMBINING ACUTE ACCENT}", "a", "o\N{COMBINING DIAERESIS}", "n", "s", "t"],
    "Cyrillic": "абвгдежзик",
    "Devanagari": ["क", "कि", "ता", "मे", "नु", "र"],
    "Hangul": "가나다라마바사아자",
    "Arabic": "ابتثجحخدذر",
}


@pytest.mark.parametrize("script", ALPHABETS)
def test_prompts_cut_at_word_ends_go_on_with_a_new_word(script):
    """200 beginnings of held-out rows, at least 99 in a hundred as the rows: none goes on with a letter."""
    rng = np.random.default_rng(0)
    vocabulary = ["".join(rng.choice(list(ALPHABETS[script]), rng.integers(1, 6))) for _ in range(60)]
    rows = [" ".join(rng.choice(vocabulary, 12)) + "." for _ in range(600)]
    train, held_out = rows[:400], rows[400:]
    plain = train_bpe(train, 500)
    tokenizer, model = with_words(plain, train), bigram_model(plain, train)
    new = 0
    for seed, row in enumerate(held_out):
        prompt = " ".join(row.split(" ")[: 1 + seed % 10])
        said = "".join(generate(model, tokenizer, prompt, max_tokens=3, sampler=Sampler(seed=seed)))
        new += end_of_word(prompt + said[:1]) == ""
    assert new >= 0.99 * len(held_out)


@pytest.mark.parametrize("temperature", [0, 1])
def test_the_last_character_of_a_script_without_spaces_gets_no_mark(temperature):
    texts = ["กิน กำ กา กี่ " * 20] * 5
    plain = train_bpe(texts, 300)
    tokenizer, model = with_words(plain, texts), bigram_model(plain, texts)
    for prompt in ("ก", "กี่ ก", "กา ก", "กี"):
        for seed in range(10):
            sampler = Sampler(seed=seed, temperature=temperature)
            said = "".join(generate(model, tokenizer, prompt, max_tokens=4, sampler=sampler))
            assert not MARK.match(said)


def test_a_script_without_spaces_goes_on_as_its_rows_do(bpe):
    texts = ["東京都は日本の首都です。", "京都は古い都です。"] * 5
    plain = train_bpe(texts, 300)
    model = bigram_model(plain, texts)
    run = generate(model, with_words(plain, texts), "東京都は日", sampler=Sampler(temperature=0))
    assert "".join(run) == "本の首都です。"


def test_no_loops_by_default(bpe):
    """A model that would say the same for ever finds something else to say, and can be told to loop."""
    ids = bpe.encode("quick brown fox jumps over ")
    follows = dict(zip([bpe.eot, *ids], [*ids, ids[0]], strict=True)) | {ids[-1]: ids[0]}

    def script(context):
        logits = np.linspace(1, 0, bpe.n_vocab)
        logits[bpe.eot] = -100
        if context[-1] in follows:
            logits[follows[context[-1]]] = 15
        return logits

    def said(**settings):
        sampler = Sampler(seed=0, **settings)
        return "".join(generate(Scripted(script), bpe, "", max_tokens=300, sampler=sampler))

    assert has_loop(said(dry_multiplier=0)) and has_loop(said(dry_multiplier=0, temperature=0))
    assert not has_loop(said()) and not has_loop(said(temperature=0))
    assert has_loop(said(dry_penalty_last_n=0))


def test_a_phrase_of_four_tokens_is_less_likely_to_come_back_by_default(bpe):
    """With six tokens free, "Codes & Amazon Codes, Amazon Codes & Codes" went on for ever."""
    *first, again = bpe.encode("quick brown fox")[-4:]
    other = next(i for i in range(bpe.n_vocab) if i not in (*first, again, bpe.eot))
    logits = np.zeros(bpe.n_vocab, np.float32)
    run = generate(Scripted(lambda ids: logits), bpe, "")
    penalty = penalised(run._repetition([*first, again, other, *first]), logits)
    assert penalty[again] < 0 and not np.delete(penalty, again).any()


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_only_real_words_by_default(bpe, temperature):
    config = tiny_config(vocab_size=bpe.n_vocab, block_size=64)
    model, tokenizer = build(config, random_tensors(config)), with_words(bpe, TEXTS)
    known = {word for text in TEXTS for word in words(text)}

    def said(**settings):
        sampler = Sampler(temperature=temperature, seed=0, **settings)
        return "".join(generate(model, tokenizer, "Row 12: qu", max_tokens=150, sampler=sampler))

    assert real_word_fraction(said(real_words=False, dry_multiplier=0), known) < 0.7
    written = words("Row 12: qu" + said())[:-1]
    assert set(written) <= known | {"qu"} | set(filter(str.isnumeric, written))
    assert said() == said()


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_numpy_and_torch_write_the_same_with_words(make_model, bpe, temperature):
    checkpoint = read_checkpoint(make_model(tokenizer=with_words(bpe, TEXTS)))
    module = gpt_torch.build(checkpoint.config).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in read_weights(checkpoint).items()})
    tokenizer = Tokenizer.load(checkpoint.path)
    assert "quick" in tokenizer.words
    # Of a random model all tokens are about as likely: in a long text rounding decides between two of them.
    texts = []
    for model in (load_model(checkpoint)[0], TorchModel(module)):
        sampler = Sampler(temperature=temperature, seed=0)
        texts.append("".join(generate(model, tokenizer, "Row 12", max_tokens=100, sampler=sampler)))
    assert texts[0] == texts[1] != ""


@pytest.fixture(scope="module")
def titled_char():
    return train_char(["Bees\n\nThey fly and sting, and make honey. "])


def titled_model(tokenizer, **changes):
    config = tiny_config(vocab_size=tokenizer.n_vocab, titles=True, **({"block_size": 64} | changes))
    return build(config, random_tensors(config))


@pytest.mark.parametrize("guidance", [1, 2])
def test_a_full_context_keeps_the_title(titled_char, guidance):
    char, model = titled_char, titled_model(titled_char)
    given = {"max_tokens": 200, "guidance": guidance}
    caches: dict[int, list[int]] = {}
    fed: list[list[int]] = []
    logits = model.logits

    def record(ids, cache, past=0):
        caches[id(cache)] = [*caches.get(id(cache), [])[:past], *ids]
        fed.append(caches[id(cache)])
        return logits(ids, cache, past) - 1e3 * (np.arange(char.n_vocab) == char.eot)  # the text goes on

    model.logits = record
    run = generate(model, char, "They", title="Bees", sampler=Sampler(seed=1), **given)
    text = "".join(run)
    assert run.finish_reason == "length" and not text.startswith("Bees")
    head = [char.eot, *char.encode("Bees\n\n")]
    with_title = [ids for ids in fed if ids[0] == char.eot]
    assert len(with_title) == (len(fed) if guidance == 1 else len(fed) / 2)
    assert all(ids[: len(head)] == head for ids in with_title)
    assert any(len(ids) == model.config.block_size for ids in with_title)
    assert all(ids[0] == char.encode("\n")[0] for ids in fed if ids[0] != char.eot)


def test_a_title_can_be_given_in_two_ways(titled_char):
    model = titled_model(titled_char)

    def write(prompt, **settings):
        return "".join(
            generate(model, titled_char, prompt, sampler=Sampler(seed=3), max_tokens=40, **settings)
        )

    assert write("Bees\n\n") == write("", title=" Bees ") == write("", title="Bees", guidance=2)
    assert write("Bees\n\nThey") == write("They", title="Bees")
    assert write("They", title="Bees") != write("They", title="Bees", guidance=1)
    # Where the table has no titles, a line before a blank line is none, unless it is called a title.
    untitled = build(replace(model.config, titles=False), random_tensors(model.config))
    texts = [
        "".join(generate(untitled, titled_char, "Bees\n\nThey", sampler=Sampler(seed=3), guidance=g))
        for g in (1, 2)
    ]
    assert texts[0] == texts[1]
    named = generate(untitled, titled_char, "They", title="Bees", sampler=Sampler(seed=3))
    assert "".join(named) not in texts


def test_guidance_is_the_difference_that_a_title_makes(titled_char):
    char, model = titled_char, titled_model(titled_char)
    run = generate(
        model, char, "They", title="Bees", logprobs=0, sampler=Sampler(temperature=0), max_tokens=3
    )
    text = "".join(run)
    head, body = char.encode("Bees\n"), char.encode("\nThey")
    for i in range(3):
        ids = [*body, *char.encode(text[:i])]
        known, unknown = (model.logits(before + ids, model.new_cache()) for before in ([char.eot, *head], []))
        expected = log_softmax(unknown + 2 * (known - unknown))
        assert run.logprobs[i]["logprob"] == pytest.approx(expected.max(), abs=1e-3)


@pytest.mark.parametrize(("guidance", "chosen"), [(1, 0), (3, 1), (5, 1), (100, 1)])
def test_a_title_lifts_no_token_that_is_out_of_place(guidance, chosen):
    """However strong, it chooses among what the model with the title finds likely: [0, 1] of these."""
    known, unknown = np.log([0.5, 0.3, 0.001, 0.199]), np.log([0.5, 0.1, 1e-9, 0.399])
    both = iter([known, unknown])
    model = Mock(config=Mock(block_size=64))
    model.logits = lambda ids, cache, past: next(both).astype(np.float32)
    logits = GuidedModel(model, [0, 1], guidance).logits([0, 1, 2], (None, None))
    assert logits.argmax() == chosen
    assert logits[2] - logits.max() <= np.log(0.001 / 0.5) + 1e-5
    assert logits[1] - logits[0] == pytest.approx(guidance * np.log(3) + np.log(0.1 / 0.5), abs=1e-4)


def test_what_comes_right_after_the_title_is_as_the_model_has_it():
    """Without the title it knows a blank line alone, after which it is the surer that a list begins."""
    known, unknown = (np.log(p).astype(np.float32) for p in ([0.97, 0.02, 0.01], [0.9998, 0.0001, 0.0001]))
    read = []

    def logits(ids, cache, past):
        read.append((list(ids), cache, past))
        return known if cache == "with" else unknown

    guided = GuidedModel(Mock(config=Mock(block_size=64), logits=logits), [5, 6, 7], 2)
    assert guided.logits([5, 6, 7], ("with", "without")) == pytest.approx(known)
    assert guided.logits([0], ("with", "without"), 3).argmax() == 1
    assert read == [([5, 6, 7], "with", 0), ([7], "without", 0), ([0], "with", 3), ([0], "without", 1)]


def test_a_prompt_beyond_the_context_keeps_its_title(titled_char):
    char, model = titled_char, titled_model(titled_char)
    prompt = "They fly and sting. " * 9
    run = generate(model, char, prompt, title="Bees", max_tokens=10, sampler=Sampler(seed=1))
    assert "".join(run)
    assert run.prompt_tokens - run.dropped_tokens + 1 + 10 == model.config.block_size


def test_guidance_must_be_a_number_in_range(titled_char):
    with pytest.raises(InvalidOptions, match="guidance must be from 0 to 100"):
        generate(titled_model(titled_char), titled_char, guidance=-1)


def test_a_score_repeats_the_title_of_a_long_document(titled_char, tmp_path):
    from types import SimpleNamespace

    from llm_nanogpt.score import score

    char, model = titled_char, titled_model(titled_char)
    opened = SimpleNamespace(model=model, tokenizer=char)
    text = "Bees\n\n" + "They fly and sting, and make honey. " * 4
    bits = score(opened, text).bits
    ids = [char.eot, *char.encode(text), char.eot]
    assert len(bits) == len(ids) - 1
    done, half, k = 64, 32, 7  # predictions of the first window, half a context, the title's ids
    while done < len(bits):
        window = ids[:k] + ids[done - half :][: 64 - k]
        logprobs = log_softmax(model.all_logits(window, model.new_cache()))
        end = min(len(bits), done - half + 64 - k)
        for i in range(done, end):
            expected = -logprobs[k + i - done + half][ids[i + 1]] / np.log(2)
            assert bits[i] == pytest.approx(expected, rel=1e-4)
        done = end


def test_what_penalties_take_off_others_does_not_go_to_the_end():
    """Its probability stays as it was, or falls with what makes it less likely itself."""
    before = np.array([3.0, 2.0, 1.0, 0.0], np.float32)

    def end_kept(after, eot=3):
        after = after.astype(np.float32)
        keep_end(before, after, eot)
        return after

    assert (end_kept(before) == before).all()
    probability = np.exp(log_softmax(before))[3]
    changed = end_kept(before - [5, 5, 0, 0])
    assert np.exp(log_softmax(changed))[3] == pytest.approx(probability, rel=1e-5)
    less = end_kept(before - [5, 5, 0, 2])
    assert np.exp(log_softmax(less))[3] < probability / 5
    more = before + [4, 0, 0, 0]
    assert (end_kept(more) == more).all()  # what closes a bracket may
    assert (end_kept(more, eot=9) == more).all()  # an imported model without an end
    only = np.array([-np.inf, 0.0, -np.inf], np.float32)
    keep_end(only, only, 1)
    assert only[1] == 0


@pytest.mark.parametrize(
    ("before", "changes", "ends"),
    [
        ("lazy dog.", {}, True),
        ("lazy dog.\n\n", {}, True),
        ("lazy dog", {}, False),
        ("lazy dog.", {"real_words": False}, False),
        ("lazy dog.", {"temperature": 0}, False),
    ],
)
def test_after_a_mark_a_text_ends_as_often_as_the_model_says(bpe, before, changes, ends):
    """At 5% the end is beyond what top_p leaves, so that no text of long rows would ever end."""
    cycle = bpe.encode(before + " the quick brown fox")
    place = len(bpe.encode(before))

    def script(ids):
        logits = np.full(bpe.n_vocab, -30.0)
        logits[cycle[(len(ids) - 1) % len(cycle)]] = np.log(0.95)
        logits[bpe.eot] = np.log(0.05) if len(ids) - 1 == place else -30
        return logits

    runs = [
        generate(Scripted(script, block_size=64), bpe, max_tokens=20, sampler=Sampler(seed=i, **changes))
        for i in range(400)
    ]
    found = [("".join(run), run.finish_reason) for run in runs]
    ended = [text for text, reason in found if reason == "stop"]
    assert set(ended) == ({before} if ends else set()) and (8 <= len(ended) <= 36 or not ends)


def test_a_text_does_not_end_because_its_words_repeat_themselves(bpe):
    """Only one token is likely, and it is held back after a while: the end is as unlikely as before."""
    cycle = bpe.encode("the quick brown fox")

    def script(ids):
        logits = np.full(bpe.n_vocab, -20.0)
        logits[cycle[len(ids) % len(cycle)]], logits[bpe.eot] = 0.0, -6.0
        return logits

    texts = [
        generate(Scripted(script, block_size=64), bpe, max_tokens=40, sampler=Sampler(seed=i))
        for i in range(10)
    ]
    written = ["".join(text) for text in texts]
    assert not any(map(has_loop, written))
    assert sum(text.finish_reason == "stop" for text in texts) <= 1
