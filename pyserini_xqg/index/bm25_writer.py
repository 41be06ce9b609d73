"""Writes a Lucene index of texts as Anserini lays it out, except that people can read it.

Anserini stores the text that it analyzes. Where that is n-grams, or queries behind a passage,
nobody wants it back: rerankers, readers and ``LuceneSearcher.doc`` want the passage. So what is
searched is indexed and not stored, and what is stored is not searched.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pyserini_xqg.index.anserini import java_class

if TYPE_CHECKING:
    from pyserini_xqg.collection.records import Passage

_DOCUMENT = "org.apache.lucene.document"
# Of what has not been written yet; Lucene's default, 16 MB, makes many small segments.
_BUFFER_MB = 256.0


class Written(NamedTuple):
    """A passage, and what it is found by."""

    passage: Passage
    searched: str


class TextWriter:
    """A Lucene index that is being written.

    Parameters
    ----------
    path : Path
    analyzer : Java object
        Of Lucene.
    field : str
        That of what is searched. ``contents`` is what stock Pyserini searches by itself.
    threads : int
    """

    def __init__(self, path: Path, analyzer: Any, field: str, threads: int = 1) -> None:
        folder = java_class("org.apache.lucene.store.FSDirectory").open(
            java_class("java.nio.file.Paths").get(str(path))
        )
        config = java_class("org.apache.lucene.index.IndexWriterConfig")(analyzer)
        config.setRAMBufferSizeMB(_BUFFER_MB)
        config.setUseCompoundFile(False)
        self._writer = java_class("org.apache.lucene.index.IndexWriter")(folder, config)
        self._field, self._threads = field, threads
        # As Anserini's: words and how often, without their places, and lengths for BM25.
        kind = java_class(f"{_DOCUMENT}.FieldType")()
        kind.setIndexOptions(java_class("org.apache.lucene.index.IndexOptions").DOCS_AND_FREQS)
        kind.setTokenized(True)
        kind.freeze()
        self._type = kind
        names = ("Document", "Field", "StringField", "StoredField", "BinaryDocValuesField")
        self._java = {name: java_class(f"{_DOCUMENT}.{name}") for name in names}
        self._bytes = java_class("org.apache.lucene.util.BytesRef")
        self._string = java_class("java.lang.String")
        self._stored = java_class(f"{_DOCUMENT}.Field$Store").YES

    def append(self, rows: Sequence[Written]) -> None:
        """Index some passages."""
        parts = [rows[number :: self._threads] for number in range(self._threads)]
        if self._threads == 1:
            self._append(rows)
            return
        failed: list[BaseException] = []
        workers = [threading.Thread(target=self._work, args=(part, failed)) for part in parts]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failed:
            raise failed[0]

    def close(self) -> tuple[int, int]:
        """Finish the index: the passages in it, and how many of them hold no word."""
        self._writer.commit()
        reader = java_class("org.apache.lucene.index.DirectoryReader").open(self._writer)
        passages, found = reader.numDocs(), reader.getDocCount(self._field)
        reader.close()
        self._writer.close()
        return int(passages), int(passages) - int(found)

    def _work(self, rows: Sequence[Written], failed: list[BaseException]) -> None:
        import jnius

        try:
            self._append(rows)
        except BaseException as error:
            failed.append(error)
        finally:
            jnius.detach()  # or Java fails when the thread ends

    def _append(self, rows: Sequence[Written]) -> None:
        from jnius import cast

        java = self._java
        for passage, searched in rows:
            contents = f"{passage.title}\n{passage.text}" if passage.title else passage.text
            raw = {"id": passage.docid, "contents": contents,
                   "title": passage.title, "text": passage.text}  # fmt: skip
            document = java["Document"]()
            for field in (
                java["StringField"]("id", passage.docid, self._stored),
                # By which Anserini orders equal scores.
                java["BinaryDocValuesField"]("id", self._bytes(passage.docid.encode())),
                java["StoredField"]("raw", json.dumps(raw, ensure_ascii=False)),
                java["StoredField"]("contents", contents),
                java["Field"](
                    self._field, cast("java.lang.CharSequence", self._string(searched)), self._type
                ),
            ):
                document.add(field)
            self._writer.addDocument(document)
