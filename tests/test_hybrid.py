from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import read_qrels
from pyserini_xqg.collection.runs import Hit, read_run
from pyserini_xqg.demo import TINY_ENCODER, XQG_MINI
from pyserini_xqg.encode.__main__ import main as encode
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.hybrid import WEIGHTS, apart, choose_weight, main
from pyserini_xqg.index.__main__ import main as index
from pyserini_xqg.search.__main__ import main as search
from pyserini_xqg.search.joining import fuse_runs

DENSE = {"007": [Hit("a", 80.0), Hit("b", 70.0), Hit("c", 60.0)], "te-1": [Hit("a", 5.0)]}
SPARSE = {"007": [Hit("c", 9.0), Hit("a", 5.0), Hit("d", 1.0)]}


def test_the_weight_is_that_of_the_best_mean():
    # c is relevant: BM25 has it first, and at 1/3 and above the dense run's a passes it.
    weight, means = choose_weight(DENSE, SPARSE, {"007": {"c": 1}, "none": {"x": 1}}, "RR@10")
    assert list(means) == list(WEIGHTS)
    assert means[0.3] == 0.5  # an unanswered topic counts as 0
    assert means[0.35] < 0.5
    assert weight == 0.3  # of those with 0.5, the nearest to an even share


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hybrid")
    rows = (XQG_MINI / "corpus.jsonl").read_text().splitlines()[:30]
    docids = {json.loads(row)["docid"] for row in rows}
    (folder / "corpus.jsonl").write_text("\n".join(rows) + "\n")
    queries = (XQG_MINI / "queries.jsonl").read_text().splitlines()
    (folder / "queries.jsonl").write_text(
        "\n".join(row for row in queries if json.loads(row)["docid"] in docids) + "\n"
    )
    corpus, queries = str(folder / "corpus.jsonl"), str(folder / "queries.jsonl")
    encode([
        *("input", "--corpus", corpus), *("output", "--embeddings", str(folder / "store")),
        *("encoder", "--encoder", str(TINY_ENCODER), "--device", "cpu"),
        *("xqg", "--queries", queries),
    ])  # fmt: skip
    index([
        *("--embeddings", str(folder / "store"), "--output", str(folder / "routed")),
        *("--method", "mean", "--alpha", "0.5", "--routed"),
    ])  # fmt: skip
    index([
        *("--to", "bm25", "--corpus", corpus, "--queries", queries),
        *("--output", str(folder / "bm25")),
    ])  # fmt: skip
    for half in ("dev", "test"):
        qrels = (XQG_MINI / f"qrels.{half}.txt").read_text().splitlines()
        kept = [line for line in qrels if line.split()[2] in docids]
        (folder / f"qrels.{half}.txt").write_text("\n".join(kept) + "\n")
        asked = {line.split()[0] for line in kept}
        topics = (XQG_MINI / f"topics.{half}.jsonl").read_text().splitlines()
        (folder / f"topics.{half}.jsonl").write_text(
            "\n".join(row for row in topics if json.loads(row)["qid"] in asked) + "\n"
        )
    return folder


def arguments(folder, output, *more):
    return [
        *("--dense", str(folder / "routed"), "--sparse", str(folder / "bm25"), "--device", "cpu"),
        *("--topics", str(folder / "topics.test.jsonl"), "--output", str(output), "--hits", "20"),
        *more,
    ]  # fmt: skip


def test_the_command_chooses_on_dev_and_fuses_what_search_finds(indexes, tmp_path, capsys):
    dev = [
        *("--dev-topics", str(indexes / "topics.dev.jsonl")),
        *("--dev-qrels", str(indexes / "qrels.dev.txt")),
    ]
    main(arguments(indexes, tmp_path / "fused.run", *dev))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(WEIGHTS)
    (chosen,) = (float(line.split()[1]) for line in lines if line.endswith("chosen"))

    runs = {}
    for name in ("routed", "bm25"):
        for half in ("dev", "test"):
            output = tmp_path / f"{name}.{half}.run"
            search([
                *("--index", str(indexes / name), "--output", str(output), "--device", "cpu"),
                *("--topics", str(indexes / f"topics.{half}.jsonl"), "--hits", "20"),
            ])  # fmt: skip
            runs[name, half] = read_run(output)
    scores = {
        weight: sum(
            score_by_topic(
                indexes / "qrels.dev.txt",
                fuse_runs(runs["routed", "dev"], runs["bm25", "dev"], weight),
                ["RR@10"],
            )["RR@10"].values()
        )
        for weight in WEIGHTS
    }
    assert scores[chosen] == pytest.approx(max(scores.values()), abs=1e-6)
    expected = fuse_runs(runs["routed", "test"], runs["bm25", "test"], chosen, 20)
    found = read_run(tmp_path / "fused.run")
    assert {qid: [hit.docid for hit in hits[:5]] for qid, hits in found.items()} == {
        qid: [hit.docid for hit in hits[:5]] for qid, hits in expected.items()
    }


def test_what_the_command_refuses(indexes, tmp_path):
    output = tmp_path / "fused.run"
    for more in ((), ("--weight", "0.5", "--dev-topics", "t"), ("--dev-topics", "t")):
        with pytest.raises(XqgError, match="give --weight, or --dev-topics and --dev-qrels"):
            main(arguments(indexes, output, *more))
    output.write_text("mine")
    with pytest.raises(XqgError, match="exists; give another name"):
        main(arguments(indexes, output, "--weight", "0.5"))
    assert output.read_text() == "mine"


def test_indexes_of_other_passages_are_noticed():
    one, other = {"1": [Hit("a", 1.0)]}, {"1": [Hit("x", 1.0)]}
    said = "no passage comes from both, such as 'a' and 'x'; are they indexes of the same passages?"
    assert apart(one, other) == said
    assert apart(one, {**other, "2": [Hit("a", 1.0)]}) == ""
    assert apart(one, {"1": []}) == "one of them finds nothing for any topic"
    assert apart({}, {"1": []}) == ""


def test_topics_without_a_language_are_routed_by_detection(indexes, tmp_path):
    for half in ("dev", "test"):
        rows = map(json.loads, (indexes / f"topics.{half}.jsonl").read_text().splitlines())
        (tmp_path / f"{half}.jsonl").write_text(
            "".join(json.dumps({k: row[k] for k in ("qid", "title")}) + "\n" for row in rows)
        )
    dev = ["--dev-topics", str(indexes / "topics.dev.jsonl")]
    qrels = ["--dev-qrels", str(indexes / "qrels.dev.txt")]
    main(arguments(indexes, tmp_path / "named.run", *dev, *qrels))
    unnamed = arguments(
        indexes, tmp_path / "detected.run", "--dev-topics", str(tmp_path / "dev.jsonl")
    )
    unnamed[unnamed.index("--topics") + 1] = str(tmp_path / "test.jsonl")
    main([*unnamed, *qrels, "--detect-language"])
    named, detected = (read_run(tmp_path / f"{name}.run") for name in ("named", "detected"))
    assert named == detected


@pytest.fixture(scope="module")
def expanded(indexes):
    """The topics of both halves, every other one with pieces of passages."""
    passages = map(json.loads, (indexes / "corpus.jsonl").read_text().splitlines())
    texts = [passage["text"][:60] for passage in passages]
    for half in ("dev", "test"):
        rows = map(json.loads, (indexes / f"topics.{half}.jsonl").read_text().splitlines())
        with open(indexes / f"expanded.{half}.jsonl", "w") as file:
            for number, topic in enumerate(rows):
                pieces = [
                    {"kind": kind, "text": texts[(7 * number + shift) % len(texts)]}
                    for shift, kind in enumerate(("passage", "paraphrase"))
                ]
                print(json.dumps(topic | {"expansions": pieces[: 2 * (number % 2)]}), file=file)
    return indexes


@pytest.mark.parametrize(
    ("join", "of_bm25"), [("text", "text"), ("mean", "text"), ("runs", "runs")]
)
def test_expansions_are_asked_of_both_sides_as_search_asks(
    expanded, tmp_path, monkeypatch, capsys, join, of_bm25
):
    monkeypatch.setattr("pyserini_xqg.hybrid.WEIGHTS", (0.2, 0.6))

    def joined(name, half, join, *more):
        search([
            *("--index", str(expanded / name), "--output", str(tmp_path / "one.run")),
            *("--topics", str(expanded / f"expanded.{half}.jsonl"), "--hits", "20"),
            *("--join", join, "--device", "cpu", "--overwrite", *more),
        ])  # fmt: skip
        return read_run(tmp_path / "one.run")

    own = () if join == "text" else ("--query-weight", "0.8")
    dense = {half: joined("routed", half, join, *own) for half in ("dev", "test")}
    own_bm25 = () if of_bm25 == "text" else own
    sparse = {half: joined("bm25", half, of_bm25, *own_bm25) for half in ("dev", "test")}
    weight, means = choose_weight(
        dense["dev"], sparse["dev"], read_qrels(expanded / "qrels.dev.txt"), "RR@10"
    )
    words = arguments(
        expanded, tmp_path / "fused.run", "--join", join, *own,
        *("--dev-topics", str(expanded / "expanded.dev.jsonl")),
        *("--dev-qrels", str(expanded / "qrels.dev.txt")),
    )  # fmt: skip
    words[words.index("--topics") + 1] = str(expanded / "expanded.test.jsonl")
    main(words)
    said = capsys.readouterr().out
    for tried, mean in means.items():
        assert f"weight {tried:4.2f}  RR@10 {mean:.4f} on dev" in said
    expected = fuse_runs(dense["test"], sparse["test"], weight, 20)
    found = read_run(tmp_path / "fused.run")
    assert {qid: {hit.docid: hit.score for hit in hits} for qid, hits in found.items()} == {
        qid: pytest.approx({hit.docid: hit.score for hit in hits}, abs=1e-4)
        for qid, hits in expected.items()
    }


@pytest.mark.parametrize(
    ("dense", "sparse", "message"),
    [
        ("bm25", "routed", r"--dense \S+bm25 is a BM25 index, --sparse \S+routed is none: swap"),
        ("routed", "routed", r"--sparse \S+routed is a routed index; expected one of --to bm25"),
        ("bm25", "bm25", r"--dense \S+bm25 is a BM25 index; expected a dense one"),
    ],
)
def test_each_side_has_its_kind(indexes, tmp_path, dense, sparse, message):
    words = arguments(indexes, tmp_path / "no.run", "--weight", "0.5")
    words[words.index("--dense") + 1] = str(indexes / dense)
    words[words.index("--sparse") + 1] = str(indexes / sparse)
    with pytest.raises(XqgError, match=message):
        main(words)
    assert not (tmp_path / "no.run").exists()


def test_expansions_that_are_not_there(expanded, tmp_path):
    words = arguments(expanded, tmp_path / "fused.run", "--join", "mean", "--weight", "0.5")
    with pytest.raises(XqgError, match=r"no topic of \S+topics\.test\.jsonl has expansions"):
        main(words)
    words = arguments(
        expanded, tmp_path / "fused.run", "--join", "mean",
        *("--dev-topics", str(expanded / "topics.dev.jsonl")),
        *("--dev-qrels", str(expanded / "qrels.dev.txt")),
    )  # fmt: skip
    words[words.index("--topics") + 1] = str(expanded / "expanded.test.jsonl")
    with pytest.raises(XqgError, match=r"no topic of \S+topics\.dev\.jsonl has expansions"):
        main(words)
    with pytest.raises(XqgError, match="--query-weight goes with --join mean"):
        main(arguments(expanded, tmp_path / "no.run", "--weight", "0.5", "--query-weight", "0.5"))
