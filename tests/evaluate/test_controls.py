from __future__ import annotations

import numpy as np
import pytest
from made_stores import make_subject, write_store

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.from_store.controls import controls
from pyserini_xqg.evaluate.from_store.controls_tables import (
    NEIGHBOUR,
    NONE,
    OTHERS,
    REAL,
    SHUFFLED,
    averaged,
    share,
    take_apart,
)
from pyserini_xqg.evaluate.from_store.exchange import next_rows, shuffled_parts
from pyserini_xqg.evaluate.from_store.retrieval import System, everyone
from pyserini_xqg.evaluate.from_store.smoothing import with_maps, with_maps_of
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.settings import FALLBACK, Fusion
from pyserini_xqg.store.store import Store

PAPER = Fusion("paper", 0.5)


@pytest.fixture
def subject(tmp_path):
    """Two passages, so that shuffling can only swap their queries.

    The topic points to p1 and asks for p0, whose query in te points there too; p1's in ar does
    more so.
    """
    queries = {"te": [[[0, 2]], []], "ar": [[], [[0, 5]]]}
    store = Store([write_store(tmp_path / "s", [[1, 0], [0, 1]], queries)])
    return make_subject(store, [("te-1", "te", [0, 1], "p0"), ("fi-1", "fi", [1, 0], "p0")])


def made(subject, fusion=PAPER, **more):
    rows = next_rows(subject.store.passages)
    sections = controls(subject, fusion, ["RR@10"], neighbours=rows, neighbour="next", **more)
    return sections, {table.name: table for section in sections for table in section.tables}


def test_content_by_hand(subject):
    sections, tables = made(subject._replace(languages=["te"], pooled=["te"]), draws=2)
    systems = {row[0]: row[1:] for row in tables["controls-rr-10"].rows}
    # none: p0 0, p1 1. real: p0 1, p1 0.5. swapped: p0 0, p1 0.5 + 1.
    assert systems == {
        NONE: [50.0, 50.0, 100.0],
        REAL: [100.0, 100.0, 100.0],
        NEIGHBOUR: [50.0, 50.0, 100.0],
        SHUFFLED: [50.0, 50.0, 100.0],
        "n": [1, 1, 1],
    }
    parts = tables["controls-parts-rr-10"]
    assert parts.columns[4:8] == ["gain", "content", "shift", "own passage"]
    assert parts.rows == [
        ["mean", 1, 50.0, 100.0, 50.0, 50.0, 0.0, 50.0, 100.0, 0.0],
        ["te", 1, 50.0, 100.0, 50.0, 50.0, 0.0, 50.0, 100.0, 0.0],
        ["fi", 1, 100.0, 100.0, 0.0, 0.0, 0.0, 0.0, None, None],
    ]
    assert parts.intervals[0, 4] == (50.0, 50.0)
    assert sections[1].text == [
        "RR@10, mean: gain +50.0 points [50.0, 50.0]; content +50.0, 100 % of it; shift +0.0, 0 % "
        "of it.",
        "Shuffled, by draw: 50.0 to 50.0.",
    ]
    assert "paper, alpha 0.5; languages: te." in sections[0].text
    assert "Neighbour: next." in sections[0].text


def test_languages_by_hand(subject):
    _, tables = made(subject)
    assert tables["controls-rr-10"].columns == ["system", "mean", "fi", "te"]
    systems = {row[0]: row[3] for row in tables["controls-rr-10"].rows}
    # both languages: p0 1, p1 0.5 + 2.5
    assert systems == {NONE: 50.0, REAL: 50.0, OTHERS: 50.0, "without ar": 100.0,
                       "without te": 50.0, NEIGHBOUR: 100.0, SHUFFLED: 100.0, "n": 1}  # fmt: skip
    left_out = tables["controls-left-out-rr-10"]
    assert left_out.rows == [["ar", 0, None, 2, -25.0], ["te", 1, 0.0, 1, 0.0]]
    assert set(left_out.intervals) == {(0, 4), (1, 2), (1, 4)}


def test_routed_by_hand(subject):
    _, tables = made(subject, with_routed=True)
    systems = {row[0]: row[3] for row in tables["controls-rr-10"].rows}
    # te alone: as by content. Without te the topic falls back to the rest, which is ar.
    assert (systems[REAL], systems["without te"], systems["without ar"]) == (100.0, 50.0, 100.0)
    assert (systems[OTHERS], systems[SHUFFLED]) == (50.0, 50.0)


def test_each_topic_has_other_languages_than_its_own(tmp_path):
    queries = {"te": [[[0, 2]], []], "ar": [[], [[0, 5]]], "ru": [[], []]}
    store = Store([write_store(tmp_path / "s", [[1, 0], [0, 1]], queries)])
    topics = [(f"{code}-1", code, [0, 1], "p0") for code in ("te", "ar")]
    _, tables = made(make_subject(store, topics), with_routed=True)
    assert tables["controls-rr-10"].columns[2:] == ["ar", "te"]
    systems = {row[0]: row[2:] for row in tables["controls-rr-10"].rows}
    # te leads to p0, ar away from it, and more so
    assert systems[REAL] == systems["without ru"] == [50.0, 100.0]
    assert systems[OTHERS] == [100.0, 50.0]


def test_no_augmentation_is_scaled_where_the_rest_is(tmp_path):
    store = Store([write_store(tmp_path / "s", [[3, 3], [0, 2]], {"te": [[], []]})])
    subject = make_subject(store, [("q", "te", [0, 1], "p0")])
    for l2_norm, expected in ((False, 100.0), (True, 50.0)):  # p0 is longer, p1 nearer
        _, tables = made(subject, Fusion("mean", 0.5, l2_norm=l2_norm))
        assert tables["controls-rr-10"].rows[0][:2] == [NONE, expected]


def test_taking_a_gain_apart():
    scores = {NONE: {"a": 10.0, "b": 0.0}, REAL: {"a": 60.0, "b": 1.0},
              NEIGHBOUR: {"a": 40.0, "b": 1.0}, SHUFFLED: {"a": 20.0, "b": 0.5}}  # fmt: skip
    parts = take_apart(scores)
    assert parts == ({"a": 50.0, "b": 1.0}, {"a": 40.0, "b": 0.5}, {"a": 10.0, "b": 0.5},
                     {"a": 20.0, "b": 0.0})  # fmt: skip
    assert averaged([scores[NONE], scores[REAL]]) == {"a": 35.0, "b": 0.5}


def test_no_share_of_what_may_be_nothing():
    assert share(4.0, 5.0, low=0.1) == 80.0
    assert share(-1.0, 5.0, low=0.1) == -20.0
    assert share(4.0, 5.0, low=0.0) is None
    assert share(4.0, 5.0, low=-0.1) is None


def test_what_is_refused(subject):
    with pytest.raises(XqgError, match="--alpha 0 folds nothing in"):
        made(subject, Fusion("mean", 0.0))
    with pytest.raises(XqgError, match="give --method .* and --alpha"):
        made(subject, Fusion())


def test_the_command(corpus_and_queries, topics_and_qrels, encoder, tmp_path, capsys):
    (corpus, queries), (topics, qrels) = corpus_and_queries, topics_and_qrels
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    docids = (tmp_path / "store/docid").read_text().split()
    (tmp_path / "groups").write_text("".join(f"{d} {row // 7}\n" for row, d in enumerate(docids)))
    words = ["controls", "--embeddings", tmp_path / "store", "--topics", topics,
             "--qrels", qrels, "--device", "cpu", "--method", "mean", "--alpha", "0.5",
             "--measures", "RR@10", "Success@1", "--groups", tmp_path / "groups", "--draws", "2",
             "--centre", "--l2-norm", "--weights", "te=2",
             "--output", tmp_path / "page"]  # fmt: skip
    main([str(word) for word in words])
    said = " ".join(capsys.readouterr().out.split())
    assert "mean, alpha 0.5, centred, length 1; languages: ar x1 te x2." in said
    assert "groups (0 of 30 are alone" in said
    assert "Shuffled: mean of 2 draws." in said
    for name in ("rr-10", "parts-success-1", "left-out-rr-10"):
        assert (tmp_path / f"page/controls-{name}.csv").is_file()
    assert (tmp_path / "page/controls-rr-10.png").read_bytes().startswith(b"\x89PNG")


def test_maps_are_fitted_on_the_queries_that_were_moved(tmp_path):
    rng = np.random.default_rng(0)
    passages = rng.normal(size=(200, 4))
    queries = {"te": [[-row + 0.01 * rng.normal(size=4)] for row in passages]}
    store = Store([write_store(tmp_path / "s", passages, queries)])
    subject = make_subject(store, [(f"q{i}", "te", -passages[i], f"p{i}") for i in range(20)])
    systems = {"a": System(Fusion("mean", 1.0, mu=2), everyone(["te"]))}
    own = with_maps(subject, systems).maps.maps["te"]
    shuffled = with_maps_of(subject, systems, lambda codes: shuffled_parts(store, codes, [0]))
    moved = shuffled.maps.maps["te"]
    assert np.allclose(own.whole.weights, -np.eye(4), atol=0.05)
    assert abs(moved.whole.weights).max() < 0.2  # what goes with a passage is chance
    assert moved.whole.passages == 200
    assert with_maps(subject, {"a": System(Fusion("mean", 1.0), everyone(["te"]))}).maps is None
    sections, tables = made(subject, Fusion("mean", 1.0, l2_norm=True, mu=50), draws=2)
    systems = {row[0]: row[1] for row in tables["controls-rr-10"].rows}
    assert systems[REAL] > 90
    assert systems[SHUFFLED] < 30
    assert "mean, alpha 1, mu 50, length 1; languages: te." in sections[0].text[0]
    assert "the maps that smooth them are fitted on the moved ones" in sections[0].text[3]


def test_the_settings_of_an_index(corpus_and_queries, encoder, write_jsonl, tmp_path, capsys):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    topics = write_jsonl("t.jsonl", [{"qid": "te-1", "title": "w1 w2", "lang": "te"}])
    (tmp_path / "qrels").write_text("te-1 0 d1 1\n")
    store = Store([tmp_path / "store"])
    alphas = {"te": 0.3, "ar": 0.6, FALLBACK: 0.1}
    build_routed(store, tmp_path / "routed", Fusion("mean", l2_norm=True, alphas=alphas, mu=2))
    build_index(store, tmp_path / "one", Fusion("paper", 0.2, {"te": 3}), languages=["te"])
    words = ["controls", "--embeddings", tmp_path / "store", "--topics", topics,
             "--qrels", tmp_path / "qrels", "--device", "cpu", "--draws", "1", "--full",
             "--index"]  # fmt: skip
    for index, expected in (
        ("routed", "mean, alpha ar=0.6 te=0.3 all=0.1, mu 2, routed, length 1; languages: ar te."),
        ("one", "paper, alpha 0.2; languages: te x3."),
    ):
        main([str(word) for word in [*words, tmp_path / index]])
        assert expected in " ".join(capsys.readouterr().out.split())
    with pytest.raises(XqgError, match="--index has its own settings: leave"):
        main([str(word) for word in [*words, tmp_path / "one", "--alpha", "0.5"]])
