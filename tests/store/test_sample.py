from __future__ import annotations

import json

import numpy as np
import pytest
from made_stores import random_shards, write_store

from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.merge import merge_stores
from pyserini_xqg.store.sample import (
    LEAST,
    MOST,
    drawn,
    read_sample,
    sample_rates,
)
from pyserini_xqg.store.store import Store


def test_the_rates():
    # few queries: all of them
    assert sample_rates({"te": 5, "ar": LEAST}, 10) == {"te": 1.0, "ar": 1.0}
    # a language without queries for any passage has nothing to divide by
    assert sample_rates({"te": 0}, 10) == {"te": 1.0}
    # 1 % of the vectors of 500,000 passages and two languages is 7,500 queries a language
    assert sample_rates({"te": 1_500_000, "ar": 15_000}, 500_000) == {"te": 0.005, "ar": 0.5}
    # and never more than MOST nor fewer than LEAST
    assert sample_rates({"te": 10 * MOST}, 10**9) == {"te": 0.1}
    assert sample_rates({"te": 10 * LEAST}, 1000) == {"te": 0.1}


def test_who_is_drawn_depends_on_the_docid_alone():
    docids = [f"d{number}" for number in range(4000)]
    some, more = drawn(docids, 0.25), drawn(docids, 0.5)
    assert 900 < some.sum() < 1100
    assert not (some & ~more).any()
    assert np.array_equal(drawn(docids[::-1], 0.25), some[::-1])
    assert drawn(docids, 1.0).all()
    assert [docid for docid in docids[:12] if drawn([docid], 0.25)[0]] == ["d2", "d3", "d5", "d9"]


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_shards_and_what_they_are_merged_into_have_one_sample(tmp_path, rate):
    store = random_shards(tmp_path, [BLOCK + 7, 30], keep=True, rate=rate)
    merge_stores(store.paths, tmp_path / "m")
    docids = [docid for block in store.blocks() for docid in block.docids]
    for language in store.languages:
        queries = np.concatenate([block.queries[language] for block in store.blocks(keep=True)])
        counts = np.concatenate([block.counts[language] for block in store.blocks()])
        mine = drawn(docids, rate)
        expected = queries[np.repeat(mine, counts)]
        for one in (store, Store([tmp_path / "m"])):
            sample = read_sample(one, language)
            assert np.array_equal(sample.vectors, expected)
            assert np.array_equal(
                sample.rows, np.repeat(np.arange(len(docids))[mine], counts[mine])
            )
        # a block brings its own part
        last = list(store.blocks(sample=True))[1].sample[language]
        before = int(np.where(mine, counts, 0)[:BLOCK].sum())
        assert np.array_equal(last.vectors, expected[before : before + len(last.vectors)])
        assert (
            last.counts.sum()
            == len(last.vectors)
            == np.where(mine, counts, 0)[BLOCK : BLOCK + 7].sum()
        )
        assert [b.sample for b in store.blocks()] == [None] * 3


def test_shards_drawn_at_different_rates_are_one_at_the_lowest(tmp_path):
    rng = np.random.default_rng(0)
    paths = [
        write_store(
            tmp_path / f"s{shard}",
            rng.normal(size=(50, 3)),
            {"te": [rng.normal(size=(2, 3)) for _ in range(50)]},
            rate=rate,
            shard=shard,
            first=50 * shard,
        )
        for shard, rate in enumerate([1.0, 0.3])
    ]
    store = Store(paths)
    assert store.sample_rates == {"te": 0.3}
    mine = np.flatnonzero(drawn([f"p{number}" for number in range(100)], 0.3))
    assert np.array_equal(read_sample(store, "te").rows, np.repeat(mine, 2))
    merge_stores(paths, tmp_path / "m")
    merged = Store([tmp_path / "m"])
    assert merged.sample_rates == {"te": 0.3}
    assert np.array_equal(read_sample(merged, "te").rows, np.repeat(mine, 2))
    assert np.array_equal(read_sample(merged, "te").vectors, read_sample(store, "te").vectors)


def test_a_store_without_a_sample(tmp_path):
    assert read_sample(random_shards(tmp_path, [9], rate=None), "te") is None
    kept = random_shards(tmp_path / "kept", [9, 8], rate=None, keep=True)
    assert kept.sample_rates is None
    sample = read_sample(kept, "te")
    counts = np.concatenate([block.counts["te"] for block in kept.blocks()])
    assert np.array_equal(sample.rows, np.repeat(np.arange(17), counts))
    assert len(sample.vectors) == counts.sum()
    merge_stores(kept.paths, tmp_path / "m")  # and has none after a merge either
    assert Store([tmp_path / "m"]).sample_rates is None


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_encode_keeps_one(corpus_and_queries, encoder, tmp_path, dtype):
    corpus, queries = corpus_and_queries
    for path, keep in (("s", False), ("k", True)):
        encode_corpus(
            corpus, tmp_path / path, encoder, queries=[queries], dtype=dtype, keep_queries=keep
        )
    store, kept = Store([tmp_path / "s"]), Store([tmp_path / "k"])
    for language, number in store.queries.items():
        sample = read_sample(store, language)
        assert len(sample.vectors) == number
        single = np.concatenate([block.queries[language] for block in kept.blocks(keep=True)])
        assert np.array_equal(sample.vectors, single)
        stored = np.load(tmp_path / "s" / f"sample.{language}.npy")
        assert (stored.dtype, stored.shape) == (dtype, single.shape)
        assert np.load(tmp_path / "s" / f"sample.{language}.row.npy").shape == (number,)
    manifest = json.loads((tmp_path / "s/manifest.json").read_text())
    assert manifest["sample"]["te"] == {"rate": 1.0, "queries": store.queries["te"]}


def test_a_later_block_brings_its_own_part(tmp_path):
    store = random_shards(tmp_path, [2 * BLOCK + 7], keep=True, rate=0.5)
    whole = list(store.blocks(sample=True))
    for start in (1, 2):
        for later, block in zip(store.blocks(start=start, sample=True), whole[start:], strict=True):
            for language in store.languages:
                here, there = later.sample[language], block.sample[language]
                assert np.array_equal(here.counts, there.counts)
                assert np.array_equal(here.vectors, there.vectors)
