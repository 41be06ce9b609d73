from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
from texts import TEXTS

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import cache_folder
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encoder import backends
from pyserini_xqg.encoder.backends import BACKENDS, _cached, _fingerprint
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.index.settings import Fusion


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where exported models go, once a test has asked for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSERINI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["PYSERINI_CACHE"])


@pytest.fixture(scope="module")
def exported(model_dir, cache):
    """The model's folder, where its exports may be used."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnx")
    return model_dir


@pytest.fixture
def fake(monkeypatch, model_dir):
    """A model, and an export that writes nothing."""
    import torch
    from transformers import AutoModel

    for name in ("onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(torch.onnx, "export", lambda *args, **settings: None)
    return AutoModel.from_pretrained(model_dir).eval()


@pytest.mark.parametrize(("backend", "least"), [("onnx", 0.999999), ("onnx-int8", 0.99)])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_vectors_are_those_of_torch(exported, cache, backend, least, pooling):
    plain = Encoder(EncoderSpec(str(exported), pooling=pooling), device="cpu")
    other = Encoder(EncoderSpec(str(exported), pooling=pooling, backend=backend))
    expected, vectors = plain.encode_queries(TEXTS), other.encode_queries(TEXTS)
    assert vectors.dtype == np.float32
    assert cosines(expected, vectors).min() > least
    assert np.array_equal(expected, vectors) is False
    assert np.array_equal(vectors, other.encode_queries(TEXTS))
    long = [" ".join(["w1 w2 w3"] * n) for n in (30, 5)]  # other shapes than it was exported with
    assert cosines(plain.encode_passages(long), other.encode_passages(long)).min() > least
    assert list(cache.glob(f"xqg-{backend}-*/model.onnx"))
    assert not list(cache.glob("*.partial"))
    assert not list(exported.glob("xqg-*"))


def test_an_exported_model_is_made_once(exported, monkeypatch):
    spec = EncoderSpec(str(exported), pooling="cls", backend="onnx")
    Encoder(spec)
    monkeypatch.setitem(sys.modules, "onnx", None)  # not installed where it only runs
    assert Encoder(spec).encode_queries(["w1"]).shape == (1, 16)


def test_an_index_is_opened_with_the_backend_that_made_it(exported, corpus_and_queries, tmp_path):
    from pyserini_xqg.base.java import prepare

    prepare()
    from pyserini_xqg.plugin import XqgQueryEncoder

    corpus, queries = corpus_and_queries
    encoder = Encoder(EncoderSpec(str(exported), pooling="cls", backend="onnx-int8"))
    encode_corpus(corpus, tmp_path / "i", encoder, queries=[queries], to_faiss=Fusion("mean", 0.5))
    opened = XqgQueryEncoder(tmp_path / "i")
    assert opened.encoder.spec.backend == "onnx-int8"
    assert opened.encode("w1 w2") == pytest.approx(encoder.encode_queries(["w1 w2"])[0], abs=1e-6)
    manifest = json.loads((tmp_path / "i/xqg.json").read_text())
    assert "onnxruntime" in manifest["versions"]


def test_the_fingerprint_tells_weights_and_settings_apart(fake):
    import torch

    first = _fingerprint(fake)
    assert _fingerprint(fake) == first
    fake.config.layer_norm_eps = 1e-3
    other = _fingerprint(fake)
    with torch.no_grad():
        fake.encoder.layer[1].output.dense.weight[3, 4] += 1e-3
    assert len({first, other, _fingerprint(fake)}) == 3


def test_the_models_own_python_is_in_the_fingerprint(fake, monkeypatch):
    """Changed, it may compute something else from the same weights."""
    first = _fingerprint(fake)
    monkeypatch.setattr(type(fake), "__module__", "transformers_modules.m.mine")
    monkeypatch.setattr("inspect.getsource", lambda kind: "class One: ...")
    one = _fingerprint(fake)
    monkeypatch.setattr("inspect.getsource", lambda kind: "class Other: ...")
    assert len({first, one, _fingerprint(fake)}) == 3


def test_a_graph_that_came_with_a_model_is_not_run(fake, model_dir, monkeypatch, tmp_path):
    """Whoever made the folder knows the name, too: it follows from the weights."""
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path / "cache"))
    folder = shutil.copytree(model_dir, tmp_path / "model")
    theirs = folder / f"xqg-onnx-{_fingerprint(fake)}" / "model.onnx"
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    (theirs.parent / "topics-0.json").write_text("{}")
    file = _cached("onnx", lambda model, file, name: file.write_text("ours"), fake, str(folder))
    assert file.read_text() == "ours"
    assert file.parent.parent == tmp_path / "cache"


def test_where_it_is_kept(monkeypatch):
    monkeypatch.delenv("PYSERINI_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/x")
    assert str(cache_folder()) == "/home/x/.cache/pyserini_xqg"


@pytest.mark.parametrize("backend", ["onnx", "onnx-int8"])
def test_an_encoder_without_layers_is_refused(tmp_path, backend):
    """The package's own: its export would fail in the middle, in the exporter's words."""
    from pyserini_xqg.demo import TINY_ENCODER

    tiny = shutil.copytree(TINY_ENCODER, tmp_path / "tiny")
    before = sorted(tiny.rglob("*"))
    with pytest.raises(XqgError, match=f"/tiny has token vectors and no layers.* {backend} to .*;"):
        Encoder(EncoderSpec.resolve(str(tiny), backend=backend))
    assert sorted(tiny.rglob("*")) == before


def test_two_at_once_make_it_once(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))
    made, files = [], []

    def make(model, file, name):
        made.append(file)
        time.sleep(0.2)
        file.write_text("whole")

    def one():
        files.append(_cached("onnx", make, fake, str(tmp_path)))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(files)) == 1
    assert files[0].read_text() == "whole"


def test_what_was_half_made_is_never_taken(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))

    def breaks(model, file, name):
        file.write_text("half")
        raise OSError("No space left on device")

    def works(model, file, name):
        assert not list(file.parent.iterdir())
        file.write_text("whole")

    with pytest.raises(OSError, match="No space left"):
        _cached("onnx", breaks, fake, str(tmp_path))
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    killed = tmp_path / f"xqg-onnx-{_fingerprint(fake)}.partial"
    killed.mkdir()
    (killed / "model.onnx").write_text("half")
    assert _cached("onnx", works, fake, str(tmp_path)).read_text() == "whole"


def test_an_export_that_gives_other_vectors_is_refused(fake, monkeypatch, tmp_path):
    """As the older exporter of torch does, which leaves the attention mask out."""
    import torch

    def without_mask(file):
        return lambda ids, mask: BACKENDS["torch"].load(fake, "m", "cpu")(ids, mask * 0 + 1)

    monkeypatch.setattr(backends, "_session", without_mask)
    with torch.inference_mode(), pytest.raises(XqgError, match="m as exported .* other vectors"):
        backends._export(fake, tmp_path / "model.onnx", "m")


def test_what_cannot_be_exported_is_refused(fake, monkeypatch, tmp_path):
    import torch

    def fails(*args, **settings):
        raise TypeError("no such operator\nand a long report")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(XqgError, match=r"m cannot be exported to ONNX \(no such operator\); take"):
        backends._export(fake, tmp_path / "model.onnx", "m")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        XqgError, match=r"needs the package onnxscript: pip install 'pyserini_xqg\["
    ):
        backends._export(fake, tmp_path / "model.onnx", "m")


def test_only_on_the_cpu(model_dir):
    with pytest.raises(XqgError, match="--backend onnx is for the CPU, not for cuda:0"):
        Encoder(EncoderSpec(str(model_dir), pooling="cls", backend="onnx"), device="cuda:0")


def test_packed_layers_give_the_same_and_are_left_where_they_cannot_be(fake, monkeypatch):
    import torch

    ids, mask = backends._batch(fake, 3, 7)
    with torch.inference_mode():
        expected = backends._plain(fake)(ids, mask)
        monkeypatch.setattr(torch.ops, "mkldnn", types.SimpleNamespace())  # another torch
        assert torch.equal(BACKENDS["torch"].load(fake, "m", "cpu")(ids, mask), expected)
        monkeypatch.undo()
        packed = BACKENDS["torch"].load(fake, "m", "cpu")(ids, mask)
    assert torch.allclose(packed, expected, atol=1e-5)
