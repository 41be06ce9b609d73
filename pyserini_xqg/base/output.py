"""Output folders that are whole or not there, and that a killed process can go on with."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pyserini_xqg.base.errors import XqgError, shortened
from pyserini_xqg.base.files import check_fields, digest, read_json, read_object, sync, write_json
from pyserini_xqg.base.leftovers import LEFTOVERS, LOG, REMOVED, tidy
from pyserini_xqg.base.refusing import check_names, refuse_around, refuse_existing, refuse_inside


class OutputFolder:
    """A folder that grows block by block under ``<name>.partial`` and is renamed when whole.

    A block is the unit of commit: its bytes are appended to every file and synced, then one line
    goes into ``blocks.jsonl``. What a killed process left beyond the last such line is cut off when
    the same command runs again.

    Parameters
    ----------
    path : path-like
        The finished folder.
    manifest : str
        The file whose presence makes the folder whole; written last.
    overwrite : bool
        Replace a finished folder, and start anew instead of resuming.

    Raises
    ------
    XqgError
        If the folder exists, or another process is writing it.
    """

    def __init__(self, path: str | Path, manifest: str, *, overwrite: bool = False) -> None:
        refuse_around(path)
        refuse_inside(path)
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.work = self.partial / "work"
        self.rows = 0
        self.blocks = 0
        self._manifest = manifest
        self._overwrite = overwrite
        self._files: dict[str, IO[bytes]] = {}
        refuse_existing(self.path, overwrite)

    def __enter__(self) -> Self:
        self.partial.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.partial / "lock", "ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise XqgError(
                f"{self.path} is being written by another process; wait for it, or give "
                "another name"
            ) from None
        if self._overwrite:
            self.discard()
        self.work.mkdir(exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        self._lock.close()

    def start(self, plan: Mapping[str, Any], headers: Mapping[str, bytes]) -> None:
        """Open the files, or take up the work of a killed process.

        Parameters
        ----------
        plan : mapping
            Everything that decides the bytes, in JSON types.
        headers : mapping of str to bytes
            What each file begins with; `finish` may replace it by as many bytes.

        Raises
        ------
        XqgError
            If the earlier process had another plan; the message names what changed.
        """
        plan_file, log_file = self.partial / "plan.json", self.partial / LOG
        sizes = {name: len(header) for name, header in headers.items()}
        if plan_file.exists():
            check_same_plan(str(self.partial), read_json(plan_file), plan)
            sizes, keep = self._read_log(log_file, sizes)
            os.truncate(log_file, keep)
        else:
            for name, header in headers.items():
                (self.partial / name).write_bytes(header)
            log_file.write_bytes(b"")
            write_json(plan_file, plan)
        for name, size in sizes.items():
            path = self.partial / name
            if not path.exists() or path.stat().st_size < size:
                raise XqgError(
                    f"{path} is missing or shorter than what was committed; start anew with "
                    "--overwrite"
                )
            file = self._files[name] = open(path, "r+b")  # noqa: SIM115 - closed on exit
            file.truncate(size)
            file.seek(size)
        self._log = self._files[LOG] = open(log_file, "ab")  # noqa: SIM115

    def append(self, rows: int, parts: Mapping[str, bytes | memoryview]) -> None:
        """Commit one block of `rows` passages: bytes for each of the files."""
        for name, part in parts.items():
            self._files[name].write(part)
        for name in parts:
            sync(self._files[name])
        sizes = {name: self._files[name].tell() for name in parts}
        self._log.write(log_line(rows, sizes, parts))
        sync(self._log)
        self.rows += rows
        self.blocks += 1

    def finish(
        self,
        manifest: Mapping[str, Any],
        headers: Mapping[str, bytes] | None = None,
        *,
        keep_log: bool = True,
    ) -> None:
        """Rewrite the headers, write the manifest, and give the folder its name."""
        for name, header in (headers or {}).items():
            self._files[name].seek(0)
            self._files[name].write(header)
            sync(self._files[name])
        # Until the rename, a killed process takes up its work from these; `tidy` removes them.
        leftovers = [*REMOVED] if keep_log else [*REMOVED, LOG]
        write_json(self.partial / LEFTOVERS, leftovers)
        write_json(self.partial / self._manifest, manifest)
        old = self.path.with_name(self.path.name + ".old")
        if os.path.lexists(self.path):  # only with --overwrite; it leaves at the last moment
            shutil.rmtree(old, ignore_errors=True)
            self.path.rename(old)
        self.partial.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)
        tidy(self.path)

    def _read_log(self, log_file: Path, sizes: dict[str, int]) -> tuple[dict[str, int], int]:
        keep = 0
        for line in log_file.read_bytes().splitlines(keepends=True):
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if entry is None:  # the line that was being written when the process died
                break
            check_names(entry["sizes"], log_file)
            keep += len(line)
            sizes = {**sizes, **entry["sizes"]}
            self.rows += entry["rows"]
            self.blocks += 1
        return sizes, keep

    def discard(self) -> None:
        """Forget what an earlier process left."""
        for entry in self.partial.iterdir():
            if entry.name == "lock":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.work.mkdir()


def read_finished(
    folder: Path,
    name: str,
    form: int,
    fields: Mapping[str, type | tuple[type, ...]],
    *,
    what: str,
    made_by: str,
) -> dict[str, Any]:
    """The manifest of a finished folder.

    Parameters
    ----------
    folder : Path
    name : str
        Of the manifest.
    form : int
        The format that it must have.
    fields : mapping of str to type or tuple of types
        As `pyserini_xqg.base.files.check_fields` takes them.
    what, made_by : str
        Such as ``xQG index``, and the command that makes one, for messages.

    Raises
    ------
    XqgError
        For a folder that is none, unfinished, damaged, or of another version.
    """
    if not (folder / name).is_file():
        partial = folder.parent / f"{folder.name}.partial"
        hint = (
            f"{partial} is an unfinished one: run its command again"
            if partial.is_dir()
            else f"make one with {made_by}"
        )
        raise XqgError(f"{folder} is no {what} (no {name}); {hint}")
    manifest = read_object(folder / name)
    if manifest.get("format") != form:
        raise XqgError(
            f"{folder}: format {manifest.get('format')!r} of {what}, expected {form}; make it "
            "again with this version"
        )
    check_fields(manifest, fields, folder / name)
    return manifest


def log_line(rows: int, sizes: Mapping[str, int], parts: Mapping[str, bytes | memoryview]) -> bytes:
    """The line of ``blocks.jsonl`` for a block: its rows, where each file ends, and checksums."""
    digests = {name: digest(part) for name, part in parts.items()}
    entry = {"rows": rows, "sizes": dict(sizes), "digests": digests}
    return json.dumps(entry).encode() + b"\n"


def check_same_plan(what: str, before: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """Refuse to go on with work that was begun by another plan.

    Raises
    ------
    XqgError
        Naming what changed.
    """
    now = json.loads(json.dumps(plan))  # as it was when it was written
    changed = [
        f"{key} was {_short(before.get(key))}, is now {_short(now.get(key))}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise XqgError(
            f"{what} was begun with other input or settings: "
            f"{'; '.join(changed)}. Run the first command again to finish it, or start "
            "anew with --overwrite"
        )


def _short(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False))
