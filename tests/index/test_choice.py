from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from made_stores import write_store

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.__main__ import main
from pyserini_xqg.index.auto import complete
from pyserini_xqg.index.choice import WITH, WITHOUT, Scores, pick
from pyserini_xqg.index.choose import choose
from pyserini_xqg.index.own_pairs import OwnPairs
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store

ALPHAS = [0.0, 0.2, 0.4]


def scores(route, own, none=None, coverage=1.0, topics=40):
    """Topics that all score what is given for each mu and alpha, give or take a point."""
    noise = np.tile([1, -1], topics // 2)

    def spread(values):
        values = np.array(values, np.float32)[:, :, None] + np.zeros(topics, np.float32)
        values[:, 1:] += noise  # alpha 0 is one and the same
        return values.astype(np.float32)

    names = [f"{route}:{number}" for number in range(topics)]
    share = np.full(topics, coverage, np.float32)
    groups = {WITH: (spread(own), share)}
    if none is not None:
        groups[WITHOUT] = (spread(none), 1 - share)
    return Scores(names, names, groups)


def test_one_mu_and_one_alpha_for_all_routes():
    of = {
        "ar": scores("ar", [[50, 60, 55], [50, 62, 70]]),
        "te": scores("te", [[50, 60, 55], [50, 64, 53]]),
    }
    # mu 2: on average alpha .2 gains 13, .4 11.5
    choice = pick(of, ALPHAS, [0.0, 2.0], {"by": "hand"})
    assert choice.mu == 2.0
    assert choice.alphas == {"ar": 0.2, "te": 0.2}
    record = choice.record
    assert (record["chosen"], record["passages_only"]) == (63.0, 50.0)
    assert record["topics"] == record["passages"] == 80
    assert record["curve"][0] == {"mu": 0.0, "alpha": 0.0, "all": 50.0, "with_queries": 50.0}
    assert {"mu": 2.0, "alpha": 0.2, "all": 63.0, "with_queries": 63.0} in record["curve"]
    assert len(record["curve"]) == 5
    line = choice.line()
    assert line.startswith("chosen by hand: alpha 0.2, mu 2; RR@10 of 80 topics")
    assert line.endswith("63.0, passages only 50.0")


def test_a_route_that_the_common_alpha_harms_takes_a_lower_one():
    of = {
        "ar": scores("ar", [[50, 60, 80]]),
        "te": scores("te", [[50, 54, 49]]),
        "fi": scores("fi", [[50, 48, 45]]),
    }
    choice = pick(of, ALPHAS, [2.0], {"by": "hand"})
    assert choice.alphas == {"ar": 0.4, "te": 0.2, "fi": 0.0}
    assert "alpha 0.4 (te 0.2, fi 0), mu 2" in choice.line()


def test_no_group_is_taken_below_passages_only():
    # together mu 0, alpha .4 is best, and both mus would be; but then passages without queries lose
    of = {"te": scores("te", [[50, 60, 90], [50, 61, 62]], [[50, 52, 49], [50, 53, 54]], 0.5)}
    choice = pick(of, ALPHAS, [0.0, 2.0], {"by": "hand"})
    assert (choice.mu, choice.alphas) == (2.0, {"te": 0.4})
    assert choice.record["routes"]["te"]["without"] == 54.0
    assert choice.record["chosen"] == 58.0  # half of each
    # and those with queries
    of = {"te": scores("te", [[50, 51, 49.5]], [[50, 53, 90]], 0.5)}
    assert pick(of, ALPHAS, [2.0], {"by": "hand"}).alphas == {"te": 0.2}


def test_nothing_is_folded_in_without_an_assured_gain():
    of = {"te": scores("te", [[50, 50, 49]])}
    choice = pick(of, ALPHAS, [0.0], {"by": "hand"}, lambda mu: Scores([], [], {}))
    assert choice.line().endswith("passages only 50.0; no gain is assured, so nothing is folded in")
    assert choice.alphas == {"te": 0.0, "all": 0.0}
    assert choice.record["routes"]["all"] == {
        "alpha": 0.0, "topics": 0, "gain": 0.0, "lower_bound": 0.0
    }  # fmt: skip


def test_too_few_to_tell():
    # gains 31, -30, 31 ... on 10 passages: .5 on average, +- 30.5
    values = np.full((1, 2, 10), 50, np.float32)
    values[0, 1] += np.tile([31, -30], 5)
    names = [str(number) for number in range(10)]
    of = {"te": Scores(names, names, {WITH: (values, np.ones(10, np.float32))})}
    choice = pick(of, [0.0, 0.3], [2.0], {"by": "hand"})
    assert choice.alphas == {"te": 0.0}
    # the mean's variance is 30.5^2 / 9; 1.645^2 times it over .5^2 is as many times 10 passages
    needed = int(np.ceil(10 * 1.6448536**2 * 30.5**2 / 9 / 0.5**2))
    assert choice.record["not_assured"] == {
        "alpha": 0.3, "gain": 0.5, "passages_needed": needed
    }  # fmt: skip
    assert choice.line().endswith(
        "so nothing is folded in: 10 passages with queries are too few to tell whether alpha 0.3 "
        f"gains 0.5; it would take about {needed}"
    )
    one = {"te": Scores(["a"], ["a"], {WITH: (values[:, :, :1], np.ones(1, np.float32))})}
    assert pick(one, [0.0, 0.3], [2.0], {"by": "hand"}).line().endswith("it would take more")


@pytest.fixture
def helpful(tmp_path):
    """80 passages, 50 of them with queries that lie elsewhere, each where a turn takes it."""
    return made(tmp_path / "s")


def made(path, covered=50, shift=0, **options):
    rng = np.random.default_rng(7)
    d = 12
    passages = rng.normal(size=(80, d))
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    # what a map can know, what none can know, and a direction that all queries share
    places = passages + passages @ turn + 0.5 * rng.normal(size=(80, d)) + 3 * np.eye(d)[0]
    queries = {
        code: [
            place + 0.7 * rng.normal(size=(3 if row < covered else 0, d))
            for row, place in enumerate(np.roll(places, shift, axis=0))
        ]
        for code in ("ar", "te")
    }
    return write_store(path, passages, queries, **options)


def test_what_helps_is_folded_in(helpful):
    store = Store([helpful])
    found = complete(store, Fusion(mu="auto"), routed=True)
    assert found.fusion.method == "mean"
    assert found.fusion.mu > 0
    assert min(found.fusion.alphas[code] for code in ("ar", "te")) >= 0.2
    record = found.record
    assert record["topics"] == 300
    assert record["passages"] == 50
    assert record["coverage"] == {"ar": 0.625, "te": 0.625}
    for route in ("ar", "te"):
        of = record["routes"][route]
        assert min(of[WITH], of[WITHOUT]) >= of["passages_only"]
    # given settings are left alone
    assert complete(store, Fusion("mean", 0.3), routed=True).fusion == Fusion("mean", 0.3)
    assert complete(store, Fusion("mean", None, mu=2.0), routed=False).fusion.mu == 2.0
    some = complete(store, Fusion("mean", 0.3, mu=None), routed=True).fusion
    assert (some.alpha, some.alphas) == (0.3, {})
    assert some.mu > 0


def test_queries_of_other_passages_are_not_folded_in(tmp_path, capsys):
    store = Store([made(tmp_path / "s", shift=1)])
    # left out of their wrong passages, they find each other: it would look like a gain
    found = complete(store, Fusion(mu="auto"), routed=True)
    assert set(found.fusion.alphas.values()) == {0.0}
    pairs = found.record["own_pairs"]
    assert (pairs["passages"], pairs["own"], pairs["belong"]) == (50, 0, False)
    assert pairs["pairs"] > 20
    assert "WARNING: generated queries lie no nearer to their own" in capsys.readouterr().err


def test_pairs_by_hand():
    # 100 pairs among 100 passages: chance makes one of them own, and 3 or more with .080, 4 .019
    assert not OwnPairs(100, 100, 3).belong()
    assert OwnPairs(100, 100, 4).belong()
    assert OwnPairs(240, 79, 5).belong()
    assert OwnPairs(19, 10, 0).belong()  # too few to tell
    assert OwnPairs(2000, 2000, 2000).belong()


def test_the_index_command_chooses(helpful, tmp_path, capsys):
    main(["--embeddings", str(helpful), "--output", str(tmp_path / "i")])
    said = capsys.readouterr().err
    manifest = json.loads((tmp_path / "i/xqg.json").read_text())
    assert manifest["kind"] == "routed"
    chosen = manifest["chosen"]
    assert "chosen by generated queries, each left out of its own passage: alpha" in said
    for route in ("ar", "te", "all"):
        of_route = json.loads((tmp_path / "i" / route / "xqg.json").read_text())
        assert of_route["alpha"] == chosen["routes"][route]["alpha"]
        assert of_route["mu"] == chosen["mu"]
    assert "WARNING" not in said
    main(["--embeddings", str(helpful), "--output", str(tmp_path / "u"), "--no-routed"])
    single = json.loads((tmp_path / "u/xqg.json").read_text())
    assert single["kind"] == "faiss"
    assert single["chosen"]["routes"]["all"]["alpha"] == single["alpha"]


def test_a_store_without_a_sample(tmp_path):
    store = Store([made(tmp_path / "s", rate=None)])
    with pytest.raises(XqgError, match="by an earlier version and holds no single query vectors"):
        choose(store, store.languages, None, routed=True, l2_norm=False)
    kept = Store([made(tmp_path / "k", rate=None, keep=True)])
    assert choose(kept, ["te"], None, routed=True, l2_norm=False, mus=[0.0]).record["topics"] == 150


def test_settings_that_cannot_be_chosen(helpful):
    store = Store([helpful])
    with pytest.raises(XqgError, match="--method max-sim needs --alpha"):
        complete(store, Fusion("max-sim"), routed=False)
    with pytest.raises(XqgError, match="--weights and --centre go with"):
        complete(store, Fusion(weights={"te": 2.0}), routed=False)


def test_by_judgments(encoder, model_dir, corpus_and_queries, tmp_path, write_jsonl, capsys):
    from pyserini_xqg.encode.corpus import encode_corpus

    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries])
    docids = [json.loads(line)["docid"] for line in corpus.read_text().splitlines()]
    topics = write_jsonl(
        "t.jsonl",
        ({"qid": f"{code}-{i}", "title": f"w{(i + 30) % 60}", "lang": code}
         for i in range(30) for code in ("ar", "fi")),
    )  # fmt: skip
    qrels = tmp_path / "qrels"
    qrels.write_text(
        "".join(f"{code}-{i} 0 {docids[i]} 1\n" for i in range(30) for code in ("ar", "fi"))
    )
    command = ["--embeddings", str(tmp_path / "s"), "--output", str(tmp_path / "i"),
               "--topics", str(topics), "--qrels", str(qrels)]  # fmt: skip
    main(command)
    chosen = json.loads((tmp_path / "i/xqg.json").read_text())["chosen"]
    assert chosen["by"] == "the dev half of the topics"
    assert chosen["test_topics"] == 30
    assert chosen["topics"] == 15  # in Arabic; none are in Telugu, and Finnish has no route
    assert chosen["routes"]["te"]["topics"] == 0
    assert chosen["routes"]["all"]["topics"] == 15
    assert chosen["routes"]["ar"]["alpha"] > 0  # each topic is its passage's own query
    assert "chosen by the dev half of the topics" in capsys.readouterr().err
    (tmp_path / "other").write_text("ar-0 0 nowhere 1\nar-1 0 either 1\n")
    command[command.index("--qrels") + 1] = str(tmp_path / "other")
    command[command.index("--output") + 1] = str(tmp_path / "j")
    with pytest.raises(XqgError, match="holds none of the 1 passages that the qrels call relevant"):
        main(command)


@pytest.mark.skipif(
    "XQG_XQUAD_STORES" not in os.environ, reason="XQG_XQUAD_STORES: a folder of XQuAD's stores"
)
def test_real_text_and_a_real_encoder():
    folder = Path(os.environ["XQG_XQUAD_STORES"])
    for name, least in (("xquad", 0.4), ("xquad-0.1", 0.1)):
        store = Store([folder / name])
        found = complete(store, Fusion(mu="auto"), routed=True)
        assert found.fusion.l2_norm
        assert np.mean(list(found.fusion.alphas.values())) >= least
        assert found.fusion.mu >= 2
