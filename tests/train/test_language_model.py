from __future__ import annotations

import csv

import numpy as np
import pytest
from killing import training_stopped

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.train.__main__ import main
from pyserini_xqg.train.language_model import (
    LanguageModelSettings,
    _make_trainer,
    train_language_model,
)

# The second word follows from the first, and the translation from the text.
TEXTS = [f"w{i} w{i + 20}" for i in range(20)]
OTHERS = [f"w{i + 40} w{i + 20}" for i in range(20)]


@pytest.fixture(autouse=True)
def packages():
    import torch

    pytest.importorskip("accelerate")
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(model_dir, tmp_path_factory):
    """The random encoder, with a mask among its tokens."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    path = tmp_path_factory.mktemp("start")
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    tokenizer.save_pretrained(path)
    encoder = AutoModelForMaskedLM.from_pretrained(model_dir)
    encoder.resize_token_embeddings(len(tokenizer))
    encoder.config.hidden_dropout_prob = encoder.config.attention_probs_dropout_prob = 0.0
    encoder.save_pretrained(path)
    return str(path)


@pytest.fixture
def texts(write_jsonl):
    return write_jsonl("texts.jsonl", [{"text": text, "lang": "te"} for text in TEXTS])


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"te\t{a}\t{b}\n" for a, b in zip(TEXTS, OTHERS, strict=True)))
    return path


def settings(model, **given):
    small = {"max_steps": 6, "effective_batch_size": 8, "batch_size": 4, "eval_steps": 2}
    # Of so few tokens none might be masked, which has no loss.
    small |= {"learning_rate": 1e-3, "max_length": 16, "masked": 0.6}
    return LanguageModelSettings(model, **{**small, **given})


def losses(folder):
    with open(folder / "losses.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_guessing_gets_better_and_the_encoder_loads(model, texts, tmp_path, capsys):
    from transformers import AutoModel, AutoModelForMaskedLM

    output = tmp_path / "out"
    main([
        "language-model", "--data", str(texts), "--dev", str(texts), "--model", model,
        "--output", str(output), "--max-steps", "80", "--eval-steps", "40", "--masked", "0.3",
        "--effective-batch-size", "20", "--batch-size", "20", "--learning-rate", "1e-2",
        "--device", "cpu",
    ])  # fmt: skip
    rows = losses(output)
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 81)]
    train = [float(row["train"]) for row in rows]
    assert np.mean(train[-10:]) < 0.75 * np.mean(train[:10])
    dev = {row["step"]: float(row["dev"]) for row in rows if row["dev"]}
    best = min(dev, key=dev.__getitem__)
    assert capsys.readouterr().out == f"{output}: best dev loss {dev[best]:.4f} at step {best}\n"
    trained = AutoModelForMaskedLM.from_pretrained(output)
    encoder = AutoModel.from_pretrained(output)
    np.testing.assert_array_equal(
        encoder.get_input_embeddings().weight.detach(),
        trained.get_input_embeddings().weight.detach(),
    )
    assert (output / "losses.png").stat().st_size > 1000
    names = {path.name for path in output.iterdir()}
    assert not names & {"work", "lock", "plan.json"}


def test_a_text_and_its_translation_are_one_input(model, texts, pairs, tmp_path):
    from transformers import AutoTokenizer

    rows = [(TEXTS[0],), (TEXTS[1], OTHERS[1])]
    trainer, _ = _make_trainer(rows, [], tmp_path, settings(model, max_length=6), "cpu")
    tokenizer = AutoTokenizer.from_pretrained(model)
    texts_read = [tokenizer.decode(row["input_ids"]) for row in trainer.train_dataset]
    assert texts_read == [f"[CLS] {TEXTS[0]} [SEP]", "[CLS] w1 [SEP] w41 w21 [SEP]"]
    assert trainer.train_dataset[1]["special_tokens_mask"] == [1, 0, 1, 0, 0, 1]
    batch = trainer.data_collator([trainer.train_dataset[0]] * 200)
    masked = (batch["labels"] != -100).float().mean(0)
    assert masked[[0, 3]].tolist() == [0, 0]
    assert 0.4 < masked[1] < 0.8
    known = settings(model)
    made = train_language_model(
        tmp_path / "out", known, data=[texts], parallel=[pairs], device="cpu"
    )
    assert (made["data"]["texts"], made["data"]["pairs"]) == (20, 20)
    assert "best" not in made
    assert not any(row["dev"] for row in losses(tmp_path / "out"))


def test_an_interrupted_training_goes_on(model, texts, tmp_path):
    whole = train_language_model(tmp_path / "whole", settings(model), data=[texts], device="cpu")
    # Two passes are a step, but for the last of an epoch.
    with training_stopped(after=6), pytest.raises(KeyboardInterrupt):
        train_language_model(tmp_path / "broken", settings(model), data=[texts], device="cpu")
    assert not (tmp_path / "broken").exists()
    with training_stopped() as taken:
        again = train_language_model(
            tmp_path / "broken", settings(model), data=[texts], device="cpu"
        )
    assert taken == [2, 3, 3, 4, 4, 5]
    assert again == whole
    assert len(losses(tmp_path / "broken")) == 6


def test_what_cannot_be_trained_is_refused(model, model_dir, texts, tmp_path):
    with pytest.raises(XqgError, match="nothing to learn from: give --data, --parallel or both"):
        train_language_model(tmp_path / "out", settings(model))
    with pytest.raises(XqgError, match="has a tokenizer without a mask token"):
        train_language_model(tmp_path / "out", settings(str(model_dir)), data=[texts])
    for given, message in (
        ({"masked": 1.0}, "--masked 1.0: expected a part of the tokens, below 1"),
        ({"batch_size": 3}, "--batch-size 3 does not divide the effective batch of 8"),
        ({"dtype": "float16"}, "--dtype 'float16' is none of float32, bfloat16"),
        ({"max_steps": 0}, "--max-steps 0: expected at least 1"),
        ({"learning_rate": 1.0}, "--learning-rate 1.0: expected between 0 and 1"),
    ):
        with pytest.raises(XqgError, match=message):
            settings(model, **given)
