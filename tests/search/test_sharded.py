from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import merge_hits
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.plugin import XqgSearcher
from pyserini_xqg.search.__main__ import main
from pyserini_xqg.search.searcher import Searcher, open_searcher
from pyserini_xqg.search.sharded import Pool, open_shards
from pyserini_xqg.store.store import Store

FUSION = Fusion("mean", 0.5)


@pytest.fixture(scope="module")
def made(encoder, tmp_path_factory, write_large):
    """Three shards and the whole: stores, flat and routed indexes; many passages are alike."""
    folder = tmp_path_factory.mktemp("made")
    corpus, queries = write_large(folder, 2000)
    topics = [{"qid": f"t{i}", "title": f"w{i} w{i + 9}", "lang": ("te", "ar", "fi")[i % 3]}
              for i in range(30)]  # fmt: skip
    (folder / "t.jsonl").write_text("".join(json.dumps(topic) + "\n" for topic in topics))
    for shard in range(3):
        encode_corpus(corpus, folder / f"s{shard}", encoder, queries=[queries],
                      shard_id=shard, shard_num=3)  # fmt: skip
    stores = [folder / f"s{shard}" for shard in range(3)]
    for name, paths in (("", stores), *((str(i), [path]) for i, path in enumerate(stores))):
        build_index(Store(paths), folder / f"flat{name}", FUSION)
        build_routed(Store(paths), folder / f"routed{name}", FUSION)
    return folder


def shards(made, kind):
    return [str(made / f"{kind}{shard}") for shard in range(3)]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("kind", ["flat", "routed"])
def test_the_run_of_shards_is_that_of_one_index(made, kind, threads, tmp_path):
    common = ["--topics", str(made / "t.jsonl"), "--device", "cpu", "--hits", "700"]
    main(["--index", str(made / kind), "--output", str(tmp_path / "one"), *common])
    main(["--index", *shards(made, kind), "--output", str(tmp_path / "many"), *common,
          "--threads", str(threads)])  # fmt: skip
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()
    lines = (tmp_path / "one").read_text().splitlines()
    assert len(lines) == 30 * 700
    scores = [line.split()[4] for line in lines[:700]]
    assert len(set(scores)) < 650  # there are ties, which merging could put in another order


def test_in_python(made):
    one = XqgSearcher(made / "flat")
    searcher = open_searcher(shards(made, "flat"), device="cpu", processes=2)
    assert type(searcher) is Searcher
    for text in ("w1", "w2 w3"):
        ours, theirs = searcher.search(text, k=9), one.search(text, k=9)
        assert [(hit.docid, hit.score) for hit in ours] == [(h.docid, h.score) for h in theirs]
    vectors = np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)
    found = searcher.batch_search(vectors, ["a", "b"], k=3)
    assert [hit.docid for hit in found["b"]] == [h.docid for h in one.search(vectors[1:], k=3)]
    searcher.close()


def test_shards_of_several_kinds(made, tmp_path):
    build_index(Store([made / "s1"]), tmp_path / "lucene", FUSION, to="lucene-flat")
    paths = [made / "flat0", tmp_path / "lucene", made / "flat2"]
    ours = open_searcher(paths, device="cpu").search("w1 w5", k=2000)
    theirs = XqgSearcher(made / "flat").search("w1 w5", k=2000)
    expected = {hit.docid: hit.score for hit in theirs}
    assert {hit.docid: hit.score for hit in ours} == pytest.approx(expected, abs=1e-4)


def test_effort_reaches_every_process(made, tmp_path):
    for shard in range(2):
        build_index(
            Store([made / f"s{shard}"]), tmp_path / f"i{shard}", FUSION, index_type="IVF8,Flat"
        )
    paths = [tmp_path / "i0", tmp_path / "i1"]
    vectors = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)

    def found(index):
        hits = index.search(vectors, 10)
        return {docid for of_one in hits for docid, _ in of_one}

    pool = Pool(paths, 2, Effort())
    little = found(pool)
    pool.tune(Effort(nprobe=8))
    full = found(pool)
    pool.close()
    exact = found(open_shards([made / "flat0", made / "flat1"]))
    assert full == exact != little
    assert found(open_shards(paths, processes=2, effort=Effort(nprobe=8))) == exact
    with pytest.raises(XqgError, match="--ef-search is for an HNSW index"):
        Pool(paths, 2, Effort(ef_search=9))


def test_merging():
    parts = [[[("a", 3.0), ("b", 1.0)], []], [[("c", 3.0), ("d", 2.0)], [("e", -1.0)]]]
    assert merge_hits(parts, 3) == [[("a", 3.0), ("c", 3.0), ("d", 2.0)], [("e", -1.0)]]
    with pytest.raises(XqgError, match="passage 'a' is in two of the indexes"):
        merge_hits([[[("a", 1.0)]], [[("b", 2.0), ("a", 1.0)]]], 3)


def test_what_does_not_belong_together(made, tmp_path):
    build_index(Store([made / "s1"]), tmp_path / "alpha", Fusion("mean", 0.4))
    build_index(Store([made / "s1"]), tmp_path / "pq", FUSION, to="parquet")
    build_index(Store([made / "s0"]), tmp_path / "hnsw", FUSION, index_type="hnsw")
    shutil.copytree(made / "routed1", tmp_path / "routed")
    manifest = json.loads((tmp_path / "routed/te/xqg.json").read_text())
    (tmp_path / "routed/te/xqg.json").write_text(json.dumps({**manifest, "alpha": 0.9}))
    first = made / "flat0"
    for paths, message in (
        ([first, tmp_path / "alpha"], r"alpha cannot be searched together with .*: alpha is 0\.4"),
        ([first, first], "hold the same passages; give each once"),
        ([first, tmp_path / "hnsw"], "hold the same passages; give each once"),
        ([first, tmp_path / "pq"], "is a parquet export for other software, not an index"),
        ([first, made / "routed1"], "method is None, expected 'mean'"),
        ([made / "routed0", tmp_path / "routed"], r"routed/te cannot .*: alpha is 0\.9"),
        ([first, made / "s1"], "is no xQG index"),
    ):
        with pytest.raises(XqgError, match=message):
            open_searcher(paths, device="cpu")


def test_a_process_that_dies(made):
    pool = Pool([made / "flat0", made / "flat1"], 2, Effort())
    pool._workers[1].process.kill()
    with pytest.raises(XqgError, match=r"searched .*flat1 ended \(exit code -9"):
        pool.search(np.zeros((1, 16), dtype=np.float32), 3)
    pool.close()
    damaged = made / "damaged"
    shutil.copytree(made / "flat1", damaged)
    (damaged / "docid").write_text("one\n")
    with pytest.raises(XqgError, match="66[67] vectors and 1 docids; build it again"):
        Pool([made / "flat0", damaged], 2, Effort())
