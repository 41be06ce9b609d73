from __future__ import annotations

import faiss
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.effort import Effort, tune_faiss


def test_settings_reach_the_index():
    graph, lists = faiss.index_factory(8, "HNSW8"), faiss.index_factory(8, "PCA4,IVF2,Flat")
    tune_faiss(graph, Effort(ef_search=77))
    tune_faiss(lists, Effort(nprobe=2))
    assert graph.hnsw.efSearch == 77
    assert faiss.extract_index_ivf(lists).nprobe == 2
    tune_faiss(graph, Effort())
    assert graph.hnsw.efSearch == 77


@pytest.mark.parametrize(
    ("effort", "kind"), [(Effort(ef_search=9), "Flat"), (Effort(nprobe=9), "HNSW8")]
)
def test_a_setting_that_is_not_there(effort, kind):
    with pytest.raises(XqgError, match="is for an .* this is none"):
        tune_faiss(faiss.index_factory(8, kind), effort)
    with pytest.raises(XqgError, match="is for an .* this is none"):
        effort.only()


def test_numbers():
    with pytest.raises(XqgError, match="--ef-search 0: expected at least 1"):
        Effort(ef_search=0)
    Effort(nprobe=1).only("nprobe")
