"""Kept vectors of topics, and when they are not to be trusted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encoder import encoder as encoders
from pyserini_xqg.encoder import vector_cache
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.encoder.vector_cache import identity
from pyserini_xqg.index.build import build_index
from pyserini_xqg.index.dense import open_encoder
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store

TEXTS = ["w1 w2", "w3", "w1 w2", ""]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XQG_TOPIC_CACHE", "1")
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/xqg-topics"


@pytest.fixture
def model(model_dir, tmp_path):
    shutil.copytree(model_dir, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def no_model(monkeypatch):
    def forbid():
        def load(*_, **__):
            raise AssertionError("a model is loaded")

        monkeypatch.setattr(encoders, "Encoder", load)

    return forbid


def test_the_second_time_no_model_is_loaded(model, no_model):
    spec = EncoderSpec(str(model), pooling="cls")
    plain = Encoder(spec, device="cpu")
    first = TopicEncoder(spec, device="cpu")
    made = [first.encode_queries(TEXTS), first.encode_queries(["w5 w6 w7"], 3),
            first.encode_passages(["w8"])]  # fmt: skip
    assert made[0] == pytest.approx(plain.encode_queries(TEXTS), abs=1e-6)
    assert made[1] == pytest.approx(plain.encode_queries(["w5 w6 w7"], 3), abs=1e-6)
    assert made[2] == pytest.approx(plain.encode_passages(["w8"]), abs=1e-6)
    no_model()
    again = TopicEncoder(spec, device="cpu")
    assert np.array_equal(again.encode_queries(TEXTS[::-1]), made[0][::-1])
    assert np.array_equal(again.encode_queries(["w5 w6 w7"], 3), made[1])
    assert np.array_equal(again.encode_passages(["w8"]), made[2])
    for ask in (
        lambda: again.encode_queries(["w8"]),  # the other side
        lambda: again.encode_queries(["w5 w6 w7"]),  # another length
        lambda: again.encode_queries(["w9"]),
    ):
        with pytest.raises(AssertionError, match="a model is loaded"):
            ask()


def test_only_new_texts_are_encoded(model, monkeypatch):
    encoder = TopicEncoder(EncoderSpec(str(model), pooling="cls"), device="cpu")
    encoder.encode_queries(["w1", "w2"])
    asked = []
    stock = Encoder.encode_queries
    monkeypatch.setattr(
        Encoder,
        "encode_queries",
        lambda self, texts, n=None: asked.append(texts) or stock(self, texts, n),
    )
    encoder.encode_queries(["w2", "w3", "w1", "w3"])
    assert asked == [["w3"]]


@pytest.mark.parametrize(
    "settings",
    [{"pooling": "mean"}, {"l2_norm": True}, {"query_prefix": "w4 "}, {"query_max_length": 9},
     {"passage_prefix": "p: "}, {"dtype": "bfloat16"}],
)  # fmt: skip
def test_other_settings_are_another_encoder(model, settings):
    spec = EncoderSpec(str(model), pooling="cls")
    other = replace(spec, **settings)
    assert identity(spec) != identity(other)
    TopicEncoder(spec, device="cpu").encode_queries(TEXTS)
    found = TopicEncoder(other, device="cpu").encode_queries(TEXTS)
    expected = Encoder(other, device="cpu").encode_queries(TEXTS)
    assert found == pytest.approx(expected, abs=1e-3 if "dtype" in settings else 1e-6)


def exchange(path, content):
    """Other content of the same size, with the old date."""
    facts = path.stat()
    assert len(content) == facts.st_size
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_exchanged_weights_are_another_encoder(model):
    spec = EncoderSpec(str(model), pooling="cls")
    before = TopicEncoder(spec, device="cpu").encode_queries(TEXTS)
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start:] = np.frombuffer(bytes(content[start:]), np.float32)[::-1].tobytes()
    exchange(weights, bytes(content))
    after = TopicEncoder(spec, device="cpu").encode_queries(TEXTS)
    assert after == pytest.approx(Encoder(spec, device="cpu").encode_queries(TEXTS), abs=1e-6)
    assert not np.allclose(before, after, atol=1e-2)


def test_an_exchanged_tokenizer_is_another_encoder(model):
    spec = EncoderSpec(str(model), pooling="cls")
    before = TopicEncoder(spec, device="cpu").encode_queries(TEXTS)
    tokenizer = model / "tokenizer.json"
    content = tokenizer.read_bytes()
    swapped = content.replace(b'"w1"', b'"wX"').replace(b'"w9"', b'"w1"').replace(b'"wX"', b'"w9"')
    exchange(tokenizer, swapped)
    after = TopicEncoder(spec, device="cpu").encode_queries(TEXTS)
    assert after == pytest.approx(Encoder(spec, device="cpu").encode_queries(TEXTS), abs=1e-6)
    assert not np.allclose(before[0], after[0], atol=1e-2)


def test_what_else_makes_another_encoder(model, tmp_path, monkeypatch):
    spec = EncoderSpec(str(model), pooling="cls")
    one = identity(spec)
    assert one == identity(spec)
    (model / "checkpoint-10").mkdir()
    (model / "checkpoint-10/model.safetensors").touch()
    (model / "nowhere").symlink_to(tmp_path / "nowhere")
    assert identity(spec) == one  # none of the model's own
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling/config.json").touch()
    two = identity(spec)
    monkeypatch.setattr(vector_cache, "version", lambda name: "0" if name == "torch" else "1")
    three = identity(spec)
    shutil.copytree(model, tmp_path / "query", symlinks=True)
    untied = replace(spec, query_model=str(tmp_path / "query"))
    four = identity(untied)
    (tmp_path / "query/config.json").touch()
    five = identity(untied)
    assert len({one, two, three, four, five}) == 5
    assert identity(replace(spec, model=str(tmp_path / "nowhere"))) is None
    assert identity(EncoderSpec("nobody/has-this-model", pooling="cls")) is None


def test_files_that_change_while_they_are_read(model, cache, monkeypatch):
    spec = EncoderSpec(str(model), pooling="cls")
    encoder = TopicEncoder(spec, device="cpu")
    os.utime(model / "config.json")
    vectors = encoder.encode_queries(TEXTS)
    assert vectors == pytest.approx(Encoder(spec, device="cpu").encode_queries(TEXTS), abs=1e-6)
    assert not cache.exists()


def test_it_can_be_switched_off(model, cache, monkeypatch):
    spec = EncoderSpec(str(model), pooling="cls")
    TopicEncoder(spec, device="cpu", keep=False).encode_queries(TEXTS)
    monkeypatch.setenv("XQG_TOPIC_CACHE", "off")
    TopicEncoder(spec, device="cpu").encode_queries(TEXTS)
    assert not cache.exists()


@pytest.fixture
def index(model, corpus_and_queries, tmp_path):
    corpus, queries = corpus_and_queries
    encoder = Encoder(EncoderSpec(str(model), pooling="cls"), device="cpu")
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    build_index(Store([tmp_path / "store"]), tmp_path / "i", Fusion("mean", 0.5))
    return tmp_path / "i"


def test_kept_vectors_are_checked_against_the_index(index, no_model):
    open_encoder(index, device="cpu").encode_queries(TEXTS)
    manifest = json.loads((index / "xqg.json").read_text())
    probe = manifest["probes"][0]
    probe["vector"] = probe["vector"][::-1]
    (index / "xqg.json").write_text(json.dumps(manifest))
    with pytest.raises(XqgError, match="was built with another encoder .* is the weights"):
        open_encoder(index, device="cpu")
    probe["vector"] = probe["vector"][::-1]
    (index / "xqg.json").write_text(json.dumps(manifest))
    no_model()
    open_encoder(index, device="cpu").encode_queries(TEXTS)
    probe["text"] = "w30 w31"  # of another index: nothing is known of it
    (index / "xqg.json").write_text(json.dumps(manifest))
    with pytest.raises(AssertionError, match="a model is loaded"):
        open_encoder(index, device="cpu")


def test_a_second_search_is_without_torch(index, write_jsonl):
    topics = write_jsonl("t.jsonl", [{"qid": "1", "title": "w1 w2"}, {"qid": "2", "title": "w3"}])
    words = ["--index", str(index), "--topics", str(topics), "--output"]
    script = (
        "import sys; from pyserini_xqg.search.__main__ import main; main(sys.argv[1:])\n"
        "print('torch' in sys.modules)"
    )
    for name, expected in (("one", "True"), ("two", "False")):
        done = subprocess.run(
            [sys.executable, "-c", script, *words, str(index / name)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == expected
    assert (index / "one").read_bytes() == (index / "two").read_bytes()
