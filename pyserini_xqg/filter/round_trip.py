"""Round-trip consistency: a query must find the passage that it was generated from.

After Alberti et al., "Synthetic QA Corpora Generation with Roundtrip Consistency", ACL 2019, in the
form that retrieval uses since Dai et al., "Promptagator", ICLR 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row, batches
from pyserini_xqg.filter.steps import sift


def drop_inconsistent(
    rows: Iterable[Row],
    tally: Tally,
    searcher: Any,
    k: int = 10,
    *,
    batch_size: int = 64,
    threads: int = 1,
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
    """

    def found_again(row: Row, language: str, texts: Sequence[str]) -> list[bool]:
        return [row.passage.docid in docids[language, text] for text in texts]

    for batch in batches(rows):
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
        yield from sift(batch, tally, "round-trip", found_again)
