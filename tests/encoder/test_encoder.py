from __future__ import annotations

import shutil
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
from texts import TEXTS

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.demo import TINY_ENCODER
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.encoder.transformer import _POOL


def one_by_one(model_dir, text, pooling, pair=None, max_length=256):
    """The vector without batches, padding or any code of ours."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = (
        AutoTokenizer.from_pretrained(model_dir),
        AutoModel.from_pretrained(model_dir),
    )
    inputs = tokenizer(
        text, pair, return_tensors="pt", truncation=True, max_length=max_length,
        return_token_type_ids=False,
    )  # fmt: skip
    with torch.inference_mode():
        hidden = model.eval()(**inputs).last_hidden_state[0].numpy()
    return {"cls": hidden[0], "mean": hidden.mean(axis=0), "last": hidden[-1]}[pooling]


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_batches_and_padding_change_nothing(model_dir, pooling, batch_size):
    encoder = Encoder(EncoderSpec(str(model_dir), pooling=pooling), device="cpu",
                      batch_size=batch_size)  # fmt: skip
    vectors = encoder.encode_queries(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimension) == (6, 16)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert vector == pytest.approx(one_by_one(model_dir, text, pooling), abs=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
def test_padding_on_the_left(pooling):
    import torch

    hidden = torch.arange(2 * 6 * 3, dtype=torch.float32).reshape(2, 6, 3)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    expected = {
        "cls": [hidden[0, 2], hidden[1, 0]],
        "last": [hidden[0, 5], hidden[1, 5]],
        "mean": [hidden[0, 2:].mean(0), hidden[1].mean(0)],
    }[pooling]
    assert torch.allclose(_POOL[pooling](hidden, mask), torch.stack(expected))


def test_long_texts_go_in_smaller_batches_on_the_cpu(model_dir, monkeypatch):
    import torch

    torch.set_num_threads(1)
    monkeypatch.setattr("pyserini_xqg.encoder.encoder.CPU_TOKENS", 20)
    encoder, shapes = (
        Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu", batch_size=3),
        [],
    )
    forward = encoder._query_side.backend
    monkeypatch.setattr(
        encoder._query_side,
        "backend",
        lambda ids, mask: shapes.append(tuple(ids.shape)) or forward(ids, mask),
    )
    texts = [" ".join(["w1"] * n) for n in (1, 28, 7, 8, 2, 1, 2, 1)]
    vectors = encoder.encode_queries(texts)
    # With [CLS] and [SEP]: 30 tokens alone, two of 10 and 9, then three at most.
    assert shapes == [(1, 30), (2, 10), (3, 4), (2, 3)]
    for text, vector in zip(texts, vectors, strict=True):
        assert vector == pytest.approx(one_by_one(model_dir, text, "cls"), abs=1e-5)


def test_an_accelerator_takes_as_many_tokens_whatever_the_lengths(model_dir):
    spec = EncoderSpec(str(model_dir), pooling="cls", max_length=10, query_max_length=4)
    encoder = Encoder(spec, device="cpu", batch_size=2)
    encoder.device = "cuda:0"  # asked for its batches only
    lengths = np.array([1, 10, 5, 10, 2, 1, 5, 7, 3])
    batches = [rows.tolist() for rows in encoder._batches(lengths)]
    assert batches == [[1, 3], [7, 2], [6, 8, 4, 0], [5]]  # 20 tokens: 10 10, 7 5, 5 3 2 1, 1


def test_parts_change_nothing(model_dir, monkeypatch):
    encoder = Encoder(EncoderSpec(str(model_dir), pooling="cls", add_sep=True), device="cpu")
    titles = [f"w{number}" for number in range(len(TEXTS))]
    whole = encoder.encode_queries(TEXTS), encoder.encode_passages(TEXTS, titles)
    monkeypatch.setattr("pyserini_xqg.encoder.encoder._PART", 4)
    parts = encoder.encode_queries(TEXTS), encoder.encode_passages(TEXTS, titles)
    for one, other in zip(whole, parts, strict=True):
        assert other == pytest.approx(one, abs=1e-5)


def test_the_next_part_is_tokenized_while_this_one_is_encoded(model_dir, monkeypatch):
    monkeypatch.setattr("pyserini_xqg.encoder.encoder._PART", 2)
    encoder = Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu")
    side, begun, awaited = encoder._query_side, [Event() for _ in range(3)], []
    tokenize, forward, said = side.tokenize, side.forward, iter(begun)

    def tokenize_and_say(*given):
        next(said).set()
        return tokenize(*given)

    def wait_for_the_next(tokens, rows):
        awaited.append(begun[min(len(awaited) + 1, 2)].wait(timeout=10))
        return forward(tokens, rows)

    monkeypatch.setattr(side, "tokenize", tokenize_and_say)
    monkeypatch.setattr(side, "forward", wait_for_the_next)
    assert encoder.encode_queries(TEXTS).shape == (6, 16)
    assert awaited == [True, True, True]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_that_the_tokenizer_pads(side, monkeypatch):
    encoder = Encoder(EncoderSpec.resolve(str(TINY_ENCODER)), device="cpu")
    texts = ["Suomen korkein vuori", "a", "Kuka keksi puhelimen ja milloin"]
    expected = np.concatenate([encoder.encode_queries([text]) for text in texts])
    of_queries, masks = encoder._query_side, []
    of_queries.tokenizer.padding_side, forward = side, of_queries.backend
    monkeypatch.setattr(
        of_queries, "backend", lambda ids, mask: masks.append(mask) or forward(ids, mask)
    )
    assert encoder.encode_queries(texts) == pytest.approx(expected, abs=1e-6)
    (mask,) = masks
    assert mask[:, 0].all() == (side == "right")
    assert mask[:, -1].all() == (side == "left")


def test_empty_input(encoder):
    assert encoder.encode_queries([]).shape == (0, 16)


def test_titles_prefixes_and_pairs(model_dir):
    spec = EncoderSpec(str(model_dir), pooling="cls", passage_prefix="w50 ", query_prefix="w51 ")
    encoder = Encoder(spec, device="cpu")

    def check(vector, text, pair=None):
        expected = one_by_one(model_dir, text, "cls", pair)
        assert vector == pytest.approx(expected, abs=1e-5)

    check(encoder.encode_queries(["w1"])[0], "w51 w1")
    check(encoder.encode_passages(["w1"])[0], "w50 w1")
    check(encoder.encode_passages(["w1"], ["w2"])[0], "w50 w2 w1")
    check(encoder.encode_passages(["w1"], [""])[0], "w50 w1")
    check(encoder.encode_generated_queries(["w1"])[0], "w51 w1")
    encoder.use(replace(spec, generated_queries_as="passage"))
    check(encoder.encode_generated_queries(["w1"])[0], "w50 w1")
    encoder.use(replace(spec, add_sep=True))
    check(encoder.encode_passages(["w1"], ["w2"])[0], "w50 w2", "w1")


def test_lengths(model_dir):
    spec = EncoderSpec(str(model_dir), pooling="cls", query_max_length=4, max_length=6,
                       generated_queries_as="passage")  # fmt: skip
    encoder, long = Encoder(spec, device="cpu"), "w1 w2 w3 w4 w5 w6 w7 w8"
    for vector, length in (
        (encoder.encode_queries([long])[0], 4),
        (encoder.encode_passages([long])[0], 6),
        (encoder.encode_generated_queries([long])[0], 4),
    ):
        expected = one_by_one(model_dir, long, "cls", max_length=length)
        assert vector == pytest.approx(expected, abs=1e-5)


def test_a_text_longer_than_the_model_can_read_is_cut(model_dir):
    with pytest.warns(UserWarning, match="--max-length 5000: .* reads 64 tokens at most"):
        encoder = Encoder(EncoderSpec(str(model_dir), pooling="cls", max_length=5000), device="cpu")
    long = " ".join(["w1 w2 w3"] * 100)
    expected = one_by_one(model_dir, long, "cls", max_length=64)
    assert encoder.encode_passages([long])[0] == pytest.approx(expected, abs=1e-5)


def test_l2_norm(model_dir):
    encoder = Encoder(EncoderSpec(str(model_dir), pooling="cls", l2_norm=True), device="cpu")
    assert np.linalg.norm(encoder.encode_queries(TEXTS), axis=1) == pytest.approx(1, abs=1e-6)


def test_two_models(model_dir, tmp_path):
    import torch
    from transformers import AutoModel, AutoTokenizer

    AutoTokenizer.from_pretrained(model_dir).save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(model_dir)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(-1)
    model.save_pretrained(tmp_path)
    encoder = Encoder(
        EncoderSpec(str(model_dir), pooling="cls", query_model=str(tmp_path)), device="cpu"
    )
    assert encoder.encode_passages(["w1"])[0] == pytest.approx(
        one_by_one(model_dir, "w1", "cls"), abs=1e-5
    )
    assert encoder.encode_queries(["w1"])[0] == pytest.approx(
        one_by_one(tmp_path, "w1", "cls"), abs=1e-5
    )


def test_bfloat16_is_close(model_dir, encoder):
    half = Encoder(EncoderSpec(str(model_dir), pooling="cls", dtype="bfloat16"), device="cpu")
    a, b = encoder.encode_queries(TEXTS), half.encode_queries(TEXTS)
    assert b.dtype == np.float32
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() > 0.999
    assert not np.array_equal(a, b)


def test_what_is_refused(model_dir, tmp_path):
    with pytest.raises(XqgError, match="no such model folder: /nowhere/model"):
        Encoder(EncoderSpec("/nowhere/model", pooling="cls"))
    with pytest.raises(XqgError, match="cannot load the encoder"):
        Encoder(EncoderSpec(str(tmp_path), pooling="cls"))
    with pytest.raises(XqgError, match="float16 on the CPU"):
        Encoder(EncoderSpec(str(model_dir), pooling="cls", dtype="float16"), device="cpu")
    with pytest.raises(XqgError, match="--batch-size 0: expected at least 1"):
        Encoder(EncoderSpec(str(model_dir), pooling="cls"), batch_size=0)


@pytest.mark.parametrize(("pooling", "l2_norm"), [("cls", False), ("mean", True)])
def test_same_vectors_as_pyserinis_own(model_dir, pooling, l2_norm):
    from pyserini_xqg.base.java import prepare

    prepare()
    from pyserini.encode import AutoDocumentEncoder, AutoQueryEncoder

    ours = Encoder(EncoderSpec(str(model_dir), pooling=pooling, l2_norm=l2_norm), device="cpu")
    options = {"device": "cpu", "pooling": pooling, "l2_norm": l2_norm}
    texts, titles = [text or "w1" for text in TEXTS], ["w40 w41", "w42", "w43", "w44", "w45", "w46"]
    stock = AutoDocumentEncoder(str(model_dir), **options)
    stock.model.eval()
    assert ours.encode_passages(texts) == pytest.approx(stock.encode(texts), abs=1e-5)
    assert ours.encode_passages(texts, titles) == pytest.approx(
        stock.encode(texts, titles=titles), abs=1e-5
    )
    query = AutoQueryEncoder(str(model_dir), **options)
    expected = np.array([query.encode(text) for text in texts])
    assert ours.encode_queries(texts) == pytest.approx(expected, abs=1e-5)


def test_a_name_alone_is_what_is_known_of_it(model_dir, tmp_path):
    with pytest.raises(XqgError, match="pools is not known"):
        Encoder(str(model_dir))
    folder = shutil.copytree(model_dir, tmp_path / "m")
    (folder / "xqg_encoder.json").write_text('{"pooling": "mean"}')
    by_name = Encoder(str(folder))
    by_spec = Encoder(EncoderSpec(str(folder), pooling="mean"))
    np.testing.assert_array_equal(by_name.encode_queries(TEXTS), by_spec.encode_queries(TEXTS))


def test_nothing_is_collected_while_a_model_is_loaded(model_dir, monkeypatch):
    import gc

    from pyserini_xqg.encoder import encoder as module

    seen, load = [], module.Side
    monkeypatch.setattr(module, "Side", lambda *given: seen.append(gc.isenabled()) or load(*given))
    Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu")
    assert seen == [False]
    assert gc.isenabled()
    with pytest.raises(XqgError):
        Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu", batch_size=0)
    assert gc.isenabled()
