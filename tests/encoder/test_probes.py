from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.probes import check_probes, make_probes
from pyserini_xqg.encoder.spec import EncoderSpec

TEXTS = {"te": "w1 w2 w3", "und": "w4 w5 w6 w7"}


@pytest.fixture
def probes(model_dir):
    encoder = Encoder(EncoderSpec(str(model_dir)), device="cpu")
    return json.loads(json.dumps(make_probes(encoder, TEXTS)))


def changed_copy(model_dir, path, change):
    from transformers import AutoModel, AutoTokenizer

    AutoTokenizer.from_pretrained(model_dir).save_pretrained(path)
    model = AutoModel.from_pretrained(model_dir)
    change(model)
    model.save_pretrained(path)
    return str(path)


def test_the_same_encoder_passes(model_dir, probes):
    check_probes(Encoder(EncoderSpec(str(model_dir)), device="cpu", batch_size=1), probes, "index")
    check_probes(Encoder(EncoderSpec(str(model_dir), dtype="bfloat16"), device="cpu"), probes, "i")


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"pooling": "mean"}, "the pooling: mean here, cls there"),
        ({"l2_norm": True}, "the L2 norm"),
        ({"query_prefix": "w9 "}, "the tokenizer or the query prefix"),
    ],
)
def test_the_part_that_differs_is_named(model_dir, probes, settings, part):
    encoder = Encoder(replace(EncoderSpec(str(model_dir)), **settings), device="cpu")
    with pytest.raises(XqgError, match=f"index was built with another encoder .*differs is {part}"):
        check_probes(encoder, probes, "index")
    assert encoder.spec.pooling == settings.get("pooling", "cls")  # left as it was


def test_other_weights(model_dir, probes, tmp_path):
    import torch

    def change(model):
        with torch.no_grad():
            model.encoder.layer[1].output.dense.weight.mul_(-1)

    encoder = Encoder(EncoderSpec(changed_copy(model_dir, tmp_path, change)), device="cpu")
    with pytest.raises(XqgError, match="What differs is the weights"):
        check_probes(encoder, probes, "index")


def test_other_dimension(encoder, probes):
    short = [{**probe, "vector": probe["vector"][:8]} for probe in probes]
    with pytest.raises(XqgError, match="vectors of dimension 8; the encoder .* has 16"):
        check_probes(encoder, short, "index")
