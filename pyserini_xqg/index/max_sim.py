"""Max-similarity: every query keeps a vector of its own, and a passage's best one counts.

    score(q, p) = (1 - alpha) q.E(p) + alpha * max_i q.E(q_i)

is the best product of q with the vectors (1 - alpha) E(p) + alpha E(q_i): so it is a flat index
with a row a query, its docids repeated, and exact search of it. That costs as many vectors as there
are queries, and one for a passage without any, which keeps E(p) as in ``mean``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.base.errors import XqgError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.base.output import OutputFolder
    from pyserini_xqg.index.settings import Fusion
    from pyserini_xqg.store.block import Block
    from pyserini_xqg.store.store import Store

#: As a choice of ``--method``, and as the kind of index that it makes.
MAX_SIM = "max-sim"

#: Products of topics and queries that are held at once: 64 MiB of float32.
_AT_ONCE = 1 << 24


def check_max_sim(
    store: Store, fusion: Fusion, languages: Sequence[str], to: str, index_type: str
) -> None:
    """Refuse what does not go with ``--method max-sim``.

    Raises
    ------
    XqgError
        For a store without single queries, another kind of index, and options that would change
        what is summed.
    """
    if to != "faiss" or index_type != "flat":
        raise XqgError(f"--method {MAX_SIM} makes a flat FAISS index: leave --to and --type out")
    if not languages:
        raise XqgError("there are no generated queries to compare with; encode with xqg --queries")
    if fusion.alphas:
        raise XqgError("--alpha by language goes with --routed: one index has one alpha")
    check_share(fusion)
    if not store.kept_queries:
        raise XqgError(
            f"{store.paths[0]} holds sums only; --method {MAX_SIM} needs every query's vector: "
            "encode again with xqg --keep-queries"
        )


def check_share(fusion: Fusion) -> None:
    """Refuse settings that the formula has no place for.

    Raises
    ------
    XqgError
        For an alpha that is no share, weights, centres and a norm.
    """
    if fusion.weights or fusion.centre or fusion.l2_norm:
        raise XqgError(f"--method {MAX_SIM}: leave --weights, --centre and --l2-norm out")
    if fusion.mu:
        raise XqgError(
            f"--method {MAX_SIM} compares with single queries, which --mu {fusion.mu:g} does not "
            "smooth: leave it out, or take --method mean"
        )
    if fusion.alpha is None or not 0 <= fusion.alpha <= 1:
        raise XqgError(f"--method {MAX_SIM} needs --alpha, the share of the best query, 0 to 1")


def write_max_sim(
    folder: OutputFolder,
    store: Store,
    fusion: Fusion,
    languages: Sequence[str],
    plan: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> None:
    """Fill an entered folder with ``index`` and ``docid``, block by block; a killed run resumes."""
    from pyserini_xqg.base.progress import with_bar
    from pyserini_xqg.index.flat import FlatIndexWriter

    writer = FlatIndexWriter(folder, plan, store.dimension)
    left = store.blocks(languages, start=folder.blocks, keep=True)
    for block in with_bar(left, store.passages, f"indexing ({folder.path.name})"):
        owners, vectors = single_vectors(block, np.float32(fusion.alpha or 0))
        writer.append([block.docids[owner] for owner in owners], vectors)
    writer.finish({**manifest, "type": "flat", "rows": folder.rows})


def single_vectors(
    block: Block, alpha: np.float32
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A vector for each query of a block's passages: (1 - alpha) E(p) + alpha E(q).

    Parameters
    ----------
    block : Block
        With its single queries.
    alpha : float32

    Returns
    -------
    owners : array, shape (m,), int64
        Whose vector it is, in the order of the passages: rows of the block.
    vectors : array, shape (m, d), float32
        By language, then in the order of the queries; E(p) for a passage without queries.
    """
    n = len(block.docids)
    queries = block.queries or {}
    owner_of = [np.repeat(np.arange(n), block.counts[code]) for code in sorted(queries)]
    owners = np.concatenate([*owner_of, np.empty(0, np.int64)]).astype(np.int64)
    alone = np.setdiff1d(np.arange(n), owners)
    vectors = np.concatenate(
        [
            (np.float32(1) - alpha) * block.passages[owners]
            + alpha * np.concatenate([queries[code] for code in sorted(queries)]),
            block.passages[alone],
        ]
    )
    owners = np.concatenate([owners, alone])
    order = np.argsort(owners, kind="stable")
    return owners[order], vectors[order].astype(np.float32, copy=False)


class BestOfBlock:
    """The formula for a block's passages, for many alphas and sets of languages.

    It holds, for each language and group of topics that it is asked for, a number a passage and
    topic.

    Parameters
    ----------
    block : Block
        With its single queries.
    vectors : array, shape (topics, d), float32
    """

    def __init__(self, block: Block, vectors: NDArray[np.float32]) -> None:
        self._block, self._vectors = block, vectors
        self._kept: dict[tuple[str, tuple[int, ...]], NDArray[np.float32]] = {}

    def scores(
        self, languages: Sequence[str], topics: Sequence[int], alpha: float
    ) -> NDArray[np.float32]:
        """The scores of every passage, shape ``(len(topics), n)``.

        Parameters
        ----------
        languages : sequence of str
            Whose queries are compared with.
        topics : sequence of int
            Rows of the vectors.
        alpha : float
        """
        share = np.float32(alpha)
        scores = self._best("", topics).copy()
        best = np.full_like(scores, -np.inf)
        for code in languages:
            np.maximum(best, self._best(code, topics), out=best)
        has = np.isfinite(best).all(axis=1)
        scores[has] = (np.float32(1) - share) * scores[has] + share * best[has]
        return scores.T

    def _best(self, code: str, topics: Sequence[int]) -> NDArray[np.float32]:
        """Each passage's best product with each topic, shape ``(n, len(topics))``.

        Of its queries in a language, minus infinity where it has none; or of itself for "".
        """
        key = code, tuple(topics)
        if key not in self._kept:
            vectors = self._vectors[list(topics)].T
            if not code:
                self._kept[key] = self._block.passages @ vectors
            else:
                self._kept[key] = self._best_of_queries(code, vectors)
        return self._kept[key]

    def _best_of_queries(self, code: str, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        count, queries = self._block.counts[code], (self._block.queries or {})[code]
        best = np.full((len(count), vectors.shape[1]), -np.inf, np.float32)
        filled = np.flatnonzero(count)
        starts = (np.cumsum(count) - count)[filled]
        step = max(1, _AT_ONCE // max(1, len(queries)))
        for first in range(0, vectors.shape[1] if len(filled) else 0, step):
            products = queries @ vectors[:, first : first + step]
            best[filled, first : first + step] = np.maximum.reduceat(products, starts, axis=0)
        return best


class BestOfPassage:
    """An exact index with several rows a passage, searched for passages: the best row counts.

    Parameters
    ----------
    rows : ExactIndex
    docids : sequence of str
        Of every row; those of a passage follow each other.

    Attributes
    ----------
    docids : list of str
        Of the passages, in their order.
    ntotal : int
        Passages.
    """

    def __init__(self, rows: Any, docids: Sequence[str]) -> None:
        sizes = [(docid, len(list(same))) for docid, same in groupby(docids)]
        self.docids = [docid for docid, _ in sizes]
        self.ntotal = len(sizes)
        self._owner = np.repeat(np.arange(len(sizes)), [size for _, size in sizes])
        self._rows = rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)

    def search(
        self, vectors: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As `ExactIndex.search`, with numbers of passages instead of rows."""
        shape = (len(vectors), k)
        scores, passages = np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64)
        total, wanted = len(self._owner), min(k, self.ntotal)
        ask = -(-wanted * total // max(self.ntotal, 1))
        left = np.arange(len(vectors)) if wanted else np.arange(0)
        while len(left):
            ask = min(ask, total)
            of_rows, rows = self._rows.search(vectors[left], ask)
            again = []
            for number, topic in enumerate(left):
                # The first row of a passage is its best: rows come best first.
                owners, first = np.unique(self._owner[rows[number]], return_index=True)
                if len(owners) < wanted and ask < total:
                    again.append(topic)
                    continue
                first = np.sort(first)[:wanted]
                passages[topic, :wanted] = self._owner[rows[number, first]]
                scores[topic, :wanted] = of_rows[number, first]
            left, ask = np.array(again, dtype=np.int64), 2 * ask
        return scores, passages
