from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection
from pyserini_xqg.collection.runs import Hit, write_run
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.compare.command import compare
from pyserini_xqg.evaluate.compare.differences import Comparison, System, system_of_run
from pyserini_xqg.evaluate.compare.significance import (
    bonferroni,
    holm,
    mcnemar_test,
    paired_t_test,
    randomisation_test,
)
from pyserini_xqg.evaluate.compare.tables import most_changed
from pyserini_xqg.evaluate.report.sections import Section, Table

#: 30 passages, each asked for in Telugu; the first 10 in Russian, too.
ASKED = [("te", i) for i in range(30)] + [("ru", i) for i in range(10)]


@pytest.fixture
def collection():
    topics = {
        f"{lang}-{i}": Topic(f"{lang}-{i}", f"question {i} in {lang}", lang) for lang, i in ASKED
    }
    passage = {qid: qid[3:] for qid in topics}
    return Collection(topics, {qid: {"x": 0, p: 1} for qid, p in passage.items()}, passage)


def of(collection, name, score, measures=("RR@10",)):
    """A system whose scores a function of language and passage gives."""
    scores = {qid: score(topic.language, int(qid[3:])) for qid, topic in collection.topics.items()}
    return System(name, dict.fromkeys(measures, scores))


@pytest.fixture
def baseline(collection):
    return of(collection, "plain", lambda lang, i: 0.5)


@pytest.fixture
def better(collection):
    """Telugu: 20 up by 20 points, 5 down by 10, 5 the same; Russian: all up by 50."""
    return of(
        collection,
        "better",
        lambda lang, i: 1.0 if lang == "ru" else 0.7 if i < 20 else 0.4 if i < 25 else 0.5,
    )


def column(table, name):
    return [row[list(table.columns).index(name)] for row in table.rows]


def tables_of(sections):
    return {table.name: table for section in sections for table in section.tables}


def test_one_group_by_hand(collection, baseline, better):
    qids = collection.by()["te"]
    found = Comparison(collection, baseline, draws=50, seed=3).on(better, "RR@10", "te", qids)
    assert (found.run, found.group, found.topics, found.clusters) == ("better", "te", 30, 30)
    assert (found.baseline, found.score) == pytest.approx((50, 50 + (20 * 20 - 5 * 10) / 30))
    assert found.difference == pytest.approx(35 / 3)
    assert found.counts == (20, 5, 5)
    points = [20.0] * 20 + [-10.0] * 5 + [0.0] * 5
    by_topic = dict(zip(qids, points, strict=True))
    expected = bootstrap_interval(by_topic, collection.clusters, samples=50, seed=3)
    assert found.interval == pytest.approx(expected)
    assert found.p == randomisation_test(points, range(30), draws=50, seed=3)
    assert found.t_test == pytest.approx(paired_t_test(points))
    assert found.mcnemar is None  # the scores are no hits
    # 30 squares: 20 of 20, 5 of 10; less 30 times the square of the mean.
    variance = (20 * 400 + 5 * 100 - 30 * (35 / 3) ** 2) / 29
    assert found.dz == pytest.approx(35 / 3 / variance**0.5)
    assert found.verdict == "better"


@pytest.fixture
def mixed(collection):
    """Telugu: 18 up by 10 points, 12 down by as much; Russian: all up by 5."""
    return of(collection, "mixed", lambda lang, i: 0.55 if lang == "ru" else 0.6 - 0.2 * (i >= 18))


def test_clusters_reach_over_languages(collection, baseline, mixed):
    comparison = Comparison(collection, baseline, draws=500)
    found = comparison.on(mixed, "RR@10", "all topics", list(collection.topics))
    assert (found.topics, found.clusters) == (40, 30)
    assert found.difference == pytest.approx((18 * 10 - 12 * 10 + 10 * 5) / 40)
    # Passages asked for in both languages weigh 15 points, the others 10 or -10.
    totals = [15.0] * 10 + [10.0] * 8 + [-10.0] * 12
    assert found.p == randomisation_test(totals, range(30), draws=500)
    assert found.p > randomisation_test([5.0] * 10 + [10.0] * 18 + [-10.0] * 12, range(40))


def test_the_mean_of_languages(collection, baseline, mixed):
    comparison = Comparison(collection, baseline, draws=500)
    found = comparison.of_means(mixed, "RR@10", "mean of 2", collection.by())
    assert found.baseline == pytest.approx(50)
    assert found.difference == pytest.approx((60 / 30 + 50 / 10) / 2)
    changes = comparison.changes(mixed, "RR@10")
    expected = bootstrap_interval(
        {qid: 100 * change for qid, change in changes.items()},
        collection.clusters,
        groups={qid: qid[:2] for qid in changes},
        samples=500,
    )
    assert found.interval == pytest.approx(expected)
    # A Russian topic counts three times as much as a Telugu one: 10 + 3 * 5 points, 10, or -10.
    totals = [25.0] * 10 + [10.0] * 8 + [-10.0] * 12
    assert found.p == randomisation_test(totals, range(30), draws=500)


def test_hits_get_mcnemar(collection):
    before = of(collection, "plain", lambda lang, i: float(i % 3 == 0))
    after = of(collection, "new", lambda lang, i: float(i % 3 != 1))
    found = Comparison(collection, before).on(after, "RR@10", "te", collection.by()["te"])
    assert found.mcnemar == mcnemar_test([1] * 10)
    assert found.counts == (10, 20, 0)


def test_few_topics(collection, baseline, better):
    found = Comparison(collection, baseline).on(better, "RR@10", "ru", ["ru-1"])
    assert (found.t_test, found.dz) == (None, None)
    assert found.verdict == "undetermined"
    same = Comparison(collection, baseline).on(baseline, "RR@10", "te", collection.by()["te"])
    assert (same.p, same.t_test, same.verdict) == (1.0, 1.0, "no change")


def test_what_a_system_lacks(collection, baseline):
    comparison = Comparison(collection, baseline)
    other = of(collection, "other", lambda lang, i: 1.0, ["P@1"])
    with pytest.raises(XqgError, match="other: no scores by 'RR@10'; there are P@1"):
        comparison.on(other, "RR@10", "te", ["te-1"])
    part = System("part", {"RR@10": {qid: 1.0 for qid in collection.topics if qid != "te-3"}})
    with pytest.raises(XqgError, match=r"part: no RR@10 of 1 topic\(s\), e.g. 'te-3'"):
        comparison.on(part, "RR@10", "te", ["te-1"])


def test_sections(collection, better):
    measures = ["P@1", "RR@10"]
    baseline = of(collection, "plain", lambda lang, i: 0.5, measures)
    better = System("better", dict.fromkeys(measures, better.scores["RR@10"]))
    worse = of(collection, "worse", lambda lang, i: 0.4 + 0.001 * i, measures)
    sections = compare(collection, baseline, [better, worse], draws=500)
    assert all(isinstance(section, Section) for section in sections)
    assert [section.title for section in sections] == [
        "Primary test",
        "RR@10, in percent",
        "P@1, in percent",
        "Topics that changed most",
        "How to read this",
    ]
    first = " ".join(sections[0].text)
    assert "RR@10 over all 40 topics in 30 clusters, better against plain" in first
    assert "50.0 -> 71.2: +21.2 points, 95 % interval +" in first
    assert "p = 0.002; better." in first  # 1 / 501
    assert "above -2 points" in " ".join(sections[-1].text)
    assert "every lang and run of one measure, 4 tests" in " ".join(sections[-1].text)

    tables = tables_of(sections)
    assert all(isinstance(table, Table) for table in tables.values())
    pooled = tables["compare-rr-10-pooled"]
    assert column(pooled, "over") == ["all topics", "mean of 2"] * 2
    assert column(pooled, "verdict") == ["better", "better", "harm", "harm"]
    effects, tests = tables["compare-rr-10-by-lang"], tables["compare-rr-10-tests"]
    for table in (effects, tests):
        assert column(table, "lang") == ["ru", "ru", "te", "te"]
        assert column(table, "run") == ["better", "worse"] * 2
        assert column(table, "topics") == [10, 10, 30, 30]
    p = column(tests, "randomisation")
    assert column(tests, "Holm") == pytest.approx(holm(p).tolist())
    assert column(tests, "Bonferroni") == pytest.approx(bonferroni(column(tests, "t-test")))
    assert "McNemar" not in tests.columns
    significant = [row for row, value in enumerate(holm(p)) if value < 0.05]
    assert significant == [0, 1, 2, 3]
    at = list(effects.columns).index("difference")
    assert effects.marks == {(row, at): "†" for row in significant}
    assert effects.intervals[1, at][1] < 0
    assert effects.shown()[1][at].endswith("†")
    assert column(effects, "verdict") == ["undetermined", "undetermined", "better", "harm"]


def test_one_language_and_hits(collection):
    russian = collection.only(collection.by()["ru"])
    before = of(russian, "plain", lambda lang, i: 0.0)
    after = of(russian, "new", lambda lang, i: float(i == 3))
    tables = tables_of(compare(russian, before, [after], draws=200))
    assert column(tables["compare-rr-10-pooled"], "over") == ["all topics"]
    tests = tables["compare-rr-10-tests"]
    assert column(tests, "McNemar") == [1.0]
    assert tests.marks == {}
    by_script = compare(russian, before, [after], draws=200, by="script")
    assert column(tables_of(by_script)["compare-rr-10-by-script"], "script") == ["Cyrl"]


def test_most_changed():
    changes = {"a": 0.1, "b": -0.5, "c": 0.0, "d": 0.5, "e": 0.2}
    assert most_changed(changes, 3) == ["b", "d", "e"]
    assert most_changed(changes, 9) == ["b", "d", "e", "a"]


def test_the_topics_that_changed_most(collection, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    rows = [{"docid": str(i), "title": f"T{i}", "text": f"text {i} " * 40} for i in range(30)]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = {
        qid: [Hit("29", 1.0), Hit(qid[3:], 0.5)] for qid in collection.topics if qid != "ru-1"
    }
    # Of equal scores trec_eval reads the larger docid first, whatever the ranks.
    after = {**before, "te-2": [Hit("1", 1.0), Hit("2", 1.0)], "ru-1": [Hit("1", 1.0)]}
    plain, new = (
        system_of_run(name, run, collection, ["RR@10"])
        for name, run in (("plain", before), ("new", after))
    )
    tables = tables_of(compare(collection, plain, [new], draws=50, corpus=corpus))
    changed = tables["compare-changed"]
    assert changed.rows == [
        ["new", "ru-1", "ru", 0.0, 100.0, 100.0, "question 1 in ru"],
        ["new", "te-2", "te", 50.0, 100.0, 50.0, "question 2 in te"],
    ]
    assert changed.languages == {(0, 6): "ru", (1, 6): "te"}
    passages = tables["compare-passages"]
    assert [row[:3] for row in passages.rows] == [
        ["ru-1", "relevant", "1"],
        ["ru-1", "first of new", "1"],  # the baseline had no results
        ["te-2", "relevant", "2"],
        ["te-2", "first of plain", "29"],
        ["te-2", "first of new", "2"],
    ]
    assert passages.rows[3][3].startswith("T29: text 29 text 29")
    assert len(passages.rows[3][3]) == 200


@pytest.fixture
def files(collection, tmp_path):
    topics, qrels = tmp_path / "topics.jsonl", tmp_path / "qrels.txt"
    topics.write_text(
        "".join(
            json.dumps({"qid": t.qid, "title": t.text, "lang": t.language}) + "\n"
            for t in collection.topics.values()
        )
    )
    qrels.write_text("".join(f"{qid} 0 {qid[3:]} 1\n" for qid in collection.topics))
    for name, shift in (("plain", 1), ("new", 0)):
        run = {
            qid: [Hit(str((int(qid[3:]) + shift * (i % 2)) % 30), 2.0), Hit(qid[3:] + "x", 1.0)]
            for i, qid in enumerate(collection.topics)
        }
        write_run(tmp_path / f"{name}.run", run, name)
    return tmp_path


def arguments(files, *more, suffix="run"):
    return [
        "compare", "--topics", str(files / "topics.jsonl"), "--draws", "200",
        "--baseline", str(files / f"plain.{suffix}"), "--runs", str(files / f"new.{suffix}"), *more,
    ]  # fmt: skip


def test_the_command(files, capsys):
    qrels = ["--qrels", str(files / "qrels.txt")]
    main(arguments(files, *qrels, "--output", str(files / "out")))
    said = capsys.readouterr().out
    assert said.index("Primary: RR@10 over all 40 topics in 30 clusters") < said.index("Success@1")
    assert "50.0 -> 100.0: +50.0 points" in said
    assert (files / "out" / "compare-r-100-by-lang.csv").is_file()
    assert (files / "out" / "compare-rr-10.png").read_bytes().startswith(b"\x89PNG")
    main(arguments(files, *qrels, "--languages", "ru", "--primary", "MRR@5", "--measures", "P@1"))
    said = capsys.readouterr().out
    assert "Primary: MRR@5 over all 10 topics in 10 clusters" in said
    assert "P@1, in percent" in said
    assert "Success@1" not in said
    clusters = files / "clusters"
    clusters.write_text("".join(f"{lang}-{i} c{i % 4}\n" for lang, i in ASKED))
    main(arguments(files, *qrels, "--clusters", str(clusters)))
    assert "40 topics in 4 clusters" in capsys.readouterr().out


def test_the_command_on_scores(files, capsys):
    for name, hit in (("plain", 0), ("new", 1)):
        rows = [f"{lang}-{i},{i % 2},{max(hit, i % 2)}" for lang, i in ASKED if i < 25]
        (files / f"{name}.csv").write_text("\n".join(["qid,R@5kt,R@2kt", *rows]))
    main(arguments(files, "--scores", "--primary", "R@2kt", suffix="csv"))
    said = capsys.readouterr().out
    # Nothing says which topics belong together, so each is a cluster of its own.
    assert "Primary: R@2kt over all 35 topics in 35 clusters, new against plain" in said
    assert said.index("R@2kt, in percent") < said.index("R@5kt, in percent")
    assert "McNemar" in said
    main(arguments(files, "--scores", "--qrels", str(files / "qrels.txt"), suffix="csv"))
    assert "Primary: R@5kt over all 35 topics in 25 clusters" in capsys.readouterr().out
    clusters = files / "clusters"
    clusters.write_text("".join(f"{lang}-{i} c{i % 4}\n" for lang, i in ASKED))
    main(arguments(files, "--scores", "--clusters", str(clusters), suffix="csv"))
    assert "35 topics in 4 clusters" in capsys.readouterr().out


def test_hits_of_xor_retrieve(files, capsys):
    """Straight from ``evaluate xor``, whose gold file also has the topics."""
    gold = files / "gold.jsonl"
    rows = [
        {"id": f"{lang}-{i}", "question": "?", "lang": lang, "answers": ["yes" if i == 29 else "b"]}
        for lang, i in ASKED
    ]
    gold.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, texts in (("plain", ["a", "b"]), ("new", ["b", "a"])):
        predictions = [{"id": row["id"], "lang": row["lang"], "ctxs": texts} for row in rows]
        (files / f"{name}.json").write_text(json.dumps(predictions))
        main(
            ["xor", "--predictions", str(files / f"{name}.json"), "--gold", str(gold),
             "--tokenizer", "simple", "--budget", "1", "2", "--by-query",
             str(files / f"{name}.csv")]
        )  # fmt: skip
    capsys.readouterr()
    main(arguments(files, "--scores", "--topics", str(gold), suffix="csv"))
    said = capsys.readouterr().out
    assert "Primary: R@1t (not official) over all 39 topics" in said  # one has no answer to find
    assert "0.0 -> 100.0: +100.0 points" in said
    assert "R@2t (not official), in percent" in said


def test_what_the_command_refuses(files):
    qrels = ["--qrels", str(files / "qrels.txt")]
    with pytest.raises(XqgError, match="runs need --qrels"):
        main(arguments(files))
    with pytest.raises(XqgError, match="--corpus shows what runs return"):
        main(arguments(files, "--scores", "--corpus", "c", suffix="csv"))
    with pytest.raises(XqgError, match="--draws 0: expected at least 1"):
        main(arguments(files, *qrels, "--draws", "0"))
    with pytest.raises(XqgError, match="--languages: no judged topics in fi; there are ru te"):
        main(arguments(files, *qrels, "--languages", "fi", "te"))
    (files / "new.run").write_text("te-99 Q0 a 1 1.0 t\n")
    with pytest.raises(XqgError, match="new: answers none of the 40 judged topics"):
        main(arguments(files, *qrels))
    (files / "plain.csv").write_text("qid,R@2kt\nte-99,1\nte-1,1\n")
    (files / "new.csv").write_text("qid,R@2kt\nte-99,1\nte-1,1\n")
    with pytest.warns(UserWarning, match=r"lacks 1 topic\(s\) of .*'te-99'; compared over .* 1$"):
        main(arguments(files, "--scores", suffix="csv"))
    (files / "plain.csv").write_text("qid,R@2kt\nte-99,1\n")
    (files / "new.csv").write_text("qid,R@2kt\nte-99,1\n")
    with pytest.raises(XqgError, match=r"topics.jsonl: lacks 1 topic\(s\) .* e.g. 'te-99'"):
        main(arguments(files, "--scores", suffix="csv"))
    with pytest.raises(XqgError, match=r"plain.csv: no scores by 'P@1'; there are R@2kt"):
        main(arguments(files, "--scores", "--primary", "P@1", suffix="csv"))
