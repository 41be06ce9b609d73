"""Alpha and mu for a store: by its own generated queries, or by topics with judgments.

Each generated query of a sample is a topic for its own passage, which is ranked by its vector with
that query left out of its sum (and, by folds, out of the map). For the share of passages that have
no queries, all queries of a topic's passage are left out instead. Topics with judgments are in the
group that their passages are in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.choice import WITH, WITHOUT, Choice, Scores, pick
from pyserini_xqg.index.left_out import Found, Topics, rank
from pyserini_xqg.index.own_pairs import own_pairs
from pyserini_xqg.index.own_topics import covered, draw_topics, of_all, of_language, read_samples
from pyserini_xqg.index.passage_pool import POOL, Pool, draw_pool
from pyserini_xqg.index.settings import FALLBACK
from pyserini_xqg.store.rows import read_docids, take_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.collection.judged import Collection
    from pyserini_xqg.index.maps import Maps
    from pyserini_xqg.store.store import Store

#: What is tried.
ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
#: By generated queries one mu alone: a passage's other queries come from the same hand as the one
#: that is left out, and are nearer to it than to a user's, so that they ask for too small a mu.
MU = 8.0
#: By topics with judgments.
MUS = (0.0, 1.0, 2.0, 4.0, MU)
# Vectors that are fused at most, over all languages; and the passages that topics with judgments,
# whose own passages must be the best of all, are ranked among.
_IN_ALL, _JUDGED_POOL = 700_000, 1_000_000
# Topics of an index over several languages; for the fallback of a routed folder also languages that
# they are in, and passages that they are ranked among.
_MIXED, _OF_FALLBACK, _FEWER = 3_000, 10, 20_000


def choose(
    store: Store,
    languages: Sequence[str],
    maps: Maps | None,
    *,
    routed: bool,
    l2_norm: bool,
    alphas: Sequence[float] = ALPHAS,
    mus: Sequence[float] = (MU,),
    pool: Pool | None = None,
    seed: int = 0,
) -> Choice:
    """The alphas and the mu that generated queries, left out of their passages, find best.

    Parameters
    ----------
    store : Store
    languages : sequence of str
        To fold in.
    maps : Maps or None
        For mus above 0.
    routed : bool
        An alpha a language and one for topics in other languages; else one alpha.
    l2_norm : bool
        Whether fused vectors are scaled to length 1.
    alphas, mus : sequence of float
        Settings to try; no augmentation is tried anyhow.
    pool : Pool or None
        Passages to rank among; drawn if not given.
    seed : int
        Of what is drawn.

    Raises
    ------
    XqgError
        If the store has no sample of single query vectors.
    """
    alphas = sorted({0.0, *alphas})
    if pool is None:
        pool = draw_pool(store, min(POOL, _IN_ALL // len(languages)), seed)
    samples = read_samples(store, languages)
    drawn = draw_topics(samples, seed)
    share = covered(store, pool, languages)
    pairs = own_pairs(store, samples, seed)
    if not pairs.belong():
        alphas = [0.0]
    if routed:
        topics = {code: of_language(drawn[code], code) for code in languages}
    else:
        topics = {FALLBACK: of_all(samples, drawn, list(languages), _MIXED)}
    trying: dict[str, Any] = {"alphas": alphas, "l2_norm": l2_norm}
    found = rank(store, list(topics.values()), pool, maps, mus=mus, **trying)
    scores = {
        route: _left_out_scores({route: of}, [result], share[route])
        for (route, of), result in zip(topics.items(), found, strict=True)
    }

    def fallback(mu: float) -> Scores:
        """Topics in languages without a route: each one's whole language is left out."""
        some = list(languages)[:: -(-len(languages) // _OF_FALLBACK)]
        each = _MIXED // len(some)
        of = {}
        for code in some if len(languages) > 1 else []:
            others = [other for other in languages if other != code]
            of[code] = of_all(samples, {code: drawn[code]}, others, each)
        fewer = draw_pool(store, min(len(pool.rows), _FEWER), seed)
        results = rank(store, list(of.values()), fewer, maps, mus=[mu], **trying)
        return _left_out_scores(of, results, share[FALLBACK])

    return pick(
        scores,
        alphas,
        mus,
        {
            "by": "generated queries, each left out of its own passage",
            "pool": len(pool.rows),
            "coverage": {route: round(share[route], 6) for route in scores},
            "own_pairs": {**pairs._asdict(), "belong": pairs.belong()},
        },
        fallback if routed else None,
    )


def choose_judged(
    store: Store,
    languages: Sequence[str],
    maps: Maps | None,
    topics: str | Path,
    qrels: str | Path,
    *,
    routed: bool,
    l2_norm: bool,
    alphas: Sequence[float] = ALPHAS,
    mus: Sequence[float] = MUS,
    seed: int = 0,
    trust_remote_code: bool = False,
) -> Choice:
    """The same by the dev half of topics with judgments; topics on one passage are not split.

    Parameters
    ----------
    topics, qrels : path-like
        As `pyserini_xqg.collection.judged.read_collection` reads them.
    seed : int
        Of the halves, too.
    trust_remote_code : bool
        Run the Python that comes with the store's encoder.

    Other parameters are those of `choose`.

    Raises
    ------
    XqgError
        For topics and qrels that cannot be read or do not fit the store.
    """
    from pyserini_xqg.collection.judged import halves, read_collection
    from pyserini_xqg.encoder.encoder import Encoder

    dev, test = halves(read_collection(topics, qrels), seed)
    texts = [topic.text for topic in dev.topics.values()]
    encoder = Encoder(store.encoder, trust_remote_code=trust_remote_code)
    vectors = encoder.encode_queries(texts)
    facts = {
        "by": "the dev half of the topics",
        "of": str(topics),
        "test_topics": len(test.topics),
        "seed": seed,
    }
    return choose_by(
        store, languages, maps, dev, vectors, routed=routed, l2_norm=l2_norm, facts=facts,
        alphas=alphas, mus=mus, seed=seed,
    )  # fmt: skip


def choose_by(
    store: Store,
    languages: Sequence[str],
    maps: Maps | None,
    dev: Collection,
    vectors: NDArray[np.float32],
    *,
    routed: bool,
    l2_norm: bool,
    facts: Mapping[str, Any],
    alphas: Sequence[float] = ALPHAS,
    mus: Sequence[float] = MUS,
    seed: int = 0,
) -> Choice:
    """The same for topics, all of them dev topics, whose vectors are there.

    Parameters
    ----------
    dev : Collection
    vectors : array, shape (topics, d), float32
    facts : mapping
        To be recorded.

    Other parameters are those of `choose`.

    Raises
    ------
    XqgError
        If the store holds none of the relevant passages.
    """
    alphas = sorted({0.0, *alphas})
    routes = [*languages, FALLBACK] if routed else [FALLBACK]
    parts, qids = judged_parts(store, languages, dev, vectors, routes)
    pool = draw_pool(store, _JUDGED_POOL, seed)
    found = rank(store, list(parts.values()), pool, maps, alphas=alphas, mus=mus, l2_norm=l2_norm)
    scores = {route: Scores([], [], {}) for route in routes}
    for (route, of), result in zip(parts.items(), found, strict=True):
        counts = take_rows(store, of.row, of.members).counts.values()
        having = np.zeros(len(of.vectors), np.float32)
        np.maximum.at(having, of.topic, np.any([count > 0 for count in counts], axis=0))
        shares = {WITH: having, WITHOUT: 1 - having}
        groups = {name: (result.own, share) for name, share in shares.items() if share.any()}
        clusters = [dev.clusters[qid] for qid in qids[route]]
        scores[route] = Scores(qids[route], clusters, groups)
    rest = scores.pop(FALLBACK) if routed else None

    def fallback(mu: float) -> Scores:
        return Scores([], [], {}) if rest is None else rest.at(list(mus).index(mu))

    known = {**facts, "pool": len(pool.rows)}
    return pick(scores, alphas, mus, known, fallback if routed else None)


def judged_parts(
    store: Store,
    languages: Sequence[str],
    judged: Collection,
    vectors: NDArray[np.float32],
    routes: Sequence[str],
) -> tuple[dict[str, Topics], dict[str, list[str]]]:
    """Topics with judgments by route, and their ids; those whose passages the store lacks are left
    out.

    Raises
    ------
    XqgError
        If that is all of them.
    """
    wanted = {d for of in judged.qrels.values() for d, grade in of.items() if grade > 0}
    rows = {docid: row for row, docid in enumerate(read_docids(store)) if docid in wanted}
    pairs: dict[str, list[tuple[int, int]]] = {}
    places: dict[str, list[int]] = {}
    qids: dict[str, list[str]] = {}
    for place, (qid, topic) in enumerate(judged.topics.items()):
        route = topic.language if topic.language in routes else FALLBACK
        relevant = [rows[d] for d, grade in judged.qrels[qid].items() if grade > 0 and d in rows]
        if relevant:
            number = len(places.setdefault(route, []))
            places[route].append(place)
            qids.setdefault(route, []).append(qid)
            pairs.setdefault(route, []).extend((number, row) for row in relevant)
    if not pairs:
        raise XqgError(
            f"{store.paths[0]} holds none of the {len(wanted)} passages that the qrels call "
            f"relevant, e.g. {min(wanted)!r}; give the qrels of this collection"
        )
    parts = {}
    for route in sorted(pairs):
        topic, row = np.array(pairs[route], np.int64).T
        members = list(languages) if route == FALLBACK else [route]
        parts[route] = Topics(vectors[places[route]], topic, row, members)
    return parts, qids


def _left_out_scores(
    parts: Mapping[str, Topics], results: Sequence[Found], coverage: float
) -> Scores:
    qids = [f"{code}:{number}" for code, of in parts.items() for number in range(len(of.vectors))]
    rows = [str(row) for of in parts.values() for row in of.row.tolist()]
    if not parts:
        return Scores([], [], {})
    own = np.concatenate([result.own for result in results], axis=2)
    share = np.full(len(qids), coverage, np.float32)
    groups = {WITH: (own, share)}
    if coverage < 1:
        none = np.concatenate([result.none for result in results], axis=2)
        groups[WITHOUT] = (none, 1 - share)
    return Scores(qids, rows, groups)
