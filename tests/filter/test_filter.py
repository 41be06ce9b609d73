from __future__ import annotations

import gzip
import json
from functools import partial

import pytest
from killing import kill_at_any_moment

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import parse_queries
from pyserini_xqg.demo import XQG_MINI
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.filter.__main__ import main
from pyserini_xqg.filter.pipeline import filter_queries
from pyserini_xqg.index.settings import Fusion

# Rows of the public data set: passage and queries in one, here with a field more.
PUBLIC = [
    {"docid": "007", "title": "Lahti", "text": "Lahti is a town by a lake in Finland.", "x": 1e5,
     "generated_queries": {"fi": ["Missä Lahti on?", "missä  LAHTI on?", "Mikä?"],
                           "te": ["లహతి ఎక్కడ ఉంది?", "Where is Lahti?"]}},
    {"docid": "12#3", "title": "", "text": "Oulu is a town by the sea.", "x": None,
     "generated_queries": {"fi": ["Mikä?", "", "is a town by the sea"], "te": []}},
    {"docid": "-10", "title": "T", "text": "", "x": [], "generated_queries": {}},
]  # fmt: skip
MINI = str(XQG_MINI / "queries.jsonl"), str(XQG_MINI / "corpus.jsonl")


@pytest.fixture
def run(tmp_path):
    """Runs the command and gives the rows that it wrote."""

    def command(queries, corpus, *options, output="out.jsonl"):
        path = tmp_path / output
        main(["--queries", *map(str, queries), "--corpus", str(corpus), "--output", str(path),
              *map(str, options)])  # fmt: skip
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return [json.loads(line) for line in content.splitlines()]

    return command


def left(rows):
    return {row["docid"]: row["generated_queries"] for row in rows}


def test_without_a_step_rows_come_out_equal(run, write_jsonl, tmp_path):
    public = write_jsonl("public.jsonl", PUBLIC)
    assert run([public], public) == PUBLIC
    assert (tmp_path / "out.jsonl").read_bytes() == public.read_bytes()
    run([MINI[0]], MINI[1], output="mini.jsonl")
    assert (tmp_path / "mini.jsonl").read_bytes() == (XQG_MINI / "queries.jsonl").read_bytes()


@pytest.fixture
def public_folder(tmp_path):
    """Shards as the public data set has them: passage and queries in one row, one shard packed."""
    lines = [
        json.dumps({"docid": str(i), "title": f"w{i}", "text": f"w{i} w{i + 1} Café",
                    "generated_queries": {"ar": [f"كم w{i}؟"] * (1 + i % 2), "te": [f"ఎన్ని w{i}?"]}},
                   ensure_ascii=i % 3 == 0, separators=(",", ":") if i % 2 else None)
        for i in range(10)
    ]  # fmt: skip
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "0.jsonl").write_text("\n".join(lines[:4]))  # the last line is not ended
    (folder / "1.jsonl.gz").write_bytes(gzip.compress("\r\n".join(lines[4:]).encode()))
    return folder, "".join(line + "\n" for line in lines).encode()


def test_public_shards_keep_every_byte_of_rows_that_lose_nothing(run, public_folder, tmp_path):
    folder, content = public_folder
    run([folder], folder)
    assert (tmp_path / "out.jsonl").read_bytes() == content
    run([folder], folder, "--min-length", 2, "--script", "--copies", "--max-shared", 5,
        output="steps.jsonl.gz")  # fmt: skip
    assert gzip.decompress((tmp_path / "steps.jsonl.gz").read_bytes()) == content
    # One duplicate in every other row: these are written anew, the others stay.
    rows = run([folder], folder, "--deduplicate", output="fewer.jsonl")
    fewer = (tmp_path / "fewer.jsonl").read_bytes().splitlines()
    assert [line for line in fewer if line in content.splitlines()] == content.splitlines()[::2]
    before = [json.loads(line) for line in content.splitlines()]
    for row, old in zip(rows, before, strict=True):
        old["generated_queries"]["ar"] = old["generated_queries"]["ar"][:1]
        assert row == old
        assert list(row) == list(old)


def test_public_shards_are_encoded_as_they_are(run, public_folder, encoder, tmp_path):
    from pyserini_xqg.store.store import Store

    folder, content = public_folder
    run([folder], folder)
    (tmp_path / "plain.jsonl").write_bytes(content)
    stores = []
    for name, corpus, queries in (
        ("folder", folder, folder),
        ("plain", tmp_path / "plain.jsonl", tmp_path / "plain.jsonl"),
        ("filtered", tmp_path / "out.jsonl", tmp_path / "out.jsonl"),
    ):
        encode_corpus(corpus, tmp_path / name, encoder, queries=[queries], fields=("title", "text"))
        stores.append({f.name: f.read_bytes() for f in (tmp_path / name).iterdir()
                       if f.name != "manifest.json"})  # fmt: skip
        store = Store([tmp_path / name])
        assert store.passages == 10
        assert store.queries == {"ar": 15, "te": 10}
        assert (tmp_path / name / "docid").read_text().split() == [str(i) for i in range(10)]
    assert stores[0] == stores[1] == stores[2]


@pytest.mark.parametrize(
    ("options", "reason", "fi7", "te7", "fi12"),
    [
        (["--min-length", "1"], "empty", [0, 1, 2], [0, 1], [0, 2]),
        (["--min-length", "5"], "short", [0, 1], [0, 1], [2]),
        (["--deduplicate"], "duplicate", [0, 2], [0, 1], [0, 1, 2]),
        (["--script"], "script", [0, 1, 2], [0], [0, 2]),
        (["--script", "0.99"], "script", [0, 1, 2], [0], [0, 2]),
        (["--copies"], "copy", [0, 1, 2], [0, 1], [0, 1]),
        (["--copies", "0.7"], "copy", [0, 1, 2], [0, 1], [0, 1]),
        (["--copies", "--prompt", "Where is {title}?"], "copy", [0, 1, 2], [0], [0, 1]),
        (["--copies", "--prompt", "Missä Lahti {passage}"], "copy", [2], [0, 1], [0, 1]),
        (["--max-shared", "1"], "shared", [0, 1], [0, 1], [1, 2]),
        (["--max-shared", "2"], "shared", [0, 1, 2], [0, 1], [0, 1, 2]),
    ],
)
def test_each_step_on_its_own(run, write_jsonl, tmp_path, options, reason, fi7, te7, fi12):
    public = write_jsonl("public.jsonl", PUBLIC)
    rows = run([public], public, *options, "--report", tmp_path / "r.json")
    before = left(PUBLIC)
    assert left(rows) == {
        "007": {"fi": [before["007"]["fi"][i] for i in fi7],
                "te": [before["007"]["te"][i] for i in te7]},
        "12#3": {"fi": [before["12#3"]["fi"][i] for i in fi12], "te": []},
        "-10": {},
    }  # fmt: skip
    assert [{**row, "generated_queries": 0} for row in rows] == [
        {**row, "generated_queries": 0} for row in PUBLIC
    ]
    report = json.loads((tmp_path / "r.json").read_text())
    dropped = {"fi": 6 - len(fi7) - len(fi12), "te": 2 - len(te7)}
    for language, count in dropped.items():
        counted = report[language]["dropped"]
        assert sum(counted.values()) == count
        assert set(counted) <= {reason, "empty"}
        assert report[language]["kept"] == report[language]["read"] - count


def test_steps_together_and_the_report(run, write_jsonl, capsys):
    public = write_jsonl("public.jsonl", PUBLIC)
    rows = run([public], public, "--min-length", 1, "--deduplicate", "--script", "--copies",
               "--max-shared", 1, "--sample", 1)  # fmt: skip
    assert left(rows) == {
        "007": {"fi": ["Missä Lahti on?"], "te": ["లహతి ఎక్కడ ఉంది?"]},
        "12#3": {"fi": [], "te": []},
        "-10": {},
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:7] == [
        "read",
        "kept",
        "copy",
        "duplicate",
        "empty",
        "script",
        "shared",
    ]
    assert lines[1].split()[:8] == ["fi", "6", "1", "1", "1", "1", "0", "2"]
    assert lines[2].split()[:8] == ["te", "2", "1", "0", "0", "0", "1", "0"]
    assert lines[lines.index("te, script:") + 1] == "  007  Where is Lahti?"


def test_scores_are_kept_and_thresholds_change_without_a_model(run, write_jsonl, model_dir):
    corpus = write_jsonl("c.jsonl", [{"docid": f"d{i}", "text": f"w{i} w5"} for i in range(20)])
    queries = write_jsonl("q.jsonl", [
        {"docid": f"d{i}", "generated_queries": {"fi": [f"w{i + j}" for j in range(5)]}}
        for i in range(20)
    ])  # fmt: skip
    scored = run([queries], corpus, "--encoder", model_dir, "--pooling", "cls", "--device", "cpu")
    assert left(scored) == left(map(json.loads, queries.read_text().splitlines()))
    again = write_jsonl("scored.jsonl", scored)
    flat = sorted(
        (score, row["docid"], text)
        for row in scored
        for text, score in zip(row["generated_queries"]["fi"], row["scores"]["fi"], strict=True)
    )
    assert len({score for score, _, _ in flat}) > 20
    for options, best in (
        (["--min-score", str(flat[40][0])], [q for q in flat if q[0] >= flat[40][0]]),
        (["--keep-fraction", "0.3"], [q for q in flat if q[0] >= flat[70][0]]),
    ):
        rows = run([again], corpus, *options, "--overwrite")
        assert (
            sorted(
                (score, row["docid"], text)
                for row in rows
                for text, score in zip(
                    row["generated_queries"]["fi"], row["scores"]["fi"], strict=True
                )
            )
            == best
        )
        assert rows == run([queries], corpus, *options, "--encoder", model_dir, "--pooling", "cls",
                           "--overwrite")  # fmt: skip
    with pytest.raises(XqgError, match="passage 'd0': its queries in fi have no scores"):
        run([queries], corpus, "--min-score", "1", "--overwrite")


def test_round_trip_by_index(run, encoder, corpus_and_queries, tmp_path):
    from pyserini_xqg.plugin import XqgSearcher

    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "i", encoder, to_faiss=Fusion())
    rows = run([queries], corpus, "--round-trip", tmp_path / "i", "--round-trip-k", 3,
               "--device", "cpu")  # fmt: skip
    searcher = XqgSearcher(tmp_path / "i")
    total = 0
    for row in map(json.loads, queries.read_text().splitlines()):
        for language, texts in row["generated_queries"].items():
            found = [t for t in texts if row["docid"] in {h.docid for h in searcher.search(t, k=3)}]
            assert left(rows)[row["docid"]][language] == found
            total += len(found)
    assert 0 < total < 60


@pytest.fixture
def dear(write_jsonl, model_dir, encoder, tmp_path, monkeypatch):
    """A run that scores 40 passages in batches of 8, and searches for what is left of them."""
    from pyserini_xqg.filter import further_steps, relevance
    from pyserini_xqg.filter.rows import batches

    corpus = write_jsonl("c.jsonl", [{"docid": f"d{i}", "text": f"w{i} w5"} for i in range(40)])
    queries = write_jsonl("q.jsonl", [
        {"docid": f"d{i}", "generated_queries": {"fi": [f"w{i + j}" for j in range(3)] * 2}}
        for i in range(40)
    ])  # fmt: skip
    encode_corpus(corpus, tmp_path / "index", encoder, to_faiss=Fusion())
    for module in (relevance, further_steps):
        monkeypatch.setattr(module, "batches", lambda items, size=8: batches(items, size))
    return [queries], corpus, "--deduplicate", "--max-shared", 2, "--encoder", model_dir, \
        "--pooling", "cls", \
        "--keep-fraction", 0.7, "--round-trip", tmp_path / "index", "--device", "cpu"  # fmt: skip


def test_a_killed_run_asks_nothing_twice(run, dear, tmp_path, monkeypatch, capsys):
    from pyserini_xqg.filter import further_steps, relevance

    run(*dear, output="whole.jsonl")
    said = capsys.readouterr().out
    asked = []

    def interrupt(count):
        for module, name in ((relevance, "_score_batch"), (further_steps, "_search_batch")):

            def ask(real, batch, *rest):
                if len(asked) == count:
                    raise KeyboardInterrupt
                asked.append((real.__name__, batch[0].passage.docid))
                return real(batch, *rest)

            patch.setattr(module, name, partial(ask, getattr(module, name)))

    for count in (3, 6, 7):  # while it scores, at its first search, and later
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(count)
            run(*dear)
        assert not (tmp_path / "out.jsonl").exists()
    with pytest.raises(XqgError, match="begun with other input or settings: keep_fraction was 0.7"):
        run(*dear, "--keep-fraction", 0.5)
    with monkeypatch.context() as patch:
        interrupt(99)
        run(*dear)
    batches = [f"d{i}" for i in range(0, 40, 8)]
    assert asked == [(n, b) for n in ("_score_batch", "_search_batch") for b in batches]
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert capsys.readouterr().out == said
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "c.jsonl", "index", "out.jsonl", "q.jsonl", "whole.jsonl",
    ]  # fmt: skip


def test_a_run_that_asked_nothing_leaves_nothing(run, dear, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("pyserini_xqg.filter.pipeline.write_rows", _interrupt)
        run(*dear[:2], "--deduplicate")
    assert sorted(tmp_path.iterdir()) == before
    # Nor is what a killed one could not clear away in the way of other settings.
    (tmp_path / "out.jsonl.partial" / "work").mkdir(parents=True)
    garbage = "half of a table " * 100
    for name, content in (("plan.json", "{}"), ("blocks.jsonl", ""), ("shared.sqlite", garbage)):
        folder = tmp_path / "out.jsonl.partial"
        (folder / ("work" if "sqlite" in name else "") / name).write_text(content)
    assert len(run(*dear[:2], "--max-shared", 2)) == 40
    assert sorted(tmp_path.iterdir()) == [*before[:2], tmp_path / "out.jsonl", before[2]]


def _interrupt(*args, **kwargs):
    raise KeyboardInterrupt


FILTER = """
import sys
import torch
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.filter import relevance
from pyserini_xqg.filter.pipeline import filter_queries
from pyserini_xqg.filter.rows import batches
from pyserini_xqg.encoder.spec import EncoderSpec

corpus, queries, model = sys.argv[3:]
torch.set_num_threads(1)
relevance.batches = lambda items: batches(items, 64)
scorer = relevance.EncoderScorer(Encoder(EncoderSpec(model, pooling="cls"), device="cpu"))

def work(output):
    filter_queries([queries], corpus, output, max_shared=3, keep_fraction=0.5, scorer=scorer)
"""


def test_kill_9_at_any_moment(write_large, model_dir, tmp_path):
    corpus, queries = write_large(tmp_path, 1200)
    kill_at_any_moment(FILTER, tmp_path / "out.gz", corpus, queries, model_dir)
    rows = gzip.decompress((tmp_path / "out.gz").read_bytes()).splitlines()
    assert len(rows) == 1200
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "corpus.jsonl", "out.gz", "queries.jsonl",
    ]  # fmt: skip


def test_several_inputs_unite_in_the_corpus_order(run, write_jsonl):
    corpus = write_jsonl("c.jsonl", [{"docid": d, "text": d} for d in ("a", "b", "c", "d")])
    one = write_jsonl("1.jsonl", [
        {"docid": "c", "generated_queries": {"AR": ["1"]}, "x": 1},
        {"docid": "a", "generated_queries": {"fi": ["2"]}, "scores": {"fi": [0.5]}, "x": 1},
    ])  # fmt: skip
    two = write_jsonl("2.jsonl", [
        {"docid": "a", "generated_queries": {"fi": ["3", "2"], "te": ["4"]}, "x": 2, "y": 2},
        {"docid": "d", "generated_queries": {}},
    ])  # fmt: skip
    rows = run([one, two], corpus, "--deduplicate")
    assert rows == [
        {"docid": "a", "generated_queries": {"fi": ["2", "3"], "te": ["4"]}, "x": 1, "y": 2,
         "scores": {"fi": [0.5, None]}},
        {"docid": "c", "generated_queries": {"ar": ["1"]}, "x": 1},
        {"docid": "d", "generated_queries": {}},
    ]  # fmt: skip


def test_packed_both_ways(run, write_jsonl, tmp_path):
    public = write_jsonl("public.jsonl", PUBLIC)
    packed = tmp_path / "public.jsonl.gz"
    packed.write_bytes(gzip.compress(public.read_bytes()))
    assert run([packed], packed, output="out.jsonl.gz") == PUBLIC
    # Neither time nor name in its header, so that the same rows give the same bytes.
    assert (tmp_path / "out.jsonl.gz").read_bytes()[3:8] == bytes(5)


def test_encode_reads_what_came_out(run, write_jsonl, encoder, tmp_path):
    public = write_jsonl("public.jsonl", PUBLIC)
    run([public], public, "--deduplicate", "--script", "--encoder", encoder.spec.model,
        "--pooling", "cls")  # fmt: skip
    join = Join(public, [tmp_path / "out.jsonl"], tmp_path)
    assert join.counts == {"fi": 4, "te": 1}
    join.close()


def test_an_existing_file_stays(run, write_jsonl, tmp_path):
    public = write_jsonl("public.jsonl", PUBLIC)
    for name in ("out.jsonl", "r.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(XqgError, match=rf"{name} exists; give another name, or --overwrite"):
            run([public], public, "--report", tmp_path / "r.json")
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    (tmp_path / "out.jsonl").write_text("mine")
    with pytest.raises(XqgError, match="out.jsonl exists"):
        filter_queries([public], public, tmp_path / "out.jsonl")
    broken = write_jsonl("broken.jsonl", [*PUBLIC[:2], {"docid": "-10"}])
    with pytest.raises(XqgError, match=r"broken\.jsonl:3: expected 'generated_queries'"):
        run([broken], public, "--overwrite")
    assert (tmp_path / "out.jsonl").read_text() == "mine"  # until the new one is whole
    assert run([public], public, "--overwrite") == PUBLIC
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "broken.jsonl", "out.jsonl", "public.jsonl",
    ]  # fmt: skip
    assert run([tmp_path / "out.jsonl"], public, "--overwrite") == PUBLIC  # the input itself


def test_queries_without_a_passage(run, write_jsonl, capsys):
    corpus = write_jsonl("c.jsonl", PUBLIC[:1])
    queries = write_jsonl("q.jsonl", PUBLIC)
    with pytest.raises(XqgError, match="docid '12#3' is not in the corpus"):
        run([queries], corpus)
    assert run([queries], corpus, "--ignore-unknown") == PUBLIC[:1]
    assert "note: 2 rows of queries are for docids" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--min-length", "0"], "--min-length 0: expected at least 1"),
        (["--max-shared", "0"], "--max-shared 0: expected at least 1"),
        (["--script", "1.5"], "--script 1.5: expected a share above 0, at most 1"),
        (["--copies", "0"], "--copies 0.0: expected a share"),
        (["--keep-fraction", "0"], "--keep-fraction 0.0: expected a share"),
        (["--keep-fraction", "1", "--min-score", "1"], "two ways to set one threshold"),
        (["--round-trip-k", "5"], "--round-trip-k goes with --round-trip"),
        (["--round-trip", "{tmp}"], "is no xQG index"),
        (["--similarity", "dot"], "--similarity goes with --encoder"),
        (["--cross-encoder", "m", "--preset", "xdr"], "--cross-encoder scores by itself"),
        (["--sample", "-1"], "--sample at least 0"),
        (["--queries", "{tmp}/no.jsonl"], "no such file or folder"),
    ],
)
def test_what_is_refused(run, write_jsonl, tmp_path, options, message):
    public = write_jsonl("public.jsonl", PUBLIC)
    with pytest.raises(XqgError, match=message):
        run([public], public, *(option.format(tmp=tmp_path) for option in options))
    assert [path.name for path in tmp_path.iterdir()] == ["public.jsonl"]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1], "expected 'scores' to be an object of lists"),
        ({"te": [1]}, "by the languages of 'generated_queries'"),
        ({"fi": [1]}, r"q:1: scores\['fi'\]: expected 2 numbers, one for each query, found \[1\]"),
        ({"fi": [1, "2"]}, "expected 2 numbers"),
        ({"fi": [1, float("nan")]}, "expected 2 numbers"),
        ({"fi": [True, 1]}, "expected 2 numbers"),
    ],
)
def test_scores_that_do_not_fit(scores, message):
    row = {"docid": "a", "generated_queries": {"fi": ["1", "2"]}, "scores": scores}
    with pytest.raises(XqgError, match=message):
        parse_queries(json.dumps(row).encode(), "q:1")
