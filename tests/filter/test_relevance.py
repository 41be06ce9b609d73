from __future__ import annotations

import json

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.filter.__main__ import main
from pyserini_xqg.filter.further_steps import Thresholds, drop_inconsistent, drop_low
from pyserini_xqg.filter.relevance import CrossEncoderScorer, EncoderScorer, score_rows
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.search.searcher import open_searcher

PASSAGES = [Passage("a", "w1", "w2 w3"), Passage("b", "", "w4 w5 w6 w7"), Passage("c", "w8", "")]
QUERIES = [{"fi": ["w1", "w9 w2"], "te": ["w1"]}, {}, {"fi": [], "te": ["w4", ""]}]


def rows():
    return [Row(p, dict(q), {}, {}) for p, q in zip(PASSAGES, QUERIES, strict=True)]


@pytest.fixture(scope="module")
def cross_encoder(model_dir, tmp_path_factory):
    """Makes random classifiers with that many labels."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification

    def make(labels):
        path = tmp_path_factory.mktemp("cross")
        torch.manual_seed(labels)
        config = AutoConfig.from_pretrained(model_dir, num_labels=labels)
        BertForSequenceClassification(config).save_pretrained(path)
        AutoTokenizer.from_pretrained(model_dir).save_pretrained(path)
        return str(path)

    return make


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("fields", [("text",), ("title", "text")])
def test_an_encoders_scores(encoder, similarity, fields):
    scored = list(score_rows(rows(), EncoderScorer(encoder, fields, similarity)))
    assert [row.queries for row in scored] == QUERIES
    for row in scored:
        titles = [row.passage.title] if "title" in fields else None
        (p,) = encoder.encode_passages([row.passage.text], titles)
        for language, texts in row.queries.items():
            expected = []
            for q in encoder.encode_queries(texts):
                norm = np.linalg.norm(q) * np.linalg.norm(p) if similarity == "cosine" else 1
                expected.append(q @ p / norm)
            assert row.scores[language] == pytest.approx(expected, abs=1e-4)
    assert scored[1].scores == {}
    assert scored[2].scores["fi"] == []


@pytest.mark.parametrize("labels", [1, 2])
def test_a_cross_encoders_scores(cross_encoder, labels):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    path = cross_encoder(labels)
    scorer = CrossEncoderScorer(path, device="cpu", batch_size=2, fields=("title", "text"))
    scored = list(score_rows(rows(), scorer))
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    for row, document in zip(scored, ("w1 w2 w3", "w4 w5 w6 w7", "w8"), strict=True):
        for language, texts in row.queries.items():
            for text, score in zip(texts, row.scores[language], strict=True):
                with torch.inference_mode():
                    logits = model(**tokenizer(text, document, return_tensors="pt")).logits[0]
                expected = logits[0] if labels == 1 else logits[1] - logits[0]
                assert score == pytest.approx(float(expected), abs=1e-4)
    assert scored[0].scores["fi"][0] != scored[0].scores["fi"][1]


def test_a_cross_encoder_by_its_name(cross_encoder, write_jsonl, tmp_path):
    rows = [
        {"docid": p.docid, "title": p.title, "text": p.text, "generated_queries": q}
        for p, q in zip(PASSAGES, QUERIES, strict=True)
    ]
    path, public = cross_encoder(1), str(write_jsonl("public.jsonl", rows))
    main(["--queries", public, "--corpus", public, "--output", str(tmp_path / "out.jsonl"),
          "--cross-encoder", path, "--device", "cpu", "--fields", "title", "text"])  # fmt: skip
    scorer = CrossEncoderScorer(path, device="cpu", fields=("title", "text"))
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for row, passage, queries in zip(written, PASSAGES, QUERIES, strict=True):
        assert row["generated_queries"] == queries
        for language, texts in queries.items():
            expected = scorer.score([passage], texts, [0] * len(texts))
            assert row["scores"][language] == pytest.approx(list(expected), abs=1e-4)


def test_models_that_do_not_fit(cross_encoder, encoder, tmp_path):
    with pytest.raises(XqgError, match=r"3 labels; expected one \(relevance\) or two"):
        CrossEncoderScorer(cross_encoder(3))
    with pytest.raises(XqgError, match="no such model folder: .*nowhere; .*, with --cross-encoder"):
        CrossEncoderScorer(str(tmp_path / "nowhere"))
    with pytest.raises(XqgError, match="--similarity 'l2' is none of dot, cosine"):
        EncoderScorer(encoder, similarity="l2")


def test_a_score_that_is_not_finite():
    class Broken:
        def score(self, passages, texts, owners):
            return np.array([1, 2, np.inf, np.nan, 1], dtype=np.float32)

    with pytest.raises(XqgError, match="passage 'a': a query's score is not finite"):
        list(score_rows(rows(), Broken()))


SCORED = [
    Row(Passage("a", "", ""), {"fi": ["1", "2", "3"], "te": ["4"]},
        {"fi": [0.1, 0.5, -2], "te": [7.0]}, {}),
    Row(Passage("b", "", ""), {"fi": ["5"], "te": ["6", "7"], "ru": []},
        {"fi": [0.5], "te": [7.5, 7.2]}, {}),
]  # fmt: skip


def test_an_absolute_threshold():
    tally = Tally()
    left = list(drop_low(SCORED, tally, 0.5))
    assert [row.queries["fi"] for row in left] == [["2"], ["5"]]
    assert [row.scores["fi"] for row in left] == [[0.5], [0.5]]
    assert tally.dropped == {"fi": {"score": 2}}


@pytest.mark.parametrize(
    ("fraction", "fi", "te"),
    [
        (1.0, ["1", "2", "3", "5"], ["4", "6", "7"]),
        (0.67, ["1", "2", "5"], ["4", "6", "7"]),  # 2.68 and 2.01: rounded up
        (0.6, ["1", "2", "5"], ["6", "7"]),
        (0.01, ["2", "5"], ["6"]),  # ties stay together
    ],
)
def test_a_fraction_of_each_language(tmp_path, fraction, fi, te):
    (tmp_path / "s.sqlite").write_text("half of a table " * 100)  # a killed run left it
    thresholds = Thresholds(tmp_path / "s.sqlite")
    rows = list(thresholds.collect(SCORED))
    assert rows == SCORED
    left = list(drop_low(rows, Tally(), thresholds.keeping(fraction)))
    assert [text for row in left for text in row.queries["fi"]] == fi
    assert [text for row in left for text in row.queries["te"]] == te
    assert left[1].queries["ru"] == []


def test_a_threshold_without_scores(tmp_path):
    bare = SCORED[0]._replace(scores={"fi": [1.0, None, 2.0]})
    for language in ("fi", "te"):
        row = bare._replace(queries={language: bare.queries[language]})
        with pytest.raises(XqgError, match=f"'a': its queries in {language} have no scores; give"):
            list(drop_low([row], Tally(), 0.5))
    with pytest.raises(XqgError, match="have no scores"):
        list(Thresholds(tmp_path / "s.sqlite").collect([bare]))


class Searcher:
    """Finds for a query of digits the passages d<digit>, in the order of the digits."""

    def __init__(self):
        self.seen = []

    def batch_search(self, texts, qids, k, threads, languages):
        class Hit:
            def __init__(self, docid):
                self.docid = docid

        self.seen.append(list(zip(texts, languages, strict=True)))
        return {
            qid: [Hit(f"d{c}") for c in text[:k]] for qid, text in zip(qids, texts, strict=True)
        }


def test_round_trips():
    rows = [
        Row(Passage("d1", "", ""), {"fi": ["1", "21", "31", "431", " "], "te": ["1"]}, {}, {}),
        Row(Passage("d2", "", ""), {"fi": ["21", "1"]}, {}, {}),
    ]
    searcher, tally = Searcher(), Tally()
    left = list(drop_inconsistent(rows, tally, searcher, 2, batch_size=3))
    assert [row.queries for row in left] == [
        {"fi": ["1", "21", "31"], "te": ["1"]},
        {"fi": ["21"]},
    ]
    assert tally.dropped == {"fi": {"round-trip": 3}}
    # Each once, the blank one never, three at a time, with their languages.
    assert searcher.seen == [
        [("1", "fi"), ("21", "fi"), ("31", "fi")],
        [("431", "fi"), ("1", "te")],
    ]


def test_round_trips_through_a_real_index(corpus_and_queries, encoder, tmp_path):
    corpus, _ = corpus_and_queries
    encode_corpus(corpus, tmp_path / "i", encoder, to_faiss=Fusion())
    searcher = open_searcher(tmp_path / "i", device="cpu")
    texts = [f"w{i}" for i in range(40)]
    row = Row(Passage("007", "", ""), {"fi": texts}, {}, {})
    (left,) = drop_inconsistent([row], Tally(), searcher, 5)
    found = {text: [hit.docid for hit in searcher.search(text, k=5)] for text in texts}
    assert left.queries["fi"] == [text for text in texts if "007" in found[text]]
    assert 0 < len(left.queries["fi"]) < 40
    (everything,) = drop_inconsistent([row], Tally(), searcher, 1000)
    assert everything.queries["fi"] == texts
