"""Vectors of topics that were encoded before, in a folder of bounded size.

One file an encoder, named by its `identity`, which tells it from any other without loading it: a
short header, then a row a text of its digest, its vector, and a checksum. Rows are only ever
appended, under a lock; a file that grows too large loses the older half. What is damaged is not
found, and no reason to stop.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import cache_folder
from pyserini_xqg.encoder.hub import Named, cached_folder
from pyserini_xqg.encoder.spec import EncoderSpec

_RECIPE = 2  # counts up when our own code gives other vectors for the same model and settings
_LIBRARIES = ("torch", "transformers", "tokenizers", "onnxruntime", "sentencepiece")
#: Folders inside a model's folder that are not part of it: what training leaves.
_OTHERS = (".", "checkpoint-")


def identity(spec: EncoderSpec) -> str | None:
    """A name for everything that decides an encoder's vectors: settings, files, libraries.

    Files count by their names, sizes, places on the disk, and times of the last change, of the
    content and of anything else: none can be exchanged, not even by one of the same size with an
    old date, without one of these being another. Reading them would take longer than a search.

    Returns
    -------
    str or None
        None where the files are not known: a model that is on no disk here.
    """
    files = []
    for model in (spec.model, spec.query_model):
        if model is not None:
            folder = cached_folder(Named(model, spec.revision))
            if folder is None:
                return None
            files.append([model, *_files(folder)])
    libraries = [(name, _version(name)) for name in _LIBRARIES]
    facts = json.dumps([_RECIPE, spec.to_dict(), files, libraries], sort_keys=True)
    return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()


def _files(folder: Path) -> Iterator[list[str | int]]:
    for where, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith(_OTHERS))
        for name in sorted(file for file in files if not file.startswith(_OTHERS)):
            path = os.path.join(where, name)
            try:
                facts = os.stat(path)
            except OSError:  # a link that leads nowhere
                continue
            yield [
                os.path.relpath(path, folder),
                facts.st_size,
                facts.st_mtime_ns,
                facts.st_ctime_ns,
                facts.st_ino,
                facts.st_dev,
            ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


#: Megabytes that all files may have together, or ``off``.
SWITCH = "XQG_TOPIC_CACHE"
_DEFAULT_MB = 256
_MAGIC = b"xQG topics 1\n"
_SUFFIX = ".vectors"


def cache_limit() -> int:
    """Bytes that the vectors of topics may take; 0 where none are kept.

    Raises
    ------
    XqgError
        If the environment says neither a number nor off.
    """
    said = os.environ.get(SWITCH, str(_DEFAULT_MB))
    if said == "off":
        return 0
    if not said.isdecimal():
        raise XqgError(f"{SWITCH}={said}: expected a number of megabytes, or off")
    return int(said) << 20


class VectorCache:
    """The vectors of one encoder's topics.

    Parameters
    ----------
    name : str
        Of the encoder: another encoder must have another.
    limit : int
        Bytes that all encoders' files may have.
    folder : Path or None
        By default in `cache_folder`.
    """

    def __init__(self, name: str, limit: int, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "xqg-topics"
        self._file = self._folder / f"{name}{_SUFFIX}"
        self._limit = limit
        with suppress(OSError):
            os.utime(self._file)  # used now: others go first where room is needed
        self._rows = _readable(self._file)
        self._added: dict[bytes, NDArray[np.float32]] = {}
        self._places = {key.tobytes(): row for row, key in enumerate(self._rows["key"])}

    def find(self, text: str) -> NDArray[np.float32] | None:
        """The vector of a text, shape ``(d,)``, or None."""
        key = _key(text)
        if key in self._added:
            return self._added[key]
        place = self._places.get(key)
        if place is None:
            return None
        row = self._rows[place]
        vector = np.array(row["vector"], dtype=np.float32)
        return vector if row["check"].tobytes() == _check(row["key"].tobytes(), vector) else None

    def add(self, found: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep vectors by their texts; where that cannot be done, it is not done."""
        if not found:
            return
        vectors = np.stack([*found.values()]).astype("<f4")
        rows = np.empty(len(found), _dtype(vectors.shape[1]))
        keys = [_key(text) for text in found]
        rows["key"] = np.frombuffer(b"".join(keys), "V16")
        rows["vector"] = vectors
        self._added |= zip(keys, vectors, strict=True)
        checks = [_check(key, vector) for key, vector in zip(keys, vectors, strict=True)]
        rows["check"] = np.frombuffer(b"".join(checks), "V8")
        with suppress(OSError):  # a full disk, or a folder that is not ours to write
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(self._folder / "lock"):
                self._append(rows)
                self._make_room()

    def _append(self, rows: NDArray[np.void]) -> None:
        header = _MAGIC + rows.dtype["vector"].shape[0].to_bytes(4, "little")
        whole = _readable(self._file)
        if whole.dtype != rows.dtype or not self._file.exists():
            self._replace(header, rows)
        elif len(header) + whole.nbytes + rows.nbytes > self._limit // 2:
            self._replace(header, np.concatenate([whole[len(whole) // 2 :], rows]))
        else:
            with open(self._file, "r+b") as file:
                file.seek(len(header) + whole.nbytes)  # over what a killed process left half
                file.write(rows.tobytes())
                file.truncate()

    def _replace(self, header: bytes, rows: NDArray[np.void]) -> None:
        most = max(1, (self._limit // 2 - len(header)) // rows.dtype.itemsize)
        partial = self._file.with_name(self._file.name + ".partial")
        partial.write_bytes(header + rows[-most:].tobytes())
        partial.replace(self._file)

    def _make_room(self) -> None:
        """Remove the files of the encoders that were used longest ago."""
        files = [(path.stat(), path) for path in self._folder.glob(f"*{_SUFFIX}")]
        total = sum(facts.st_size for facts, _ in files)
        for facts, path in sorted(files, key=lambda item: item[0].st_mtime_ns):
            if total > self._limit and path != self._file:
                path.unlink(missing_ok=True)
                total -= facts.st_size


def _dtype(dimension: int) -> np.dtype[np.void]:
    return np.dtype([("key", "V16"), ("vector", "<f4", (dimension,)), ("check", "V8")])


def _readable(file: Path) -> NDArray[np.void]:
    """The whole rows of a file; none where it is not there, or no file of ours."""
    nothing = np.empty(0, _dtype(0))
    try:
        content = file.read_bytes()
    except OSError:
        return nothing
    start = len(_MAGIC) + 4
    if content[: len(_MAGIC)] != _MAGIC or len(content) < start:
        return nothing
    row = _dtype(int.from_bytes(content[len(_MAGIC) : start], "little"))
    return np.frombuffer(content, row, (len(content) - start) // row.itemsize, start)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _check(key: bytes, vector: NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(key + vector.tobytes(), digest_size=8).digest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
