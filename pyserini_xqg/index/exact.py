"""Exact search of a flat FAISS index whose answer depends on nothing but topic and passages.

FAISS sums a dot product in an order that depends on where a passage stands, how many topics are
searched at once, and the processor; and among equal scores at the last rank it keeps what its heap
happens to keep. So an index in shards would not quite give the hits of the same index in one. Here
FAISS proposes, and the scores of what it proposes are computed again, one by one, in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Half the distance from 1 to the next float32: what one operation may be off by.
_ROUNDING = 2.0**-24


class ExactIndex:
    """A flat inner-product index with `search` made exact; all else is the index's own.

    Parameters
    ----------
    index : faiss.Index
        Flat: it must keep the vectors as they are.
    """

    def __init__(self, index: Any) -> None:
        self.inside = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inside, name)

    def search(
        self, vectors: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The `k` best rows for each vector, best first, equal scores in the order of the rows.

        Parameters
        ----------
        vectors : array, shape (n, d), float32
        k : int

        Returns
        -------
        scores : array, shape (n, k), float32
            Dot products, correctly rounded from float64; minus infinity where there are no more.
        rows : array, shape (n, k), int64
            -1 where there are no more, as in FAISS.
        """
        shape = (len(vectors), k)
        scores, rows = np.full(shape, -np.inf, dtype=np.float32), np.full(shape, -1, dtype=np.int64)
        total = int(self.inside.ntotal)
        wanted, ask = min(k, total), k + k // 4 + 64
        left = np.arange(len(vectors)) if wanted else np.arange(0)
        while len(left):
            ask = min(ask, total)
            proposed, candidates = self.inside.search(np.ascontiguousarray(vectors[left]), ask)
            again = []
            for number, row in enumerate(left):
                best, score, sure = self._again(vectors[row], candidates[number], wanted)
                if ask < total and not proposed[number, -1] + sure < score[-1]:
                    again.append(row)  # one that was not proposed could be as good as the last
                    continue
                rows[row, :wanted], scores[row, :wanted] = best, score
            left, ask = np.array(again, dtype=np.int64), 2 * ask
        return scores, rows

    def _again(
        self, vector: NDArray[np.float32], candidates: NDArray[np.int64], wanted: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
        """The best of the candidates, their scores, and how far FAISS's own may be off."""
        passages = self.inside.reconstruct_batch(candidates)
        topic = vector.astype(np.float64)
        # Not a matrix product: that could round otherwise in another place of the matrix.
        exact = (passages * topic).sum(axis=1).astype(np.float32)
        order = np.lexsort((candidates, -exact))[:wanted]
        # The worst that d products and sums in float32 can do (Higham, "Accuracy and Stability of
        # Numerical Algorithms", section 3.1), for passages as long as the longest proposed.
        longest = float(np.sqrt(np.einsum("ij,ij->i", passages, passages).max()))
        sure = (len(topic) + 2) * _ROUNDING * float(np.linalg.norm(topic)) * longest
        return candidates[order], exact[order], sure
