from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from killing import training_stopped

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.java import prepare
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import SPEC_FILE, EncoderSpec
from pyserini_xqg.train.__main__ import main
from pyserini_xqg.train.retriever import train_retriever
from pyserini_xqg.train.retriever_settings import RetrieverSettings

# Queries and passages have no word in common: what belongs together is learnt or not known.
QUERIES = [f"w{i} w{i + 20}" for i in range(16)]
PASSAGES = [f"w{i + 40} w{(i + 3) % 16 + 40} w{(7 * i) % 16 + 40}" for i in range(16)]


@pytest.fixture(autouse=True)
def packages():
    import torch

    for name in ("accelerate", "datasets", "sentence_transformers"):
        pytest.importorskip(name)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(model_dir, tmp_path_factory):
    """The random encoder without dropout, which it is too small for."""
    path = tmp_path_factory.mktemp("start") / "model"
    shutil.copytree(model_dir, path)
    config = json.loads((path / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (path / "config.json").write_text(json.dumps(config))
    return path


@pytest.fixture
def data(write_jsonl):
    """16 queries, each with its passage and three others that do not answer."""
    return write_jsonl(
        "train.jsonl",
        [
            {
                "query": query,
                "positive_passages": [{"docid": f"d{i}", "title": "", "text": PASSAGES[i]}],
                "negative_passages": [
                    {"docid": f"d{j % 16}", "title": "", "text": PASSAGES[j % 16]}
                    for j in range(i + 1, i + 4)
                ],
            }
            for i, query in enumerate(QUERIES)
        ],
    )


def settings(model, **given):
    small = {"epochs": 3, "effective_batch_size": 8, "batch_size": 8, "learning_rate": 1e-3}
    return RetrieverSettings.resolve(str(model), **{**small, "negatives": 2, **given})


def scores(folder):
    with open(folder / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_training_finds_every_passage_and_all_programs_load_the_result(
    model, data, tmp_path, capsys
):
    prepare()
    from pyserini.encode import AutoQueryEncoder
    from sentence_transformers import SentenceTransformer

    output = tmp_path / "trained"
    main([
        "retriever", "--model", str(model), "--train", str(data), "--dev", str(data),
        "--output", str(output), "--epochs", "40", "--effective-batch-size", "8",
        "--learning-rate", "3e-3", "--negatives", "2", "--eval-steps", "20", "--device", "cpu",
    ])  # fmt: skip
    shown = capsys.readouterr()
    rows = scores(output)
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 81)]
    by_step = {row["step"]: float(row["dev_mrr"]) for row in rows if row["dev_mrr"]}
    assert list(by_step) == ["20", "40", "60", "80"]
    best = max(by_step, key=by_step.__getitem__)
    assert by_step[best] > 0.9
    assert shown.out == f"{output}: best dev MRR {by_step[best]:.4f} at step {best}\n"
    assert all(line.startswith("training: ") for line in shown.err.splitlines())

    encoder = Encoder(EncoderSpec.resolve(str(output)), device="cpu")
    spec = encoder.spec
    assert (spec.pooling, spec.l2_norm, spec.query_max_length, spec.max_length) == (
        "cls", False, 32, 128,
    )  # fmt: skip
    queries, passages = encoder.encode_queries(QUERIES), encoder.encode_passages(PASSAGES)
    products = queries @ passages.T
    ranks = (products >= np.diag(products)[:, None]).sum(1)
    assert np.mean(1 / ranks) == pytest.approx(by_step[best], abs=1e-6)

    library = SentenceTransformer(str(output), device="cpu")
    long = " ".join(f"w{i}" for i in range(45))
    for texts, ours, theirs in (
        ([*QUERIES, long], encoder.encode_queries, library.encode_query),
        ([*PASSAGES, long], encoder.encode_passages, library.encode_document),
    ):
        np.testing.assert_allclose(theirs(texts), ours(texts), rtol=1e-4, atol=1e-5)
    assert library.similarity_fn_name == "dot"
    stock = AutoQueryEncoder(str(output), pooling="cls", l2_norm=False)
    np.testing.assert_allclose(stock.encode(QUERIES[3]), queries[3], rtol=1e-4, atol=1e-5)

    names = {path.name for path in output.iterdir()}
    assert {"config.json", "modules.json", SPEC_FILE, "training.json"} <= names
    assert not names & {"work", "lock", "plan.json", "blocks.jsonl", "README.md"}
    assert str(tmp_path) not in (output / SPEC_FILE).read_text()
    with pytest.raises(XqgError, match="exists; give another name, or --overwrite"):
        train_retriever([data], output, settings(model))


def test_untied_encoders_are_two_models_that_move_together(model, data, tmp_path):
    from sentence_transformers import SentenceTransformer

    known = settings(model, tied=False, epochs=2, query_prefix="w1 ", l2_norm=True, pooling="mean")
    assert known.scale == 20
    train_retriever([data], tmp_path / "made", known, device="cpu")
    moved = tmp_path / "moved"
    (tmp_path / "made").rename(moved)
    encoder = Encoder(EncoderSpec.resolve(str(moved)), device="cpu")
    assert encoder.spec.query_model == str(moved / "query")
    queries, passages = encoder.encode_queries(QUERIES), encoder.encode_passages(QUERIES)
    assert np.abs(queries - passages).max() > 0.01
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, rtol=1e-5)
    for path, method, ours in (
        (moved / "query", "encode_query", queries),
        (moved, "encode_document", passages),
    ):
        library = SentenceTransformer(str(path), device="cpu")
        np.testing.assert_allclose(getattr(library, method)(QUERIES), ours, rtol=1e-4, atol=1e-5)
    copy = shutil.copytree(moved, tmp_path / "copy")
    assert encoder.spec.at(str(copy)).query_model == str(copy / "query")
    with pytest.raises(XqgError, match="training starts from one model"):
        settings(moved)


def test_an_interrupted_training_ends_with_the_weights_of_an_unbroken_one(
    model_dir, data, tmp_path
):
    known = settings(model_dir, eval_steps=2, batch_size=4)  # 16 queries by 8, 3 times: 6 steps
    whole = train_retriever([data], tmp_path / "whole", known, dev=[data], device="cpu")
    assert whole["steps"] == 6
    with training_stopped(after=5), pytest.raises(KeyboardInterrupt):
        train_retriever([data], tmp_path / "broken", known, dev=[data], device="cpu")
    assert not (tmp_path / "broken").exists()
    with pytest.raises(XqgError, match=r"learning_rate was 0\.001, is now 0\.01"):
        other = settings(model_dir, eval_steps=2, batch_size=4, learning_rate=1e-2)
        train_retriever([data], tmp_path / "broken", other, dev=[data], device="cpu")

    with training_stopped() as taken:
        again = train_retriever([data], tmp_path / "broken", known, dev=[data], device="cpu")
    assert taken == [4, 5]
    assert again == whole
    for name in ("model.safetensors", "scores.csv"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    other = settings(model_dir, eval_steps=2, batch_size=4, seed=1)
    train_retriever([data], tmp_path / "other", other, dev=[data], device="cpu")
    assert scores(tmp_path / "other") != scores(tmp_path / "whole")


def losses(folder):
    return [float(row["train_loss"]) for row in scores(folder)]


def test_the_first_loss_is_the_formulas_and_small_batches_do_not_change_it(model, data, tmp_path):
    """Cross-entropy of scaled dot products over all passages of the batch."""
    from pyserini_xqg.train.draws import Draws, schedule
    from pyserini_xqg.train.examples import read_examples

    read = {"query_prefix": "w1 ", "passage_prefix": "w2 ", "query_max_length": 4, "max_length": 5}
    for batch_size in (8, 3):
        known = settings(model, batch_size=batch_size, scale=0.5, **read)
        train_retriever([data], tmp_path / str(batch_size), known, device="cpu")
    examples = read_examples([data])
    rows, epochs = schedule(examples, 3, 8, seed=0)
    draws = Draws(examples, 2, seed=0)
    batch = [draws.texts(*draw) for draw in zip(rows[:8], epochs[:8], strict=True)]
    encoder = Encoder(EncoderSpec(str(model), pooling="cls", **read), device="cpu")
    queries = encoder.encode_queries([texts[0] for texts in batch])
    passages = encoder.encode_passages([texts[n] for n in (1, 2, 3) for texts in batch])
    exponents = np.exp(0.5 * (queries @ passages.T).astype(np.float64))
    expected = -np.log(np.diag(exponents[:, :8]) / exponents.sum(1)).mean()
    assert losses(tmp_path / "8")[0] == pytest.approx(expected, rel=1e-4)
    assert losses(tmp_path / "3") == pytest.approx(losses(tmp_path / "8"), rel=1e-3)


def test_the_best_weights_are_kept_not_the_last(model, data, tmp_path):
    dev = tmp_path / "dev.tsv"  # each query with another one's passage
    dev.write_text("".join(f"{q}\t{PASSAGES[i - 5]}\n" for i, q in enumerate(QUERIES)))
    known = settings(model, epochs=15, learning_rate=3e-3, eval_steps=10)
    manifest = train_retriever([data], tmp_path / "out", known, dev=[dev], device="cpu")
    by_step = {
        int(r["step"]): float(r["dev_mrr"]) for r in scores(tmp_path / "out") if r["dev_mrr"]
    }
    best = max(by_step, key=by_step.__getitem__)
    assert manifest["best"] == {"step": best, "dev_mrr": pytest.approx(by_step[best])}
    assert by_step[best] > by_step[30]
    encoder = Encoder(EncoderSpec.resolve(str(tmp_path / "out")), device="cpu")
    queries, passages = encoder.encode_queries(QUERIES), encoder.encode_passages(PASSAGES)
    products = queries @ np.roll(passages, 5, axis=0).T
    ranks = (products >= np.diag(products)[:, None]).sum(1)
    assert np.mean(1 / ranks) == pytest.approx(by_step[best], abs=1e-6)


def test_several_processes_learn_from_the_same_batches_as_one(model, data, tmp_path):
    import os
    import subprocess
    import sys

    known = [
        "--model", str(model), "--train", str(data), "--dev", str(data), "--device", "cpu",
        "--epochs", "2", "--effective-batch-size", "8", "--negatives", "2", "--batch-size", "3",
        "--learning-rate", "1e-3",
    ]  # fmt: skip
    main(["retriever", *known, "--output", str(tmp_path / "one")])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m",
         "pyserini_xqg.train", "retriever", *known,
         "--output", str(tmp_path / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best dev MRR") == 1
    one, two = scores(tmp_path / "one"), scores(tmp_path / "two")
    assert [row["step"] for row in two] == ["1", "2", "3", "4"]
    assert float(two[1]["dev_mrr"]) == pytest.approx(float(one[1]["dev_mrr"]), abs=1e-3)
    vectors = [
        Encoder(EncoderSpec.resolve(str(tmp_path / name)), device="cpu").encode_queries(QUERIES)
        for name in ("one", "two")
    ]
    np.testing.assert_allclose(vectors[1], vectors[0], rtol=1e-2, atol=1e-3)


def test_bfloat16_trains_and_a_loss_that_is_not_finite_stops(model, data, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModel

    half = shutil.copytree(model, tmp_path / "half")
    AutoModel.from_pretrained(model).bfloat16().save_pretrained(half)
    for dtype, batch_size in (("bfloat16", 8), ("bfloat16", 3), ("float32", 8)):
        known = settings(half, dtype=dtype, batch_size=batch_size)
        train_retriever([data], tmp_path / f"{dtype}{batch_size}", known, device="cpu")
    weights = load_file(tmp_path / "bfloat168" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    exact = losses(tmp_path / "float328")
    for name in ("bfloat168", "bfloat163"):
        assert losses(tmp_path / name)[:2] == pytest.approx(exact[:2], rel=0.05)
        assert losses(tmp_path / name)[:2] != pytest.approx(exact[:2], rel=1e-5)

    monkeypatch.setattr(
        "sentence_transformers.util.dot_score", lambda a, b: (a @ b.T) * float("nan")
    )
    with pytest.raises(XqgError, match="step 1: the loss is nan; take a lower --learning-rate"):
        train_retriever([data], tmp_path / "nan", settings(model), device="cpu")


def test_a_trained_retriever_is_trained_further_as_it_was(model, data, tmp_path):
    from sentence_transformers import SentenceTransformer

    first = settings(model, pooling="last", query_prefix="w5 ", max_length=20, epochs=1)
    train_retriever([data], tmp_path / "first", first, device="cpu")
    ours = Encoder(EncoderSpec.resolve(str(tmp_path / "first")), device="cpu")
    theirs = SentenceTransformer(str(tmp_path / "first"), device="cpu")
    texts = [QUERIES[0], PASSAGES[0]]  # of several lengths
    np.testing.assert_allclose(
        theirs.encode_query(texts), ours.encode_queries(texts), rtol=1e-4, atol=1e-5
    )
    again = settings(tmp_path / "first")
    assert (again.pooling, again.query_prefix, again.max_length) == ("last", "w5 ", 20)
    assert again.warmup == 0.1
    papers = settings(tmp_path / "first", preset="xor-tydi")
    assert (papers.pooling, papers.query_prefix, papers.max_length) == ("cls", "", 128)


def test_files_without_negatives_train_on_those_of_the_batch(model, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{q}\t{p}\n" for q, p in zip(QUERIES, PASSAGES, strict=True)))
    manifest = train_retriever([pairs], tmp_path / "out", settings(model, epochs=1), device="cpu")
    assert manifest["negatives"] == 0
    assert "best" not in manifest
    assert manifest["train"]["examples"] == 16
    assert not any(row["dev_mrr"] for row in scores(tmp_path / "out"))


def test_what_cannot_be_trained_is_refused(model, data, tmp_path, monkeypatch):
    with pytest.raises(XqgError, match="no such model folder: /nowhere/m; .*, with --model"):
        train_retriever([data], tmp_path / "a", settings("/nowhere/m"), device="cpu")
    with pytest.raises(XqgError, match="16 training examples cannot fill a batch of 128"):
        known = settings(model, effective_batch_size=128)
        train_retriever([data], tmp_path / "b", known, device="cpu")
    with pytest.raises(XqgError, match="--device cuda: torch finds no GPU here; take cpu"):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        train_retriever([data], tmp_path / "c", settings(model), device="cuda")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(XqgError, match="3 processes do not divide the effective batch of 8"):
        train_retriever([data], tmp_path / "d", settings(model), device="cpu")
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(XqgError, match=r"package sentence-transformers: pip install 'pyserini_xqg"):
        train_retriever([data], tmp_path / "e", settings(model), device="cpu")
