from __future__ import annotations

import pytest

from pyserini_xqg.encode import encode_corpus, main
from pyserini_xqg.estimate import Estimate, estimate
from pyserini_xqg.join import Join
from pyserini_xqg.settings import Fusion


def size(path, names):
    return sum((path / name).stat().st_size for name in names)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_stores_size(corpus_and_queries, encoder, tmp_path, keep, dtype):
    corpus, queries = corpus_and_queries
    (tmp_path / "work").mkdir()
    join = Join(corpus, [queries], tmp_path / "work")
    guess = estimate(join, encoder, ["text"], 0, 30, dtype=dtype, keep_queries=keep)
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries], dtype=dtype,
                  keep_queries=keep)  # fmt: skip
    files = [e.name for e in (tmp_path / "s").iterdir() if e.name == "docid" or e.suffix == ".npy"]
    headers = 128 * (len(files) - 1)
    assert guess.disk == pytest.approx(size(tmp_path / "s", files) - headers, abs=30)
    assert (guess.sampled, guess.passages) == (30, 30)
    assert guess.rate > 0
    assert guess.memory > 10_000_000


def test_the_indexes_size(corpus_and_queries, encoder, tmp_path):
    corpus, _ = corpus_and_queries
    (tmp_path / "work").mkdir()
    guess = estimate(Join(corpus, [], tmp_path / "work"), encoder, ["text"], 0, 30, to_faiss=True)
    encode_corpus(corpus, tmp_path / "i", encoder, to_faiss=Fusion())
    assert guess.disk == pytest.approx(size(tmp_path / "i", ["index", "docid"]) - 45, abs=30)


def test_in_words():
    said = str(Estimate(128, 18_000_000, 500.0, 224_000_000_000, 2_500_000_000))
    assert said == (
        "128 of 18000000 passages measured: 500.0 a second with their queries, 10.00 hours in all; "
        "224.000 GB on disk; 2.5 GB of memory"
    )


def test_a_dry_run_writes_nothing(corpus_and_queries, model_dir, tmp_path, capsys):
    corpus, queries = corpus_and_queries
    before = sorted(tmp_path.iterdir())
    main(["input", "--corpus", str(corpus), "output", "--embeddings", str(tmp_path / "s"),
          "--dry-run", "encoder", "--encoder", str(model_dir), "--device", "cpu",
          "xqg", "--queries", str(queries)])  # fmt: skip
    assert capsys.readouterr().out.startswith("30 of 30 passages measured")
    assert sorted(tmp_path.iterdir()) == before
