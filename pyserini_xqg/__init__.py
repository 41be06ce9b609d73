"""Cross-lingual retrieval with query generation (xQG) for Pyserini."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pyserini_xqg.base.import_hooks import after_import, install

__version__ = "0.1.0"

# `from pyserini.search.lucene import LuceneSearcher` after us works beside an old Java, too.
install()

# Imported on first use: `import pyserini_xqg` must cost nothing.
_HOMES = {
    "Bm25Searcher": "plugin",
    "Encoder": "encoder.encoder",
    "EncoderSpec": "encoder.spec",
    "ExpandedSearcher": "expand.expander",
    "Fusion": "index.settings",
    "QueryExpander": "expand.expander",
    "Store": "store.store",
    "XqgDocumentEncoder": "plugin",
    "XqgError": "base.errors",
    "XqgQueryEncoder": "plugin",
    "XqgRepresentationWriter": "plugin",
    "XqgSearcher": "plugin",
    "build_index": "index.build",
    "build_routed": "index.build",
    "encode_corpus": "encode.corpus",
    "fuse": "fusion",
    "open_searcher": "search.searcher",
    "register": "plugin",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def _faiss(module: Any) -> None:
    from pyserini_xqg.index.in_stock import take_ours

    take_ours(module.FaissSearcher, lambda path: __getattr__("XqgQueryEncoder")(path))


def _lucene(module: Any) -> None:
    from pyserini_xqg.index.in_stock import refuse_plain_words

    refuse_plain_words(module.LuceneSearcher)


# With an index of ours, `FaissSearcher(index, index)` knows its encoder, and `LuceneSearcher` says
# where plain words find nothing.
after_import("pyserini.search.faiss._searcher", _faiss)
after_import("pyserini.search.lucene._searcher", _lucene)
