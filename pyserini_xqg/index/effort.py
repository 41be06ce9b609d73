"""How hard an approximate index tries: the settings that it is searched with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pyserini_xqg.base.errors import XqgError

#: What FAISS calls the settings of `Effort`.
NAMES = {"ef_search": "efSearch", "nprobe": "nprobe"}
_FOR = {
    "ef_search": "--ef-search is for an HNSW index (--type hnsw, --to lucene-hnsw); this is none",
    "nprobe": "--nprobe is for an index of inverted lists (--type IVF...); this is none",
}


@dataclass(frozen=True)
class Effort:
    """How hard to try; None leaves a setting as the index has it.

    Attributes
    ----------
    ef_search : int or None
        Candidates that an HNSW index keeps.
    nprobe : int or None
        Inverted lists that an IVF index looks into.

    Raises
    ------
    XqgError
        For a number below 1.
    """

    ef_search: int | None = None
    nprobe: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value < 1:
                raise XqgError(f"--{name.replace('_', '-')} {value}: expected at least 1")

    def only(self, *names: str) -> None:
        """Refuse settings beside those with these names.

        Raises
        ------
        XqgError
            Saying what kind of index has the setting.
        """
        for name, value in asdict(self).items():
            if value is not None and name not in names:
                raise XqgError(_FOR[name])


def tune_faiss(index: Any, effort: Effort) -> None:
    """Give a FAISS index its settings.

    Raises
    ------
    XqgError
        For one that the index has not.
    """
    import faiss

    for name, value in asdict(effort).items():
        if value is not None:
            try:
                faiss.ParameterSpace().set_index_parameter(index, NAMES[name], value)
            except RuntimeError:
                raise XqgError(_FOR[name]) from None
