from __future__ import annotations

import numpy as np
import pytest
from made_stores import random_shards, write_store

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.evaluate.from_store.retrieval import (
    System,
    everyone,
    open_encoder,
    others,
    parts_of,
    retrieve,
    routed,
)
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.index.build import build_index, build_routed, corpus_centres
from pyserini_xqg.index.maps_file import maps_of
from pyserini_xqg.index.max_sim import single_vectors
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.plugin import XqgSearcher
from pyserini_xqg.store.store import Store

TOPICS = [
    Topic(f"{code or 'x'}-{i}", f"w{i} w{i + 30}", code)
    for i in range(5)
    for code in ("te", "ar", "fi", "")
]


@pytest.fixture
def store(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries], keep_queries=True)
    return Store([tmp_path / "store"])


@pytest.mark.parametrize("hits", [7, 100])
@pytest.mark.parametrize("build", [build_index, build_routed])
@pytest.mark.parametrize(
    "fusion",
    [
        Fusion("paper", 0.05, {"te": 2.0}),
        Fusion("mean", 0.7, l2_norm=True),
        Fusion("mean", 0.5, centre=True),
        Fusion("mean", 0.6, mu=2),
        Fusion("max-sim", 0.3),
    ],
)
def test_the_hits_of_a_real_index(store, tmp_path, fusion, build, hits):
    build(store, tmp_path / "index", fusion)
    searcher = XqgSearcher(tmp_path / "index")
    expected = searcher.batch_search(
        [topic.text for topic in TOPICS],
        [topic.qid for topic in TOPICS],
        k=hits,
        languages=[topic.language for topic in TOPICS],
    )
    members = {build_index: everyone, build_routed: routed}[build](store.languages)
    vectors = open_encoder(store, device="cpu").encode_queries([topic.text for topic in TOPICS])
    runs = dict(
        retrieve(store, parts_of(store, keep=True), {"a": System(fusion, members)}, TOPICS, vectors,
                 hits=hits, centres=corpus_centres(store, store.languages),
                 maps=maps_of(store, store.languages))
    )  # fmt: skip
    assert list(runs) == ["a"]
    assert list(runs["a"]) == [topic.qid for topic in TOPICS]
    for qid, found in runs["a"].items():
        there = expected[qid][: store.passages]  # FAISS fills up what is missing
        assert [hit.docid for hit in found] == [hit.docid for hit in there]
        assert [hit.score for hit in found] == pytest.approx([h.score for h in there], rel=1e-5)
        assert len(found) == min(hits, 30)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return random_shards(tmp_path_factory.mktemp("shards"), [2 * BLOCK + 5, 7], keep=True)


def by_hand(store, fusion, vectors, hits):
    blocks = list(store.blocks(keep=True))
    docids = [docid for block in blocks for docid in block.docids]
    if fusion.method == "max-sim":  # what its index holds, and the best row of each passage
        scores = np.full((len(vectors), len(docids)), -np.inf)
        first = 0
        for block in blocks:
            owners, rows = single_vectors(block, np.float32(fusion.alpha))
            np.maximum.at(scores.T, first + owners, rows @ vectors.T)
            first += len(block.docids)
    else:
        scores = vectors @ np.concatenate([fusion.apply(block) for block in blocks]).T
    return [
        [(docids[row], of[row]) for row in np.argsort(-of)[:hits]] for of in scores
    ]  # fmt: skip


def test_several_systems_over_shards_in_any_order(shards):
    topics = [Topic(f"q{i}", "", "te") for i in range(6)]
    vectors = np.random.default_rng(5).normal(size=(6, 4)).astype(np.float32)
    fusions = {"none": Fusion(), "paper": Fusion("paper", 0.2), "mean": Fusion("mean", 0.9),
               "single": Fusion("max-sim", 0.4)}  # fmt: skip
    systems = {name: System(fusion, everyone(shards.languages)) for name, fusion in fusions.items()}
    doubled = Fusion("paper", 0.2, {"ar": 2.0, "te": 2.0})

    def double(part):
        return part.block._replace(sums={code: 2 * s for code, s in part.block.sums.items()})

    systems["doubled"] = System(fusions["paper"], everyone(shards.languages), double)
    parts = reversed(list(parts_of(shards, keep=True)))
    runs = dict(retrieve(shards, parts, systems, topics, vectors, hits=20))
    for name, fusion in {**fusions, "doubled": doubled}.items():
        for found, expected in zip(
            runs[name].values(), by_hand(shards, fusion, vectors, 20), strict=True
        ):
            assert [hit.docid for hit in found] == [docid for docid, _ in expected]
            assert [hit.score for hit in found] == pytest.approx([s for _, s in expected], rel=1e-5)
    assert runs["doubled"] != runs["paper"]


def test_whose_queries_are_folded_in(tmp_path):
    # Queries in ar point up, those in te down; a's are twice as long as b's.
    store = Store(
        [
            write_store(
                tmp_path / "s",
                [[1, 0], [1, 0]],
                {"ar": [[[0, 2]], [[0, 1]]], "te": [[[0, -2]], [[0, -1]]]},
            )
        ]
    )
    topics = [Topic("ar-1", "", "ar"), Topic("te-1", "", "te"), Topic("fi-1", "", "fi")]
    fusion = Fusion("paper", 0.5)
    codes = store.languages
    systems = {
        "all": System(fusion, everyone(codes)),
        "routed": System(fusion, routed(codes)),
        "others": System(fusion, others(codes)),
    }
    vectors = np.array([[0, 1]] * 3, dtype=np.float32)
    runs = dict(retrieve(store, parts_of(store), systems, topics, vectors, hits=2))
    for hits in runs["all"].values():  # up and down cancel; ties in any order
        assert sorted(hits) == [Hit("p0", 0.0), Hit("p1", 0.0)]
    assert sorted(runs["routed"].pop("fi-1")) == sorted(runs["others"].pop("fi-1")) == sorted(hits)
    assert runs["routed"] == {
        "ar-1": [Hit("p0", 1.0), Hit("p1", 0.5)],
        "te-1": [Hit("p1", -0.5), Hit("p0", -1.0)],
    }
    assert runs["others"] == {"ar-1": runs["routed"]["te-1"], "te-1": runs["routed"]["ar-1"]}
    # what `score_by_topic` takes
    qrels = {"ar-1": {"p0": 1}, "te-1": {"p0": 1}}
    assert score_by_topic(qrels, runs["routed"], ["RR@10"]) == {"RR@10": {"ar-1": 1.0, "te-1": 0.5}}


def test_another_encoder_is_refused(store, tmp_path, model_dir):
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(model_dir)
    model.embeddings.word_embeddings.weight.data *= -1
    model.save_pretrained(tmp_path / "other")
    AutoTokenizer.from_pretrained(model_dir).save_pretrained(tmp_path / "other")
    with pytest.raises(XqgError, match="store was built with another encoder .* is the weights"):
        open_encoder(store, str(tmp_path / "other"), "cpu")
