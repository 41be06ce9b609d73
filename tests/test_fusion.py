"""The formulas, written out again in float64."""

from __future__ import annotations

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.fusion import METHODS, check_formula, fuse

N, D = 50, 33
LANGUAGES = ("ar", "bn", "te")


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    passages = rng.normal(size=(N, D)).astype(np.float32)
    counts = {language: rng.integers(0, 6, N).astype(np.int32) for language in LANGUAGES}
    for language in LANGUAGES:
        counts[language][:3] = 0  # three passages without any query
    queries = {
        language: [rng.normal(size=(count, D)) for count in counts[language]]
        for language in LANGUAGES
    }
    sums = {
        language: np.array([rows.sum(axis=0) for rows in queries[language]], dtype=np.float32)
        for language in LANGUAGES
    }
    return passages, sums, counts, queries


def close(fused, expected):
    error = np.linalg.norm(fused - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert fused.dtype == np.float32
    assert error.max() < 1e-6


def test_paper_by_hand():
    passages = np.array([[1.0, 0.0]], dtype=np.float32)
    sums = {"ar": np.array([[0.0, 4.0]], dtype=np.float32)}
    fused = fuse(passages, sums, {"ar": np.array([2])}, method="paper", alpha=0.25)
    assert fused.tolist() == [[0.75, 1.0]]  # 3/4 (1, 0) + 1/4 (0, 4)


def test_mean_by_hand():
    passages = np.array([[1.0, 0.0]], dtype=np.float32)
    sums = {
        "ar": np.array([[0.0, 4.0]], dtype=np.float32),
        "te": np.array([[8.0, 0.0]], dtype=np.float32),
        "ko": np.zeros((1, 2), dtype=np.float32),
    }
    counts = {"ar": np.array([2]), "te": np.array([1]), "ko": np.array([0])}
    fused = fuse(passages, sums, counts, method="mean", alpha=0.5, weights={"ar": 3.0})
    # the queries' share is (3 (0, 2) + 1 (8, 0)) / 4 = (2, 1.5); Korean has none and no say
    assert fused.tolist() == [[1.5, 0.75]]


def test_smoothed_mean_by_hand():
    passages = np.array([[1.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    sums = {"ar": np.array([[0.0, 4.0], [0.0, 0.0]], dtype=np.float32)}
    counts = {"ar": np.array([2, 0])}
    predictions = {
        "ar": np.array([[3.0, 1.0], [2.0, 2.0]], dtype=np.float32),
        "te": np.array([[5.0, 1.0], [6.0, 0.0]], dtype=np.float32),
    }
    given = {"method": "mean", "alpha": 0.5, "mu": 2.0, "weights": {"ar": 3.0}}
    only = fuse(passages, sums, counts, **given, predictions={"ar": predictions["ar"]})
    # ((0, 4) + 2 (3, 1)) / (2 + 2) = (1.5, 1.5); without queries what is predicted: (2, 2)
    assert only.tolist() == [[1.25, 0.75], [1.0, 2.0]]
    both = fuse(passages, sums, counts, **given, predictions=predictions)
    # Telugu counts for all passages: (3 (1.5, 1.5) + (5, 1)) / 4 and (3 (2, 2) + (6, 0)) / 4
    assert both.tolist() == [[(1 + 2.375) / 2, 1.375 / 2], [1.5, 1.75]]
    plain = fuse(passages, sums, counts, **{**given, "mu": 0.0}, predictions=predictions)
    assert plain.tolist() == fuse(passages, sums, counts, **{**given, "mu": 0.0}).tolist()
    assert plain.tolist() == [[0.5, 1.0], [0.0, 2.0]]  # the passage without queries is E(p)


def test_many_queries_outweigh_what_is_predicted():
    passages, predicted = np.zeros((1, 2), np.float32), np.array([[0.0, 1.0]], np.float32)
    for count, mu in ((1, 1.0), (30, 1.0), (30, 0.25)):
        sums = {"ar": np.array([[count, 0.0]], np.float32)}
        (fused,) = fuse(passages, sums, {"ar": np.array([count])}, method="mean", alpha=1.0,
                        mu=mu, predictions={"ar": predicted})  # fmt: skip
        assert fused == pytest.approx([count / (count + mu), mu / (count + mu)])


def test_centres_of_a_smoothed_mean(data):
    passages, sums, counts, _ = data
    rng = np.random.default_rng(5)
    predictions = {x: rng.normal(size=(N, D)).astype(np.float32) for x in LANGUAGES}
    centres = {x: np.full(D, i + 1.0, dtype=np.float32) for i, x in enumerate(LANGUAGES)}
    moved = {x: sums[x] - counts[x][:, None] * centres[x] for x in LANGUAGES}
    less = {x: predictions[x] - centres[x] for x in LANGUAGES}
    given = {"method": "mean", "alpha": 0.4, "mu": 2.0}
    fused = fuse(passages, sums, counts, **given, predictions=predictions, centres=centres)
    assert np.allclose(fused, fuse(passages, moved, counts, **given, predictions=less), atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.37, 1.0])
def test_paper_in_float64(data, alpha):
    passages, sums, counts, queries = data
    weights = {"ar": 0.5, "te": 2.0}
    w = {"ar": 0.5, "bn": 1.0, "te": 2.0}
    expected = np.array(
        [
            (1 - alpha) * passages[p].astype(np.float64)
            + alpha * sum(w[x] * queries[x][p].sum(axis=0) for x in LANGUAGES)
            for p in range(N)
        ]
    )
    fused = fuse(passages, sums, counts, method="paper", alpha=alpha, weights=weights)
    if alpha == 1.0:
        assert not fused[:3].any()  # published: nothing is left of a passage without queries
        fused, expected = fused[3:], expected[3:]
    close(fused, expected)


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.37, 1.0])
def test_mean_in_float64(data, alpha):
    passages, sums, counts, queries = data
    w = {"ar": 0.5, "bn": 1.0, "te": 2.0}
    expected = []
    for p in range(N):
        has = [x for x in LANGUAGES if len(queries[x][p])]
        vector = passages[p].astype(np.float64)
        if has:
            share = sum(w[x] * queries[x][p].mean(axis=0) for x in has) / sum(w[x] for x in has)
            vector = (1 - alpha) * vector + alpha * share
        expected.append(vector)
    fused = fuse(passages, sums, counts, method="mean", alpha=alpha, weights=w)
    close(fused, np.array(expected))
    assert np.array_equal(fused[:3], passages[:3])  # without queries: not shrunk


def test_mean_ignores_languages_of_weight_zero(data):
    passages, sums, counts, _ = data
    only = fuse(passages, {"ar": sums["ar"]}, {"ar": counts["ar"]}, method="mean", alpha=0.3)
    weighted = fuse(
        passages, sums, counts, method="mean", alpha=0.3, weights={"bn": 0, "te": 0, "ar": 1}
    )
    close(weighted, only)


@pytest.mark.parametrize("method", METHODS)
def test_centres_are_subtracted_from_every_query(data, method):
    passages, sums, counts, queries = data
    centres = {x: np.full(D, i + 1.0, dtype=np.float32) for i, x in enumerate(LANGUAGES)}
    moved = {
        x: np.array([(rows - centres[x]).sum(axis=0) for rows in queries[x]], dtype=np.float32)
        for x in LANGUAGES
    }
    fused = fuse(passages, sums, counts, method=method, alpha=0.2, centres=centres)
    assert np.allclose(fused, fuse(passages, moved, counts, method=method, alpha=0.2), atol=1e-5)
    assert not np.allclose(fused, fuse(passages, sums, counts, method=method, alpha=0.2), atol=0.1)


def test_l2_norm_leaves_a_zero_vector_alone(data):
    passages, sums, counts, _ = data
    fused = fuse(passages, sums, counts, method="paper", alpha=1.0, l2_norm=True)
    norms = np.linalg.norm(fused, axis=1)
    assert norms[:3].tolist() == [0, 0, 0]
    assert norms[3:] == pytest.approx(1, abs=1e-6)


def test_inputs_are_left_alone(data):
    passages, sums, counts, _ = data
    before = passages.copy(), {x: v.copy() for x, v in sums.items()}
    for method in METHODS:
        fuse(passages, sums, counts, method=method, alpha=0.5, l2_norm=True)
    assert np.array_equal(passages, before[0])
    assert all(np.array_equal(sums[x], before[1][x]) for x in LANGUAGES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sum"}, "--method 'sum' is none of paper, mean"),
        ({"alpha": 1.5}, r"--alpha 1.5 is outside \[0, 1\]"),
        ({"alpha": -0.01}, r"--alpha -0.01 is outside"),
        ({"alpha": float("nan")}, "--alpha nan is outside"),
        ({"mu": -1.0}, "--mu -1.0: expected a number of virtual queries, at least 0"),
        ({"mu": float("inf")}, "--mu inf: expected a number of virtual queries"),
        ({"mu": 2.0, "method": "paper"}, "--mu 2 smooths a mean of queries: give --method mean"),
        ({"weights": {"fi": 1.0}}, "no generated queries in 'fi'; found ar bn te"),
        ({"weights": {"ar": -1.0}}, "--weights ar=-1.0: expected a number of at least 0"),
        ({"weights": {"ar": 0, "bn": 0, "te": 0}}, "every language has weight 0"),
    ],
)
def test_what_is_refused(data, options, message):
    passages, sums, counts, _ = data
    given = {"method": "mean", "alpha": 0.5, "predictions": sums, **options}
    with pytest.raises(XqgError, match=message):
        fuse(passages, sums, counts, **given)


def test_a_mu_without_predictions(data):
    passages, sums, counts, _ = data
    with pytest.raises(XqgError, match="mu 2 needs predictions of the mean query vectors"):
        fuse(passages, sums, counts, method="mean", alpha=0.5, mu=2.0)


def test_a_formula_without_a_mu_is_not_smoothed():
    check_formula("paper", 0.5, {"ar": 1.0}, ["ar"])
