"""How maps are fitted on a store and kept, whatever fits into memory."""

from __future__ import annotations

import numpy as np
import pytest
from made_stores import random_shards, write_store
from safetensors.numpy import load_file

from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.index import maps_file
from pyserini_xqg.index.build import build_index
from pyserini_xqg.index.folds import FOLDS
from pyserini_xqg.index.maps_file import MAPS, load_maps, maps_of
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store

D = 6


def weights(maps):
    return {code: maps.maps[code].weights for code in maps.languages}


@pytest.mark.parametrize(("at_hand", "again"), [(0, ["te", "ar"]), (7_000, ["ar"]), (1 << 20, [])])
def test_sums_that_do_not_fit_are_read_again(tmp_path, monkeypatch, at_hand, again):
    store = random_shards(tmp_path, [150, 90], d=D)
    expected = maps_of(store, ["ar", "te"], strength=1.0)
    read, take_rows = [], maps_file.take_rows

    def noted(store, rows, languages):
        read.extend(languages)
        return take_rows(store, rows, languages)

    monkeypatch.setattr(maps_file, "AT_HAND", at_hand)
    monkeypatch.setattr(maps_file, "take_rows", noted)
    found = maps_of(store, ["ar", "te"], strength=1.0)
    assert read == ["ar", "te", *again]
    assert found.sources == expected.sources
    for code, of in weights(found).items():
        assert np.array_equal(of, weights(expected)[code])


def test_enough_passages_of_a_large_store(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = 6 * BLOCK + 5
    passages = rng.normal(size=(rows, 2)).astype(np.float32)
    truth = np.array([[1, 2], [3, 4]])
    counts = np.arange(rows) % 3 == 0
    means = passages @ truth
    means[BLOCK : 2 * BLOCK] = 1000  # what no map may rest on
    queries = [[mean] if has else [] for mean, has in zip(means, counts, strict=True)]
    store = Store([write_store(tmp_path / "s", passages, {"te": queries})])
    monkeypatch.setattr(maps_file, "ENOUGH", 500)  # so that every second block is read
    maps = maps_of(store, ["te"])
    blocks = [*range(BLOCK), *range(2 * BLOCK, 3 * BLOCK), *range(4 * BLOCK, 5 * BLOCK)]
    assert maps.passages["te"] == counts[[*blocks, *range(6 * BLOCK, rows)]].sum()
    assert maps.predict("te", passages[:9]) == pytest.approx(means[:9], abs=1e-2)


def test_a_map_of_all_languages_is_kept_once(tmp_path):
    store = random_shards(tmp_path, [150, 90], d=D)
    fitted = maps_of(store, ["ar", "te"])
    assert fitted.sources == {"ar": "all", "te": "all"}
    assert fitted.maps["ar"] is fitted.maps["te"]
    build_index(store, tmp_path / "i", Fusion("mean", 0.4, mu=2))
    assert sorted(load_file(tmp_path / "i" / MAPS)) == ["ar.weights", "ar.x", "ar.y"]
    read = load_maps(tmp_path / "i")
    assert read.maps["ar"] is read.maps["te"]
    assert np.array_equal(read.maps["te"].weights, fitted.maps["te"].weights)


def test_languages_with_the_same_passages_share_what_is_worked_out(tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    passages, has = rng.normal(size=(300, D)), rng.random(300) < 0.5
    queries = {}
    for code, mine, noise in (("ar", has, 0.1), ("bn", has, 0.1), ("fi", has, 9), ("te", ~has, 1)):
        means = passages @ rng.normal(size=(D, D)) + noise * rng.normal(size=(300, D))
        numbers = rng.integers(1, 4, 300) * mine
        queries[code] = [[mean] * number for mean, number in zip(means, numbers, strict=True)]
    store = Store([write_store(tmp_path / "s", passages, queries)])
    alone = {code: maps_of(store, [code]).maps[code] for code in queries}
    assert alone["ar"].strength == alone["bn"].strength < alone["fi"].strength
    done = {"eigh": 0, "inv": 0}
    for name, function in ((name, getattr(np.linalg, name)) for name in done):

        def counted(matrix, name=name, function=function):
            done[name] += 1
            return function(matrix)

        monkeypatch.setattr(np.linalg, name, counted)
    together = maps_of(store, list(queries))
    assert set(together.sources.values()) == {"own"}
    for code, of in alone.items():
        for name in ("x", "y", "weights", "passages", "strength", "error"):
            assert np.array_equal(getattr(together.maps[code], name), getattr(of, name))
    # of three sets of passages, that of all languages included, and two strengths of the first
    assert done == {"eigh": 3 * FOLDS, "inv": 4 * (FOLDS + 1)}
