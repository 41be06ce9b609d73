"""Passages' vectors that somebody else encoded: where they are, and how each kind is read.

Stock Pyserini's JSONL and FAISS folders, NumPy, Parquet, folders of Hugging Face `datasets`, and a
store of ours. Whatever the kind, a few hundred rows are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, read_lines, unpacked
from pyserini_xqg.collection.records import (
    Passage,
    PassageFormat,
    check_docid,
    docid_of,
    parse_json,
    passage_of,
)
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encode.vector_rows import (
    Rows,
    VectorFormat,
    one_vector,
    read_datasets,
    read_parquet,
)
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.index.flat import open_index
from pyserini_xqg.index.manifest import MANIFEST, read_manifest

#: Rows from number `start` on, a part at a time; packed files are unpacked into a folder once.
Read = Callable[[int, Path], Iterator[Rows]]


class VectorSource(NamedTuple):
    """Passages' vectors with their docids, in the order that a store of them has.

    Attributes
    ----------
    path : Path
        As the user gave it, for messages.
    kind : str
        In words.
    read : callable
        From a row number and a work folder to `Rows`.
    files : list of Path
        What is read.
    encoder : EncoderSpec or None
        Where the vectors say what made them: in what this package wrote.
    fields : sequence of str or None
        What was encoded of a passage, where they say that, too.
    """

    path: Path
    kind: str
    read: Read
    files: list[Path]
    encoder: EncoderSpec | None = None
    fields: Sequence[str] | None = None


def open_vectors(
    path: str | Path,
    docids: str | Path | None = None,
    form: PassageFormat = PassageFormat(),  # noqa: B008 - immutable
    vector_field: str | None = None,
) -> VectorSource:
    """Find out what kind of vectors a file or folder holds.

    Parameters
    ----------
    path : path-like
    docids : path-like or None
        For ``.npy``, which has none: a text file of one docid a line, or ``.npy`` of strings or
        integers.
    form : PassageFormat
        How rows with text are read, and what the docid's field is called.
    vector_field : str or None
        The vector's field or column where its name is none of the usual ones.

    Raises
    ------
    XqgError
        For what is none of the kinds, or holds other vectors than the encoder's.
    """
    path = Path(path)
    reading = VectorFormat(form, vector_field)
    if (path.suffix == ".npy") != (docids is not None):
        raise XqgError(
            f"{path}: --docids goes with --vectors X.npy, which has none of its own: a text file "
            "of one docid a line, or .npy of strings or integers"
        )
    if docids is not None:
        return _numpy(path, Path(docids))
    if (path / "passages.npy").is_file():
        return _store(path)
    if (path / "index").is_file() or path.suffix in (".faiss", ".index"):
        return _faiss(path)
    for name in ("state.json", "dataset_dict.json"):
        if (path / name).is_file():
            files = sorted(path.rglob("*.arrow"))
            return VectorSource(
                path, "Hugging Face dataset", partial(read_datasets, path, reading), files
            )
    parquet = [path] if path.suffix == ".parquet" else sorted(path.rglob("*.parquet"))
    if parquet and path.exists():
        return VectorSource(path, "Parquet", partial(read_parquet, parquet, reading), parquet)
    if not path.exists() and str(path).count("/") == 1:
        raise XqgError(
            f"no such file or folder: {path}; a dataset of the Hugging Face hub is fetched with: "
            f"hf download --repo-type dataset {path} --local-dir DIR"
        )
    files = input_files(path)
    return VectorSource(path, "JSONL", partial(_read_jsonl, files, reading), files)


def _read_jsonl(files: list[Path], reading: VectorFormat, start: int, work: Path) -> Iterator[Rows]:
    """Stock Pyserini's ``embeddings.jsonl``: ``id``, ``contents`` and ``vector`` in each line."""
    lines = (
        (f"{file}:{line.number}", line.content)
        for file in files
        for line in read_lines(unpacked(file, work / "unpacked"))
    )
    docids: list[str] = []
    vectors: list[NDArray[np.float32]] = []
    passages: list[Passage] = []
    first = start

    def rows() -> Rows:
        made = Rows(first, list(docids), np.stack(vectors), list(passages))
        for column in (docids, vectors, passages):
            column.clear()
        return made

    for number, (where, line) in enumerate(lines):
        if number < start:
            continue
        row = parse_json(line, where)
        name = reading.vector_name(list(row), where)
        if "text" in row or "contents" in row:
            passages.append(passage_of(row, where, reading.form))
        else:
            passages.append(Passage(docid_of(row, where, reading.form.docid_field), "", ""))
        vector = one_vector(row[name], where)
        if vectors and len(vector) != len(vectors[0]):
            raise XqgError(
                f"{where}: a vector of {len(vector)} components, the one before has "
                f"{len(vectors[0])}"
            )
        vectors.append(vector)
        docids.append(passages[-1].docid)
        if len(docids) == BLOCK:
            yield rows()
            first = number + 1
    if docids:
        yield rows()


def _numpy(path: Path, names: Path) -> VectorSource:
    for given in (path, names):
        if not given.is_file():
            raise XqgError(f"no such file: {given}")
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        listed = np.load(names, allow_pickle=False) if names.suffix == ".npy" else None
    except ValueError as error:
        raise XqgError(f"{path}: not NumPy's vectors and docids ({error})") from None
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise XqgError(
            f"{path}: an array of shape {vectors.shape} and {vectors.dtype}; expected one vector a "
            "row, as floating-point numbers"
        )

    def docids(start: int) -> Iterator[str]:
        if listed is not None:
            yield from (str(docid) for docid in listed[start:].tolist())
        else:
            yield from _lines_of(names, start)

    def read(start: int, work: Path) -> Iterator[Rows]:
        yield from _beside(
            docids(start), names, len(vectors), lambda at, n: vectors[at : at + n], start
        )

    return VectorSource(path, "NumPy", read, [path, names])


def _faiss(path: Path) -> VectorSource:
    """Stock Pyserini's FAISS folder: ``index`` and ``docid``."""
    import faiss

    index_file, names = path / "index", path / "docid"
    if path.is_file() or not names.is_file():
        raise XqgError(
            f"{path}: expected a folder with 'index' and 'docid' (one a line), as pyserini.encode "
            "--to-faiss and pyserini.index.faiss write it"
        )
    spec, fields = _own(path)
    index = open_index(index_file)
    if isinstance(index, faiss.IndexIVFFlat):
        index.make_direct_map()
    elif not isinstance(index, faiss.IndexFlat | faiss.IndexHNSWFlat):
        raise XqgError(
            f"{index_file}: FAISS's {type(index).__name__} does not hold the vectors themselves; "
            "expected a flat index, HNSW over flat, or IVF over flat"
        )

    def read(start: int, work: Path) -> Iterator[Rows]:
        yield from _beside(_lines_of(names, start), names, index.ntotal, index.reconstruct_n, start)

    return VectorSource(path, "FAISS", read, [index_file, names], spec, fields)


def _own(path: Path) -> tuple[EncoderSpec | None, Sequence[str] | None]:
    """The encoder of an index of ours, and what it encoded; stock ones do not say."""
    if not (path / MANIFEST).is_file():
        return None, None
    manifest = read_manifest(path)
    if manifest["languages"] and manifest.get("alpha"):
        raise XqgError(
            f"{path}: queries are folded into these vectors already (alpha {manifest['alpha']}); "
            "give the store that the index was made from"
        )
    spec = EncoderSpec.from_dict(manifest["encoder"], str(path / MANIFEST))
    return spec, manifest.get("fields")


def _store(path: Path) -> VectorSource:
    """The passages of a store of ours, to be given other queries."""
    from pyserini_xqg.store.store import Store

    store = Store([path])

    def read(start: int, work: Path) -> Iterator[Rows]:
        first = start
        for block in store.blocks([], start=start // BLOCK):
            skip = start % BLOCK if first == start else 0
            yield Rows(first, block.docids[skip:], block.passages[skip:], None)
            first += len(block.docids) - skip

    files = [path / "passages.npy", path / "docid"]
    return VectorSource(path, "store", read, files, store.encoder, store.manifest.get("fields"))


def _lines_of(path: Path, start: int) -> Iterator[str]:
    for line in read_lines(path):
        if line.number > start:
            yield line.content.decode(errors="surrogateescape").strip()


def _beside(
    docids: Iterator[str],
    names: Path,
    count: int,
    take: Callable[[int, int], Any],
    start: int,
) -> Iterator[Rows]:
    """Docids and vectors that lie in two files, a block at a time."""
    for first in range(start, count, BLOCK):
        size = min(BLOCK, count - first)
        some = [
            check_docid(docid, f"{names}:{first + number}")
            for number, docid in enumerate(islice(docids, size), 1)
        ]
        if len(some) < size:
            raise XqgError(f"{names}: {first + len(some)} docids for {count} vectors")
        yield Rows(first, some, np.asarray(take(first, size), dtype=np.float32), None)
    if next(docids, None) is not None:
        raise XqgError(f"{names}: more docids than the {count} vectors")
