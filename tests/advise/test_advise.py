from __future__ import annotations

import json

import numpy as np
import pytest
from made_stores import write_store

from pyserini_xqg.advise import held_out
from pyserini_xqg.advise.__main__ import main
from pyserini_xqg.advise.advice import verdict
from pyserini_xqg.advise.held_out import Asked, draw, take_out
from pyserini_xqg.advise.systems import Seen, choose_sum, choose_weight, shares, value
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.judged import Collection, clusters_of
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encode import corpus as encode_module
from pyserini_xqg.index.own_topics import read_samples
from pyserini_xqg.store.store import Store

N = 60


@pytest.fixture
def inputs(write_jsonl):
    """Queries of two languages for two thirds of the passages, two or three each."""
    corpus = write_jsonl(
        "corpus.jsonl",
        (
            {"docid": f"p{i}", "title": "", "text": f"w{i} w{(i * 7) % 60} w{i % 9}"}
            for i in range(N)
        ),
    )
    queries = write_jsonl(
        "queries.jsonl",
        (
            {"docid": f"p{i}", "generated_queries": {
                code: [f"w{i} w{(i + k) % 60} {code}" for k in range(2 + i % 2)]
                for code in ("ar", "te")
            }}
            for i in range(40)
        ),
    )  # fmt: skip
    return corpus, queries


def test_verdicts():
    assert [verdict(0.1, 3), verdict(-1.9, 1), verdict(-3, -0.1), verdict(-2.5, 1)] == [
        "better", "no harm", "harm", "undetermined",
    ]  # fmt: skip


def seen(dense, sparse, having, plain):
    """Topics that ask for p1; runs as scores of p1 and p2."""
    qrels = {qid: {"p1": 1} for qid in dense}
    collection = Collection(
        {qid: Topic(qid, qid, "te") for qid in dense}, qrels, clusters_of(qrels)
    )

    def run(of):
        hits = {q: [Hit("p1", a), Hit("p2", b), Hit("p3", 0.0)] for q, (a, b) in of.items()}
        return {q: sorted(of, key=lambda hit: -hit.score) for q, of in hits.items()}

    asked = Asked(collection, np.zeros((len(dense), 1), np.float32), having)
    sums = {0.1: dict.fromkeys(dense, 40.0), 0.2: dict.fromkeys(dense, 60.0)}
    return Seen([asked], plain, sums, run(dense), run(sparse))


def test_what_is_chosen_for_a_hybrid():
    # a's passage has queries, b's has none: BM25 helps a and harms b
    of = seen({"a": (1, 2), "b": (2, 1.9)}, {"a": (9, 1), "b": (1, 9)}, {"a": True, "b": False},
              {"a": 50.0, "b": 50.0})  # fmt: skip
    share = shares(of, {"te": 0.5})
    assert share == {"a": 1.0, "b": 1.0}
    assert shares(of, {"te": 0.9}) == pytest.approx({"a": 1.8, "b": 0.2})
    assert shares(of, None) == {"a": 1.0, "b": 1.0}
    assert choose_sum(of, share) == 0.2
    weight = choose_weight(of, share)
    assert of.hybrid(0.0) == {"a": 100.0, "b": 50.0}
    assert of.hybrid(weight)["b"] >= 50.0
    assert value(of.hybrid(weight), share, {"a": "te", "b": "te"}) >= 75
    # nothing is safe: the dense side alone
    worse = of._replace(plain={"a": 100.0, "b": 101.0})
    assert choose_weight(worse, share) == 1.0


def test_what_is_taken_out_is_not_left(tmp_path, write_jsonl):
    rng = np.random.default_rng(2)
    numbers = [0 if row % 3 == 2 else 1 + row % 4 for row in range(30)]
    queries = {code: [rng.normal(size=(n, 4)) for n in numbers] for code in ("ar", "te")}
    store = Store([write_store(tmp_path / "s", rng.normal(size=(30, 4)), queries)])
    manifest = json.loads((tmp_path / "s/manifest.json").read_text())
    (tmp_path / "s/manifest.json").write_text(
        json.dumps({**manifest, "fields": ["text"], "batch_size": 1})
    )
    store = Store([tmp_path / "s"])
    corpus = write_jsonl("c.jsonl", ({"docid": f"p{i}", "text": "x"} for i in range(30)))
    texts = write_jsonl(
        "q.jsonl",
        ({"docid": f"p{i}", "generated_queries": {c: [f"{c} {i} {k}" for k in range(n)]
                                                  for c in ("ar", "te")}}
         for i, n in enumerate(numbers)),
    )  # fmt: skip
    (tmp_path / "j").mkdir()
    join = Join(corpus, [texts], tmp_path / "j")
    made = take_out(store, join, tmp_path / "r", 0, 2)
    left = Store([made.store])
    rest = [json.loads(line)["generated_queries"] for line in made.queries.read_text().splitlines()]
    (block,) = left.blocks()
    for code in ("ar", "te"):
        assert [len(of.get(code, ())) for of in rest] == block.counts[code].tolist()
        for row, of in enumerate(rest):
            kept = [int(text.split()[2]) for text in of.get(code, ())]
            expected = queries[code][row][kept].sum(axis=0) if kept else np.zeros(4)
            assert block.sums[code][row] == pytest.approx(expected, abs=1e-6)
    collection = made.asked.collection
    assert {topic.language for topic in collection.topics.values()} == {"ar", "te"}
    for place, (qid, topic) in enumerate(collection.topics.items()):
        code, row, one = topic.text.split()
        assert collection.qrels[qid] == {f"p{row}": 1}
        assert topic.text not in rest[int(row)].get(code, ())
        assert made.asked.with_queries[qid] == (block.counts[code][int(row)] > 0)
        expected = queries[code][int(row)][int(one)]
        assert made.asked.vectors[place] == pytest.approx(expected, abs=1e-6)
    having = list(made.asked.with_queries.values())
    assert {True, False} == set(having)
    join.close()
    # other passages lose all in the next round, and none loses a single query
    samples = read_samples(store, ["ar", "te"])
    first, second = (draw(samples, number, 2) for number in (0, 1))
    emptied = [
        {row for (code, row), of in taken.places.items() if len(of) == numbers[row]}
        for taken in (first, second)
    ]
    assert not emptied[0] & emptied[1]
    assert len(second.places) == 2 * len(emptied[1])


@pytest.mark.parametrize("with_judgments", [True, False])
def test_the_command(inputs, model_dir, tmp_path, capsys, monkeypatch, write_jsonl, with_judgments):
    corpus, queries = inputs
    monkeypatch.setattr(held_out, "_ROUNDS", 1)
    command = ["--corpus", str(corpus), "--queries", str(queries), "--encoder", str(model_dir),
               "--pooling", "cls", "--device", "cpu", "--output", str(tmp_path / "a")]  # fmt: skip
    if with_judgments:
        topics = write_jsonl(
            "t.jsonl",
            ({"qid": f"{code}-{i}", "title": f"w{i} w{i % 9}", "lang": code}
             for i in range(N) for code in ("ar", "te")),
        )  # fmt: skip
        (tmp_path / "qrels").write_text(
            "".join(f"{code}-{i} 0 p{i} 1\n" for i in range(N) for code in ("ar", "te"))
        )
        command += ["--topics", str(topics), "--qrels", str(tmp_path / "qrels")]
    main(command)
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert len(lines) <= 15
    names = ["passages only", "the published sum", "smoothed and routed", "BM25", "hybrid"]
    assert [line.strip().startswith(name) for line, name in zip(lines[1:], names, strict=False)]
    for name, line in zip(names, lines[1:6], strict=True):
        assert line.strip().startswith(name)
    assert "passages with queries: 67 %" in said
    advice = json.loads((tmp_path / "a/advice.json").read_text())
    assert [each["name"] for each in advice["systems"]] == names
    assert len(advice["commands"]) == 2
    assert "data:image/png;base64," in (tmp_path / "a/advice.html").read_text()
    if not with_judgments:
        assert "generated queries taken out of their passages" in lines[0]
    else:
        assert "60 topics of the test half, 60 others chose" in lines[0]

    def again(*_, **__):
        raise AssertionError("encoded again")

    monkeypatch.setattr(encode_module, "encode_corpus", again)
    main(command)
    assert capsys.readouterr().out == said
    with pytest.raises(XqgError, match="begun with other input or settings"):
        main([*command, "--max-length", "9"])
    (tmp_path / "b").mkdir()
    (tmp_path / "b/more").touch()
    with pytest.raises(XqgError, match="holds other things"):
        main([*command, "--output", str(tmp_path / "b")])


def test_what_is_refused(inputs, tmp_path):
    corpus, queries = inputs
    with pytest.raises(XqgError, match="--topics and --qrels go together"):
        main(["--corpus", str(corpus), "--queries", str(queries), "--output", str(tmp_path / "a"),
              "--topics", "t"])  # fmt: skip
    with pytest.raises(XqgError, match="no such file or folder: nowhere"):
        main(["--corpus", "nowhere", "--queries", str(queries), "--output", str(tmp_path / "a")])
    assert not (tmp_path / "a").exists()


def test_a_process_killed_at_its_first_moment_is_taken_up(inputs, tmp_path, monkeypatch):
    corpus, queries = inputs
    asked = []
    monkeypatch.setattr("pyserini_xqg.advise.__main__.advise", lambda *of: asked.append(of[1]))
    (tmp_path / "a").mkdir()
    (tmp_path / "a/plan.json.partial").write_text('{"corp')
    main(["--corpus", str(corpus), "--queries", str(queries), "--output", str(tmp_path / "a"),
          "--encoder", "m"])  # fmt: skip
    assert asked == [tmp_path / "a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["plan.json"]
