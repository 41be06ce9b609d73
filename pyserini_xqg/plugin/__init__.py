"""Pyserini's door: our encoders, searchers and writer as subclasses of its own classes.

Importing this package starts Java and imports Pyserini, in this order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyserini_xqg.base.java import prepare

prepare()

from pyserini.encode import (  # noqa: E402 - only after Java is prepared
    document_encoder_class_map,
    query_encoder_class_map,
)
from pyserini.search.faiss import FaissSearcher  # noqa: E402

from pyserini_xqg.encoder.spec import SPEC_FILE  # noqa: E402
from pyserini_xqg.index.manifest import MANIFEST  # noqa: E402
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
    would guess a class from the letters of the path.
    """
    document_encoder_class_map["xqg"] = XqgDocumentEncoder
    query_encoder_class_map["xqg"] = XqgQueryEncoder
    guess = FaissSearcher._init_encoder_from_str
    if getattr(guess, "knows_ours", False):
        return

    def by_name(encoder: str) -> Any:
        ours = any((Path(encoder) / name).is_file() for name in (MANIFEST, SPEC_FILE))
        return XqgQueryEncoder(encoder) if ours else guess(encoder)

    by_name.knows_ours = True  # type: ignore[attr-defined]
    FaissSearcher._init_encoder_from_str = staticmethod(by_name)
