"""Rows of vectors, as every reader of them gives them; and those that lie in columns.

Columns are those of Parquet files, and of folders that Hugging Face's `datasets` saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.collection.records import DOCID_FIELDS, Passage, PassageFormat, passage_of
from pyserini_xqg.collection.shards import BLOCK

#: What a vector's field or column is called: by Pyserini and Anserini first, then by others.
VECTOR_FIELDS = ("vector", "embedding", "emb", "embeddings", "vectors")


class Rows(NamedTuple):
    """Vectors that follow each other.

    Attributes
    ----------
    first : int
        The row number of the first, counted from 0.
    docids : list of str
    vectors : array, shape (n, d), float32
    passages : list of Passage or None
        Their texts, where these are given beside them.
    """

    first: int
    docids: list[str]
    vectors: NDArray[np.float32]
    passages: list[Passage] | None


class VectorFormat(NamedTuple):
    """How rows and columns are read.

    Attributes
    ----------
    form : PassageFormat
    vector_field : str or None
        The name of the vector's field where it is none of `VECTOR_FIELDS`.
    """

    form: PassageFormat = PassageFormat()
    vector_field: str | None = None

    @property
    def docid_names(self) -> tuple[str, ...]:
        """What the docid's field may be called."""
        return (self.form.docid_field,) if self.form.docid_field else DOCID_FIELDS

    def vector_name(self, present: Sequence[str], where: str) -> str:
        """The field or column that holds the vector.

        Raises
        ------
        XqgError
            If there is none.
        """
        names = (self.vector_field,) if self.vector_field else VECTOR_FIELDS
        for name in names:
            if name in present:
                return name
        raise XqgError(
            f"{where}: no vector in {' or '.join(names)}; found {', '.join(present) or 'nothing'}; "
            "see --vector-field"
        )


def one_vector(value: Any, where: str) -> NDArray[np.float32]:
    """A list of numbers as a vector, shape ``(d,)``.

    Raises
    ------
    XqgError
        For anything else.
    """
    try:
        vector = np.array(value, dtype=np.float32)
    except (TypeError, ValueError):
        vector = np.empty(0, dtype=np.float32)
    if vector.ndim != 1 or not vector.size:
        raise XqgError(f"{where}: expected the vector to be a list of numbers")
    return vector


# Beside the docid: what a row's text may lie in.
_TEXT_FIELDS = ("title", "text", "contents")


def read_parquet(
    files: Sequence[Path], reading: VectorFormat, start: int, work: Path
) -> Iterator[Rows]:
    """Rows from number `start` on; of a file, only the columns that are needed."""
    import pyarrow
    import pyarrow.parquet

    first = 0
    for path in files:
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                count = file.metadata.num_rows
                if first + count <= start:
                    first += count
                    continue
                names = _columns(file.schema_arrow.names, reading, str(path))
                row = 0
                for batch in file.iter_batches(batch_size=BLOCK, columns=names):
                    skip = min(max(start - first - row, 0), len(batch))
                    if skip < len(batch):
                        place = (first + row + skip, row + skip)
                        yield _rows(batch.slice(skip), reading, str(path), place)
                    row += len(batch)
                first += count
        except (pyarrow.ArrowException, OSError) as error:
            raise XqgError(f"{path}: not Parquet ({reason_of(error)})") from None


def read_datasets(path: Path, reading: VectorFormat, start: int, work: Path) -> Iterator[Rows]:
    """Rows from number `start` on of a dataset that ``save_to_disk`` wrote."""
    try:
        import datasets
    except ImportError:
        raise XqgError(f"{path} needs datasets: pip install datasets, or give Parquet") from None
    found = datasets.load_from_disk(str(path))
    if isinstance(found, datasets.DatasetDict):
        raise XqgError(
            f"{path} holds several splits: give the folder of one: "
            f"{', '.join(str(path / name) for name in found)}"
        )
    names = _columns(found.column_names, reading, str(path))
    arrow = found.select_columns(names).with_format("arrow")
    for first in range(start, len(arrow), BLOCK):
        table = arrow[first : first + BLOCK]
        (batch,) = table.combine_chunks().to_batches()
        yield _rows(batch, reading, str(path), (first, first))


def _columns(present: Sequence[str], reading: VectorFormat, where: str) -> list[str]:
    wanted = {reading.vector_name(present, where), *_TEXT_FIELDS, *reading.docid_names}
    return [name for name in present if name in wanted]


def _rows(batch: Any, reading: VectorFormat, where: str, place: tuple[int, int]) -> Rows:
    """A record batch as rows; `place` is its first row's number in all files and in its own."""
    first, row = place
    vectors = _vectors(batch, reading, where, row)
    text = [name for name in batch.schema.names if name in _TEXT_FIELDS]
    has_text = "text" in text or "contents" in text
    others = [name for name in batch.schema.names if name in (*text, *reading.docid_names)]
    passages = []
    for number, values in enumerate(batch.select(others).to_pylist(), row + 1):
        place_of = f"{where}: row {number}"
        passages.append(
            passage_of(values if has_text else {**values, "text": ""}, place_of, reading.form)
        )
    docids = [passage.docid for passage in passages]
    return Rows(first, docids, vectors, passages if has_text else None)


def _vectors(batch: Any, reading: VectorFormat, where: str, row: int) -> NDArray[np.float32]:
    column = batch.column(reading.vector_name(batch.schema.names, where))
    name = str(column.type)
    if not name.startswith(("list", "large_list", "fixed_size_list")):
        raise XqgError(f"{where}: the vector's column is of type {name}; expected lists of numbers")
    if column.null_count:
        at = next(islice((i for i, valid in enumerate(column.is_valid()) if not valid.as_py()), 1))
        raise XqgError(f"{where}: row {row + at + 1}: no vector")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    lengths = np.asarray(column.value_lengths().to_numpy(zero_copy_only=False))
    uneven = np.flatnonzero(lengths != lengths[0])
    if len(uneven) or not lengths[0] or flat.dtype.kind not in "fiu":
        at = uneven[0] if len(uneven) else 0
        raise XqgError(
            f"{where}: row {row + at + 1}: a vector of {lengths[at]} components of {flat.dtype}, "
            f"the first here has {lengths[0]}"
        )
    vectors: NDArray[np.float32] = flat.reshape(len(column), -1).astype(np.float32)
    return vectors
