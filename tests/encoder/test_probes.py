from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.probes import check_probes, compare, make_probes, same_length
from pyserini_xqg.encoder.spec import EncoderSpec

TEXTS = {"te": "w1 w2 w3", "und": "w4 w5 w6 w7"}


@pytest.fixture
def probes(model_dir):
    encoder = Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu")
    return json.loads(json.dumps(make_probes(encoder, TEXTS)))


def changed_copy(model_dir, path, change):
    from transformers import AutoModel, AutoTokenizer

    AutoTokenizer.from_pretrained(model_dir).save_pretrained(path)
    model = AutoModel.from_pretrained(model_dir)
    change(model)
    model.save_pretrained(path)
    return str(path)


def test_the_same_encoder_passes(model_dir, probes):
    check_probes(
        Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu", batch_size=1),
        probes,
        "index",
    )
    check_probes(
        Encoder(EncoderSpec(str(model_dir), pooling="cls", dtype="bfloat16"), device="cpu"),
        probes,
        "i",
    )


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"pooling": "mean"}, "the pooling: mean here, cls there"),
        ({"l2_norm": True}, "the L2 norm"),
        ({"query_prefix": "w9 "}, "the tokenizer or the query prefix"),
    ],
)
def test_the_part_that_differs_is_named(model_dir, probes, settings, part):
    encoder = Encoder(replace(EncoderSpec(str(model_dir), pooling="cls"), **settings), device="cpu")
    with pytest.raises(XqgError, match=f"index was built with another encoder .*differs is {part}"):
        check_probes(encoder, probes, "index")
    assert encoder.spec.pooling == settings.get("pooling", "cls")  # left as it was


def test_other_weights(model_dir, probes, tmp_path):
    import torch

    def change(model):
        with torch.no_grad():
            model.encoder.layer[1].output.dense.weight.mul_(-1)

    encoder = Encoder(
        EncoderSpec(changed_copy(model_dir, tmp_path, change), pooling="cls"), device="cpu"
    )
    with pytest.raises(XqgError, match="What differs is the weights"):
        check_probes(encoder, probes, "index")


def test_other_dimension(encoder, probes):
    short = [{**probe, "vector": probe["vector"][:8]} for probe in probes]
    with pytest.raises(XqgError, match="vectors of dimension 8; the encoder .* has 16"):
        check_probes(encoder, short, "index")


def test_cosines_and_lengths_by_hand():
    one = np.array([[0.5, 0], [0, 0], [0, 0], [3, 0], [0.1, 0]], dtype=np.float32)
    other = np.array([[-0.25, 0], [0, 0], [1, 0], [0, 0], [0.3, 0.4]], dtype=np.float32)
    cosines, ratio = compare(one, other)
    assert cosines == pytest.approx([-1, 1, 0, 0, 0.6])
    assert ratio == pytest.approx(3.6 / 1.75)
    assert compare(one[:0], other[:0])[1] == 1.0


@pytest.mark.parametrize("longer", [0.97, 1.03])
def test_other_lengths(encoder, probes, longer):
    other = [{**probe, "vector": [x * longer for x in probe["vector"]]} for probe in probes]
    with pytest.raises(XqgError, match="What differs is the L2 norm"):
        check_probes(encoder, other, "index")


@pytest.mark.parametrize("change", [-1, 1])
def test_other_tokens(encoder, probes, change):
    other = [
        {**p, "vector": [-x for x in p["vector"]], "tokens": [t + change for t in p["tokens"]]}
        for p in probes
    ]
    with pytest.raises(XqgError, match="differs is the tokenizer or the query prefix"):
        check_probes(encoder, other, "index")


@pytest.mark.parametrize(
    ("ratio", "same"), [(0.9899, False), (0.99, True), (1.01, True), (1.0101, False)]
)
def test_lengths_may_differ_by_one_percent(ratio, same):
    assert same_length(ratio) is same
