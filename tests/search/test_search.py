from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import FORMS, Hit, read_run, write_run
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.bm25 import build_bm25
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.plugin import XqgSearcher
from pyserini_xqg.search.__main__ import main
from pyserini_xqg.search.searcher import Searcher, open_searcher
from pyserini_xqg.store.store import Store

TOPICS = [
    {"qid": "te-007", "title": "w1 w2", "lang": "te"},
    {"qid": "007", "title": "w3", "lang": "ar"},
    {"qid": "-5", "title": "w4 w5", "lang": "fi"},
]


@pytest.fixture
def indexes(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    store = Store([tmp_path / "store"])
    build_index(store, tmp_path / "flat", Fusion("mean", 0.5))
    build_index(store, tmp_path / "hnsw", Fusion("mean", 0.5), index_type="hnsw")
    build_index(store, tmp_path / "te", Fusion("mean", 0.5), languages=["te"])
    build_routed(store, tmp_path / "routed", Fusion("mean", 0.5))
    return tmp_path


def run_of(path):
    run = {}
    for line in path.read_text().splitlines():
        qid, q0, docid, rank, score, tag = line.split()
        assert (q0, tag) == ("Q0", "xqg")
        run.setdefault(qid, []).append((docid, int(rank), float(score)))
    return run


def test_a_trec_run(indexes, write_jsonl):
    topics = write_jsonl("t.jsonl", TOPICS)
    main(["--index", str(indexes / "flat"), "--topics", str(topics), "--hits", "7",
          "--output", str(indexes / "run"), "--batch-size", "2"])  # fmt: skip
    run = run_of(indexes / "run")
    assert list(run) == ["te-007", "007", "-5"]  # the topics' order, ids as they are
    searcher = XqgSearcher(indexes / "flat")
    for topic in TOPICS:
        hits = searcher.search(topic["title"], k=7)
        found = run[topic["qid"]]
        assert [docid for docid, _, _ in found] == [hit.docid for hit in hits]
        assert [rank for _, rank, _ in found] == list(range(1, 8))
        assert [s for _, _, s in found] == pytest.approx([h.score for h in hits], abs=1e-4)


def test_more_hits_than_passages(indexes):
    assert len(XqgSearcher(indexes / "flat").search("w1", k=1000)) == 30
    for k in (10**12, 10**30):  # more than memory, or a machine's numbers, can hold
        assert len(XqgSearcher(indexes / "flat").search("w1", k=k)) == 30
        with closing(open_searcher(indexes / "flat")) as searcher:
            assert len(searcher.search("w1", k=k)) == 30
    hits = XqgSearcher(indexes / "hnsw").batch_search(["w1"], ["1"], k=1000)["1"]
    assert len(hits) == len({hit.docid for hit in hits}) == 30


def test_topics_are_routed_by_their_language(indexes):
    routed, te, flat = (XqgSearcher(indexes / name) for name in ("routed", "te", "flat"))

    def same(a, b):
        expected = pytest.approx({hit.docid: hit.score for hit in b}, rel=1e-5)
        return {hit.docid: hit.score for hit in a} == expected

    assert same(routed.search("w1", language="te"), te.search("w1"))
    assert same(routed.search("w1", language="fi"), flat.search("w1"))
    assert not same(te.search("w1"), flat.search("w1"))
    hits = routed.batch_search(["w1", "w1", "w1"], ["a", "b", "c"], languages=["te", "fi", "und"])
    assert list(hits) == ["a", "b", "c"]
    assert same(hits["a"], te.search("w1"))
    assert same(hits["b"], flat.search("w1"))  # there is no Finnish index
    assert same(hits["c"], flat.search("w1"))


def test_every_language_given_at_once(indexes, write_jsonl):
    topics = write_jsonl("t.jsonl", TOPICS)
    main(["--index", str(indexes / "routed"), "--topics", str(topics), "--language", "te",
          "--output", str(indexes / "run")])  # fmt: skip
    te = XqgSearcher(indexes / "te")
    for topic in TOPICS:
        expected = [hit.docid for hit in te.search(topic["title"], k=30)]
        assert [docid for docid, _, _ in run_of(indexes / "run")[topic["qid"]]] == expected


def test_other_output_formats(indexes, write_jsonl):
    topics = write_jsonl("t.jsonl", TOPICS[:1])
    main(["--index", str(indexes / "flat"), "--topics", str(topics), "--hits", "1",
          "--output", str(indexes / "run"), "--output-format", "msmarco"])  # fmt: skip
    qid, docid, rank = (indexes / "run").read_text().split()
    assert (qid, rank) == ("te-007", "1")
    assert docid == XqgSearcher(indexes / "flat").search("w1 w2", k=1)[0].docid


@pytest.mark.parametrize("form", FORMS)
def test_the_bytes_are_those_of_pyserinis_writers(tmp_path, form):
    from pyserini.output_writer import OutputFormat, get_output_writer

    run = {
        "te-007": [Hit("-1018987027025691298", 12.3456785), Hit("12#3", 0.0), Hit("a", -1e-9)],
        "none": [],
        "007": [Hit("b", 3)],
    }
    write_run(tmp_path / "new/ours", iter(run.items()), "tag", form)
    with get_output_writer(str(tmp_path / "theirs"), OutputFormat(form), tag="tag") as writer:
        for qid, hits in run.items():
            writer.write(qid, hits)
    assert (tmp_path / "new/ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_pyserini_is_not_imported(indexes, write_jsonl):
    """Importing it takes longer than all else that a search does."""
    topics = write_jsonl("t.jsonl", TOPICS)
    store, corpus = Store([indexes / "store"]), [{"docid": "1", "text": "w1"}]
    build_index(store, indexes / "lucene", Fusion("mean", 0.5), to="lucene-flat")
    build_bm25(write_jsonl("c.jsonl", corpus), indexes / "bm25")
    commands = [
        ["search", "--index", str(indexes / name), "--topics", str(topics),
         "--output", str(indexes / f"{name}.run")]
        for name in ("flat", "routed", "lucene", "bm25")
    ]  # fmt: skip
    commands += [
        ["hybrid", "--dense", str(indexes / "flat"), "--sparse", str(indexes / "bm25"),
         "--weight", "0.5", "--topics", str(topics), "--output", str(indexes / "both.run")]
    ]  # fmt: skip
    script = (
        "import json, sys; from pyserini_xqg.base.commands import main_of\n"
        "for name, *words in json.loads(sys.argv[1]): main_of(f'pyserini_xqg.{name}')(words)\n"
        "print(*sorted({'pyserini', 'pandas', 'ir_measures'} & {*sys.modules}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, json.dumps(commands)], capture_output=True, text=True
    )
    assert (said.returncode, said.stdout.strip()) == (0, ""), said.stderr
    assert {len(read_run(indexes / f"{name}.run")) for name in ("flat", "lucene", "both")} == {3}


def test_effort_of_every_route(indexes):
    store = Store([indexes / "store"])
    build_routed(store, indexes / "lists", Fusion("mean", 0.5), index_type="IVF4,Flat")
    exact, little, full = (
        open_searcher(indexes / name, device="cpu", effort=effort)
        for name, effort in (("routed", Effort()), ("lists", Effort()), ("lists", Effort(nprobe=4)))
    )
    for language in ("te", "fi"):
        found = [
            {hit.docid for hit in searcher.search("w1 w2", k=30, language=language)}
            for searcher in (exact, little, full)
        ]
        assert found[0] == found[2] > found[1]


def test_every_kind_is_opened_by_its_searcher(indexes, write_jsonl):
    store, fusion = Store([indexes / "store"]), Fusion("mean", 0.5)
    build_index(store, indexes / "lucene", fusion, to="lucene-flat")
    build_index(store, indexes / "rows", fusion, to="jsonl")
    build_bm25(write_jsonl("c.jsonl", [{"docid": "1", "text": "a"}]), indexes / "bm25")
    for name in ("lucene", "flat", "routed", "bm25"):
        opened = open_searcher(indexes / name, **({} if name == "bm25" else {"device": "cpu"}))
        assert type(opened) is Searcher
        assert (opened.encoder is None) == (name == "bm25")
        assert opened.routes == (("ar", "te") if name == "routed" else ())
    for path, message in (
        ("rows", "is a jsonl export for other software, not an index"),
        (("flat", "bm25"), "is a bm25 index; expected one of faiss, max-sim, lucene-flat, luc"),
    ):
        paths = [path] if isinstance(path, str) else path
        with pytest.raises(XqgError, match=message):
            open_searcher([indexes / name for name in paths], device="cpu")
    with pytest.raises(XqgError, match="is a lucene-flat index; open it with pyserini_xqg.open_s"):
        XqgSearcher(indexes / "lucene")
    with pytest.raises(XqgError, match="is for an HNSW index"):
        open_searcher(indexes / "bm25", effort=Effort(ef_search=5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hits", "0"], "are at least 1"),
        (["--ef-search", "9"], "--ef-search is for an HNSW index"),
        (["--nprobe", "9"], "--nprobe is for an index of inverted lists"),
        (["--nprobe", "0"], "--nprobe 0: expected at least 1"),
        (["--index", "{tmp}/store"], "is no xQG index"),
        (["--output", "{tmp}/t.jsonl"], "exists; give another name, or --overwrite"),
        (["--encoder", "{tmp}/nowhere"], "no such model folder"),
    ],
)
def test_what_is_refused(indexes, write_jsonl, options, message):
    topics = write_jsonl("t.jsonl", TOPICS)
    command = ["--index", str(indexes / "flat"), "--topics", str(topics),
               "--output", str(indexes / "run")]  # fmt: skip
    with pytest.raises(XqgError, match=message):
        main([*command, *(option.format(tmp=indexes) for option in options)])
    assert not (indexes / "run").exists()


def test_another_place_of_the_same_model(indexes, model_dir, tmp_path_factory):
    import shutil

    moved = tmp_path_factory.mktemp("moved") / "model"
    shutil.copytree(model_dir, moved)
    hits = open_searcher(indexes / "flat", encoder=str(moved), device="cpu").search("w1", k=3)
    assert [h.docid for h in hits] == [
        h.docid for h in XqgSearcher(indexes / "flat").search("w1", k=3)
    ]


def test_an_index_whose_parts_do_not_fit(indexes):
    docids = indexes / "flat/docid"
    docids.write_text(docids.read_text() + "more\n")
    with pytest.raises(XqgError, match="30 vectors and 31 docids; build it again"):
        XqgSearcher(indexes / "flat")


def test_another_model_under_the_same_name(indexes):
    manifest = indexes / "flat/xqg.json"
    content = json.loads(manifest.read_text())
    content["encoder"]["pooling"] = "mean"
    manifest.write_text(json.dumps(content))
    with pytest.raises(XqgError, match="What differs is the pooling"):
        XqgSearcher(indexes / "flat")
