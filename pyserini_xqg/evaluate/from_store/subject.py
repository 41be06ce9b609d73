"""What ``controls`` and ``sweep`` are run on: a store, topics with judgments, and their vectors."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection
from pyserini_xqg.collection.languages import add_languages_option, code_of
from pyserini_xqg.collection.topics import add_language_option
from pyserini_xqg.encoder.hub import add_trust_option
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.from_store.retrieval import (
    Name,
    Part,
    System,
    open_encoder,
    parts_of,
    retrieve,
)
from pyserini_xqg.evaluate.report.publish import add_output_options
from pyserini_xqg.evaluate.report.sections import Cell, Table
from pyserini_xqg.evaluate.trec.measures import parse_measures, score_by_topic
from pyserini_xqg.index.build import corpus_centres
from pyserini_xqg.index.maps import Maps
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.store.store import Store

ByTopic = Mapping[str, float]
#: Hits for measures without a cutoff of their own; as deep as Pyserini searches.
_HITS = 1000
#: Hits beyond the cutoff: equal scores are ranked by docid, which retrieval does not look at.
_TIES = 10


class Subject(NamedTuple):
    """A store, and topics to ask of it.

    Attributes
    ----------
    store : Store
    languages : sequence of str
        Whose queries are folded in.
    collection : Collection
    vectors : array, shape (topics, d), float32
        In the order of the collection's topics.
    pooled : sequence of str
        The topic languages of the mean.
    centres : mapping of language to array, shape (d,), or None
        For fusions that centre.
    maps : Maps or None
        For fusions with a mu.
    """

    store: Store
    languages: Sequence[str]
    collection: Collection
    vectors: NDArray[np.float32]
    pooled: Sequence[str]
    centres: Mapping[str, NDArray[np.float32]] | None = None
    maps: Maps | None = None

    def score(
        self, parts: Iterable[Part], systems: Mapping[Name, System], measures: Sequence[str]
    ) -> dict[Name, dict[str, dict[str, float]]]:
        """By system, measure and topic, in percent, from one pass over the parts."""
        runs = retrieve(
            self.store,
            parts,
            systems,
            list(self.collection.topics.values()),
            self.vectors,
            hits=max(m.params.get("cutoff", _HITS) for m in parse_measures(measures)) + _TIES,
            centres=self.centres,
            maps=self.maps,
        )
        scored = (
            (name, score_by_topic(self.collection.qrels, run, measures)) for name, run in runs
        )
        return {
            name: {
                measure: {qid: 100 * score for qid, score in by_topic.items()}
                for measure, by_topic in scores.items()
            }
            for name, scores in scored
        }

    def score_by(self, systems: Mapping[Name, System], measure: str) -> dict[Name, ByTopic]:
        """By system and topic, in percent, from the store as it is."""
        keep = any(system.fusion.method == MAX_SIM for system in systems.values())
        parts = parts_of(self.store, self.languages, keep=keep)
        return {name: of[measure] for name, of in self.score(parts, systems, [measure]).items()}

    def groups(self) -> dict[str, list[str]]:
        """Topic ids of the mean, then by language: first those of the mean, then the others."""
        by_language = self.collection.by()
        rest = [code for code in by_language if code not in self.pooled]
        return {
            "mean": [qid for code in self.pooled for qid in by_language[code]],
            **{code: by_language[code] for code in [*self.pooled, *rest]},
        }

    def interval(self, scores: ByTopic) -> tuple[float, float]:
        """The 95 % bootstrap interval of a mean, clusters of topics resampled."""
        return bootstrap_interval(scores, self.collection.clusters)

    def table(
        self,
        name: str,
        title: str,
        scores: Mapping[str, ByTopic],
        what: str = "system",
        *,
        form: str = ".1f",
        counted: bool = False,
        **more: Any,
    ) -> Table:
        """A row a name: the means of its scores in each of the groups, with their intervals.

        Parameters
        ----------
        name, title : str
            Of the table.
        scores : mapping of str to scores by topic
        what : str
            What the rows are.
        form : str
            How means are shown.
        counted : bool
            End with the number of topics.
        **more
            Other fields of the table.
        """
        groups = self.groups()
        rows: list[list[Cell]] = []
        intervals = {}
        for row, of in scores.items():
            for column, qids in enumerate(groups.values(), 1):
                intervals[len(rows), column] = self.interval(only(of, qids))
            rows.append([row, *(mean(only(of, qids)) for qids in groups.values())])
        if counted:
            rows.append(["n", *map(len, groups.values())])
        formats = dict.fromkeys(groups, form)
        return Table(
            name, title, [what, *groups], rows, formats=formats, intervals=intervals, **more
        )


def mean(scores: ByTopic) -> float:
    """Over the topics."""
    return sum(scores.values()) / len(scores)


def only(scores: ByTopic, qids: Iterable[str]) -> dict[str, float]:
    """Of these topics alone."""
    return {qid: scores[qid] for qid in qids}


def minus(scores: ByTopic, others: ByTopic) -> dict[str, float]:
    """Differences by topic."""
    return {qid: score - others[qid] for qid, score in scores.items()}


def add_subject_options(parser: argparse.ArgumentParser) -> None:
    """The options that both commands share."""
    add = parser.add_argument
    add("--embeddings", nargs="+", required=True, metavar="STORE", help="one store, or its shards")
    add("--topics", required=True, help="JSONL or TSV")
    add("--qrels", required=True, help="in TREC format")
    add_language_option(parser)
    add(
        "--topic-languages",
        nargs="+",
        type=code_of("--topic-languages"),
        help="those of the mean (default: all)",
    )
    add("--clusters", help="topic id and cluster, a topic a line (by relevant passage)")
    add_languages_option(parser, "fold in these only")
    add("--centre", action="store_true", help="subtract each language's mean query vector")
    add("--encoder", help="another place of the model that the store was encoded with")
    add("--device", help="of the encoder; by default the first accelerator there is")
    add_trust_option(parser)
    add("--draws", type=int, default=5, help="random draws to average over")
    add("--seed", type=int, default=0, help="of everything that is drawn")
    add_output_options(parser)


def subjects_from(
    args: argparse.Namespace, store: Store, collections: Sequence[Collection]
) -> list[Subject]:
    """A subject for each collection, by the options of `add_subject_options`.

    Raises
    ------
    XqgError
        For languages that the store or the topics lack, and an encoder that is not the store's.
    """
    if args.draws < 1:
        raise XqgError(f"--draws {args.draws}: expected at least 1")
    languages = store.choose(args.languages)
    if not languages:
        raise XqgError(
            f"{store.paths[0]} holds no generated queries; encode with xqg --queries for this"
        )
    asked = args.topic_languages
    for there in (collection.by() for collection in collections):
        if missing := [code for code in asked or () if code not in there]:
            raise XqgError(
                f"--topic-languages {' '.join(missing)}: no judged topics; there are "
                f"{' '.join(there)}"
            )
    encoder = open_encoder(
        store, args.encoder, args.device, trust_remote_code=args.trust_remote_code
    )
    centres = corpus_centres(store, languages) if args.centre else None
    return [
        Subject(
            store,
            languages,
            collection,
            encoder.encode_queries([topic.text for topic in collection.topics.values()]),
            asked or list(collection.by()),
            centres,
        )
        for collection in collections
    ]
