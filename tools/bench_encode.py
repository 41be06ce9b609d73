"""Measure our encoding of queries beside Pyserini's and the published pipeline's, in this one run.

The model has multilingual BERT's shape, vocabulary included (119,547), and random weights: they
prove time and that all give the same vectors, not how much 8 bits change a trained model; that is
what ``encode ... encoder --check-backend`` tells. The tokenizer is trained on the questions
themselves, so that they have about as many tokens as with BERT's own.

On a GPU: ``--device cuda:0 --dtypes float32 bfloat16 --queries 100000 --peak-tflops 989``, the last
for an H100 in bfloat16. What a way achieves is counted in the operations that the tokens need,
padding left out.
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
PADDED = "published pipeline, padded to 32, batch 128"
DOCUMENT = "Pyserini AutoDocumentEncoder, batch 64"
PASSES = {"float32": 0.99999, "bfloat16": 0.999, "int8": 0.999}  # the least cosine
ONE_BY_ONE = 2_000  # the most queries that are encoded so: a GPU takes long enough for these


def read_questions(data: str | None) -> list[str]:
    if data:
        lines = (Path(data) / "question_translations.tsv").read_text(encoding="utf-8").split("\n")
        return [line.split("\t")[1] for line in lines if line.count("\t") == 2]
    mini = files("pyserini_xqg") / "demo" / "xqg-mini" / "queries.jsonl"
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


def ways(folder: Path) -> dict[str, tuple[str, Callable[[list[str]], Any]]]:
    """Each way to encode, by its name, with the precision that it claims."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from pyserini_xqg.base.java import prepare
    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.spec import EncoderSpec

    prepare()
    from pyserini.encode import AutoDocumentEncoder, AutoQueryEncoder

    torch.set_num_threads(given.threads)
    name, device = str(folder), given.device
    query = AutoQueryEncoder(name, device=device, pooling="cls", l2_norm=False)
    document = AutoDocumentEncoder(name, device=device, pooling="cls", l2_norm=False)
    document.model.eval()
    tokenizer = AutoTokenizer.from_pretrained(name)

    def padded(dtype: str) -> Callable[[list[str]], Any]:
        model = AutoModel.from_pretrained(name).eval().to(device, getattr(torch, dtype))

        def encode(texts: list[str]) -> Any:
            vectors = []
            for start in range(0, len(texts), 128):
                inputs = tokenizer(
                    texts[start : start + 128], padding="max_length", max_length=LENGTH,
                    truncation=True, return_tensors="pt", return_token_type_ids=False,
                ).to(device)  # fmt: skip
                with torch.no_grad():
                    hidden = model(**inputs).last_hidden_state[:, 0]
                vectors.append(hidden.float().cpu().numpy())
            return np.concatenate(vectors)

        return encode

    def batched(texts: list[str]) -> Any:
        parts = [texts[start : start + 64] for start in range(0, len(texts), 64)]
        return np.concatenate([document.encode(part, max_length=LENGTH) for part in parts])

    def ours(backend: str, dtype: str = "float32") -> Callable[[list[str]], Any]:
        spec = EncoderSpec(name, backend=backend, dtype=dtype, query_max_length=LENGTH)
        return Encoder(spec, device=device).encode_queries

    def one_by_one(texts: list[str]) -> Any:
        return np.array([query.encode(text, max_length=LENGTH) for text in texts[:ONE_BY_ONE]])

    table = {
        "Pyserini AutoQueryEncoder, one by one": ("float32", one_by_one),
        PADDED: ("float32", padded("float32")),
        DOCUMENT: ("float32", batched),
    }
    for dtype in given.dtypes:
        if dtype != "float32":
            table[f"{PADDED}, {dtype}"] = dtype, padded(dtype)
        table[f"ours, --backend torch --dtype {dtype}"] = dtype, ours("torch", dtype)
    if device == "cpu":
        table["ours, --backend onnx"] = "float32", ours("onnx")
        table["ours, --backend onnx-int8"] = "int8", ours("onnx-int8")
    return table


def operations(lengths: Sequence[int], config: Any) -> float:
    """Floating-point operations of a BERT's layers, two for each multiplication with an addition.

    A token takes 4 d^2 of them for attention's projections and 2 d f for the feed-forward layers
    of width f, and each pair of tokens of a text 2 d.
    """
    d, f, n = config.hidden_size, config.intermediate_size, np.array(lengths, dtype=np.float64)
    layer = n * (4 * d * d + 2 * d * f) + n * n * 2 * d
    return float(2 * config.num_hidden_layers * layer.sum())


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
    draw = random.Random(0)
    some = draw.sample(questions, min(given.queries, len(questions)))
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        make_model(Path(work), questions, given.layers)
        table = ways(Path(work))
        from transformers import AutoConfig, AutoTokenizer

        tokens = AutoTokenizer.from_pretrained(work)(some, truncation=True, max_length=LENGTH)
        lengths = [len(ids) for ids in tokens["input_ids"]]
        needed = operations(lengths, AutoConfig.from_pretrained(work))
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
    rate = rates(table, some)
    report(table, found, rate, needed / len(some))


def rates(table: Any, some: list[str]) -> dict[str, float]:
    """Queries a second of each way, by the median of interleaved repetitions."""
    taken: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(given.repeat):
        for name, (_, encode) in table.items():
            began = given.clock()
            vectors = encode(some)
            taken[name].append((given.clock() - began) / len(vectors))
    return {name: 1 / statistics.median(seconds) for name, seconds in taken.items()}


def report(table: Any, found: Any, rate: dict[str, float], operations_each: float) -> None:
    seconds = "CPU seconds" if given.clock is time.process_time else "seconds"
    print(f"{device_name()}; median {seconds} of {given.repeat} interleaved repetitions")
    heads = [
        "queries/s",
        "x padded",
        "x AutoDoc",
        "TFLOP/s",
        *["of peak"] * bool(given.peak_tflops),
    ]
    print(f"{'':<56}" + "".join(f"{head:>10}" for head in heads) + f"{'least cosine':>14}")
    wrong = False
    for name, (precision, _) in table.items():
        rows = len(next(iter(found.values())))  # encoded one by one
        cosine = least_cosine(found[next(iter(found))], found[name][:rows])
        failed = cosine < PASSES[precision]
        wrong |= failed
        tflops = rate[name] * operations_each / 1e12
        cells = [f"{rate[name]:.1f}", f"{rate[name] / rate[PADDED]:.2f}",
                 f"{rate[name] / rate[DOCUMENT]:.2f}", f"{tflops:.3f}"]  # fmt: skip
        if given.peak_tflops:
            cells.append(f"{100 * tflops / given.peak_tflops:.1f} %")
        print(f"{name:<56}" + "".join(f"{cell:>10}" for cell in cells)
              + f"{cosine:>14.8f}{'  WRONG' if failed else ''}")  # fmt: skip
    if wrong:
        sys.exit(1)


def device_name() -> str:
    import torch

    return "on the CPU" if given.device == "cpu" else f"on {torch.cuda.get_device_name()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder of XOR-TyDi QA with question_translations.tsv")
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--dtypes", nargs="+", choices=("float32", "bfloat16"), default=["float32"],
        help="of ours and of the published pipeline's way (float32)",
    )  # fmt: skip
    parser.add_argument(
        "--peak-tflops", type=float, help="of the device, to say what part of it is used"
    )
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
