"""BM25 routed by language: one Lucene index a language, with an analyzer each, and one over all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.leftovers import tidy
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.versions import versions
from pyserini_xqg.collection.join import Join
from pyserini_xqg.index.bm25 import NGRAMS, build_bm25, has_analyzer
from pyserini_xqg.index.manifest import FORMAT, MANIFEST
from pyserini_xqg.index.settings import FALLBACK

#: The analyzer of each language's own, where there is one that works, and n-grams elsewhere.
OWN = "own"


def build_routed_bm25(
    corpus: str | Path,
    output: str | Path,
    *,
    queries: Sequence[str | Path],
    languages: Sequence[str] | None = None,
    analyzer: str = NGRAMS,
    language: str | None = None,
    ignore_unknown: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """Passages with one language's queries in ``DIR/<lang>``, with those of all in ``DIR/all``.

    Parameters
    ----------
    corpus, output, queries, languages, language, ignore_unknown, overwrite
        As in `build_bm25`.
    analyzer : str
        As there, for every index; or `OWN`, where the index over all has n-grams.
    **options
        The others of `build_bm25`.

    Raises
    ------
    XqgError
        As there; and if there are no queries to route by.
    """
    from pyserini_xqg.base.java import prepare

    if not queries:
        raise XqgError("--routed needs --queries: a language's index holds the queries in it")
    prepare()
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        join = Join(
            corpus, queries, folder.work, languages=languages, language=language,
            ignore_unknown=ignore_unknown,
        )  # fmt: skip
        chosen, digests = join.languages, join.digests
        join.close()
        folder.start({"inputs": digests, "languages": chosen, "analyzer": analyzer, **options}, {})
        for route in [*chosen, FALLBACK]:
            path = folder.partial / route
            if path.is_dir():  # finished before the process was killed
                tidy(path)
                continue
            build_bm25(
                corpus,
                path,
                queries=queries,
                languages=chosen if route == FALLBACK else [route],
                analyzer=_analyzer(analyzer, route),
                language=language,
                ignore_unknown=ignore_unknown,
                **options,
            )
        folder.finish(
            {
                "format": FORMAT,
                "kind": "routed",
                "of": "bm25",
                "routes": {code: code for code in chosen},
                "fallback": FALLBACK,
                "inputs": digests,
                "versions": versions(),
            },
            keep_log=False,
        )


def _analyzer(analyzer: str, route: str) -> str:
    if analyzer != OWN:
        return analyzer
    return route if route != FALLBACK and has_analyzer(route) else NGRAMS
