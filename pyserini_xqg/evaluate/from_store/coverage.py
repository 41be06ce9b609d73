"""Whether relevant passages have generated queries more often than others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from pyserini_xqg.evaluate.report.sections import Section
from pyserini_xqg.store.rows import read_docids, take_counts
from pyserini_xqg.store.store import Store

#: Standard errors that two shares are apart when that is no chance (two-sided, 95 %).
_APART = 1.96


def coverage_note(
    store: Store, languages: Sequence[str], qrels: Mapping[str, Mapping[str, int]]
) -> str:
    """What to say where coverage differs between relevant and other passages; else nothing.

    Parameters
    ----------
    store : Store
    languages : sequence of str
        Whose queries are looked at.
    qrels : mapping of topic id to mapping of docid to grade
        Relevant is a grade above 0.

    Returns
    -------
    str
        Empty, or what names the languages where two shares are further apart than
        chance brings (two-proportion z-test, 95 %, each language for itself).
    """
    asked = {docid for of in qrels.values() for docid, grade in of.items() if grade > 0}
    rows = np.array([row for row, docid in enumerate(read_docids(store)) if docid in asked])
    if not languages or not 0 < len(rows) < store.passages:
        return ""
    there = {code: int((of > 0).sum()) for code, of in take_counts(store, rows, languages).items()}
    rest = store.passages - len(rows)
    apart = []
    for code, covered in store.covered(languages).items():
        mine, others = there[code] / len(rows), (covered - there[code]) / rest
        pooled = covered / store.passages
        error = sqrt(pooled * (1 - pooled) * (1 / len(rows) + 1 / rest))
        if abs(mine - others) > _APART * error:
            apart.append(f"{code} {100 * mine:.3g} and {100 * others:.3g}")
    if not apart:
        return ""
    return (
        "Coverage differs: of the relevant passages and of the others, these shares have queries, "
        f"%: {', '.join(apart)}. With queries a passage is found more easily, right or wrong: the "
        "more so the less a mean is smoothed (--mu). So a gain over passages only is not what it "
        "would be with queries for all passages alike."
    )


def with_caveat(section: Section, caveat: str) -> Section:
    """The section with one more thing that nobody must miss, or as it is."""
    return replace(section, caveat=" ".join(filter(None, [section.caveat, caveat])))
