"""Generate on one device in this process, or on several with a process for each."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.devices import device_of

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from pyserini_xqg.collection.records import Passage
    from pyserini_xqg.generate.generator import Generated
    from pyserini_xqg.generate.settings import Settings

Kept = Mapping[str, Sequence[int]]


class Job(NamedTuple):
    """The queries in one language of the passages of one block."""

    block: int
    language: str
    passages: list[Passage]


def devices_of(text: str | None) -> list[str]:
    """The devices of ``--device``: separated by commas; by default the first GPU, or the CPU.

    Raises
    ------
    XqgError
        If there is an empty name among them, or a device that is not there.
    """
    if text is None:
        return [device_of(None)]
    devices = [name.strip() for name in text.split(",")]
    if not all(devices):
        raise XqgError(f"--device {text!r}: expected names such as cpu or cuda:0,cuda:1")
    return [device_of(name) for name in devices]


def generate_on(
    devices: Sequence[str], settings: Settings, kept: Kept, jobs: Iterable[Job]
) -> Iterator[tuple[Job, Generated]]:
    """Each job with its queries, as they become ready; with several devices in any order.

    Raises
    ------
    XqgError
        If a process dies, or meets an error; the others are stopped.
    """
    if len(devices) == 1:
        from pyserini_xqg.generate.generator import Generator

        generator = None
        for job in jobs:
            generator = generator or Generator(settings, devices[0], kept)
            yield job, generator.generate(job.passages, job.language)
        return
    from multiprocessing.connection import wait

    waiting = iter(jobs)
    working: dict[Any, tuple[_Worker, Job]] = {}
    workers: list[_Worker] = []
    try:
        for device, job in zip(devices, waiting, strict=False):
            workers.append(_Worker(device, settings, kept, _threads(devices)))
            workers[-1].pipe.send(job)
            working[workers[-1].pipe] = workers[-1], job
        while working:
            for pipe in wait(list(working)):
                worker, job = working.pop(pipe)
                yield job, worker.receive()
                if (following := next(waiting, None)) is not None:
                    worker.pipe.send(following)
                    working[pipe] = worker, following
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process that generates on one device."""

    def __init__(self, device: str, settings: Settings, kept: Kept, threads: int) -> None:
        from multiprocessing import get_context

        context = get_context("spawn")  # CUDA does not survive a fork
        self._device = device
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, device, settings, kept, threads), daemon=True
        )
        self._process.start()
        theirs.close()  # so that the process's death closes the pipe

    def receive(self) -> Generated:
        try:
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise XqgError(
                f"the process on {self._device} died (exit code {self._process.exitcode}; -9 is "
                "mostly the system out of memory); the same command goes on where it stopped"
            ) from None
        if kind == "error":
            raise XqgError(f"on {self._device}: {value}")
        if kind == "defect":
            raise RuntimeError(f"on {self._device}:\n{value}")
        generated: Generated = value
        return generated

    def stop(self) -> None:
        self.pipe.close()
        self._process.terminate()
        self._process.join()


def _work(pipe: Connection, device: str, settings: Settings, kept: Kept, threads: int) -> None:
    """What a process does: jobs from the pipe, queries into it, until it is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        import torch

        from pyserini_xqg.generate.generator import Generator

        if threads:
            torch.set_num_threads(threads)
        generator = Generator(settings, device, kept)
        while True:
            job = pipe.recv()
            pipe.send(("done", generator.generate(job.passages, job.language)))
    except (EOFError, KeyboardInterrupt):
        return
    except XqgError as error:
        pipe.send(("error", str(error)))
    except Exception:
        pipe.send(("defect", traceback.format_exc()))


def _end_with_parent() -> None:
    """A killed parent tells nobody: without this its processes would keep their GPUs."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _threads(devices: Sequence[str]) -> int:
    """Threads of each process on the CPU, so that together they have one a core; 0 elsewhere."""
    on_cpu = devices.count("cpu")
    return max(1, (os.cpu_count() or 1) // on_cpu) if on_cpu else 0
