"""What xQG's gain is made of: the content of a passage's queries, or a shift to their languages.

One fusion of one store, again with the queries of other passages, and without some languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import read_collection
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.evaluate.from_store.controls_tables import (
    DEFINITIONS,
    NEIGHBOUR,
    NONE,
    OTHERS,
    REAL,
    SHUFFLED,
    measure_section,
    without,
)
from pyserini_xqg.evaluate.from_store.coverage import coverage_note, with_caveat
from pyserini_xqg.evaluate.from_store.exchange import (
    CHUNKS,
    neighbour_parts,
    next_in_group,
    next_rows,
    route_scores,
    route_sections,
    shuffled_parts,
)
from pyserini_xqg.evaluate.from_store.retrieval import System, everyone, others, parts_of, routed
from pyserini_xqg.evaluate.from_store.smoothing import PartsOf, with_maps, with_maps_of
from pyserini_xqg.evaluate.from_store.subject import Subject, add_subject_options, subjects_from
from pyserini_xqg.evaluate.report.publish import publish
from pyserini_xqg.evaluate.report.sections import Section
from pyserini_xqg.evaluate.trec.measures import distinct_measures
from pyserini_xqg.index.manifest import read_built
from pyserini_xqg.index.settings import FALLBACK, Fusion, add_fusion_options, fusion_from
from pyserini_xqg.store.store import Store

#: Said of controls of a smoothed fusion.
MOVED = (
    "Where queries are moved, the maps that smooth them are fitted on the moved ones: those of the "
    "real ones would bring the content back."
)


def controls(
    subject: Subject,
    fusion: Fusion,
    measures: Sequence[str],
    *,
    with_routed: bool = False,
    neighbours: NDArray[np.int64],
    neighbour: str,
    draws: int = 5,
    seed: int = 0,
) -> list[Section]:
    """A fusion beside its controls: what is content, what is a shift towards the languages.

    Parameters
    ----------
    subject : Subject
    fusion : Fusion
    measures : sequence of str
        As ir_measures spells them.
    with_routed : bool
        Fold in each topic's own language alone; all of them for topics in another. What detected
        and wrong routes give is then shown, too.
    neighbours : array of int64, shape (passages,)
        For each row the one whose queries it gets as its neighbour's.
    neighbour : str
        What a neighbour is, in words.
    draws, seed : int
        Random shuffles, whose scores are averaged by topic.

    Raises
    ------
    XqgError
        For a fusion that does not fit the store, or folds nothing in.
    """
    store, languages = subject.store, list(subject.languages)
    if with_routed:
        fusion.check_routes(languages)
    (fusion.of_route(FALLBACK, languages) if with_routed else fusion).check(languages)
    if not (fusion.alpha or any(fusion.alphas.values())):
        raise XqgError("--alpha 0 folds nothing in: there is no gain to take apart")
    choose = routed if with_routed else everyone
    real = System(fusion, choose(languages))
    systems = {NONE: System(Fusion(l2_norm=fusion.l2_norm), everyone(languages)), REAL: real}
    if len(languages) > 1:
        systems[OTHERS] = System(fusion, others(languages))
        for code in languages:
            rest = [language for language in languages if language != code]
            systems[without(code)] = System(fusion, choose(rest))
    subject = with_maps(subject, systems)
    scores = subject.score(parts_of(store, languages), systems, measures)
    if with_routed:
        scores |= route_scores(subject, fusion, measures, draws=draws, seed=seed)

    def moved(name: str, parts: PartsOf) -> dict[str, dict[str, dict[str, float]]]:
        of = with_maps_of(subject, {name: real}, parts)
        return of.score(parts(languages), {name: real}, measures)

    scores |= moved(NEIGHBOUR, lambda codes: neighbour_parts(store, codes, neighbours))
    shuffled = [
        moved(SHUFFLED, partial(shuffled_parts, store, seed=[seed, draw])) for draw in range(draws)
    ]
    text = [
        _described(fusion, languages, with_routed),
        f"Neighbour: {neighbour}.",
        f"Shuffled: mean of {draws} draws. In each, chunks of {BLOCK} passages are dealt at random "
        f"into groups of {CHUNKS} to {2 * CHUNKS - 1} (a smaller store is one group), and one "
        "random cycle in each group says whose queries, of all languages together, each passage "
        "gets; none gets its own.",
        *([MOVED] if fusion.mu else []),
        *DEFINITIONS,
    ]
    note = coverage_note(store, languages, subject.collection.qrels)
    sections = [with_caveat(Section("Controls", text), note)]
    for measure in measures:
        of = {name: by_measure[measure] for name, by_measure in scores.items()}
        by_draw = [draw[SHUFFLED][measure] for draw in shuffled]
        sections.append(measure_section(subject, of, by_draw, measure))
    return sections + (route_sections(subject, scores, measures) if with_routed else [])


def _described(fusion: Fusion, languages: Sequence[str], with_routed: bool) -> str:
    alphas = [] if fusion.alpha is None else [f"{fusion.alpha:g}"]
    alphas += [f"{route}={alpha:g}" for route, alpha in fusion.alphas.items()]
    said = [str(fusion.method), f"alpha {' '.join(alphas)}"]
    said += [f"mu {fusion.mu:g}"] if fusion.mu else []
    flags = {"routed": with_routed, "centred": fusion.centre, "length 1": fusion.l2_norm}
    said += [name for name, on in flags.items() if on]
    weighted = (f"{code} x{fusion.weights.get(code, 1):g}" for code in languages)
    return f"{', '.join(said)}; languages: {' '.join(weighted if fusion.weights else languages)}."


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate controls",
        description=__doc__.partition("\n")[0],
        example="--embeddings stores/mine --topics topics.jsonl --qrels qrels.txt "
        "--index indexes/mine",
    )
    add_subject_options(parser)
    add_fusion_options(parser, routes=True)
    add = parser.add_argument
    add("--routed", action="store_true", help="each topic's own language alone")
    add(
        "--index",
        type=Path,
        metavar="DIR",
        help="take apart what this index was built with, in place of --method, --alpha, --mu, "
        "--weights, --centre, --l2-norm and --routed",
    )
    add(
        "--groups",
        type=Path,
        help="docid and group, such as a title, a passage a line: a neighbour is the next passage "
        "of the group, not of the store",
    )
    add(
        "--measures",
        nargs="+",
        default=["RR@10"],
        help="such as R@100, recall.100",
    )
    args = parser.parse_args(argv)
    args.measures = distinct_measures(args.measures)
    fusion, with_routed = fusion_from(args), args.routed
    if args.index:
        if fusion != Fusion() or with_routed:
            raise XqgError(
                "--index has its own settings: leave --method, --alpha, --mu, --weights, --centre, "
                "--l2-norm and --routed out"
            )
        fusion, with_routed, languages = read_built(args.index)
        args.centre, args.languages = fusion.centre, args.languages or languages

    store = Store(args.embeddings)
    neighbours, neighbour = next_rows(store.passages), "the next passage of the store"
    if args.groups:
        neighbours, alone = next_in_group(store, args.groups)
        neighbour = (
            f"the next passage of the same group in {args.groups} ({alone} of {store.passages} are "
            "alone in theirs and get the next of the store)"
        )
    collection = read_collection(args.topics, args.qrels, args.clusters, args.language)
    (subject,) = subjects_from(args, store, [collection])
    sections = controls(
        subject,
        fusion,
        args.measures,
        with_routed=with_routed,
        neighbours=neighbours,
        neighbour=neighbour,
        draws=args.draws,
        seed=args.seed,
    )
    title = "Content or language"
    publish(sections, args.output, title, overwrite=args.overwrite, full=args.full)
