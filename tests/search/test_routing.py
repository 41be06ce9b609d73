from __future__ import annotations

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import read_run
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.plugin import XqgSearcher
from pyserini_xqg.search.__main__ import main
from pyserini_xqg.search.routing import detect_topics
from pyserini_xqg.search.searcher import open_searcher
from pyserini_xqg.store.store import Store

# The random encoder reads none but the w's; the rest is there to be recognised.
TE, FI = "w1 లండన్ జనాభా ఎంత", "w1 Mikä on Suomen pääkaupunki ja suurin kaupunki"
TOPICS = [
    {"qid": "none", "title": TE},
    {"qid": "wrong", "title": TE, "lang": "ar"},
    {"qid": "other", "title": FI},
]


@pytest.fixture(scope="module")
def indexes(tmp_path_factory, encoder):
    folder = tmp_path_factory.mktemp("routing")
    corpus = "".join(f'{{"docid": "d{i}", "text": "w{i} w{i + 1}"}}\n' for i in range(9))
    queries = "".join(
        f'{{"docid": "d{i}", "generated_queries": {{"te": ["w{9 - i}"], "ar": ["w{i + 20}"]}}}}\n'
        for i in range(9)
    )
    (folder / "corpus.jsonl").write_text(corpus)
    (folder / "queries.jsonl").write_text(queries)
    encode_corpus(folder / "corpus.jsonl", folder / "store", encoder,
                  queries=[folder / "queries.jsonl"])  # fmt: skip
    store = Store([folder / "store"])
    build_routed(store, folder / "routed", Fusion("mean", 0.9))
    build_routed(store, folder / "lucene", Fusion("mean", 0.9), to="lucene-flat")
    build_index(store, folder / "flat", Fusion("mean", 0.9))
    return folder


def hits(folder, write_jsonl, *more):
    topics, run = write_jsonl("topics.jsonl", TOPICS), folder / "found.run"
    main(["--index", str(folder / "routed"), "--topics", str(topics), "--output", str(run),
          "--device", "cpu", "--overwrite", *more])  # fmt: skip
    return read_run(run)


def test_detection_of_some_and_of_all():
    topics = [Topic(row["qid"], row["title"], row.get("lang", "")) for row in TOPICS]
    assert [topic.language for topic in detect_topics(topics)] == ["te", "ar", "fi"]
    assert [topic.language for topic in detect_topics(topics, "all")] == ["te", "te", "fi"]


def test_topics_take_the_route_of_their_text(indexes, write_jsonl):
    routed = XqgSearcher(indexes / "routed")
    expected = {
        code: [(hit.docid, pytest.approx(hit.score, abs=1e-5)) for hit in
               routed.search(text, k=9, language=code)]
        for code, text in (("te", TE), ("ar", TE), ("fi", FI))
    }  # fmt: skip
    assert expected["te"] == [
        (hit.docid, pytest.approx(hit.score, abs=1e-5)) for hit in routed.search(TE, k=9)
    ]
    plain = {code: [docid for docid, _ in of] for code, of in expected.items()}
    assert len({tuple(docids) for docids in (plain["te"], plain["ar"])}) == 2
    missing, everything = (
        hits(indexes, write_jsonl, "--detect-language", *which) for which in ([], ["all"])
    )
    assert missing["none"] == everything["none"] == everything["wrong"] == expected["te"]
    assert missing["wrong"] == expected["ar"]
    assert missing["other"] == everything["other"] == expected["fi"]  # no route: over all
    with pytest.raises(XqgError, match="and 2 of 3 queries name none: .*'lang'"):
        hits(indexes, write_jsonl)


@pytest.mark.parametrize("kind", ["routed", "lucene"])
def test_the_searcher_detects_too(indexes, kind):
    detecting = open_searcher(indexes / kind, device="cpu")
    routed = open_searcher(indexes / kind, device="cpu", detect=False)

    def same(one, other):
        return [(h.docid, float(h.score)) for h in one] == [
            (h.docid, float(h.score)) for h in other
        ]

    te, ar, rest = (routed.search(TE, k=9, language=code) for code in ("te", "ar", "fi"))
    assert not same(te, rest)
    assert same(detecting.search(TE, k=9), te)
    assert same(detecting.search(TE, k=9, language="ar"), ar)
    with pytest.raises(XqgError, match="1 of 1 queries name none"):
        routed.search(TE, k=9)
    vector = routed.encoder.encode_queries([TE])
    assert same(detecting.search(vector, k=9, language="te"), te)
    with pytest.raises(XqgError, match="1 of 1 queries name none"):
        detecting.search(vector, k=9)  # a vector says nothing
    found = detecting.batch_search([TE, TE], ["a", "b"], k=9, languages=["", "ar"])
    assert same(found["a"], te)
    assert same(found["b"], ar)
    assert same(detecting.batch_search([TE], ["a"], k=9)["a"], te)


def test_what_is_refused(indexes, write_jsonl):
    with pytest.raises(XqgError, match="leave --detect-language out"):
        hits(indexes, write_jsonl, "--detect-language", "--language", "te")
    topics = write_jsonl("topics.jsonl", TOPICS)
    with pytest.raises(XqgError, match="flat: not routed: leave --detect-language out"):
        main(["--index", str(indexes / "flat"), "--topics", str(topics),
              "--output", str(indexes / "no.run"), "--detect-language"])  # fmt: skip
