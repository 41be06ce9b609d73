"""Cut one language's training pairs and see what it does to xQG's gain: in it, and in the others.

For each language and each part of its pairs a tiny encoder is trained as `train_tiny_encoder.py`
does, the other languages' pairs untouched, and run on xqg-mini with and without its queries, by
the setting that is best on the dev half. The vocabulary is learnt once from all questions, as a
pre-trained model's would be; everything else comes from the pairs that are left. What is finished
is not done again. Needs the extra ``train``, and XOR-TyDi QA's questions.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from train_tiny_encoder import train_retriever

from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import read_json, write_json
from pyserini_xqg.collection.judged import read_collection
from pyserini_xqg.demo import LANGUAGES, XQG_MINI
from pyserini_xqg.encode.__main__ import main as encode
from pyserini_xqg.evaluate.from_store.grid import NONE, best, grid
from pyserini_xqg.evaluate.from_store.retrieval import open_encoder, parts_of
from pyserini_xqg.evaluate.from_store.subject import Subject, mean, minus, only
from pyserini_xqg.evaluate.report.publish import publish
from pyserini_xqg.evaluate.report.sections import Plot, Section, Table
from pyserini_xqg.store.store import Store
from pyserini_xqg.train.tiny import prepare
from pyserini_xqg.train.tiny_model import train_tokenizer
from pyserini_xqg.train.tiny_pairs import Pair, read_pairs, texts_of

MEASURE = "RR@10"
ALPHAS = {"paper": (0.005, 0.01, 0.02, 0.05, 0.1), "mean": tuple(n / 10 for n in range(1, 11))}


class Arm(NamedTuple):
    """One training: a language, the part of its pairs that is left, in per cent, and a seed.

    With all of its pairs left, the language is "", as that is one training for all languages.
    """

    language: str
    percent: float
    seed: int

    @property
    def name(self) -> str:
        return "-".join([self.language or "all", f"{self.percent:g}", str(self.seed)])


def arms(languages: Sequence[str], percents: Sequence[float], seeds: int) -> Iterator[Arm]:
    """All trainings, a seed after the other."""
    for seed in range(1, seeds + 1):
        if 100 in percents:
            yield Arm("", 100, seed)
        for language in languages:
            yield from (Arm(language, part, seed) for part in percents if part != 100)


def cut(pairs: Sequence[Pair], arm: Arm) -> list[Pair]:
    """The pairs that are left; of two parts with a seed the smaller is within the larger."""
    own = [row for row, pair in enumerate(pairs) if pair.lang == arm.language]
    random.Random(f"{arm.seed} {arm.language}").shuffle(own)
    dropped = set(own[round(len(own) * arm.percent / 100) :])
    return [pair for row, pair in enumerate(pairs) if row not in dropped]


def run_arm(arm: Arm, pairs: Sequence[Pair], texts: Sequence[str], args: Any) -> dict[str, Any]:
    """Train, encode and evaluate; what is there already is taken as it is."""
    start, model, store, result = (
        args.output / kind / arm.name for kind in ("starts", "models", "stores", "results")
    )
    result = result.with_suffix(".json")
    if result.exists():
        return dict(read_json(result))
    if not model.exists():
        if not start.exists():
            tokenizer = Tokenizer.from_file(str(args.output / "tokenizer.json"))
            left = cut(pairs, arm)
            prepare(start, tokenizer, texts, left, args.dim, arm.seed, passages=1, among=(0, 0))
        train_retriever(start, model, args.epochs, arm.seed)
    encode([
        "input", "--corpus", str(XQG_MINI / "corpus.jsonl"), "--fields", "title", "text",
        "output", "--embeddings", str(store), "--overwrite",
        "encoder", "--encoder", str(model), "--fields", "title", "text", "--device", "cpu",
        "xqg", "--queries", str(XQG_MINI / "queries.jsonl"), "--languages", *LANGUAGES,
    ])  # fmt: skip
    found = {**arm._asdict(), **evaluate(store)}
    result.parent.mkdir(exist_ok=True)
    write_json(result, found)
    return found


def evaluate(store_folder: Path) -> dict[str, Any]:
    """The setting that is best on dev, and what it gains on test: by language, in points."""
    store = Store([store_folder])
    encoder = open_encoder(store, device="cpu")

    def subject(half: str) -> Subject:
        read = read_collection(XQG_MINI / f"topics.{half}.jsonl", XQG_MINI / f"qrels.{half}.txt")
        asked = read.only(qid for code in LANGUAGES for qid in read.by()[code])
        vectors = encoder.encode_queries([topic.text for topic in asked.topics.values()])
        return Subject(store, LANGUAGES, asked, vectors, LANGUAGES)

    settings = {}
    for method, alphas in ALPHAS.items():
        options = {"alphas": alphas, "methods": [method], "language_sets": ["all"]}
        settings |= grid(LANGUAGES, **options, with_routed=True)
    on_dev = subject("dev").score(parts_of(store), settings, [MEASURE])
    chosen = best({setting: mean(of[MEASURE]) for setting, of in on_dev.items()})
    test = subject("test")
    scores = test.score(parts_of(store), {s: settings[s] for s in (NONE, chosen)}, [MEASURE])
    plain, with_xqg = scores[NONE][MEASURE], scores[chosen][MEASURE]
    by_language = {}
    for code, qids in test.groups().items():
        gains = only(minus(with_xqg, plain), qids)
        low, high = test.interval(gains)
        by_language[code] = {
            "plain": mean(only(plain, qids)), "xqg": mean(only(with_xqg, qids)),
            "gain": mean(gains), "low": low, "high": high,
        }  # fmt: skip
    return {"setting": str(chosen), "languages": by_language}


def table(results: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> Table:
    """A row an arm and topic language."""
    rows = []
    for result in results:
        code = result["language"]
        left = round(counts[code] * result["percent"] / 100) if code else None
        for asked, found in result["languages"].items():
            rows.append([code or "none", result["percent"], left, result["seed"],
                         result["setting"], asked, *found.values()])  # fmt: skip
    columns = ["cut", "per cent left", "pairs left", "seed", "setting (dev)", "topics"]
    names = ["passages only", "with xQG", "gain", "low", "high"]
    formats = dict.fromkeys(names, ".1f")
    note = "RR@10 in percent, test half. Low and high: 95 % bootstrap interval over passages."
    return Table("resource-experiment", "Every training", [*columns, *names], rows, formats,
                 note=note)  # fmt: skip


def summary(
    results: Sequence[Mapping[str, Any]], cuts: Sequence[str], percents: Sequence[float]
) -> Table:
    """A row a language that is cut and part that is left: means over the seeds."""
    rows = []
    for code in cuts:
        for percent in percents:
            found = [
                result["languages"]
                for result in results
                if result["percent"] == percent and result["language"] in ("", code)
            ]
            own = [of[code] for of in found]
            gains = [each["gain"] for each in own]
            controls = [of[each]["gain"] for of in found for each in LANGUAGES if each != code]
            means = [sum(each[key] for each in own) / len(own) for key in ("plain", "xqg")]
            rows.append([
                code, percent, *means, sum(gains) / len(gains), min(gains), max(gains),
                sum(controls) / len(controls),
            ])  # fmt: skip
    names = ["passages only", "with xQG", "gain", "least", "most", "gain of the other six"]
    note = "RR@10 in percent, means over seeds; least and most: the seeds' own gains."
    return Table("by-part", "Means over seeds", ["cut", "per cent left", *names], rows,
                 dict.fromkeys(names, ".1f"), note=note)  # fmt: skip


def plot(
    results: Sequence[Mapping[str, Any]], counts: Mapping[str, int], cuts: Sequence[str],
    value: str, name: str, title: str,
) -> Plot:  # fmt: skip
    """For each cut language a line over its pairs, and one for the mean of the other languages."""

    def points(code: str, asked: Sequence[str]) -> list[tuple[float, float]]:
        """Pairs left, and the mean over these topics' languages: a point a training."""
        found = [result for result in results if result["language"] in ("", code)]
        return sorted(
            (
                counts[code] * result["percent"] / 100,
                sum(result["languages"][each][value] for each in asked) / len(asked),
            )
            for result in found
        )

    def draw(axes: Any) -> None:
        axes.set_xscale("symlog", linthresh=100)
        for number, code in enumerate(cuts):
            others = [each for each in LANGUAGES if each != code]
            for asked, style in (([code], "-"), (others, ":")):
                at = points(code, asked)
                pairs = sorted({pairs for pairs, _ in at})
                means = [
                    sum(y for x, y in at if x == each) / sum(x == each for x, _ in at)
                    for each in pairs
                ]
                label = code if style == "-" else f"the other six, {code} cut"
                axes.plot(pairs, means, style, color=f"C{number}", label=label)
                face = f"C{number}" if style == "-" else "white"
                axes.plot(*zip(*at, strict=True), "o", color=f"C{number}", markersize=4, mfc=face)
        axes.axhline(0, color="black", linewidth=0.5)
        axes.set_xlabel("training pairs left in the language that is cut")
        axes.set_ylabel(f"{title}, points of RR@10")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

    return Plot(name, title, draw)


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is not finished, and publish what there is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, default=os.environ.get("XOR_TYDI"),
        help="folder of the XOR-TyDi files (the environment's XOR_TYDI)")  # fmt: skip
    add("--output", type=Path, required=True, metavar="DIR", help="models, results, and a report")
    add("--languages", nargs="+", default=["fi", "ru", "te"], choices=LANGUAGES, metavar="CODE",
        help="to cut, one at a time (fi ru te)")  # fmt: skip
    add("--percents", nargs="+", type=float, default=[0, 10, 100], help="left (0 10 100)")
    add("--seeds", type=int, default=2, help="of the cut, the start and the training (%(default)s)")
    add("--vocab-size", type=int, default=6000)
    add("--dim", type=int, default=128)
    add("--epochs", type=int, default=3)
    add("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    if args.data is None:
        raise XqgError("--data is not given and XOR_TYDI not set: where are XOR-TyDi's files?")
    torch.set_num_threads(args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    pairs = read_pairs(Path(args.data))
    texts = texts_of(pairs)
    plan = {name: getattr(args, name) for name in ("vocab_size", "dim", "epochs")}
    plan["pairs"] = len(pairs)
    if not (args.output / "plan.json").exists():
        train_tokenizer(texts, args.vocab_size).save(str(args.output / "tokenizer.json"))
        write_json(args.output / "plan.json", plan)
    if (before := read_json(args.output / "plan.json")) != plan:
        raise XqgError(f"{args.output} was begun with {before}, not {plan}; give another --output")
    results = []
    chosen = list(arms(args.languages, args.percents, args.seeds))
    for number, arm in enumerate(chosen, 1):
        results.append(run_arm(arm, pairs, texts, args))
        print(f"{number} of {len(chosen)}: {arm.name}", flush=True)
    counts = {code: sum(pair.lang == code for pair in pairs) for code in LANGUAGES}
    given = (results, counts, args.languages)
    plots = [
        plot(*given, "gain", "gain", "gain of xQG"),
        plot(*given, "plain", "passages-only", "passages only"),
        plot(*given, "xqg", "with-xqg", "with xQG"),
    ]
    text = ["Two seeds tell little of the variance between trainings; intervals are over passages."]
    tables = [summary(results, args.languages, args.percents), table(results, counts)]
    section = Section("xQG's gain by training pairs", text, tables, plots)
    publish([section], args.output / "report", "Resource experiment", overwrite=True)


if __name__ == "__main__":
    run_command(main)
