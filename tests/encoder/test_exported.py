"""The query side without torch, beside the one with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pyserini_xqg.encoder import exported as exporteds
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.exported import open_exported
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.encoder.vector_cache import identity

TEXTS = ["w1 w2", "", "w3 w4 w5 w6 w7 w8", " ".join(f"w{i}" for i in range(50)), "x ?"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSERINI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["PYSERINI_CACHE"])


@pytest.fixture(scope="module")
def once(model_dir, cache, tmp_path_factory):
    """A folder whose export, which takes long to make, is in the cache."""
    pytest.importorskip("onnxscript", reason="needed to export a model")
    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(model_dir, folder)
    Encoder(EncoderSpec(str(folder), pooling="cls", backend="onnx"))
    return folder


@pytest.fixture
def folder(once, cache, tmp_path):
    """A copy, which no light encoder has been made of yet."""
    shutil.copytree(once, tmp_path / "model")
    for path in cache.glob("xqg-onnx-*/topics-*"):
        path.unlink()
    return tmp_path / "model"


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"pooling": "mean", "l2_norm": True}, {"pooling": "last", "query_prefix": "w9 "},
     {"query_max_length": 5}],
)  # fmt: skip
def test_the_vectors_are_those_of_torch(folder, settings, padding):
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "padding_side": padding}))
    spec = EncoderSpec(str(folder), **{"pooling": "cls", "backend": "onnx", **settings})
    encoder = Encoder(spec, batch_size=2)
    light = open_exported(spec, identity(spec), batch_size=2)
    for length in (None, 7, 5000):
        found, expected = light.encode_queries(TEXTS, length), encoder.encode_queries(TEXTS, length)
        assert found == pytest.approx(expected, abs=1e-5)
        assert found.dtype == expected.dtype
    if padding == "right":  # BERT counts the padding on the left as positions
        plain = Encoder(replace(spec, backend="torch"), device="cpu").encode_queries(TEXTS)
        assert light.encode_queries(TEXTS) == pytest.approx(plain, abs=1e-4)


def test_torch_is_not_imported(folder):
    spec = EncoderSpec(str(folder), pooling="cls", backend="onnx")
    expected = Encoder(spec).encode_queries(TEXTS)
    script = (
        "import json, sys\n"
        "from pyserini_xqg.encoder.spec import EncoderSpec\n"
        "from pyserini_xqg.encoder.topic_encoder import TopicEncoder\n"
        "encoder = TopicEncoder(EncoderSpec(sys.argv[1], pooling='cls', backend='onnx'))\n"
        "print(json.dumps(encoder.encode_queries(json.loads(sys.argv[2])).tolist()))\n"
        "print(sorted({'torch', 'transformers'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), json.dumps(TEXTS)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    vectors, imported = done.stdout.splitlines()
    assert imported == "[]"
    assert json.loads(vectors) == [pytest.approx(row, abs=1e-5) for row in expected.tolist()]


@pytest.mark.parametrize("change", ["weights", "export", "tokenizer", "no tokenizer", "setting"])
def test_what_changed_is_computed_by_torch(folder, cache, change):
    spec = EncoderSpec(str(folder), pooling="cls", backend="onnx")
    Encoder(spec)
    assert open_exported(spec, identity(spec)) is not None
    (about,) = cache.glob("xqg-onnx-*/topics-*.json")
    tokenizer = about.parent / json.loads(about.read_text())["tokenizer"]
    if change == "weights":
        os.utime(folder / "model.safetensors")
    elif change == "export":
        os.utime(about.parent / "model.onnx")
    elif change == "tokenizer":
        tokenizer.write_text(tokenizer.read_text().replace('"w1"', '"wx"'))
    elif change == "no tokenizer":
        tokenizer.unlink()
    else:
        spec = replace(spec, query_prefix="w1 ")
    assert open_exported(spec, identity(spec)) is None
    found = TopicEncoder(spec).encode_queries(TEXTS)
    assert found == pytest.approx(Encoder(spec).encode_queries(TEXTS), abs=1e-6)


def test_an_encoder_that_has_more_to_it(folder, monkeypatch):
    monkeypatch.setitem(exporteds._POOL, "cls", exporteds._POOL["mean"])
    spec = EncoderSpec(str(folder), pooling="cls", backend="onnx")
    Encoder(spec)
    assert open_exported(spec, identity(spec)) is None
