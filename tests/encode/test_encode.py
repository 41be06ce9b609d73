from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encode import blocks
from pyserini_xqg.encode.__main__ import main
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.fusion import fuse
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store


def content(path):
    return {entry.name: entry.read_bytes() for entry in sorted(path.iterdir())}


@pytest.fixture
def large(write_jsonl):
    """Three blocks and a bit."""
    rows = 3 * BLOCK + 50
    corpus = ({"docid": f"d{i}", "text": f"w{i % 60} w{i % 7}"} for i in range(rows))
    queries = (
        {"docid": f"d{i}", "generated_queries": {"te": [f"w{i % 50}"] * (i % 3)}}
        for i in reversed(range(rows))
    )
    return write_jsonl("large.jsonl", corpus), write_jsonl("large-q.jsonl", queries)


def test_the_store_holds_what_the_encoder_gives(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries], fields=["title", "text"])
    passages = [json.loads(line) for line in corpus.read_text().splitlines()]
    by_docid = {
        row["docid"]: row["generated_queries"]
        for row in map(json.loads, queries.read_text().splitlines())
    }
    (block,) = Store([tmp_path / "s"]).blocks()
    assert block.docids == [row["docid"] for row in passages]
    for i, row in enumerate(passages):
        expected = encoder.encode_passages([row["text"]], [row["title"]])[0]
        assert block.passages[i] == pytest.approx(expected, abs=1e-5)
        for language in ("ar", "te"):
            texts = by_docid[row["docid"]][language]
            total = sum(
                (encoder.encode_queries([t])[0].astype(np.float64) for t in texts), np.zeros(16)
            )
            assert block.sums[language][i] == pytest.approx(total, abs=1e-5)
            assert block.counts[language][i] == len(texts)


def test_straight_to_faiss_is_the_fused_store(corpus_and_queries, encoder, tmp_path):
    import faiss

    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries])
    encode_corpus(corpus, tmp_path / "i", encoder, queries=[queries],
                  to_faiss=Fusion("mean", 0.4, {"ar": 2.0}, l2_norm=True))  # fmt: skip
    (block,) = Store([tmp_path / "s"]).blocks()
    expected = fuse(block.passages, block.sums, block.counts, method="mean", alpha=0.4,
                    weights={"ar": 2.0}, l2_norm=True)  # fmt: skip
    index = faiss.read_index(str(tmp_path / "i/index"))
    assert index.reconstruct_n(0, index.ntotal) == pytest.approx(expected, abs=1e-6)
    manifest = json.loads((tmp_path / "i/xqg.json").read_text())
    assert (manifest["method"], manifest["alpha"]) == ("mean", 0.4)
    assert manifest["weights"] == {"ar": 2.0, "te": 1.0}
    assert {probe["language"] for probe in manifest["probes"]} == {"ar", "te", "und"}


def test_straight_to_faiss_counts_what_it_encoded(large, encoder, tmp_path, monkeypatch):
    """Not the whole input: not other shards, unknown docids or blank queries; resumed or not."""
    corpus, queries = large
    more = tmp_path / "more.jsonl"
    more.write_text(
        '{"docid": "unknown", "generated_queries": {"te": ["w1", "w2"]}}\n'
        '{"docid": "d3", "generated_queries": {"te": [" ", "w1"]}}\n'
    )
    given = {"queries": [queries, more], "ignore_unknown": True, "shard_num": 2}
    real, done = blocks.encode_blocks, []

    def breaking(*args, **kwargs):
        done.append(kwargs["done"])
        for number, block in enumerate(real(*args, **kwargs)):
            if len(done) == 1 and number == 1:
                raise KeyboardInterrupt
            yield block

    for shard in range(2):
        encode_corpus(corpus, tmp_path / f"s{shard}", encoder, shard_id=shard, **given)
        with monkeypatch.context() as patch:
            done.clear()
            patch.setattr(blocks, "encode_blocks", breaking)
            into = {"to_faiss": Fusion("mean", 0.5), "shard_id": shard, **given}
            with pytest.raises(KeyboardInterrupt):
                encode_corpus(corpus, tmp_path / f"i{shard}", encoder, **into)
            encode_corpus(corpus, tmp_path / f"i{shard}", encoder, **into)
        assert done == [0, 1]
        counted = json.loads((tmp_path / f"i{shard}/xqg.json").read_text())["languages"]
        assert counted == Store([tmp_path / f"s{shard}"]).queries
        assert min(counted.values()) > 0


def test_without_queries(corpus_and_queries, encoder, tmp_path):
    encode_corpus(corpus_and_queries[0], tmp_path / "s", encoder)
    assert Store([tmp_path / "s"]).languages == []


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(large, encoder, tmp_path, monkeypatch):
    corpus, queries = large
    encode_corpus(corpus, tmp_path / "whole", encoder, queries=[queries], keep_queries=True)
    real, calls = blocks.encode_blocks, []

    def breaking(*args, done=0, **kwargs):
        calls.append(done)
        for number, block in enumerate(real(*args, done=done, **kwargs)):
            if len(calls) < 3 and number == 1:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(blocks, "encode_blocks", breaking)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries], keep_queries=True)
        assert not (tmp_path / "s").exists()
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries], keep_queries=True)
    assert calls == [0, 1, 2]  # one block was committed each time
    assert content(tmp_path / "s") == content(tmp_path / "whole")


def test_a_changed_input_is_refused_on_resume(large, encoder, tmp_path, monkeypatch):
    corpus, queries = large

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(blocks, "encode_blocks", stop)
    with pytest.raises(KeyboardInterrupt):
        encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries])
    with open(corpus, "a") as file:
        file.write('{"docid": "new", "text": "w1"}\n')
    with pytest.raises(XqgError, match="begun with other input or settings: inputs was"):
        encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries])


def test_shards_together_are_the_whole(large, encoder, tmp_path):
    corpus, queries = large
    encode_corpus(corpus, tmp_path / "whole", encoder, queries=[queries])
    for shard in range(3):
        encode_corpus(corpus, tmp_path / f"s{shard}", encoder, queries=[queries], shard_id=shard,
                      shard_num=3)  # fmt: skip
    whole = Store([tmp_path / "whole"])
    shards = Store([tmp_path / f"s{shard}" for shard in range(3)])
    assert shards.queries == whole.queries

    def vectors(store, name):
        return np.concatenate(
            [b.passages if name == "passages" else b.sums["te"] for b in store.blocks()]
        )

    assert [d for b in shards.blocks() for d in b.docids] == [
        d for b in whole.blocks() for d in b.docids
    ]
    for name in ("passages", "te"):
        assert vectors(shards, name) == pytest.approx(vectors(whole, name), abs=1e-5)


def test_nan_from_an_encoder_names_the_passage(corpus_and_queries, model_dir, tmp_path):
    broken = Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu")
    broken.encode_passages = lambda texts, titles=None: np.full(
        (len(texts), 16), np.nan, np.float32
    )
    with pytest.raises(XqgError, match="passage '-1018987027025691298' holds NaN"):
        encode_corpus(corpus_and_queries[0], tmp_path / "s", broken)
    assert not (tmp_path / "s").exists()


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "pyserini_xqg.encode", *map(str, words)],
        capture_output=True,
        text=True,
    )


def test_bad_input_is_one_line_and_status_2(corpus_and_queries, model_dir, tmp_path):
    corpus, queries = corpus_and_queries
    with open(queries, "a") as file:
        file.write('{"docid": "nobody", "generated_queries": {}}\n')
    said = run("input", "--corpus", corpus, "output", "--embeddings", tmp_path / "s",
               "encoder", "--encoder", model_dir, "--pooling", "cls",
               "xqg", "--queries", queries)  # fmt: skip
    assert said.returncode == 2
    assert (
        said.stderr.strip()
        .splitlines()[-1]
        .startswith(f"error: {queries}:31: docid 'nobody' is not in the corpus")
    )
    assert "Traceback" not in said.stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["xqg", "--queries", "Q", "--alpha", "0.1"], "go with output --to-faiss"),
        (["xqg", "--queries", "none.jsonl"], "no such file or folder: none.jsonl"),
        (["--dimension", "768"], "--dimension 768: .* has 16"),
        (["--prefix", "a", "--passage-prefix", "b"], "give one of them"),
    ],
)
def test_options_that_do_not_fit(corpus_and_queries, model_dir, tmp_path, more, message):
    corpus, queries = corpus_and_queries
    more = [str(queries) if word == "Q" else word for word in more]
    command = ["input", "--corpus", corpus, "output", "--embeddings", tmp_path / "s",
               "encoder", "--encoder", model_dir, "--pooling", "cls", *more]  # fmt: skip
    with pytest.raises(XqgError, match=message):
        main([str(word) for word in command])
    assert not (tmp_path / "s").exists()


def test_what_is_there_is_found_before_a_model_is_loaded(corpus_and_queries, tmp_path, monkeypatch):
    monkeypatch.setattr("pyserini_xqg.encode.command.encoder_from", None)
    (tmp_path / "s").mkdir()
    command = ["input", "--corpus", str(corpus_and_queries[0]),
               "output", "--embeddings", str(tmp_path / "s"),
               "encoder", "--encoder", "m"]  # fmt: skip
    with pytest.raises(XqgError, match="s exists; give another name, or --overwrite"):
        main(command)


def test_existing_output(corpus_and_queries, encoder, tmp_path):
    encode_corpus(corpus_and_queries[0], tmp_path / "s", encoder)
    before = content(tmp_path / "s")
    with pytest.raises(XqgError, match="--overwrite"):
        encode_corpus(corpus_and_queries[0], tmp_path / "s", encoder)
    encode_corpus(corpus_and_queries[0], tmp_path / "s", encoder, overwrite=True)
    assert content(tmp_path / "s") == before
