"""Blocks: passages beside the sums of their generated queries' vectors, as encoding makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.store.block import Block, check_finite, check_vectors

if TYPE_CHECKING:
    from pyserini_xqg.collection.join import Join
    from pyserini_xqg.collection.records import Passage
    from pyserini_xqg.encoder.encoder import Encoder

#: Docids and vectors, shape ``(n, d)``, of each block.
Passages: TypeAlias = Iterator[tuple[list[str], NDArray[np.float32]]]


def encode_blocks(
    join: Join,
    encoder: Encoder,
    fields: Sequence[str],
    start: int,
    stop: int,
    *,
    done: int = 0,
    keep_queries: bool = False,
    given: Passages | None = None,
    sample_rates: Mapping[str, float] | None = None,
) -> Iterator[Block]:
    """Encode the passages of rows `start` to `stop`, block by block, leaving out `done` blocks.

    Passages that are `given` with their vectors, from the first such block on, are not encoded.

    Sorting by length, batching and the removal of identical queries stay inside a block, so that a
    block's bytes do not depend on where a run began.

    Raises
    ------
    XqgError
        If a vector is not finite.
    """
    from pyserini_xqg.store.sample import draw

    first = start + done * BLOCK
    for docids, vectors in given or _encoded_passages(join, encoder, fields, first, stop):
        by_passage = join.queries_of(docids)
        sums, counts, kept = encode_generated(by_passage, join.languages, encoder)
        for language in join.languages:
            check_finite(sums[language], docids)
        block = Block(docids, vectors, sums, counts, kept)
        sample = draw(block, sample_rates) if sample_rates else None
        yield block._replace(queries=kept if keep_queries else None, sample=sample)


def _encoded_passages(
    join: Join, encoder: Encoder, fields: Sequence[str], start: int, stop: int
) -> Passages:
    for row in range(start, stop, BLOCK):
        passages = list(join.read_passages(row, min(row + BLOCK, stop)))
        docids = [passage.docid for passage in passages]
        texts, titles = texts_of(passages, fields)
        vectors = encoder.encode_passages(texts, titles)
        # Passages with one text (blank, most often) rightly have one vector.
        _, *others = {*zip(titles or texts, texts, strict=True)}
        (check_vectors if others else check_finite)(vectors, docids)
        yield docids, vectors


def texts_of(
    passages: Sequence[Passage], fields: Sequence[str]
) -> tuple[list[str], list[str] | None]:
    """The texts and titles of passages as `Encoder.encode_passages` takes them.

    What `fields` does not name is left out: an empty text, or None for the titles.
    """
    texts = [passage.text if "text" in fields else "" for passage in passages]
    return texts, [passage.title for passage in passages] if "title" in fields else None


def encode_generated(
    by_passage: Sequence[Mapping[str, Sequence[str]]], languages: Sequence[str], encoder: Encoder
) -> tuple[
    dict[str, NDArray[np.float32]], dict[str, NDArray[np.int32]], dict[str, NDArray[np.float32]]
]:
    """Sum, count and single vectors of the passages' queries, by language.

    Parameters
    ----------
    by_passage : sequence of mapping
        For each passage its queries by language.
    languages : sequence of str
    encoder : Encoder

    Returns
    -------
    sums : dict of language to array, shape (n, d), float32
    counts : dict of language to array, shape (n,), int32
    vectors : dict of language to array, shape (sum of counts, d), float32
        In passage order, then query order.
    """
    rows: dict[str, int] = {}  # identical queries are encoded once
    for queries in by_passage:
        for language in languages:
            for text in queries.get(language, ()):
                rows.setdefault(text, len(rows))
    unique = encoder.encode_generated_queries(list(rows))
    sums, counts, vectors = {}, {}, {}
    for language in languages:
        texts = [queries.get(language, ()) for queries in by_passage]
        count = np.array([len(of_passage) for of_passage in texts], dtype=np.int32)
        vectors[language] = unique[[rows[text] for of_passage in texts for text in of_passage]]
        total = np.zeros((len(by_passage), encoder.dimension), dtype=np.float32)
        filled = np.flatnonzero(count)
        if len(filled):
            starts = (np.cumsum(count) - count)[filled]
            total[filled] = np.add.reduceat(vectors[language], starts, axis=0)
        sums[language], counts[language] = total, count
    return sums, counts, vectors
