"""Baselines with the settings that are best on judged topics."""

from __future__ import annotations

from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.manifest import read_built
from pyserini_xqg.reproduce import tuned


def test_a_baseline_is_tuned(corpus_and_queries, topics_and_qrels, encoder, tmp_path, capsys):
    (corpus, queries), (topics, qrels) = corpus_and_queries, topics_and_qrels
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    words = ["--embeddings", tmp_path / "store", "--topics", topics,
             "--qrels", qrels, "--device", "cpu"]  # fmt: skip

    def built(name, *more):
        tuned.main([str(word) for word in [*words, "--output", tmp_path / name, *more]])
        said = capsys.readouterr().out
        assert f"{name}: best on 12 dev topics, RR@10 " in said
        score = float(said.partition("RR@10 ")[2].partition(":")[0])
        return score, read_built(tmp_path / name).fusion

    _, fusion = built("sum", "--method", "paper")
    assert fusion.method == "paper"
    plain, _ = built("mean", "--method", "mean")
    # among more settings the best is as good or better, and no augmentation is one of them
    smoothed, fusion = built("smoothed", "--method", "mean", "--mu", "0", "1000")
    assert smoothed >= plain
    assert fusion.mu in (0, 1000)
    _, fusion = built("map", "--method", "mean", "--mu", "1000")
    assert (fusion.method, fusion.mu) == ("mean", 1000)
