from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.train.tiny import main, token_vectors, train_tokenizer
from pyserini_xqg.train.tiny_pairs import Pair, hold_out, in_english, read_pairs, texts_of

TOOLS = Path(__file__).parents[2] / "tools"
#: Telugu and Russian for numbers, so that a pair's sides have no word in common.
WORDS = {
    "te": ["ఒకటి", "రెండు", "మూడు", "నాలుగు", "ఐదు", "ఆరు", "ఏడు", "ఎనిమిది"],
    "ru": ["один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь"],
    "en": ["one", "two", "three", "four", "five", "six", "seven", "eight"],
}


def question(language, number):
    words = WORDS[language]
    return f"{words[number % 8]} {words[number // 8 % 8]}"


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path):
    """XOR-TyDi's three files: 64 questions in either language, two of which are dev questions."""
    folder = tmp_path / "xor"
    folder.mkdir()
    rows = [
        (code, question(code, n), question("en", n)) for code in ("te", "ru") for n in range(64)
    ]
    (folder / "question_translations.tsv").write_text(
        "".join("\t".join(row) + "\n" for row in [*rows, rows[0]])
    )
    answers = [
        {"question": question("te", 9), "answers": ["Yes", "nine"], "lang": " te"},
        {"question": question("ru", 9), "answers": ["no"], "lang": "ru"},
    ]
    dev = [{"question": question(code, 7), "answers": ["x"], "lang": code} for code in ("te", "ru")]
    for name, content in (
        ("xor_train_retrieve_eng_span.jsonl", answers),
        ("xor_dev_retrieve_eng_span_v1_1.jsonl", dev),
    ):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in content))
    return folder


@pytest.fixture
def tool(monkeypatch):
    """A module of the tools, loaded anew."""

    def load(name):
        for package in ("accelerate", "datasets", "sentence_transformers"):
            pytest.importorskip(package)
        monkeypatch.syspath_prepend(TOOLS)
        monkeypatch.delitem(sys.modules, "train_tiny_encoder", raising=False)
        return importlib.import_module(name)

    return load


def test_pairs_are_read_without_dev_questions_and_held_out_by_text(data):
    pairs = read_pairs(data)
    assert len(pairs) == 126
    assert Pair("te", question("te", 9), "two two", "nine") in pairs
    assert Pair("ru", question("ru", 9), "two two", "") in pairs
    assert not {question("te", 7), question("ru", 7)} & {pair.question for pair in pairs}
    kept, held = hold_out(pairs, 5, seed=1)
    assert [pair.lang for pair in held] == ["ru"] * 5 + ["te"] * 5
    shared = {text for pair in held for text in pair[1:3]}
    assert not shared & {text for pair in kept for text in pair[1:3]}
    assert len(kept) > 100  # a held translation takes the other language's question with it
    with pytest.raises(XqgError, match="--held-out 63: ru has 63 pairs"):
        hold_out(pairs, 63, seed=1)
    path = data / "question_translations.tsv"
    path.write_text("te\tx\n")
    with pytest.raises(
        XqgError, match=r"translations.tsv:1: 2 tab-separated column\(s\); expected"
    ):
        read_pairs(data)
    path.write_bytes(b"te\t\xff\tx\n")
    with pytest.raises(XqgError, match=r"translations.tsv:1: not UTF-8 .*; convert"):
        read_pairs(data)
    path.unlink()
    with pytest.raises(XqgError, match="no such file or folder: .*question_translations.tsv"):
        read_pairs(data)
    assert in_english(held[:1]) == [Pair("en", held[0].english, held[0].english, held[0].answer)]


def test_vectors_point_where_the_pairs_say_and_are_as_long_as_a_token_is_rare(data):
    pairs = read_pairs(data)
    texts = texts_of(pairs)
    tokenizer = train_tokenizer(texts, 120)
    vectors = token_vectors(tokenizer, texts, pairs, 20, seed=1).numpy()
    assert vectors.shape == (tokenizer.get_vocab_size(), 20)
    assert not vectors[:3].any()
    lengths = np.linalg.norm(vectors, axis=1)
    found = np.array([
        sum(token in row.ids for row in tokenizer.encode_batch(texts))
        for token in range(len(vectors))
    ])  # fmt: skip
    weights = 1 + np.log((1 + len(texts)) / (1 + found))
    np.testing.assert_allclose(lengths[3:], (weights / np.median(weights))[3:], rtol=1e-5)

    def near(one, other):
        one, other = (vectors[tokenizer.encode(text).ids].sum(0) for text in (one, other))
        return one @ other / np.linalg.norm(one) / np.linalg.norm(other)

    for number in range(8):
        scores = [near(WORDS["te"][number], other) for other in WORDS["en"]]
        assert int(np.argmax(scores)) == number

    def nearness():
        return np.mean([abs(near(*each)) for each in zip(WORDS["te"], WORDS["en"], strict=True)])

    known = nearness()
    vectors = token_vectors(tokenizer, texts, in_english(pairs), 20, seed=1).numpy()
    assert nearness() < known / 2  # of English alone nothing is learnt about Telugu
    with pytest.raises(XqgError, match="--dim 500: more than the"):
        token_vectors(tokenizer, texts, pairs, 500, seed=1)


def test_what_a_training_starts_from(data, tmp_path, capsys):
    start = tmp_path / "start"
    known = ["--held-out", "5", "--vocab-size", "120", "--dim", "8"]
    main(["--data", str(data), "--output", str(start), *known])
    rows = [json.loads(line) for line in (start / "train.jsonl").read_text().splitlines()]
    held = [line.split("\t") for line in (start / "dev.tsv").read_text().splitlines()]
    assert capsys.readouterr().out == f"{start}: {len(rows)} pairs to train on, 10 held out\n"
    sizes = set()
    for row in rows:
        texts = [passage["text"] for passage in row["positive_passages"]]
        english = dict(zip(WORDS[row["lang"]], WORDS["en"], strict=True))
        own = " ".join(english[word] for word in row["query"].split())
        assert all(own in text for text in texts)
        assert texts[:8] == [own] * 8
        sizes |= {len(text.split()) // 2 for text in texts[8:]}
        assert len(texts) == 48
        assert not any(each[1] == row["query"] for each in held)
    assert sizes == {4, 5, 6, 7, 8}  # with its own, and an answer is half a pair
    encoder = Encoder(EncoderSpec(str(start), pooling="mean", l2_norm=True), device="cpu")
    assert encoder.encode_queries(["ఒకటి", "?"]).shape == (2, 8)
    assert not encoder.encode_queries(["?"]).any()

    main(["--data", str(data), "--output", str(tmp_path / "english"), *known, "--english-only"])
    content = (tmp_path / "english/train.jsonl").read_text()
    assert '"lang": "en"' in content
    assert content.isascii()
    first = json.loads(content.splitlines()[0])
    assert first["query"] not in [passage["text"] for passage in first["positive_passages"]]
    for line in (tmp_path / "english/dev.tsv").read_text().splitlines():
        _, query, text = line.split("\t")
        assert query in text
        assert query != text  # else every model would be the best


def test_the_tool_trains_and_measures(data, tmp_path, tool, capsys, monkeypatch):
    tiny = tool("train_tiny_encoder")
    monkeypatch.setattr(tiny, "SETTINGS", [*tiny.SETTINGS, "--effective-batch-size", "16"])
    output = tmp_path / "out"
    words = ["--data", str(data), "--output", str(output), "--held-out", "4", "--vocab-size",
             "120", "--dim", "16"]  # fmt: skip
    tiny.main([*words, "--epochs", "4", "--compare"])
    said = capsys.readouterr().out
    assert "best dev MRR" not in said  # what is measured on chose nothing
    last = next(line for line in said.splitlines() if line.startswith("| all |"))
    alone = [float(cell) for cell in last.strip("| ").split("|")[1:]]
    assert alone[1] == 100.0  # the first ten, of eight
    assert alone[0] >= 25
    assert not (tmp_path / "out.start").exists()
    before = (output / "model.safetensors").stat().st_mtime_ns
    tiny.main([*words, "--compare", str(output)])
    assert capsys.readouterr().out.count(last) == 2
    assert (output / "model.safetensors").stat().st_mtime_ns == before
