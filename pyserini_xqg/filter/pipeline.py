"""The steps put together: generated queries in, cleaned ones out, and a report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.versions import versions
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.languages import Identifier
from pyserini_xqg.collection.records import PassageFormat
from pyserini_xqg.collection.shards import shard_range
from pyserini_xqg.filter.further_steps import (
    SharedQueries,
    Thresholds,
    drop_inconsistent,
    drop_low,
    drop_shared,
)
from pyserini_xqg.filter.relevance import Scorer, score_rows
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import (
    FOUND,
    SCORES,
    Answers,
    Row,
    are_kept,
    read_rows,
    read_written,
    write_rows,
)
from pyserini_xqg.filter.steps import (
    drop_copies,
    drop_duplicates,
    drop_other_languages,
    drop_short,
    drop_wrong_script,
)
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.search.searcher import open_searcher

_ROWS = "rows"


def filter_queries(
    queries: Sequence[str | Path],
    corpus: str | Path,
    output: str | Path,
    *,
    min_length: int | None = None,
    deduplicate: bool = False,
    script: float | None = None,
    identify: Sequence[str] | None = None,
    copies: float | None = None,
    prompt: str | None = None,
    max_shared: int | None = None,
    scorer: Scorer | None = None,
    min_score: float | None = None,
    keep_fraction: float | None = None,
    round_trip: str | Path | None = None,
    round_trip_k: int = 10,
    device: str | None = None,
    trust_remote_code: bool = False,
    batch_size: int = 64,
    threads: int = 1,
    form: PassageFormat | None = None,
    language: str | None = None,
    ignore_unknown: bool = False,
    shard_id: int = 0,
    shard_num: int = 1,
    overwrite: bool = False,
    tally: Tally | None = None,
) -> Tally:
    """Clean generated queries by the steps that are asked for, in the order of the parameters.

    Rows come out in the order of the corpus, with their other fields; those that lose nothing, byte
    for byte. A passage that loses all its queries stays, with empty lists. A run that was killed
    does the cheap steps again when it is called again, and goes on scoring or searching where it
    stopped.

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
    identify : sequence of str or None
        Languages that queries may be in by mistake, beside those of the input.
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
    round_trip : path-like or None
        An index of ours: among a query's first `round_trip_k` hits in it must be its passage.
    device : str or None
        Of that index's encoder.
    round_trip_k, batch_size, threads : int
        Of that search.
    form : PassageFormat or None
        How corpus rows are read.
    language : str or None
        Of queries whose rows do not say theirs: plain lists, and TSV.
    ignore_unknown : bool
        Leave out queries whose docid the corpus lacks, instead of refusing them.
    shard_id, shard_num : int
        The part of the corpus to do, counted from 0. Shards put together have the bytes of the
        whole; `max_shared` still counts over the whole input, in each of them.
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
    if keep_fraction is not None and shard_num > 1:
        raise XqgError(
            "--keep-fraction compares the scores of all passages, so it cannot be done in shards: "
            "leave it out there, then give it to one filter over their outputs, which has the "
            "scores to read and loads no model"
        )
    _check(min_length, script, copies, max_shared, min_score, keep_fraction, round_trip_k)
    output, tally = Path(output), tally or Tally()
    plan = {
        "min_length": min_length, "deduplicate": deduplicate, "script": script,
        "identify": identify and sorted(identify), "copies": copies, "prompt": prompt,
        "max_shared": max_shared, "scorer": scorer and dict(scorer.plan), "min_score": min_score,
        "keep_fraction": keep_fraction,
        "round_trip": round_trip and [read_manifest(round_trip), round_trip_k],
        "shard": [shard_id, shard_num],
    }  # fmt: skip
    searcher = round_trip and open_searcher(
        round_trip, device=device, keep=False, trust_remote_code=trust_remote_code
    )
    with OutputFolder(output, _ROWS, overwrite=overwrite) as folder, _cleared(folder):
        join = Join(
            corpus, queries, folder.work, form=form, language=language,
            ignore_unknown=ignore_unknown,
        )  # fmt: skip
        start, stop = shard_range(join.passages, shard_id, shard_num)
        answers = Answers(folder, {**plan, "inputs": join.digests, "versions": versions()})
        identifier = None
        if identify is not None:
            identifier = Identifier([*join.languages, *identify])
        shared = None
        if max_shared is not None:
            shared = SharedQueries(read_rows(join), max_shared, folder.work / "shared.sqlite")

        def first_steps() -> Iterator[Row]:
            rows = tally.count_read(read_rows(join, start, stop))
            if min_length is not None:
                rows = drop_short(rows, tally, min_length)
            if deduplicate:
                rows = drop_duplicates(rows, tally)
            if script is not None:
                rows = drop_wrong_script(rows, tally, script)
            if identifier is not None:
                rows = drop_other_languages(rows, tally, identifier)
            if copies is not None:
                rows = drop_copies(rows, tally, copies, [prompt] if prompt else None)
            if shared is not None:
                rows = drop_shared(rows, tally, shared)
            return rows if scorer is None else score_rows(rows, scorer, answers.recall(SCORES))

        rows = first_steps()
        if keep_fraction is not None:
            scored, thresholds = folder.work / "scored", Thresholds(folder.work / "scores.sqlite")
            write_rows(thresholds.collect(rows), scored)
            rows = drop_low(read_written(scored), tally, thresholds.keeping(keep_fraction))
        elif min_score is not None:
            rows = drop_low(rows, tally, min_score)
        if searcher is not None:
            rows = drop_inconsistent(
                rows, tally, searcher, round_trip_k, batch_size=batch_size, threads=threads,
                recall=answers.recall(FOUND),
            )  # fmt: skip
        write_rows(tally.count_kept(rows), folder.work / _ROWS, packed=output.suffix == ".gz")
        tally.unknown = join.unknown
        join.close()
        if shared is not None:
            shared.close()
        (folder.work / _ROWS).replace(output)
        shutil.rmtree(folder.partial)
    return tally


@contextmanager
def _cleared(folder: OutputFolder) -> Iterator[None]:
    """Leave nothing of a run that fails, unless it has answers that a next one can use."""
    try:
        yield
    except BaseException:
        if not are_kept(folder):
            shutil.rmtree(folder.partial)
        raise


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
