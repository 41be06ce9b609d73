"""Pyserini's door: our encoders, searchers and writer as subclasses of its own classes.

Importing this package starts Java and imports Pyserini, in this order.
"""

from __future__ import annotations

from pyserini_xqg.base.java import prepare

prepare()

from pyserini.encode import (  # noqa: E402 - only after Java is prepared
    document_encoder_class_map,
    query_encoder_class_map,
)
from pyserini.search.faiss import FaissSearcher  # noqa: E402

from pyserini_xqg.index.in_stock import take_ours  # noqa: E402
from pyserini_xqg.plugin.bm25_searchers import Bm25Searcher, RoutedBm25Searcher  # noqa: E402
from pyserini_xqg.plugin.encoders import XqgDocumentEncoder, XqgQueryEncoder  # noqa: E402
from pyserini_xqg.plugin.searchers import XqgSearcher  # noqa: E402
from pyserini_xqg.plugin.writer import XqgRepresentationWriter  # noqa: E402

__all__ = [
    "Bm25Searcher",
    "RoutedBm25Searcher",
    "XqgDocumentEncoder",
    "XqgQueryEncoder",
    "XqgRepresentationWriter",
    "XqgSearcher",
    "register",
]


def register() -> None:
    """Let Pyserini find our encoders where it looks for encoders by name.

    In its encoder maps they are called ``xqg``. ``FaissSearcher(index, encoder)`` with an index of
    ours, or a model folder with a saved specification, as its encoder takes ours too, where it
    would guess a class from the letters of the path; `import pyserini_xqg` alone does that, too.
    """
    document_encoder_class_map["xqg"] = XqgDocumentEncoder
    query_encoder_class_map["xqg"] = XqgQueryEncoder
    take_ours(FaissSearcher, XqgQueryEncoder)
