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
    """Enter the classes into Pyserini's encoder maps under the name ``xqg``."""
    document_encoder_class_map["xqg"] = XqgDocumentEncoder
    query_encoder_class_map["xqg"] = XqgQueryEncoder
