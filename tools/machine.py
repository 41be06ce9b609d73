"""What the machine itself gives, measured in the same run as what is held against it."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SIDE = 1024
_REPEAT = 5


class Timed(NamedTuple):
    """Seconds that passed, and seconds that cores worked: medians over repetitions."""

    wall: float
    cpu: float


class Peaks(NamedTuple):
    """Operations a CPU second of a product of square matrices; None where it cannot be measured."""

    float32: float | None
    int8: float | None


def timed(work: Callable[[], Any]) -> Timed:
    began, worked = time.perf_counter(), time.process_time()
    work()
    return Timed(time.perf_counter() - began, time.process_time() - worked)


def median(of: list[Timed]) -> Timed:
    return Timed(statistics.median(t.wall for t in of), statistics.median(t.cpu for t in of))


def processor() -> str:
    info = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    names = [line.split(":")[1].strip() for line in info.split("\n") if "model name" in line]
    flags = [flag for flag in ("avx2", "avx512f", "avx512_vnni") if f" {flag} " in info]
    return f"{names[0] if names else platform.processor()} ({' '.join(flags)})"


def peaks(threads: int) -> Peaks:
    """The machine's own sgemm (torch's) and int8 product (ONNX Runtime's), 1024 x 1024 x 1024."""
    import torch

    torch.set_num_threads(threads)
    one, other = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    return Peaks(_rate(lambda: one @ other), _int8_rate(threads))


def describe(found: Peaks) -> str:
    """One line of it."""
    said = [
        f"{name} {rate / 1e9:.0f}" if rate else f"{name} not measured (pip install onnx)"
        for name, rate in (("sgemm", found.float32), ("int8 product", found.int8))
    ]
    return f"the machine's own, {SIDE} x {SIDE}, 10^9 operations a CPU second: {', '.join(said)}"


def _rate(work: Callable[[], Any]) -> float:
    work()
    return 2 * SIDE**3 / median([timed(work) for _ in range(_REPEAT)]).cpu


def _int8_rate(threads: int) -> float | None:
    try:
        from onnx import TensorProto, helper
    except ImportError:
        return None
    import onnxruntime

    weights = np.random.default_rng(0).integers(-127, 128, (SIDE, SIDE), dtype=np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [SIDE, SIDE])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [SIDE, SIDE])],
        [helper.make_tensor("b", TensorProto.INT8, [SIDE, SIDE], weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = {"a": np.random.default_rng(1).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)}
    return _rate(lambda: session.run(None, inputs))
