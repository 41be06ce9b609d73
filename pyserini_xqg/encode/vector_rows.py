"""Rows of vectors, as every reader of them gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import DOCID_FIELDS, Passage, PassageFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a vector's field or column is called: by Pyserini and Anserini first, then by others.
VECTOR_FIELDS = ("vector", "embedding", "emb", "embeddings", "vectors")


class Rows(NamedTuple):
    """Vectors that follow each other.

    Attributes
    ----------
    first : int
        The row number of the first, counted from 0.
    docids : list of str
    vectors : array, shape (n, d), float32
    passages : list of Passage or None
        Their texts, where these are given beside them.
    """

    first: int
    docids: list[str]
    vectors: NDArray[np.float32]
    passages: list[Passage] | None


class VectorFormat(NamedTuple):
    """How rows and columns are read.

    Attributes
    ----------
    form : PassageFormat
    vector_field : str or None
        The name of the vector's field where it is none of `VECTOR_FIELDS`.
    """

    form: PassageFormat = PassageFormat()
    vector_field: str | None = None

    @property
    def docid_names(self) -> tuple[str, ...]:
        """What the docid's field may be called."""
        return (self.form.docid_field,) if self.form.docid_field else DOCID_FIELDS

    def vector_name(self, present: Sequence[str], where: str) -> str:
        """The field or column that holds the vector.

        Raises
        ------
        XqgError
            If there is none.
        """
        names = (self.vector_field,) if self.vector_field else VECTOR_FIELDS
        for name in names:
            if name in present:
                return name
        raise XqgError(
            f"{where}: no vector in {' or '.join(names)}; found {', '.join(present) or 'nothing'}; "
            "see --vector-field"
        )


def one_vector(value: Any, where: str) -> NDArray[np.float32]:
    """A list of numbers as a vector, shape ``(d,)``.

    Raises
    ------
    XqgError
        For anything else.
    """
    try:
        vector = np.array(value, dtype=np.float32)
    except (TypeError, ValueError):
        vector = np.empty(0, dtype=np.float32)
    if vector.ndim != 1 or not vector.size:
        raise XqgError(f"{where}: expected the vector to be a list of numbers")
    return vector
