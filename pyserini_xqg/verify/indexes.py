"""Checks of an index: FAISS of any type, routed, or BM25."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.flat import block_rows, open_index, read_flat
from pyserini_xqg.manifest import read_manifest
from pyserini_xqg.shards import BLOCK
from pyserini_xqg.verify.check import (
    ERROR,
    OK,
    SKIPPED,
    WARNING,
    Check,
    Findings,
    Settings,
    Verdict,
    check,
    check_docids,
    check_encoder,
    count_docids,
    digest_of,
)
from pyserini_xqg.verify.norms import Norms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.store import Store

#: Of the vector's norm: what two machines may differ by.
TOLERANCE = 1e-5

Rows = Callable[[Sequence[int]], Iterator[tuple[list[str], "NDArray[np.float32]"]]]


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
    kind = manifest["type"] if manifest["kind"] == "faiss" else manifest["analyzer"]
    languages = " ".join(manifest["languages"]) or "no queries"
    return OK, f"{manifest['kind']}, {kind}, {manifest['passages']} passages, {languages}"


def _faiss(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    counted = check(path, "counts", lambda: _counts(path, manifest))
    yield counted
    yield check(path, "checksums", lambda: _checksums(path, manifest))
    if counted.verdict != ERROR:
        rows = _rows_of(path, manifest)
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
            yield check(path, "store", lambda: _against(path, manifest, rows, store))
    yield check_docids(path)
    yield check_encoder(path, manifest, settings)


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

    from pyserini_xqg.flat import flat_header
    from pyserini_xqg.output import log_line

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


def _against(path: Path, manifest: Mapping[str, Any], rows: Rows, store: Store) -> Verdict:
    """Fuse the store again, block by block, and compare."""
    from pyserini_xqg.index import corpus_centres
    from pyserini_xqg.settings import Fusion

    if not _exact(path, manifest):
        return SKIPPED, f"type {manifest['type']} does not keep the vectors as they are"
    if (store.passages, store.dimension) != (manifest["passages"], manifest["dimension"]):
        return ERROR, (
            f"the store has {store.passages} passages of dimension {store.dimension}; give the "
            "one that the index was made from, all shards in order"
        )
    languages = store.choose(list(manifest["languages"]))
    fusion = Fusion(
        manifest["method"],
        manifest["alpha"],
        manifest["weights"],
        manifest["centred"],
        manifest["l2_norm"],
    )
    centres = corpus_centres(store, languages) if fusion.centre else None
    sizes = [size for shard in store.paths for size in _cut(type(store)([shard]).passages)]
    far, worst = Findings(), 0.0
    for block, (docids, vectors) in zip(store.blocks(languages), rows(sizes), strict=True):
        if docids != block.docids:
            here, there = next(pair for pair in zip(docids, block.docids, strict=True)
                               if pair[0] != pair[1])  # fmt: skip
            return ERROR, f"docid {here!r} where the store has {there!r}"
        expected = fusion.apply(block, centres)
        lengths = np.linalg.norm(expected.astype(np.float64), axis=1)
        apart = np.linalg.norm(vectors.astype(np.float64) - expected, axis=1)
        ratios = apart / np.where(lengths > 0, lengths, 1)
        worst = max(worst, float(np.nan_to_num(ratios, nan=np.inf).max()))
        for row in np.flatnonzero(~(ratios <= TOLERANCE)):
            far.add(docids[row])
    if far:
        return ERROR, (
            f"{far.count} of {store.passages} vectors differ from the store's, by up to "
            f"{worst:.1e} of their length: {far}; build the index again"
        )
    if manifest.get("store") not in (None, store.digest):
        return WARNING, "the same vectors, though it was made from other files (shards, merged)"
    return OK, f"the same vectors (within {worst:.1e} of their length)"


def _exact(path: Path, manifest: Mapping[str, Any]) -> bool:
    import faiss

    if manifest["type"] == "flat":
        return True
    owner = open_index(path / "index")  # what `downcast_index` gives dies with it
    index = faiss.downcast_index(owner)
    return isinstance(faiss.downcast_index(getattr(index, "storage", index)), faiss.IndexFlat)


def _routed(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    folders = [path / name for name in sorted({*manifest["routes"].values(), manifest["fallback"]})]
    yield check(path, "routes", lambda: _routes(path, manifest, folders))
    for folder in folders:
        if folder.is_dir():
            for made in verify_index(folder, settings):
                if made.name != "encoder":  # the same for all: once, below
                    yield made
    yield check_encoder(path, manifest, settings)


def _routes(path: Path, manifest: Mapping[str, Any], folders: Sequence[Path]) -> Verdict:
    if missing := Findings(folder.name for folder in folders if not folder.is_dir()):
        return ERROR, f"missing: {missing}"
    if more := Findings(sorted(x.name for x in path.iterdir() if x.is_dir() and x not in folders)):
        return WARNING, f"no route leads to {more}"
    for folder in folders:
        of_route = read_manifest(folder)
        for key in ("encoder", "store"):
            if of_route[key] != manifest[key]:
                return ERROR, f"{folder.name} was made with another {key}"
    if len({digest_of(folder / "docid") for folder in folders}) > 1:
        return ERROR, "the routes hold different docids"
    return OK, f"{len(folders)} indexes of the same passages"


def _bm25(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    yield check(path, "lucene", lambda: _lucene(path, manifest))


def _lucene(path: Path, manifest: Mapping[str, Any]) -> Verdict:
    """Lucene's own checksums of every file, the number of documents, and their ids."""
    from pyserini_xqg.java import prepare

    prepare()
    import pyserini.index.lucene  # noqa: F401 - starts Java with Anserini
    from jnius import JavaException, autoclass, cast

    files = autoclass("java.nio.file.Paths")
    directory = autoclass("org.apache.lucene.store.FSDirectory")
    try:
        reader = autoclass("org.apache.lucene.index.DirectoryReader").open(
            directory.open(files.get(str(path)))
        )
        leaves = reader.leaves()
        for number in range(leaves.size()):
            leaf = cast("org.apache.lucene.index.LeafReaderContext", leaves.get(number)).reader()
            cast("org.apache.lucene.index.CodecReader", leaf).checkIntegrity()
        twice = Findings()
        ids = (
            autoclass("org.apache.lucene.index.MultiTerms")
            .getTerms(cast("org.apache.lucene.index.IndexReader", reader), "id")
            .iterator()
        )
        while (term := ids.next()) is not None:
            if ids.docFreq() > 1:
                twice.add(term.utf8ToString())
    except JavaException as error:
        return ERROR, f"Lucene: {str(error).splitlines()[0]}; build the index again"
    if reader.numDocs() != manifest["passages"]:
        return ERROR, f"{reader.numDocs()} documents, the manifest says {manifest['passages']}"
    if twice:
        return ERROR, f"duplicate docids: {twice}"
    return OK, f"{reader.numDocs()} documents, all docids different, Lucene's checksums hold"


_KINDS = {"faiss": _faiss, "routed": _routed, "bm25": _bm25}
