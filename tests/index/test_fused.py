from __future__ import annotations

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.fused import Fused
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store


@pytest.fixture
def fused(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    for shard in range(2):
        encode_corpus(
            corpus, tmp_path / f"s{shard}", encoder, queries=[queries],
            shard_id=shard, shard_num=2,
        )  # fmt: skip
    return Fused(Store([tmp_path / "s0", tmp_path / "s1"]), Fusion("mean", 0.5), ["ar"])


def test_blocks_are_the_stores_and_fused(fused):
    assert (fused.passages, fused.dimension, fused.block_sizes) == (30, 16, [15, 15])
    blocks = list(fused.store.blocks(["ar"]))
    for (docids, vectors), block in zip(fused.blocks("reading"), blocks, strict=True):
        assert docids == block.docids
        mean = block.sums["ar"] / block.counts["ar"][:, None]
        assert vectors == pytest.approx(0.5 * block.passages + 0.5 * mean, abs=1e-5)
    ((docids, _),) = fused.blocks("reading", start=1)
    assert docids == blocks[1].docids


def test_docids_of_all_shards(fused, tmp_path):
    fused.write_docids(tmp_path / "docid")
    lines = (tmp_path / "docid").read_text().splitlines()
    assert lines[:3] == ["-1018987027025691298", "007", "12#3"]
    assert lines[3:] == [f"d{i}" for i in range(27)]


def test_what_is_not_finite(fused, monkeypatch):
    monkeypatch.setattr(Fusion, "apply", lambda *_: np.full((15, 16), np.nan, dtype=np.float32))
    with pytest.raises(XqgError, match="passage '-1018987027025691298' holds NaN"):
        next(fused.blocks("reading"))
