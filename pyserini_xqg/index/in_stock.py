"""What stock Pyserini's own searchers do with an index of ours, once we are imported."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.spec import SPEC_FILE
from pyserini_xqg.index.bm25_text import field_of, is_bm25
from pyserini_xqg.index.manifest import MANIFEST, is_ours, read_manifest


def take_ours(searcher: Any, make: Callable[[str], Any]) -> None:
    """Let ``FaissSearcher(index, name)`` take what is ours by its path; all else stays as it is.

    Parameters
    ----------
    searcher : type
        Pyserini's ``FaissSearcher``, which guesses a class from the letters of a name.
    make : callable
        From the folder of an index, or of a model with a saved specification, to its encoder.
    """
    guess = searcher._init_encoder_from_str
    if getattr(guess, "knows_ours", False):
        return

    def by_name(encoder: str) -> Any:
        ours = any((Path(encoder) / name).is_file() for name in (MANIFEST, SPEC_FILE))
        return make(encoder) if ours else guess(encoder)

    by_name.knows_ours = True  # type: ignore[attr-defined]
    searcher._init_encoder_from_str = staticmethod(by_name)


def refuse_plain_words(searcher: Any) -> None:
    """Let ``LuceneSearcher`` say so where it would find nothing in an index of n-grams.

    Parameters
    ----------
    searcher : type
        Pyserini's ``LuceneSearcher``. Its subclasses, and all other indexes, stay as they are.
    """
    for name in ("search", "batch_search"):
        stock = getattr(searcher, name)
        if not getattr(stock, "knows_ours", False):
            setattr(searcher, name, _refusing(searcher, stock))


def _refusing(searcher: Any, stock: Any) -> Any:
    form = signature(stock)

    @wraps(stock)
    def search(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self) is searcher and is_ours(self.index_dir):
            given = form.bind(self, *args, **kwargs).arguments
            manifest = read_manifest(self.index_dir)
            field = field_of(manifest) if is_bm25(manifest) else None
            plain = isinstance(given.get("q", ""), str) and not given.get("query_generator")
            if field and plain and not given.get("fields"):
                raise XqgError(
                    f"{self.index_dir} is searched in its field {field!r}, for which Lucene has no "
                    "analyzer: open it with pyserini_xqg.Bm25Searcher, or give "
                    f"JWhiteSpaceAnalyzer, fields={{{field!r}: 1.0}}, and {field}(text) of "
                    "pyserini_xqg.index.bm25"
                )
        return stock(self, *args, **kwargs)

    search.knows_ours = True  # type: ignore[attr-defined]
    return search
