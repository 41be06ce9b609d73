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
    spec = EncoderSpec.resolve("my-org/finance-e5")
    assert spec == EncoderSpec("my-org/finance-e5")
    with pytest.raises(XqgError, match="how my-org/finance-e5 pools is not known.*--pooling"):
        spec.check_pooling()


def test_a_folder_in_the_hubs_cache_has_its_name(tmp_path):
    """As transformers leaves it, without the files of sentence-transformers."""
    folder = tmp_path / "models--intfloat--multilingual-e5-small" / "snapshots" / "0a1b"
    folder.mkdir(parents=True)
    spec = EncoderSpec.resolve(str(folder))
    assert (spec.pooling, spec.query_prefix, spec.sources["pooling"]) == (
        "mean", "query: ", "preset",
    )  # fmt: skip
    other = tmp_path / "models--intfloat--multilingual-e5-small" / "0a1b"
    other.mkdir()
    assert EncoderSpec.resolve(str(other)).pooling is None


def test_pooling_is_never_guessed(tmp_path):
    with pytest.raises(XqgError, match="is no model's folder: there is no config.json in it"):
        EncoderSpec.resolve(str(tmp_path)).check_pooling()
    (tmp_path / "config.json").write_text('{"_name_or_path": "facebook/mcontriever"}')
    with pytest.raises(XqgError, match=r"from facebook/mcontriever: --preset mcontriever if it is"):
        EncoderSpec.resolve(str(tmp_path)).check_pooling()
    for said in ('{"_name_or_path": ["x"]}', "[]", "{"):  # which loading refuses
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        spec = EncoderSpec.resolve(str(tmp_path))
        (tmp_path / "config.json").write_text(said)
        with pytest.raises(XqgError, match=r"says so\. Give --pooling as its authors have it"):
            spec.check_pooling()
    (tmp_path / "xqg_encoder.json").write_text('{"l2_norm": true}')
    with pytest.raises(XqgError, match="pools is not known"):
        EncoderSpec.resolve(str(tmp_path)).check_pooling()
    EncoderSpec.resolve(str(tmp_path), pooling="cls").check_pooling()


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
    older = EncoderSpec("m", pooling="cls").to_dict()
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
