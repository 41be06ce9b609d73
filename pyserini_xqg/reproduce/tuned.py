"""An index with the settings that are best on judged dev topics: fair play for every baseline.

Tried are all alphas, with vectors as they are and scaled to length 1, over all languages' queries
and over each topic's own (routed), and each mu that is named. No augmentation is among the choices.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import run_command
from pyserini_xqg.collection.judged import check_judged, read_collection
from pyserini_xqg.collection.languages import code_of
from pyserini_xqg.evaluate.from_store.grid import NONE, TRIED, Setting, grid
from pyserini_xqg.evaluate.from_store.retrieval import open_encoder
from pyserini_xqg.evaluate.from_store.smoothing import with_maps
from pyserini_xqg.evaluate.from_store.subject import Subject, mean
from pyserini_xqg.evaluate.from_store.sweep import ALPHAS
from pyserini_xqg.evaluate.trec.measures import parse_measures
from pyserini_xqg.index.max_sim import MAX_SIM

#: As `sweep`'s, and finer: a sum of many queries is best at small ones.
TRIED_ALPHAS = tuple(sorted({*ALPHAS, 0.002, 0.005, 0.03, 0.07, 0.15}))


def choose(
    subject: Subject, method: str, measure: str, mus: Sequence[float] = (0.0,)
) -> tuple[Setting, bool, float]:
    """The setting with the best mean, whether its vectors are scaled to length 1, and that mean."""
    found: dict[tuple[Setting, bool], float] = {}
    for l2_norm in (False,) if method == MAX_SIM else (False, True):
        settings = grid(
            subject.languages,
            alphas=TRIED_ALPHAS,
            methods=[method],
            language_sets=["all"],
            mus=mus,
            with_routed=True,
            l2_norm=l2_norm,
        )
        subject = with_maps(subject, settings)
        for setting, of in subject.score_by(settings, measure).items():
            found[setting, l2_norm] = mean(of)
    (setting, l2_norm), score = max(found.items(), key=lambda each: each[1])
    return setting, l2_norm, score


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.tuned",
        description=__doc__,
        example="--embeddings stores/mine --topics topics.dev.jsonl --qrels qrels.dev.txt "
        "--method paper --output indexes/tuned",
    )
    add = parser.add_argument
    add("--embeddings", required=True, metavar="STORE")
    add("--topics", required=True, help="the dev topics")
    add("--qrels", required=True, help="their judgments")
    add(
        "--topic-languages",
        nargs="+",
        type=code_of("--topic-languages"),
        help="choose on topics in these only (default: all)",
    )
    add("--method", required=True, choices=TRIED)
    add("--mu", nargs="+", type=float, default=[0.0], help="to try, of mean")
    add("--measure", default="RR@10", help="such as R@100 or recall.100")
    add("--output", required=True, metavar="DIR", help="the index")
    add("--device", help="of the encoder")
    args = parser.parse_args(argv)
    parse_measures([args.measure])

    from pyserini_xqg.index.__main__ import main as index
    from pyserini_xqg.store.store import Store

    store, dev = Store([args.embeddings]), read_collection(args.topics, args.qrels)
    if args.topic_languages:
        by_language = dev.by()
        codes = check_judged(args.topic_languages, by_language, "--topic-languages")
        dev = dev.only(qid for code in codes for qid in by_language[code])
    vectors = open_encoder(store, device=args.device).encode_queries(
        [topic.text for topic in dev.topics.values()]
    )
    subject = Subject(store, store.languages, dev, vectors, list(dev.by()))
    setting, l2_norm, score = choose(subject, args.method, args.measure, args.mu)
    words = ["--method", setting.method or "paper", "--alpha", f"{setting.alpha:g}"]
    words += ["--mu", f"{setting.mu:g}"] if setting.mu else []
    words += ["--routed"] if setting.languages == "routed" else []
    words += ["--l2-norm"] if l2_norm and setting != NONE else []
    print(
        f"{args.output}: best on {len(dev.topics)} dev topics, {args.measure} {score:.1f}: "
        f"{' '.join(words)}"
    )
    index(["--embeddings", args.embeddings, "--output", args.output, *words])


if __name__ == "__main__":
    run_command(main)
