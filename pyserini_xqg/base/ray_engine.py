"""Shards of a command as tasks of a Ray cluster: ``--engine ray``.

Each task runs what the command runs with ``--shard-id i --shard-num N``, into an output of its own,
on a file system that all machines share. So a shard has the bytes that it has without Ray, and one
whose process died goes on where it stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.base.progress import Progress

#: How often a shard is begun again after the process or machine that had it died.
RETRIES = 3
# What may differ between two runs that finish each other's shards.
_FREE = ("engine", "ray_address", "num_gpus_per_task", "num_cpus_per_task", "device", "overwrite")
_FILES = (".jsonl.gz", ".json.gz", ".jsonl", ".json", ".gz")


class Shard(NamedTuple):
    """One task.

    Attributes
    ----------
    output : str
        What it makes; it is whole if it is there.
    given : Any
        What the command's function takes; pickled on its way to the task.
    """

    output: str
    given: Any


def add_ray_options(parser: argparse._ActionsContainer) -> None:
    """The options of ``--engine ray``, for every command that has it."""
    add = parser.add_argument
    add("--ray-address", metavar="A", help="of a running cluster; by default $RAY_ADDRESS, or one "
        "is started on this machine")  # fmt: skip
    add("--num-gpus-per-task", type=float, metavar="G", help="1 where the cluster has GPUs, else 0")
    add("--num-cpus-per-task", type=int, default=1, metavar="C",
        help="cores, and so threads, of a shard")  # fmt: skip


def shard_path(output: str | Path, number: int) -> str:
    """The name of a shard, as an absolute path: ``wiki-0``, but ``queries-0.jsonl.gz``."""
    path = str(Path(output).absolute())
    suffix = next((suffix for suffix in _FILES if path.endswith(suffix)), "")
    return f"{path.removesuffix(suffix)}-{number}{suffix}"


def changed(given: argparse.Namespace, **values: Any) -> argparse.Namespace:
    """The same options but for some."""
    return argparse.Namespace(**{**vars(given), **values})


def shard_numbers(options: argparse.Namespace, *, sample: bool = False) -> range:
    """The shards to make; where only a sample is measured, the first.

    Raises
    ------
    XqgError
        If a single shard is named, or their number makes no sense.
    """
    if options.shard_id:
        raise XqgError(
            f"--engine ray makes every shard: leave --shard-id {options.shard_id} out, or leave "
            "--engine ray out to make this one here"
        )
    if options.shard_num < 1:
        raise XqgError(f"--shard-num {options.shard_num}: expected at least 1")
    return range(1 if sample else options.shard_num)


def run_on_ray(
    run: Callable[[Any], None],
    shards: Sequence[Shard],
    options: argparse.Namespace,
    *,
    output: str | Path,
    settings: Mapping[str, Any],
    inputs: Sequence[str | Path],
    overwrite: bool = False,
    sample: bool = False,
) -> None:
    """Run one task a shard, and wait for all of them.

    A finished shard is passed over, an unfinished one goes on where it stopped. What the tasks
    print is printed here, shard by shard as they finish. After the first failure the other tasks
    are stopped.

    Parameters
    ----------
    run : callable
        Of a module that every machine has; called with a shard's ``given``.
    shards : sequence of Shard
    options : argparse.Namespace
        With the options of `add_ray_options`.
    output : path-like
        What the shards are numbered after. Beside them, in a dotfile, stands what they are made
        of, so that shards of two different runs are never taken for one.
    settings : mapping
        Every option that decides the bytes, in JSON types; see `settings_of`.
    inputs : sequence of path-like
        Files or folders; they may not change until all shards are made.
    overwrite : bool
        Make finished shards anew.
    sample : bool
        The tasks write nothing; look at no output.

    Raises
    ------
    XqgError
        If Ray is not installed, cannot be reached, or loses a task too often; if settings or
        inputs are not those of the shards that are there; and what a task raises.
    """
    ray = _import_ray()
    redo = overwrite or sample
    with _cluster(ray, options.ray_address):
        if not sample:
            _check_plan(Path(output).absolute(), {**settings, "inputs": _sizes(inputs)}, overwrite)
        task = ray.remote(_task).options(max_retries=RETRIES, **_resources(ray, options))
        here = os.getcwd()
        left = {task.remote(run, shard, here, redo): n for n, shard in enumerate(shards)}
        try:
            with Progress(len(shards), "shards", "shards") as bar:
                while left:
                    (ready,), _ = ray.wait(list(left))
                    number = left.pop(ready)
                    _show(number, *_result(ray, ready, number))
                    if not sample and not os.path.lexists(shards[number].output):
                        raise XqgError(
                            f"shard {number} was made, but {shards[number].output} is not here: "
                            "all machines must share the file system that it is on"
                        )
                    bar.update()
        finally:
            for ready in left:  # empty, unless one failed
                ray.cancel(ready)


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The options that decide the bytes of shards, by their names on the command line."""
    return {
        "--" + name.replace("_", "-"): value
        for name, value in vars(options).items()
        if name not in _FREE
    }


def _task(run: Callable[[Any], None], shard: Shard, folder: str, redo: bool) -> tuple[str, str]:
    """What a task does; returns what it printed."""
    if os.path.lexists(shard.output) and not redo:
        return "", ""
    with contextlib.suppress(FileNotFoundError):  # relative names mean the same, if they can
        os.chdir(folder)
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        run(shard.given)
    return out.getvalue(), err.getvalue()


def _result(ray: Any, ready: Any, number: int) -> tuple[str, str]:
    """What a task returned; its own error where it raised one."""
    try:
        result: tuple[str, str] = ray.get(ready)
        return result
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, XqgError):
            raise XqgError(f"shard {number}: {error.cause}") from None
        if isinstance(error.cause, OSError):  # the machine refuses: disk full, no permission
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise XqgError(
            f"shard {number}: its process died {RETRIES + 1} times ({type(error).__name__}; mostly "
            "out of memory: fewer shards at a time have more each, see --num-cpus-per-task); the "
            "same command goes on where it stopped"
        ) from None


def _show(number: int, out: str, err: str) -> None:
    for text, stream in ((out, sys.stdout), (err, sys.stderr)):
        for line in text.splitlines():
            print(f"shard {number}: {line}", file=stream)


def _check_plan(output: Path, plan: Mapping[str, Any], overwrite: bool) -> None:
    from pyserini_xqg.base.files import read_json, write_json
    from pyserini_xqg.base.output import check_same_plan

    file = output.with_name(f".{output.name}.shards.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and not overwrite:
        check_same_plan(f"the work on {output}", read_json(file), plan)
    else:
        write_json(file, plan)


def _sizes(inputs: Sequence[str | Path]) -> dict[str, list[int]]:
    """Size and time of each file: a shard that is passed over does not read them again."""
    from pyserini_xqg.base.files import input_files

    # What is no file may be a name: that, or that it is nothing, is for the tasks to find.
    paths = [path for path in inputs if Path(path).exists()]
    files = [Path(file).absolute() for path in paths for file in input_files(path)]
    return {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in files}


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # we tell nobody what our users do
    # Where one task has failed, Ray would print the tracebacks of those that fail after it.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    try:
        import ray
    except ImportError:
        raise XqgError(
            "--engine ray needs Ray, which is not installed: pip install 'pyserini_xqg[ray]'"
        ) from None
    return ray


@contextlib.contextmanager
def _cluster(ray: Any, address: str | None) -> Iterator[None]:
    """A connection to a cluster; one that the caller has already is taken, and left open."""
    if ray.is_initialized():
        yield
        return
    from pyserini_xqg.base.native import fault_handlers

    address = address or os.environ.get("RAY_ADDRESS") or "local"
    own = {"include_dashboard": False} if address == "local" else {}
    host, _, port = address.rpartition(":")
    restore = fault_handlers()
    try:
        if port.isdecimal() and "/" not in host:  # Ray would try for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
    except (OSError, RuntimeError, ValueError) as error:
        raise XqgError(
            f"--ray-address {address}: no cluster there ({reason_of(error)}); "
            "start one with ray start --head, or leave the address out for one of this machine"
        ) from None
    finally:
        restore()
    try:
        yield
    finally:
        ray.shutdown()
        restore()


def _resources(ray: Any, options: argparse.Namespace) -> dict[str, float]:
    """CPUs and GPUs of a task; says so where it will have to wait for them."""
    cpus, gpus = options.num_cpus_per_task, options.num_gpus_per_task
    if cpus < 1 or (gpus is not None and gpus < 0):
        raise XqgError("--num-cpus-per-task is at least 1, --num-gpus-per-task at least 0")
    cpus_there, gpus_there = (
        max((node["Resources"].get(name, 0) for node in ray.nodes()), default=0)
        for name in ("CPU", "GPU")
    )
    gpus = min(1, gpus_there) if gpus is None else gpus
    for option, asked, there in (
        ("--num-cpus-per-task", cpus, cpus_there),
        ("--num-gpus-per-task", gpus, gpus_there),
    ):
        if asked > there:
            print(
                f"note: {option} {asked:g}: no machine of the cluster has as many yet (at most "
                f"{there:g}); the shards wait for one",
                file=sys.stderr,
            )
    return {"num_cpus": cpus, "num_gpus": gpus}
