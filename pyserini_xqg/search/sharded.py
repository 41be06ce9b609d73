"""Several dense indexes searched as one: the best of each, merged.

Some are opened in this process, or all in processes that search them at the same time.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.shards import check_same_settings
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.index.dense import check_searchable, open_dense
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import Hits, merge_hits
from pyserini_xqg.index.manifest import check_maps, read_manifest

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    import numpy as np
    from numpy.typing import NDArray

    from pyserini_xqg.index.hits import DenseIndex


# What makes scores of two indexes comparable.
_SAME = ("encoder", "method", "alpha", "mu", "weights", "centred", "centres", "l2_norm",
         "routes", "fallback")  # fmt: skip


class Shards:
    """Indexes of different passages, searched one after the other in this process.

    Parameters
    ----------
    indexes : sequence of DenseIndex
        In an order that decides between equal scores.
    """

    def __init__(self, indexes: Sequence[DenseIndex]) -> None:
        self._indexes = indexes

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        """As `DenseIndex.search`, over all."""
        return merge_hits(
            [
                index.search(vectors, k, threads=threads, languages=languages)
                for index in self._indexes
            ],
            k,
        )

    def tune(self, effort: Effort) -> None:
        for index in self._indexes:
            index.tune(effort)

    def close(self) -> None:
        for index in self._indexes:
            index.close()


def open_here(paths: Sequence[Path], effort: Effort) -> DenseIndex:
    """Open indexes in this process, as one."""
    indexes = [open_dense(path) for path in paths]
    index = Shards(indexes) if len(indexes) > 1 else indexes[0]
    index.tune(effort)
    return index


def check_together(paths: Sequence[Path]) -> None:
    """Refuse indexes whose scores cannot be compared.

    Raises
    ------
    XqgError
        Naming what differs, or the index that is given twice.
    """
    manifests = [read_manifest(path) for path in paths]
    seen: dict[Any, Path] = {}
    for path, manifest in zip(paths, manifests, strict=True):
        check_searchable(path, manifest)
        facts, expected = (
            {key: _fact(of, key) for key in _SAME} for of in (manifest, manifests[0])
        )
        check_same_settings("searched together", path, facts, paths[0], expected)
        check_maps(path, manifest, paths[0], manifests[0])
        for mark in (path.resolve(), manifest.get("store")):
            if mark is not None and mark in seen:
                raise XqgError(f"{path} and {seen[mark]} hold the same passages; give each once")
            seen[mark] = path
    routes = {*manifests[0].get("routes", {}).values(), manifests[0].get("fallback")} - {None}
    for route in sorted(routes):
        check_together([path / route for path in paths])


def _fact(manifest: Mapping[str, Any], key: str) -> Any:
    """A fact that decides scores; an encoder whole, though written before a field existed."""
    if key == "encoder":
        return EncoderSpec.from_dict(manifest[key], key).to_dict()
    return manifest.get(key)


def open_shards(
    paths: Sequence[str | Path],
    *,
    processes: int = 1,
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> DenseIndex:
    """Open indexes of one encoder and fusion, of any kind, as one.

    Parameters
    ----------
    paths : sequence of path-like
    processes : int
        1 opens them in this process.
    effort : Effort

    Raises
    ------
    XqgError
        For indexes that do not belong together, or one given twice.
    """
    folders = [Path(path) for path in paths]
    check_together(folders)
    if processes > 1 and len(folders) > 1:
        return Pool(folders, processes, effort)
    return open_here(folders, effort)


class Pool:
    """Dense indexes of ours as one, spread over processes.

    Parameters
    ----------
    paths : sequence of Path
    processes : int
        At most; there is never more than one a path.
    effort : Effort

    Notes
    -----
    Processes are started anew, not forked (FAISS and Java do not survive that). So a script that
    uses this must begin its work under ``if __name__ == "__main__":``, as `multiprocessing` says.
    """

    def __init__(self, paths: Sequence[Path], processes: int, effort: Effort) -> None:
        number = min(processes, len(paths))
        ends = [len(paths) * part // number for part in range(number + 1)]
        self._workers = [_start(paths[first:last], effort) for first, last in pairwise(ends)]
        try:
            self._answers()  # all are open, or one says why not
        except XqgError:
            self.close()
            raise

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        """As `DenseIndex.search`, over all; `threads` are those of all processes together."""
        each = max(1, threads // len(self._workers))
        for worker in self._workers:
            worker.send((vectors, k, each, languages))
        return merge_hits(self._answers(), k)

    def tune(self, effort: Effort) -> None:
        for worker in self._workers:
            worker.send(effort)
        self._answers()

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()  # which ends the process
        for worker in self._workers:
            worker.process.join()

    def _answers(self) -> list[Any]:
        answers = [worker.answer() for worker in self._workers]  # of all, whatever one says
        for answer in answers:
            if isinstance(answer, XqgError):
                raise answer
        return answers


class _Worker(NamedTuple):
    """A process, and the pipe to it."""

    paths: Sequence[Path]
    process: SpawnProcess
    pipe: Connection[Any, Any]

    def send(self, request: Any) -> None:
        with suppress(OSError):  # `answer` says it
            self.pipe.send(request)

    def answer(self) -> Any:
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return XqgError(
                f"the process that searched {' '.join(map(str, self.paths))} ended (exit code "
                f"{self.process.exitcode}; -9 is most often for lack of memory): use fewer "
                "--threads, or smaller shards"
            )


def _start(paths: Sequence[Path], effort: Effort) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, paths, effort), daemon=True)
    process.start()
    theirs.close()
    return _Worker(paths, process, ours)


def _serve(pipe: Connection[Any, Any], paths: Sequence[Path], effort: Effort) -> None:
    """Open the indexes, and answer requests until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the process that asks
    try:
        index = open_here(paths, effort)
    except XqgError as error:
        pipe.send(error)
        return
    pipe.send(None)
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            return
        answer: Any = None
        try:
            if isinstance(request, Effort):
                index.tune(request)
            else:
                vectors, k, threads, languages = request
                answer = index.search(vectors, k, threads=threads, languages=languages)
        except XqgError as error:
            answer = error
        pipe.send(answer)
