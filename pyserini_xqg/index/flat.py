"""Flat FAISS indexes of any size, written and searched in little memory.

An `IndexFlatIP` file is a short header, the rows as raw float32, and nothing after them. So rows
can be appended block by block, and the header completed at the end; `tests/test_flat.py` holds
the bytes against those of `faiss.write_index`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.base.files import digest
from pyserini_xqg.base.leftovers import LOG
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.store.block import check_finite


class FlatIndexWriter:
    """Writes ``index`` and ``docid``, which Pyserini's FaissSearcher reads, block by block.

    Parameters
    ----------
    folder : OutputFolder
        Entered, not yet started.
    plan : mapping
        What decides the bytes; a resumed run must bring the same.
    dimension : int
        Components of a vector.

    Raises
    ------
    XqgError
        If a vector holds NaN or infinity, or has another dimension.
    """

    def __init__(self, folder: OutputFolder, plan: Mapping[str, Any], dimension: int) -> None:
        self._folder = folder
        self._dimension = dimension
        folder.start(plan, {"docid": b"", "index": flat_header(0, dimension)})

    def append(self, docids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Commit one block of vectors, shape ``(len(docids), dimension)``."""
        if vectors.shape != (len(docids), self._dimension):
            raise XqgError(
                f"vectors of shape {vectors.shape} for {len(docids)} docids; expected "
                f"({len(docids)}, {self._dimension})"
            )
        check_finite(vectors, docids)
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        self._folder.append(
            len(docids),
            {"docid": "".join(docid + "\n" for docid in docids).encode(), "index": rows.tobytes()},
        )

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Complete the header, write the manifest, and give the folder its name.

        The manifest gets what `pyserini_xqg.verify` needs to make the log of blocks, which is not
        kept, again from the files: ``blocks``, pairs of rows a block and how many such blocks
        follow each other, and ``digest``, the log's checksum.
        """
        log = (self._folder.partial / LOG).read_bytes()
        rows = (json.loads(line)["rows"] for line in log.splitlines())
        blocks = [[size, len(list(same))] for size, same in groupby(rows)]
        self._folder.finish(
            {**manifest, "blocks": blocks, "digest": digest(log)},
            {"index": flat_header(self._folder.rows, self._dimension)},
            keep_log=False,
        )


def flat_header(rows: int, dimension: int) -> bytes:
    """The header of a flat inner-product index of that many rows, in this FAISS's own format.

    Raises
    ------
    XqgError
        If this version of FAISS lays its file out otherwise.
    """
    import faiss

    empty = faiss.serialize_index(faiss.IndexFlatIP(dimension)).tobytes()
    # After a 4-byte name and the dimension: the number of rows; at the end: the number of floats.
    if empty[:4] != b"IxFI" or len(empty) != 45 or struct.unpack("<i", empty[4:8])[0] != dimension:
        raise XqgError(
            f"faiss {faiss.__version__} writes flat indexes in a layout that this version "
            "does not know; install faiss-cpu 1.15"
        )
    return empty[:8] + struct.pack("<q", rows) + empty[16:37] + struct.pack("<q", rows * dimension)


def block_rows(manifest: Mapping[str, Any]) -> list[int]:
    """The rows of each block that a flat index was written in."""
    return [rows for rows, count in manifest["blocks"] for _ in range(count)]


def read_flat(
    path: Path, manifest: Mapping[str, Any], blocks: Sequence[int], *, start: int = 0
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Docids and vectors of a finished flat index, a block at a time.

    Parameters
    ----------
    path : Path
    manifest : mapping
        Its ``xqg.json``.
    blocks : sequence of int
        Rows to read at a time, as many in all as the index has.
    start : int
        Blocks to pass over.

    Raises
    ------
    XqgError
        If the files do not hold what the manifest says.
    """
    rows, dimension = int(manifest["passages"]), int(manifest["dimension"])
    header, width = flat_header(rows, dimension), 4 * dimension
    with (
        open(path / "index", "rb") as vectors,
        open(path / "docid", encoding="utf-8", errors="surrogateescape", newline="\n") as docids,
    ):
        size = (path / "index").stat().st_size
        if vectors.read(len(header)) != header or size != len(header) + rows * width:
            raise XqgError(
                f"{path / 'index'}: damaged: no flat index of {rows} vectors of dimension "
                f"{dimension}, as the manifest says ({size} bytes, expected "
                f"{len(header) + rows * width}); build it again"
            )
        before = sum(blocks[:start])
        vectors.seek(before * width, 1)
        next(islice(docids, before, before), None)
        for number in blocks[start:]:
            names = [line[:-1] for line in islice(docids, number) if line.endswith("\n")]
            part = vectors.read(number * width)
            if len(names) < number or len(part) < number * width:
                raise XqgError(
                    f"{path}: fewer docids or vectors than the {rows} that the manifest says; "
                    "build it again"
                )
            yield names, np.frombuffer(part, dtype="<f4").reshape(number, dimension)
        if docids.readline():
            raise XqgError(f"{path / 'docid'}: more than {rows} docids; build the index again")


def open_index(path: Path) -> Any:
    """Open a FAISS index, mapped from disk, so that it may be larger than memory.

    Raises
    ------
    XqgError
        If the file is damaged.
    """
    import faiss

    try:
        # Older builds of FAISS cannot map a flat index; they read it whole.
        return faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
    except RuntimeError as error:
        raise XqgError(
            f"{path}: FAISS cannot read it ({reason_of(error)}); build the index again"
        ) from None
