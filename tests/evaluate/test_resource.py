from __future__ import annotations

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection
from pyserini_xqg.collection.languages import NAMES
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.report.publish import gathering
from pyserini_xqg.evaluate.resource.ceiling import (
    by_cluster,
    even_share,
    headroom,
    means,
    of_other_passages,
    rank_correlations,
    resampled,
    rho,
)
from pyserini_xqg.evaluate.resource.command import parse_groups
from pyserini_xqg.evaluate.resource.gains import (
    FACTS,
    NOT_IN_MBERT,
    fertility,
    has_spaces,
    token_counter,
)

#: Success@1 of the baseline and of the run, by topic.
SCORES = {
    "bn-1": (0, 1), "bn-2": (0, 1), "bn-3": (0, 0), "bn-4": (0, 0),
    "ru-1": (1, 1), "ru-2": (0, 1), "ru-3": (0, 0), "ru-4": (0, 0),
    "uk-1": (1, 0), "uk-2": (1, 1), "uk-3": (1, 1), "uk-4": (1, 1),
    "ja-1": (1, 0), "ja-2": (1, 0), "ja-3": (0, 0), "ja-4": (0, 0),
}  # fmt: skip


@pytest.fixture
def files(tmp_path, write_jsonl):
    topics = [{"qid": qid, "title": "w1 w2.", "lang": qid[:2]} for qid in SCORES]
    for name, number in (("base", 0), ("new", 1)):
        hits = [qid for qid, scores in SCORES.items() if scores[number]]
        (tmp_path / f"{name}.run").write_text("".join(f"{q} Q0 d{q[3]} 1 1 t\n" for q in hits))
    (tmp_path / "qrels").write_text("".join(f"{qid} 0 d{qid[3]} 1\n" for qid in SCORES))
    return [
        "--topics", write_jsonl("topics.jsonl", topics), "--qrels", tmp_path / "qrels",
        "--baseline", tmp_path / "base.run", "--run", tmp_path / "new.run",
        "--measures", "Success@1",
    ]  # fmt: skip


def publish(*arguments):
    with gathering() as published:
        main(["resource", *map(str, arguments)])
    [(_, sections)] = published
    return sections


def tables(*arguments):
    return {table.name: table for section in publish(*arguments) for table in section.tables}


def column(table, name):
    return {row[0]: row[list(table.columns).index(name)] for row in table.rows}


def test_gain_by_language(files):
    gain = tables(*files)["resource-gain"]
    assert column(gain, "n") == {"bn": 4, "ja": 4, "ru": 4, "uk": 4, "all": 16}
    assert column(gain, "baseline") == {"bn": 0, "ja": 50, "ru": 25, "uk": 100, "all": 43.75}
    assert column(gain, "gain") == {"bn": 50, "ja": -50, "ru": 25, "uk": -25, "all": 0}
    # Topics with one number ask for one passage, in whatever language: clusters of four.
    differences = {qid: 100.0 * (new - old) for qid, (old, new) in SCORES.items()}
    low, high = bootstrap_interval(differences, {qid: qid[3] for qid in SCORES})
    assert (column(gain, "low")["all"], column(gain, "high")["all"]) == (low, high)
    own = {qid: value for qid, value in differences.items() if qid.startswith("bn")}
    assert column(gain, "low")["bn"] == bootstrap_interval(own, {qid: qid for qid in own})[0]
    assert column(gain, "CC-100, GiB") == {
        "bn": 8.4,
        "ja": 69.3,
        "ru": 278,
        "uk": 84.6,
        "all": None,
    }
    assert "training questions" not in gain.columns
    assert "tokens a word" not in gain.columns


def test_rank_correlations_are_described_and_not_tested(files):
    correlation = tables(*files)["resource-correlation"]
    # Ranks of the gains: bn 4, ja 1, ru 3, uk 2; of CC-100: 1 2 4 3; of the baseline: 1 3 2 4.
    # rho = 1 - 6 sum d^2 / (n (n^2 - 1)), n = 4.
    found = column(correlation, "Spearman's rho")
    assert -1 <= found.pop("the same, of other passages") <= 1
    assert found == pytest.approx(
        {
            "CC-100, GiB": 1 - 6 * (9 + 1 + 1 + 1) / 60,
            "Wikipedia articles": 1 - 6 * (9 + 4 + 1 + 0) / 60,
            "baseline score, %": 1 - 6 * (9 + 4 + 1 + 4) / 60,
        }
    )
    assert column(correlation, "n (languages)")["CC-100, GiB"] == 4
    assert correlation.note.startswith("Descriptive only: 4 languages are few")
    # of what is left: bn 50 of 100, ja -50 of 50, ru 25 of 75, uk nothing is left: no correlation
    assert column(correlation, "rho of share")["baseline score, %"] is None
    some = tables(*files, "--languages", "bn", "ja", "ru")
    assert column(some["resource-gain"], "% of what is left") == {
        "bn": 50, "ja": -100, "ru": pytest.approx(100 / 3), "all": pytest.approx(100 / 9),
    }  # fmt: skip
    correlation = some["resource-correlation"]
    assert column(correlation, "rho of share")["baseline score, %"] == -1


def test_how_much_can_be_ceiling(files):
    # Through the point (100, 0): left 100, 50, 75; gain 50, -50, 25; the same share of all is
    # (100 x 50 - 50 x 50 + 75 x 25) / (100^2 + 50^2 + 75^2) = 4375 / 18125.
    share = 4375 / 18125
    rest = (50 - 100 * share) ** 2 + (-50 - 50 * share) ** 2 + (25 - 75 * share) ** 2
    mean = 25 / 3
    spread = (50 - mean) ** 2 + (-50 - mean) ** 2 + (25 - mean) ** 2
    found = even_share(np.array([0.0, 50, 25]), np.array([50.0, -50, 25]))
    assert found == pytest.approx((100 * share, 100 * (1 - rest / spread)))
    [section] = publish(*files, "--languages", "bn", "ja", "ru")
    assert f"the same share of what its baseline leaves, {100 * share:.0f} %" in section.text[0]
    # where that is all that there is, it accounts for everything
    assert even_share(np.array([0.0, 50, 80]), np.array([50.0, 25, 10])) == pytest.approx((50, 100))
    assert even_share(np.array([0.0, 50]), np.array([50.0, 25])) is None


def test_the_interval_of_a_correlation(files):
    collection = Collection(
        {qid: Topic(qid, "w", qid[:2]) for qid in SCORES}, {}, {qid: qid[3] for qid in SCORES}
    )
    groups = {code: [qid for qid in SCORES if qid[:2] == code] for code in ("bn", "ja", "ru")}
    base, new = ({qid: float(s[n]) for qid, s in SCORES.items()} for n in (0, 1))
    clusters = by_cluster(collection, groups, base, new)
    assert clusters.topics.tolist() == [[1, 1, 1]] * 4
    assert clusters.run[1].tolist() == [100, 0, 100]
    baseline, gain = means(clusters, np.array([[1.0, 0, 0, 0], [0, 1, 1, 0]]))
    assert baseline.tolist() == [[0, 100, 100], [0, 50, 0]]
    assert gain.tolist() == [[100, -100, 0], [50, -50, 50]]
    assert headroom(baseline, gain)[1].tolist() == [50, -100, 50]
    samples = resampled(clusters, samples=500)
    assert samples[0].shape == (500, 3)
    low, high = np.quantile(samples[1][:, 0], [0.025, 0.975])
    assert (low, high) == (0, 100)
    found = rho(np.array([[1.0, 3, 2]]), gain[:1], np.array([[1.0, 3, 2]]), samples[1])
    assert found.value == -1
    assert -1 <= found.low < found.high <= 1
    assert np.isnan(rank_correlations(np.array([1.0, 2]), np.array([2.0, 1]))).all()
    # halves: the baseline is of other topics than the gain
    again = of_other_passages(clusters, splits=50)
    assert again.shape == (50,)
    assert not np.array_equal(again, rank_correlations(*resampled(clusters, samples=50)))


def test_other_measures(files):
    found = publish(*files, "Success@3", "RR@10")[1].tables[0]
    assert column(found, "measure") == {m: m for m in ("Success@1", "Success@3", "RR@10")}
    assert column(found, "gain, all")["Success@1"] == 0
    assert column(found, "bn")["RR@10"] == 50
    place = (0, found.columns.index("bn"))
    gain = tables(*files)["resource-gain"]
    assert found.intervals[place] == (column(gain, "low")["bn"], column(gain, "high")["bn"])


def test_too_few_languages_have_no_correlation(files):
    correlation = tables(*files, "--languages", "bn", "ru")["resource-correlation"]
    assert set(column(correlation, "Spearman's rho").values()) == {None}
    assert column(correlation, "n (languages)")["CC-100, GiB"] == 2


def test_languages_without_a_figure_have_none(files, write_jsonl):
    codes = {"bn": "yo", "ru": "pt-BR", "uk": "hi-Latn", "ja": "fi"}
    topics = [{"qid": qid, "title": "w1", "lang": codes[qid[:2]]} for qid in SCORES]
    write_jsonl("topics.jsonl", topics)
    sizes = column(tables(*files)["resource-gain"], "CC-100, GiB")
    # A region is of the language; romanised Hindi was counted apart.
    assert sizes == {"fi": 54.3, "hi-Latn": None, "pt-BR": 49.1, "yo": None, "all": None}
    found = tables(*files, "--by", "script")
    assert column(found["resource-gain"], "CC-100, GiB") == {"Latn": None, "all": None}
    assert column(found["resource-correlation"], "n (scripts)")["CC-100, GiB"] == 0


def test_by_script(files):
    gain = tables(*files, "--by", "script")["resource-gain"]
    assert column(gain, "gain") == {"Beng": 50, "Cyrl": 0, "Hira+Kana+Hani": -50, "all": 0}
    assert column(gain, "CC-100, GiB")["Cyrl"] == pytest.approx(278 + 84.6)


def test_training_questions_and_tokens(files, model_dir, write_jsonl):
    train = write_jsonl(
        "train.jsonl",
        [{"question": "x", "lang": code} for code in (" bn", "bn", "ru", "te")],
    )
    gain = tables(*files, "--train", train, "--encoder", model_dir)["resource-gain"]
    assert column(gain, "training questions") == {"bn": 2, "ja": 0, "ru": 1, "uk": 0, "all": None}
    # "w1", "w2" and ".": three tokens of two words and five characters; Japanese has no words.
    assert column(gain, "tokens a word") == {
        "bn": 1.5,
        "ja": None,
        "ru": 1.5,
        "uk": 1.5,
        "all": None,
    }
    assert column(gain, "tokens a character")["ja"] == 0.6
    assert "Japanese" in gain.note


def test_groups_are_the_users_alone(files):
    assert "resource-groups" not in tables(*files)
    groups = tables(*files, "--groups", "low=bn,ja", "high=ru")["resource-groups"]
    assert [row[:6] for row in groups.rows] == [
        ["low", "bn ja", 8, 25, 25, 0], ["high", "ru", 4, 25, 50, 25],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["low"], "--groups low: expected a name and languages"),
        (["=bn"], "expected a name"),
        (["low="], "expected a name"),
        (["low=bn", "low=ru"], "'low' is named twice"),
        (["low=bn,te"], "--groups low=bn,te: no judged topics in te; there are bn ru"),
        (["low=b_n"], "'b_n' is not a language code"),
    ],
)
def test_groups_that_are_refused(given, message):
    with pytest.raises(XqgError, match=message):
        parse_groups(given, ["bn", "ru"])


def test_other_refusals(files, tmp_path):
    with pytest.raises(
        XqgError, match="--languages: no judged topics in te; there are bn ja ru uk"
    ):
        publish(*files, "--languages", "te")
    with pytest.raises(XqgError, match="no such model folder: .*nowhere"):
        publish(*files, "--encoder", tmp_path / "nowhere")
    (tmp_path / "new.run").write_text("x Q0 d 1 1 t\n")
    with pytest.raises(XqgError, match=r"new.run: answers none of the 16 judged topics"):
        publish(*files)


def test_plots_show_and_name_every_language(files):
    from matplotlib.figure import Figure

    [section] = publish(*files)
    assert len(section.plots) == 3
    for plot in section.plots:
        axes = Figure().add_subplot()
        plot.draw(axes)
        assert {text.get_text() for text in axes.texts} == {"bn", "ja", "ru", "uk"}
    assert axes.get_xlabel() == "baseline score, %"
    # By baseline, at the lower and the upper end of the intervals in turn.
    assert {text.xy for text in axes.texts} == {(0, 0), (25, 75), (50, -100), (100, 0)}


def test_a_page_is_written(files, tmp_path, capsys):
    main(["resource", *map(str, files), "--output", str(tmp_path / "page")])
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert {
        "index.html",
        "resource-gain.csv",
        "resource-correlation.tex",
        "resource-1.png",
    } <= names
    assert "Spearman's rho" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("language", "spaced"),
    [("ko", True), ("ja", False), ("zh", False), ("th", False), ("my", False), ("km", False),
     ("fi", True), ("te", True), ("", True), ("ja-Latn", True)],
)  # fmt: skip
def test_which_languages_part_words(language, spaced):
    assert has_spaces(language) is spaced


def test_tokens_by_hand(model_dir):
    count = token_counter(EncoderSpec(str(model_dir)))
    long = " ".join(["w1"] * 100)  # more than the model takes: counted all the same
    assert count(["w1 w2.", "", long]) == [3, 0, 100]
    topics = [Topic("1", "w1  w2", "fi"), Topic("2", "w3!", "te")]
    assert fertility(topics, count) == (4 / 3, 4 / 7)
    assert fertility([*topics, Topic("3", "w1", "th")], count) == (None, 5 / 9)
    assert fertility([], count) == (None, None)


def test_facts_are_of_listed_languages_and_have_sources():
    for fact in FACTS.values():
        assert fact.values.keys() <= NAMES.keys()
        assert min(fact.values.values()) > 0
        assert "as transcribed in github.com/mayhewsw/multilingual-data-stats" in fact.source
    # Conneau et al., appendix A: the largest, the smallest, and the sums over two rows.
    sizes = FACTS["cc100"].values
    assert max(sizes, key=sizes.__getitem__) == "en"
    assert (sizes["en"], sizes["te"], sizes["ha"], sizes["zh"], sizes["my"]) == (
        300.8, 4.7, 0.3, pytest.approx(46.9 + 16.6), pytest.approx(1.6 + 0.4),
    )  # fmt: skip
    missing = set(NAMES) - set(sizes)
    assert sorted(missing) == [
        "awa", "bgc", "bho", "bo", "brx", "gbm", "gom", "hne", "hoj", "ig", "mai", "mni", "mup",
        "mwr", "rw", "sat", "yo", "zu",
    ]  # fmt: skip
    assert NOT_IN_MBERT.issubset(NAMES)
