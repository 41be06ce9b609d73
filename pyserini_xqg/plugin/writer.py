"""A writer for Pyserini's encoding loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from pyserini.encode._base import RepresentationWriter

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.collection.records import check_docid
from pyserini_xqg.encoder.probes import make_probes
from pyserini_xqg.index.flat import FlatIndexWriter
from pyserini_xqg.index.manifest import MANIFEST, index_manifest
from pyserini_xqg.index.maps_file import MAPS, describe_maps, save_maps
from pyserini_xqg.plugin.encoders import XqgDocumentEncoder


class XqgRepresentationWriter(RepresentationWriter):
    """Pyserini's writer for vectors that `XqgDocumentEncoder` made: a flat index of ours.

    Use it as a context. Unlike the stock writers it leaves nothing that could be taken for whole
    when the block ends with an error.

    Parameters
    ----------
    dir_path : path-like
        The index folder to make.
    encoder : XqgDocumentEncoder
        Whose specification and fusion settings the index records.
    overwrite : bool

    Raises
    ------
    XqgError
        For vectors that are not finite, and docids that are not unique or hold white space.
    """

    def __init__(
        self, dir_path: str | Path, encoder: XqgDocumentEncoder, *, overwrite: bool = False
    ) -> None:
        self._folder = OutputFolder(dir_path, MANIFEST, overwrite=overwrite)
        self._encoder = encoder
        self._queries = dict.fromkeys(encoder.maps.languages if encoder.maps else (), 0)
        self._covered = dict(self._queries)
        self._samples: dict[str, str] = {}
        self._seen: set[str] = set()

    def __enter__(self) -> XqgRepresentationWriter:
        self._folder.__enter__()
        self._folder.discard()  # the caller's loop starts anew, so does the folder
        self._writer = FlatIndexWriter(self._folder, {}, self._encoder.encoder.dimension)
        return self

    def write(self, batch_info: Mapping[str, Any], fields: Sequence[str] | None = None) -> None:
        """Add a batch: ``id``, ``vector``, and what it was made from (``text``, ``queries``)."""
        docids = [check_docid(str(docid), "batch") for docid in batch_info["id"]]
        for docid in docids:
            if docid in self._seen:
                raise XqgError(f"duplicate docid {docid!r}; docids must be unique")
            self._seen.add(docid)
        for text in batch_info.get("text") or ():
            if text and "und" not in self._samples:
                self._samples["und"] = " ".join(text.split()[:12])
        for of_passage in batch_info.get("queries") or ():
            for language, texts in of_passage.items():
                self._queries[language] = self._queries.get(language, 0) + len(texts)
                self._covered[language] = self._covered.get(language, 0) + bool(texts)
                if texts:
                    self._samples.setdefault(language, texts[0])
        self._writer.append(docids, np.asarray(batch_info["vector"], dtype=np.float32))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                encoder, facts = self._encoder.encoder, {}
                if self._encoder.maps is not None:
                    save_maps(self._encoder.maps, self._folder.partial / MAPS)
                    facts["maps"] = describe_maps(self._encoder.maps, self._folder.partial / MAPS)
                self._writer.finish(
                    index_manifest(
                        kind="faiss",
                        type="flat",
                        fusion=self._encoder.fusion,
                        queries=dict(sorted(self._queries.items())),
                        covered=dict(sorted(self._covered.items())),
                        **facts,
                        encoder=encoder.spec.to_dict(),
                        passages=self._folder.rows,
                        dimension=encoder.dimension,
                        probes=make_probes(encoder, self._samples),
                    )
                )
        finally:
            self._folder.__exit__(kind, error, trace)
