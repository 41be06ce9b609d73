from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.__main__ import main as index_main
from pyserini_xqg.index.bm25 import build_bm25, ngrams
from pyserini_xqg.plugin import Bm25Searcher
from pyserini_xqg.search.searcher import open_searcher

# Only after the plugin, which prepares Java.
from pyserini.analysis import JWhiteSpaceAnalyzer  # isort: skip
from pyserini.index.lucene import LuceneIndexer  # isort: skip
from pyserini.search.lucene import LuceneSearcher  # isort: skip

CORPUS = [
    {"docid": "007", "title": "Lahti", "text": "A town by a lake."},
    {"docid": "-1018987027025691298", "title": "Oulu", "text": "A town by the sea."},
    {"docid": "12#3", "title": "", "text": ""},
]
QUERIES = [
    {"docid": "12#3", "generated_queries": {"te": ["లండన్ జనాభా ఎంత?"], "ja": ["東京の人口は？"]}}
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("ab", "ab"),
        ("Abc", "abc"),
        ("abcde f", "abc bcd cde abcd bcde f"),
        ("don't", "don t"),
        ("ＡＢＣ ﬁn", "abc fin"),  # compatibility forms
        ("東京の人口は", "東京 京の の人 人口 口は"),
        ("ఎంత?", "ఎంత"),  # three characters, one of them a sign
        ("కోల్‌కతా", " ".join(["కోల", "ోల్", "ల్క", "్కత", "కతా", "కోల్", "ోల్క", "ల్కత", "్కతా"])),
    ],
)
def test_ngrams(text, expected):
    assert ngrams(text) == expected


@pytest.fixture
def index(write_jsonl, tmp_path):
    path = tmp_path / "bm25"
    build_bm25(write_jsonl("c.jsonl", CORPUS), path, queries=[write_jsonl("q.jsonl", QUERIES)])
    return path


def test_topics_find_passages_by_their_queries(index):
    searcher = Bm25Searcher(index)
    assert searcher.num_docs == 3
    assert searcher.search("లండన్ జనాభాను చెప్పండి")[0].docid == "12#3"
    assert searcher.search("東京の人口")[0].docid == "12#3"
    assert searcher.search("Oulu")[0].docid == "-1018987027025691298"
    hits = searcher.batch_search(["oulu", "lahti", "xyz"], ["1", "2", "3"], k=1)
    assert hits["1"][0].docid == "-1018987027025691298"
    assert hits["2"][0].docid == "007"
    assert not hits.get("3")


def test_documents_are_what_a_person_reads(index):
    """For rerankers and readers, by the stock searcher; n-grams and queries are not in them."""
    document = LuceneSearcher(str(index)).doc("007")
    assert document.contents() == "Lahti\nA town by a lake."
    assert json.loads(document.raw()) == {
        "id": "007", "contents": "Lahti\nA town by a lake.",
        "title": "Lahti", "text": "A town by a lake.",
    }  # fmt: skip
    assert LuceneSearcher(str(index)).doc("12#3").contents() == ""


def hits_of(found):
    return [(hit.docid, hit.score) for hit in found]


def test_stock_searchers_say_how_or_give_our_hits(index):
    """Never others, nor none in silence: n-grams have a field of their own."""
    stock = LuceneSearcher(str(index))
    for search in (
        lambda: stock.search("Oulu town"),
        lambda: stock.search("Oulu town", 10, None, {}),
        lambda: stock.batch_search(["Oulu"], ["1"], threads=2),
    ):
        with pytest.raises(XqgError, match=r"its field 'ngrams', .* pyserini_xqg.Bm25Searcher, or"):
            search()
    stock.set_analyzer(JWhiteSpaceAnalyzer())
    ours = hits_of(Bm25Searcher(index).search("Oulu town"))
    assert [docid for docid, _ in ours] == ["-1018987027025691298", "007"]
    assert hits_of(stock.search(ngrams("Oulu town"), fields={"ngrams": 1.0})) == ours
    assert hits_of(open_searcher(index).search("Oulu town")) == ours


def test_a_stock_searcher_needs_a_languages_analyzer_only(write_jsonl, tmp_path):
    for analyzer in ("en", "fi"):
        path = tmp_path / analyzer
        build_bm25(write_jsonl("c.jsonl", CORPUS), path, analyzer=analyzer)
        stock = LuceneSearcher(str(path))
        if analyzer != "en":  # which is Pyserini's default
            stock.set_language(analyzer)
        assert hits_of(stock.search("town lake")) == hits_of(Bm25Searcher(path).search("town lake"))
        assert stock.doc("007").contents() == "Lahti\nA town by a lake."


@pytest.mark.parametrize("analyzer", ["ngrams", "en"])
def test_indexes_of_earlier_versions_still_open(write_jsonl, tmp_path, index, analyzer):
    """What is searched lay in ``contents``, stored as it was analyzed."""
    path = tmp_path / "old"
    build_bm25(write_jsonl("c.jsonl", CORPUS), path, analyzer=analyzer)
    expected = hits_of(open_searcher(path).search("Oulu town"))
    manifest = json.loads((path / "xqg.json").read_text())
    del manifest["searched"]
    for file in path.iterdir():
        file.unlink()
    options = ["-pretokenized"] if analyzer == "ngrams" else ["-language", analyzer]
    indexer = LuceneIndexer(args=["-index", str(path), "-storeRaw", *options])
    for row in CORPUS[:2]:
        text = f"{row['title']}\n{row['text']}"
        searched = ngrams(text) if analyzer == "ngrams" else text
        indexer.add_doc_dict({"id": row["docid"], "contents": searched})
    indexer.close()
    (path / "xqg.json").write_text(json.dumps(manifest))
    found = open_searcher(path).search("Oulu town")
    assert [hit.docid for hit in found] == [docid for docid, _ in expected]
    assert hits_of(Bm25Searcher(path).search("Oulu town")) == hits_of(found)


def test_threads_index_the_same(write_jsonl, tmp_path):
    rows = [{"docid": f"d{i}", "text": f"w{i % 7} w{i % 11} town"} for i in range(1500)]
    corpus = write_jsonl("many.jsonl", rows)
    build_bm25(corpus, tmp_path / "1")
    build_bm25(corpus, tmp_path / "3", threads=3)
    one, three = (hits_of(open_searcher(tmp_path / n).search("w3 w5", 100)) for n in "13")
    assert one == three
    assert len(one) == 100


def test_the_manifest_records_the_analyzer(index):
    manifest = json.loads((index / "xqg.json").read_text())
    assert (manifest["kind"], manifest["analyzer"], manifest["passages"]) == ("bm25", "ngrams", 3)
    assert manifest["languages"] == {"ja": 1, "te": 1}
    assert not (index / "work").exists()


def test_a_languages_own_analyzer(write_jsonl, tmp_path):
    build_bm25(write_jsonl("c.jsonl", CORPUS), tmp_path / "i", analyzer="en")
    assert Bm25Searcher(tmp_path / "i").search("towns by lakes")[0].docid == "007"  # stemmed
    assert len(Bm25Searcher(tmp_path / "i").search("by the")) == 0  # stop words


@pytest.mark.parametrize("analyzer", ["xx", "am", "th"])
def test_an_analyzer_that_is_not_there(write_jsonl, tmp_path, analyzer):
    with pytest.raises(XqgError, match=f"--analyzer .?{analyzer}.?: .* use ngrams"):
        build_bm25(write_jsonl("c.jsonl", CORPUS), tmp_path / "i", analyzer=analyzer)
    assert not (tmp_path / "i").exists()


def test_a_broken_corpus_leaves_no_index(write_jsonl, tmp_path):
    corpus = write_jsonl("c.jsonl", [*CORPUS, {"docid": "x"}])
    with pytest.raises(XqgError, match=r"c\.jsonl:4: no field 'text'"):
        build_bm25(corpus, tmp_path / "i")
    assert not (tmp_path / "i").exists()
    build_bm25(write_jsonl("c.jsonl", CORPUS), tmp_path / "i")  # nothing stands in the way
    assert Bm25Searcher(tmp_path / "i").num_docs == 3


@pytest.mark.parametrize("analyzer", ["ngrams", "en"])
@pytest.mark.parametrize("text", ["", "😀", " \u3000", "\u00a0", "\x00\x1f", "?!"])
def test_passages_without_words_are_counted(write_jsonl, tmp_path, capsys, analyzer, text):
    rows = [*CORPUS[:2], {"docid": "none", "text": text}]
    build_bm25(write_jsonl("c.jsonl", rows), tmp_path / "i", analyzer=analyzer)
    assert "note: 1 passages have no words" in capsys.readouterr().err
    searcher = Bm25Searcher(tmp_path / "i")
    assert searcher.num_docs == 3
    assert searcher.doc("none").contents() == text


def test_how_often_passages_and_queries_count(write_jsonl, tmp_path):
    corpus = write_jsonl("c.jsonl", [{"docid": "p", "text": "lake"}, {"docid": "q", "text": "x"}])
    queries = write_jsonl("q.jsonl", [{"docid": "q", "generated_queries": {"fi": ["lake"]}}])
    best = {}
    for times in ((3, 1), (1, 3), (0, 1)):
        build_bm25(corpus, tmp_path / "i", queries=[queries], passage_times=times[0],
                   query_times=times[1], overwrite=True)  # fmt: skip
        best[times] = [hit.docid for hit in Bm25Searcher(tmp_path / "i").search("lake")]
        manifest = json.loads((tmp_path / "i/xqg.json").read_text())
        assert (manifest["passage_times"], manifest["query_times"]) == times
    assert best == {(3, 1): ["p", "q"], (1, 3): ["q", "p"], (0, 1): ["q"]}
    with pytest.raises(XqgError, match="--passage-times 0 --query-times 0: expected numbers"):
        build_bm25(corpus, tmp_path / "j", passage_times=0, query_times=0)


@pytest.mark.parametrize("analyzer", ["en", "fi", "ngrams"])
def test_what_java_and_python_call_empty_is_one(write_jsonl, tmp_path, capsys, analyzer):
    # Python strips U+3000, NBSP and U+0085, Java's trim control characters; either drops some.
    texts = ["\u3000", "\u00a0", "\x01\x1f", "\x00", "", "...", "\x1c\x85\u2028", "\u200b"]
    rows = [{"docid": f"d{number}", "text": text} for number, text in enumerate(texts)]
    corpus = write_jsonl("c.jsonl", [{"docid": "w", "text": "a lake"}, *rows])
    build_bm25(corpus, tmp_path / "i", analyzer=analyzer)
    assert f"note: {len(texts)} passages have no words" in capsys.readouterr().err
    assert json.loads((tmp_path / "i" / "xqg.json").read_text())["passages"] == len(texts) + 1
    assert Bm25Searcher(tmp_path / "i").num_docs == len(texts) + 1
    assert [hit.docid for hit in Bm25Searcher(tmp_path / "i").search("lake")] == ["w"]


def test_queries_in_tsv(write_jsonl, tmp_path):
    corpus = write_jsonl("c.jsonl", [{"docid": "p", "text": "lake"}, {"docid": "q", "text": "x"}])
    (tmp_path / "q.tsv").write_text("q\tjärvi\nq\tvesi\n")
    command = ["--to", "bm25", "--corpus", str(corpus), "--queries", str(tmp_path / "q.tsv"),
               "--output", str(tmp_path / "i")]  # fmt: skip
    with pytest.raises(XqgError, match="'query' does not say its language; "):
        index_main(command)
    index_main([*command, "--language", "fi"])
    assert [hit.docid for hit in Bm25Searcher(tmp_path / "i").search("vesi")] == ["q"]


def test_java_is_chosen_before_it_starts(write_jsonl, tmp_path):
    # In a process of its own: what a test before this one has started is no longer chosen.
    corpus = write_jsonl("c.jsonl", [{"docid": "p", "text": "lakes"}])
    words = ["--to", "bm25", "--corpus", str(corpus), "--analyzer", "en", "--output", "i"]
    done = subprocess.run(
        [sys.executable, "-m", "pyserini_xqg.index", *words], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stderr
