"""Checks of an index of any kind, and of an export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.files import digest_of
from pyserini_xqg.base.output import log_line
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.index.export import FORMS, VECTORS, read_parts
from pyserini_xqg.index.flat import block_rows, flat_header, open_index, read_flat
from pyserini_xqg.index.lucene import FLAT, HNSW
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.verify.against import Rows, against, check_queries
from pyserini_xqg.verify.check import (
    ERROR,
    OK,
    SKIPPED,
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
from pyserini_xqg.verify.lucene import verify_bm25, verify_dense


def verify_index(path: Path, settings: Settings) -> Iterator[Check]:
    """Check one index of any kind."""
    described = check(path, "manifest", lambda: _describe(path))
    yield described
    if described.verdict == ERROR:
        return
    manifest = read_manifest(path)
    yield from _KINDS[manifest["kind"]](path, manifest, settings)


def _describe(path: Path) -> Verdict:
    manifest = read_manifest(path)
    if manifest["kind"] not in _KINDS:
        return ERROR, f"kind {manifest['kind']!r} is none of {', '.join(_KINDS)}"
    if manifest["kind"] == "routed":
        return OK, f"routed, {' '.join(manifest['routes'])} and {manifest['fallback']}"
    fact = {"faiss": "type", "bm25": "analyzer"}.get(manifest["kind"])
    more = f", {manifest[fact]}" if fact else ""
    languages = " ".join(manifest["languages"]) or "no queries"
    return OK, f"{manifest['kind']}{more}, {manifest['passages']} passages, {languages}"


def _faiss(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    counted = check(path, "counts", lambda: _counts(path, manifest))
    yield counted
    yield check(path, "checksums", lambda: _checksums(path, manifest))
    if counted.verdict != ERROR:
        yield from _vectors(path, manifest, _rows_of(path, manifest), settings)
    yield check_docids(path)
    yield check_encoder(path, manifest, settings)


def _max_sim(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    """A flat index with a row a query: docids come again, and the store has no such vectors."""
    rows = {**manifest, "passages": manifest["rows"]}
    counted = check(path, "counts", lambda: _counts(path, rows))
    yield counted
    yield check(path, "checksums", lambda: _checksums(path, rows))
    if counted.verdict != ERROR:
        yield from _vectors(path, rows, _rows_of(path, rows), replace(settings, store=None))
    yield check_encoder(path, manifest, settings)


def _export(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    def rows(sizes: Sequence[int]) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        return read_parts(path / VECTORS, manifest["kind"], sizes)

    yield check(path, "counts", lambda: _same_docids(path, manifest, rows))
    yield from _vectors(path, manifest, rows, settings)
    yield check_docids(path)
    yield check_encoder(path, manifest, settings)


def _same_docids(path: Path, manifest: Mapping[str, Any], rows: Rows) -> Verdict:
    """As many rows as the manifest says, in the order of the file ``docid``."""
    with open(path / "docid", encoding="utf-8", errors="replace", newline="\n") as file:
        for docids, vectors in rows(_cut(manifest["passages"])):
            expected = [line.removesuffix("\n") for line in islice(file, len(docids))]
            if docids != expected:
                return ERROR, f"other docids than in the file docid, from {docids[0]!r} on"
            if vectors.shape[1] != manifest["dimension"]:
                return ERROR, f"dimension {vectors.shape[1]}, not {manifest['dimension']}"
        if file.readline():
            return ERROR, f"more than {manifest['passages']} docids in the file docid"
    return OK, f"{manifest['passages']} docids and vectors, dimension {manifest['dimension']}"


def _vectors(
    path: Path, manifest: Mapping[str, Any], rows: Rows, settings: Settings
) -> Iterator[Check]:
    norms = Norms()
    readable = check(path, "vectors", lambda: _read(manifest, rows, norms))
    if readable.verdict == OK:
        yield check(path, "finite", norms.finite)
        yield check(path, "zero", norms.zero)
        yield check(path, "norms", norms.outliers)
    else:
        yield readable
    if settings.store is not None:
        store = settings.store
        yield check(path, "store", lambda: against(path, manifest, rows, store))
    yield from check_queries(path, manifest, settings)


def _counts(path: Path, manifest: Mapping[str, Any]) -> Verdict:
    index = open_index(path / "index")
    found = (index.ntotal, count_docids(path), index.d)
    rows, dimension = manifest["passages"], manifest["dimension"]
    if found != (rows, rows, dimension):
        return ERROR, (
            f"{found[0]} vectors of dimension {found[2]} and {found[1]} docids; the manifest says "
            f"{rows} of dimension {dimension}"
        )
    return OK, f"{rows} docids and vectors, dimension {dimension}"


def _checksums(path: Path, manifest: Mapping[str, Any]) -> Verdict:
    """Make the log of blocks again, whose checksum a flat index keeps."""
    import hashlib

    if "digest" not in manifest:
        return SKIPPED, f"type {manifest['type']} has none; --store compares the vectors"
    log = hashlib.blake2b(digest_size=16)
    sizes = {"docid": 0, "index": len(flat_header(0, manifest["dimension"]))}
    blocks = block_rows(manifest)
    for docids, vectors in read_flat(path, manifest, blocks):
        names = "".join(docid + "\n" for docid in docids)
        parts = {"docid": names.encode(errors="surrogateescape"), "index": vectors.tobytes()}
        sizes = {name: size + len(parts[name]) for name, size in sizes.items()}
        log.update(log_line(len(docids), sizes, parts))
    if log.hexdigest() != manifest["digest"]:
        return ERROR, "docids or vectors are not those that were written; build the index again"
    return OK, f"{len(blocks)} blocks of docids and vectors"


def _rows_of(path: Path, manifest: Mapping[str, Any]) -> Rows:
    """How this type's docids and vectors are read, as many at a time as is asked for."""
    if manifest["type"] == "flat":
        return lambda sizes: read_flat(path, manifest, sizes)

    def reconstruct(sizes: Sequence[int]) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        import faiss

        index, start = open_index(path / "index"), 0
        if faiss.try_extract_index_ivf(index) is not None:
            raise RuntimeError("inverted lists are searched from end to end for each number")
        with open(path / "docid", encoding="utf-8", errors="replace", newline="\n") as docids:
            for size in sizes:
                names = [line.removesuffix("\n") for line in islice(docids, size)]
                yield names, index.reconstruct_n(start, size)
                start += size

    return reconstruct


def _read(manifest: Mapping[str, Any], rows: Rows, norms: Norms) -> Verdict:
    try:
        for docids, vectors in rows(_cut(manifest["passages"])):
            norms.add(docids, vectors)
    except RuntimeError:
        return SKIPPED, f"type {manifest['type']} does not give single vectors"
    return OK, ""


def _cut(rows: int) -> list[int]:
    return [min(BLOCK, rows - start) for start in range(0, rows, BLOCK)]


def _routed(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    folders = [path / name for name in sorted({*manifest["routes"].values(), manifest["fallback"]})]
    yield check(path, "routes", lambda: _routes(path, manifest, folders))
    for folder in folders:
        if folder.is_dir():
            for made in verify_index(folder, settings):
                if made.name != "encoder":  # the same for all: once, below
                    yield made
    if manifest.get("of") != "bm25":
        yield check_encoder(path, manifest, settings)


def _routes(path: Path, manifest: Mapping[str, Any], folders: Sequence[Path]) -> Verdict:
    if missing := Findings(folder.name for folder in folders if not folder.is_dir()):
        return ERROR, f"missing: {missing}"
    if more := Findings(sorted(x.name for x in path.iterdir() if x.is_dir() and x not in folders)):
        return WARNING, f"no route leads to {more}"
    if manifest.get("of") == "bm25":
        if len({read_manifest(folder)["inputs"]["corpus"] for folder in folders}) > 1:
            return ERROR, "the routes were made from different passages"
        return OK, f"{len(folders)} indexes of the same passages"
    for folder in folders:
        of_route = read_manifest(folder)
        for key in ("encoder", "store"):
            if of_route[key] != manifest[key]:
                return ERROR, f"{folder.name} was made with another {key}"
    if len({digest_of(folder / "docid") for folder in folders}) > 1:
        return ERROR, "the routes hold different docids"
    return OK, f"{len(folders)} indexes of the same passages"


_KINDS = {
    "faiss": _faiss,
    MAX_SIM: _max_sim,
    "routed": _routed,
    "bm25": verify_bm25,
    FLAT: verify_dense,
    HNSW: verify_dense,
    **dict.fromkeys(FORMS, _export),
}
