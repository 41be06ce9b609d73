from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.demo import TINY_ENCODER
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.train.__main__ import main
from pyserini_xqg.train.examples import Text, read_texts
from pyserini_xqg.train.pieces import Piece, learn_pieces
from pyserini_xqg.train.vocabulary import VocabularySettings, extend_vocabulary

KNOWN = "the ten hats sat on these mats"
TELUGU = ["నదులు నదిలో", "నదులు నీరు", "నది నదిలో నీరు"] * 3
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


def tokenizer_of(kind):
    """A tokenizer of Latin words; of the Telugu ones it knows some characters, or none."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special = {"special_tokens": SPECIAL, "show_progress": False}
    if kind == "WordPiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=60, **special)
    elif kind == "Unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=40, unk_token="[UNK]", **special)
    else:
        tokenizer = Tokenizer(models.BPE())
        # GPT-2's own pattern parts Telugu's words at every vowel sign.
        words = pre_tokenizers.Split(Regex(r"\s?\S+"), "isolated")
        in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, in_bytes])
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, **special)
    tokenizer.train_from_iterator([KNOWN] * 5 + ["నదులు ుదన లద"], trainer)
    return tokenizer


@pytest.fixture(params=["WordPiece", "Unigram", "BPE"])
def model(request, tmp_path):
    import torch
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    path = tmp_path / "model"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer_of(request.param),
        **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL,
                   strict=True)),
        model_max_length=64,
    )  # fmt: skip
    tokenizer.save_pretrained(path)
    torch.manual_seed(1)
    BertForMaskedLM(BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=64,
    )).save_pretrained(path)  # fmt: skip
    return path


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.tsv"
    path.write_text("".join(f"te\t{text}\n" for text in TELUGU) + f"en\t{KNOWN}\n" * 9)
    return path


def test_pieces_are_the_neighbours_that_meet_most_often():
    # ab meets 7 times and abc 5; cd meets 3 times, but 1 once c has gone to ab
    words = {("a", "b", "c"): 4, ("a", "b", "c", "d"): 1, ("c", "d"): 2, ("a", "b"): 2}
    learnt = list(learn_pieces(words, 9, str.__add__))
    assert learnt == [
        Piece("ab", ("a", "b"), 7), Piece("abc", ("ab", "c"), 5), Piece("cd", ("c", "d"), 2),
    ]  # fmt: skip
    assert [piece.text for piece in learn_pieces(words, 1, str.__add__)] == ["ab"]
    assert [p.text for p in learn_pieces(words, 9, str.__add__, min_count=5)] == ["ab", "abc"]
    assert [p.text for p in learn_pieces(words, 9, str.__add__, longest=2)] == ["ab", "cd"]
    known = list(learn_pieces(words, 1, str.__add__, known=frozenset(["ab"])))
    assert known == [Piece("abc", ("ab", "c"), 5)]  # made of it, but not learnt again
    assert list(learn_pieces({("a", "a", "a"): 2}, 9, str.__add__)) == [
        Piece("aa", ("a", "a"), 4), Piece("aaa", ("aa", "a"), 2),
    ]  # fmt: skip
    assert list(learn_pieces({("a", "▁b"): 9}, 9, str.__add__)) == []


def test_fewer_tokens_in_one_language_and_the_same_in_the_other(model, texts, tmp_path, capsys):
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    before = AutoTokenizer.from_pretrained(model)
    output = tmp_path / "out"
    main(["vocabulary", "--data", str(texts), "--languages", "te", "--model", str(model),
          "--pieces", "60", "--min-count", "3", "--output", str(output)])  # fmt: skip
    manifest = json.loads((output / "training.json").read_text())
    counted = manifest["tokens"]["te"]
    if before.unk_token_id in before(TELUGU[0])["input_ids"]:
        assert counted["before"]["unknown"] > 0.1
    else:
        assert counted["after"]["words"] < 0.8 * counted["before"]["words"]
    assert counted["after"]["unknown"] == 0
    english = manifest["tokens"]["en"]
    assert english["before"] == english["after"]
    shown = capsys.readouterr().out
    assert f"te: {counted['before']['words']:.2f} " in shown

    after = AutoTokenizer.from_pretrained(output)
    count = manifest["pieces"]
    assert len(after) == len(before) + count
    assert before(KNOWN)["input_ids"] == after(KNOWN)["input_ids"]
    pieces = after.tokenize(TELUGU[0])
    assert after.unk_token not in pieces
    assert max(after(TELUGU[0])["input_ids"]) >= len(before)
    assert after.decode(after(TELUGU[0], add_special_tokens=False)["input_ids"]).split() == (
        TELUGU[0].split()
    )

    old = AutoModel.from_pretrained(model).get_input_embeddings().weight.detach().numpy()
    extended = AutoModelForMaskedLM.from_pretrained(output)
    new = extended.get_input_embeddings().weight.detach().numpy()
    assert new.shape == (len(before) + count, 8)
    np.testing.assert_array_equal(new[: len(old)], old)
    assert extended.get_output_embeddings().weight.shape == new.shape
    merged = _new_pieces_of_old_ones(before, after, len(old))
    assert merged or before.unk_token in before.tokenize(TELUGU[1])
    for number, rows in merged.items():
        np.testing.assert_allclose(new[number], old[rows].mean(0), rtol=1e-5, atol=1e-7)


def _new_pieces_of_old_ones(before, after, size):
    """Rows of the old pieces, by the new piece that replaces all of them in a word."""
    found = {}
    for word in TELUGU[0].split():
        ids = after(word, add_special_tokens=False)["input_ids"]
        parts = before(word, add_special_tokens=False)["input_ids"]
        if len(ids) == 1 and ids[0] >= size and before.unk_token_id not in parts:
            found[ids[0]] = parts
    return found


def test_a_vector_of_parts_and_one_of_a_new_character(tmp_path, texts):
    """A BPE over characters: new ones get the mean of all, and what they make, of their own."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel
    from transformers import PreTrainedTokenizerFast as Fast

    tokenizer = Tokenizer(models.BPE({"[UNK]": 0, "a": 1, "b": 2}, [], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    path = tmp_path / "model"
    Fast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(path)
    torch.manual_seed(1)
    shape = {"num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}
    BertModel(BertConfig(vocab_size=4, hidden_size=4, **shape)).save_pretrained(path)
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "abx abx ab"}\n' * 2)
    for initial in ("mean", "sum"):
        output = tmp_path / initial
        known = VocabularySettings(str(path), 3, 2, initial)
        made = extend_vocabulary([data], output, known)
        assert (made["pieces"], list(made["tokens"])) == (3, ["unknown"])
        extended = AutoTokenizer.from_pretrained(output)
        assert extended.tokenize("abx ab b") == ["abx", "ab", "b"]
        ids = extended.convert_tokens_to_ids(["x", "ab", "abx"])
        assert ids == [4, 5, 6]  # [PAD] stands behind the vocabulary
        old = AutoModel.from_pretrained(path).get_input_embeddings().weight.detach()
        new = AutoModel.from_pretrained(output).get_input_embeddings().weight.detach()
        parts = {4: old.mean(0), 5: getattr(old[1:3], initial)(0)}
        parts[6] = getattr(torch.stack([old[1], old[2], parts[4]]), initial)(0)
        for number, expected in parts.items():
            torch.testing.assert_close(new[number], expected)


def test_a_static_retriever_keeps_its_vectors_and_stays_a_retriever(tmp_path):
    data = tmp_path / "texts.jsonl"
    words = ["నదులు", "నదిలో", "పుట్టింది", "నగరాలు"]
    data.write_text("".join(json.dumps({"lang": "te", "question": w}) + "\n" for w in words * 6))
    model = shutil.copytree(TINY_ENCODER, tmp_path / "tiny")
    output = tmp_path / "out"
    made = extend_vocabulary([data], output, VocabularySettings(str(model), 50, 5, "sum"))
    counted = made["tokens"]["te"]
    assert counted["after"]["words"] == 1 < counted["before"]["words"]
    old, new = (Encoder(EncoderSpec.resolve(str(path)), device="cpu") for path in (model, output))
    assert new.spec.pooling == "mean"
    assert new.spec.l2_norm
    texts = [*words, " ".join(words), "Kuinka pitkä Volga on?"]
    assert len(new.token_ids(texts[4])) < len(old.token_ids(texts[4]))
    np.testing.assert_allclose(new.encode_queries(texts), old.encode_queries(texts), atol=1e-6)
    assert (output / "1_Pooling/config.json").exists()
    assert not (output / "README.md").exists()


def test_what_cannot_be_extended_is_refused(model_dir, model, texts, tmp_path):
    def refused(message, data=texts, **given):
        known = VocabularySettings(**{"model": str(model), **given.pop("known", {})})
        with pytest.raises(XqgError, match=message):
            extend_vocabulary([data], tmp_path / "out", known, **given)

    refused("a tokenizer of the type WordLevel; expected one of WordPiece, BPE, Unigram",
            known={"model": str(model_dir)})  # fmt: skip
    refused("nothing to learn: no two neighbours occur 99 times", known={"min_count": 99})
    refused("no text in fi; there is en, te", languages=["fi"])
    refused("no such model folder: /nowhere/m", known={"model": "/nowhere/m"})
    untied = shutil.copytree(model, tmp_path / "untied")
    (untied / "xqg_encoder.json").write_text('{"query_model": "other"}')
    refused("encodes queries with another model, other", known={"model": str(untied)})
    with pytest.raises(XqgError, match="--initial 'max' is none of mean, sum"):
        VocabularySettings("m", initial="max")
    with pytest.raises(XqgError, match="--pieces 0: expected at least 1"):
        VocabularySettings("m", pieces=0)
    assert not (tmp_path / "out").exists()


def test_texts_of_every_form(tmp_path, write_jsonl):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text(" te\tఒకటి  రెండు\tone two\nfi\t \n")
    rows = write_jsonl("rows.jsonl", [
        {"docid": "1", "title": "Volga", "text": "A river."},
        {"qid": "1", "title": "Mikä?", "lang": "fi"},
        {"docid": "1", "generated_queries": {"ru": ["Где?"], "ko": []}},
    ])  # fmt: skip
    assert read_texts([pairs, rows], "en") == [
        Text("te", "ఒకటి రెండు"), Text("en", "Volga A river."), Text("fi", "Mikä?"),
        Text("ru", "Где?"),
    ]  # fmt: skip
    bad = tmp_path / "bad.tsv"
    for content, message in (
        ("te\n", r"bad.tsv:1: one column; expected language and text"),
        ("not a code\tx\n", r"bad.tsv:1: "),
        ("te\t\n", "no text in "),
    ):
        bad.write_text(content)
        with pytest.raises(XqgError, match=message):
            read_texts([bad])
    with pytest.raises(XqgError, match=r"expected a string in one of text, .*; found docid, lang"):
        read_texts([write_jsonl("x.jsonl", [{"docid": "1", "lang": "te"}])])
