"""Vectors as files for other software: JSON lines and Parquet, in parts.

Both hold what Anserini's collections of dense vectors read: ``docid`` and ``vector``. The lines say
``id`` as well, which is Pyserini's word for it: Anserini skips rows without its own in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.base.files import sync

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.index.fused import Fused
    from pyserini_xqg.index.options import Job

    Rows = Iterator[tuple[list[str], NDArray[np.float32]]]
    Write = Callable[[Sequence[str], NDArray[np.float32]], None]

#: Where the parts are: a folder of nothing else, as `pyserini.index.faiss` reads every file in it.
VECTORS = "vectors"
#: Blocks in a part. Anserini keeps the vectors of a whole Parquet file in memory: 65,536 here.
PART = 64


def write_export(job: Job) -> None:
    """Fill a folder with ``vectors/part-*``, ``docid``, and ``xqg.json`` last.

    A killed process's finished parts are kept. The manifest's kind is ``jsonl`` or ``parquet``.
    """
    folder, fused, plan, manifest, _ = job
    folder.start(plan, {})
    about = {key: value for key, value in manifest.items() if key != "versions"}
    write_parts(folder.partial / VECTORS, fused, manifest["kind"], about=about)
    fused.write_docids(folder.partial / "docid")
    folder.finish(manifest, keep_log=False)


def write_parts(
    folder: Path,
    fused: Fused,
    form: str,
    *,
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the parts that are not there yet, each under another name until it is whole.

    Parameters
    ----------
    folder : Path
        Made if need be; holds nothing else.
    fused : Fused
    form : {"jsonl", "parquet"}
    change : callable, optional
        What to do to each block's vectors.
    about : mapping, optional
        For the file's own metadata, where the form has some.
    """
    folder.mkdir(exist_ok=True)
    done = sum(1 for _ in folder.glob(f"part-*.{form}"))
    blocks = fused.blocks("writing vectors", start=done * PART)
    for number in range(done, -(-len(fused.block_sizes) // PART)):
        path = folder / f"part-{number:05d}.{form}"
        partial = path.with_name(path.name + ".partial")
        with FORMS[form](partial, about or {}) as write:
            for docids, vectors in islice(blocks, PART):
                write(docids, vectors if change is None else change(vectors))
        with open(partial, "r+b") as file:
            sync(file)
        partial.replace(path)


def read_parts(folder: Path, form: str, sizes: Sequence[int]) -> Rows:
    """Docids and vectors of an export, cut anew.

    Parameters
    ----------
    folder : Path
        The export's ``vectors``.
    form : {"jsonl", "parquet"}
    sizes : sequence of int
        Rows to give at a time, as many in all as there are.

    Raises
    ------
    XqgError
        If a part is damaged, or there are other numbers of rows.
    """
    read = (row for path in sorted(folder.glob(f"part-*.{form}")) for row in _READERS[form](path))
    for size in sizes:
        rows = list(islice(read, size))
        if len(rows) < size:
            raise XqgError(f"{folder}: fewer vectors than the manifest says; export again")
        yield [docid for docid, _ in rows], np.stack([vector for _, vector in rows])
    if next(read, None) is not None:
        raise XqgError(f"{folder}: more vectors than the manifest says; export again")


@contextmanager
def _write_jsonl(path: Path, about: Mapping[str, Any]) -> Iterator[Write]:
    with open(path, "w", encoding="utf-8") as file:

        def write(docids: Sequence[str], vectors: NDArray[np.float32]) -> None:
            # Nine digits bring every float32 back, and one format for a row is fast.
            numbers = ", ".join(["%.9g"] * vectors.shape[1])
            for docid, vector in zip(docids, vectors, strict=True):
                name = json.dumps(docid, ensure_ascii=False)
                file.write(
                    f'{{"id": {name}, "docid": {name}, "vector": '
                    f"[{numbers % tuple(vector.tolist())}]}}\n"
                )

        yield write


@contextmanager
def _write_parquet(path: Path, about: Mapping[str, Any]) -> Iterator[Write]:
    import pyarrow
    import pyarrow.parquet

    writer = None
    try:

        def write(docids: Sequence[str], vectors: NDArray[np.float32]) -> None:
            nonlocal writer
            dimension = vectors.shape[1]
            schema = pyarrow.schema(
                [("docid", pyarrow.string()),
                 ("vector", pyarrow.list_(pyarrow.float32(), dimension))],
                metadata={"xqg": json.dumps(about, ensure_ascii=False)},
            )  # fmt: skip
            if writer is None:
                # Vectors are noise to a compressor, and pages have checksums for `verify`.
                writer = pyarrow.parquet.ParquetWriter(
                    path, schema, compression="none", use_dictionary=False,
                    write_page_checksum=True,
                )  # fmt: skip
            flat = pyarrow.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
            columns = [
                pyarrow.array(docids, pyarrow.string()),
                pyarrow.FixedSizeListArray.from_arrays(flat, dimension),
            ]
            writer.write_batch(pyarrow.record_batch(columns, schema=schema))

        yield write
    finally:
        if writer is not None:
            writer.close()


def _read_jsonl(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                if row["id"] != row["docid"]:
                    raise ValueError("id and docid differ")
                yield row["docid"], np.array(row["vector"], dtype=np.float32)
            except (ValueError, KeyError, TypeError) as error:
                raise XqgError(f"{path}:{number}: damaged ({error}); export again") from None


def _read_parquet(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                column = table["vector"].combine_chunks()
                vectors = column.flatten().to_numpy().reshape(len(column), -1)
                yield from zip(table["docid"].to_pylist(), vectors, strict=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise XqgError(f"{path}: damaged ({reason_of(error)}); export again") from None


#: How a part is written.
FORMS: dict[str, Callable[[Path, Mapping[str, Any]], AbstractContextManager[Write]]] = {
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
_READERS = {"jsonl": _read_jsonl, "parquet": _read_parquet}
