"""What is left when one language's queries are cut."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).parents[2] / "tools"
SETTINGS = argparse.Namespace(alpha=0.3, smoothed_alpha=0.4, mu=2.0)


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("cut_queries")


@pytest.fixture
def whole(tool):
    rng = np.random.default_rng(0)
    passages = rng.normal(size=(40, 3)).astype(np.float32)
    turn = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=np.float32)
    counts = {code: np.full(40, 2, np.int32) for code in ("te", "fi")}
    # the queries of a passage lie where its vector does, turned: a map can learn that
    sums = dict.fromkeys(counts, 2 * passages @ turn)
    return tool.Whole([f"d{i}" for i in range(40)], passages, sums, counts)


def test_a_part_keeps_its_queries(tool, whole):
    left = tool.cut(whole, "te", 0.25, seed=0)
    kept = left.counts["te"] > 0
    assert kept.sum() == 10
    np.testing.assert_array_equal(left.sums["te"][kept], whole.sums["te"][kept])
    assert not left.sums["te"][~kept].any()
    assert left.sums["fi"] is whole.sums["fi"]
    other = tool.cut(whole, "te", 0.25, seed=1)
    assert not np.array_equal(other.counts["te"], left.counts["te"])


def test_without_any_queries(tool, whole):
    none = tool.cut(whole, "te", 0, seed=0)
    unit = whole.passages / np.linalg.norm(whole.passages, axis=1, keepdims=True)
    # the mean is passages only
    np.testing.assert_allclose(tool.vectors(none, "te", "mean", SETTINGS), unit, atol=1e-6)
    # smoothed, the other languages' map stands in: as if the queries that it expects were there
    expected = 0.6 * whole.passages + 0.4 * whole.sums["fi"] / 2
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = tool.vectors(none, "te", "smoothed", SETTINGS)
    assert (found * expected).sum(axis=1).min() > 0.99
