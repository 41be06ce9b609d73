"""Input files read line by line, small files written whole, and the folder for what is kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.packed import is_packed, opened, plain_name

Parsed = TypeVar("Parsed")

SUFFIXES = (".jsonl", ".json", ".tsv")


class Line(NamedTuple):
    """A line of input: its number from 1, its byte offset, and its bytes."""

    number: int
    offset: int
    content: bytes


def input_files(path: str | Path) -> list[Path]:
    """The JSONL or TSV files, packed or not, that a file or folder name stands for, sorted.

    Dotfiles are ignored; other files in a folder (a README) are passed over with a warning.

    Raises
    ------
    XqgError
        If there is no such file or folder, or nothing to read in it.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise XqgError(f"no such file or folder: {path}")
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    files = [path / name for name in names if plain_name(name).lower().endswith(SUFFIXES)]
    if not files:
        raise XqgError(f"{path}: no {', '.join(SUFFIXES)} files (or .gz of them) in this folder")
    if passed := [name for name in names if path / name not in files]:
        warnings.warn(
            f"{path}: passed over {len(passed)} other file(s): {', '.join(passed[:3])}",
            stacklevel=2,
        )
    return files


def input_file(path: str | Path) -> Path:
    """The path of one file of input.

    Raises
    ------
    XqgError
        If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise XqgError(f"{'not a file' if path.is_dir() else 'no such file'}: {path}")
    return path


def is_tsv(path: Path) -> bool:
    """Whether a file's name says that it is tab-separated."""
    return plain_name(path.name).lower().endswith(".tsv")


def unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or its content unpacked once into `folder` where it is packed.

    Only who comes back to a line by its offset needs this; `read_lines` unpacks on the way.

    Raises
    ------
    XqgError
        As `pyserini_xqg.base.packed.opened`.
    """
    if not is_packed(path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    was = path.stat()  # what a killed run unpacked is not taken for a file that has changed since
    name = f"{path.resolve()} {was.st_size} {was.st_mtime_ns}"
    key = hashlib.sha256(name.encode()).hexdigest()[:16]
    target = folder / f"{key}-{plain_name(path.name)}"
    if not target.exists():
        temporary = target.with_name(target.name + ".partial")
        with opened(path) as packed, open(temporary, "wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
        temporary.replace(target)
    return target


def read_lines(path: Path, offset: int = 0, number: int = 1) -> Iterator[Line]:
    """The lines of a file of input: the one place where any of them is read.

    What packs the file is seen from its first bytes; byte order marks are dropped, wherever files
    were put together; blank lines are left out.

    Parameters
    ----------
    path : Path
    offset : int
        Where to begin, in bytes of the unpacked content.
    number : int
        That of the line which begins there.

    Raises
    ------
    XqgError
        As `pyserini_xqg.base.packed.opened`, and for a file whose lines end in CR alone.
    """
    with opened(path) as file:
        if offset:
            file.seek(offset)
        for content in file:
            length = len(content)
            if not offset and not content.endswith(b"\n") and b"\r" in content.rstrip():
                raise XqgError(
                    f"{path}: its lines end in CR alone, as on old Macs; write LF instead, such as "
                    "with tr '\\r' '\\n'"
                )
            while content.startswith(BOM_UTF8):
                content = content[len(BOM_UTF8) :]
            if content.strip():
                yield Line(number, offset + length - len(content), content)
            offset += length
            number += 1


def read_whole(path: str | Path) -> bytes:
    """The content of one file of input, unpacked and without a byte order mark.

    Raises
    ------
    XqgError
        If there is no such file, and as `pyserini_xqg.base.packed.opened`.
    """
    with opened(input_file(path)) as file:
        return file.read().removeprefix(BOM_UTF8)


def parsed_rows(
    files: Iterable[Path],
    tsv: Callable[[bytes, str], Parsed],
    other: Callable[[bytes, str], Parsed],
) -> Iterator[tuple[str, Parsed]]:
    """Each row of some files: its file and line, and what a parser makes of its content and these.

    Parameters
    ----------
    files : iterable of Path
        From `input_files`.
    tsv, other : callable
        For files whose names say that they are tab-separated, and for all else.
    """
    for file in files:
        parse = tsv if is_tsv(file) else other
        for line in read_lines(file):
            where = f"{file}:{line.number}"
            yield where, parse(line.content, where)


@contextmanager
def written_whole(path: Path) -> Iterator[IO[str]]:
    """A text file, open to be written, that is whole or not there: temporary name, sync, rename."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8") as file:
        yield file
        sync(file)
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all."""
    with written_whole(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


def parsed_json(content: str | bytes) -> Any:
    """JSON in which no object has a key twice: of two values Python takes the last in silence.

    Raises
    ------
    ValueError, RecursionError
        For anything else.
    """
    return json.loads(content, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def read_json(path: Path) -> Any:
    """Read JSON that this package wrote.

    Raises
    ------
    XqgError
        If the file is damaged.
    """
    try:
        return parsed_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise XqgError(f"{path}: damaged ({error}); build it again") from None


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object that this package wrote, such as a manifest.

    Raises
    ------
    XqgError
        If the file is damaged.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise XqgError(f"{path}: damaged (a {type(found).__name__}, no object); build it again")
    return found


def check_fields(
    found: Mapping[str, Any], fields: Mapping[str, type | tuple[type, ...]], path: Path
) -> None:
    """Refuse an object, which may come from anybody, with fields of other types.

    Parameters
    ----------
    found : mapping
    fields : mapping of str to type or tuple of types
        What some of its fields hold; NoneType among the types for one that may be absent.
    path : Path
        Its file, for the message.

    Raises
    ------
    XqgError
    """
    for name, types in fields.items():
        value = found.get(name)
        wrong = not isinstance(value, types) or (isinstance(value, bool) and types is int)
        if wrong or (isinstance(value, int) and value < 0):
            raise XqgError(f"{path}: damaged ({name!r} is {value!r:.60}); build it again")


def digest(content: bytes | memoryview) -> str:
    """The checksum that a block is recorded with (BLAKE2b, 16 bytes, hexadecimal)."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def digest_of(path: Path) -> str:
    """The same of a file, which is not held in memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def sync(file: IO[Any]) -> None:
    """Bring a file's content to the disk."""
    file.flush()
    os.fsync(file.fileno())


def cache_folder() -> Path:
    """``PYSERINI_CACHE``, else ``pyserini_xqg`` in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if named := os.environ.get("PYSERINI_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pyserini_xqg"
