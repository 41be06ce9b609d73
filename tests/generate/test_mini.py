"""The commands on xqg-mini, one after the other, with a small model of mT5's shape."""

from __future__ import annotations

import gzip
import json
import logging

import pytest
import torch
from generate_models import make_mt5

from pyserini_xqg.collection.languages import scripts_of
from pyserini_xqg.collection.scripts import letters_by_script
from pyserini_xqg.demo import LANGUAGES, TINY_ENCODER, XQG_MINI
from pyserini_xqg.encode.__main__ import main as encode
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.encoder.loading import SEQ2SEQ, load_model
from pyserini_xqg.filter.__main__ import main as clean
from pyserini_xqg.generate.__main__ import main as generate
from pyserini_xqg.store.store import Store

CORPUS = XQG_MINI / "corpus.jsonl"
ENCODER = ["encoder", "--encoder", TINY_ENCODER, "--fields", "title", "text", "--device", "cpu"]


def run(command, *words):
    command([str(word) for word in words])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    texts = [row["text"] for row in read(CORPUS)]
    for row in read(XQG_MINI / "queries.jsonl"):
        texts += [of_language[0] for of_language in row["generated_queries"].values()]
    return make_mt5(tmp_path_factory.mktemp("mt5"), texts)


@pytest.fixture
def options(model):
    return ["--corpus", CORPUS, "--generator", model, "--languages", *LANGUAGES, "--device", "cpu",
            "--num-queries", 1, "--max-new-tokens", 10, "--max-length", 64]  # fmt: skip


def read(path):
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    return [json.loads(line) for line in content.splitlines()]


def test_generate_filter_and_encode(options, tmp_path, capsys):
    whole, trimmed = tmp_path / "whole.jsonl", tmp_path / "trimmed.jsonl.gz"
    for output, more in ((whole, []), (trimmed, ["--trim-vocabulary"])):
        run(generate, *options, *more, "--dry-run")
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "180 passages, 1,260 queries"
        assert len(lines) == 5 + bool(more)
        run(generate, *options, *more, "--output", output)
        rows = read(output)
        assert len(rows) == 180
        texts = {x: [t for row in rows for t in row["generated_queries"][x]] for x in LANGUAGES}
        assert all(len(of_language) == 180 for of_language in texts.values())
        assert all(len(set(of_language)) > 150 for of_language in texts.values())
        own = {
            language: {*letters_by_script("".join(of))} <= {*scripts_of(language), "Latn"}
            for language, of in texts.items()
        }
        assert set(own.values()) == {bool(more)}  # random weights know no language
    assert "trimmed vocabulary: in " in capsys.readouterr().err

    index, report = tmp_path / "index", tmp_path / "report.json"
    run(encode, "input", "--corpus", CORPUS, "output", "--embeddings", index, "--to-faiss",
        *ENCODER)  # fmt: skip
    cleaned = tmp_path / "clean.jsonl"
    run(clean, "--corpus", CORPUS, "--queries", trimmed, "--output", cleaned, "--report", report,
        "--min-length", 3, "--deduplicate", "--script", "--copies", "--max-shared", 20,
        "--encoder", TINY_ENCODER, "--fields", "title", "text", "--device", "cpu",
        "--similarity", "cosine", "--keep-fraction", 0.8, "--round-trip", index,
        "--round-trip-k", 90)  # fmt: skip
    found = json.loads(report.read_text())
    assert sorted(found) == sorted(LANGUAGES)
    rows = read(cleaned)
    for language, counted in found.items():
        assert counted["read"] == 180
        assert counted["kept"] + sum(counted["dropped"].values()) == 180
        assert counted["kept"] == sum(len(row["generated_queries"][language]) for row in rows)
        assert {"score", "round-trip"} <= set(counted["dropped"])
        assert counted["kept"] > 5
        assert list(counted["lengths"]) == ["min", "5%", "median", "95%", "max"]
        assert len(counted["sample"]["kept"]) == 5

    store = tmp_path / "store"
    run(encode, "input", "--corpus", CORPUS, "output", "--embeddings", store, *ENCODER,
        "xqg", "--queries", cleaned)  # fmt: skip
    assert Store([store]).queries == {x: found[x]["kept"] for x in sorted(LANGUAGES)}


def test_no_word_about_an_output_layer_of_its_own(model, caplog):
    """mT5 has one; what transformers says about it would stand there at every start."""
    from transformers import AutoModelForSeq2SeqLM

    said = logging.getLogger("transformers")  # whose records go no further up
    said.addHandler(caplog.handler)
    try:
        AutoModelForSeq2SeqLM.from_pretrained(model)
        assert "we will NOT tie them" in caplog.text
        caplog.clear()
        load_model(Named(str(model)), SEQ2SEQ)
        assert not caplog.records
        logging.getLogger("transformers.modeling_utils").warning("something else")
        AutoModelForSeq2SeqLM.from_pretrained(model)
        assert "something else" in caplog.text
        assert "we will NOT tie them" in caplog.text  # for others all is as it was
    finally:
        said.removeHandler(caplog.handler)
