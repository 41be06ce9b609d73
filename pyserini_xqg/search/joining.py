"""Topics with their expansions, asked of a searcher: joined as texts, as vectors or as runs.

Runs are fused as pyserini.fusion does it, which takes a second to import.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit, Run
from pyserini_xqg.search.routing import detected_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.collection.topics import Topic
    from pyserini_xqg.encoder.topic_encoder import TopicEncoder


class Asking(NamedTuple):
    """How a searcher is asked.

    Attributes
    ----------
    hits : int
        The most for each topic.
    threads : int
    weight : float or None
        Of the topic's own vector or run, 0 to 1, the expansions sharing the rest; None gives every
        text the same. Texts have no weights.
    """

    hits: int
    threads: int = 1
    weight: float | None = None


def search_joined(
    searcher: Any, topics: Sequence[Topic], join: str, asking: Asking
) -> dict[str, list[Any]]:
    """Topic ids with their hits (``docid``, ``score``), best first.

    Parameters
    ----------
    searcher : one of ours
        The joins ``text`` and ``runs`` need its ``batch_search`` only.
    topics : sequence of Topic
        One without expansions is searched as it is.
    join : str
        A key of `JOINS`.
    asking : Asking

    Raises
    ------
    XqgError
        If the searcher has no vectors to take the mean of.
    """
    return JOINS[join](searcher, detected_for(searcher, topics), asking)


def add_join_options(parser: argparse.ArgumentParser, beside: str = "") -> None:
    """The options of a command that searches with expansions; `beside` adds to their help."""
    parser.add_argument(
        "--join",
        choices=JOINS,
        help="search with the topics' expansions (python -m pyserini_xqg.expand), too: as one "
        "text, by the mean of their vectors, or by fusing runs" + beside,
    )
    parser.add_argument(
        "--query-weight",
        type=float,
        help="with --join mean and runs: share of the topic itself, 0 to 1; by default that of any "
        "of its expansions",
    )


def check_join(args: argparse.Namespace, topics: Sequence[Topic], path: str | Path) -> None:
    """Refuse join options that nothing would come of, with the topics of `path`.

    Raises
    ------
    XqgError
    """
    weight = args.query_weight
    if weight is not None and args.join not in ("mean", "runs"):
        raise XqgError("--query-weight goes with --join mean and --join runs")
    if weight is not None and not 0 <= weight <= 1:
        raise XqgError(f"--query-weight {weight:g}: expected the topic's own share, 0 to 1")
    if args.join and not any(topic.expansions for topic in topics):
        raise XqgError(
            f"--join {args.join}: no topic of {path} has expansions; write them with "
            "python -m pyserini_xqg.expand"
        )


def _text(searcher: Any, topics: Sequence[Topic], asking: Asking) -> dict[str, list[Any]]:
    """The topic and its expansions as one text.

    A dense searcher encodes it as a query, but as long as a passage may be: at the length of a
    query most of the expansions would be cut off.
    """
    joined = [
        topic._replace(text=" ".join([topic.text, *(item.text for item in topic.expansions)]))
        for topic in topics
    ]
    encoder = _encoder_of(searcher)
    if encoder is None:
        return _ask(searcher, joined, [topic.text for topic in joined], asking)
    spec = encoder.spec
    vectors = encoder.encode_queries([topic.text for topic in joined])
    rows = [row for row, topic in enumerate(topics) if topic.expansions]
    longest = max(spec.max_length, spec.query_max_length)
    vectors[rows] = encoder.encode_queries([joined[row].text for row in rows], longest)
    return _ask(searcher, joined, vectors, asking)


def _mean(searcher: Any, topics: Sequence[Topic], asking: Asking) -> dict[str, list[Any]]:
    """The mean of the vectors; pseudo-passages are encoded as passages, all else as queries."""
    encoder = _encoder_of(searcher)
    if encoder is None:
        raise XqgError("--join mean is of vectors, which a BM25 index has none of; take text, runs")
    return _ask(searcher, topics, mean_vectors(encoder, topics, asking.weight), asking)


def mean_vectors(
    encoder: TopicEncoder, topics: Sequence[Topic], weight: float | None = None
) -> NDArray[np.float32]:
    """The vectors of topics, each with its expansions, shape ``(len(topics), d)``, float32.

    Of unit length where the encoder's are. After Gao et al., "Precise Zero-Shot Dense Retrieval
    without Relevance Labels", ACL 2023, who take the mean over hypothetical passages and the query.
    """
    from pyserini_xqg.fusion import normalise

    own = encoder.encode_queries([topic.text for topic in topics])
    items = [(row, item) for row, topic in enumerate(topics) for item in topic.expansions]
    if not items:
        return own
    written = np.empty((len(items), own.shape[1]), dtype=np.float32)
    for side, of_side in (
        (encoder.encode_passages, [item.kind == "passage" for _, item in items]),
        (encoder.encode_queries, [item.kind != "passage" for _, item in items]),
    ):
        places = np.flatnonzero(of_side)
        written[places] = side([items[place][1].text for place in places])
    means = own.copy()
    rows = np.array([row for row, _ in items])
    for row in np.unique(rows):
        others = written[rows == row]
        share = 1 / (1 + len(others)) if weight is None else weight
        means[row] = share * own[row] + (1 - share) * others.mean(axis=0)
    return normalise(means) if encoder.spec.l2_norm else means


def _runs(searcher: Any, topics: Sequence[Topic], asking: Asking) -> dict[str, list[Any]]:
    """The topic and each expansion searched alone, in its own language; the runs are fused.

    Each run's scores are first brought to 0..1 for each topic.
    """

    def search(asked: Sequence[Topic]) -> dict[str, list[Hit]]:
        found = _ask(searcher, asked, [topic.text for topic in asked], asking)
        return {
            qid: [Hit(hit.docid, float(hit.score)) for hit in hits] for qid, hits in found.items()
        }

    own = search(topics)
    expanded = [topic for topic in topics if topic.expansions]
    if not expanded:
        return dict(own)
    others = [
        search([
            topic._replace(text=item.text, language=item.language or topic.language)
            for topic, item in zip(expanded, nth, strict=True)
            if item is not None
        ])
        for nth in zip_longest(*(topic.expansions for topic in expanded))
    ]  # fmt: skip
    if asking.weight is None:
        kept = {topic.qid: own[topic.qid] for topic in expanded}
        fused = sum_runs([kept, *others], asking.hits)
    else:
        fused = fuse_runs(own, sum_runs(others), asking.weight, asking.hits)
    return {
        topic.qid: fused.get(topic.qid, []) if topic.expansions else own[topic.qid]
        for topic in topics
    }


#: What a join becomes for BM25 beside a dense index. Its scores are sums over the query's terms, so
#: that one text scores what its parts score together: their mean, but for a factor.
FOR_BM25 = {"mean": "text"}

#: The choices of ``--join``.
JOINS: dict[str, Callable[[Any, Sequence[Topic], Asking], dict[str, list[Any]]]] = {
    "text": _text,
    "mean": _mean,
    "runs": _runs,
}


def _encoder_of(searcher: Any) -> TopicEncoder | None:
    """The encoder of ours that a dense searcher holds."""
    encoder: TopicEncoder | None = getattr(searcher, "encoder", None)
    return encoder


def _ask(
    searcher: Any, topics: Sequence[Topic], queries: Any, asking: Asking
) -> dict[str, list[Any]]:
    qids = [topic.qid for topic in topics]
    found = searcher.batch_search(
        queries,
        qids,
        k=asking.hits,
        threads=asking.threads,
        languages=[topic.language for topic in topics],
    )
    return {qid: list(found.get(qid, [])) for qid in qids}


def fuse_runs(dense: Run, sparse: Run, weight: float, hits: int = 1000) -> dict[str, list[Hit]]:
    """Interpolate two runs, each topic's scores first brought to 0..1.

    Parameters
    ----------
    dense, sparse : mapping of topic id to list of Hit
    weight : float
        Of the dense run, 0 to 1; the other's is what is left. A passage that one run does not
        return gets 0 there, which is that run's lowest score after normalisation.
    hits : int
        The most that are kept of a topic.

    Returns
    -------
    dict of topic id to list of Hit
        Topics in the order of their ids; hits best first, ties in the order of docids.

    Raises
    ------
    XqgError
        For a weight outside 0..1.

    Notes
    -----
    The same as ``pyserini.fusion``'s ``normalize`` of each run and ``interpolation`` of both.
    """
    if not 0 <= weight <= 1:
        raise XqgError(f"--weight {weight:g}: expected the share of the dense run, 0 to 1")
    return _summed([(dense, weight), (sparse, 1 - weight)], hits)


def sum_runs(runs: Sequence[Run], hits: int | None = None) -> Run:
    """The sum of runs, each topic's scores first brought to 0..1: ``normalize`` of pyserini.fusion.

    One run alone keeps its scores.
    """
    if len(runs) == 1:
        return runs[0]
    return _summed([(run, 1.0) for run in runs], hits)


def _summed(runs: Sequence[tuple[Run, float]], hits: int | None) -> dict[str, list[Hit]]:
    fused = {}
    for qid in sorted({qid for run, _ in runs for qid, found in run.items() if found}):
        total: dict[str, float] = {}
        for run, weight in runs:
            for docid, share in _shares(run.get(qid, ())).items():
                total[docid] = total.get(docid, 0.0) + share * weight
        best = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:hits]
        fused[qid] = [Hit(docid, score) for docid, score in best]
    return fused


def _shares(found: Sequence[Hit]) -> Mapping[str, float]:
    """Scores from 0, of the worst hit, to 1, of the best; where all are equal, 1."""
    scores = [hit.score for hit in found]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    span = high - low
    return {hit.docid: (hit.score - low) / span if span else 1.0 for hit in found}
