from __future__ import annotations

from dataclasses import asdict

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.train.retriever_settings import PRESETS, RetrieverSettings


@pytest.mark.parametrize("preset", ["xor-tydi", "nq-zero-shot", None])
def test_the_presets_are_the_papers(preset):
    known = RetrieverSettings.resolve("bert-base-multilingual-cased", preset, epochs=None)
    assert asdict(known) == {
        "model": "bert-base-multilingual-cased", "revision": None,
        "effective_batch_size": 128, "negatives": 7, "learning_rate": 1e-5, "epochs": 40,
        "warmup": 0.1, "tied": True, "scale": 1.0,
        "pooling": "cls", "l2_norm": False, "query_prefix": "", "passage_prefix": "",
        "query_max_length": 32, "max_length": 128, "generated_queries_as": "passage",
        "batch_size": 32, "eval_steps": None, "dtype": "float32", "seed": 0,
    }  # fmt: skip
    assert set(PRESETS) == {"xor-tydi", "nq-zero-shot"}


def test_a_known_retriever_is_read_as_its_authors_do():
    known = RetrieverSettings.resolve("intfloat/multilingual-e5-small")
    assert (known.pooling, known.query_prefix, known.scale) == ("mean", "query: ", 20.0)
    assert (known.epochs, known.learning_rate) == (40, 1e-5)
    other = RetrieverSettings.resolve("intfloat/multilingual-e5-small", "xor-tydi", scale=3.0)
    assert (other.pooling, other.query_prefix, other.scale) == ("cls", "", 3.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dtype": "float16"}, "--dtype float16: dot products of a whole batch overflow it"),
        ({"dtype": "int8"}, "--dtype 'int8' is none of float32, bfloat16"),
        ({"epochs": 0}, "--epochs 0: expected at least 1"),
        ({"eval_steps": 0}, "--eval-steps 0: expected at least 1"),
        ({"effective_batch_size": 1}, "--effective-batch-size 1: expected at least 2"),
        ({"negatives": -1}, "--negatives -1: expected 0 or more"),
        ({"learning_rate": 1.0}, "--learning-rate 1.0: expected between 0 and 1"),
        ({"warmup": 1.0}, "--warmup 1.0: expected a part of all steps, below 1"),
        ({"scale": 0.0}, "--scale 0.0: expected above 0"),
        ({"pooling": "max"}, "encoder pooling: 'max' is none of cls, mean, last"),
        ({"preset": "other"}, "--preset 'other' is none of xor-tydi, nq-zero-shot"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given, message):
    with pytest.raises(XqgError) as error:
        RetrieverSettings.resolve("m", **given)
    assert message in str(error.value)
