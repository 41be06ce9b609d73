from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode import blocks
from pyserini_xqg.encode.__main__ import main
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encode.vector_sources import open_vectors
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.index.build import build_index
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store import sample
from pyserini_xqg.store.store import Store
from pyserini_xqg.verify.__main__ import verify
from pyserini_xqg.verify.check import Settings


@pytest.fixture
def inputs(corpus_and_queries, write_jsonl):
    """A corpus and two files of queries: the second has another language, too."""
    corpus, first = corpus_and_queries
    docids = [json.loads(line)["docid"] for line in corpus.read_text().splitlines()]
    second = write_jsonl(
        "more.jsonl",
        (
            {"docid": docid, "generated_queries": {"te": [f"w{i % 60} w9"], "fi": [f"w{i % 7}"]}}
            for i, docid in enumerate(docids)
            if i % 3
        ),
    )
    return corpus, first, second


@pytest.mark.parametrize("keep", [False, True])
def test_added_is_as_encoded_at_once(inputs, encoder, tmp_path, monkeypatch, keep):
    monkeypatch.setattr(sample, "LEAST", 40)  # so that not all are drawn
    corpus, first, second = inputs
    keeping = {"keep_queries": keep}
    encode_corpus(corpus, tmp_path / "a", encoder, queries=[first], **keeping)
    encode_corpus(corpus, tmp_path / "all", encoder, queries=[first, second], **keeping)
    calls = []
    monkeypatch.setattr(Encoder, "encode_passages", lambda *_: calls.append(1))
    encode_corpus(None, tmp_path / "b", encoder, vectors=open_vectors(tmp_path / "a"),
                  queries=[second], add=True, **keeping)  # fmt: skip
    assert not calls
    added, whole = Store([tmp_path / "b"]), Store([tmp_path / "all"])
    assert (added.languages, added.queries) == (whole.languages, whole.queries)
    assert added.sample_rates == whole.sample_rates
    assert min(added.sample_rates.values()) < 1
    for one, other in zip(
        added.blocks(keep=keep, sample=True), whole.blocks(keep=keep, sample=True), strict=True
    ):
        assert one.docids == other.docids
        np.testing.assert_array_equal(one.passages, other.passages)
        for code in whole.languages:
            np.testing.assert_array_equal(one.counts[code], other.counts[code])
            np.testing.assert_allclose(one.sums[code], other.sums[code], atol=1e-5)
            np.testing.assert_array_equal(one.sample[code].counts, other.sample[code].counts)
            np.testing.assert_allclose(
                one.sample[code].vectors, other.sample[code].vectors, atol=1e-5
            )
            if keep:
                np.testing.assert_allclose(one.queries[code], other.queries[code], atol=1e-5)
    assert [probe["language"] for probe in added.manifest["probes"]] == ["ar", "te", "und", "fi"]
    checks = {check.verdict for check in verify(tmp_path / "b", Settings(probe=False))}
    assert checks == {"ok", "skipped"}
    build_index(added, tmp_path / "i", Fusion("mean", 0.3))


def test_by_command_and_resumed(inputs, encoder, tmp_path, monkeypatch):
    corpus, first, second = inputs
    encode_corpus(corpus, tmp_path / "a", encoder, queries=[first], dtype="float16")
    command = ["input", "--vectors", str(tmp_path / "a"), "output", "--embeddings",
               str(tmp_path / "b"), "encoder", "--device", "cpu", "xqg", "--queries", str(second),
               "--add"]  # fmt: skip
    real = blocks.encode_generated

    def breaking(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(blocks, "encode_generated", breaking)
    with pytest.raises(KeyboardInterrupt):
        main(command)
    assert not (tmp_path / "b").exists()
    monkeypatch.setattr(blocks, "encode_generated", real)
    main(command)
    assert Store([tmp_path / "b"]).manifest["dtype"] == "float16"
    assert Store([tmp_path / "b"]).queries["fi"] == 20


def test_what_is_refused(inputs, encoder, tmp_path, write_jsonl):
    corpus, first, second = inputs
    encode_corpus(corpus, tmp_path / "a", encoder, queries=[first])
    vectors = open_vectors(tmp_path / "a")

    def add(queries=second, encoder=encoder, **options):
        encode_corpus(None, tmp_path / "b", encoder, vectors=vectors, queries=[queries], add=True,
                      **options)  # fmt: skip

    other = Encoder(replace(encoder.spec, query_prefix="query: "), device="cpu")
    with pytest.raises(XqgError, match="other settings: query_prefix is 'query: ', not ''"):
        add(encoder=other)
    with pytest.raises(XqgError, match="holds sums only, so --keep-queries cannot"):
        add(keep_queries=True)
    with pytest.raises(XqgError, match="leave --to-faiss and --shard-num out"):
        add(to_faiss=Fusion("mean", 0.3))
    unknown = write_jsonl("u.jsonl", [{"docid": "nowhere", "generated_queries": {"te": ["w1"]}}])
    with pytest.raises(XqgError, match="nowhere"):
        add(queries=unknown)
    with pytest.raises(XqgError, match="name it with input --vectors STORE"):
        encode_corpus(corpus, tmp_path / "b", encoder, queries=[second], add=True)
    assert not (tmp_path / "b").exists()


def test_the_same_queries_are_not_added_twice(inputs, encoder, tmp_path):
    corpus, first, _ = inputs
    encode_corpus(corpus, tmp_path / "a", encoder, queries=[first], languages=["te"])
    again = {"vectors": open_vectors(tmp_path / "a"), "add": True, "queries": [first]}
    with pytest.raises(XqgError, match="a has these queries in te already"):
        encode_corpus(None, tmp_path / "b", encoder, **again)
    encode_corpus(None, tmp_path / "c", encoder, **again, languages=["ar"])
    again["vectors"] = open_vectors(tmp_path / "c")
    with pytest.raises(XqgError, match="c has these queries in ar te already"):
        encode_corpus(None, tmp_path / "d", encoder, **again)
