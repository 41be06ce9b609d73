"""Show in a few minutes what only a GPU can, as one table; where there is none, say so in one line.

Each row is a command in a process of its own, with what is left of the time as its limit: encoding,
generating and training with ``--device cuda``, the same vectors as on the CPU, encoding in float32
and bfloat16 beside the padded way, Pyserini and sentence-transformers with its part of the peak,
and generation beside transformers.generate.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.demo import TINY_ENCODER, XQG_MINI

HERE = Path(__file__).parent
#: Dense bfloat16 TFLOP/s by what a device's name holds, from its maker's data sheet.
PEAKS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125, "T4": 65}


class Check(NamedTuple):
    """A row: what it shows, its command, and how many of its last lines to show below the table."""

    title: str
    command: list[str]
    lines: int = 0


def checks(work: Path, device: str, peak: float | None, e5: Path | None) -> list[Check]:
    python = [sys.executable, "-m"]
    mini = str(XQG_MINI / "corpus.jsonl")
    encode = [
        *python, "pyserini_xqg.encode", "input", "--corpus", mini, "--fields", "title", "text",
        "output", "--embeddings",
    ]  # fmt: skip
    encoder = ["encoder", "--encoder", str(e5 or TINY_ENCODER), "--fields", "title", "text",
               "--device"]  # fmt: skip
    queries = ["xqg", "--queries", str(XQG_MINI / "queries.jsonl")]
    on_cpu, on_gpu, in_half = (str(work / name) for name in ("cpu", "gpu", "bfloat16"))
    same = [sys.executable, __file__, "--compare"]
    generate = [sys.executable, str(HERE / "bench_generate.py"), "--device", device, "--passages",
                "32", "--dtype"]  # fmt: skip
    bench = [sys.executable, str(HERE / "bench_encode.py"), "--device", device, "--texts", "20000",
             "--dtypes", "float32", "bfloat16", "--repeat", "2"]  # fmt: skip
    return [
        Check("encode on the CPU", [*encode, on_cpu, *encoder, "cpu", *queries]),
        Check("encode on the GPU", [*encode, on_gpu, *encoder, device, *queries]),
        Check("the same vectors", [*same, on_cpu, on_gpu, "0.99999"], 1),
        Check("the same in bfloat16", [*encode, in_half, *encoder, device, "--dtype", "bfloat16",
                                       *queries]),
        Check("near the CPU's float32 vectors", [*same, on_cpu, in_half, "0.99"], 1),
        Check(
            "train retriever on the GPU",
            [*python, "pyserini_xqg.train", "retriever", "--model", str(TINY_ENCODER), "--train",
             str(work / "pairs.jsonl"), "--epochs", "1", "--negatives", "0", "--device", "cuda",
             "--output", str(work / "trained")],
        ),
        Check("generation beside transformers.generate, float32", [*generate, "float32"], 6),
        Check("generation beside transformers.generate, bfloat16", [*generate, "bfloat16"], 6),
        Check(
            "encoding beside others, float32 and bfloat16",
            [*bench, *(["--peak-tflops", f"{peak:g}"] if peak else []),
             *(["--e5", str(e5)] if e5 else [])],
            40,
        ),
    ]  # fmt: skip


def write_pairs(path: Path) -> None:
    """Passages with their queries in one row, as training takes them."""
    import json

    rows = map(json.loads, (XQG_MINI / "corpus.jsonl").read_text("utf-8").splitlines())
    texts = {row["docid"]: row for row in rows}
    with open(path, "w", encoding="utf-8") as file:
        for line in (XQG_MINI / "queries.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            file.write(json.dumps({**texts[row["docid"]], **row}, ensure_ascii=False) + "\n")


def compare(one: Path, other: Path, least: float) -> None:
    """Print the least cosine of two stores' vectors, and fail where it is too low."""
    import numpy as np

    found, rows = 1.0, 0
    for file in sorted(one.glob("*.npy")):
        a, b = (np.load(path / file.name).astype(np.float64) for path in (one, other))
        if a.ndim == 2 and a.shape == b.shape:  # else counts of queries
            norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
            found = min(found, float(((a * b).sum(axis=1) / norms)[norms > 0].min()))
            rows += len(a)
    print(f"least cosine of {rows:,} vectors {found:.8f}")
    if not rows or found < least:
        sys.exit(1)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8, help="for all of it (8)")
    parser.add_argument("--e5", type=Path, help="the folder of tools/e5_folder.py, if it is there")
    parser.add_argument("--compare", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.compare:
        one, other, least = given.compare
        compare(Path(one), Path(other), float(least))
        return
    import torch

    if not torch.cuda.is_available():
        print("torch finds no GPU here: nothing was checked")
        return
    name = torch.cuda.get_device_name(0)
    peak = next((value for key, value in PEAKS.items() if key in name), None)
    end = time.monotonic() + 60 * given.minutes
    rows, shown, failed = [], [], False
    with tempfile.TemporaryDirectory() as work:
        write_pairs(Path(work) / "pairs.jsonl")
        for check in checks(Path(work), "cuda:0", peak, given.e5):
            began = time.monotonic()
            try:
                done = subprocess.run(
                    check.command, capture_output=True, text=True, timeout=max(1.0, end - began)
                )
                said = done.stdout.strip().splitlines()
                why = done.stderr.strip().splitlines()[-1:]
                verdict = "ok" if done.returncode == 0 else " ".join(["failed", *why])
                failed |= done.returncode != 0
            except subprocess.TimeoutExpired:
                said, verdict = [], "no time was left"
            rows.append(f"{check.title:<52}{time.monotonic() - began:7.1f} s  {verdict}")
            if check.lines and said:
                shown += [f"\n{check.title}", *said[-check.lines :]]
            print(rows[-1], flush=True)
    print(f"\n{name}; torch {torch.__version__}")
    print("\n".join(shown))
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
