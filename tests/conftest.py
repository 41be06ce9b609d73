"""Small inputs and a small random encoder that several test files share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec

# A test that encodes topics must encode them; those of the cache turn it on.
os.environ["XQG_TOPIC_CACHE"] = "off"

#: Words of the random encoder's vocabulary; anything else is unknown to it.
WORDS = [f"w{i}" for i in range(60)]


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers and 16 dimensions with seeded random weights."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("model")
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(path)
    torch.manual_seed(7)
    BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            initializer_range=0.5,  # large, so that different texts get clearly different vectors
        )
    ).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def encoder(model_dir: Path) -> Encoder:
    import torch

    torch.set_num_threads(1)  # the model is so small that threads only wait for each other
    return Encoder(EncoderSpec(str(model_dir), pooling="cls"), device="cpu", batch_size=64)


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[[str, Iterable[Mapping[str, Any]]], Path]:
    def write(name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return path

    return write


@pytest.fixture
def corpus_and_queries(write_jsonl: Callable[..., Path]) -> tuple[Path, Path]:
    """30 passages, with docids that break careless code; the queries are in another order."""
    docids = ["-1018987027025691298", "007", "12#3", *(f"d{i}" for i in range(27))]
    corpus = [
        {
            "docid": docid,
            "title": f"w{i}",
            "text": " ".join(f"w{(i * 7 + j) % 60}" for j in range(9)),
        }
        for i, docid in enumerate(docids)
    ]
    queries = [
        {
            "docid": docid,
            "generated_queries": {
                "te": [f"w{i} w{(i + k) % 60}" for k in range(i % 4)],
                "ar": [f"w{(i + 30 + k) % 60}" for k in range(2)],
            },
        }
        for i, docid in enumerate(docids)
    ]
    return write_jsonl("corpus.jsonl", corpus), write_jsonl("queries.jsonl", queries[::-1])


@pytest.fixture
def topics_and_qrels(write_jsonl: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path]:
    """Twelve topics, six a language, each for one passage of `corpus_and_queries`."""
    rows = [(f"{code}-{i}", code, i) for i in range(6) for code in ("te", "ar")]
    topics = [{"qid": qid, "title": f"w{i} w{i + 1}", "lang": code} for qid, code, i in rows]
    qrels = tmp_path / "qrels"
    qrels.write_text("".join(f"{qid} 0 d{i} 1\n" for qid, _, i in rows))
    return write_jsonl("topics.jsonl", topics), qrels


@pytest.fixture(scope="session")
def write_large() -> Callable[[Path, int], tuple[Path, Path]]:
    """Writes a corpus of so many passages, and queries in two languages, into a folder."""

    def write(folder: Path, rows: int) -> tuple[Path, Path]:
        corpus, queries = folder / "corpus.jsonl", folder / "queries.jsonl"
        corpus.write_text(
            "".join(f'{{"docid": "d{i}", "text": "w{i % 60} w{i % 7}"}}\n' for i in range(rows))
        )
        queries.write_text(
            "".join(
                json.dumps(
                    {
                        "docid": f"d{i}",
                        "generated_queries": {"te": [f"w{i % 50}"] * (i % 3), "ar": [f"w{i % 9}"]},
                    }
                )
                + "\n"
                for i in range(rows)
            )
        )
        return corpus, queries

    return write
