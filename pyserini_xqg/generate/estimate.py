"""What a run will take: measured on a sample of the corpus."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import PassageFormat
from pyserini_xqg.collection.shards import shard_range
from pyserini_xqg.encode.estimate import in_all
from pyserini_xqg.generate.corpus import as_rows, kept_for, spread
from pyserini_xqg.generate.decoding import Outside
from pyserini_xqg.generate.devices import devices_of
from pyserini_xqg.generate.generator import Generator
from pyserini_xqg.generate.selection import Selection
from pyserini_xqg.generate.settings import Settings

#: No further language is measured after this many seconds; what is missing is taken as the mean.
_ENOUGH = 60.0
_CHECKED = 4  # passages


class Estimate(NamedTuple):
    """What a run will take.

    Attributes
    ----------
    passages, queries : int
        Of the run, which is one shard.
    corpus, shards : int
        Passages of all shards, and how many these are.
    passages_per_second, queries_per_second : float
        Of all devices together; a passage counts with all its languages.
    hours : float
    bytes : int
        Of the output, not compressed.
    measured : dict of str to float
        Queries a second of one device, by language.
    outside : Outside
        Where the vocabulary is trimmed, how often that could have changed a draw.
    """

    passages: int
    queries: int
    corpus: int
    shards: int
    passages_per_second: float
    queries_per_second: float
    hours: float
    bytes: int
    measured: dict[str, float]
    outside: Outside

    def lines(self, price_per_hour: float | None = None) -> list[str]:
        """The estimate in words, one fact a line; the price is of one machine."""
        found = [
            f"{self.passages:,} passages, {self.queries:,} queries",
            f"{self.passages_per_second:,.2f} passages/s, {self.queries_per_second:,.2f} queries/s",
            f"{self.hours:,.2f} hours",
            f"{self.bytes:,} bytes before compression",
            "queries/s of one device: "
            + ", ".join(f"{language} {rate:.2f}" for language, rate in self.measured.items()),
            *in_all(
                self.hours, self.bytes, self.corpus / self.passages, self.shards, price_per_hour
            ),
        ]
        return found + outside_lines(self.outside)


def outside_lines(outside: Outside) -> list[str]:
    """How often a trimmed vocabulary could have changed a draw; nothing where it is whole."""
    if not outside.steps:
        return []
    share, lost = (100 * part / outside.steps for part in (outside.outside, outside.lost))
    return [
        f"trimmed vocabulary: in {outside.outside:,} of {outside.steps:,} draws checked "
        f"({share:.1f} %) not all of the likeliest tokens lie in it (all other draws are those of "
        f"the whole vocabulary); {lost:.2f} % of all draws would have been a token outside"
    ]


def estimate(
    corpus: str | Path,
    settings: Settings,
    *,
    device: str | None = None,
    form: PassageFormat | None = None,
    shard_id: int = 0,
    shard_num: int = 1,
    sample: int | float | None = None,
    earlier: Sequence[str | Path] = (),
) -> Estimate:
    """Generate for one batch of passages, spread over the corpus, and reckon up.

    Parameters are those of `pyserini_xqg.generate.corpus.generate_corpus`. One device is measured;
    several count as as many times that.

    Raises
    ------
    XqgError
        For bad input, or a model that cannot be used.
    """
    devices = devices_of(device)
    with tempfile.TemporaryDirectory(prefix="pyserini-xqg-") as work:
        join = Join(corpus, earlier, Path(work), form=form)
        chosen = Selection(join, Path(work), sample=sample, seed=settings.seed)
        start, stop = shard_range(chosen.passages, shard_id, shard_num)
        some = list(spread(join, settings.batch_size))
        kept = kept_for(settings, join)
        join.close()
    generator = Generator(settings, devices[0], kept)
    texts, seconds, outside = {}, {}, Outside()
    for language in settings.languages:
        # Not timed: what is slow the first time only, and checking the trimmed vocabulary.
        checked = generator.generate(some[:_CHECKED], language)
        outside = outside.plus(checked.outside)
        began = time.perf_counter()
        generated = generator.generate(some, language, check=False)
        seconds[language] = time.perf_counter() - began
        texts[language] = generated.texts
        if sum(seconds.values()) > _ENOUGH:
            break
    # Of one passage: what all languages take of one device, and the bytes of its row.
    share = len(settings.languages) / len(seconds)
    each = sum(seconds.values()) / len(some) * share
    size = len(as_rows([passage.docid for passage in some], texts)) / len(some) * share
    passages, queries = stop - start, len(settings.languages) * settings.num_queries
    return Estimate(
        passages=passages,
        queries=passages * queries,
        corpus=chosen.passages,
        shards=shard_num,
        passages_per_second=len(devices) / each,
        queries_per_second=len(devices) / each * queries,
        hours=passages * each / len(devices) / 3600,
        bytes=round(passages * size),
        measured={
            language: len(some) * settings.num_queries / taken
            for language, taken in seconds.items()
        },
        outside=outside,
    )
