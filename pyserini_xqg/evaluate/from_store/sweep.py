"""Alpha, mu, method, languages and number of queries, from one store and without encoding it again.

Settings are chosen on dev topics and reported on test topics; no augmentation is among them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection, halves, read_collection
from pyserini_xqg.evaluate.from_store.coverage import coverage_note, with_caveat
from pyserini_xqg.evaluate.from_store.grid import (
    LANGUAGE_SETS,
    NONE,
    SCALED,
    TRIED,
    Setting,
    best,
    grid,
)
from pyserini_xqg.evaluate.from_store.retrieval import System
from pyserini_xqg.evaluate.from_store.smoothing import with_maps
from pyserini_xqg.evaluate.from_store.subject import (
    Subject,
    add_subject_options,
    mean,
    only,
    subjects_from,
)
from pyserini_xqg.evaluate.from_store.subsets import check_kept, curve, curve_section
from pyserini_xqg.evaluate.from_store.sweep_tables import (
    by_language_section,
    dev_section,
    test_section,
)
from pyserini_xqg.evaluate.report.publish import publish
from pyserini_xqg.evaluate.report.sections import Section
from pyserini_xqg.evaluate.trec.measures import parse_measures
from pyserini_xqg.fusion import METHODS
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.store.store import Store

#: From small ones for `paper`, which sums, to large ones for `mean`.
ALPHAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def sweep(
    dev: Subject,
    test: Subject,
    settings: Mapping[Setting, System],
    measure: str,
    *,
    num_queries: Sequence[int] = (),
    draws: int = 5,
    seed: int = 0,
) -> list[Section]:
    """Score every setting on the dev topics, and the best of them on the test topics.

    Where routed ones are among them, each language gets an alpha of its own, too.

    Parameters
    ----------
    dev, test : Subject
        Of one store.
    settings : mapping of Setting to System
        From `pyserini_xqg.evaluate.from_store.grid.grid`.
    measure : str
        As ir_measures spells it; settings are chosen by its mean.
    num_queries : sequence of int
        Numbers of queries a language to draw a curve over, for each method at its best.
    draws, seed : int
        Random subsets for each number.

    Raises
    ------
    XqgError
        For `num_queries`, or max-sim among the settings, of a store that keeps no single queries.
    """
    if num_queries:
        check_kept(dev.store, "--num-queries")
    if any(setting.method == MAX_SIM for setting in settings):
        check_kept(dev.store, f"--methods {MAX_SIM}")
    dev = with_maps(dev, settings)
    test = test._replace(maps=dev.maps)
    on_dev = dev.score_by(settings, measure)
    pooled = dev.groups()["mean"]
    means = {setting: mean(only(of, pooled)) for setting, of in on_dev.items()}
    chosen = best(means)
    nones = [setting for setting in (NONE, SCALED) if setting in settings]
    on_test = test.score_by({s: settings[s] for s in dict.fromkeys([*nones, chosen])}, measure)
    sections = [test_section(test, on_test, chosen, measure)]  # the answer first
    note = coverage_note(test.store, test.languages, test.collection.qrels)
    sections[0] = with_caveat(sections[0], note)
    if any(setting.languages == "routed" for setting in settings):
        sections.append(by_language_section(dev, test, settings, on_dev, measure))
    sections.append(dev_section(dev, on_dev, measure))
    if num_queries:
        methods = dict.fromkeys(setting.method for setting in settings if setting.method)
        bests = [best({s: m for s, m in means.items() if s.method == name}) for name in methods]
        points = curve(
            dev, {s: settings[s] for s in bests}, measure, num_queries, draws=draws, seed=seed
        )
        sections.append(curve_section(dev, points, only(on_dev[nones[-1]], pooled), measure))
    return sections


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate sweep",
        description=__doc__.partition("\n")[0],
        example="--embeddings stores/mine --topics topics.jsonl --qrels qrels.txt --routed",
    )
    add_subject_options(parser)
    add_split_options(parser)
    add = parser.add_argument
    add("--alphas", nargs="+", type=float, default=list(ALPHAS), help="0 is tried anyhow")
    add(
        "--mu",
        nargs="+",
        type=float,
        default=[0.0],
        help="virtual queries a language, of mean, such as 0 1 2 4; 0 is the plain mean",
    )
    add(
        "--methods",
        nargs="+",
        default=list(METHODS),
        choices=TRIED,
        help=f"{MAX_SIM} reads every query's vector, so it "
        "takes a store made with xqg --keep-queries, and longer",
    )
    add(
        "--language-sets",
        nargs="+",
        default=list(LANGUAGE_SETS),
        choices=LANGUAGE_SETS,
        help="what to fold in: all languages, each alone, all but each",
    )
    add("--routed", action="store_true", help="try each topic's own language too")
    add("--l2-norm", action="store_true", help="scale vectors to length 1")
    add("--measure", default="RR@10", help="such as R@100, recall.100")
    add("--num-queries", nargs="+", type=int, default=[], help="a curve over random subsets")
    args = parser.parse_args(argv)
    parse_measures([args.measure])

    dev, test = subjects_from(args, Store(args.embeddings), split(args))
    settings = grid(
        dev.languages,
        alphas=args.alphas,
        methods=args.methods,
        language_sets=args.language_sets,
        mus=args.mu,
        with_routed=args.routed,
        l2_norm=args.l2_norm,
        centre=args.centre,
    )
    sections = sweep(
        dev,
        test,
        settings,
        args.measure,
        num_queries=args.num_queries,
        draws=args.draws,
        seed=args.seed,
    )
    title = "Alpha, mu, method and languages"
    publish(sections, args.output, title, overwrite=args.overwrite, full=args.full)


def add_split_options(parser: argparse.ArgumentParser) -> None:
    """The options of `split`, beside those of `add_subject_options`."""
    add = parser.add_argument
    add("--dev-topics", help="without it, half of the topics, whole clusters")
    add("--dev-qrels", help="of --dev-topics")
    add("--allow-shared", action="store_true", help="dev and test topics may share passages")


def split(args: argparse.Namespace) -> tuple[Collection, Collection]:
    """The dev and the test topics.

    Raises
    ------
    XqgError
        If one of the dev files is missing, and if dev and test topics ask for the same passages.
    """
    given = read_collection(args.topics, args.qrels, args.clusters, args.language)
    if not args.dev_topics and not args.dev_qrels:
        return halves(given, args.seed)
    if not (args.dev_topics and args.dev_qrels):
        raise XqgError("--dev-topics and --dev-qrels go together; without them topics are halved")
    dev = read_collection(args.dev_topics, args.dev_qrels, args.clusters, args.language)
    passages = {
        docid for judged in dev.qrels.values() for docid, grade in judged.items() if grade > 0
    }
    shared = [
        qid
        for qid, judged in given.qrels.items()
        if any(grade > 0 and docid in passages for docid, grade in judged.items())
    ]
    if shared and not args.allow_shared:
        raise XqgError(
            f"{len(shared)} of {len(given.topics)} test topics ask for passages that dev topics "
            f"ask for, too, e.g. {shared[0]!r}: what is chosen on dev is not new to them. Leave "
            "--dev-topics out to halve the topics by passage, or --allow-shared"
        )
    return dev, given
