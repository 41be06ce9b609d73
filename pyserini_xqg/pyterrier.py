"""xQG in PyTerrier pipelines: a generator, a store to index into, and a retriever.

``XqgGenerator(...) >> XqgStore(...)`` is a pipeline whose ``index`` takes documents;
``XqgStore.build`` makes an index of the store and returns its `XqgRetriever`, which joins others
with ``>>``, ``+`` and ``%``. Needs the extra ``pyterrier``. Nothing here starts PyTerrier's Java.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.search.searcher import open_searcher, search_topics

try:
    import pyterrier as pt
except ImportError:
    raise XqgError("PyTerrier is not installed: pip install 'pyserini_xqg[pyterrier]'") from None

if TYPE_CHECKING:
    import pandas as pd

    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.spec import EncoderSpec

__all__ = ["XqgGenerator", "XqgRetriever", "XqgStore"]


class XqgRetriever(pt.Transformer):
    """Queries in, their best passages out, from any index of ours.

    Parameters
    ----------
    index : path-like
        FAISS, Lucene, BM25 or routed. A routed one chooses each query's route by the column
        ``lang``, and by the language that its text seems to be in where there is none.
    num_results : int
    encoder : str or None
        Another place of the model that the index was built with.
    device : str or None
    threads, batch_size : int
    """

    def __init__(
        self,
        index: str | Path,
        *,
        num_results: int = 1000,
        encoder: str | None = None,
        device: str | None = None,
        threads: int = 1,
        batch_size: int = 64,
    ) -> None:
        self.index, self.num_results = Path(index), num_results
        self._searcher = open_searcher(index, encoder=encoder, device=device, detect=True)
        self._asking: dict[str, Any] = {"threads": threads, "batch_size": batch_size}

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The query frame's rows, each as often as it has hits, with docno, score and rank."""
        import pandas as pd

        pt.validate.query_frame(inp, extra_columns=["query"])
        queries = inp[pt.model.query_columns(inp)].reset_index(drop=True)
        codes = inp["lang"].fillna("") if "lang" in inp.columns else [""] * len(inp)
        topics = [
            Topic(str(row), text, code and check_language(str(code), f"lang of query {qid!r}"))
            for row, (qid, text, code) in enumerate(
                zip(inp["qid"], inp["query"], codes, strict=True)
            )
        ]
        found = search_topics(self._searcher, topics, hits=self.num_results, **self._asking)
        rows = [
            (int(row), hit.docid, float(hit.score), rank)
            for row, hits in found
            for rank, hit in enumerate(hits, pt.model.FIRST_RANK)
        ]
        hits = pd.DataFrame(rows, columns=["row", "docno", "score", "rank"])
        asked = queries.loc[hits.pop("row").astype(int)].reset_index(drop=True)
        return pd.concat([asked, hits], axis=1)

    def fuse_rank_cutoff(self, k: int) -> XqgRetriever | None:
        """What ``% k`` becomes: fewer results asked for. PyTerrier calls this."""
        if k >= self.num_results:
            return None
        fewer = type(self).__new__(type(self))
        fewer.__dict__ |= {**self.__dict__, "num_results": k}
        return fewer


class XqgGenerator(pt.Transformer):
    """Documents in, the same with queries in several languages out.

    As ``pyterrier_doc2query`` has it, the column ``querygen`` holds the queries of a document, one
    a line; ``generated_queries`` holds them by language, which `XqgStore` reads.

    Parameters
    ----------
    generator : str
        Hub name or folder of a T5, mT5 or decoder-only model.
    languages : sequence of str
    num_queries : int
        Of a document and a language.
    doc_attr : str
        The column with the text; ``title`` is read beside it where it is there.
    append : bool
        Put the queries behind the text instead of into ``querygen``.
    device : str
    batch_size : int
    **settings
        Further fields of `pyserini_xqg.generate.settings.Settings`, such as ``preset``.
    """

    def __init__(
        self,
        generator: str,
        languages: Iterable[str],
        *,
        num_queries: int = 5,
        doc_attr: str = "text",
        append: bool = False,
        device: str = "cpu",
        batch_size: int = 32,
        **settings: Any,
    ) -> None:
        from pyserini_xqg.generate.generator import Generator
        from pyserini_xqg.generate.settings import Settings

        self.doc_attr, self.append = doc_attr, append
        chosen = Settings.resolve(
            generator, list(languages), num_queries=num_queries, batch_size=batch_size, **settings
        )
        self.languages = chosen.languages
        self._generator = Generator(chosen, device)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The document frame with ``generated_queries`` and ``querygen``."""
        pt.validate.columns(inp, includes=["docno", self.doc_attr])
        titles = inp["title"] if "title" in inp.columns else [""] * len(inp)
        passages = [
            Passage(str(docno), str(title or ""), str(text))
            for docno, title, text in zip(inp["docno"], titles, inp[self.doc_attr], strict=True)
        ]
        by_language = {
            code: self._generator.generate(passages, code).texts if passages else []
            for code in self.languages
        }
        queries = [
            {code: by_language[code][row] for code in self.languages}
            for row in range(len(passages))
        ]
        lines = ["\n".join(text for texts in of.values() for text in texts) for of in queries]
        out = inp.assign(generated_queries=queries)
        if not self.append:
            return out.assign(querygen=lines)
        texts = [f"{text}\n{more}" for text, more in zip(inp[self.doc_attr], lines, strict=True)]
        return out.assign(**{self.doc_attr: texts})


class XqgStore(pt.Indexer):
    """An embedding store: documents with their queries go in, and indexes are built of it.

    Parameters
    ----------
    path : path-like
        The store's folder, there already or to be made.
    encoder : str, EncoderSpec, Encoder or None
        Hub name, folder, or one that is loaded; needed by `index` only.
    fields : sequence of str
        What is encoded of a document: ``text``, or ``title`` and ``text``.
    language : str or None
        Of the queries in ``querygen``, for documents without ``generated_queries``: those of
        doc2query.
    **options
        Further ones of `pyserini_xqg.encode.corpus.encode_corpus`, such as ``keep_queries``.
    """

    def __init__(
        self,
        path: str | Path,
        encoder: str | EncoderSpec | Encoder | None = None,
        *,
        fields: Iterable[str] = ("text",),
        language: str | None = None,
        **options: Any,
    ) -> None:
        self.path, self.encoder = Path(path), encoder
        self.fields, self.options = tuple(fields), options
        self.language = language and check_language(language, "language")

    def index(self, iter: Iterable[Mapping[str, Any]], **kwargs: Any) -> XqgStore:
        """Encode documents: ``docno``, ``text``, perhaps ``title``, and their queries.

        Raises
        ------
        XqgError
            For bad documents, and for queries whose language is not known.
        """
        from pyserini_xqg.encode.corpus import encode_corpus

        with tempfile.TemporaryDirectory() as work:
            corpus, queries = Path(work, "documents.jsonl"), Path(work, "queries.jsonl")
            any_queries = False
            with (
                open(corpus, "w", encoding="utf-8") as documents,
                open(queries, "w", encoding="utf-8") as generated,
            ):
                for number, row in enumerate(iter, 1):
                    if "docno" not in row or "text" not in row:
                        raise XqgError(
                            f"document {number}: expected docno and text, found {', '.join(row)}"
                        )
                    docid = str(row["docno"])
                    passage = {"docid": docid, "title": row.get("title"), "text": row["text"]}
                    documents.write(json.dumps(passage, ensure_ascii=False) + "\n")
                    if of := self._queries_of(row, docid):
                        any_queries = True
                        line = {"docid": docid, "generated_queries": of}
                        generated.write(json.dumps(line, ensure_ascii=False) + "\n")
            encode_corpus(
                corpus,
                self.path,
                self._encoder(),
                queries=[queries] if any_queries else [],
                fields=self.fields,
                **self.options,
            )
        return self

    def build(
        self,
        index: str | Path,
        fusion: Fusion | None = None,
        *,
        routed: bool = True,
        num_results: int = 1000,
        **options: Any,
    ) -> XqgRetriever:
        """Make an index of the store, and its retriever.

        Parameters
        ----------
        index : path-like
            The folder to make.
        fusion : Fusion or None
            How queries are folded in.
        routed : bool
            One index a language, and one over all; where the store has queries.
        num_results : int
            Of the retriever.
        **options
            Further ones of `pyserini_xqg.index.build.build_index`.
        """
        from pyserini_xqg.index.build import build_index, build_routed
        from pyserini_xqg.store.store import Store

        store = Store([self.path])
        build = build_routed if routed and store.languages else build_index
        build(store, index, fusion or Fusion(), **options)
        place = self.encoder if isinstance(self.encoder, str) else None
        return XqgRetriever(index, num_results=num_results, encoder=place)

    def _queries_of(self, row: Mapping[str, Any], docid: str) -> dict[str, list[str]]:
        given = row.get("generated_queries")
        if isinstance(given, Mapping):
            return {code: list(texts) for code, texts in given.items()}
        lines = [line for line in str(row.get("querygen") or "").split("\n") if line.strip()]
        if lines and self.language is None:
            raise XqgError(
                f"document {docid!r}: the language of 'querygen' is not known; give "
                "XqgStore(..., language='en'), or 'generated_queries' by language"
            )
        return {self.language: lines} if lines and self.language else {}

    def _encoder(self) -> Encoder:
        from pyserini_xqg.encoder.encoder import Encoder

        if isinstance(self.encoder, Encoder):
            return self.encoder
        if self.encoder is None:
            raise XqgError("XqgStore(path, encoder): which encoder? a hub name or a folder")
        return Encoder(self.encoder)
