"""NumPy files, written and read a few rows at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError

_SUMMED = 1 << 16


def npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """A NumPy file header whose length does not depend on the number of rows."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer,
        {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape},
    )
    return buffer.getvalue()


def headers_of(
    rows: int,
    dimension: int,
    dtype: np.dtype[Any],
    queries: Mapping[str, int],
    samples: Mapping[str, int],
    *,
    keep_queries: bool,
) -> dict[str, bytes]:
    """What each file of a store begins with, its docids with nothing.

    By language `queries` says how many there are, and `samples` how many of them are drawn.
    """
    found = {"docid": b"", "passages.npy": npy_header((rows, dimension), dtype)}
    for language, count in queries.items():
        found[f"queries.{language}.sum.npy"] = npy_header((rows, dimension), dtype)
        found[f"queries.{language}.count.npy"] = npy_header((rows,), np.dtype(np.int32))
        if keep_queries:
            found[f"queries.{language}.npy"] = npy_header((count, dimension), dtype)
    for language, count in samples.items():
        found[f"sample.{language}.npy"] = npy_header((count, dimension), dtype)
        found[f"sample.{language}.row.npy"] = npy_header((count,), np.dtype(np.int64))
    return found


def widened(halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """The same numbers in single precision, at a quarter of the time that numpy takes."""
    # Sign, exponent and fraction move to where single precision has them; its exponent counts from
    # 112 further down.
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(~0x70001FFF)
    singles: NDArray[np.float32] = bits.view(np.float32)
    singles *= np.float32(2.0**112)
    if singles.size and max(singles.max(), -singles.min()) > np.finfo(np.float16).max:
        return halves.astype(np.float32)  # infinity and NaN came out as numbers
    return singles


def in_single(values: NDArray[Any]) -> NDArray[np.float32]:
    """What a file holds in single precision."""
    if values.dtype == np.float16:
        return widened(values)
    return values.astype(np.float32, copy=False)


class Column:
    """A NumPy file read a few rows at a time: a memory map would count the whole file as ours."""

    def __init__(self, path: Path, width: int) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed by `close`
        try:
            np.lib.format.read_magic(self._file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(self._file)
            if dtype.hasobject:
                raise ValueError("pickled objects, which are not read")
        except ValueError as error:
            self.close()
            raise XqgError(f"{path}: damaged ({error}); encode it again") from None
        if len(shape) == 2 and shape[1] != width:
            self.close()
            raise XqgError(f"{path}: {shape[1]} components, the manifest says {width}")
        self._path, self._width, self._dtype = path, width, dtype

    def skip(self, rows: int) -> None:
        self._file.seek(rows * self._width * self._dtype.itemsize, io.SEEK_CUR)

    def read(self, rows: int) -> NDArray[Any]:
        size = rows * self._width * self._dtype.itemsize
        content = self._file.read(size)
        if len(content) < size:
            raise XqgError(f"{self._path}: shorter than the manifest says; encode it again")
        return np.frombuffer(content, dtype=self._dtype).reshape(rows, self._width)

    def vectors(self, rows: int) -> NDArray[np.float32]:
        """The next rows in single precision, whatever the file holds."""
        return in_single(self.read(rows))

    def sum(self, rows: int) -> int:
        """The sum of the next rows."""
        return sum(int(part.sum(dtype=np.int64)) for part in self._parts(rows))

    def positive(self, rows: int) -> int:
        """How many of the next rows are above 0."""
        return sum(int(np.count_nonzero(part > 0)) for part in self._parts(rows))

    def _parts(self, rows: int) -> Iterator[NDArray[Any]]:
        for start in range(0, rows, _SUMMED):
            yield self.read(min(_SUMMED, rows - start))

    def close(self) -> None:
        self._file.close()
