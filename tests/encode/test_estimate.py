from __future__ import annotations

import numpy as np
import pytest

import pyserini_xqg.encode.estimate as estimate_module
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.encode.__main__ import main
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encode.estimate import Estimate, estimate
from pyserini_xqg.index.build import build_index
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store


def size(path, names):
    return sum((path / name).stat().st_size for name in names)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_stores_size(corpus_and_queries, encoder, tmp_path, keep, dtype):
    corpus, queries = corpus_and_queries
    (tmp_path / "work").mkdir()
    join = Join(corpus, [queries], tmp_path / "work")
    guess = estimate(join, encoder, ["text"], dtype=dtype, keep_queries=keep)
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries], dtype=dtype,
                  keep_queries=keep)  # fmt: skip
    files = [e.name for e in (tmp_path / "s").iterdir() if e.name == "docid" or e.suffix == ".npy"]
    headers = 128 * (len(files) - 1)
    assert guess.disk == pytest.approx(size(tmp_path / "s", files) - headers, abs=30)
    assert (guess.sampled, guess.passages, guess.corpus, guess.shards) == (30, 30, 30, 1)
    assert guess.queries == (60 + 43) / 30  # two in Arabic; none, one, two, three in Telugu
    assert guess.memory > 10_000_000
    build_index(Store([tmp_path / "s"]), tmp_path / "i", Fusion("mean", 0.3))
    assert guess.flat_index == pytest.approx(size(tmp_path / "i", ["index", "docid"]) - 45, abs=30)


def test_the_indexes_size(corpus_and_queries, encoder, tmp_path):
    corpus, _ = corpus_and_queries
    (tmp_path / "work").mkdir()
    guess = estimate(Join(corpus, [], tmp_path / "work"), encoder, ["text"], to_faiss=True)
    encode_corpus(corpus, tmp_path / "i", encoder, to_faiss=Fusion())
    assert guess.disk == pytest.approx(size(tmp_path / "i", ["index", "docid"]) - 45, abs=30)
    assert (guess.flat_index, guess.queries, guess.queries_per_second) == (0, 0, 0)


class Slow:
    """An encoder and a clock: a passage takes 2 seconds, a query half of one."""

    dimension = 4

    def __init__(self, seconds=1.0):
        self.now, self.seconds, self.seen = 0.0, seconds, []

    def encode_passages(self, texts, titles=None):
        self.now += 2 * self.seconds * len(texts)
        self.seen.append(len(texts))
        return np.zeros((len(texts), 4), dtype=np.float32)

    def encode_generated_queries(self, texts):
        self.now += self.seconds / 2 * len(texts)
        return np.zeros((len(texts), 4), dtype=np.float32)


def test_rates_and_shards(write_jsonl, tmp_path, monkeypatch):
    docids = [f"d{i:03}" for i in range(300)]
    corpus = write_jsonl("c.jsonl", ({"docid": docid, "text": docid} for docid in docids))
    rows = (
        {"docid": d, "generated_queries": {"te": [f"{d} {k}" for k in range(3)]}} for d in docids
    )
    (tmp_path / "work").mkdir()
    join = Join(corpus, [write_jsonl("q.jsonl", rows)], tmp_path / "work")
    slow = Slow()
    monkeypatch.setattr(estimate_module.time, "perf_counter", lambda: slow.now)
    guess = estimate(join, slow, ["text"], shard_id=1, shard_num=2)
    assert slow.seen == [2, 128]
    assert (guess.sampled, guess.passages, guess.corpus, guess.shards) == (128, 150, 300, 2)
    assert (guess.passages_per_second, guess.queries_per_second) == (0.5, 2)
    assert guess.hours == pytest.approx(150 * (2 + 3 / 2) / 3600)
    sampled = 3 * (4 * 4 + 8)  # each of a passage's queries, and its row
    assert guess.disk == 150 * (5 + 2 * 4 * 4 + 4 + sampled)

    slow = Slow(0.001)  # too quick to tell: as many as there are places for
    quick = estimate(join, slow, ["text"], shard_id=1, shard_num=2)
    assert slow.seen == [2, 128, 2, 150]
    assert quick.hours == pytest.approx(guess.hours / 1000)


def test_in_words():
    guess = Estimate(128, 2_000_000, 16_000_000, 8, 500.0, 2500.0, 35.0, 28 * 10**9, 7 * 10**9,
                     2_500_000_000)  # fmt: skip
    assert guess.lines() == [
        "128 of 2000000 passages measured: 500.0 passages/s and 2,500.0 queries/s; 35.0 queries "
        "for a passage",
        "8.89 hours; 28.000 GB on disk, and 7.000 GB for a flat index of it; 2.5 GB of memory",
        "all 8 shards: 71.11 machine hours, 224.000 GB on disk",
    ]
    assert guess.lines(2.5)[3:] == ["71.11 machine hours at 2.50: 177.78"]
    alone = guess._replace(passages=16_000_000, shards=1, flat_index=0)
    assert [line.split(";")[0] for line in alone.lines(0.25)[1:]] == [
        "71.11 hours", "71.11 machine hours at 0.25: 17.78",
    ]  # fmt: skip


def test_a_dry_run_writes_nothing(corpus_and_queries, model_dir, tmp_path, capsys):
    corpus, queries = corpus_and_queries
    before = sorted(tmp_path.iterdir())
    words = ["input", "--corpus", str(corpus), "--shard-num", "3",
             "output", "--embeddings", str(tmp_path / "s"), "--price-per-hour", "2",
             "encoder", "--encoder", str(model_dir), "--pooling", "cls", "--device", "cpu",
             "xqg", "--queries", str(queries)]  # fmt: skip
    main([*words[:6], "--dry-run", *words[6:]])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("10 of 10 passages measured")
    assert said[2].startswith("all 3 shards: ")
    assert " machine hours at 2.00: " in said[3]
    with pytest.raises(XqgError, match="--price-per-hour goes with --dry-run"):
        main(words)
    assert sorted(tmp_path.iterdir()) == before
