from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import odd_models as odd
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder import hub
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.hub import Named, model_folder, wanted
from pyserini_xqg.encoder.loading import load_config, load_tokenizer
from pyserini_xqg.encoder.spec import EncoderSpec

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A server that answers as the hub does, of one model, or with one status to everything."""

    def __init__(self, folder=None, status=200):
        self.asked = asked = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, content=b"", **headers):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def do_GET(self):
                asked.append(self.path)
                if status != 200:
                    return self.answer(status)
                if self.path.startswith("/api/"):
                    files = [{"rfilename": str(file.relative_to(folder))}
                             for file in sorted(folder.rglob("*")) if file.is_file()]  # fmt: skip
                    info = {"id": "org/model", "sha": SHA, "siblings": files}
                    return self.answer(200, json.dumps(info).encode())
                content = (folder / self.path.split("/", 5)[5]).read_bytes()
                etag = hashlib.sha1(content).hexdigest()
                return self.answer(200, content, ETag=f'"{etag}"', X_Repo_Commit=SHA)

            do_HEAD = do_GET  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def models_asked(self):
        """Without what the hub's library asks for reasons of its own."""
        return [path for path in self.asked if "/model" in path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a hub that nothing answers for."""
    from huggingface_hub import constants

    hub._fetched.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    yield tmp_path / "cache"
    hub._fetched.cache_clear()


def fill(cache, model_dir):
    repository = cache / "models--org--model"
    odd.copy_of(model_dir, repository / "snapshots" / SHA)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(SHA)


@pytest.mark.parametrize("status", [500, 503, 429, 200])
def test_a_hub_that_does_not_answer_is_asked_once(cache, monkeypatch, status):
    from huggingface_hub import constants

    server = Hub(status=status)  # 200: something answers that is no hub
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    try:
        for load in (load_config, load_tokenizer):
            server.asked.clear()
            with pytest.raises(XqgError, match="hub does not answer .*, and the cache") as caught:
                load(Named("org/model", option="--generator", what="generator"))
            assert len(server.models_asked()) == 1
            assert str(caught.value).startswith("cannot load the generator 'org/model': ")
            assert "\n" not in str(caught.value)
    finally:
        server.close()


def test_what_the_cache_holds_needs_no_hub(cache, model_dir):
    with pytest.raises(XqgError, match="the hub does not answer"):
        Encoder(EncoderSpec("org/model", pooling="cls"), device="cpu")
    fill(cache, model_dir)
    found = Encoder(EncoderSpec("org/model", pooling="cls"), device="cpu").encode_queries(["w1 w2"])
    expected = Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu").encode_queries(
        ["w1 w2"]
    )
    assert (found == expected).all()


def test_offline_by_the_hubs_own_variable(cache, model_dir, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(XqgError, match=r"does not answer \(offline, as HF_HUB_OFFLINE says\)"):
        model_folder(Named("org/model"))
    fill(cache, model_dir)
    assert model_folder(Named("org/model")).name == SHA


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "no such folder, and no such model on the hub"), (403, "accepted its terms")],
)
def test_what_the_hub_refuses(cache, monkeypatch, status, message):
    from huggingface_hub import constants

    server = Hub(status=status)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    try:
        with pytest.raises(XqgError, match=message):
            model_folder(Named("org/model"))
        assert len(server.models_asked()) == 1
    finally:
        server.close()


def test_no_name_for_the_hub(cache):
    with pytest.raises(XqgError, match="no such folder, and no name for the hub"):
        model_folder(Named("my model"))
    assert EncoderSpec.resolve("my model").sources == {}


def test_a_cached_name_says_how_it_pools(cache, model_dir):
    assert "pooling" not in EncoderSpec.resolve("org/model").sources
    odd.sentence_transformer(model_dir, cache / "made")
    fill(cache, cache / "made")
    spec = EncoderSpec.resolve("org/model")
    assert (spec.model, spec.pooling, spec.sources["pooling"]) == ("org/model", "mean", "folder")


def test_which_files_are_fetched():
    files = [
        "config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "mine.py",
        "1_Pooling/config.json", "2_Dense/pytorch_model.bin", "onnx/model.json", "tokenizer.json",
        "spiece.model", "colbert_linear.pt", ".gitattributes", "optimizer.bin",
    ]  # fmt: skip
    assert wanted(files, code=False) == [
        "1_Pooling/config.json", "2_Dense/pytorch_model.bin", "config.json", "model.safetensors",
        "spiece.model", "tokenizer.json",
    ]  # fmt: skip
    assert "mine.py" in wanted(files, code=True)
    assert "pytorch_model.bin" in wanted(["config.json", "pytorch_model.bin"], code=False)


def test_a_model_of_the_hub_is_read_as_a_folder_is(model_dir, tmp_path):
    """With real downloads, from a server on this machine; the second start fetches nothing."""
    odd.sentence_transformer(model_dir, tmp_path / "st", dense=8)
    server, vectors = Hub(tmp_path / "st"), tmp_path / "vectors.npy"
    program = (
        "import sys, numpy\n"
        "from pyserini_xqg.encoder.encoder import Encoder\n"
        "from pyserini_xqg.encoder.hub import Named, model_folder\n"
        "from pyserini_xqg.encoder.spec import EncoderSpec\n"
        "model_folder(Named('org/model'))\n"
        "encoder = Encoder(EncoderSpec.resolve('org/model'), device='cpu')\n"
        "numpy.save(sys.argv[1], encoder.encode_queries(['w1 w2']))\n"
    )
    environment = {
        **os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "0",
    }  # fmt: skip
    import numpy as np

    expected = Encoder(EncoderSpec.resolve(str(tmp_path / "st")), device="cpu")
    try:
        for start in range(2):
            server.asked.clear()
            done = subprocess.run(
                [sys.executable, "-c", program, str(vectors)],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert done.stderr == ""
            assert np.array_equal(np.load(vectors), expected.encode_queries(["w1 w2"]))
            if start:
                last = ["/api/models/org/model", "/org/model/resolve/main/config.json"]
                assert server.models_asked() == last
    finally:
        server.close()
