"""Stock Pyserini commands started by `run`, with encoders that are known by hand."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.run import run_module

#: What the encoders below make of a text. Docids and topic ids are the ones that get lost easily.
VECTORS = {"north": [1.0, 0.0], "east": [0.0, 1.0], "north-east": [0.8, 0.7]}
PASSAGES = {"-1018987027025691298": "north", "007": "east", "12#3": "north-east"}
BEST = ["-1018987027025691298", "12#3", "007"]


@pytest.fixture
def calls(monkeypatch):
    """A plugin whose encoders keep what Pyserini calls them with."""
    kept = []

    class Documents:
        def __init__(self, **settings):
            kept.append(("documents", settings))

        def encode(self, **settings):
            kept.append(("encode", settings))
            return np.array([VECTORS[text] for text in settings["texts"]], dtype=np.float32)

    class Queries:
        def __init__(self, **settings):
            kept.append(("queries", settings))

        def encode(self, text):
            kept.append(("encode", text))
            return np.array(VECTORS[text], dtype=np.float32)

        def encode_batch(self, texts):
            kept.append(("encode_batch", list(texts)))
            return np.array([VECTORS[text] for text in texts], dtype=np.float32)

    def register():
        from pyserini import encode

        monkeypatch.setitem(encode.document_encoder_class_map, "xqg", Documents)
        monkeypatch.setitem(encode.query_encoder_class_map, "xqg", Queries)

    plugin = ModuleType("pyserini_xqg.plugin")
    plugin.register = register
    monkeypatch.setitem(sys.modules, "pyserini_xqg.plugin", plugin)
    return kept


@pytest.fixture
def no_plugin(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyserini_xqg.plugin", None)  # importing it is an error


def encode(tmp_path, *more):
    corpus = tmp_path / "corpus.jsonl"
    rows = [json.dumps({"id": docid, "text": text}) for docid, text in PASSAGES.items()]
    corpus.write_text("\n".join(rows))
    index = tmp_path / "index"
    run_module(
        "pyserini.encode",
        ["input", "--corpus", str(corpus), "--fields", "text",
         "output", "--embeddings", str(index), "--to-faiss",
         "encoder", "--encoder", "a/model", "--encoder-class", "xqg", "--device", "cpu",
         "--fields", "text", "--dimension", "2", "--batch-size", "2", *more],
    )  # fmt: skip
    return index


def search(tmp_path, index, *more, encoder_class="xqg"):
    topics = tmp_path / "topics.tsv"
    topics.write_text("te-007\tnorth\nte-008\teast\n")
    output = tmp_path / "run.txt"
    run_module(
        "pyserini.search.faiss",
        ["--index", str(index), "--topics", str(topics), "--output", str(output),
         "--encoder", "a/sentence-model", "--encoder-class", encoder_class, *more],
    )  # fmt: skip
    rows = [line.split() for line in output.read_text().splitlines()]
    assert [row[0] for row in rows] == ["te-007"] * 3 + ["te-008"] * 3
    return [row[2] for row in rows], [float(row[4]) for row in rows]


def test_encode_accepts_our_class(tmp_path, calls):
    index = encode(tmp_path)
    assert (index / "docid").read_text().splitlines() == list(PASSAGES)
    assert calls == [
        ("documents", {"model_name": "a/model", "device": "cpu"}),
        ("encode", {"texts": ["north", "east"], "fp16": False, "max_length": 256,
                    "add_sep": False}),
        ("encode", {"texts": ["north-east"], "fp16": False, "max_length": 256,
                    "add_sep": False}),
    ]  # fmt: skip


def test_search_accepts_our_class(tmp_path, calls):
    index = encode(tmp_path)
    calls.clear()
    docids, scores = search(tmp_path, index)
    assert docids == [*BEST, "007", "12#3", "-1018987027025691298"]
    assert scores == pytest.approx([1, 0.8, 0, 1, 0.7, 0])
    # Pooling and norm come uncalled for, because the encoder's name holds "sentence".
    assert calls == [
        ("queries", {"encoder_dir": "a/sentence-model", "tokenizer_name": None, "device": "cpu",
                     "prefix": None, "fp16": False, "pooling": "mean", "l2_norm": True}),
        ("encode", "north"),
        ("encode", "east"),
    ]  # fmt: skip


def test_search_in_batches(tmp_path, calls):
    index = encode(tmp_path)
    calls.clear()
    docids, _ = search(tmp_path, index, "--batch-size", "2", "--threads", "2")
    assert docids[:3] == BEST
    assert calls[1:] == [("encode_batch", ["north", "east"])]


@pytest.mark.parametrize("more", [(), ("--batch-size", "2", "--threads", "2")])
def test_search_with_feedback(tmp_path, calls, more):
    index = encode(tmp_path)
    _, scores = search(
        tmp_path, index, "--prf-depth", "1", "--prf-method", "rocchio",
        "--rocchio-alpha", "1", "--rocchio-beta", "0.5", "--rocchio-topk", "1", *more,
    )  # fmt: skip
    # Half of the best passage, which is the same as the topic, is added to the topic.
    assert scores == pytest.approx([1.5, 1.2, 0, 1.5, 1.05, 0])


def test_search_with_one_lucene_and_one_faiss_index(tmp_path, calls):
    index = encode(tmp_path)
    corpus = tmp_path / "lucene"
    corpus.mkdir()
    rows = [json.dumps({"id": docid, "contents": text}) for docid, text in PASSAGES.items()]
    (corpus / "docs.jsonl").write_text("\n".join(rows))
    run_module(
        "pyserini.index.lucene",
        ["--collection", "JsonCollection", "--input", str(corpus), "--index",
         str(tmp_path / "bm25"), "--generator", "DefaultLuceneDocumentGenerator"],
    )  # fmt: skip
    (tmp_path / "topics.tsv").write_text("te-007\tnorth\n")
    run_module(
        "pyserini.search.hybrid",
        ["dense", "--index", str(index), "--encoder", "a/model", "--encoder-class", "xqg",
         "sparse", "--index", str(tmp_path / "bm25"),
         "fusion", "run", "--topics", str(tmp_path / "topics.tsv"),
         "--output", str(tmp_path / "run.txt")],
    )  # fmt: skip
    ranking = [line.split()[2] for line in (tmp_path / "run.txt").read_text().splitlines()]
    assert ranking == BEST


def test_other_classes_are_still_refused(tmp_path, calls, capsys):
    index = encode(tmp_path)
    with pytest.raises(SystemExit) as stop:
        search(tmp_path, index, encoder_class="xqq")
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "invalid choice: 'xqq'" in said
    assert "mmeb" in said
    assert "xqg" in said


def test_what_was_changed_is_put_back(tmp_path, calls):
    stock, argv = argparse.ArgumentParser.add_argument, sys.argv
    encode(tmp_path)
    assert argparse.ArgumentParser.add_argument is stock
    assert sys.argv is argv


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of one's own, to be written."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"module_{abs(hash(tmp_path))}"
    return tmp_path / f"{name}.py"


def test_it_is_as_if_by_python_m(module, no_plugin, capsys):
    module.write_text(
        "import sys\n"
        "print(__name__, sys.modules['__main__'].__dict__ is globals(), sys.argv)\n"
        "raise SystemExit(7)\n"
    )
    with pytest.raises(SystemExit) as stop:
        run_module(module.stem, ["--help", "x"])
    assert stop.value.code == 7
    assert capsys.readouterr().out == f"__main__ True {[str(module), '--help', 'x']}\n"


@pytest.mark.parametrize("name", ["pyserini.search.nothing", "nothing.at.all", "nothing", ""])
def test_a_module_that_is_not_there(name):
    with pytest.raises(XqgError, match=f"^no module named '{name}'; expected one that"):
        run_module(name)


def test_what_a_module_misses_is_not_the_module(module):
    module.write_text("import not_there\n")
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        run_module(module.stem)


def test_what_its_package_misses_is_not_the_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package/__init__.py").write_text("import not_there\n")
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        run_module("a_package.module")


def test_no_java_stack_trace(tmp_path):
    (tmp_path / "topics.tsv").write_text("te-007\tnorth\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(XqgError) as caught:
        run_module(
            "pyserini.search.lucene",
            ["--index", str(tmp_path / "empty"), "--topics", str(tmp_path / "topics.tsv"),
             "--output", str(tmp_path / "run.txt")],
        )  # fmt: skip
    assert str(caught.value).startswith("pyserini.search.lucene: JVM exception occurred: ")
    assert str(tmp_path / "empty") in str(caught.value)
    assert "\n" not in str(caught.value)


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pyserini_xqg.run", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_as_a_command_beside_an_old_java(tmp_path):
    """trec_eval starts ``java`` as a program of its own."""
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho too old >&2\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "qrels").write_text("te-007 0 007 1\n")
    (tmp_path / "run").write_text("te-007 Q0 12#3 1 2.0 x\nte-007 Q0 007 2 1.0 x\n")
    done = command(
        "--heap", "200m", "pyserini.eval.trec_eval", "-c", "-m", "recip_rank",
        str(tmp_path / "qrels"), str(tmp_path / "run"),
        PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}", JAVA_HOME="",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["recip_rank", "all", "0.5000"]


def test_a_mistake_is_one_line():
    done = command("nothing.at.all")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no module named 'nothing.at.all'; ")
    assert done.stderr.count("\n") == 1
