"""The formula: a passage's vector and its generated queries' vectors become one.

After xQG (Zhuang, Shou and Zuccon, "Augmenting Passage Representations with Query Generation for
Enhanced Cross-Lingual Dense Retrieval", SIGIR 2023). With E(p) the passage's vector, S_l the sum of
the vectors of its c_l queries in language l, and w_l the language's weight:

    paper   (1 - alpha) E(p) + alpha * sum_l w_l S_l
    mean    (1 - alpha) E(p) + alpha * (sum_l w_l S_l / c_l) / (sum_l w_l),   over l with c_l > 0

The mean is smoothed with mu > 0: the place of S_l / c_l takes, for every passage,

    q_l(p) = (S_l + mu P_l) / (c_l + mu)

where P_l is what the collection lets one expect of the passage's mean query vector
(`pyserini_xqg.index.maps`). It is Dirichlet smoothing (Zhai and Lafferty, "A Study of Smoothing
Methods for Language Models Applied to Information Retrieval", TOIS 22, 2004) of the query side: mu
virtual queries are added to the c_l that are there, so a passage without queries falls back on P_l,
and one with many keeps its own. With mu 0 it is the plain mean.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    ByLanguage = Mapping[str, Vectors]
    Counts = NDArray[np.int32] | Vectors


def fuse(
    passages: Vectors,
    sums: ByLanguage,
    counts: Mapping[str, Counts],
    *,
    method: str,
    alpha: float,
    mu: float = 0.0,
    predictions: ByLanguage | None = None,
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
    mu : float
        At least 0, and 0 in ``paper``: how many virtual queries a language each passage gets.
    predictions : mapping of language to array, shape (n, d), float32, optional
        P_l above; read only with mu above 0. A language that has predictions counts, with its
        weight, for every passage, also where it has no sums.
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
        For an unknown method, an alpha outside [0, 1], a mu or a weight that does not fit, and a
        mu without predictions.
    """
    if mu and predictions is None:
        raise XqgError(f"mu {mu:g} needs predictions of the mean query vectors, by language")
    if not mu:
        predictions = None
    languages = [*sums, *(code for code in predictions or () if code not in sums)]
    check_formula(method, alpha, weights or {}, languages, mu)
    weight = {language: np.float32((weights or {}).get(language, 1.0)) for language in languages}
    if centres is not None:
        sums = {
            language: vectors - counts[language][:, None].astype(np.float32) * centres[language]
            for language, vectors in sums.items()
        }
    virtual = _Virtual(np.float32(mu), predictions or {}, centres or {})
    fused = METHODS[method](
        passages.astype(np.float32, copy=False), sums, counts, np.float32(alpha), weight, virtual
    )
    return normalise(fused) if l2_norm else fused


def normalise(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.zeros(vectors.shape, dtype=np.float32)
    np.divide(vectors, norms, out=scaled, where=norms.astype(bool), dtype=np.float32)
    return scaled


def check_formula(
    method: str,
    alpha: float,
    weights: Mapping[str, float],
    languages: Collection[str],
    mu: float = 0.0,
) -> None:
    """Refuse what `fuse` cannot use.

    Raises
    ------
    XqgError
        For an unknown method, an alpha outside [0, 1], a mu that is no number of queries or does
        not go with the method, a weight for a language that is not there, a negative one, and no
        weight at all.
    """
    if method not in METHODS:
        raise XqgError(f"--method {method!r} is none of {', '.join(METHODS)}")
    if not 0 <= alpha <= 1:
        raise XqgError(f"--alpha {alpha} is outside [0, 1]")
    if not (np.isfinite(mu) and mu >= 0):
        raise XqgError(f"--mu {mu}: expected a number of virtual queries, at least 0")
    if mu and method not in SMOOTHED:
        raise XqgError(
            f"--mu {mu:g} smooths a mean of queries: give --method {' or '.join(SMOOTHED)}, or "
            f"leave --mu out with --method {method}"
        )
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


class _Virtual(NamedTuple):
    """The virtual queries that every passage gets in some languages."""

    mu: np.float32
    predictions: ByLanguage
    centres: ByLanguage

    def add_to(self, total: Vectors, shares: ByLanguage) -> None:
        """Add what a query is expected to be in some languages, times their shares, shape ``(n,)``.

        Predictions that know how to do so, as those of maps do, need not make each of them.
        """
        if hasattr(self.predictions, "add_to"):
            self.predictions.add_to(total, shares)
        else:
            for code, share in shares.items():
                total += share[:, None] * self.predictions[code]
        for code, share in shares.items():
            if code in self.centres:
                total -= share[:, None] * self.centres[code]


def _paper(
    passages: Vectors,
    sums: ByLanguage,
    counts: Mapping[str, Counts],
    alpha: np.float32,
    weights: Mapping[str, np.float32],
    virtual: _Virtual,
) -> Vectors:
    fused = (np.float32(1) - alpha) * passages
    for language, vectors in sums.items():
        fused += alpha * weights[language] * vectors
    return fused


def _mean(
    passages: Vectors,
    sums: ByLanguage,
    counts: Mapping[str, Counts],
    alpha: np.float32,
    weights: Mapping[str, np.float32],
    virtual: _Virtual,
) -> Vectors:
    # Of queries, with the virtual ones.
    number = np.zeros((len(weights), len(passages)), dtype=np.float32)
    for row, language in enumerate(weights):
        if language in sums:
            number[row] += counts[language]
        if language in virtual.predictions:
            number[row] += virtual.mu
    its = np.array(list(weights.values()), dtype=np.float32)[:, None]
    some = number.astype(bool)
    total = (its * some).sum(axis=0)
    alphas = alpha * total.astype(bool)
    scale = np.divide(alphas, total, out=np.zeros_like(total), where=total.astype(bool))
    shares = np.divide(scale * its, number, out=np.zeros_like(number), where=some)
    fused: Vectors = (np.float32(1) - alphas)[:, None] * passages
    if virtual.predictions:
        expected = {
            language: share * virtual.mu
            for share, language in zip(shares, weights, strict=True)
            if language in virtual.predictions
        }
        virtual.add_to(fused, expected)
    part = np.empty_like(fused)
    for share, language in zip(shares, weights, strict=True):
        if language in sums:
            fused += np.multiply(share[:, None], sums[language], out=part)
    return fused


#: The choices of ``--method``.
METHODS = {"paper": _paper, "mean": _mean}
#: Those of them that `mu` goes with.
SMOOTHED = ("mean",)
