"""Windows that begin inside a document know its title, and no token of it counts twice."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tiny_config
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data.dataloader import (
    COUNTED_FIRST,
    COUNTED_LATER,
    IGNORED,
    DataLoader,
    Tokens,
    Windows,
    gather,
)
from datasette_nanogpt.training.distributed import ProcessGroup
from datasette_nanogpt.training.evaluate import estimate_loss
from datasette_nanogpt.training.prompt import title_from
from datasette_nanogpt.training.recipe import Settings
from datasette_nanogpt.training.trainer import Training
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.gpt_torch import build
from llm_nanogpt.titles import Titles, split_title
from llm_nanogpt.tokenizer_training import train_char

DOCUMENTS = [
    "Bees\n\n" + "They fly and sting. " * 20,
    "no title here, only one line",
    "A line that is far too long to be a title of anything\n\nand its text",
    "Ants\n\n\n  indented\n\nand walk",
    "",
    "Wasps\n\n" + "Nobody likes them\n\n" * 15,
]


@pytest.fixture(scope="module")
def char():
    return train_char(DOCUMENTS)


@pytest.fixture(scope="module")
def config(char):
    return replace(tiny_config("qwen3"), vocab_size=char.n_vocab, block_size=80, titles=True)


@pytest.fixture(scope="module")
def stream(char):
    return np.concatenate([[char.eot], char.encode_documents(DOCUMENTS)]).astype(np.uint16)


def title(text: str) -> str | None:
    """What is repeated of a document, by the rules in words: at most a tenth of 80 tokens."""
    head, blank, _ = text.partition("\n\n")
    return head + blank if blank and 1 + len(head + blank) <= 10 else None


def test_the_title_of_a_document_is_found(char, config):
    titles = Titles(char, config)
    for document in DOCUMENTS:
        head = titles.head([char.eot, *char.encode(document), char.eot])
        assert char.decode(head) == (title(document) or "")
        assert not title(document) or head[0] == char.eot
    assert not len(titles.head(char.encode("Bees\n\nfly")))  # where the document begins is not known
    assert not len(titles.head([char.eot, *char.encode("a"), char.eot, *char.encode("b\n\nc")]))


def test_a_blank_line_in_one_token_or_two(bpe):
    titles = Titles(bpe, replace(tiny_config("qwen3"), vocab_size=bpe.n_vocab, block_size=400))
    for text in ("Title\n\nbody", "What?\n\nbody", "Why?\n\n    code", "One\n\n\n\ntwo"):
        head = titles.head([bpe.eot, *bpe.encode(text)])
        assert bpe.decode(head).rstrip("\n") == text.partition("\n\n")[0]
        assert "\n\n" in bpe.decode(head)


def test_windows_inside_a_document_begin_with_its_title(char, config, stream):
    windows = Windows(stream, config.block_size, Titles(char, config))
    ends = [0, *np.cumsum([len(document) + 1 for document in DOCUMENTS])]
    for start in range(len(stream) - config.block_size):
        inputs, targets = windows.window(start)
        assert len(inputs) == len(targets) == config.block_size
        n = max(i for i, end in enumerate(ends) if end <= start)
        repeated = title(DOCUMENTS[n]) if n < len(DOCUMENTS) else None
        k = 1 + len(repeated) if repeated and start > ends[n] + len(repeated) else 0
        assert char.decode(inputs[:k]) == (repeated if k else "")
        assert (inputs[k:] == stream[start : start + config.block_size - k]).all()
        assert (targets[:k] == IGNORED).all()
        assert (targets[k:] == stream[start + 1 : start + 1 + config.block_size - k]).all()


@given(block=st.integers(24, 200))
def test_the_evaluation_counts_each_token_once(char, config, stream, block):
    titles = Titles(char, replace(config, block_size=block))
    counted: list[int] = []
    for done, inputs, targets in Windows(stream, block, titles).all_in_order():
        assert len(inputs) <= block
        counted += targets[targets != IGNORED].tolist()
        assert len(counted) == done
    assert counted == stream[1:].tolist()


def test_some_windows_go_without_title_and_a_resume_has_the_same(char, config, stream):
    def batches(position: int = 0) -> DataLoader:
        return DataLoader(stream, 80, 3, position=position, titles=Titles(char, config))

    n = batches().per_epoch * 40
    inputs, targets = batches().get_batch(n)
    later, _ = batches(n // 2).get_batch(n - n // 2)
    assert (inputs[n // 2 :] == later).all()
    kinds = Counter((inputs[:, 0] == char.eot).tolist())
    assert kinds[False] and kinds[True] > kinds[False]
    assert (targets == IGNORED).any(1).sum() <= kinds[True]


@pytest.mark.parametrize("replacement", [False, True])
def test_training_counts_few_titles_before_windows_and_never_the_token_after_them(
    char, config, stream, replacement
):
    """If none did, hardly a window would teach how a document starts; if all did, they would be learnt by
    heart."""
    stream = np.tile(stream, 20)
    loader = DataLoader(stream, 80, 3, replacement=replacement, titles=Titles(char, config))
    for expected, epochs in ((COUNTED_FIRST, 1), (COUNTED_LATER, 8)):
        spans = loader.next_spans(epochs * loader.per_epoch)
        inputs, targets = gather(stream, spans, 80)
        lengths = spans[:, 2]
        counted = 0
        for x, y, length in zip(inputs, targets, lengths, strict=True):
            ignored = np.flatnonzero(y == IGNORED).tolist()
            assert ignored == [*range(length)] or (length > 1 and ignored == [length - 1])
            assert (y[:-1] == x[1:])[y[:-1] != IGNORED].all()
            assert not length or x[0] == char.eot
            counted += len(ignored) == 1 < length
        assert 0 < (lengths > 0).sum() < len(lengths)
        assert 0.5 < counted / (lengths > 0).sum() / expected < 1.5


def test_repeated_titles_do_not_count_in_the_score(char, config, stream):
    """The score is the sum over single tokens, each after what stands before it in its window."""
    torch.manual_seed(0)
    model = build(config).eval()
    torch.nn.init.normal_(model.output, std=0.5)
    windows = Windows(stream, config.block_size, Titles(char, config))
    nats = 0.0
    for _, inputs, targets in windows.all_in_order():
        for i in np.flatnonzero(targets != IGNORED):
            logits = model.logits(torch.from_numpy(inputs[None, : i + 1]))
            nats -= torch.log_softmax(logits, -1)[0, targets[i]].item()
    assert estimate_loss(model, windows, "cpu") == pytest.approx(nats, rel=1e-5)


def test_a_teacher_is_not_asked_about_repeated_titles(config):
    torch.manual_seed(0)
    model = build(config)
    torch.nn.init.normal_(model.output, std=0.5)
    ids = torch.randint(config.vocab_size, (2, 30))
    targets = torch.randint(config.vocab_size, (2, 30))
    targets[:, :7] = IGNORED
    probs = torch.rand(2, 30, config.vocab_size).softmax(-1)
    every = torch.arange(config.vocab_size).expand(2, 30, -1)
    losses = model(ids, targets, teacher_probs=(every, probs))
    other = probs.clone()
    other[:, :7] = torch.rand(2, 7, config.vocab_size).softmax(-1)
    assert torch.equal(model(ids, targets, teacher_probs=(every, other)), losses)
    logprobs = torch.log_softmax(torch.nn.functional.linear(model.hidden(ids, None), model.output), -1)
    expected = -(probs * logprobs).sum(-1)[:, 7:].mean()
    assert losses[1].item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses[0].item() == pytest.approx(model(ids, targets).item(), rel=1e-5)


def test_config_json_says_that_windows_had_titles(config):
    assert GPTConfig.from_hf(config.to_hf(0)).titles
    assert not GPTConfig.from_hf(replace(config, titles=False).to_hf(0)).titles
    assert "nanogpt_titles" not in replace(config, titles=False).to_hf(0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Why bees\n\nThey", ("Why bees", "They")),
        ("Why bees\n\n", ("Why bees", "")),
        ("Why bees\n", ("", "Why bees\n")),
        ("\n\nThey", ("", "\n\nThey")),
        ("One\ntwo\n\nThey", ("", "One\ntwo\n\nThey")),
    ],
)
def test_a_first_line_before_a_blank_line_is_a_title(text, expected):
    assert split_title(text) == expected


def test_processes_weigh_their_parts_by_what_counts(char, config, stream):
    """The mean over all processes is that of the whole batch."""
    settings = Settings(4, 0.01, 0.0, 1, 0.5, 0.0, 0, "cpu", False, False, max_iters=1)
    tokens = Tokens(stream, stream, 1, 1, Titles(char, config))
    torch.manual_seed(0)
    model = build(config)
    torch.nn.init.normal_(model.output, std=0.5)
    losses = []
    for rank, size in ((0, 1), (0, 2), (1, 2)):
        training = Training(model, tokens, settings, group=ProcessGroup(rank, size))
        batches = [training.batches.next_spans() for _ in range(6)]
        weights = [weight for _, weight in batches]
        assert (size == 1) == (weights == [1.0] * 6)
        losses.append(
            [
                weight * model(*map(torch.from_numpy, gather(stream, spans, config.block_size))).item()
                for spans, weight in batches
            ]
        )
    assert np.mean(losses[1:], axis=0) == pytest.approx(losses[0], rel=1e-5)


def test_a_run_ends_with_a_held_out_title(char, config, stream):
    titles = Titles(char, config)
    assert title_from(stream, titles) == "Bees"
    assert title_from(stream[len(DOCUMENTS[0]) + 1 :], titles) == "Ants"
    only_lines = np.concatenate([[char.eot], char.encode_documents(DOCUMENTS[1:3])])
    assert title_from(only_lines, titles) == ""
