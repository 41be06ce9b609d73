"""More generated queries for a store that has some: only they are encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.encode.vector_sources import VectorSource
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.block import Block, Sampled
from pyserini_xqg.store.sample import sample_rates, thinned
from pyserini_xqg.store.store import Store


def store_to_add_to(
    vectors: VectorSource | None,
    encoder: Encoder,
    keep_queries: bool,
    to_faiss: Fusion | None,
    shard_num: int,
) -> Store:
    """The store that queries are added to.

    The parameters are those of `pyserini_xqg.encode.corpus.encode_corpus`.

    Raises
    ------
    XqgError
        If there is none, another encoder made it, it lacks single vectors that are asked for, or
        it was to become something other than a store.
    """
    if vectors is None or vectors.kind != "store":
        raise XqgError("xqg --add adds to a store: name it with input --vectors STORE")
    if to_faiss is not None or shard_num > 1:
        raise XqgError(
            "xqg --add makes a store of a store: leave --to-faiss and --shard-num out; shards are "
            "added to one by one"
        )
    store = Store([vectors.path])
    _check(store, encoder, keep_queries)
    return store


def _check(store: Store, encoder: Encoder, keep_queries: bool) -> None:
    if encoder.spec != store.encoder.at(encoder.spec.model):
        ours, theirs = encoder.spec.to_dict(), store.encoder.to_dict()
        changed = [
            f"{name} is {ours[name]!r}, not {theirs[name]!r}"
            for name in ours
            if ours[name] != theirs[name] and name != "model"
        ]
        raise XqgError(
            f"{store.paths[0]} was encoded with other settings: {'; '.join(changed)}; leave the "
            "encoder group out, and the store's own encoder is taken"
        )
    check_probes(encoder, store.manifest["probes"], str(store.paths[0]))
    if keep_queries and not store.kept_queries:
        raise XqgError(
            f"{store.paths[0]} holds sums only, so --keep-queries cannot keep the queries that it "
            "has: leave it out, or encode them all again"
        )


def check_not_there(store: Store, join: Join) -> None:
    """Refuse queries that a store has already, by what it says of its inputs.

    Raises
    ------
    XqgError
    """
    there = {value for name, value in store.manifest["inputs"].items() if "queries" in name}
    again = {value for name, value in join.digests.items() if "queries" in name} & there
    if again and (both := {*store.languages} & {*join.languages}):
        raise XqgError(
            f"{store.paths[0]} has these queries in {' '.join(sorted(both))} already, and each "
            "would count twice: add others, or other --languages of them"
        )


def rates_of_both(store: Store, counts: Mapping[str, int]) -> dict[str, float]:
    """The rates of the sample over old and new queries; none where the store has no sample."""
    if store.languages and store.sample_rates is None:
        return {}
    languages = sorted({*store.languages, *counts})
    both = {code: store.queries.get(code, 0) + counts.get(code, 0) for code in languages}
    rates = sample_rates(both, store.passages)
    old = store.sample_rates or {}
    return {code: min(rate, old.get(code, 1.0)) for code, rate in rates.items()}


def with_old(
    new: Iterator[Block], store: Store, rates: Mapping[str, float], start: int, keep: bool
) -> Iterator[Block]:
    """Blocks of new queries with those of the store before them.

    Parameters
    ----------
    new : iterator of Block
        With the passages of the store, from block number `start` on, and samples at `rates`.
    store : Store
    rates : mapping of language to float
    start : int
    keep : bool
        Every query's vector, too.
    """
    old = store.blocks(start=start, keep=keep, sample=bool(rates))
    for here, there in zip(new, old, strict=True):
        languages = sorted({*here.counts, *there.counts})
        shape = here.passages.shape
        sums, counts, queries, sample = {}, {}, {}, {}
        for code in languages:
            parts = [of for of in (there, here) if code in of.counts]
            sums[code] = np.sum([of.sums[code] for of in parts], axis=0).reshape(shape)
            counts[code] = np.sum([of.counts[code] for of in parts], axis=0).astype(np.int32)
            if keep:
                queries[code] = _interleaved(
                    [of.counts[code] for of in parts], [(of.queries or {})[code] for of in parts]
                )
            if rates:
                drawn = [(of.sample or {})[code] for of in parts]
                if code in there.counts:
                    drawn[0] = thinned(drawn[0], there.docids, rates[code])
                sample[code] = Sampled(
                    np.sum([of.counts for of in drawn], axis=0).astype(np.int32),
                    _interleaved([of.counts for of in drawn], [of.vectors for of in drawn]),
                )
        yield Block(
            here.docids, there.passages, sums, counts, queries if keep else None, sample or None
        )


def _interleaved(
    counts: Sequence[NDArray[np.int32]], vectors: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Queries of several inputs in passage order, within a passage those of the first before."""
    owners = [np.repeat(np.arange(len(count)), count) for count in counts]
    order = np.argsort(np.concatenate(owners), kind="stable")
    found: NDArray[np.float32] = np.concatenate(vectors)[order]
    return found


def facts_of_both(store: Store, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest says of a store with queries added."""
    before = store.manifest
    old = {f"{name} of {before['digest']}": value for name, value in before["inputs"].items()}
    known = {probe["language"] for probe in before["probes"]}
    new = [probe for probe in facts.get("probes", []) if probe["language"] not in known]
    return {
        **facts,
        "inputs": {**facts["inputs"], **old},
        "shard": before["shard"],
        "probes": [*before["probes"], *new],
    }
