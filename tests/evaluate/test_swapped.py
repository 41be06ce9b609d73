from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.swapped import neighbours


def test_neighbours_by_hand():
    titles = {"1": "a", "2": "b", "3": "a", "4": "", "5": "a", "6": ""}
    source, alone = neighbours(titles)
    assert source == {"1": "3", "3": "5", "5": "1", "2": "3", "4": "5", "6": "1"}
    assert alone == 3  # b's, and those without a title


def test_every_passage_has_anothers_queries(write_jsonl, tmp_path, capsys):
    corpus = write_jsonl(
        "corpus.jsonl", [{"docid": f"d{i}", "title": "ab"[i % 2], "text": "x"} for i in range(5)]
    )
    queries = write_jsonl(
        "queries.jsonl",
        [{"docid": f"d{i}", "generated_queries": {"te": [f"q{i}"]}} for i in (4, 3, 1, 0)],
    )
    words = ["swapped", "--corpus", str(corpus), "--queries", str(queries),
             "--output", str(tmp_path / "swapped.jsonl")]  # fmt: skip
    main(words)
    rows = [json.loads(line) for line in (tmp_path / "swapped.jsonl").read_text().splitlines()]
    found = {row["docid"]: row["generated_queries"].get("te", []) for row in rows}
    assert list(found) == [f"d{i}" for i in range(5)]
    # d2 has no queries of its own: d0 gets none
    assert found == {"d0": [], "d1": ["q3"], "d2": ["q4"], "d3": ["q1"], "d4": ["q0"]}
    assert "5 passages" in capsys.readouterr().out
    with pytest.raises(XqgError, match=r"swapped\.jsonl exists; give another name"):
        main(words)
    main([*words, "--overwrite"])


def test_one_passage(write_jsonl, tmp_path):
    corpus = write_jsonl("corpus.jsonl", [{"docid": "1", "text": "x"}])
    queries = write_jsonl("q.jsonl", [{"docid": "1", "generated_queries": {"te": ["q"]}}])
    with pytest.raises(XqgError, match="one passage has none to exchange queries with"):
        main(["swapped", "--corpus", str(corpus), "--queries", str(queries),
              "--output", str(tmp_path / "out.jsonl")])  # fmt: skip
    assert not (tmp_path / "out.jsonl").exists()
