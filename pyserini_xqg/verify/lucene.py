"""Checks of Lucene indexes: BM25, and dense vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import reason_of
from pyserini_xqg.index.lucene import FLAT, LuceneVectors
from pyserini_xqg.index.recall import Sample, measure
from pyserini_xqg.store.store import Store
from pyserini_xqg.verify.against import check_queries, fused_again
from pyserini_xqg.verify.check import (
    ERROR,
    OK,
    Check,
    Findings,
    Settings,
    Verdict,
    check,
    check_docids,
    check_encoder,
)


def verify_bm25(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    yield check(path, "lucene", lambda: _lucene(path, manifest))


def verify_dense(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    whole = check(path, "lucene", lambda: _lucene(path, manifest))
    yield whole
    if settings.store is not None and whole.verdict != ERROR:
        store = settings.store
        yield check(path, "store", lambda: _finds(path, manifest, store))
    yield from check_queries(path, manifest, settings)
    yield check_docids(path)
    yield check_encoder(path, manifest, settings)


def _finds(path: Path, manifest: Mapping[str, Any], store: Store) -> Verdict:
    """Whether an index finds what the store says, as it does not give its vectors."""
    fused, sample = fused_again(path, manifest, store), Sample(store.passages)
    for docids, vectors in fused.blocks("reading a sample"):
        sample.add(docids, vectors)
    index = LuceneVectors(path, manifest)
    found = measure(fused, sample.queries(), index)
    index.close()
    values = [f"{value:.3f} {step}".strip() for step, value in found["recall"].items()]
    line = f"recall@{found['k']} of {found['queries']} passages as queries: {', '.join(values)}"
    if manifest["kind"] == FLAT and any(value < 1 for value in found["recall"].values()):
        return ERROR, f"{line}; flat search is exact: build the index again"
    return OK, line


def _lucene(path: Path, manifest: Mapping[str, Any]) -> Verdict:
    """Lucene's own checksums of every file, the number of documents, and their ids."""
    from pyserini_xqg.base.java import prepare

    prepare()
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
        return ERROR, f"Lucene: {reason_of(error)}; build the index again"
    if reader.numDocs() != manifest["passages"]:
        return ERROR, f"{reader.numDocs()} documents, the manifest says {manifest['passages']}"
    if twice:
        return ERROR, f"duplicate docids: {twice}"
    return OK, f"{reader.numDocs()} documents, all docids different, Lucene's checksums hold"
