"""Fuzz the readers of files, with inputs led by the branches of our code that they reach.

It needs atheris, which nothing else does and which exists for Linux: ``pip install atheris``. Then
``python tools/fuzz_readers.py`` tries 100,000 inputs over all the readers, in some minutes. It ends
with status 0, or at the first input that breaks a reader: with a traceback, status 77, and the
input as ``crash-...`` in the working folder. ``python tools/fuzz_readers.py crash-...`` tries that
one again. ``--each`` gives every reader as many inputs, one reader after the other, each in a
process of its own; ``--reader NAME`` tries one alone.

Whatever bytes a file holds, a reader must give its rows, or an error of ours that begins with the
file's name, and leave nothing beside the file. The first byte of an input picks the reader; the
rest is the file. The first inputs are rows of the small collection that comes with the package, and
the files that say what a model's folder, a store or an index is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pyserini_xqg"]):
    from pyserini_xqg.base.errors import XqgError
    from pyserini_xqg.collection.judged import read_clusters, read_qrels
    from pyserini_xqg.collection.records import PassageFormat, queries_of
    from pyserini_xqg.collection.runs import read_run, stream_corpus
    from pyserini_xqg.collection.tables import QUERIES, read_rows
    from pyserini_xqg.collection.topics import read_topics
    from pyserini_xqg.encoder.folder import read_folder
    from pyserini_xqg.encoder.spec import EncoderSpec
    from pyserini_xqg.encoder.weights import check_header
    from pyserini_xqg.evaluate.by_query import read_by_query
    from pyserini_xqg.evaluate.xor.predictions import read_gold, read_predictions
    from pyserini_xqg.index.manifest import read_manifest
    from pyserini_xqg.store.store import Store


def read_corpus(path: Path) -> None:
    for form in (PassageFormat(), PassageFormat(("title", "text"))):
        for row in stream_corpus(path, form):
            row.passage.docid.encode()


def read_queries(path: Path) -> None:
    for where, row in read_rows([path], QUERIES):
        queries_of(row, where, language="te")


#: What a model's folder says of itself, in sentence-transformers' files.
FOLDER = {
    "modules.json": [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
        {"type": "sentence_transformers.models.Dense", "path": "2_Dense"},
        {"type": "sentence_transformers.models.Normalize", "path": "3_Normalize"},
    ],
    "1_Pooling/config.json": {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True},
    "2_Dense/config.json": {
        "in_features": 16,
        "out_features": 8,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    },
    "sentence_bert_config.json": {"max_seq_length": 64, "do_lower_case": False},
    "tokenizer_config.json": {"model_max_length": 512},
    "config_sentence_transformers.json": {"prompts": {"query": "q: ", "document": "d: "}},
}
ENCODER = {"pooling": "mean", "l2_norm": True, "max_length": 64, "query_model": "query"}


def in_its_folder(name: str, read: Callable[[Path], object], path: Path) -> None:
    """Read a model's folder whose file of this name is the input, the others as they should be."""
    folder = path.parents[1] / f"folder-{path.name}"
    if not folder.exists():  # once: all but the input stays as it is
        for other, content in FOLDER.items():
            (folder / other).parent.mkdir(parents=True, exist_ok=True)
            (folder / other).write_text(json.dumps(content))
    (folder / name).write_bytes(path.read_bytes())
    try:
        read(folder)
    except XqgError as error:
        raise XqgError(f"{path}: {error}") from None


def resolve(folder: Path) -> None:
    EncoderSpec.resolve(str(folder))


READERS: dict[str, Callable[[Path], object]] = {
    "corpus.jsonl": read_corpus,
    "corpus.tsv": read_corpus,
    "queries.jsonl": read_queries,
    "queries.tsv": read_queries,
    "topics.dev.jsonl": read_topics,
    "topics.dev.tsv": read_topics,
    "topics.xml": read_topics,
    "qrels.dev.txt": read_qrels,
    "beir.tsv": read_qrels,
    "clusters": lambda path: read_clusters(path, []),
    "gold.dev.jsonl": read_gold,
    "predictions.json": read_predictions,
    "scores.csv": read_by_query,
    "a.run": read_run,
    "model.safetensors": check_header,
    "xqg_encoder.json": partial(in_its_folder, "xqg_encoder.json", resolve),
    **{name.replace("/", "-"): partial(in_its_folder, name, read_folder) for name in FOLDER},
    "xqg.json": lambda path: read_manifest(path.parent),
    "manifest.json": lambda path: Store(path.parent),
}
#: What the collection has no file for.
SEEDS = {
    "corpus.tsv": b'id\ttext\ttitle\n1\ta text\ta "title"\n2\t"say ""a"""\tb\n',
    "queries.tsv": b"docid\tlang\tquery\nd1\tte\ta query\n",
    "topics.xml": b"<top lang='te'>\n<num> Number: 1\n<title> a &amp; b\n</top>\n",
    "beir.tsv": b"query-id\tcorpus-id\tscore\nte-1\td1\t1\nte-1\td2\t0.0\n",
    "clusters": b"te-1 rivers\nte-2 lakes\n",
    "predictions.json": b'[{"id": "te-1", "lang": "te", "ctxs": ["a", "b"]}]',
    "scores.csv": b"qid,RR@10\nte-1,0.5\n",
    "a.run": b"te-1 Q0 d1 1 0.5 tag\nte-1 Q0 d2 2.0 2.5e-1 tag\n",
    **{name.replace("/", "-"): json.dumps(content).encode() for name, content in FOLDER.items()},
    "xqg_encoder.json": json.dumps(ENCODER).encode(),
    "model.safetensors": (72).to_bytes(8, "little")
    + b'{"a.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'.ljust(72)
    + bytes(8),
    "xqg.json": b'{"format": 1, "kind": "routed", "of": "flat", "routes": {"te": "te"}, '
    b'"fallback": "all", "encoder": {"model": "m"}, "languages": {"te": 2}}',
    "manifest.json": b'{"format": 1, "encoder": {"model": "m"}, "passages": 1, "dimension": 4, '
    b'"dtype": "float32", "queries": {"te": 2}, "kept_queries": false, "blocks": 1, '
    b'"digest": "00", "sample": {"te": {"rate": 1.0, "count": 2}}}',
}


def write_seeds(folder: Path, only: str | None = None) -> None:
    """The first two rows of each file, after the number of its reader."""
    folder.mkdir()
    mini = files("pyserini_xqg") / "demo" / "xqg-mini"
    for number, name in enumerate(READERS):
        if only not in (None, name):
            continue
        rows = SEEDS.get(name) or b"".join((mini / name).read_bytes().splitlines(True)[:2])
        (folder / name).write_bytes(bytes([number]) + rows)


def try_one(work: Path, data: bytes, only: str | None = None) -> None:
    """Read one input; whatever this raises is a defect."""
    if not data:
        return
    if only is not None:
        data = bytes([list(READERS).index(only)]) + data[1:]
    name, read = list(READERS.items())[data[0] % len(READERS)]
    path = work / name / name
    path.write_bytes(data[1:])
    try:
        read(path)
    except XqgError as error:
        # A manifest is called by its folder, too.
        if not str(error).startswith((f"{path}:", f"{path.parent}:", f"{path} names")):
            raise AssertionError(f"an error without its place: {error}") from error
    if beside := [other for other in os.listdir(path.parent) if other != name]:
        raise AssertionError(f"left beside {name}: {beside}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", nargs="*", help="files to try alone")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs in all (%(default)s)")
    parser.add_argument("--reader", choices=READERS, metavar="NAME", help="one of them alone")
    parser.add_argument("--each", action="store_true", help="so many inputs for every reader")
    given = parser.parse_args()
    if given.each:
        for name in READERS:
            command = [sys.executable, __file__, "--runs", str(given.runs), "--reader", name]
            said = subprocess.run(command, capture_output=True, text=True)
            print(f"{name}: {given.runs:,} inputs, status {said.returncode}", flush=True)
            if said.returncode:
                sys.exit(said.stderr[-4000:])
        return
    warnings.simplefilter("ignore")  # an unlisted language code is no error
    with tempfile.TemporaryDirectory() as folder:
        seeds, work = Path(folder, "seeds"), Path(folder, "work")
        write_seeds(seeds, given.reader)
        for name in READERS:
            (work / name).mkdir(parents=True)
        words = given.inputs or [f"-atheris_runs={given.runs}", str(seeds)]
        atheris.Setup([sys.argv[0], *words], partial(try_one, work, only=given.reader))
        atheris.Fuzz()  # ends the process itself


if __name__ == "__main__":
    main()
