"""Measure our encoding of queries beside Pyserini's and the published pipeline's, in this one run.

The model has multilingual BERT's shape, vocabulary included (119,547), and random weights: they
prove time and that all give the same vectors, not how much 8 bits change a trained model; that is
what ``encode ... encoder --check-backend`` tells. The tokenizer is trained on the questions
themselves, so that they have about as many tokens as with BERT's own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

VOCABULARY = 119_547
WORD_PIECES = 16_000  # of the tokenizer: two pieces a word, as BERT has in these languages
LENGTH = 32
PASSES = {"float32": 0.99999, "int8": 0.999}  # the least cosine


def read_questions(data: str | None) -> list[str]:
    if data:
        lines = (Path(data) / "question_translations.tsv").read_text(encoding="utf-8").split("\n")
        return [line.split("\t")[1] for line in lines if line.count("\t") == 2]
    mini = files("pyserini_xqg") / "data" / "xqg-mini" / "queries.jsonl"
    rows = [json.loads(line) for line in mini.read_text(encoding="utf-8").splitlines()]
    return [text for row in rows for texts in row["generated_queries"].values() for text in texts]


def make_model(folder: Path, questions: Sequence[str], layers: int, **shape: int) -> None:
    """A BERT of multilingual BERT's shape, but for the layers and what `shape` says otherwise."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        questions,
        trainers.WordPieceTrainer(
            vocab_size=WORD_PIECES, special_tokens=special, show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=512,
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(**{"vocab_size": VOCABULARY, "num_hidden_layers": layers, **shape})
    BertModel(config).save_pretrained(folder)


def ways(folder: Path, threads: int) -> dict[str, tuple[str, Callable[[list[str]], Any]]]:
    """Each way to encode, by its name, with the precision that it claims."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from pyserini_xqg.encoder import Encoder
    from pyserini_xqg.java import prepare
    from pyserini_xqg.spec import EncoderSpec

    prepare()
    from pyserini.encode import AutoDocumentEncoder, AutoQueryEncoder

    torch.set_num_threads(threads)
    name = str(folder)
    query = AutoQueryEncoder(name, device="cpu", pooling="cls", l2_norm=False)
    document = AutoDocumentEncoder(name, device="cpu", pooling="cls", l2_norm=False)
    document.model.eval()
    tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name).eval()

    def padded(texts: list[str]) -> Any:
        vectors = []
        for start in range(0, len(texts), 128):
            inputs = tokenizer(
                texts[start : start + 128], padding="max_length", max_length=LENGTH,
                truncation=True, return_tensors="pt", return_token_type_ids=False,
            )  # fmt: skip
            with torch.no_grad():
                vectors.append(model(**inputs).last_hidden_state[:, 0].numpy())
        return np.concatenate(vectors)

    def batched(texts: list[str]) -> Any:
        parts = [texts[start : start + 64] for start in range(0, len(texts), 64)]
        return np.concatenate([document.encode(part, max_length=LENGTH) for part in parts])

    def ours(backend: str) -> Callable[[list[str]], Any]:
        return Encoder(EncoderSpec(name, backend=backend), device="cpu").encode_queries

    return {
        "Pyserini AutoQueryEncoder, one by one": (
            "float32",
            lambda texts: np.array([query.encode(text, max_length=LENGTH) for text in texts]),
        ),
        "published pipeline, padded to 32, batch 128": ("float32", padded),
        "Pyserini AutoDocumentEncoder, batch 64": ("float32", batched),
        "ours, --backend torch": ("float32", ours("torch")),
        "ours, --backend onnx": ("float32", ours("onnx")),
        "ours, --backend onnx-int8": ("int8", ours("onnx-int8")),
    }


def least_cosine(one: Any, other: Any) -> float:
    one, other = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / norms).min())


def processor() -> str:
    info = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    names = [line.split(":")[1].strip() for line in info.split("\n") if "model name" in line]
    flags = [flag for flag in ("avx2", "avx512f", "avx512_vnni") if f" {flag} " in info]
    return f"{names[0] if names else platform.processor()} ({' '.join(flags)})"


def main() -> None:
    questions = read_questions(given.data)
    some = random.Random(0).sample(questions, given.queries)
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        make_model(Path(work), questions, given.layers)
        table = ways(Path(work), given.threads)
        from transformers import AutoTokenizer

        tokens = AutoTokenizer.from_pretrained(work)(some, truncation=True, max_length=LENGTH)
    lengths = [len(ids) for ids in tokens["input_ids"]]
    print(
        f"{len(some)} queries of {statistics.mean(lengths):.1f} tokens on average (cut at {LENGTH},"
        f" {sum(length == LENGTH for length in lengths)} of them that long); {given.layers} layers"
    )
    libraries = ("torch", "transformers", "pyserini", "onnxruntime")
    print(
        f"{processor()}, {given.threads} thread(s); Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in libraries)
    )
    found = {name: encode(some) for name, (_, encode) in table.items()}  # warms up, too
    taken: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(given.repeat):
        for name, (_, encode) in table.items():
            began = given.clock()
            encode(some)
            taken[name].append(given.clock() - began)
    rate = {name: len(some) / statistics.median(seconds) for name, seconds in taken.items()}
    first, padded, document = list(table)[:3]
    seconds = "CPU seconds" if given.clock is time.process_time else "seconds"
    print(f"median {seconds} of {given.repeat} interleaved repetitions")
    print(f"{'':<44}{'queries/s':>10}{'x padded':>10}{'x AutoDoc':>10}{'least cosine':>14}")
    wrong = False
    for name, (precision, _) in table.items():
        cosine = least_cosine(found[first], found[name])
        failed = cosine < PASSES[precision]
        wrong |= failed
        print(
            f"{name:<44}{rate[name]:>10.1f}{rate[name] / rate[padded]:>10.2f}"
            f"{rate[name] / rate[document]:>10.2f}{cosine:>14.8f}{'  WRONG' if failed else ''}"
        )
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder of XOR-TyDi QA with question_translations.tsv")
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work", help="folder for the model (2 GB while it runs)")
    parser.add_argument(
        "--cpu-time",
        dest="clock",
        action="store_const",
        const=time.process_time,
        default=time.perf_counter,
        help="count CPU seconds, for a machine that is busy with other things; take --threads 1",
    )
    given = parser.parse_args()
    main()
