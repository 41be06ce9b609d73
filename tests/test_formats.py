"""Stores and indexes as they were written before the package had rooms: they open, answer alike.

``formats.zip`` holds one of each kind with the runs that were searched on them then.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from pyserini_xqg.demo import TINY_ENCODER
from pyserini_xqg.index.__main__ import main as index
from pyserini_xqg.search.__main__ import main as search
from pyserini_xqg.store.store import Store

KINDS = ("faiss", "routed", "max-sim", "lucene-flat", "bm25")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("formats")
    with zipfile.ZipFile(Path(__file__).with_name("formats.zip")) as packed:
        packed.extractall(path)
    return path


def read(path):
    return [
        (qid, docid, float(score))
        for qid, _, docid, _, score, _ in map(str.split, path.read_text().splitlines())
    ]


def assert_same(found, before):
    assert [hit[:2] for hit in found] == [hit[:2] for hit in before]
    assert [hit[2] for hit in found] == pytest.approx([hit[2] for hit in before], abs=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_written_before_answers_alike(kind, folder, tmp_path):
    encoder = [] if kind == "bm25" else ["--encoder", str(TINY_ENCODER)]
    search(
        ["--index", str(folder / kind), "--topics", str(folder / "topics.jsonl"),
         "--output", str(tmp_path / "run"), *encoder]
    )  # fmt: skip
    assert_same(read(tmp_path / "run"), read(folder / f"{kind}.run"))


def test_a_store_written_before_gives_the_same_index(folder, tmp_path):
    assert Store([folder / "store"]).queries == {"fi": 3, "ru": 3}
    index(
        ["--embeddings", str(folder / "store"), "--output", str(tmp_path / "faiss"),
         "--method", "paper", "--alpha", "0.01"]
    )  # fmt: skip
    now, before = ((path / "index").read_bytes() for path in (tmp_path / "faiss", folder / "faiss"))
    assert len(now) == len(before)
    vectors = [np.frombuffer(content[45:], "<f4") for content in (now, before)]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
