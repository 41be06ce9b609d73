"""Ranks with queries left out, beside building every such index in full."""

from __future__ import annotations

import numpy as np
import pytest
from made_stores import write_store

from pyserini_xqg.fusion import fuse
from pyserini_xqg.index.folds import fold_of
from pyserini_xqg.index.left_out import Topics, rank
from pyserini_xqg.index.maps_file import maps_of
from pyserini_xqg.index.own_topics import covered, draw_topics, of_all, of_language, read_samples
from pyserini_xqg.index.passage_pool import draw_pool
from pyserini_xqg.store.store import Store

N, D = 70, 5
ALPHAS, MUS = [0.0, 0.3, 0.8], [0.0, 2.0]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rng = np.random.default_rng(5)
    passages = rng.normal(size=(N, D)) + 1
    queries = {
        code: [passages[row] + rng.normal(size=(rng.integers(4), D)) for row in range(N)]
        for code in ("ar", "te")
    }
    path = tmp_path_factory.mktemp("left") / "s"
    return Store([write_store(path, passages, queries, keep=True)])


@pytest.fixture(scope="module")
def maps(store):
    return maps_of(store, store.languages)


def everything(store):
    (block,) = store.blocks(keep=True)
    return block


def by_hand(block, maps, topic, row, members, lost, alpha, mu, l2_norm):
    """The reciprocal rank of a passage in an index built without some of its queries."""
    sums = {code: block.sums[code].copy() for code in members}
    counts = {code: block.counts[code].copy() for code in members}
    for code, (vector, count) in lost.items():
        counts[code][row] -= count
        sums[code][row] = sums[code][row] - vector if counts[code][row] else 0
    fold = np.full(N, fold_of(block.docids[row]))
    predictions = maps.of(members).expected(block.passages, fold)
    fused = fuse(block.passages, sums, counts, method="mean", alpha=alpha, mu=mu,
                 predictions=predictions if mu else None, l2_norm=l2_norm)  # fmt: skip
    scores = fused.astype(np.float64) @ topic
    above = (np.delete(scores, row) > scores[row]).sum()
    return 100 / (above + 1) if above < 10 else 0


@pytest.mark.parametrize("l2_norm", [True, False])
def test_a_query_left_out_of_its_own_language(store, maps, l2_norm):
    block, samples = everything(store), read_samples(store, store.languages)
    of = of_language(samples["te"], "te")
    (found,) = rank(store, [of], draw_pool(store), maps, alphas=ALPHAS, mus=MUS, l2_norm=l2_norm)
    assert found.own.shape == (2, 3, len(samples["te"].rows))
    sums, counts = block.sums["te"], block.counts["te"]
    for m, mu in enumerate(MUS):
        for a, alpha in enumerate(ALPHAS):
            own = [
                by_hand(block, maps, topic, row, ["te"], {"te": (topic, 1)}, alpha, mu, l2_norm)
                for topic, row in zip(of.vectors, of.row, strict=True)
            ]
            none = [
                by_hand(block, maps, topic, row, ["te"], {"te": (sums[row], counts[row])}, alpha,
                        mu, l2_norm)
                for topic, row in zip(of.vectors, of.row, strict=True)
            ]  # fmt: skip
            assert found.own[m, a] == pytest.approx(own)
            assert found.none[m, a] == pytest.approx(none)
    assert (found.own[:, 0] == found.own[0, 0]).all()  # alpha 0 is passages only, whatever mu is
    assert not np.array_equal(found.own[0, 1], found.own[1, 1])


def test_the_nearest_query_in_every_language_is_left_out(store, maps):
    block, samples = everything(store), read_samples(store, store.languages)
    of = of_all(samples, {"te": samples["te"]}, ["ar", "te"], 1000)
    (found,) = rank(store, [of], draw_pool(store), maps, alphas=[0.0, 0.5], mus=[1.0], l2_norm=True)
    ends = np.cumsum(block.counts["ar"])
    for number, (topic, row) in enumerate(zip(of.vectors, of.row, strict=True)):
        lost = {"te": (topic, 1)}
        others = block.queries["ar"][ends[row] - block.counts["ar"][row] : ends[row]]
        if len(others):
            lost["ar"] = (others[np.argmin(((others - topic) ** 2).sum(axis=1))], 1)
        expected = by_hand(block, maps, topic, row, ["ar", "te"], lost, 0.5, 1.0, True)
        assert found.own[0, 1, number] == pytest.approx(expected)


def test_judged_topics_take_the_best_of_their_passages(store, maps):
    (block,) = [everything(store)]
    vectors = np.random.default_rng(1).normal(size=(3, D)).astype(np.float32)
    topic, row = np.array([0, 0, 1, 2]), np.array([4, 9, 30, 31])
    (found,) = rank(store, [Topics(vectors, topic, row, ["te"])], draw_pool(store), maps,
                    alphas=[0.6], mus=[2.0], l2_norm=True)  # fmt: skip
    assert found.none is None
    fused = fuse(block.passages, {"te": block.sums["te"]}, {"te": block.counts["te"]},
                 method="mean", alpha=0.6, mu=2.0, l2_norm=True,
                 predictions={"te": maps.predictions(block)["te"]})  # fmt: skip
    scores = vectors @ fused.T
    for number in range(3):
        mine = row[topic == number]
        above = (scores[number] > scores[number, mine].max() + 1e-6).sum()
        assert found.own[0, 0, number] == (pytest.approx(100 / (above + 1)) if above < 10 else 0)


def test_a_pool_is_drawn_and_coverage_counted(store):
    pool = draw_pool(store, 20)
    assert len(pool.rows) == 20
    assert (np.diff(pool.rows) > 0).all()
    whole = draw_pool(store)
    assert np.array_equal(whole.rows, np.arange(N))
    assert whole.folds.tolist() == [fold_of(f"p{row}") for row in range(N)]
    block = everything(store)
    ar, te = (block.counts[code] > 0 for code in ("ar", "te"))
    expected = {"ar": ar.mean(), "te": te.mean(), "all": (ar | te).mean()}
    assert covered(store, whole, ["ar", "te"]) == pytest.approx(expected)


def test_topics_are_drawn_with_their_rows(store):
    samples = read_samples(store, store.languages)
    drawn = draw_topics(samples, most=80)
    for code, sample in drawn.items():
        assert len(sample.rows) == 40
        places = [
            np.flatnonzero((samples[code].vectors == v).all(axis=1))[0] for v in sample.vectors
        ]
        assert np.array_equal(samples[code].rows[places], sample.rows)
        assert places == sorted(set(places))
