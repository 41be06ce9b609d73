"""Indexes that stock Pyserini wrote: what they do not say of themselves, the user does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.hub import Named, model_folder
from pyserini_xqg.encoder.presets import PRESETS
from pyserini_xqg.encoder.spec import POOLINGS, EncoderSpec
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.index.anserini import (
    allow_long_queries,
    count_searchable,
    java_class,
    quiet_anserini,
)
from pyserini_xqg.index.bm25 import check_analyzer, set_analyzer
from pyserini_xqg.index.bm25_text import Bm25Text
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.faiss_vectors import FaissVectors
from pyserini_xqg.index.flat import open_index
from pyserini_xqg.index.manifest import kind_of_stock, read_manifest
from pyserini_xqg.search.searcher import Searcher, open_searcher


class Bm25Settings(NamedTuple):
    """How a stock BM25 index is searched; the defaults are Pyserini's.

    Attributes
    ----------
    analyzer : str
        The code of the language that it was built for.
    k1, b : float
    rm3 : bool
        Expand queries by pseudo-relevance feedback.
    """

    analyzer: str = "en"
    k1: float = 0.9
    b: float = 0.4
    rm3: bool = False


#: Options of `add_stock_options` by the kind of index that they are for.
_OF_WORDS = ("analyzer", "k1", "b", "rm3")
_OF_ENCODER = ("preset", "pooling", "l2_norm", "query_prefix", "query_max_length")


def add_stock_options(parser: argparse.ArgumentParser) -> None:
    """What a user says of indexes that stock Pyserini wrote."""
    group = parser.add_argument_group("indexes of stock Pyserini, which say nothing of themselves")
    add = group.add_argument
    add(
        "--analyzer",
        metavar="CODE",
        help="of the Lucene index: the language that it was built for (--language, else en)",
    )
    add("--k1", type=float, help="of BM25 (default: 0.9)")
    add("--b", type=float, help="of BM25 (default: 0.4)")
    add("--rm3", action="store_true", help="expand queries by pseudo-relevance feedback")
    add("--preset", choices=PRESETS, metavar="NAME", help="of the encoder of the FAISS folder")
    add("--pooling", choices=POOLINGS, help="of that encoder")
    add("--l2-norm", action="store_true", default=None, help="of that encoder")
    add("--query-prefix", help="of that encoder")
    add("--query-max-length", type=int, help="tokens that it reads of a query")


def open_dense_side(path: str, args: argparse.Namespace) -> Searcher:
    """What ``--dense`` names, with the options of `add_stock_options`.

    Raises
    ------
    XqgError
        If an encoder is described that an index of ours records, or a stock one has none.
    """
    if not manifest_of(path).get("stock"):
        _only_stock(args, _OF_ENCODER, path)
        return open_searcher(
            path,
            encoder=args.encoder,
            device=args.device,
            detect=False,
            trust_remote_code=args.trust_remote_code,
        )
    if args.encoder is None and args.preset is None:
        raise XqgError(f"{path} does not say what encoded it: give --encoder (and --pooling ...)")
    if args.encoder is not None:  # what its folder says of it counts
        model_folder(Named(args.encoder, trust_remote_code=args.trust_remote_code))
    settings = {name: getattr(args, name) for name in _OF_ENCODER if name != "preset"}
    encoder = TopicEncoder(
        EncoderSpec.resolve(args.encoder, args.preset, **settings),
        device=args.device,
        batch_size=args.batch_size,
        trust_remote_code=args.trust_remote_code,
    )
    return open_stock_faiss(path, encoder)


def open_sparse_side(path: str, args: argparse.Namespace) -> Searcher:
    """What ``--sparse`` names, with the options of `add_stock_options`."""
    if not manifest_of(path).get("stock"):
        _only_stock(args, _OF_WORDS, path)
        return open_searcher(path, detect=False)
    given = {"analyzer": args.analyzer or args.language, "k1": args.k1, "b": args.b}
    chosen = {name: value for name, value in given.items() if value is not None}
    return open_stock_bm25(path, Bm25Settings(**chosen, rm3=args.rm3))


def open_side(path: str, args: argparse.Namespace, effort: Effort) -> Searcher:
    """A stock index that is searched alone, with the options of `add_stock_options`.

    Raises
    ------
    XqgError
        For options of the other kind of index, and as `open_dense_side` and `open_sparse_side`.
    """
    words = manifest_of(path)["kind"] == "bm25"
    for name in _OF_ENCODER if words else _OF_WORDS:
        if getattr(args, name) not in (None, False):
            kind = "a Lucene" if words else "a FAISS"
            raise XqgError(f"{_option(name)} is not for {kind} index such as {path}: leave it out")
    if words and args.encoder:
        raise XqgError(f"{path} is a Lucene index: leave --encoder out")
    searcher = (open_sparse_side if words else open_dense_side)(path, args)
    searcher.index.tune(effort)
    return searcher


def refuse_stock_options(args: argparse.Namespace, path: str) -> None:
    """Refuse what `add_stock_options` adds, for an index of ours.

    Raises
    ------
    XqgError
    """
    _only_stock(args, (*_OF_ENCODER, *_OF_WORDS), path)


def _only_stock(args: argparse.Namespace, names: Sequence[str], path: str) -> None:
    for name in names:
        if getattr(args, name) not in (None, False):
            raise XqgError(
                f"{_option(name)} is for indexes of stock Pyserini; {path} records its own: leave "
                "it out"
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def manifest_of(path: str | Path) -> dict[str, Any]:
    """The manifest of an index of ours; of a stock one its ``kind``, and that it is ``stock``.

    Raises
    ------
    XqgError
        If the folder is neither.
    """
    if kind := kind_of_stock(path):
        return {"kind": kind, "stock": True}
    return read_manifest(path)


def at_hand(name: str) -> str:
    """The folder itself, or that of one of Pyserini's prebuilt indexes, fetched if need be.

    Raises
    ------
    XqgError
        If there is no such index, or it cannot be fetched.
    """
    if Path(name).exists() or "/" in name or Path(name + ".partial").exists():
        return name
    java_class("java.lang.String")  # Java first: importing Pyserini may start it
    from pyserini.util import download_prebuilt_index

    try:
        return str(download_prebuilt_index(name, verbose=False))
    except ValueError as error:
        reason = str(error)
    except OSError as error:
        reason = f"it could not be fetched ({error})"
    raise XqgError(f"no such folder: {name}; and as one of Pyserini's prebuilt indexes: {reason}")


class StockText(Bm25Text):
    """A Lucene index of stock Pyserini, asked with BM25.

    Parameters
    ----------
    path : Path
    settings : Bm25Settings

    Raises
    ------
    XqgError
        If it holds no words to search, as Lucene's dense indexes, or its analyzer is not there.
    """

    def __init__(self, path: Path, settings: Bm25Settings) -> None:
        quiet_anserini()
        if not count_searchable(path, "contents"):
            raise XqgError(f"{path}: a Lucene index without words in 'contents'; BM25 needs them")
        check_analyzer(settings.analyzer)
        self._searcher = java_class("io.anserini.search.SimpleSearcher")(str(path))
        allow_long_queries()
        set_analyzer(self._searcher, settings.analyzer)
        self._searcher.set_bm25(settings.k1, settings.b)
        if settings.rm3:
            self._searcher.set_rm3()
        self._text, self._field = str, None


def open_stock_bm25(path: str | Path, settings: Bm25Settings) -> Searcher:
    """A stock Lucene index as a searcher; how it is read goes to standard error."""
    print(
        f"note: {path} is searched with BM25 (k1 {settings.k1:g}, b {settings.b:g}"
        f"{', RM3' if settings.rm3 else ''}) and the analyzer of {settings.analyzer!r}",
        file=sys.stderr,
    )
    return Searcher(StockText(Path(path), settings), None, name=str(path))


def open_stock_faiss(path: str | Path, encoder: TopicEncoder) -> Searcher:
    """A stock FAISS folder as a searcher with an encoder that the user names.

    Raises
    ------
    XqgError
        If its vectors have another dimension than the encoder's, or another metric than the dot
        product.
    """
    import faiss

    index = open_index(Path(path) / "index")
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise XqgError(f"{path}: a FAISS index of distances; expected inner products")
    if index.d != encoder.dimension:
        raise XqgError(
            f"{path}: vectors of dimension {index.d}; {encoder.spec.model} has "
            f"{encoder.dimension}: give the encoder that made them, with --encoder"
        )
    about: Mapping[str, Any] = {
        "kind": "faiss",
        "type": "flat" if isinstance(index, faiss.IndexFlat) else "other",
    }
    print(
        f"note: {path} does not say what encoded it: {encoder.spec.model} is taken at your word "
        f"(pooling {encoder.spec.pooling}, L2 norm {'on' if encoder.spec.l2_norm else 'off'})",
        file=sys.stderr,
    )
    return Searcher(FaissVectors(Path(path), about), encoder, name=str(path))
