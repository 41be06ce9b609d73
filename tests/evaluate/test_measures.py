from __future__ import annotations

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.trec.measures import distinct_measures, parse_measures


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("RR@10", "RR@10"), ("MRR@10", "RR@10"), ("mrr@10", "RR@10"), ("recip_rank", "RR"),
        ("ndcg_cut_10", "nDCG@10"), ("ndcg_cut.10", "nDCG@10"), ("ndcg@10", "nDCG@10"),
        ("ndcg", "nDCG"), ("map", "AP"), ("MAP", "AP"), ("map_cut_100", "AP@100"),
        ("recall.100", "R@100"), ("recall_100", "R@100"), ("recall@100", "R@100"),
        ("P_10", "P@10"), ("P.10", "P@10"), ("success_1", "Success@1"), ("Rprec", "Rprec"),
        ("bpref", "Bpref"), ("AP(rel=2)", "AP(rel=2)"),
    ],
)  # fmt: skip
def test_names_of_ir_measures_trec_eval_and_pyserini(name, measure):
    (parsed,) = parse_measures([name])
    assert str(parsed) == measure


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "recall.1,3",
            "'recall.1,3' stands for 2 of them; give those .* as R@1 R@3",
        ),
        ("official", "'official' stands for .* of them"),
        ("recall", "'recall' stands for 9 of them; give those that you mean, such as R@5 R@10"),
        ("foo", "unknown measure 'foo': .*; expected one such as RR@10, nDCG@10, or trec_eval's"),
        ("recall.10foo", "unknown measure 'recall.10foo'"),
        ("gm_map", "unknown measure 'gm_map'"),
        ("ndcg_10", "unknown measure 'ndcg_10'"),
        ("", "unknown measure ''"),
        ("recall.0", "measure 'recall.0': expected a cutoff of at least 1"),
        ("R@0", "measure 'R@0': expected a cutoff of at least 1"),
    ],
)
def test_what_is_no_measure(name, message):
    with pytest.raises(XqgError, match=message):
        parse_measures([name])


def test_names_of_one_measure_are_one():
    assert distinct_measures(["R@5", "recall_5", "RR", "r@5", "R@10"]) == ["R@5", "RR", "R@10"]
