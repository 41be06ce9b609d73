from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import read_run
from pyserini_xqg.index.__main__ import main as index
from pyserini_xqg.index.bm25 import has_analyzer, ngrams
from pyserini_xqg.index.bm25_routed import build_routed_bm25
from pyserini_xqg.plugin import RoutedBm25Searcher
from pyserini_xqg.search.__main__ import main as search
from pyserini_xqg.search.searcher import open_searcher
from pyserini_xqg.verify.__main__ import main as verify

CORPUS = [{"docid": "007", "text": "lake"}, {"docid": "8", "text": "sea"}]
QUERIES = [
    {"docid": "007", "generated_queries": {"fi": ["talossa järvi"], "th": ["ทะเลสาบ"]}},
    {"docid": "8", "generated_queries": {"fi": ["meri"], "th": ["ทะเล talossa"]}},
]
TOPICS = [
    {"qid": "fi-1", "title": "talot\n järvi", "lang": "fi"},
    {"qid": "th-1", "title": "ทะเลสาบ", "lang": "th"},
    {"qid": "en-1", "title": "Sea?", "lang": "en"},
    {"qid": "no-1", "title": "?!", "lang": "fi"},
]


@pytest.fixture
def routed(write_jsonl, tmp_path):
    index(["--to", "bm25", "--corpus", str(write_jsonl("c.jsonl", CORPUS)),
           "--queries", str(write_jsonl("q.jsonl", QUERIES)), "--output", str(tmp_path / "r"),
           "--routed", "--analyzer", "own"])  # fmt: skip
    return tmp_path / "r"


def analyzers(path):
    return {
        name: json.loads((path / name / "xqg.json").read_text())["analyzer"]
        for name in ("fi", "th", "all")
    }


def test_each_language_has_the_analyzer_that_works(routed):
    assert analyzers(routed) == {"fi": "fi", "th": "ngrams", "all": "ngrams"}
    assert (has_analyzer("fi"), has_analyzer("th"), has_analyzer("xx")) == (True, False, False)


def test_one_analyzer_for_all(write_jsonl, tmp_path):
    corpus, queries = write_jsonl("c.jsonl", CORPUS), write_jsonl("q.jsonl", QUERIES)
    build_routed_bm25(corpus, tmp_path / "n", queries=[queries])
    assert set(analyzers(tmp_path / "n").values()) == {"ngrams"}
    with pytest.raises(XqgError, match="--routed needs --queries"):
        build_routed_bm25(corpus, tmp_path / "m", queries=[])


def test_topics_take_their_route(routed, write_jsonl, tmp_path):
    searcher = open_searcher(routed)
    assert searcher.routes == ("fi", "th")
    # Finnish is stemmed in its index alone, which holds no Thai
    assert [hit.docid for hit in searcher.search("talot", language="fi")] == ["007"]
    assert not searcher.search("ทะเลสาบ", language="fi")
    assert searcher.search("ทะเลสาบ", language="en")[0].docid == "007"  # over all
    for text, language in (("talot", "fi"), ("ทะเลสาบ", "en"), ("ทะเลสาบ", None), ("?!", "fi")):
        stock = RoutedBm25Searcher(routed).search(text, language=language)
        assert searcher.search(text, language=language) == [(h.docid, h.score) for h in stock]
    search(["--index", str(routed), "--topics", str(write_jsonl("t.jsonl", TOPICS)),
            "--output", str(tmp_path / "run")])  # fmt: skip
    found = {qid: [hit.docid for hit in hits] for qid, hits in read_run(tmp_path / "run").items()}
    assert found == {"fi-1": ["007"], "th-1": ["007", "8"], "en-1": ["8"]}


FIELD = {"ngrams": 1.0}


def test_the_searcher_detects_and_passes_settings_on(routed):
    from pyserini.analysis import JWhiteSpaceAnalyzer
    from pyserini.search.lucene import LuceneSearcher

    def scores(searcher, **more):
        return [(hit.docid, hit.score) for hit in searcher.search("ทะเลสาบ", **more)]

    plain, detecting = RoutedBm25Searcher(routed, detect=False), RoutedBm25Searcher(routed)
    thai, over_all = scores(plain, language="th"), scores(plain, language="en")
    with pytest.raises(XqgError, match="1 of 1 queries name none"):
        scores(plain)
    assert thai != over_all
    assert scores(detecting) == thai
    assert not scores(detecting, language="fi")  # what is said counts
    found = detecting.batch_search(["ทะเลสาบ", "ทะเลสาบ"], ["a", "b"], languages=["", "fi"])
    assert [[hit.docid for hit in found[qid]] for qid in "ab"] == [["007", "8"], []]
    stock = LuceneSearcher(str(routed / "th"))
    stock.set_analyzer(JWhiteSpaceAnalyzer())
    for searcher, k1 in ((plain, 2.0), (detecting, 0.5)):  # routes opened before
        searcher.set_bm25(k1, 0.1)
        stock.set_bm25(k1, 0.1)
        expected = [(hit.docid, hit.score) for hit in stock.search(ngrams("ทะเลสาบ"), fields=FIELD)]
        assert scores(searcher, language="th") == expected != thai
    later = RoutedBm25Searcher(routed)
    later.set_bm25(0.5, 0.1)  # and routes opened after
    assert scores(later, language="th") == expected
    assert json.loads(plain.doc("007").raw())["text"] == "lake"
    plain.close()


def test_verify(routed, capsys):
    verify([str(routed)])
    assert "3 indexes of the same passages" in capsys.readouterr().out
    manifest = json.loads((routed / "fi/xqg.json").read_text())
    manifest["inputs"]["corpus"] = "other"
    (routed / "fi/xqg.json").write_text(json.dumps(manifest))
    with pytest.raises(SystemExit):
        verify([str(routed)])
    assert "made from different passages" in capsys.readouterr().out
