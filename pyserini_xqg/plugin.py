"""Pyserini's door: our encoders, searchers and writer as subclasses of its own classes.

Importing this module starts Java and imports Pyserini.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.java import prepare

prepare()

from pyserini.encode import (  # noqa: E402 - only after Java is prepared
    DocumentEncoder,
    QueryEncoder,
    document_encoder_class_map,
    query_encoder_class_map,
)
from pyserini.encode._base import RepresentationWriter  # noqa: E402
from pyserini.search.faiss import FaissSearcher  # noqa: E402
from pyserini.search.lucene import LuceneSearcher  # noqa: E402

from pyserini_xqg.blocks import Block, encode_generated  # noqa: E402
from pyserini_xqg.bm25 import query_text, set_analyzer  # noqa: E402
from pyserini_xqg.encoder import Encoder  # noqa: E402
from pyserini_xqg.errors import XqgError  # noqa: E402
from pyserini_xqg.flat import FlatIndexWriter, open_index  # noqa: E402
from pyserini_xqg.manifest import MANIFEST, index_manifest, read_manifest  # noqa: E402
from pyserini_xqg.output import OutputFolder  # noqa: E402
from pyserini_xqg.probes import check_probes, make_probes  # noqa: E402
from pyserini_xqg.records import check_docid  # noqa: E402
from pyserini_xqg.settings import Fusion  # noqa: E402
from pyserini_xqg.spec import SPEC_FILE, EncoderSpec  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray


def register() -> None:
    """Enter the classes into Pyserini's encoder maps under the name ``xqg``."""
    document_encoder_class_map["xqg"] = XqgDocumentEncoder
    query_encoder_class_map["xqg"] = XqgQueryEncoder


class XqgDocumentEncoder(DocumentEncoder):
    """Pyserini's document encoder that folds generated queries in.

    Parameters
    ----------
    model_name : str
        Hub name, or a folder.
    device : str or None
    batch_size : int
    fusion : Fusion or None
        Needed where `encode` is given queries.
    spec : EncoderSpec or None
        Instead of the one saved with the model, or of the preset of that name.
    **kwargs
        Not used. Stock Pyserini guesses pooling and norm from pieces of the model's name.
    """

    def __init__(
        self,
        model_name: str,
        device: str | None = None,
        *,
        batch_size: int = 64,
        fusion: Fusion | None = None,
        spec: EncoderSpec | None = None,
        **kwargs: Any,
    ) -> None:
        spec = spec or EncoderSpec.resolve(model_name)
        self.encoder = Encoder(spec, device=device, batch_size=batch_size)
        self.fusion = fusion or Fusion()
        self.has_model = True

    def encode(
        self,
        texts: Sequence[str],
        titles: Sequence[str] | None = None,
        queries: Sequence[Mapping[str, Sequence[str]]] | None = None,
        **kwargs: Any,
    ) -> NDArray[np.float32]:
        """Vectors of passages, fused with their generated queries where these are given.

        Parameters
        ----------
        texts, titles : sequence of str
        queries : sequence of mapping, optional
            For each passage its queries by language.
        **kwargs
            What stock Pyserini passes (``max_length``, ``fp16``, ``add_sep``) is not used: the
            encoder's specification decides.

        Returns
        -------
        array, shape (len(texts), d), float32

        Raises
        ------
        XqgError
            If there are queries and no fusion settings, or not one mapping a passage.
        """
        vectors = self.encoder.encode_passages(texts, titles)
        if queries is None:
            return vectors
        if len(queries) != len(texts):
            raise XqgError(f"{len(queries)} mappings of queries for {len(texts)} texts")
        languages = sorted({language for of_passage in queries for language in of_passage})
        self.fusion.check(languages)
        sums, counts, _ = encode_generated(queries, languages, self.encoder)
        docids = [str(row) for row in range(len(texts))]
        return self.fusion.apply(Block(docids, vectors, sums, counts))


class XqgQueryEncoder(QueryEncoder):
    """Pyserini's query encoder for an index of ours.

    Parameters
    ----------
    encoder_dir : path-like
        An index folder, or a model folder with a saved specification. For an index the encoder is
        checked against the index's probes.
    device : str
    encoder : str or None
        Another place of the same model.
    batch_size : int
    **kwargs
        Stock Pyserini's other arguments; they belong to the specification and may not differ.

    Raises
    ------
    XqgError
        For any other folder, and for an encoder that does not fit the index.
    """

    def __init__(
        self,
        encoder_dir: str | Path,
        device: str | None = "cpu",
        *,
        encoder: str | None = None,
        batch_size: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        for name in ("prefix", "tokenizer_name"):
            if kwargs.get(name):
                raise XqgError(
                    f"{name} {kwargs[name]!r}: the encoder's specification decides; leave it out"
                )
        path = Path(encoder_dir)
        if (path / MANIFEST).is_file():
            manifest = read_manifest(path)
            if "encoder" not in manifest:
                raise XqgError(f"{path} is a {manifest['kind']} index and has no encoder")
            spec = EncoderSpec.from_dict(manifest["encoder"], str(path / MANIFEST)).at(encoder)
        elif (path / SPEC_FILE).is_file():
            manifest, spec = {}, EncoderSpec.resolve(encoder or str(path))
        else:
            raise XqgError(
                f"{path} is neither an xQG index (no {MANIFEST}) nor a model folder with a saved "
                f"specification (no {SPEC_FILE}); for other models use --encoder-class auto"
            )
        self.encoder = Encoder(spec, device=device, batch_size=batch_size)
        check_probes(self.encoder, manifest.get("probes", ()), str(path))
        self.has_model = True

    def encode(self, query: str, **kwargs: Any) -> NDArray[np.float32]:
        """The vector of one topic, shape ``(d,)``, float32."""
        vector: NDArray[np.float32] = self.encoder.encode_queries([query])[0]
        return vector

    def encode_batch(self, queries: Sequence[str], **kwargs: Any) -> NDArray[np.float32]:
        """The vectors of topics, shape ``(len(queries), d)``, float32."""
        return self.encoder.encode_queries(queries)


class XqgSearcher(FaissSearcher):
    """A `FaissSearcher` that knows its encoder, and routes topics by language.

    Parameters
    ----------
    index_dir : path-like
        A FAISS index of ours, or a routed folder of them.
    encoder : str or None
        Another place of the same model.
    device : str
        Of the encoder.

    Raises
    ------
    XqgError
        If the folder is no dense index of ours, or the encoder is not the one it was built with.
    """

    def __init__(
        self, index_dir: str | Path, *, encoder: str | None = None, device: str | None = "cpu"
    ) -> None:
        manifest = read_manifest(index_dir)
        if manifest["kind"] not in ("faiss", "routed"):
            raise XqgError(f"{index_dir} is a {manifest['kind']} index; open it with Bm25Searcher")
        self._routes: dict[str, str] = manifest.get("routes", {})
        self._root = Path(index_dir)
        self._opened: dict[str, FaissSearcher] = {}
        own = self._root / manifest["fallback"] if self._routes else self._root
        query_encoder = XqgQueryEncoder(index_dir, device, encoder=encoder)
        super().__init__(str(own), query_encoder)

    def load_index(self, index_dir: str) -> tuple[Any, list[str]]:
        """Open the index mapped from disk, so that it may be larger than memory."""
        index = open_index(Path(index_dir, "index"))
        docids = self.load_docids(f"{index_dir}/docid")
        if index.ntotal != len(docids):
            raise XqgError(
                f"{index_dir}: {index.ntotal} vectors and {len(docids)} docids; build it again"
            )
        return index, docids

    def route(self, language: str | None) -> FaissSearcher:
        """The searcher for topics in a language: its own index, or the one over all languages."""
        if not language or language not in self._routes:
            return self
        if language not in self._opened:
            path = str(self._root / self._routes[language])
            searcher = _Route.__new__(_Route)
            FaissSearcher.__init__(searcher, path, self.query_encoder)
            self._opened[language] = searcher
        return self._opened[language]

    def search(  # type: ignore[no-untyped-def]
        self, query: Any, k: int = 10, *args: Any, language: str | None = None, **kwargs: Any
    ):
        """As `FaissSearcher.search`; `language` chooses the route of a routed index."""
        searcher = self.route(language)
        if searcher is not self:
            return searcher.search(query, k, *args, **kwargs)
        return super().search(query, k, *args, **kwargs)

    def batch_search(  # type: ignore[no-untyped-def]
        self,
        queries: Any,
        q_ids: Sequence[str],
        k: int = 10,
        threads: int = 1,
        *args: Any,
        languages: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        """As `FaissSearcher.batch_search`; `languages`, one a query, choose the routes."""
        if not self._routes or not languages:
            return super().batch_search(queries, q_ids, k, threads, *args, **kwargs)
        vectors = queries
        if not isinstance(queries, np.ndarray):
            vectors = self.query_encoder.encode_batch(queries)
        hits: dict[str, Any] = {}
        for language in sorted(set(languages)):
            rows = [row for row, code in enumerate(languages) if code == language]
            ids = [q_ids[row] for row in rows]
            searcher = self.route(language)
            search = super().batch_search if searcher is self else searcher.batch_search
            hits.update(search(vectors[rows], ids, k, threads, *args, **kwargs))
        return {qid: hits[qid] for qid in q_ids}


class _Route(FaissSearcher):
    """One language's index inside a routed folder; it shares the encoder."""

    load_index = XqgSearcher.load_index


class Bm25Searcher(LuceneSearcher):
    """A `LuceneSearcher` that analyzes topics as its index was built.

    Parameters
    ----------
    index_dir : path-like
        Made by `pyserini_xqg.bm25.build_bm25`.
    """

    def __init__(self, index_dir: str | Path) -> None:
        manifest = read_manifest(index_dir)
        if manifest["kind"] != "bm25":
            raise XqgError(f"{index_dir} is a {manifest['kind']} index; open it with XqgSearcher")
        super().__init__(str(index_dir))
        set_analyzer(self, manifest["analyzer"])
        self._text = query_text(manifest["analyzer"])

    def search(self, q: str, *args: Any, language: str | None = None, **kwargs: Any) -> Any:
        """As `LuceneSearcher.search`."""
        return super().search(self._text(q), *args, **kwargs)

    def batch_search(
        self,
        queries: Sequence[str],
        qids: Sequence[str],
        *args: Any,
        languages: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `LuceneSearcher.batch_search`."""
        return super().batch_search([self._text(q) for q in queries], list(qids), *args, **kwargs)


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
        self._queries: dict[str, int] = {}
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
                encoder = self._encoder.encoder
                self._writer.finish(
                    index_manifest(
                        kind="faiss",
                        type="flat",
                        fusion=self._encoder.fusion,
                        queries=dict(sorted(self._queries.items())),
                        encoder=encoder.spec.to_dict(),
                        passages=self._folder.rows,
                        dimension=encoder.dimension,
                        probes=make_probes(encoder, self._samples),
                    )
                )
        finally:
            self._folder.__exit__(kind, error, trace)
