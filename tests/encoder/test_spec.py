from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.presets import PRESETS
from pyserini_xqg.encoder.spec import EncoderSpec


def test_preset_by_name_and_by_exact_model():
    spec = EncoderSpec.resolve(None, "e5-base")
    assert (spec.model, spec.pooling, spec.l2_norm) == (
        "intfloat/multilingual-e5-base",
        "mean",
        True,
    )
    assert (spec.query_prefix, spec.passage_prefix) == ("query: ", "passage: ")
    assert EncoderSpec.resolve("intfloat/multilingual-e5-base") == spec


def test_a_name_that_only_resembles_a_preset_finds_none():
    # stock Pyserini takes this one for ANCE ("fin-ance"), and castorini/mdpr-... for DPR
    assert EncoderSpec.resolve("my-org/finance-e5") == EncoderSpec("my-org/finance-e5")


def test_the_papers_settings():
    spec = EncoderSpec.resolve(None, "xdr")
    assert (spec.pooling, spec.l2_norm, spec.max_length, spec.query_max_length) == (
        "cls", False, 128, 32,
    )  # fmt: skip
    assert spec.generated_queries_as == "passage"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_resolves_and_names_its_training_sets(name):
    EncoderSpec.resolve(None, name)
    assert PRESETS[name].trained_on


def test_saved_specification_and_overrides(tmp_path):
    (tmp_path / "xqg_encoder.json").write_text('{"pooling": "mean", "l2_norm": true}')
    spec = EncoderSpec.resolve(str(tmp_path), max_length=99, pooling=None)
    assert (spec.pooling, spec.l2_norm, spec.max_length) == ("mean", True, 99)
    assert spec.model == str(tmp_path.resolve())
    assert EncoderSpec.from_dict(json.loads(json.dumps(spec.to_dict())), "x") == spec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "eos"}, "pooling: 'eos' is none of cls, mean, last"),
        ({"dtype": "int8"}, "dtype: 'int8' is none of"),
        ({"backend": "tpu"}, "backend: 'tpu' is none of torch, onnx, onnx-int8"),
        ({"backend": "onnx", "dtype": "bfloat16"}, "onnx computes from float32 weights, not bf"),
        ({"max_length": 0}, "max_length: 0 is not a positive number"),
        ({"colour": 1}, r"unknown encoder setting\(s\) colour"),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises(XqgError, match=message):
        EncoderSpec.resolve("m", **settings)


def test_a_specification_from_before_there_were_backends_is_torch():
    older = EncoderSpec("m").to_dict()
    del older["backend"]
    assert EncoderSpec.from_dict(older, "x").backend == "torch"


def test_what_is_missing(tmp_path):
    with pytest.raises(XqgError, match="no encoder: give --encoder"):
        EncoderSpec.resolve(None)
    with pytest.raises(XqgError, match="--preset 'e5' is none of xdr"):
        EncoderSpec.resolve(None, "e5")
    (tmp_path / "xqg_encoder.json").write_text("{")
    with pytest.raises(XqgError, match=r"xqg_encoder\.json: damaged"):
        EncoderSpec.resolve(str(tmp_path))
