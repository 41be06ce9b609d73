"""Topics with their judgments, and what binds topics together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.columns import read_columns, whole_number
from pyserini_xqg.collection.languages import check_language, scripts_of
from pyserini_xqg.collection.sources import named_qrels, qrels_file
from pyserini_xqg.collection.topics import Topic, read_topics

Qrels = Mapping[str, Mapping[str, int]]


class Collection(NamedTuple):
    """What runs are scored on.

    Attributes
    ----------
    topics : dict of str to Topic
        The judged topics by id, in the order of their file.
    qrels : dict of str to dict of str to int
        Relevance by topic id and docid; every topic has at least one relevant passage.
    clusters : dict of str to str
        By topic id, the name of what stands or falls together: topics that ask for one passage,
        in whatever language, share a cluster.
    """

    topics: dict[str, Topic]
    qrels: dict[str, dict[str, int]]
    clusters: dict[str, str]

    def only(self, qids: Iterable[str]) -> Collection:
        """The same with these topics alone."""
        kept = set(qids)
        return Collection(
            {qid: topic for qid, topic in self.topics.items() if qid in kept},
            {qid: judged for qid, judged in self.qrels.items() if qid in kept},
            {qid: cluster for qid, cluster in self.clusters.items() if qid in kept},
        )

    def by(self, what: str = "lang") -> dict[str, list[str]]:
        """Topic ids by ``lang`` or ``script``, names sorted."""
        groups: dict[str, list[str]] = {}
        for qid, topic in self.topics.items():
            groups.setdefault(BY[what](topic.language), []).append(qid)
        return dict(sorted(groups.items()))


#: The choices of ``--by``.
BY: dict[str, Callable[[str], str]] = {
    "lang": lambda code: code or "unknown",
    "script": lambda code: "+".join(scripts_of(code)) or "unknown",
}


def read_collection(
    topics: str | Path,
    qrels: str | Path,
    clusters: str | Path | None = None,
    language: str | None = None,
) -> Collection:
    """The topics that the qrels judge.

    Parameters
    ----------
    topics : path-like
        As `pyserini_xqg.collection.topics.read_topics` reads them.
    qrels : path-like
        As `read_qrels` takes them. They may judge other topics, too: how many is said in a warning.
    clusters : path-like or None
        Topic id and cluster, white space between them, a topic a line; by default topics with a
        relevant passage in common are one cluster.
    language : str or None
        Of all topics, instead of what the file says.

    Raises
    ------
    XqgError
        For broken input, qrels of other topics altogether, a topic without a cluster, and if no
        topic has a relevant passage.
    """
    everything = read_qrels(qrels)
    asked = {topic.qid: topic for topic in read_topics(topics, language)}
    judged = {
        qid: of_topic
        for qid, of_topic in everything.items()
        if qid in asked and any(relevance > 0 for relevance in of_topic.values())
    }
    here = everything.keys() & asked.keys()
    if everything and not here:
        raise XqgError(
            f"{qrels}: none of its {len(everything)} judged topics is in {topics}; it judges "
            f"{min(everything)!r}, the topics have {min(asked)!r}"
        )
    if not judged:
        raise XqgError(f"{qrels}: no topic has a relevant passage")
    if others := everything.keys() - here:
        warnings.warn(
            f"{qrels}: {len(others)} judged topic(s) are not in {topics}, e.g. {min(others)!r}; "
            f"scored over the {len(judged)} that are",
            stacklevel=2,
        )
    if empty := len(here) - len(judged):
        warnings.warn(
            f"{qrels}: {empty} topic(s) without a relevant passage are left out", stacklevel=2
        )
    return Collection(
        {qid: topic for qid, topic in asked.items() if qid in judged},
        judged,
        clusters_of(judged) if clusters is None else read_clusters(clusters, judged),
    )


def check_judged(codes: Sequence[str], there: Iterable[str], where: str) -> list[str]:
    """The language codes, each once.

    Parameters
    ----------
    codes : sequence of str
    there : iterable of str
        The languages that have judged topics.
    where : str
        What the codes were given to, for the error.

    Raises
    ------
    XqgError
        If a code is not well-formed, or is not among those that are there.
    """
    languages = list(dict.fromkeys(check_language(code, where) for code in codes))
    if missing := [code for code in languages if code not in there]:
        raise XqgError(
            f"{where}: no judged topics in {' '.join(missing)}; there are {' '.join(there)}"
        )
    return languages


#: The columns of qrels by their number; three are BEIR's, under a row that names them.
_FORMS = {4: "topic id, 0, docid, relevance (TREC)", 3: "topic id, docid, relevance (BEIR)"}


def read_qrels(path: str | Path) -> dict[str, dict[str, int]]:
    """Relevance by topic id and docid.

    Parameters
    ----------
    path : path-like
        A file in TREC or BEIR format, BEIR's folder, or a name, as
        `pyserini_xqg.collection.sources` knows them.

    Raises
    ------
    XqgError
        If the file is missing, or a line is not of that form or judges a passage twice.
    """
    qrels: dict[str, dict[str, int]] = {}
    for (qid, docid, value), where in _judgments(path):
        if docid in qrels.setdefault(qid, {}):
            raise XqgError(f"{where}: {docid!r} is judged twice for topic {qid!r}")
        qrels[qid][docid] = value
    return qrels


def _judgments(source: str | Path) -> Iterator[tuple[tuple[str, str, int], str]]:
    """Topic id, docid and relevance of each row, with its place."""
    named = named_qrels(source)
    if named is not None and not isinstance(named, Path):
        yield from ((judgment, str(source)) for judgment in named)
        return
    for cells, where in read_columns(named or qrels_file(source), _FORMS):
        relevance = whole_number(cells[-1], f"column {len(cells)} (relevance)", where)
        yield (cells[0], cells[-2], relevance), where


def read_clusters(path: str | Path, topics: Iterable[str]) -> dict[str, str]:
    """The clusters of these topics, from a file of topic id and cluster, a topic a line.

    Raises
    ------
    XqgError
        If the file is missing, a line is not of that form or repeats a topic, or a topic has none.
    """
    bound: dict[str, str] = {}
    for (qid, cluster), where in read_columns(path, {2: "topic id and cluster"}):
        if qid in bound:
            raise XqgError(f"{where}: topic {qid!r} is given twice")
        bound[qid] = cluster
    topics = list(topics)
    if missing := sorted(set(topics) - bound.keys()):
        raise XqgError(f"{path}: no cluster for {len(missing)} topic(s), e.g. {missing[0]!r}")
    return {qid: bound[qid] for qid in topics}


def clusters_of(qrels: Qrels) -> dict[str, str]:
    """By topic id, the first docid of the passages that bind it to other topics.

    Topics are in one cluster if a chain of shared relevant passages leads from one to the other.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = [
        (qid, docid)
        for qid, judged in qrels.items()
        for docid, relevance in judged.items()
        if relevance > 0
    ]
    topics = {qid: row for row, qid in enumerate(dict.fromkeys(qid for qid, _ in pairs))}
    docids = {d: len(topics) + row for row, d in enumerate(dict.fromkeys(d for _, d in pairs))}
    size = len(topics) + len(docids)
    edges = ([topics[qid] for qid, _ in pairs], [docids[docid] for _, docid in pairs])
    _, label = connected_components(coo_array(([1] * len(pairs), edges), shape=(size, size)))
    names: dict[int, str] = {}
    for docid, row in docids.items():
        names.setdefault(int(label[row]), docid)
    return {qid: names[int(label[row])] for qid, row in topics.items()}


def halves(collection: Collection, seed: int = 0) -> tuple[Collection, Collection]:
    """A dev and a test half: clusters drawn at random, none of them split.

    Raises
    ------
    XqgError
        If there are fewer than two clusters.
    """
    import random

    names = sorted(set(collection.clusters.values()))
    if len(names) < 2:
        raise XqgError("topics of one cluster cannot be split into a dev and a test half")
    random.Random(seed).shuffle(names)
    dev = set(names[: len(names) // 2])
    of_dev = {qid for qid, name in collection.clusters.items() if name in dev}
    return collection.only(of_dev), collection.only(collection.topics.keys() - of_dev)
