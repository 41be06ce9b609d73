from __future__ import annotations

import json

import numpy as np
import odd_models as odd
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.demo import TINY_ENCODER
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.folder import read_folder
from pyserini_xqg.encoder.spec import EncoderSpec

TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11", "w1 w2 unknown"]
PROMPTS = {"query": "w50 ", "passage": "w51 w52 "}


def ours(folder, **given):
    return Encoder(EncoderSpec.resolve(str(folder), **given), device="cpu")


@pytest.mark.parametrize(
    "made",
    [
        {"pooling": "mean", "length": 6},
        {"pooling": "cls", "norm": False},
        {"pooling": "lasttoken", "dense": 8},
        {"pooling": "mean", "dense": 8, "norm": False, "prompts": PROMPTS},
        {"pooling": "mean", "prompts": {"query": "w50 ", "document": "w51 "}, "length": 64},
    ],
)
def test_vectors_of_sentence_transformers(model_dir, tmp_path, made):
    theirs = odd.sentence_transformer(model_dir, tmp_path / "st", **made)
    encoder = ours(tmp_path / "st")
    assert encoder.encode_queries(TEXTS) == pytest.approx(theirs.encode_query(TEXTS), abs=1e-5)
    found = encoder.encode_passages(TEXTS)
    assert found == pytest.approx(theirs.encode_document(TEXTS), abs=1e-5)
    assert found.shape == (4, made.get("dense") or 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"word_embedding_dimension": 768}, "pooling of another model's vectors, by their size"),
        ({"pooling_mode": None, "pooling_mode_cls_token": False}, "pooling none is not computed"),
    ],
)
def test_a_pooling_that_is_not_the_models(model_dir, tmp_path, changes, message):
    odd.sentence_transformer(model_dir, tmp_path / "st", pooling="mean")
    config = tmp_path / "st/1_Pooling/config.json"
    saved = {key: value for key, value in changes.items() if value is not None}
    if "pooling_mode" not in changes:
        saved = {**json.loads(config.read_text()), "embedding_dimension": 768, **saved}
    config.write_text(json.dumps(saved))
    with pytest.raises(XqgError, match=message):
        ours(tmp_path / "st")
    assert ours(tmp_path / "st", pooling="mean").spec.pooling == "mean"


def test_a_part_of_the_models_own_python(model_dir, tmp_path):
    odd.sentence_transformer(model_dir, tmp_path / "st", pooling="mean")
    listing = tmp_path / "st/modules.json"
    modules = json.loads(listing.read_text())
    modules[0]["type"] = "custom_st.Transformer"
    listing.write_text(json.dumps(modules))
    with pytest.raises(XqgError, match="its parts are custom_st.Transformer, Pooling"):
        ours(tmp_path / "st")


def test_older_folders(model_dir, tmp_path):
    """The transformer in a folder of its own, a flag for each pooling, weights as a pickle."""
    import torch

    theirs = odd.sentence_transformer(model_dir, tmp_path / "new", dense=8, length=6)
    old, inner = tmp_path / "old", tmp_path / "old/0_Transformer"
    odd.copy_of(tmp_path / "new", old)
    inner.mkdir()
    for file in old.glob("*"):
        if file.is_file() and file.name not in (
            "modules.json",
            "config_sentence_transformers.json",
        ):
            file.rename(inner / file.name)
    modules = json.loads((old / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    for module in modules:
        name = module["type"].rpartition(".")[2]
        module["type"] = f"sentence_transformers.models.{name}"
    (old / "modules.json").write_text(json.dumps(modules))
    flags = {"word_embedding_dimension": 16, "pooling_mode_cls_token": False,
             "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}  # fmt: skip
    (old / "1_Pooling/config.json").write_text(json.dumps(flags))
    odd.change_json(inner / "tokenizer_config.json", model_max_length=64)
    (inner / "sentence_bert_config.json").write_text(
        '{"max_seq_length": 6, "do_lower_case": false}'
    )
    state = odd.state_of(old / "2_Dense")
    (old / "2_Dense/model.safetensors").unlink()
    torch.save(state, old / "2_Dense/pytorch_model.bin")
    expected = theirs.encode(TEXTS)
    assert ours(old).encode_queries(TEXTS) == pytest.approx(expected, abs=1e-5)


def test_texts_are_lowercased_where_the_folder_says_so(model_dir, tmp_path):
    odd.sentence_transformer(model_dir, tmp_path / "st")
    odd.change_json(tmp_path / "st/sentence_bert_config.json", do_lower_case=True)
    encoder = ours(tmp_path / "st")
    assert np.array_equal(encoder.encode_queries(["W1 W2"]), encoder.encode_queries(["w1 w2"]))


@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta", "xlnet"])
def test_what_older_folders_call_the_transformers_settings(model_dir, tmp_path, kind):
    theirs = odd.sentence_transformer(model_dir, tmp_path / "st", length=64)
    saved = tmp_path / f"st/sentence_{kind}_config.json"
    (tmp_path / "st/sentence_bert_config.json").unlink()
    saved.write_text('{"max_seq_length": 4, "do_lower_case": true}')
    theirs.max_seq_length = 4
    found = ours(tmp_path / "st").encode_queries(["W1 w2 w3"])
    assert found == pytest.approx(theirs.encode(["w1 w2 w3"]), abs=1e-5)


def test_where_each_setting_comes_from(model_dir, tmp_path):
    folder = tmp_path / "st"
    odd.sentence_transformer(model_dir, folder, prompts={"query": "w50 "})
    spec = EncoderSpec.resolve(str(folder), max_length=64)
    assert (spec.pooling, spec.l2_norm, spec.max_length, spec.query_max_length) == (
        "mean", True, 64, 6,
    )  # fmt: skip
    assert (spec.query_prefix, spec.passage_prefix) == ("w50 ", "")
    assert spec.sources["max_length"] == "given"
    assert spec.sources["pooling"] == spec.sources["l2_norm"] == "folder"
    assert "dtype" not in spec.sources
    line = spec.described(32)
    assert line.startswith(f"encoder {folder.resolve()}; ")
    assert 'folder: pooling "mean"' in line.replace("; default", "\n").replace("default: ", "")
    assert "given: max_length 64 (cut at 32, the most that the model reads)" in line
    assert "\n" not in line
    assert EncoderSpec.from_dict(spec.to_dict(), "x") == spec
    assert "sources" not in spec.to_dict()


def test_a_preset_and_a_saved_specification_go_first(model_dir, tmp_path):
    folder = tmp_path / "st"
    odd.sentence_transformer(model_dir, folder)
    preset = EncoderSpec.resolve(str(folder), "mdpr")
    assert (preset.pooling, preset.l2_norm, preset.sources["pooling"]) == ("cls", False, "preset")
    (folder / "xqg_encoder.json").write_text('{"pooling": "last"}')
    assert EncoderSpec.resolve(str(folder)).pooling == "last"


def test_the_shipped_encoder_says_the_same_twice():
    saved = EncoderSpec.resolve(str(TINY_ENCODER))
    settings = read_folder(TINY_ENCODER).settings
    assert (settings["pooling"], settings["l2_norm"]) == (saved.pooling, saved.l2_norm)


def change_modules(change):
    def of(folder):
        modules = json.loads((folder / "modules.json").read_text())
        (folder / "modules.json").write_text(json.dumps(change(modules)))

    return of


def pooling_of(**values):
    return lambda folder: odd.change_json(folder / "1_Pooling/config.json", **values)


def dense_of(**values):
    return lambda folder: odd.change_json(folder / "2_Dense/config.json", **values)


def of_transformer(**values):
    return lambda folder: odd.change_json(folder / "sentence_bert_config.json", **values)


def renamed(modules, row, **values):
    modules[row] |= values
    return modules


REFUSED = [
    (pooling_of(pooling_mode="max"), "pooling max is not computed here .*--pooling"),
    (pooling_of(pooling_mode=["mean", "cls"]), "pooling mean and cls is not computed"),
    (pooling_of(pooling_mode=None, pooling_mod="cls"), "unknown setting pooling_mod; known are"),
    (pooling_of(include_prompt=False), "pooling without the prompt's tokens"),
    (lambda f: (f / "1_Pooling/config.json").unlink(), "1_Pooling/config.json is missing, which"),
    (lambda f: (f / "1_Pooling/config.json").write_text("[]"), "expected a JSON object"),
    (lambda f: (f / "modules.json").write_text("[{"), "modules.json: damaged"),
    (lambda f: (f / "modules.json").write_text("[]"), "modules.json: no parts"),
    (lambda f: (f / "modules.json").write_text('{"a": 1}'), "expected a list of parts"),
    (change_modules(lambda m: renamed(m, 1, path="../1")), "'../1', which is no name"),
    (change_modules(lambda m: renamed(m, 1, path="/etc")), "'/etc', which is no name inside"),
    (change_modules(lambda m: renamed(m, 2, type="x.LSTM")), "are Transformer, Pooling, x.LSTM"),
    (change_modules(lambda m: [m[0], m[1], m[3], m[2]]), "Pooling, Normalize, Dense; known are"),
    (change_modules(lambda m: m[1:]), "its parts are Pooling, Dense, Normalize; known are"),
    (pooling_of(pooling_mode=True), "pooling True is not computed"),
    (dense_of(module_input_name=["a"]), "Dense layer with a residual, or of single tokens"),
    (lambda f: odd.change_json(f / "config_sentence_transformers.json", default_prompt_name=["x"]),
     r"default_prompt_name .*'x'.* is none of its prompts"),
    (lambda f: odd.change_json(f / "config.json", is_encoder_decoder=True, model_type=["t5"]),
     "pools what the decoder makes"),
    (dense_of(use_residual=True), "Dense layer with a residual"),
    (dense_of(activation_function="os.system"), "os.system is not one of torch's own"),
    (dense_of(activation_function="torch.nn.modules.x.System"), "not the weights of its"),
    (dense_of(out_features=9), "not the weights of its config.json's Dense"),
    (dense_of(in_features=None), "expected in_features and out_features"),
    (lambda f: odd.cut_short(f / "2_Dense"), "2_Dense/model.safetensors: not weights, or cut"),
    (lambda f: odd.a_pointer(f / "2_Dense"), "is a pointer of git LFS"),
    (lambda f: odd.change_json(f / "config_sentence_transformers.json", prompts=["a"]),
     "expected a prompt by name"),
    (lambda f: odd.change_json(f / "config_sentence_transformers.json", default_prompt_name="x"),
     "default_prompt_name 'x' is none of its prompts"),
    (lambda f: odd.change_json(f / "config_sentence_transformers.json", truncate_dim=4),
     "truncate_dim, the start of each vector alone, is not computed"),
    (lambda f: odd.change_json(f / "config.json", is_encoder_decoder=True, model_type="bart"),
     "of a bart sentence-transformers pools what the decoder makes"),
    (of_transformer(config_args={"num_hidden_layers": 1}), "config_args num_hidden_layers is not"),
    (of_transformer(config_kwargs={"vocab_size": 1}), "config_kwargs vocab_size is not computed"),
    (of_transformer(model_args={"pruned": 1}), "model_args pruned is not computed"),
    (of_transformer(tokenizer_args={"model_max_length": 3, "use_fast": True}),
     "tokenizer_args model_max_length is not computed"),
    (of_transformer(processing_kwargs={"text": {"max_length": 3}}), "processing_kwargs text is"),
    (of_transformer(model_kwargs=["a"]), r"model_kwargs \['a'\] is not computed"),
    *((lambda f, v=v: odd.change_json(f / "sentence_bert_config.json", max_seq_length=v),
       "max_seq_length is .*; expected a number of tokens") for v in (0, -1, "64", True, 1.5)),
]  # fmt: skip


@pytest.fixture(scope="module")
def with_dense(model_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "st"
    odd.sentence_transformer(model_dir, folder, dense=8, prompts={"query": "w50 "})
    return folder


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_parts_that_are_not_computed_are_named(with_dense, tmp_path, change, message):
    folder = odd.copy_of(with_dense, tmp_path / "st")
    change(folder)
    with pytest.raises(XqgError, match=message) as caught:
        ours(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("modules.json", {}),
        ("config.json", {"is_encoder_decoder": True, "model_type": "t5"}),
        ("1_Pooling/config.json", {"include_prompt": True}),
        ("2_Dense/config.json", {"module_output_name": "sentence_embedding"}),
        ("sentence_bert_config.json", {"query_length": 3, "model_args": {"dtype": "float32"}}),
        ("tokenizer_config.json", {}),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}),
        ("xqg_encoder.json", {"pooling": "mean", "max_length": 4, "query_model": "a"}),
    ],
)
def test_values_of_other_types_are_one_line_or_none(with_dense, tmp_path, name, more):
    file = odd.copy_of(with_dense, tmp_path / "st") / name
    whole = json.loads(file.read_text()) if file.is_file() else {}
    refused = 0
    for content in odd.with_other_values({**whole, **more} if more else whole):
        file.write_text(json.dumps(content))
        try:
            EncoderSpec.resolve(str(tmp_path / "st"))
        except XqgError:
            refused += 1
    assert refused


def test_arguments_that_change_no_vector(with_dense, tmp_path):
    folder = odd.copy_of(with_dense, tmp_path / "st")
    quick = {"attn_implementation": "sdpa", "torch_dtype": "float32"}
    odd.change_json(folder / "sentence_bert_config.json", model_args=quick, config_args={})
    odd.change_json(folder / "sentence_bert_config.json", max_seq_length=None)
    odd.change_json(folder / "tokenizer_config.json", model_max_length=6.0)
    assert read_folder(folder).settings["max_length"] == 6
    odd.change_json(folder / "tokenizer_config.json", model_max_length=True)
    assert "max_length" not in read_folder(folder).settings
    odd.change_json(folder / "tokenizer_config.json", model_max_length=6.0)
    expected = ours(with_dense).encode_queries(TEXTS)
    assert np.array_equal(ours(folder).encode_queries(TEXTS), expected)


def test_a_pooling_of_ones_own_where_the_folders_is_not_computed(with_dense, tmp_path):
    folder = odd.copy_of(with_dense, tmp_path / "st")
    odd.change_json(folder / "1_Pooling/config.json", pooling_mode="max")
    expected = ours(with_dense).encode_queries(TEXTS)
    assert np.array_equal(ours(folder, pooling="mean").encode_queries(TEXTS), expected)


@pytest.fixture(scope="module")
def dpr(model_dir, tmp_path_factory):
    """The two sides of DPR, with and without a projection, by their names."""
    import torch
    from transformers import DPRConfig, DPRContextEncoder, DPRQuestionEncoder

    root, made = tmp_path_factory.mktemp("dpr"), {}
    torch.manual_seed(1)
    for kind in (DPRContextEncoder, DPRQuestionEncoder):
        for projection in (0, 8):
            folder = odd.copy_of(model_dir, root / f"{kind.__name__}-{projection}")
            model = kind(DPRConfig(
                vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=16, max_position_embeddings=64, projection_dim=projection,
                initializer_range=0.5,
            )).eval()  # fmt: skip
            (folder / "model.safetensors").unlink()
            model.save_pretrained(folder)
            made[kind.__name__, projection] = folder, model
    return made


@pytest.mark.parametrize("projection", [0, 8])
@pytest.mark.parametrize("architecture", ["as saved", None])
def test_the_two_sides_of_dpr(dpr, tmp_path, projection, architecture):
    import torch
    from transformers import AutoTokenizer

    folders, models = zip(
        *(dpr[kind, projection] for kind in ("DPRContextEncoder", "DPRQuestionEncoder")),
        strict=True,
    )
    if architecture is None:  # told by the names of the weights alone
        folders = [odd.copy_of(folder, tmp_path / folder.name) for folder in folders]
        for folder in folders:
            odd.change_json(folder / "config.json", architectures=None)
    encoder = ours(folders[0], query_model=str(folders[1]))
    assert encoder.spec.pooling == "cls"
    assert encoder.spec.sources["pooling"] == "folder"
    tokenizer = AutoTokenizer.from_pretrained(folders[0])
    found = [encoder.encode_passages([text])[0] for text in TEXTS]
    asked = [encoder.encode_queries([text])[0] for text in TEXTS]
    for vectors, model in zip((found, asked), models, strict=True):
        for text, vector in zip(TEXTS, vectors, strict=True):
            inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            with torch.inference_mode():
                expected = model(**inputs).pooler_output[0].numpy()
            assert vector == pytest.approx(expected, abs=1e-5)


def test_a_side_of_dpr_does_not_stand_for_the_other(dpr, tmp_path):
    context, question = (dpr[kind, 0][0] for kind in ("DPRContextEncoder", "DPRQuestionEncoder"))
    with pytest.raises(XqgError, match="side of DPR for passages, not for queries.*--query-enc"):
        ours(context).encode_queries(["w1"])
    with pytest.raises(XqgError, match="side of DPR for questions, not for passages.*--encoder"):
        ours(question).encode_passages(["w1"])
    other = odd.copy_of(context, tmp_path / "other")
    with pytest.raises(XqgError, match="side of DPR for passages, not for queries"):
        ours(context, query_model=str(other)).encode_queries(["w1"])
    both = ours(question, query_model=str(question))  # who says so gets it
    assert np.array_equal(both.encode_passages(["w1"]), both.encode_queries(["w1"]))


def test_sides_of_different_sizes(dpr):
    sides = dpr["DPRContextEncoder", 0][0], dpr["DPRQuestionEncoder", 8][0]
    with pytest.raises(XqgError, match="8 components, and those of .* 16: the two do not belong"):
        ours(sides[0], query_model=str(sides[1]))
