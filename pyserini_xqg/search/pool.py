"""Processes that each keep some dense indexes open and search them at the same time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import Hits, merge_hits
from pyserini_xqg.search.sharded import check_together, open_here

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    import numpy as np
    from numpy.typing import NDArray

    from pyserini_xqg.index.hits import DenseIndex


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
