"""Topics with judgments, beside what is known of the passages that they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pyserini_xqg.collection.judged import Collection, halves, read_collection
from pyserini_xqg.store.rows import read_docids, take_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.store.store import Store

#: Scores by topic.
ByTopic = Mapping[str, float]


class Asked(NamedTuple):
    """Topics to ask of one store.

    Attributes
    ----------
    collection : Collection
    vectors : array, shape (topics, d), float32
        In the order of the collection's topics.
    with_queries : dict of str to bool
        By topic: whether a passage that it asks for has generated queries.
    """

    collection: Collection
    vectors: NDArray[np.float32]
    with_queries: dict[str, bool]

    def only(self, part: Collection) -> Asked:
        """Those of a part of the collection."""
        place = {qid: row for row, qid in enumerate(self.collection.topics)}
        rows = [place[qid] for qid in part.topics]
        return Asked(part, self.vectors[rows], {qid: self.with_queries[qid] for qid in part.topics})

    def halved(self, seed: int = 0) -> tuple[Asked, Asked]:
        """A dev and a test half; topics on one passage stay together."""
        dev, test = halves(self.collection, seed)
        return self.only(dev), self.only(test)


def judged(topics: str | Path, qrels: str | Path, store: Store, encoder: Encoder) -> Asked:
    """Topics of a file, encoded.

    Raises
    ------
    XqgError
        For topics and qrels that cannot be read.
    """
    collection = read_collection(topics, qrels)
    vectors = encoder.encode_queries([topic.text for topic in collection.topics.values()])
    wanted = {d for of in collection.qrels.values() for d, grade in of.items() if grade > 0}
    rows = {docid: row for row, docid in enumerate(read_docids(store)) if docid in wanted}
    having: set[str] = set()
    if rows:
        counts = take_rows(store, np.array(list(rows.values())), store.languages).counts
        any_language = np.sum(list(counts.values()), axis=0) > 0
        having = {docid for docid, has in zip(rows, any_language.tolist(), strict=True) if has}
    return Asked(
        collection,
        vectors,
        {
            qid: any(docid in having for docid, grade in of.items() if grade > 0)
            for qid, of in collection.qrels.items()
        },
    )
