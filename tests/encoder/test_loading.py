from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import odd_models as odd
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.encoder.loading import (
    CAUSAL,
    CLASSIFIER,
    SEQ2SEQ,
    TEXT_ENCODER,
    load_config,
    load_model,
    load_tokenizer,
    positions_of,
)
from pyserini_xqg.encoder.spec import EncoderSpec

TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11"]


def load(folder, **given):
    return Encoder(EncoderSpec(str(folder), **{"pooling": "cls", **given}), device="cpu")


def adapter(folder):
    odd.change_json(folder / "adapter_config.json", peft_type="LORA")


def no_weights(folder):
    (folder / "model.safetensors").rename(folder / "tf_model.h5")


def one_of_two_shards(folder):
    file = folder / "model.safetensors"
    names = dict.fromkeys(odd.state_of(folder), "model-00001-of-00002.safetensors")
    names[next(iter(names))] = "model-00002-of-00002.safetensors"
    file.rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def a_shard_elsewhere(folder):
    listing = {"weight_map": {"a": "../model/model.safetensors"}}
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(listing))


def numbers_for_weights(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"dtype":"F32"', b'"dtype":"I32"'))


def a_zip_cut_short(folder):
    import torch

    torch.save(odd.state_of(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    content = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(content[: len(content) // 2])


def weights_twice(folder):
    file = folder / "model.safetensors"
    shutil.copy(file, folder / "model-00001-of-00001.safetensors")
    names = dict.fromkeys(odd.state_of(folder), "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def a_weight_named_twice(folder):
    file = folder / "model.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip()
    again = header.replace(b'"pooler.dense.bias"', b'"embeddings.LayerNorm.bias"')
    assert again != header
    file.write_bytes(len(again).to_bytes(8, "little") + again + content[8 + length :])


def zero(folder, part=""):
    state = odd.state_of(folder)
    odd.with_weights(folder, {k: w * 0 if part in k else w for k, w in state.items()})


def not_numbers(folder):
    state = odd.state_of(folder)
    odd.with_weights(folder, {**state, "embeddings.LayerNorm.bias": state["pooler.dense.bias"] / 0})


def a_head(folder):
    import torch

    odd.with_extra(folder, **{"embeddingHead.weight": torch.ones(16, 16)})


def a_layer_too_many(folder):
    odd.change_json(folder / "config.json", num_hidden_layers=1)


def other_shapes(folder):
    odd.change_json(folder / "config.json", intermediate_size=48)


def more_words(folder, count):
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"] |= {f"more{i}": 64 + i for i in range(count)}
    file.write_text(json.dumps(content))


def three_words(folder):
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    content["model"]["vocab"] = {w: i for w, i in words.items() if i < 8}
    file.write_text(json.dumps(content))


def a_template_of_another_token(folder):
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    tokens = content["post_processor"]["special_tokens"]
    tokens["[other]"] = tokens.pop("[CLS]")
    file.write_text(json.dumps(content))


REFUSED = [
    (odd.under_a_prefix, "stand under the prefix 'lm_q.' .*without the prefix"),
    (lambda f: odd.without(f, "layer.1.output.dense"),
     r"used are missing .*encoder.layer.1.output.dense.bias, encoder.layer.1.output.dense.weight"),
    (lambda f: odd.without(f, "token_type"), "missing .*embeddings.token_type_embeddings.weight"),
    (a_head, "BertModel has no place for .*: embeddingHead.weight; load it with the program"),
    (a_layer_too_many, r"no place for .*: encoder.layer.1.\S+, .* and 12 more"),
    (other_shapes, r"shape \[32\] in its file and \[48\] by its config.json and \d+ more"),
    (odd.without_tokenizer, "it has no tokenizer"),
    (three_words, "tokenizer has 8 entries and its embedding 64 rows"),
    (lambda f: more_words(f, 10), "tokenizer has 74 entries and its embedding 64 rows"),
    (lambda f: odd.with_words(f, "word"), "given words that its embedding has no row for .'word'"),
    (a_template_of_another_token, "its tokenizer cannot read a text .no entry found for key"),
    (odd.a_pointer, "model.safetensors is a pointer of git LFS, .*git lfs pull"),
    (lambda f: (f / "tokenizer.json").write_text(odd.POINTER), "tokenizer.json is a pointer"),
    (odd.cut_short, r"not weights, or cut short \(\d+ bytes, expected \d+\); fetch it again"),
    (lambda f: (f / "model.safetensors").write_bytes(b"abc"), "not weights, or cut short"),
    (a_zip_cut_short, "pytorch_model.bin: cut short, or damaged"),
    (numbers_for_weights, r"holds whole numbers \(I32\), not weights"),
    (no_weights, "no weights; expected model.safetensors or .*, found .*tf_model.h5"),
    (one_of_two_shards, "model-00002-of-00002.safetensors is missing, which"),
    (a_shard_elsewhere, "names '../model/model.safetensors', which is not a file of its own"),
    (weights_twice, r"holds weights twice, as model.safetensors and as model.safetensors.index"),
    (a_weight_named_twice, "the key 'embeddings.LayerNorm.bias' stands twice in one object"),
    (zero, "gives the same output for different texts: its weights are zero"),
    (lambda f: zero(f, "word_embeddings"), "gives the same output for different texts"),
    (lambda f: zero(f, "attention.output.dense"), r"one and the same vector .*pooling cls"),
    (not_numbers, r"its vectors are no numbers .NaN or infinity. in float32"),
    (adapter, r"an adapter \(LoRA\), .*merge_and_unload"),
    (lambda f: (f / "config.json").write_text("{"), "config.json: damaged, or missing"),
    (lambda f: (f / "tokenizer.json").write_text("{}"), "cannot load the encoder"),
    (lambda f: odd.change_json(f / "config.json", model_type="vit"), "missing|damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_would_give_other_vectors_is_refused(model_dir, tmp_path, change, message):
    folder = odd.copy_of(model_dir, tmp_path / "model")
    change(folder)
    with pytest.raises(XqgError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_what_does_not_matter_is_quiet(model_dir, tmp_path, capfd):
    import torch

    expected = load(model_dir).encode_queries(TEXTS)
    capfd.readouterr()
    changes = {
        "unused pooler": lambda f: odd.without(f, "pooler"),
        "another head": lambda f: odd.with_extra(f, **{"cls.predictions.bias": torch.ones(64)}),
        "a classifier": lambda f: odd.with_extra(f, **{"classifier.bias": torch.ones(2)}),
        "a buffer": lambda f: odd.with_extra(f, **{"embeddings.position_ids": torch.arange(64)}),
        "a token without a row": lambda f: more_words(f, 1),
        "under the model's name": lambda f: odd.with_weights(
            f, {f"bert.{k}": v for k, v in odd.state_of(f).items()}
        ),
    }
    for name, change in changes.items():
        folder = odd.copy_of(model_dir, tmp_path / name)
        change(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = load(folder).encode_queries(TEXTS)
        assert np.array_equal(found, expected), name
    assert capfd.readouterr() == ("", "")


def test_weights_of_pickle_are_read_as_weights_only(model_dir, tmp_path):
    import torch

    folder = odd.copy_of(model_dir, tmp_path / "model")
    expected = load(folder).encode_queries(TEXTS)
    state = odd.state_of(folder)
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert np.array_equal(load(folder).encode_queries(TEXTS), expected)

    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    torch.save({**state, "more": Harmful()}, folder / "pytorch_model.bin")
    with pytest.raises(XqgError, match="cannot load the encoder.*pickled together with Python"):
        load(folder)
    assert not (tmp_path / "written").exists()


def test_an_adapter_alone(tmp_path):
    with pytest.raises(XqgError, match=r"holds an adapter \(LoRA\), .*merge_and_unload"):
        (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
        load(tmp_path)


@pytest.mark.parametrize("kind", ["encoder", "generator", "cross-encoder", "int8"])
def test_a_token_without_a_row_is_refused_where_a_text_has_it(
    model_dir, t5, tmp_path, monkeypatch, kind
):
    from pyserini_xqg.collection.records import Passage
    from pyserini_xqg.filter.relevance import CrossEncoderScorer
    from pyserini_xqg.generate.generator import Generator
    from pyserini_xqg.generate.settings import Settings

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = odd.copy_of(t5 if kind == "generator" else model_dir, tmp_path / "model")
    if kind == "cross-encoder":
        import torch

        weights = {"classifier.weight": torch.ones(1, 16), "classifier.bias": torch.ones(1)}
        odd.with_extra(folder, **weights)
        under = {
            k if "classifier" in k else f"bert.{k}": v for k, v in odd.state_of(folder).items()
        }
        odd.with_weights(folder, under)
        odd.change_json(folder / "config.json", id2label={"0": "a"}, label2id={"a": 0})
    odd.with_words(folder, *(f"<image{i}>" for i in range(5)), special=True)
    if kind in ("encoder", "int8"):
        encoder = load(folder, backend="torch" if kind == "encoder" else "onnx-int8")
        encode = encoder.encode_passages
    elif kind == "generator":
        settings = Settings.resolve(str(folder), ["te"], num_queries=1, max_new_tokens=2)
        generator = Generator(settings, "cpu")

        def encode(texts):
            return generator.generate([Passage("a", "", texts[0])], "te")
    else:
        scorer = CrossEncoderScorer(str(folder), device="cpu")

        def encode(texts):
            return scorer.score([Passage("a", "", texts[0])], ["w1"], [0])

    encode(["w1 <imag>"])
    with pytest.raises(XqgError, match=r"made token \d+ of a text, and its embedding has \d+ rows"):
        encode(["w1 <image4>"])


@pytest.mark.parametrize("without", ["nothing", "sep_token"])
def test_a_token_for_padding_that_only_the_tokenizer_was_given(model_dir, tmp_path, without):
    from transformers import AutoTokenizer

    folder = odd.copy_of(model_dir, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[filler]"})
    tokenizer.save_pretrained(folder)
    odd.change_json(folder / "tokenizer_config.json", **{without: None})
    found = load(folder).encode_queries(TEXTS)
    assert found == pytest.approx(load(model_dir).encode_queries(TEXTS), abs=1e-6)


def test_one_row_more_than_tokens_is_usual(model_dir, tmp_path):
    folder = odd.copy_of(model_dir, tmp_path / "model")
    state = odd.state_of(folder)
    import torch

    rows = state["embeddings.word_embeddings.weight"]
    state["embeddings.word_embeddings.weight"] = torch.cat([rows, rows[:20]])
    odd.with_weights(folder, state)
    odd.change_json(folder / "config.json", vocab_size=84)
    load(folder)


def test_texts_are_cut_at_the_models_positions(model_dir, tmp_path):
    folder = odd.copy_of(model_dir, tmp_path / "model")
    odd.change_json(folder / "tokenizer_config.json", model_max_length=None)
    with pytest.warns(UserWarning, match="--max-length 1024: .*model reads 64 tokens at most"):
        encoder = load(folder, max_length=1024)
    long = " ".join(["w1 w2 w3"] * 100)
    assert np.array_equal(
        encoder.encode_passages([long]),
        load(folder, max_length=64).encode_passages([long]),
    )


def test_positions_behind_the_padding():
    import torch
    from transformers import BartConfig, BartModel, RobertaConfig, RobertaModel, T5Config, T5Model

    small = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    with torch.device("meta"):
        assert positions_of(RobertaModel(RobertaConfig(
            **small, intermediate_size=8, max_position_embeddings=514, pad_token_id=1
        ))) == 512  # fmt: skip
        assert positions_of(T5Model(T5Config(
            vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2
        ))) is None  # fmt: skip
        assert positions_of(BartModel(BartConfig(
            vocab_size=9, d_model=8, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=8,
            decoder_ffn_dim=8, encoder_attention_heads=1, decoder_attention_heads=1,
            max_position_embeddings=40,
        ))) == 40  # fmt: skip


@pytest.mark.parametrize("device", ["cuda:0", "gpu", "cuda:99", "meta", "tpu"])
def test_a_device_that_is_not_there(model_dir, device):
    import torch

    if device == "cuda:0" and torch.cuda.is_available():
        pytest.skip("it is there")
    with pytest.raises(XqgError, match=f"--device {device}: no such device; there is cpu"):
        Encoder(EncoderSpec(str(model_dir), pooling="cls"), device=device)


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    from generate_models import make_t5

    return make_t5(tmp_path_factory.mktemp("t5"))


def test_the_encoder_of_an_encoder_decoder(t5, tmp_path):
    import torch
    from transformers import AutoModel, AutoTokenizer

    encoder = load(t5, pooling="mean")
    model, tokenizer = AutoModel.from_pretrained(t5).eval(), AutoTokenizer.from_pretrained(t5)
    with torch.inference_mode():
        ids = tokenizer("w1 w2", return_tensors="pt")["input_ids"]
        expected = model.encoder(ids).last_hidden_state.mean(dim=1)[0].numpy()
    assert encoder.encode_queries(["w1 w2"])[0] == pytest.approx(expected, abs=1e-5)

    alone = odd.copy_of(t5, tmp_path / "t5")  # as sentence-t5 and gtr come
    odd.without(alone, "decoder.")
    found = load(alone, pooling="mean").encode_queries(["w1 w2"])[0]
    assert found == pytest.approx(expected, abs=1e-5)
    odd.change_json(alone / "config.json", is_encoder_decoder=False)  # as T5EncoderModel saves it
    again = load(alone, pooling="mean").encode_queries(["w1 w2"])[0]
    assert again == pytest.approx(expected, abs=1e-5)
    odd.without(alone, "encoder.block.1")
    with pytest.raises(XqgError, match="missing .*encoder.block.1"):
        load(alone)


def test_a_generator_is_judged_as_a_generator(t5, tmp_path):
    named = Named(str(odd.copy_of(t5, tmp_path / "t5")), option="--generator", what="generator")
    load_model(named, SEQ2SEQ, load_tokenizer(named))
    import torch

    odd.with_extra(tmp_path / "t5", **{"vision_tower.weight": torch.ones(2)})
    load_model(named, SEQ2SEQ)
    odd.without(tmp_path / "t5", "decoder.block.1.layer.0")
    with pytest.raises(XqgError, match="cannot load the generator .*missing .*decoder.block.1"):
        load_model(named, SEQ2SEQ)


def test_a_generator_without_the_output_layer_that_it_says_it_has(t5, tmp_path):
    folder = odd.copy_of(t5, tmp_path / "t5")
    odd.without(folder, "lm_head")
    named = Named(str(folder), option="--generator", what="generator")
    with pytest.raises(XqgError, match="output layer is not its embedding .*none of its own"):
        load_model(named, SEQ2SEQ)
    odd.change_json(folder / "config.json", tie_word_embeddings=True)
    load_model(named, SEQ2SEQ)


def test_a_decoder_with_a_layer_too_many(tmp_path):
    from generate_models import make_chat

    named = Named(str(make_chat(tmp_path, None)), option="--generator", what="generator")
    load_model(named, CAUSAL, load_tokenizer(named))
    odd.change_json(tmp_path / "config.json", num_hidden_layers=1)
    with pytest.raises(XqgError, match="no place for .*model.layers.1"):
        load_model(named, CAUSAL)
    odd.cut_short(tmp_path)
    with pytest.raises(XqgError, match="not weights, or cut short"):
        load_model(named, CAUSAL)


def test_a_list_of_the_one_file_is_no_other(model_dir, tmp_path):
    folder = odd.copy_of(model_dir, tmp_path / "model")
    names = dict.fromkeys(odd.state_of(folder), "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert np.array_equal(load(folder).encode_queries(TEXTS), load(model_dir).encode_queries(TEXTS))


@pytest.mark.parametrize("kind", [SEQ2SEQ, CAUSAL, CLASSIFIER])
def test_weights_of_zero_generate_and_judge_nothing(model_dir, t5, tmp_path, kind):
    from generate_models import make_chat
    from transformers import BertForSequenceClassification

    folder = tmp_path / "model"
    if kind is SEQ2SEQ:
        odd.copy_of(t5, folder)
    elif kind is CAUSAL:
        make_chat(folder, None)
    else:
        BertForSequenceClassification.from_pretrained(model_dir).save_pretrained(folder)
    load_model(Named(str(folder)), kind)
    zero(folder)
    with pytest.raises(XqgError, match="the same output for different texts"):
        load_model(Named(str(folder)), kind)


@pytest.mark.parametrize("change", [lambda f: None, lambda f: odd.without(f, "pooler")])
def test_an_encoder_is_no_cross_encoder(model_dir, tmp_path, change):
    folder = odd.copy_of(model_dir, tmp_path / "model")
    change(folder)
    named = Named(str(folder), option="--cross-encoder", what="cross-encoder")
    with pytest.raises(XqgError, match=r"cross-encoder .*missing .*classifier.bias, classifier.w"):
        load_model(named, CLASSIFIER)


def test_a_models_own_code_runs_only_where_the_user_says_so(model_dir, tmp_path):
    folder = odd.copy_of(model_dir, tmp_path / "model")
    (folder / "mine.py").write_text(
        "import pathlib\n"
        f"pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        "from transformers import BertConfig, BertModel\n"
        "class MineConfig(BertConfig):\n    model_type = 'mine'\n"
        "class Mine(BertModel):\n    config_class = MineConfig\n"
    )
    names = {"AutoConfig": "mine.MineConfig", "AutoModel": "mine.Mine"}
    odd.change_json(folder / "config.json", model_type="mine", auto_map=names)
    with pytest.raises(XqgError, match="say --trust-remote-code in this very command"):
        load(folder)
    with pytest.raises(XqgError, match="--trust-remote-code"):
        load_config(Named(str(folder)))
    assert not (tmp_path / "ran").exists()
    trusted = Encoder(EncoderSpec(str(folder), pooling="cls"), device="cpu", trust_remote_code=True)
    assert (tmp_path / "ran").exists()
    expected = load(model_dir).encode_queries(TEXTS)
    assert np.array_equal(trusted.encode_queries(TEXTS), expected)


def test_a_model_of_pictures(tmp_path, model_dir):
    from transformers import ViTConfig, ViTModel

    folder = odd.copy_of(model_dir, tmp_path / "model")
    ViTModel(ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=8, patch_size=4,
    )).save_pretrained(folder)  # fmt: skip
    with pytest.raises(XqgError, match="no vector for each token of a text"):
        load(folder)


def test_loading_is_the_same_for_every_kind(model_dir):
    named = Named(str(model_dir))
    model = load_model(named, TEXT_ENCODER, load_tokenizer(named))
    assert not model.training
    assert load_config(named).model_type == "bert"
