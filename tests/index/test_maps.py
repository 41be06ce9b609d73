"""Maps against the formula written out in float64, and against what they must not know."""

from __future__ import annotations

import numpy as np
import pytest
from made_stores import random_shards

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.maps import FOLDS, MapSums, fit_maps, fold_of, folds_of
from pyserini_xqg.index.maps_file import MAPS, load_maps, maps_of
from pyserini_xqg.index.settings import Fusion

D = 6


def made(rows=200, seed=1, noise=0.1):
    """Passages and, for each, the sum of one to four queries around a map that is known."""
    rng = np.random.default_rng(seed)
    passages = rng.normal(size=(rows, D)).astype(np.float32)
    truth = rng.normal(size=(D, D))
    counts = rng.integers(1, 5, rows).astype(np.int32)
    means = 1 + passages @ truth + noise * rng.normal(size=(rows, D))
    return passages, (means * counts[:, None]).astype(np.float32), counts


def docids(rows):
    return [f"p{row}" for row in range(rows)]


def sums_of(passages, sums, counts):
    found = MapSums(D)
    found.add(passages, sums, counts, folds_of(docids(len(passages))))
    return found


def by_hand(passages, sums, counts, strength, asked):
    x, y = passages.astype(np.float64), sums / counts[:, None].astype(np.float64)
    a, b = x - x.mean(0), y - y.mean(0)
    weights = np.linalg.inv(a.T @ a + strength * np.eye(D)) @ a.T @ b
    return y.mean(0) + (asked - x.mean(0)) @ weights


def test_a_fold_is_the_same_everywhere():
    assert [fold_of(docid) for docid in ("p0", "007", "12#3", "লন্ডন")] == [1, 8, 7, 7]
    counted = np.bincount(folds_of(docids(10_000)), minlength=FOLDS)
    assert counted.min() > 900
    assert counted.max() < 1100


def test_the_ridge_by_hand():
    passages, sums, counts = made(40)
    counts[:3], sums[:3] = 0, 0  # without queries: no part of it
    found = sums_of(passages, sums, counts).fit(strength=7.0)
    expected = by_hand(passages[3:], sums[3:], counts[3:], 7.0, passages)
    assert found.whole.passages == 37
    assert found.predict(passages) == pytest.approx(expected, abs=1e-4)


def test_own_fold_is_left_out():
    passages, sums, counts = made()
    folds = folds_of(docids(200))
    found = sums_of(passages, sums, counts).fit(strength=2.0)
    predicted = found.predict(passages, folds)
    for fold in range(FOLDS):
        others = folds != fold
        expected = by_hand(passages[others], sums[others], counts[others], 2.0, passages[~others])
        assert predicted[~others] == pytest.approx(expected, abs=1e-4)
    # so a passage's own queries change nothing for it, whatever they are
    sums[5] += 1000
    again = sums_of(passages, sums, counts).fit(strength=2.0)
    assert again.predict(passages, folds)[5] == pytest.approx(predicted[5], abs=1e-4)
    assert abs(again.predict(passages)[5] - predicted[5]).max() > 1


def test_sums_of_parts_add_up():
    passages, sums, counts = made()
    folds = folds_of(docids(200))
    parts = [MapSums(D), MapSums(D)]
    for part, rows in zip(parts, (slice(0, 77), slice(77, 200)), strict=True):
        part.add(passages[rows], sums[rows], counts[rows], folds[rows])
    together = (parts[1] + parts[0]).fit()
    whole = sums_of(passages, sums, counts).fit()
    assert together.whole.strength == pytest.approx(whole.whole.strength)
    assert np.allclose(together.whole.weights, whole.whole.weights, atol=1e-6)
    assert (parts[0] + parts[1]).passages == 200


@pytest.mark.parametrize(("noise", "least", "most"), [(0.01, 0, 2), (30.0, 20, 1000)])
def test_the_strength_errs_least_on_the_folds_left_out(noise, least, most):
    passages, sums, counts = made(noise=noise)
    found = sums_of(passages, sums, counts).fit()
    assert least <= found.whole.strength <= most
    folds = folds_of(docids(200))
    apart = sums / counts[:, None] - found.predict(passages, folds)
    assert found.error == pytest.approx(float((apart**2).sum(1).mean()), rel=1e-4)


def test_whose_map_a_language_gets():
    passages, sums, counts = made(300)
    few = np.where(np.arange(300) < 5, counts, 0)
    both = fit_maps(
        iter([("ar", sums_of(passages, sums, counts)), ("te", sums_of(passages, sums, few))])
    )
    assert both.sources == {"ar": "own", "te": "all"}
    assert both.passages == {"ar": 300, "te": 5}
    alone = fit_maps(iter([("te", sums_of(passages, sums, few))]))
    assert alone.sources == {"te": "none"}
    assert np.array_equal(alone.predict("te", passages, docids(300)), passages)


def test_passages_that_arrive_later_get_the_whole_map():
    passages, sums, counts = made()
    maps = fit_maps(iter([("ar", sums_of(passages, sums, counts))]))
    whole = maps.maps["ar"].whole.predict(passages)
    assert np.array_equal(maps.predict("ar", passages), whole)
    has = np.arange(200) % 2 == 0
    mixed = maps.predict("ar", passages, docids(200), has)
    by_fold = maps.predict("ar", passages, docids(200))
    assert np.allclose(mixed, np.where(has[:, None], by_fold, whole), atol=1e-6)
    assert not np.allclose(by_fold, whole, atol=1e-4)


@pytest.fixture
def store(tmp_path):
    return random_shards(tmp_path, [150, 90], d=D)


def test_an_index_of_a_smoothed_fusion(store, tmp_path):
    build_index(store, tmp_path / "i", Fusion("mean", 0.4, {"te": 2.0}, mu=3))
    maps = maps_of(store, ["ar", "te"])
    (expected,) = [
        np.concatenate(of)
        for of in zip(
            *(
                (
                    0.6 * block.passages
                    + 0.4
                    * sum(
                        weight
                        * (block.sums[code] + 3 * maps.predict(code, block.passages, block.docids,
                                                               block.counts[code] > 0))
                        / (block.counts[code][:, None] + 3)
                        for code, weight in (("ar", 1), ("te", 2))
                    )
                    / 3,
                )
                for block in store.blocks()
            ),
            strict=True,
        )
    ]  # fmt: skip
    import faiss

    found = faiss.read_index(str(tmp_path / "i/index")).reconstruct_n(0, 240)
    assert found == pytest.approx(expected, abs=1e-5)
    manifest = read_manifest(tmp_path / "i")
    assert (manifest["mu"], manifest["maps"]["folds"]) == (3, FOLDS)
    counts = {
        code: sum((b.counts[code] > 0).sum() for b in store.blocks()) for code in ("ar", "te")
    }
    assert manifest["coverage"] == {code: n / 240 for code, n in counts.items()}
    assert manifest["maps"]["languages"]["te"]["passages"] == counts["te"]


def test_maps_are_read_again(store, tmp_path):
    build_routed(store, tmp_path / "r", Fusion("mean", 0.4, mu=2))
    again, maps = load_maps(tmp_path / "r"), maps_of(store, ["ar", "te"])
    later = np.random.default_rng(0).normal(size=(7, D)).astype(np.float32)
    for code in ("ar", "te"):
        assert np.array_equal(again.predict(code, later), maps.predict(code, later))
        assert np.array_equal(
            again.predict(code, later, docids(7)), maps.predict(code, later, docids(7))
        )
    assert load_maps(tmp_path / "r/te").languages == ["te"]
    assert again.sources == maps.sources


def test_maps_that_are_not_there_or_damaged(store, tmp_path):
    build_index(store, tmp_path / "plain", Fusion("mean", 0.4))
    with pytest.raises(XqgError, match="plain has no maps: it was built without --mu"):
        load_maps(tmp_path / "plain")
    build_index(store, tmp_path / "i", Fusion("mean", 0.4, mu=2))
    path = tmp_path / "i" / MAPS
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(XqgError, match="not the maps that .* was built with; build it again"):
        load_maps(tmp_path / "i")
    path.unlink()
    with pytest.raises(XqgError, match="maps.safetensors is missing; build the index again"):
        load_maps(tmp_path / "i")
