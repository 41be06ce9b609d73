"""Round-trip consistency: a query must find the passage that it was generated from.

After Alberti et al., "Synthetic QA Corpora Generation with Roundtrip Consistency", ACL 2019, in the
form that retrieval uses since Dai et al., "Promptagator", ICLR 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from pyserini_xqg.filter.answers import Recall, asked
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row, batches
from pyserini_xqg.filter.steps import sift_in_turn


def drop_inconsistent(
    rows: Iterable[Row],
    tally: Tally,
    searcher: Any,
    k: int = 10,
    *,
    batch_size: int = 64,
    threads: int = 1,
    recall: Recall[bool] = asked,
) -> Iterator[Row]:
    """Leave out queries that do not find their own passage among the first `k`.

    Parameters
    ----------
    rows : iterable of Row
    tally : Tally
    searcher : XqgSearcher or Bm25Searcher
        Over an index of passages only: one that holds these very queries proves nothing.
    k : int
    batch_size, threads : int
        Of the search.
    recall : callable
        Keeps the verdicts on a batch, or knows them.
    """
    for batch in batches(rows):
        found = recall(partial(_search_batch, batch, searcher, k, batch_size, threads))
        yield from sift_in_turn(batch, tally, "round-trip", found)


def _search_batch(
    batch: Sequence[Row], searcher: Any, k: int, batch_size: int, threads: int
) -> list[bool]:
    """Of each query of these rows, one after the other, whether it finds its passage."""
    # Identical queries of one language are searched once.
    docids: dict[tuple[str, str], set[str]] = {
        (language, text): set()
        for row in batch
        for language, texts in row.queries.items()
        for text in texts
    }
    for keys in batches((key for key in docids if key[1].strip()), batch_size):
        qids = [str(number) for number in range(len(keys))]
        hits = searcher.batch_search(
            [text for _, text in keys],
            qids,
            k=k,
            threads=threads,
            languages=[language for language, _ in keys],
        )
        for qid, key in zip(qids, keys, strict=True):
            docids[key] = {hit.docid for hit in hits.get(qid, ())}
    return [
        row.passage.docid in docids[language, text]
        for row in batch
        for language, texts in row.queries.items()
        for text in texts
    ]
