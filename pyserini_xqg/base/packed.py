"""Files opened as what their first bytes say they are: plain, or packed in one of several ways."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from pyserini_xqg.base.errors import XqgError

#: What a name may end in where its content is packed; the content itself is what counts.
SUFFIXES = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".zstd", ".lz4")

_BUFFER = 1 << 18
_BLOCK = tarfile.BLOCKSIZE


class _Packing(NamedTuple):
    name: str
    starts: tuple[bytes, ...]
    open: Callable[[Path], Any]


def _arrow(name: str) -> Callable[[Path], Any]:
    def open_(path: Path) -> Any:
        import pyarrow  # Python itself reads neither before 3.14

        return pyarrow.input_stream(str(path), compression=name)

    return open_


# A zstd file may begin with one of sixteen frames that hold no content: pzstd writes one.
_SKIPPABLE = tuple(bytes([0x50 + n, 0x2A, 0x4D, 0x18]) for n in range(16))
# After the size of its blocks: how one begins, and how a file without any ends.
_BZIP2 = tuple(b"BZh%d" % size + mark for size in range(1, 10) for mark in (b"1AY&", b"\x17rE8"))
_PACKINGS = (
    _Packing("gzip", (b"\x1f\x8b",), gzip.open),
    _Packing("bzip2", _BZIP2, bz2.open),
    _Packing("xz", (b"\xfd7zXZ\x00", b"]\x00\x00"), lzma.open),
    _Packing("zstd", (b"\x28\xb5\x2f\xfd", *_SKIPPABLE), _arrow("zstd")),
    _Packing("lz4", (b"\x04\x22\x4d\x18",), _arrow("lz4")),
)
#: What is named and refused: by its first bytes, what it is and what to do.
_REFUSED = {
    b"PK\x03\x04": "a zip archive; unpack it and give what is in it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it and give what is in it",
    b"Rar!\x1a\x07": "a rar archive; unpack it and give what is in it",
    b"\x1f\x9d": "packed by Unix compress; unpack it with uncompress",
    b"PAR1\x15": "a Parquet file; expected lines of text, such as JSONL",
    # Before UTF-16, whose mark is the beginning of theirs.
    BOM_UTF32_LE: "in UTF-32; convert it to UTF-8, such as with iconv -f UTF-32 -t UTF-8",
    BOM_UTF32_BE: "in UTF-32; convert it to UTF-8, such as with iconv -f UTF-32 -t UTF-8",
    BOM_UTF16_LE: "in UTF-16; convert it to UTF-8, such as with iconv -f UTF-16 -t UTF-8",
    BOM_UTF16_BE: "in UTF-16; convert it to UTF-8, such as with iconv -f UTF-16 -t UTF-8",
    b"version https://git-lfs": "a pointer of git LFS, not the file; fetch it with git lfs pull",
}


def plain_name(name: str) -> str:
    """A file's name without the suffix of its packing."""
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def is_packed(path: Path) -> bool:
    """Whether a file is packed, by its first bytes."""
    return _packing(path) is not None


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file of input, open to be read, unpacked on the way.

    Raises
    ------
    XqgError
        Naming the file, if it is an archive or something else that has no lines of text, or is
        damaged: what reads from it inside the ``with`` gets that, too.
    """
    packing = _packing(path)
    if packing is None:
        with open(path, "rb") as file:
            _refuse(path, file.peek(_BLOCK)[:_BLOCK])
            yield file
        return
    try:
        # Lines are found many times faster in a buffer than by the modules that unpack.
        with io.BufferedReader(packing.open(path), _BUFFER) as stream:
            _refuse(path, stream.peek(_BLOCK)[:_BLOCK])
            yield cast("IO[bytes]", stream)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if getattr(error, "errno", None) is not None:  # the machine's, such as a disk that is full
            raise
        raise XqgError(
            f"{path}: its first bytes are those of {packing.name}, but it cannot be unpacked "
            f"({error}); fetch it again"
        ) from None


def _packing(path: Path) -> _Packing | None:
    with open(path, "rb") as file:
        start = file.read(8)
    return next((packing for packing in _PACKINGS if start.startswith(packing.starts)), None)


def _refuse(path: Path, start: bytes) -> None:
    for magic, what in _REFUSED.items():
        if start.startswith(magic):
            raise XqgError(f"{path}: {what}")
    if _is_tar(start):
        raise XqgError(f"{path}: a tar archive; unpack it (tar -xf) and give what is in it")
    if b"\0" in start:
        raise XqgError(
            f"{path}: holds NUL bytes: in UTF-16 without its mark (convert it to UTF-8, such as "
            "with iconv -f UTF-16LE -t UTF-8), or no text"
        )


def _is_tar(start: bytes) -> bool:
    if len(start) < _BLOCK or not start.strip(b"\0"):
        return False
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
