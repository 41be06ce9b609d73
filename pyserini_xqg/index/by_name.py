"""An index of ours as its own encoder, where stock Pyserini is given an encoder's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyserini_xqg.encoder.spec import SPEC_FILE
from pyserini_xqg.index.manifest import MANIFEST


def take_ours(searcher: Any, make: Callable[[str], Any]) -> None:
    """Let ``FaissSearcher(index, name)`` take what is ours by its path; all else stays as it is.

    Parameters
    ----------
    searcher : type
        Pyserini's ``FaissSearcher``, which guesses a class from the letters of a name.
    make : callable
        From the folder of an index, or of a model with a saved specification, to its encoder.
    """
    guess = searcher._init_encoder_from_str
    if getattr(guess, "knows_ours", False):
        return

    def by_name(encoder: str) -> Any:
        ours = any((Path(encoder) / name).is_file() for name in (MANIFEST, SPEC_FILE))
        return make(encoder) if ours else guess(encoder)

    by_name.knows_ours = True  # type: ignore[attr-defined]
    searcher._init_encoder_from_str = staticmethod(by_name)
