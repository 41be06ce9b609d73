"""What an index does to the generated queries of its collection, once more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyserini_xqg.index.self_check import line, self_check
from pyserini_xqg.verify.against import fused_again
from pyserini_xqg.verify.check import OK, WARNING, Check, Settings, Verdict, check

# Points of 100 that two machines may differ by.
_SAME = 0.1


def check_queries(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    """The self-check that an index was built with, repeated where its store is given."""
    if recorded := manifest.get("self_check"):
        yield check(path, "self-check", lambda: _look(path, manifest, settings, recorded))


def _look(
    path: Path, manifest: Mapping[str, Any], settings: Settings, recorded: Mapping[str, Any]
) -> Verdict:
    found, again = recorded, "as recorded; --store repeats it"
    if settings.store is not None:
        of = fused_again(path, manifest, settings.store)
        repeated = self_check(of.store, of.fusion, of.languages, of.centres, of.maps)
        if repeated is None:
            again = "as recorded; this store has no sample of single query vectors to repeat it"
        else:
            found, again = repeated, "repeated"
            if abs(found["index"] - recorded["index"]) > _SAME:
                again = f"recorded were {recorded['index']:.1f}"
    said = line({"": found}).removeprefix("self-check, ")
    if "warning" in found:
        return WARNING, f"{found['warning']} ({said}; {again})"
    return (OK if "were" not in again else WARNING), f"{said} ({again})"
