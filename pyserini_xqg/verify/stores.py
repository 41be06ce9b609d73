"""Checks of an embedding store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyserini_xqg.base.files import digest, digest_of
from pyserini_xqg.base.leftovers import LOG
from pyserini_xqg.store.columns import headers_of
from pyserini_xqg.store.sample import drawn
from pyserini_xqg.store.store import MANIFEST, Store
from pyserini_xqg.verify.check import (
    ERROR,
    OK,
    WARNING,
    Check,
    Findings,
    Norms,
    Settings,
    Verdict,
    check,
    check_docids,
    check_encoder,
    count_docids,
)


def verify_store(path: Path, settings: Settings) -> Iterator[Check]:
    """Check one store, or shard of a store."""
    described = check(path, "manifest", lambda: _describe(path))
    yield described
    if described.verdict == ERROR:
        return
    manifest = Store([path]).manifest
    files = _files(manifest)
    yield check(path, "files", lambda: _present(path, files))
    yield check(path, "counts", lambda: _counts(path, manifest, files))
    yield check(path, "checksums", lambda: _checksums(path, manifest, files))
    norms = Norms()
    yield check(path, "sums", lambda: _read(path, manifest, norms))
    yield check(path, "finite", norms.finite)
    yield check(path, "zero", norms.zero)
    yield check(path, "norms", norms.outliers)
    yield check_docids(path)
    yield check_encoder(path, manifest, settings)


def _describe(path: Path) -> Verdict:
    store = Store([path])
    _files(store.manifest), store.manifest["digest"], store.manifest["blocks"]  # all there
    languages = " ".join(store.languages) or "no queries"
    return OK, (
        f"{store.passages} passages, dimension {store.dimension}, {store.manifest['dtype']}, "
        f"{languages}"
    )


def _files(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """What each file begins with; the docids begin with nothing."""
    return headers_of(
        int(manifest["passages"]),
        int(manifest["dimension"]),
        np.dtype(manifest["dtype"]),
        manifest["queries"],
        {code: int(sample["queries"]) for code, sample in manifest.get("sample", {}).items()},
        keep_queries=manifest["kept_queries"],
    )


def _present(path: Path, files: Mapping[str, bytes]) -> Verdict:
    expected = {*files, LOG, MANIFEST}
    found = {entry.name for entry in path.iterdir()}
    if missing := sorted(expected - found):
        return ERROR, f"missing: {Findings(missing)}"
    if more := sorted(found - expected):
        return WARNING, f"not of the store: {Findings(more)}"
    return OK, f"all {len(expected)}"


def _counts(path: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Verdict:
    rows, wrong = int(manifest["passages"]), Findings()
    if (docids := count_docids(path)) != rows:
        wrong.add(f"{docids} docids")
    for name, header in files.items():
        if name == "docid":
            continue
        with open(path / name, "rb") as file:
            if file.read(len(header)) != header:
                wrong.add(f"{name} begins otherwise than the manifest says")
                continue
            shape, _, dtype = _shape(header)
            size, expected = path.joinpath(name).stat().st_size, int(np.prod(shape))
            if size != len(header) + expected * dtype.itemsize:
                wrong.add(f"{name} holds {size} bytes, not those of shape {shape}")
    for language, queries in manifest["queries"].items():
        total, smallest = 0, 0
        name = f"queries.{language}.count.npy"
        with open(path / name, "rb") as file:
            file.seek(len(files[name]))
            while len(part := file.read(1 << 20)) >= 4:
                counts = np.frombuffer(part[: len(part) // 4 * 4], dtype="<i4")
                total, smallest = total + int(counts.sum()), min(smallest, int(counts.min()))
        if total != queries or smallest < 0:
            wrong.add(f"{name} counts {total} queries, not {queries}")
    if wrong:
        return ERROR, f"{wrong}; the manifest says {rows} passages"
    return OK, f"{rows} docids and vectors, {sum(manifest['queries'].values())} queries"


def _shape(header: bytes) -> Any:
    import io

    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    return np.lib.format.read_array_header_1_0(file)


def _checksums(path: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Verdict:
    if digest_of(path / LOG) != manifest["digest"]:
        return ERROR, f"{LOG} is not the one that the manifest was written with"
    wrong, number = Findings(), 0
    ends = {name: len(header) for name, header in files.items()}
    with open(path / LOG, "rb") as log:
        for number, line in enumerate(log, 1):
            entry = json.loads(line)
            for name, end in entry["sizes"].items():
                with open(path / name, "rb") as file:
                    file.seek(ends[name])
                    if digest(file.read(end - ends[name])) != entry["digests"][name]:
                        wrong.add(f"block {number} of {name}")
                ends[name] = end
    if number != manifest["blocks"]:
        return ERROR, f"{number} blocks, the manifest says {manifest['blocks']}"
    if wrong:
        return ERROR, f"the bytes changed in {wrong}; encode again, or fetch a whole copy"
    return OK, f"{number} blocks of {len(ends)} files"


def _read(path: Path, manifest: Mapping[str, Any], norms: Norms) -> Verdict:
    """Sums that are finite, and zero where there are no queries."""
    infinite, sumless, other = Findings(), Findings(), Findings()
    for block in Store([path]).blocks(keep=bool(manifest["kept_queries"]), sample=True):
        norms.add(block.docids, block.passages)
        for language, sums in block.sums.items():
            finite = np.isfinite(sums).all(axis=1)
            empty = (block.counts[language] == 0) & (sums != 0).any(axis=1)
            for findings, rows in ((infinite, ~finite), (sumless, empty)):
                for row in np.flatnonzero(rows):
                    findings.add(f"{language} of {block.docids[row]}")
            if block.queries is not None and not np.isfinite(block.queries[language]).all():
                infinite.add(f"queries in {language} from {block.docids[0]} on")
            if block.sample is None:
                continue
            sampled = block.sample[language]
            rate = manifest["sample"][language]["rate"]
            expected = np.where(drawn(block.docids, rate), block.counts[language], 0)
            for row in np.flatnonzero(sampled.counts != expected):
                other.add(f"{language} of {block.docids[row]}")
            if not np.isfinite(sampled.vectors).all():
                infinite.add(f"the sample in {language} from {block.docids[0]} on")
    found = (
        ("NaN or infinity in", infinite),
        ("not zero without queries:", sumless),
        ("sampled otherwise than the manifest says:", other),
    )
    wrong = "; ".join(f"{what} {findings}" for what, findings in found if findings)
    return (ERROR, wrong) if wrong else (OK, "finite, and zero without queries")
