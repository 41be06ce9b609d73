from __future__ import annotations

import csv
import json

import pytest
from generate_models import QUESTION_WORDS, make_t5
from killing import training_stopped

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.generate.generator import Generator
from pyserini_xqg.generate.settings import Settings
from pyserini_xqg.train.__main__ import main
from pyserini_xqg.train.generator import (
    check_order,
    example,
    make_trainer,
    token_mean,
    train_generator,
)
from pyserini_xqg.train.pairs import Pair
from pyserini_xqg.train.resume import last_checkpoint
from pyserini_xqg.train.settings import PRESETS, GeneratorSettings

PASSAGES = [f"w{4 * i} w{4 * i + 1} w{4 * i + 2} w{4 * i + 3}" for i in range(8)]
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import torch
    from safetensors.torch import load_file, save_file

    torch.set_num_threads(1)
    path = make_t5(tmp_path_factory.mktemp("start"), dropout_rate=0.1)
    weights = load_file(path / WEIGHTS)
    # An output layer of its own, as mT5 has; so small that all tokens are alike at first.
    weights["lm_head.weight"] *= 0.01
    save_file(weights, path / WEIGHTS, {"format": "pt"})
    return str(path)


@pytest.fixture
def pairs(tmp_path):
    """24 training pairs: 8 passages in 3 languages, each language with questions of its own."""
    path = tmp_path / "train.tsv"
    path.write_text(
        "".join(
            f"{language}\t{words[i % 5]} {words[i // 2 % 5]}\tLondon\t{text}\n"
            for language, words in QUESTION_WORDS.items()
            for i, text in enumerate(PASSAGES)
        )
    )
    return path


def settings(model, **given):
    small = {"max_steps": 7, "effective_batch_size": 8, "batch_size": 4, "eval_steps": 2}
    return GeneratorSettings.resolve(model, **{**small, "learning_rate": 1e-3, **given})


def train(pairs, output, known, **given):
    return train_generator([pairs], [pairs], output, known, device="cpu", **given)


def losses(folder):
    with open(folder / "losses.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def accelerate():
    pytest.importorskip("accelerate")


def test_the_preset_is_the_papers():
    template = "Generate a {lang} question for this passage: {title} {passage}"
    assert (*PRESETS["xqg"].values(),) == (template, 1e-4, 2000, 128, 128, 32, 200)
    known = GeneratorSettings.resolve("google/mt5-base", "xqg", max_steps=None, batch_size=32)
    assert (known.max_steps, known.effective_batch_size, known.batch_size) == (2000, 128, 32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dtype": "float16"}, "--dtype float16: T5 and mT5 overflow it"),
        ({"batch_size": 3}, "--batch-size 3 does not divide the effective batch of 8"),
        ({"max_steps": 0}, "--max-steps 0: expected at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0: expected between 0 and 1"),
        ({"template": "{lang}"}, "no {passage} in it"),
        ({"preset": "other"}, "--preset 'other' is none of xqg"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given, message):
    with pytest.raises(XqgError) as error:
        settings("m", **given)
    assert message in str(error.value)


@pytest.mark.usefixtures("accelerate")
def test_the_prompt_is_that_of_generation_for_dev_pairs_too(model, tmp_path):
    from transformers import AutoTokenizer

    passage = Passage("d", "London", " ".join(PASSAGES))
    pair = Pair("te", "ఎవరు నది", *passage[1:])
    trainer, _ = make_trainer([pair], [pair], tmp_path, settings(model, max_length=20), "cpu")
    generation = Settings.resolve(model, ["te"], max_length=20)
    prompt = Generator(generation, "cpu")._prompts([passage], "te")[0]
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert tokenizer.decode(prompt).startswith("Generate a Telugu question for this passage: Lond")
    assert len(prompt) == 20
    for examples in (trainer.train_dataset, trainer.eval_dataset):
        assert examples[0]["input_ids"] == prompt
        assert examples[0]["attention_mask"] == [1] * 20
        assert tokenizer.decode(examples[0]["labels"]) == "ఎవరు నది</s>"
    long = Pair("te", " ".join(["నది"] * 50), *passage[1:])
    labels = example(tokenizer, settings(model), long)["labels"]
    assert (len(labels), labels[-1]) == (32, tokenizer.eos_token_id)


def test_the_loss_is_a_mean_over_the_tokens_of_the_effective_batch():
    import torch

    logits = torch.log(torch.tensor([[[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]]]))
    labels = torch.tensor([[0, 1, -100]])
    expected = -(torch.log(torch.tensor(0.5)) + torch.log(torch.tensor(0.75)))
    assert token_mean({"logits": logits}, labels).item() == pytest.approx(expected.item() / 2)
    assert token_mean({"logits": logits}, labels, 8).item() == pytest.approx(expected.item() / 8)


@pytest.mark.usefixtures("accelerate")
def test_training_lowers_the_loss_and_the_output_generates(model, pairs, tmp_path, capsys):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    output = tmp_path / "trained"
    main([
        "generator", "--data", str(pairs), "--dev", str(pairs), "--model", model,
        "--output", str(output), "--max-steps", "60", "--effective-batch-size", "24",
        "--batch-size", "24", "--eval-steps", "30", "--learning-rate", "2e-2", "--device", "cpu",
    ])  # fmt: skip
    shown = capsys.readouterr()
    rows = losses(output)
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 61)]
    assert [row["step"] for row in rows if row["dev"]] == ["30", "60"]
    assert float(rows[-1]["train"]) < 0.7 * float(rows[0]["train"])
    assert float(rows[-1]["dev"]) < float(rows[29]["dev"])
    assert shown.out == f"{output}: best dev loss {float(rows[-1]['dev']):.4f} at step 60\n"
    assert all(line.startswith("training: ") for line in shown.err.splitlines())
    assert (output / "losses.png").read_bytes().startswith(b"\x89PNG")
    names = {path.name for path in output.iterdir()}
    assert {WEIGHTS, "config.json", "tokenizer.json", "training.json"} <= names
    assert not names & {"work", "lock", "plan.json", "blocks.jsonl", "training_args.bin"}

    weights = load_file(output / WEIGHTS)
    assert not torch.equal(weights["lm_head.weight"], weights["shared.weight"])
    assert json.loads((output / "config.json").read_text())["tie_word_embeddings"] is False

    generator = Generator(Settings.resolve(str(output), ["te"], num_queries=2, top_k=1), "cpu")
    texts = generator.generate([Passage("d", "London", PASSAGES[0])], "te").texts[0]
    tokenizer = AutoTokenizer.from_pretrained(output)
    prompt = f"Generate a Telugu question for this passage: London {PASSAGES[0]}"
    answer = AutoModelForSeq2SeqLM.from_pretrained(output).generate(
        **tokenizer(prompt, return_tensors="pt"), do_sample=False, max_new_tokens=32
    )
    expected = " ".join(tokenizer.decode(answer[0], skip_special_tokens=True).split())
    assert texts == [expected, expected]
    assert expected

    with pytest.raises(XqgError, match="exists; give another name, or --overwrite"):
        train(pairs, output, settings(model))


@pytest.mark.usefixtures("accelerate")
def test_interrupted_training_ends_with_the_weights_of_an_unbroken_one(model, pairs, tmp_path):
    known = settings(model)  # 24 pairs by 8 in 7 steps: into the third epoch
    whole = train(pairs, tmp_path / "whole", known)
    with training_stopped(after=11), pytest.raises(KeyboardInterrupt):  # in the sixth step
        train(pairs, tmp_path / "broken", known)
    assert not (tmp_path / "broken").exists()
    half = tmp_path / "broken.partial" / "work" / "checkpoint-5"  # killed while it was written
    half.mkdir()
    (half / "trainer_state.json").write_text("{")
    with pytest.raises(XqgError, match=r"learning_rate was 0\.001, is now 0\.0001"):
        train(pairs, tmp_path / "broken", settings(model, learning_rate=1e-4))

    with training_stopped() as taken:
        again = train(pairs, tmp_path / "broken", known)
    assert taken == [4, 4, 5, 5, 6, 6]  # two batches for each update
    assert again == whole
    for name in (WEIGHTS, "losses.csv"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    other = train(pairs, tmp_path / "other", settings(model, seed=1))
    assert other["best"] != whole["best"]


@pytest.mark.usefixtures("accelerate")
def test_accumulated_gradients_are_those_of_the_whole_batch(pairs, tmp_path):
    model = str(make_t5(tmp_path / "model", dropout_rate=0.0))
    rows = {}
    for batch_size in (2, 8):
        known = settings(model, batch_size=batch_size, max_steps=3)
        train(pairs, tmp_path / str(batch_size), known)
        rows[batch_size] = [float(row["train"]) for row in losses(tmp_path / str(batch_size))]
    assert rows[2] == pytest.approx(rows[8], rel=1e-4)


@pytest.mark.usefixtures("accelerate")
def test_the_best_weights_are_kept_not_the_last(model, pairs, tmp_path):
    dev = tmp_path / "dev.tsv"  # the more is learnt, the less it is expected
    dev.write_text("".join(f"fi\tw{i} w{i + 9} w{i}\t\t{PASSAGES[i]}\n" for i in range(8)))
    known = settings(model, max_steps=40, eval_steps=10, learning_rate=1e-2)
    manifest = train_generator([pairs], [dev], tmp_path / "out", known, device="cpu")
    by_step = {int(r["step"]): float(r["dev"]) for r in losses(tmp_path / "out") if r["dev"]}
    assert list(by_step) == [10, 20, 30, 40]
    best = min(by_step, key=by_step.__getitem__)
    assert best < 40
    assert manifest["best"] == {"step": best, "dev": pytest.approx(by_step[best])}
    again = settings(str(tmp_path / "out"), max_steps=1, learning_rate=1e-9)
    start = train_generator([dev], [dev], tmp_path / "again", again, device="cpu")
    assert start["best"]["dev"] == pytest.approx(by_step[best], rel=1e-4)


@pytest.mark.usefixtures("accelerate")
def test_bfloat16_trains_and_a_loss_that_is_not_finite_stops(model, pairs, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file

    known = settings(model, dtype="bfloat16", max_steps=2)
    train(pairs, tmp_path / "out", known)
    assert {weight.dtype for weight in load_file(tmp_path / "out" / WEIGHTS).values()} == {
        torch.float32
    }
    monkeypatch.setattr(
        "pyserini_xqg.train.generator.token_mean",
        lambda outputs, labels, num_items_in_batch=None: outputs["logits"].sum() * float("nan"),
    )
    with pytest.raises(XqgError, match="step 1: the loss is nan; take a lower --learning-rate"):
        train(pairs, tmp_path / "nan", settings(model))


def test_a_missing_accelerate_names_the_extra(monkeypatch, pairs, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "accelerate", None)
    with pytest.raises(XqgError, match=r"pip install 'pyserini_xqg\[train\]'"):
        train(pairs, tmp_path / "out", settings("m"))


@pytest.mark.usefixtures("accelerate")
def test_models_that_cannot_be_trained_are_refused(model_dir, pairs, tmp_path):
    with pytest.raises(XqgError, match="a model of type 'bert'; expected t5, mt5, umt5"):
        train(pairs, tmp_path / "out", settings(str(model_dir)))
    with pytest.raises(XqgError, match="no such model folder: /nowhere/m; .*, with --model"):
        train(pairs, tmp_path / "other", settings("/nowhere/m"))


@pytest.mark.parametrize("family", ["t5", "mt5", "umt5"])
def test_a_decoder_that_sees_what_it_is_to_predict_is_refused(family, tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(make_t5(tmp_path, model_type=family))
    model.set_attn_implementation("eager")  # causal in all versions of transformers
    check_order(model, "m")
    forward = model.decoder.block[0].layer[0].SelfAttention.forward

    def all_seen(states, *args, **given):
        name = "mask" if "mask" in given else "attention_mask"
        return forward(states, *args, **{**given, name: 0 * given[name]})

    model.decoder.block[0].layer[0].SelfAttention.forward = all_seen
    with pytest.raises(XqgError, match="--model m: its decoder sees the tokens that it is to pred"):
        check_order(model, "m")


def test_a_half_written_checkpoint_is_removed(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for step in (9, 10, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (9, 10):
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-100").exists()
