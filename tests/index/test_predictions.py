"""What maps expect, in one sum over languages, against the formula written out in float64."""

from __future__ import annotations

import numpy as np
import pytest

from pyserini_xqg.fusion import fuse
from pyserini_xqg.index.folds import FOLDS
from pyserini_xqg.index.map_sums import MapSums
from pyserini_xqg.index.maps import ALL, NONE, OWN, Maps, fit_maps
from pyserini_xqg.index.predictions import Predictions

N, D, MU = 700, 9, 2.0
CODES = ("ar", "bn", "fi", "te")
WEIGHTS = {"ar": 1.0, "bn": 2.5, "fi": 1.0, "te": 0.5}


def made(counts):
    """Passages, folds, sums of queries about a map of their language, and the fitted maps."""
    rng = np.random.default_rng(4)
    passages = rng.normal(size=(N, D)).astype(np.float32)
    folds = rng.integers(FOLDS, size=N)
    sums = {}
    for code in CODES:
        means = 1 + passages @ rng.normal(size=(D, D)) + rng.normal(size=(N, D))
        sums[code] = (means * counts[code][:, None]).astype(np.float32)

    def sums_of(code):
        found = MapSums(D)
        found.add(passages, sums[code], counts[code], folds)
        return found

    maps = fit_maps(CODES, sums_of).maps
    # one map serves two languages, and one language has none
    maps = {**maps, "bn": maps["ar"], "fi": None}
    sources = {"ar": ALL, "bn": ALL, "fi": NONE, "te": OWN}
    return passages, folds, sums, Maps(maps, sources, dict.fromkeys(CODES, N))


def by_hand(maps, passages, folds, has):
    """P_l, one passage after the other."""
    found = {}
    for code, of in maps.maps.items():
        rows = []
        for row, passage in enumerate(passages.astype(np.float64)):
            one = of and (of.folds[folds[row]] if has[code][row] else of.whole)
            rows.append(passage if of is None else one.y + (passage - one.x) @ one.weights)
        found[code] = np.array(rows)
    return found


def counted(kind):
    rng = np.random.default_rng(5)
    if kind == "equal":
        return {code: np.full(N, 3, np.int32) for code in CODES}
    if kind == "for a part":  # all or none, as where a sample of the passages has queries
        has = rng.random(N) < 0.2
        return {code: np.where(has, 3, 0).astype(np.int32) for code in CODES}
    most = {"nearly equal": [3] * 9 + [2], "any": range(9)}[kind]
    return {code: rng.choice(most, N).astype(np.int32) for code in CODES}


@pytest.mark.parametrize("kind", ["equal", "for a part", "nearly equal", "any"])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("by_chance", [False, True])
def test_a_smoothed_mean_is_the_formula(kind, centred, by_chance, monkeypatch):
    if by_chance:  # passages look as if all had the same shares
        monkeypatch.setattr(np, "cumprod", np.zeros_like)
    counts = counted(kind)
    passages, folds, sums, maps = made(counts)
    has = {code: count > 0 for code, count in counts.items()}
    expected = by_hand(maps, passages, folds, has)
    centres = {code: np.arange(D, dtype=np.float32) for code in CODES} if centred else None
    mean = sum(
        weight
        * (
            (sums[code] + MU * expected[code]) / (counts[code][:, None] + MU)
            - (centres[code] if centred else 0)
        )
        for code, weight in WEIGHTS.items()
    ) / sum(WEIGHTS.values())
    found = fuse(
        passages, sums, counts, method="mean", alpha=0.4, mu=MU, weights=WEIGHTS, centres=centres,
        predictions=maps.expected(passages, folds, has),
    )  # fmt: skip
    apart = found - (0.6 * passages + 0.4 * mean)
    assert found.dtype == np.float32
    assert np.linalg.norm(apart, axis=1).max() / np.linalg.norm(mean, axis=1).min() < 1e-6
    made_of_each = Predictions(maps.maps, passages, folds, has)
    for code in CODES:
        assert made_of_each[code] == pytest.approx(expected[code], abs=1e-5)


def test_what_blocks_before_needed_changes_no_byte():
    counts = counted("nearly equal")
    passages, folds, _, maps = made(counts)
    shares = {code: (MU / (count + MU)).astype(np.float32) for code, count in counts.items()}
    few = slice(0, 150)

    def part(kept):
        of = Predictions(maps.maps, passages[few], folds[few], None, kept)
        total = np.zeros_like(passages[few])
        of.add_to(total, {code: share[few] for code, share in shares.items()})
        return total

    kept = {}
    Predictions(maps.maps, passages, folds, None, kept).add_to(np.zeros_like(passages), shares)
    assert kept
    assert np.array_equal(part(kept), part({}))


def test_sums_that_are_kept_are_few():
    _, folds, _, maps = made(counted("equal"))
    passages = np.ones((N, D), np.float32)
    for mu in range(1, 9):
        of = maps.expected(passages, folds)
        of.add_to(passages, {code: np.full(N, mu, np.float32) for code in CODES})
    kept = maps.expected(passages)._kept
    assert len(kept) == 22


def test_no_language_is_made_to_look_whether_it_is_there():
    maps = made(counted("equal"))[3]
    of = maps.expected(np.ones((3, D), np.float32))
    assert ("te" in of, "xx" in of, list(of), len(of)) == (True, False, list(CODES), 4)
    assert not of._made
