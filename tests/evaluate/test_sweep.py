from __future__ import annotations

import json

import numpy as np
import pytest
from made_stores import make_subject, write_store

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.from_store.grid import NONE, SCALED, Setting, best, grid
from pyserini_xqg.evaluate.from_store.sweep import sweep
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store

SETS = ["all", "alone", "leave-one-out"]
UP = {0: [0, 2, 0, 0], 2: [0, 0, 0, 2]}  # queries in te that lead to p0 and p2
AWAY = {1: [0, 5, 0, 0], 3: [0, 0, 0, 5]}  # queries in ar that lead away from them


@pytest.fixture
def store(tmp_path):
    """Topics ask for p0 and p2 in the direction of p1 and p3.

    The sum puts p0 before p1 where 2 alpha > 1 - alpha, from a third on; the mean, which leaves p1
    without queries as it is, where 2 alpha > 1, from a half on; with ar folded in neither does.
    """
    unit = [[float(i == j) for j in range(4)] for i in range(4)]
    queries = {
        "te": [[UP[row]] if row in UP else [] for row in range(4)],
        "ar": [[AWAY[row]] if row in AWAY else [] for row in range(4)],
    }
    return Store([write_store(tmp_path / "s", unit, queries, keep=True)])


@pytest.fixture
def dev(store):
    return make_subject(store, [("d1", "te", [0, 1, 0, 0], "p0"), ("d2", "fi", [1, 0, 0, 0], "p0")])


@pytest.fixture
def test(store):
    return make_subject(store, [("t1", "te", [0, 0, 0, 1], "p2"), ("t2", "fi", [0, 0, 0, 1], "p3")])


def settings(**more):
    given = {"alphas": [0.2, 0.4, 0.6], "methods": ["paper", "mean"], "language_sets": SETS}
    return grid(["ar", "te"], **{**given, **more})


def tables(sections):
    return {table.name: table for section in sections for table in section.tables}


def test_the_grid():
    found = settings()
    assert list(found)[:2] == [NONE, Setting("paper", "all", 0.2)]
    assert len(found) == 1 + 3 * 2 * 5
    assert found[NONE].fusion == Fusion()
    assert found[Setting("mean", "all but te", 0.4)].fusion == Fusion("mean", 0.4)
    members = {s.languages: system.members("te") for s, system in found.items() if s != NONE}
    assert members == {"all": ["ar", "te"], "only ar": ["ar"], "only te": ["te"],
                       "all but ar": ["te"], "all but te": ["ar"]}  # fmt: skip
    more = settings(with_routed=True, l2_norm=True, language_sets=["all"], alphas=[0.0, 1.0])
    assert list(more) == [
        NONE, SCALED, *(Setting(m, s, 1.0) for m in ("paper", "mean") for s in ("all", "routed"))
    ]  # fmt: skip
    assert more[Setting("mean", "routed", 1.0)].members("te") == ("te",)
    assert [system.fusion.l2_norm for system in more.values()] == [False] + 5 * [True]
    one = grid(["te"], alphas=[0.5], methods=["mean"], language_sets=SETS)
    assert list(one) == [NONE, Setting("mean", "all", 0.5)]
    with pytest.raises(XqgError, match=r"--alpha 1.5 is outside \[0, 1\]"):
        settings(alphas=[1.5])
    single = settings(methods=["max-sim"], language_sets=["all"], with_routed=True, alphas=[0.4])
    assert list(single) == [NONE, *(Setting("max-sim", s, 0.4) for s in ("all", "routed"))]
    assert single[Setting("max-sim", "routed", 0.4)].fusion == Fusion("max-sim", 0.4)
    with pytest.raises(XqgError, match="--method max-sim needs --alpha, the share"):
        settings(methods=["max-sim"], alphas=[1.5])
    for more in ({"l2_norm": True}, {"centre": True}):
        with pytest.raises(XqgError, match="--method max-sim: leave --weights, --centre and"):
            settings(methods=["max-sim"], **more)


def test_a_mu_goes_with_the_mean_alone():
    given = {"language_sets": ["all"], "alphas": [0.4], "mus": [2.0, 0.0]}
    found = settings(methods=["paper", "mean", "max-sim"], **given)
    assert [str(setting) for setting in found] == [
        "no augmentation", "paper, all, alpha 0.4", "mean, all, alpha 0.4",
        "mean, mu 2, all, alpha 0.4", "max-sim, all, alpha 0.4",
    ]  # fmt: skip
    assert found[Setting("mean", "all", 0.4, 2.0)].fusion == Fusion("mean", 0.4, mu=2.0)
    with pytest.raises(XqgError, match="--mu 2 goes with --methods mean, which is not tried"):
        settings(methods=["paper"], **given)
    with pytest.raises(XqgError, match="--mu -1.0: expected a number of virtual queries"):
        settings(mus=[-1.0])


def test_a_mu_is_chosen_on_dev_and_reported_on_test(tmp_path):
    """Queries lie where their passages are not, and only every other passage has some."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    passages = rng.normal(size=(120, 8))
    queries = [[row @ turn] if i % 2 else [] for i, row in enumerate(passages)]
    store = Store([write_store(tmp_path / "t", passages, {"te": queries}, keep=True)])
    topics = [(f"q{i}", "te", row @ turn, f"p{i}") for i, row in enumerate(passages[:24])]
    dev, test = make_subject(store, topics[:12]), make_subject(store, topics[12:])
    found = grid(["te"], methods=["mean"], mus=[0.0, 2.0], language_sets=["all"],
                 with_routed=True, alphas=[0.5, 1.0], l2_norm=True)  # fmt: skip
    sections = sweep(dev, test, found, "RR@10", num_queries=[1], draws=2)
    of = tables(sections)
    rows = {tuple(row[:2]): row[2:] for row in of["sweep-dev"].rows}
    assert rows["mean, mu 2", "all"][2] > 95 > 70 > rows["mean", "all"][2]
    assert rows["mean, mu 2", "routed"] == rows["mean, mu 2", "all"]
    assert of["sweep-test"].rows[2][0] == "chosen: mean, mu 2, all, alpha 1"
    assert of["sweep-test"].rows[2][1] > 95
    assert "--method mean --alpha te=1 all=0 --mu 2" in sections[1].text[1]
    curve = {row[0]: row[4] for row in of["sweep-num-queries"].rows}
    assert curve == {"mean, mu 2, all, alpha 1": pytest.approx(rows["mean, mu 2", "all"][2])}


def test_of_equals_the_least():
    assert best({NONE: 1.0, Setting("mean", "all", 0.1): 1.0}) == NONE
    assert best({NONE: 0.0, Setting("a", "", 0.1): 1.0, Setting("b", "", 0.2): 1.0}).method == "a"


def holding(name, sections):
    return next(section for section in sections for table in section.tables if table.name == name)


def test_chosen_on_dev_and_reported_on_test(dev, test):
    pooled = [subject._replace(pooled=["te"]) for subject in (dev, test)]
    sections = sweep(*pooled, settings(), "RR@10")
    of = tables(sections)
    assert list(of) == ["sweep-test", "sweep-dev", "sweep-dev-languages"]  # the answer first
    # p1 scores 1, all others 0 and tie: by docid, downwards, p0 is fourth
    rows = {tuple(row[:2]): row[2:] for row in of["sweep-dev"].rows}
    assert of["sweep-dev"].columns[2:] == ["0", "0.2", "0.4", "0.6"]
    assert rows["", "no augmentation"] == [25.0, None, None, None]
    assert rows["paper", "only te"] == [None, 50.0, 100.0, 100.0]
    assert rows["mean", "only te"] == [None, 50.0, 50.0, 100.0]
    assert rows["mean", "all but ar"] == rows["mean", "only te"]
    assert rows["paper", "all"] == [None, 50.0, 50.0, 50.0]
    assert rows["mean", "only ar"] == [None, 25.0, 25.0, 25.0]
    marked = [[*of["sweep-dev"].rows[row][:2], column] for row, column in of["sweep-dev"].marks]
    assert marked == [["paper", "only te", 4]]  # alpha 0.4: of equals the smallest
    assert (
        "best of 31 settings by RR@10 over 1 dev topics" in holding("sweep-dev", sections).text[-1]
    )
    chosen = {row[0]: row[1:] for row in of["sweep-dev-languages"].rows}
    assert chosen["only te"] == ["paper", 0.4, 100.0, 100.0, 100.0]
    assert chosen["n"] == ["", None, 1, 1, 1]
    assert of["sweep-test"].columns == ["setting", "mean", "te", "fi"]
    assert of["sweep-test"].rows == [
        ["no augmentation", 50.0, 50.0, 100.0],
        ["chosen: paper, only te, alpha 0.4", 100.0, 100.0, 50.0],
        ["chosen - no augmentation", 50.0, 50.0, -50.0],
        ["n", 1, 1, 1],
    ]
    assert of["sweep-test"].intervals[2, 3] == (-50.0, -50.0)


def test_no_augmentation_may_win(test):
    sections = sweep(test._replace(pooled=["fi"]), test, settings(l2_norm=True), "RR@10")
    table = tables(sections)["sweep-test"]
    assert [row[0] for row in table.rows] == [
        "chosen: no augmentation", "no augmentation, length 1",
        "chosen - no augmentation, length 1", "n",
    ]  # fmt: skip
    alone = sweep(test._replace(pooled=["fi"]), test, settings(), "RR@10")
    assert "No setting was better" in alone[0].text[0]


def test_the_best_of_single_queries(tmp_path):
    """p0's two queries cancel in a sum, and each finds its topic; p1's own vector is nearly both.

    p0 has 5 alpha for its best query, p1 without queries 2: from 0.4 on p0 is first.
    """
    queries = {"te": [[[5, 0], [-5, 0]], []], "ar": [[], []]}
    store = Store([write_store(tmp_path / "m", [[0, 0], [2, 0]], queries, keep=True)])
    up = ("q", "te", [1, 0], "p0")
    dev = make_subject(store, [up])
    found = settings(
        methods=["mean", "max-sim"], language_sets=["all"], alphas=[0.3, 0.5], with_routed=True
    )
    sections = sweep(dev, dev, found, "RR@10", num_queries=[2], draws=2)
    of = tables(sections)
    rows = {tuple(row[:2]): row[2:] for row in of["sweep-dev"].rows}
    assert rows["max-sim", "all"] == rows["max-sim", "routed"] == [None, 50.0, 100.0]
    assert rows["mean", "all"] == rows["mean", "routed"] == [None, 50.0, 50.0]
    assert of["sweep-test"].rows[1][0] == "chosen: max-sim, all, alpha 0.5"
    dev_text = holding("sweep-dev", sections).text
    assert "An index of max-sim holds a vector a query, here 1 a passage" in dev_text[2]
    assert "--routed --method max-sim --alpha ar=" in sections[1].text[1]
    curve = {row[0]: row[4] for row in of["sweep-num-queries"].rows}
    assert curve == {"mean, all, alpha 0.3": 50.0, "max-sim, all, alpha 0.5": 100.0}


def test_plots_can_be_drawn(dev, test):
    from matplotlib.figure import Figure

    sections = sweep(dev, test, settings(), "RR@10", num_queries=[1, 2], draws=2)
    plots = [plot for section in sections for plot in section.plots]
    assert [plot.name for plot in plots] == ["sweep-alpha", "sweep-num-queries"]
    for plot, lines in zip(plots, (2, 2), strict=True):
        axes = Figure().add_subplot()
        plot.draw(axes)
        labels = axes.get_legend_handles_labels()[1]
        assert len([label for label in labels if label.startswith(("paper", "mean"))]) == lines
    assert [list(drawn.lines[0].get_xdata()) for drawn in axes.containers] == 2 * [[0, 1, 2]]


@pytest.fixture
def command(corpus_and_queries, topics_and_qrels, encoder, write_jsonl, tmp_path):
    (corpus, queries), (topics, qrels) = corpus_and_queries, topics_and_qrels
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    # the same questions by other names, for other passages
    asked = [json.loads(line) for line in topics.read_text().splitlines()]
    dev_topics = write_jsonl("dev.jsonl", [{**row, "qid": f"dev-{row['qid']}"} for row in asked])
    judged = [f"dev-{code}-{i} 0 d{i + 10} 1\n" for i in range(6) for code in ("te", "ar")]
    (tmp_path / "dev-qrels").write_text("".join(judged))
    words = ["sweep", "--embeddings", tmp_path / "store", "--topics", topics,
             "--qrels", qrels, "--device", "cpu", "--alphas", "0.5",
             "--language-sets", "all"]  # fmt: skip
    return [str(word) for word in words], dev_topics, tmp_path / "dev-qrels"


def test_the_command(command, capsys, tmp_path):
    words, dev_topics, dev_qrels = command
    main([*words, "--routed", "--measure", "Success@1", "--output", str(tmp_path / "page"),
          "--full"])  # fmt: skip
    said = " ".join(capsys.readouterr().out.split())
    assert "30 passages, 16 dimensions, float32; queries a passage: ar 2, te 1.43." in said
    assert "not max-sim and numbers of queries: for those, encode with xqg --keep-queries" in said
    assert "best of 5 settings by Success@1 over 6 dev topics" in said  # half, by passage
    assert (tmp_path / "page/sweep-test.csv").is_file()
    main([*words, "--dev-topics", str(dev_topics), "--dev-qrels", str(dev_qrels), "--full"])
    assert "over 12 dev topics" in capsys.readouterr().out


def test_what_is_refused(command):
    words, dev_topics, dev_qrels = command
    size = 16 * 4 * (30 * 2 + sum(i % 4 for i in range(30))) / 1e9
    with pytest.raises(
        XqgError, match=f"holds sums only.* encode again with xqg --keep-queries.* {size:.3g} GB"
    ):
        main([*words, "--num-queries", "1"])
    with pytest.raises(XqgError, match=r"so --methods max-sim cannot be answered.* --keep-queries"):
        main([*words, "--methods", "mean", "max-sim"])
    with pytest.raises(XqgError, match="--dev-topics and --dev-qrels go together"):
        main([*words, "--dev-topics", str(dev_topics)])
    dev_qrels.write_text(dev_qrels.read_text().replace(" d10 ", " d0 "))
    shared = [*words, "--dev-topics", str(dev_topics), "--dev-qrels", str(dev_qrels)]
    with pytest.raises(XqgError, match="2 of 12 test topics ask for passages that dev topics ask"):
        main(shared)
    main([*shared, "--allow-shared"])
    with pytest.raises(XqgError, match="--topic-languages fi: no judged topics; there are ar te"):
        main([*words, "--topic-languages", "fi"])
    with pytest.raises(XqgError, match="no queries in fi"):
        main([*words, "--languages", "fi"])
    with pytest.raises(XqgError, match="unknown measure"):
        main([*words, "--measure", "Sucess@1"])
    with pytest.raises(XqgError, match="--draws 0: expected at least 1"):
        main([*words, "--draws", "0"])


def test_a_store_without_queries(command, corpus_and_queries, encoder, tmp_path):
    encode_corpus(corpus_and_queries[0], tmp_path / "plain", encoder)
    words = [w if w != str(tmp_path / "store") else str(tmp_path / "plain") for w in command[0]]
    with pytest.raises(XqgError, match="plain holds no generated queries; encode with xqg"):
        main(words)
