from __future__ import annotations

import pytest
from made_stores import make_subject, write_store

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.from_store.controls import controls
from pyserini_xqg.evaluate.from_store.controls_tables import REAL
from pyserini_xqg.evaluate.from_store.exchange import (
    DETECTED,
    MISROUTED,
    UNROUTED,
    misrouted,
    next_rows,
    route_scores,
)
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store

ROUTED = Fusion("mean", 0.5)
TEXTS = {
    "te-1": "లండన్ జనాభా ఎంత",
    "te-2": "Mikä on Suomen pääkaupunki ja suurin kaupunki",  # found to be Finnish: no route
    "ar-1": "లండన్ జనాభా ఎంత",  # found to be Telugu: the wrong route
}


@pytest.fixture
def subject(tmp_path):
    """Queries in te lead to p0, those in ar to p1, for a topic that is as near to both."""
    queries = {"te": [[[0, 4]], [[0, -4]]], "ar": [[[0, -9]], [[0, 9]]]}
    store = Store([write_store(tmp_path / "s", [[1, 0], [1, 0]], queries)])
    asked = [
        ("te-1", "te", [0, 1], "p0"),
        ("te-2", "te", [0, 1], "p0"),
        ("ar-1", "ar", [0, 1], "p1"),
    ]
    subject = make_subject(store, asked)
    topics = {
        qid: topic._replace(text=TEXTS[qid]) for qid, topic in subject.collection.topics.items()
    }
    return subject._replace(collection=subject.collection._replace(topics=topics))


def test_routes_by_hand(subject):
    scores = route_scores(subject, ROUTED, ["Success@1"], draws=2)
    of = {name: by_measure["Success@1"] for name, by_measure in scores.items()}
    # all languages: p0 (4 - 9) / 2, p1 (9 - 4) / 2
    assert of == {
        DETECTED: {"te-1": 100.0, "te-2": 0.0, "ar-1": 0.0},
        UNROUTED: {"te-1": 0.0, "te-2": 0.0, "ar-1": 100.0},
        MISROUTED: {"te-1": 0.0, "te-2": 0.0, "ar-1": 0.0},
    }


def test_misrouting_is_never_right_and_is_seeded(subject):
    for seed in range(5):
        found = misrouted(subject, [seed])
        assert found == {"te-1": "ar", "te-2": "ar", "ar-1": "te"}
    wide = subject._replace(languages=["ar", "fi", "ko", "te"])
    assert misrouted(wide, [1]) == misrouted(wide, [1])
    assert len({str(misrouted(wide, [seed])) for seed in range(5)}) > 1


def test_what_controls_shows_of_it(subject):
    def tables(with_routed):
        sections = controls(subject, ROUTED, ["Success@1"], with_routed=with_routed,
                            neighbours=next_rows(2), neighbour="next", draws=2)  # fmt: skip
        return {table.name: table for section in sections for table in section.tables}

    found = tables(with_routed=True)
    systems = {row[0]: row[1:] for row in found["controls-success-1"].rows}
    assert systems[REAL] == [100.0, 100.0, 100.0]
    assert systems[DETECTED] == [pytest.approx(100 / 3), 0.0, 50.0]
    assert found["controls-detection"].rows == [
        ["mean", 3, pytest.approx(100 / 3), 1, 1],
        ["ar", 1, 0.0, 1, 0],
        ["te", 2, 50.0, 0, 1],
    ]
    lost = {row[0]: row[1:] for row in found["controls-routing-success-1"].rows}
    assert lost == {
        DETECTED: [pytest.approx(-200 / 3), -100.0, -50.0],
        MISROUTED: [-100.0, -100.0, -100.0],
        UNROUTED: [pytest.approx(-200 / 3), 0.0, -100.0],
    }
    assert found["controls-routing-success-1"].intervals[1, 1] == (-100.0, -100.0)
    assert not {"controls-detection", "controls-routing-success-1"} & tables(False).keys()


def test_one_language_has_no_wrong_route(subject):
    assert MISROUTED not in route_scores(subject._replace(languages=["te"]), ROUTED, ["RR@10"])


def test_an_alpha_for_each_route(subject):
    by_route = Fusion("mean", 0.5, alphas={"te": 0.0})
    sections = controls(subject, by_route, ["Success@1"], with_routed=True,
                        neighbours=next_rows(2), neighbour="next", draws=1)  # fmt: skip
    assert sections[0].text[0].startswith("mean, alpha 0.5 te=0, routed;")
    rows = {row[0]: row[1:] for row in sections[1].tables[0].rows}
    # in te nothing is folded in: both score 0, and of equals the later docid stands first
    assert rows[REAL][1:] == [100.0, 0.0]
    assert rows[UNROUTED][1:] == [100.0, 0.0]
    with pytest.raises(XqgError, match="--alpha by language goes with --routed"):
        controls(subject, by_route, ["Success@1"], neighbours=next_rows(2), neighbour="next")
    with pytest.raises(XqgError, match="--alpha fi: no such route"):
        controls(subject, Fusion("mean", 0.5, alphas={"fi": 0.1}), ["Success@1"],
                 with_routed=True, neighbours=next_rows(2), neighbour="next")  # fmt: skip
