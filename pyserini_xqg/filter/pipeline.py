"""The steps put together: generated queries in, cleaned ones out, and a report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.errors import XqgError
from pyserini_xqg.filter.relevance import Scorer, Thresholds, drop_low, score_rows
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.round_trip import drop_inconsistent
from pyserini_xqg.filter.rows import Row, read_rows, read_written, write_rows
from pyserini_xqg.filter.shared import SharedQueries, drop_shared
from pyserini_xqg.filter.steps import (
    drop_copies,
    drop_duplicates,
    drop_short,
    drop_wrong_script,
)
from pyserini_xqg.join import Join

if TYPE_CHECKING:
    from pyserini_xqg.records import PassageFormat


def filter_queries(
    queries: Sequence[str | Path],
    corpus: str | Path,
    output: str | Path,
    *,
    min_length: int | None = None,
    deduplicate: bool = False,
    script: float | None = None,
    copies: float | None = None,
    prompt: str | None = None,
    max_shared: int | None = None,
    scorer: Scorer | None = None,
    min_score: float | None = None,
    keep_fraction: float | None = None,
    searcher: Any = None,
    round_trip_k: int = 10,
    batch_size: int = 64,
    threads: int = 1,
    form: PassageFormat | None = None,
    ignore_unknown: bool = False,
    overwrite: bool = False,
    tally: Tally | None = None,
) -> Tally:
    """Clean generated queries by the steps that are asked for, in the order of the parameters.

    Rows come out in the order of the corpus, with their other fields; with no step they come out
    equal. A passage that loses all its queries stays, with empty lists.

    Parameters
    ----------
    queries : sequence of path-like
        Files or folders; several unite by docid.
    corpus : path-like
        The passages; may be the same file as the queries.
    output : path-like
        The JSONL file to make, packed where its name ends in ``.gz``.
    min_length : int or None
        Fewest letters and digits of a query.
    deduplicate : bool
        Leave out what a passage has twice in one language.
    script : float or None
        Least share of letters in the language's scripts.
    copies : float or None
        Share of a query found in the passage from which on it is a copy.
    prompt : str or None
        What the generator was told, where it is none of our prompts; queries that begin as it does
        are copies too.
    max_shared : int or None
        Most passages that may share a query; counted over the whole input, before any step.
    scorer : Scorer or None
        Writes ``scores`` beside the queries.
    min_score : float or None
        Least score, given now or read with the queries.
    keep_fraction : float or None
        Best part of each language's queries to keep instead.
    searcher : XqgSearcher, Bm25Searcher or None
        Whose first `round_trip_k` hits must hold a query's passage.
    round_trip_k, batch_size, threads : int
        Of that search.
    form : PassageFormat or None
        How corpus rows are read.
    ignore_unknown : bool
        Leave out queries whose docid the corpus lacks, instead of refusing them.
    overwrite : bool
        Replace an existing output.
    tally : Tally or None
        Where to count.

    Returns
    -------
    Tally

    Raises
    ------
    XqgError
        For bad input, parameters outside their range, or an output that exists.
    """
    _check(min_length, script, copies, max_shared, min_score, keep_fraction, round_trip_k)
    output, tally = Path(output), tally or Tally()
    if output.exists() and not overwrite:
        raise XqgError(f"{output} exists; give another name, or --overwrite to replace it")
    output.parent.mkdir(parents=True, exist_ok=True)
    # Beside the output, where there is room for it, and so that the rename is one.
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        work = Path(folder)
        join = Join(corpus, queries, work, form=form, ignore_unknown=ignore_unknown)
        shared = None
        if max_shared is not None:
            shared = SharedQueries(read_rows(join), max_shared, work / "shared.sqlite")

        def first_steps() -> Iterator[Row]:
            rows = tally.count_read(read_rows(join))
            if min_length is not None:
                rows = drop_short(rows, tally, min_length)
            if deduplicate:
                rows = drop_duplicates(rows, tally)
            if script is not None:
                rows = drop_wrong_script(rows, tally, script)
            if copies is not None:
                rows = drop_copies(rows, tally, copies, [prompt] if prompt else None)
            if shared is not None:
                rows = drop_shared(rows, tally, shared)
            return rows if scorer is None else score_rows(rows, scorer)

        rows = first_steps()
        if keep_fraction is not None:
            thresholds = Thresholds(work / "scores.sqlite")
            write_rows(thresholds.collect(rows), work / "scored")
            rows = drop_low(read_written(work / "scored"), tally, thresholds.keeping(keep_fraction))
        elif min_score is not None:
            rows = drop_low(rows, tally, min_score)
        if searcher is not None:
            rows = drop_inconsistent(
                rows, tally, searcher, round_trip_k, batch_size=batch_size, threads=threads
            )
        write_rows(tally.count_kept(rows), work / "output", packed=output.suffix == ".gz")
        tally.unknown = join.unknown
        join.close()
        if shared is not None:
            shared.close()
        (work / "output").replace(output)
    return tally


def _check(
    min_length: int | None,
    script: float | None,
    copies: float | None,
    max_shared: int | None,
    min_score: float | None,
    keep_fraction: float | None,
    round_trip_k: int,
) -> None:
    for name, count in (
        ("--min-length", min_length),
        ("--max-shared", max_shared),
        ("--round-trip-k", round_trip_k),
    ):
        if count is not None and count < 1:
            raise XqgError(f"{name} {count}: expected at least 1")
    for name, share in (
        ("--script", script),
        ("--copies", copies),
        ("--keep-fraction", keep_fraction),
    ):
        if share is not None and not 0 < share <= 1:
            raise XqgError(f"{name} {share}: expected a share above 0, at most 1")
    if min_score is not None and keep_fraction is not None:
        raise XqgError(
            "--min-score and --keep-fraction are two ways to set one threshold; give one"
        )
