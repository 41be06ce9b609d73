from __future__ import annotations

import numpy as np
import pytest
from made_stores import make_subject, write_store

from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.from_store.controls import controls
from pyserini_xqg.evaluate.from_store.coverage import coverage_note
from pyserini_xqg.evaluate.from_store.exchange import next_rows
from pyserini_xqg.evaluate.from_store.grid import grid
from pyserini_xqg.evaluate.from_store.sweep import sweep
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store

ROWS = 60
QRELS = {f"q{i}": {f"p{i}": 1, "p59": 0} for i in range(20)}


@pytest.fixture
def store(tmp_path):
    """Of 20 relevant passages 18 have queries in te, of 40 others 10; in ar it is half of both."""
    rng = np.random.default_rng(0)
    covered = {"te": [*range(18), *range(20, 30)], "ar": range(0, ROWS, 2)}
    queries = {
        code: [[rng.normal(size=4)] if row in rows else [] for row in range(ROWS)]
        for code, rows in covered.items()
    }
    return Store([write_store(tmp_path / "s", rng.normal(size=(ROWS, 4)), queries)])


def test_where_it_differs(store):
    said = coverage_note(store, ["ar", "te"], QRELS)
    assert said.startswith(
        "Coverage differs: of the relevant passages and of the others, these shares have queries, "
        "%: te 90 and 25. With queries"
    )
    assert coverage_note(store, ["ar"], QRELS) == ""
    few = {"q0": {"p0": 1}}
    assert coverage_note(store, ["te"], few) == ""  # one of one, where 28 of 60 have some: chance
    assert coverage_note(store, ["te"], {"q": {"elsewhere": 1}}) == ""


def test_sweep_and_controls_say_so(store):
    subject = make_subject(store, [(f"q{i}", "te", [1, 0, 0, 0], f"p{i}") for i in range(20)])
    tried = grid(["ar", "te"], alphas=[0.5], methods=["mean"], language_sets=["all"])
    sections = sweep(subject, subject, tried, "RR@10")
    assert "te 90 and 25" in sections[0].caveat
    sections = controls(subject, Fusion("mean", 0.5), ["RR@10"], draws=1, neighbour="next",
                        neighbours=next_rows(ROWS))  # fmt: skip
    assert "te 90 and 25" in sections[0].caveat


def test_compare_says_so_of_a_store(store, tmp_path):
    lines = {"topics.tsv": "", "qrels.txt": "", "a.run": "", "b.run": ""}
    for i in range(20):
        lines["topics.tsv"] += f"q{i}\tw{i}\n"
        lines["qrels.txt"] += f"q{i} 0 p{i} 1\n"
        for name in ("a", "b"):
            lines[f"{name}.run"] += f"q{i} Q0 p{i + (name == 'a' and i % 2)} 1 1.0 x\n"
    for name, text in lines.items():
        (tmp_path / name).write_text(text)
    main(["compare", "--topics", str(tmp_path / "topics.tsv"), "--language", "te", "--qrels",
          str(tmp_path / "qrels.txt"), "--baseline", str(tmp_path / "a.run"), "--runs",
          str(tmp_path / "b.run"), "--embeddings", str(store.paths[0]), "--draws", "20",
          "--output", str(tmp_path / "report")])  # fmt: skip
    pages = (tmp_path / "report" / "index.html").read_text()
    assert "te 90 and 25" in pages
