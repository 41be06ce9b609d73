"""The formula: a passage's vector and its generated queries' vectors become one.

After xQG (Zhuang, Shou and Zuccon, "Augmenting Passage Representations with Query Generation for
Enhanced Cross-Lingual Dense Retrieval", SIGIR 2023). With E(p) the passage's vector, S_l the sum of
the vectors of its c_l queries in language l, and w_l the language's weight:

    paper   (1 - alpha) E(p) + alpha * sum_l w_l S_l
    mean    (1 - alpha) E(p) + alpha * (sum_l w_l S_l / c_l) / (sum_l w_l),   over l with c_l > 0
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.base.errors import XqgError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    ByLanguage = Mapping[str, NDArray[np.float32]]


def fuse(
    passages: Vectors,
    sums: ByLanguage,
    counts: Mapping[str, NDArray[np.int32]],
    *,
    method: str,
    alpha: float,
    weights: Mapping[str, float] | None = None,
    centres: ByLanguage | None = None,
    l2_norm: bool = False,
) -> Vectors:
    """Fold the vectors of generated queries into those of their passages.

    Parameters
    ----------
    passages : array, shape (n, d), float32
        E(p).
    sums : mapping of language to array, shape (n, d), float32
        The sum of the vectors of each passage's queries in that language.
    counts : mapping of language to array, shape (n,), integer
        How many queries each sum holds.
    method : {"paper", "mean"}
        The formulas above. In ``mean`` a passage without queries keeps E(p): shrunk by 1 - alpha it
        would fall out of every ranking. ``paper`` shrinks it, as published.
    alpha : float
        From 0 (passages only) to 1 (queries only). Not comparable between the methods, nor, in
        ``paper``, between numbers of queries.
    weights : mapping of language to float, optional
        At least 0; 1 for a language that is not named.
    centres : mapping of language to array, shape (d,), optional
        Subtracted from every query vector of that language before the formula.
    l2_norm : bool
        Scale the result to length 1; a zero vector stays zero.

    Returns
    -------
    array, shape (n, d), float32

    Raises
    ------
    XqgError
        For an unknown method, an alpha outside [0, 1], or a weight that does not fit.
    """
    check_formula(method, alpha, weights or {}, sums)
    weight = {language: np.float32((weights or {}).get(language, 1.0)) for language in sums}
    if centres is not None:
        sums = {
            language: vectors - counts[language][:, None].astype(np.float32) * centres[language]
            for language, vectors in sums.items()
        }
    fused = METHODS[method](
        passages.astype(np.float32, copy=False), sums, counts, np.float32(alpha), weight
    )
    return normalise(fused) if l2_norm else fused


def normalise(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, np.where(norms > 0, norms, 1), dtype=np.float32)


def check_formula(
    method: str, alpha: float, weights: Mapping[str, float], languages: Collection[str]
) -> None:
    """Refuse what `fuse` cannot use.

    Raises
    ------
    XqgError
        For an unknown method, an alpha outside [0, 1], a weight for a language that is not there,
        a negative one, and no weight at all.
    """
    if method not in METHODS:
        raise XqgError(f"--method {method!r} is none of {', '.join(METHODS)}")
    if not 0 <= alpha <= 1:
        raise XqgError(f"--alpha {alpha} is outside [0, 1]")
    for language, weight in weights.items():
        if language not in languages:
            raise XqgError(
                f"--weights: no generated queries in {language!r}; found "
                f"{' '.join(languages) or 'none'}"
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise XqgError(f"--weights {language}={weight}: expected a number of at least 0")
    if languages and not any(weights.get(language, 1.0) for language in languages):
        raise XqgError(
            "--weights: every language has weight 0; leave generated queries out instead"
        )


def _paper(
    passages: Vectors,
    sums: ByLanguage,
    counts: Mapping[str, NDArray[np.int32]],
    alpha: np.float32,
    weights: Mapping[str, np.float32],
) -> Vectors:
    fused = (np.float32(1) - alpha) * passages
    for language, vectors in sums.items():
        fused += alpha * weights[language] * vectors
    return fused


def _mean(
    passages: Vectors,
    sums: ByLanguage,
    counts: Mapping[str, NDArray[np.int32]],
    alpha: np.float32,
    weights: Mapping[str, np.float32],
) -> Vectors:
    total = np.zeros_like(passages)
    weight = np.zeros((len(passages), 1), dtype=np.float32)
    for language, vectors in sums.items():
        has = counts[language][:, None] > 0
        total += weights[language] * vectors / np.maximum(counts[language], 1)[:, None]
        weight += weights[language] * has
    queries = total / np.where(weight > 0, weight, np.float32(1))
    fused = (np.float32(1) - alpha) * passages + alpha * queries
    result: Vectors = np.where(weight > 0, fused, passages).astype(np.float32, copy=False)
    return result


#: The choices of ``--method``.
METHODS = {"paper": _paper, "mean": _mean}
