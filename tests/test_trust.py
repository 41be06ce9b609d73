"""What was downloaded decides neither that its code runs nor what is written elsewhere."""

from __future__ import annotations

import json
import pickle
import shutil

import odd_models as odd
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.leftovers import tidy
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.search.__main__ import main as search
from pyserini_xqg.store.columns import Column
from pyserini_xqg.store.store import Store
from pyserini_xqg.verify.__main__ import main as verify


def says_trust(file, *keys):
    """Let a file say that its encoder's code may run."""
    content = json.loads(file.read_text())
    inner = content
    for key in keys:
        inner = inner[key]
    inner["trust_remote_code"] = True
    file.write_text(json.dumps(content))


@pytest.fixture
def with_code(model_dir, tmp_path):
    """A model with Python of its own, which leaves a mark where it runs."""
    folder, mark = odd.copy_of(model_dir, tmp_path / "with-code"), tmp_path / "ran"
    (folder / "mine.py").write_text(
        f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
        "from transformers import BertConfig, BertModel\n"
        "class MineConfig(BertConfig):\n    model_type = 'mine'\n"
        "class Mine(BertModel):\n    config_class = MineConfig\n"
    )
    names = {"AutoConfig": "mine.MineConfig", "AutoModel": "mine.Mine"}
    odd.change_json(folder / "config.json", model_type="mine", auto_map=names)
    return folder, mark


def test_no_file_stands_in_for_the_users_flag(
    with_code, encoder, corpus_and_queries, tmp_path, write_jsonl, capsys
):
    folder, mark = with_code
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    build_index(Store([tmp_path / "store"]), tmp_path / "index", Fusion("mean", 0.5))
    for file in (tmp_path / "store/manifest.json", tmp_path / "index/xqg.json"):
        says_trust(file, "encoder")
    (folder / "xqg_encoder.json").write_text('{"pooling": "cls", "trust_remote_code": true}')

    assert not hasattr(Store([tmp_path / "store"]).encoder, "trust_remote_code")
    with pytest.raises(XqgError, match="say --trust-remote-code in this very command"):
        Encoder(EncoderSpec.resolve(str(folder)), device="cpu")
    topics = write_jsonl("t.jsonl", [{"qid": "1", "title": "w1 w2", "lang": "te"}])
    asked = ["--index", str(tmp_path / "index"), "--topics", str(topics), "--device", "cpu",
             "--encoder", str(folder), "--output", str(tmp_path / "run")]  # fmt: skip
    with pytest.raises(XqgError, match="say --trust-remote-code in this very command"):
        search(asked)
    with pytest.raises(SystemExit):
        verify([str(tmp_path / "index"), "--encoder", str(folder), "--device", "cpu"])
    assert "say --trust-remote-code in this very command" in capsys.readouterr().out
    assert not mark.exists()
    search([*asked, "--trust-remote-code"])
    assert mark.exists()
    assert (tmp_path / "run").read_text().startswith("1 Q0 ")


@pytest.mark.parametrize("place", ["../elsewhere", "/tmp/elsewhere", "..", "te/../../x"])
@pytest.mark.parametrize("where", ["routes", "fallback", "languages"])
def test_an_index_names_nothing_outside_itself(encoder, corpus_and_queries, tmp_path, place, where):
    if not (tmp_path / "routed").exists():
        corpus, queries = corpus_and_queries
        encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
        build_routed(Store([tmp_path / "store"]), tmp_path / "routed", Fusion("mean", 0.5))
    manifest = read_manifest(tmp_path / "routed")
    shutil.copytree(tmp_path / "routed", tmp_path / "changed")
    changes = {"routes": {"te": place}, "fallback": place, "languages": {place: 3}}
    file = tmp_path / "changed/xqg.json"
    file.write_text(json.dumps({**manifest, where: changes[where]}))
    with pytest.raises(XqgError, match=r"xqg.json names .*, which is no name inside its folder"):
        read_manifest(tmp_path / "changed")


def test_a_store_names_nothing_outside_itself(encoder, corpus_and_queries, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    file = tmp_path / "store/manifest.json"
    manifest = json.loads(file.read_text())
    manifest["queries"] = {"../../x": 3}
    file.write_text(json.dumps(manifest))
    with pytest.raises(XqgError, match=r"manifest.json names '../../x', which is no name inside"):
        Store([tmp_path / "store"])


def test_a_list_of_leftovers_removes_nothing_else(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out").mkdir()
    for name in ("passages.npy", "plan.json"):
        (tmp_path / "out" / name).write_text("")
    listed = ["../mine", str(tmp_path / "mine"), "passages.npy", "plan.json"]
    (tmp_path / "out/leftovers.json").write_text(json.dumps(listed))
    tidy(tmp_path / "out")
    assert (tmp_path / "mine").exists()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["passages.npy"]


def test_an_unfinished_output_truncates_nothing_else(tmp_path):
    (tmp_path / "mine").write_text("mine")
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "plan.json").write_text("{}")
    log = {"rows": 1, "sizes": {"../mine": 0}, "digests": {}}
    (partial / "blocks.jsonl").write_text(json.dumps(log) + "\n")
    with (
        OutputFolder(tmp_path / "out", "m.json") as folder,
        pytest.raises(XqgError, match=r"blocks.jsonl names '../mine', which is no name inside"),
    ):
        folder.start({}, {"a": b""})
    assert (tmp_path / "mine").read_text() == "mine"


def test_no_column_is_a_pickle(tmp_path):
    import numpy as np

    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    file = tmp_path / "passages.npy"
    np.save(file, np.array([[Harmful()]], dtype=object), allow_pickle=True)
    with pytest.raises(XqgError, match="pickled objects, which are not read"):
        Column(file, 1)
    file.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(XqgError, match="damaged"):
        Column(file, 1)
    assert not (tmp_path / "written").exists()
