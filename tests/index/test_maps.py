"""Maps against the formula written out in float64, and against what they must not know."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from made_stores import random_shards, write_store

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.fusion import fuse
from pyserini_xqg.index.__main__ import main
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.flat import FlatIndexWriter
from pyserini_xqg.index.folds import FOLDS, fold_of, folds_in, folds_of
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.map_sums import MapSums
from pyserini_xqg.index.maps import fit_maps
from pyserini_xqg.index.maps_file import MAPS, load_maps, maps_of
from pyserini_xqg.index.predictions import Predictions
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.merge import merge_indexes
from pyserini_xqg.search.sharded import check_together
from pyserini_xqg.store.store import Store
from pyserini_xqg.verify.check import Settings
from pyserini_xqg.verify.indexes import verify_index

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
    half = np.trace(a.T @ b) / (2 * np.trace(a.T @ a))
    weights = np.linalg.inv(a.T @ a + strength * np.eye(D)) @ (
        a.T @ b + strength * half * np.eye(D)
    )
    return y.mean(0) + (asked - x.mean(0)) @ weights


def test_a_fold_is_the_same_everywhere():
    assert [fold_of(docid) for docid in ("p0", "007", "12#3", "লন্ডন")] == [1, 8, 7, 7]
    counted = np.bincount(folds_of(docids(10_000)), minlength=FOLDS)
    assert counted.min() > 900
    assert counted.max() < 1100


def test_folds_of_a_whole_store_are_those_of_its_docids(tmp_path):
    named = [["p0", "লন্ডন"], ["007"]]
    for shard, of in zip("ab", named, strict=True):
        (tmp_path / shard).mkdir()
        (tmp_path / shard / "docid").write_text("".join(f"{docid}\n" for docid in of), "utf-8")
    store = SimpleNamespace(paths=[tmp_path / "a", tmp_path / "b"])
    assert folds_in(store).tolist() == [1, 7, 8]


def test_the_ridge_by_hand():
    passages, sums, counts = made(40)
    counts[:3], sums[:3] = 0, 0  # without queries: no part of it
    found = sums_of(passages, sums, counts).fit(strength=7.0)
    expected = by_hand(passages[3:], sums[3:], counts[3:], 7.0, passages)
    assert found.whole.passages == 37
    assert [37 - of.passages for of in found.folds] == np.bincount(
        folds_of(docids(40))[3:]
    ).tolist()
    assert found.whole.predict(passages) == pytest.approx(expected, abs=1e-4)


def test_own_fold_is_left_out():
    passages, sums, counts = made()
    folds = folds_of(docids(200))
    found = sums_of(passages, sums, counts).fit(strength=2.0)
    predicted = Predictions({"te": found}, passages, folds)["te"]
    for fold in range(FOLDS):
        others = folds != fold
        expected = by_hand(passages[others], sums[others], counts[others], 2.0, passages[~others])
        assert predicted[~others] == pytest.approx(expected, abs=1e-4)
    # so a passage's own queries change nothing for it, whatever they are
    sums[5] += 1000
    again = sums_of(passages, sums, counts).fit(strength=2.0)
    by_fold = Predictions({"te": again}, passages, folds)["te"]
    assert by_fold[5] == pytest.approx(predicted[5], abs=1e-4)
    assert abs(again.whole.predict(passages)[5] - predicted[5]).max() > 1


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
    apart = sums / counts[:, None] - Predictions({"te": found}, passages, folds)["te"]
    assert found.error == pytest.approx(float((apart**2).sum(1).mean()), rel=1e-3, abs=1e-4)


def test_errors_of_many_strengths_at_once():
    passages, sums, counts = made(noise=1.0)
    passages += 3
    folds = folds_of(docids(200))
    rest, own = folds != 0, folds == 0
    strengths = [0.1, 1.0, 30.0]
    expected = []
    for strength in strengths:
        mapped = by_hand(passages[rest], sums[rest], counts[rest], strength, passages[own])
        expected.append(((sums[own] / counts[own, None] - mapped) ** 2).sum())
    of = sums_of(passages, sums, counts)
    split, (others, mine) = of.inputs.splits()[0], next(of.parts())
    assert split.errors(others, mine, strengths) == pytest.approx(expected, rel=1e-4)
    assert expected[0] < expected[2]


def test_whose_map_a_language_gets():
    passages, sums, counts = made(300)
    few = np.where(np.arange(300) < 5, counts, 0)
    of = {"ar": sums_of(passages, sums, counts), "te": sums_of(passages, sums, few),
          "fi": sums_of(passages, sums, 0 * counts)}  # fmt: skip
    every = fit_maps(["ar", "te", "fi"], of.__getitem__)
    assert every.languages == ["ar", "te", "fi"]
    assert every.sources == {"ar": "own", "te": "all", "fi": "all"}
    assert every.passages == {"ar": 300, "te": 5, "fi": 0}
    assert every.maps["fi"] is every.maps["te"] is not None
    (note,) = every.notes()
    assert "in te (5 passages with queries), fi (0 passages with queries) come from the map" in note
    assert fit_maps(["fi"], of.__getitem__).sources == {"fi": "none"}
    alone = fit_maps(["te"], of.__getitem__)
    assert alone.sources == {"te": "none"}
    assert np.array_equal(alone.predict("te", passages, docids(300)), passages)


def test_passages_that_arrive_later_get_the_whole_map():
    passages, sums, counts = made()
    maps = fit_maps(["ar"], lambda _: sums_of(passages, sums, counts))
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
    assert manifest["covered"] == counts
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


def test_passages_without_queries_arrive_later(store, tmp_path):
    build_index(store, tmp_path / "i", Fusion("mean", 0.4, l2_norm=True, mu=2))
    rng = np.random.default_rng(7)
    later = Store([write_store(tmp_path / "later", rng.normal(size=(9, D)), {}, shard=1)])
    maps = load_maps(tmp_path / "i")
    build_index(later, tmp_path / "j", Fusion("mean", 0.4, l2_norm=True, mu=2), maps=maps)
    (block,) = later.blocks()
    predictions = {code: maps.predict(code, block.passages) for code in ("ar", "te")}
    expected = fuse(block.passages, {}, {}, method="mean", alpha=0.4, mu=2.0, l2_norm=True,
                    predictions=predictions)  # fmt: skip
    import faiss

    found = faiss.read_index(str(tmp_path / "j/index")).reconstruct_n(0, 9)
    assert found == pytest.approx(expected, abs=1e-6)
    manifest = read_manifest(tmp_path / "j")
    assert manifest["languages"] == manifest["covered"] == {"ar": 0, "te": 0}
    checks = list(verify_index(tmp_path / "j", Settings(store=later)))
    assert {check.name: check.verdict for check in checks}["store"] == "ok"
    for given, message in (
        ({"languages": ["fi"]}, "--maps: none for fi; there are ar te"),
        ({"fusion": Fusion("mean", 0.4, centre=True, mu=2)}, "--maps with --centre"),
    ):
        with pytest.raises(XqgError, match=message):
            build_index(later, tmp_path / "k", **{"fusion": Fusion("mean", 0.4, mu=2), **given},
                        maps=maps)  # fmt: skip
    with pytest.raises(XqgError, match="--maps go with the --alpha and --mu of the index that"):
        main(["--embeddings", str(later.paths[0]), "--output", str(tmp_path / "k"), "--method",
              "mean", "--alpha", "0.4", "--maps", str(tmp_path / "i")])  # fmt: skip
    other = Store([write_store(tmp_path / "wide", rng.normal(size=(9, D + 1)), {})])
    with pytest.raises(XqgError, match="--maps are of 6 dimensions, the store has 7"):
        build_index(other, tmp_path / "k", Fusion("mean", 0.4, mu=2), maps=maps)


def test_shards_go_together_with_the_same_maps(store, tmp_path):
    fusion = Fusion("mean", 0.4, l2_norm=True, mu=2)
    build_index(store, tmp_path / "together", fusion)
    first, second = (Store([path]) for path in store.paths)
    build_index(first, tmp_path / "a", fusion, maps=load_maps(tmp_path / "together"))
    build_index(second, tmp_path / "own", fusion)
    with pytest.raises(XqgError, match="own was made with other maps than .*a, each fitted on its"):
        merge_indexes([tmp_path / "a", tmp_path / "own"], tmp_path / "m")
    with pytest.raises(XqgError, match="build .*own again with --maps .*/a"):
        check_together([tmp_path / "a", tmp_path / "own"])
    given = ["--method", "mean", "--alpha", "0.4", "--l2-norm", "--mu", "2"]
    main(["--embeddings", str(store.paths[1]), "--output", str(tmp_path / "b"), *given, "--maps",
          str(tmp_path / "a")])  # fmt: skip
    check_together([tmp_path / "a", tmp_path / "b"])
    merge_indexes([tmp_path / "a", tmp_path / "b"], tmp_path / "m")
    for name in ("index", "docid", MAPS):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "together" / name).read_bytes()
    merged, together = read_manifest(tmp_path / "m"), read_manifest(tmp_path / "together")
    assert merged["covered"] == together["covered"]
    assert merged["maps"] == together["maps"]


@pytest.mark.parametrize("to", ["jsonl", "parquet", "lucene-flat"])
def test_every_kind_of_index(store, tmp_path, to):
    fusion = Fusion("mean", 0.4, l2_norm=True, mu=2)
    build_index(store, tmp_path / "i", fusion, to=to)
    checks = {check.name: check for check in verify_index(tmp_path / "i", Settings(store=store))}
    assert checks["store"].verdict == "ok", checks["store"]
    assert load_maps(tmp_path / "i").languages == ["ar", "te"]


def test_coverage_is_said(store, tmp_path, capsys):
    build_index(store, tmp_path / "i", Fusion("mean", 0.4))
    covered = read_manifest(tmp_path / "i")["covered"]
    shares = " ".join(f"{code} {100 * n / 240:.3g}" for code, n in covered.items())
    line = f"coverage: passages with queries, %: {shares}"
    said = capsys.readouterr().err.splitlines()
    assert f"{line}; the others will hardly be found beside them: see --mu" in said
    build_index(store, tmp_path / "j", Fusion("mean", 0.4, mu=2))
    assert line in capsys.readouterr().err.splitlines()
    build_index(store, tmp_path / "k", Fusion("mean", 0.4, mu=0), chosen_by={"by": "hand"})
    assert line in capsys.readouterr().err.splitlines()  # a choice looks at both groups


def test_too_few_passages_with_queries_are_said(tmp_path, capsys):
    rng = np.random.default_rng(0)
    queries = {
        "ar": [[9 + rng.normal(size=D)] for _ in range(100)],
        "te": [[9 + rng.normal(size=D)] if row < 5 else [] for row in range(100)],
    }
    store = Store([write_store(tmp_path / "s", rng.normal(size=(100, D)), queries)])
    build_index(store, tmp_path / "i", Fusion("mean", 0.4, mu=2))
    said = capsys.readouterr().err
    assert "te (5 passages with queries) come from the map of all languages together" in said
    about = read_manifest(tmp_path / "i")["maps"]["languages"]
    assert (about["te"]["map"], about["te"]["passages"]) == ("all", 5)
    assert load_maps(tmp_path / "i").sources["te"] == "all"


def test_what_is_refused(store, tmp_path):
    with pytest.raises(
        XqgError, match="fusion is 'mean', expected a Fusion: Fusion\\(method=\"mean\""
    ):
        build_index(store, tmp_path / "i", "mean")
    with pytest.raises(XqgError, match="--mu 2 smooths a mean of queries: give --method mean"):
        build_index(store, tmp_path / "i", Fusion("paper", 0.01, mu=2))
    with pytest.raises(XqgError, match="--method max-sim compares with single queries"):
        build_index(store, tmp_path / "i", Fusion("max-sim", 0.4, mu=2))
    with pytest.raises(XqgError, match="mu '2': expected a number or 'auto', as in Fusion"):
        Fusion("mean", 0.4, mu="2")
    assert Fusion("mean", "auto", mu="auto") == Fusion("mean", None, mu=None)


def test_a_killed_run_goes_on_with_the_same_maps_only(store, tmp_path, monkeypatch):
    fusion = Fusion("mean", 0.4, mu=2)
    build_index(store, tmp_path / "whole", fusion)
    build_index(Store([store.paths[0]]), tmp_path / "half", fusion)
    real = FlatIndexWriter.append

    def breaking(self, docids, vectors):
        if docids[0] != "p0":
            raise KeyboardInterrupt
        real(self, docids, vectors)

    monkeypatch.setattr(FlatIndexWriter, "append", breaking)
    with pytest.raises(KeyboardInterrupt):
        build_index(store, tmp_path / "i", fusion)
    monkeypatch.undo()
    with pytest.raises(XqgError, match="begun with other input or settings: maps was"):
        build_index(store, tmp_path / "i", fusion, maps=load_maps(tmp_path / "half"))
    build_index(store, tmp_path / "i", fusion)
    for name in ("index", MAPS):
        assert (tmp_path / "i" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
