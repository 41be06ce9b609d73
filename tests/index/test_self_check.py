from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_stores import random_shards, write_store

from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.maps_file import maps_of
from pyserini_xqg.index.self_check import self_check
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store
from pyserini_xqg.verify.__main__ import verify
from pyserini_xqg.verify.check import Settings


def corner(path, numbers, seed=0, shift=1, **options):
    """Vectors of length 1 that all lie near one direction, as those of modern encoders do."""
    rng = np.random.default_rng(seed)
    passages = rng.normal(size=(len(numbers), 8)) + 6 * np.eye(8)[0]
    queries = [
        p + 0.3 * rng.normal(size=(n, 8)) + shift * np.eye(8)[1]
        for p, n in zip(passages, numbers, strict=True)
    ]

    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    return write_store(path, unit(passages), {"te": [unit(q) for q in queries]}, **options)


@pytest.fixture
def unequal(tmp_path):
    return corner(tmp_path / "s", [*[9] * 5, *[2] * 95])


def test_the_published_sum_over_unequal_counts(unequal, tmp_path, capsys):
    build_index(Store([unequal]), tmp_path / "i", Fusion("paper", 0.1))
    said = capsys.readouterr().err.splitlines()
    checked = json.loads((tmp_path / "i/xqg.json").read_text())["self_check"]
    assert checked["five_passages_take"] > 0.95
    assert checked["five_passages_take_passages_only"] < 0.3
    assert checked["index"] < checked["passages_only"] - 20
    assert checked["topics"] == 5 * 9 + 2 * 95
    assert said[-3].startswith("self-check, 235 generated queries each left out of its passage: ")
    assert said[-2].startswith("WARNING: RR@10 ")
    assert "5 passages take" in said[-2]
    assert said[-1].startswith("WARNING: this index does harm: build it without --method")
    (check,) = [c for c in verify(tmp_path / "i", Settings(probe=False)) if c.name == "self-check"]
    assert check.verdict == "warning"
    assert check.detail.endswith("as recorded; --store repeats it)")


def test_equal_counts_or_the_mean_are_well(tmp_path, capsys):
    build_index(Store([corner(tmp_path / "e", [2] * 100)]), tmp_path / "i", Fusion("paper", 0.1))
    store = Store([corner(tmp_path / "s", [*[9] * 5, *[2] * 95])])
    build_index(store, tmp_path / "j", Fusion("mean", 0.3, l2_norm=True))
    said = capsys.readouterr().err
    assert said.count("self-check, ") == 2
    assert "WARNING" not in said


def test_passages_without_queries_that_are_lost(tmp_path, capsys):
    store = Store([corner(tmp_path / "s", [3] * 30 + [0] * 70, shift=3)])
    build_index(store, tmp_path / "i", Fusion("mean", 0.5, l2_norm=True))
    checked = json.loads((tmp_path / "i/xqg.json").read_text())["self_check"]
    assert checked["share_without_queries"] == 0.7
    assert checked["without_queries"] < checked["passages_only"] - 10 < checked["index"]
    assert "passages without queries (70 % of all) are lost" in checked["warning"]
    said = capsys.readouterr().err
    assert "as if their passages had no queries like 70 % of all" in said
    # smoothed they are not
    maps = maps_of(store, ["te"])
    smoothed = self_check(store, Fusion("mean", 0.3, l2_norm=True, mu=2.0), ["te"], maps=maps)
    assert "warning" not in smoothed


def test_a_query_is_left_out_of_its_own_passage(tmp_path):
    # Queries at random say nothing of their passages; in its own sum each would find itself.
    rng = np.random.default_rng(0)
    path = write_store(
        tmp_path / "s", rng.normal(size=(60, 30)), {"te": rng.normal(size=(60, 1, 30))}
    )
    checked = self_check(Store([path]), Fusion("mean", 0.9), ["te"])
    assert checked["index"] < 15
    (block,) = Store([path]).blocks(keep=False)
    assert np.argmax(block.sums["te"] @ block.sums["te"].T, axis=1).tolist() == list(range(60))


def test_a_language_that_later_passages_lack(tmp_path):
    rng = np.random.default_rng(0)
    passages, queries = rng.normal(size=(60, 6)), rng.normal(size=(60, 1, 6))
    first = {"ar": queries, "te": rng.normal(size=(60, 1, 6))}
    maps = maps_of(Store([write_store(tmp_path / "first", passages, first)]), ["ar", "te"])
    lacks = Store([write_store(tmp_path / "a", passages, {"ar": queries})])
    empty = Store([write_store(tmp_path / "b", passages, {"ar": queries, "te": [[]] * 60})])
    fusion = Fusion("mean", 0.5, mu=2)
    checked = self_check(lacks, fusion, ["ar", "te"], maps=maps)
    assert checked
    assert checked == self_check(empty, fusion, ["ar", "te"], maps=maps)
    assert checked != self_check(lacks, fusion, ["ar"], maps=maps.of(["ar"]))
    assert self_check(lacks, fusion, ["te"], maps=maps.of(["te"])) is None


def test_where_there_is_nothing_to_check_by(tmp_path):
    fusion = Fusion("mean", 0.3)
    assert self_check(Store([corner(tmp_path / "n", [2] * 100, rate=None)]), fusion, ["te"]) is None
    assert self_check(Store([corner(tmp_path / "f", [2] * 49)]), fusion, ["te"]) is None
    assert self_check(Store([corner(tmp_path / "g", [2] * 19 + [0] * 81)]), fusion, ["te"]) is None
    assert self_check(Store([corner(tmp_path / "h", [2] * 20 + [0] * 80)]), fusion, ["te"])
    assert self_check(Store([corner(tmp_path / "i", [2] * 100)]), Fusion(), []) is None


def test_routes_are_told_in_one_line_and_repeated(tmp_path, capsys):
    store = random_shards(tmp_path, [70, 50])
    build_routed(store, tmp_path / "i", Fusion("mean", 0.2))
    said = [line for line in capsys.readouterr().err.splitlines() if "self-check" in line]
    assert len(said) == 1
    records = [
        json.loads((tmp_path / "i" / route / "xqg.json").read_text())["self_check"]
        for route in ("ar", "te")
    ]
    assert f"self-check, {records[0]['topics'] + records[1]['topics']} generated" in said[0]
    checks = [
        check
        for check in verify(tmp_path / "i", Settings(probe=False, store=store))
        if check.name == "self-check"
    ]
    assert len(checks) == 3
    assert all("; repeated)" in c.detail or c.detail.endswith("(repeated)") for c in checks)


@pytest.mark.skipif(
    "XQG_XQUAD_STORES" not in os.environ, reason="XQG_XQUAD_STORES: a folder of XQuAD's stores"
)
def test_the_published_recipe_on_real_text(tmp_path):
    store = Path(os.environ["XQG_XQUAD_STORES"]) / "xquad"
    ended = subprocess.run(
        [sys.executable, "-m", "pyserini_xqg.index", "--embeddings", store, "--output",
         tmp_path / "i", "--method", "paper", "--alpha", ".01"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    checked = json.loads((tmp_path / "i/xqg.json").read_text())["self_check"]
    assert checked["index"] < 15 < 75 < checked["passages_only"]
    assert checked["five_passages_take"] > 0.95
    assert "WARNING: this index does harm" in ended.stderr
