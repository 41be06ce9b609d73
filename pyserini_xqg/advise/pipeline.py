"""From passages and queries to indexes that serve, and to what they are worth."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.advise.held_out import Asked, judged, rounds_of, take_out
from pyserini_xqg.advise.systems import Seen, look
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.index.build import build_routed
from pyserini_xqg.index.folds import fold_of
from pyserini_xqg.index.manifest import read_built
from pyserini_xqg.index.own_topics import read_samples
from pyserini_xqg.store.store import Store


class Inputs(NamedTuple):
    """What the user gave."""

    corpus: str
    queries: Sequence[str]
    fields: Sequence[str]
    topics: str | None
    qrels: str | None


class Made(NamedTuple):
    """What serves: a store, and a dense and a BM25 index of it."""

    store: Store
    dense: Path
    bm25: Path


def make(
    inputs: Inputs, output: Path, encoder: Callable[[], Encoder], say: Callable[[str], None]
) -> Made:
    """Encode, choose and build; what is whole is kept.

    Raises
    ------
    XqgError
        For bad input, and where there are no queries.
    """
    from pyserini_xqg.encode.corpus import encode_corpus
    from pyserini_xqg.index.__main__ import main as index

    store, dense, bm25 = (output / name for name in ("store", "dense", "bm25"))
    if not store.exists():
        say("encoding passages and queries")
        encode_corpus(inputs.corpus, store, encoder(), queries=inputs.queries, fields=inputs.fields)
    if not Store([store]).languages:
        raise XqgError("no generated queries: there is nothing to advise on; see --queries")
    if not dense.exists():
        say("choosing alpha and mu, and building the dense index")
        by = ["--topics", inputs.topics, "--qrels", inputs.qrels] if inputs.topics else []
        index(["--embeddings", str(store), "--output", str(dense), *map(str, by)])
    if not bm25.exists():
        say("building the BM25 index")
        index(
            ["--to", "bm25", "--corpus", inputs.corpus, "--queries", *inputs.queries, "--output",
             str(bm25)]
        )  # fmt: skip
    return Made(Store([store]), dense, bm25)


def see(
    inputs: Inputs,
    made: Made,
    output: Path,
    encoder: Callable[[], Encoder],
    say: Callable[[str], None],
) -> tuple[Seen, Seen]:
    """What all systems give a dev and a test half: of topics, or of queries taken out."""
    if inputs.topics and inputs.qrels:
        say("asking the topics")
        halves = judged(inputs.topics, inputs.qrels, made.store, encoder()).halved()
        dev, test = (look(made.store, made.dense, made.bm25, half) for half in halves)
        return dev, test
    return _held_out(inputs, made, output / "work", say)


def _held_out(
    inputs: Inputs, made: Made, work: Path, say: Callable[[str], None]
) -> tuple[Seen, Seen]:
    from pyserini_xqg.index.bm25 import build_bm25

    (work / "join").mkdir(parents=True, exist_ok=True)
    join = Join(inputs.corpus, inputs.queries, work / "join", languages=made.store.languages)
    fusion = read_built(made.dense).fusion
    rounds = rounds_of(read_samples(made.store, made.store.languages))
    halves: list[Seen | None] = [None, None]
    for number in range(rounds):
        say(f"queries taken out, round {number + 1} of {rounds}")
        folder = work / str(number)
        left = take_out(made.store, join, folder, number, rounds)
        store, dense, bm25 = Store([left.store]), folder / "dense", folder / "bm25"
        with redirect_stderr(io.StringIO()):  # these indexes are not for use
            if not dense.exists():
                build_routed(store, dense, fusion)
            if not bm25.exists():
                build_bm25(inputs.corpus, bm25, queries=[left.queries])
        for half, asked in enumerate(_halves(left.asked)):
            if not asked.collection.topics:
                continue
            seen = look(store, dense, bm25, asked)
            before = halves[half]
            halves[half] = seen if before is None else before.plus(seen)
    join.close()
    dev, test = halves
    if dev is None or test is None:
        raise XqgError(
            "too few passages have queries to take some out; give --topics and --qrels, or more "
            "queries"
        )
    return dev, test


def _halves(asked: Asked) -> list[Asked]:
    """A dev and a test half; a passage is in the same one in every round."""
    collection = asked.collection
    return [
        asked.only(
            collection.only(
                [q for q, docid in collection.clusters.items() if fold_of(docid) % 2 == half]
            )
        )
        for half in (0, 1)
    ]
