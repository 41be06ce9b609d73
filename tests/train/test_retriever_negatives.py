from __future__ import annotations

import json
from collections import Counter

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.train.__main__ import main
from pyserini_xqg.train.examples import Example, read_examples
from pyserini_xqg.train.negatives import choose, in_turn, mine_negatives

TEXT = "The Thames is a river that flows through southern England, including London."
OTHER = "The Seine is a river in northern France that flows through Paris to the sea."


def chosen(example, candidates, count=9, similarity=0.8):
    tally = Counter()
    return [p.docid for p in choose(example, candidates, count, similarity, tally)], tally


def test_hits_are_taken_in_turn_and_once():
    lists = [["a", "b", "c"], ["b", "d"], [], ["e"]]
    assert list(in_turn(lists)) == ["a", "b", "e", "d", "c"]
    assert list(in_turn([])) == []


def test_positives_and_what_is_nearly_one_are_left_out():
    example = Example("fi", "q", (Passage("p", "T", TEXT),), (Passage("n", "", "own negative"),))
    candidates = [
        Passage("p", "", "another text under the positive's docid"),
        Passage("same", "T", TEXT),
        Passage("case", "Thames", TEXT.upper().replace(" ", "  ") + "!"),
        Passage("inside", "", TEXT[10:60]),
        Passage("around", "", f"{OTHER} {TEXT}"),
        Passage("known", "", "own negative"),
        Passage("empty", "", ""),
        Passage("other", "", OTHER),
        Passage("twice", "", OTHER),
        Passage("half", "", f"{TEXT[:38]} {OTHER[:45]}"),
    ]
    assert chosen(example, candidates) == (
        ["other", "half"],
        {"positives": 1, "near-duplicates": 7},
    )
    assert chosen(example, candidates, similarity=0.3)[0] == ["other"]
    assert chosen(example, candidates, count=1)[0] == ["other"]


def test_positives_without_docid_are_known_by_their_text():
    example = Example("", "q", (Passage("", "", TEXT),))
    candidates = [Passage("a", "", TEXT), Passage("", "", OTHER), Passage("b", "", "z")]
    assert chosen(example, candidates)[0] == ["", "b"]


@pytest.fixture
def indexes(model_dir, corpus_and_queries, tmp_path):
    """A BM25 and a dense index over the same 30 passages."""
    from pyserini_xqg.encode.__main__ import main as encode
    from pyserini_xqg.index.bm25 import build_bm25

    corpus, _ = corpus_and_queries
    build_bm25(corpus, tmp_path / "bm25")
    encode([
        "input", "--corpus", str(corpus), "--fields", "title", "text",
        "output", "--embeddings", str(tmp_path / "dense"), "--to-faiss",
        "encoder", "--encoder", str(model_dir), "--pooling", "cls", "--fields", "title", "text",
        "--device", "cpu",
    ])  # fmt: skip
    return str(tmp_path / "bm25"), str(tmp_path / "dense")


def test_bm25_and_dense_indexes_give_negatives(indexes, corpus_and_queries, tmp_path, capsys):
    from pyserini_xqg.search.searcher import open_searcher

    corpus, _ = corpus_and_queries
    passages = {row["docid"]: row for row in map(json.loads, corpus.read_text().splitlines())}
    train = tmp_path / "train.jsonl"
    rows = [
        {"query": "w5 w12", "lang": "fi", "positive_passages": [passages["d2"]]},
        {"query": "w9", "positive_passages": [{"text": passages["d6"]["text"]}]},
    ]
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "out.jsonl"
    main([
        "negatives", "--train", str(train), "--index", *indexes, "--corpus", str(corpus),
        "--output", str(output), "--negatives", "4", "--hits", "10", "--device", "cpu",
    ])  # fmt: skip
    assert capsys.readouterr().out.startswith(f"{output}: 8 negatives for 2 queries; left out ")
    first, second = read_examples([output])
    assert (first.language, first.query) == ("fi", "w5 w12")
    assert [passage.docid for passage in first.positives] == ["d2"]
    hits = [
        [hit.docid for hit in open_searcher(index, device="cpu").search("w5 w12", 10)]
        for index in indexes
    ]
    expected = [docid for docid in in_turn(hits) if docid != "d2"][:4]
    assert expected != [docid for docid in hits[0] if docid != "d2"][:4]
    assert [passage.docid for passage in first.negatives] == expected
    assert [passage.text for passage in first.negatives] == [passages[d]["text"] for d in expected]
    assert "d6" not in {passage.docid for passage in second.negatives}
    assert len(second.negatives) == 4
    assert json.loads(output.read_text().splitlines()[1])["query_id"] == "1"

    with pytest.raises(XqgError, match="exists; give another name, or --overwrite"):
        mine_negatives([train], indexes, corpus, output)
    with pytest.warns(UserWarning, match="1 of 2 queries have no new negative; --hits may help"):
        tally = mine_negatives(
            [train], indexes[:1], corpus, output, hits=1, similarity=1.0, overwrite=True
        )
    assert tally["without negatives"] == 1
    other = tmp_path / "other.jsonl"
    other.write_text('{"docid": "x", "text": "w1"}\n')
    with pytest.raises(XqgError, match=r"docid\(s\) are not in .*other.jsonl"):
        mine_negatives([train], indexes, other, tmp_path / "no.jsonl")
    assert not (tmp_path / "no.jsonl").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 0}, "--negatives, --hits, --batch-size and --threads are at least 1"),
        ({"similarity": 0.0}, "--similarity 0.0: expected above 0, and at most 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, message, tmp_path):
    with pytest.raises(XqgError, match=message):
        mine_negatives([tmp_path], [tmp_path], tmp_path, tmp_path / "out", **given)
