"""What the demo does: encode, index, choose on the dev half, search the test half, fuse, score."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.commands import main_of
from pyserini_xqg.collection.judged import Collection, read_collection
from pyserini_xqg.demo import (
    BUDGETS,
    CAVEAT,
    CAVEAT_OF_OTHERS,
    HERE,
    LANGUAGES,
    MEASURES,
    TINY_ENCODER,
    XQG_MINI,
)
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.evaluate.trec.scores import Scores, scores_of
from pyserini_xqg.evaluate.xor.command import score_xor
from pyserini_xqg.evaluate.xor.predictions import (
    Prediction,
    predictions_of_run,
    read_gold,
    simple_tokenizer,
)

#: What the dev half chooses among; 0 is no augmentation.
ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
#: Weights of the dense run beside BM25, whose scores are some 30 times as large; 1 is dense alone.
WEIGHTS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 1.0)
_CHOSEN_BY = "RR@10"
#: The first of the commands: where the others find the demo's files.
WHERE = 'DEMO=$(python -c "from pyserini_xqg.demo import HERE; print(HERE)")'


class System(NamedTuple):
    """A row of the table: name, run file, scores by measure, and R@kt by token budget."""

    name: str
    run: Path
    scores: dict[str, Scores]
    token_recall: dict[int, float]


class Results(NamedTuple):
    """What the demo found.

    Attributes
    ----------
    systems : list of System
    collection : Collection
        The test half.
    alpha, weight : float
        Chosen on the dev half.
    commands : list of str
        Those that lead to the test runs.
    caveat : str
        What nobody must take the figures for.
    """

    systems: list[System]
    collection: Collection
    alpha: float
    weight: float
    commands: list[str]
    caveat: str


class Demo:
    """Runs our commands as a user would, inside this process, and remembers them.

    Parameters
    ----------
    output : Path
        A folder for stores, indexes and runs.
    say : callable
        Receives a line for each step.
    encoder : path-like
        A folder or a hub name.
    """

    def __init__(
        self, output: Path, say: Callable[[str], None], encoder: str | Path = TINY_ENCODER
    ) -> None:
        self.encoder = encoder
        self.output = output
        self.say = say
        self.commands = [WHERE]
        self._collections = {
            half: read_collection(XQG_MINI / f"topics.{half}.jsonl", XQG_MINI / f"qrels.{half}.txt")
            for half in ("dev", "test")
        }

    def run(self) -> Results:
        """Do it all."""
        self.say("encoding passages and queries")
        self._encode()
        self.say("passages only, xQG as published, queries alone")
        systems = [
            self._dense("passages only", "plain", "paper", 0.0),
            self._dense("xQG as published, alpha 0.01", "xqg", "paper", 0.01),
        ]
        self.say("choosing alpha of routed indexes on the dev half")
        alpha = self._choose(ALPHAS, self._routed_on_dev)
        routed = self._dense(f"routed, alpha {alpha:g} (dev)", "routed", "mean", alpha, routed=True)
        self.say("BM25 over passages and queries")
        bm25 = self._bm25("BM25 with queries", "bm25", with_queries=True)
        self.say("choosing the weight of their fusion on the dev half")
        self._search("routed", "dev")
        self._search("bm25", "dev")
        weight = self._choose(WEIGHTS, lambda weight: self._fuse(weight, "dev", keep=False))
        fused = self._system(f"fused, weight {weight:g} (dev)", self._fuse(weight, "test"))
        alone = self._dense("queries alone, routed", "alone", "mean", 1.0, routed=True)
        passages = self._bm25("BM25 on passages", "bm25-passages", with_queries=False)
        self._command(
            "pyserini_xqg.evaluate", "trec", "--topics", XQG_MINI / "topics.test.jsonl",
            "--qrels", XQG_MINI / "qrels.test.txt", "--runs", fused.run, "--measures", *MEASURES,
            "--languages", *LANGUAGES, execute=False,
        )  # fmt: skip
        systems += [routed, bm25, fused, alone, passages]
        caveat = CAVEAT if Path(self.encoder) == TINY_ENCODER else CAVEAT_OF_OTHERS
        return Results(systems, self._collections["test"], alpha, weight, self.commands, caveat)

    def _encode(self) -> None:
        self._command(
            "pyserini_xqg.encode",
            "input", "--corpus", XQG_MINI / "corpus.jsonl", "--fields", "title", "text",
            "output", "--embeddings", self.output / "store",
            "encoder", "--encoder", self.encoder, "--fields", "title", "text", "--device", "cpu",
            "xqg", "--queries", XQG_MINI / "queries.jsonl",
        )  # fmt: skip

    def _index(
        self, name: str, method: str, alpha: float, *, routed: bool = False, keep: bool = True
    ) -> None:
        self._command(
            "pyserini_xqg.index", "--embeddings", self.output / "store",
            "--output", self.output / name, "--method", method, "--alpha", alpha,
            *(["--routed"] if routed else []), keep=keep,
        )  # fmt: skip

    def _dense(
        self, title: str, name: str, method: str, alpha: float, *, routed: bool = False
    ) -> System:
        self._index(name, method, alpha, routed=routed)
        return self._system(title, self._search(name, "test"))

    def _bm25(self, title: str, name: str, *, with_queries: bool) -> System:
        self._command(
            "pyserini_xqg.index", "--to", "bm25", "--corpus", XQG_MINI / "corpus.jsonl",
            "--output", self.output / name,
            *(["--queries", XQG_MINI / "queries.jsonl"] if with_queries else []),
        )  # fmt: skip
        return self._system(title, self._search(name, "test"))

    def _search(self, name: str, half: str, *, keep: bool = True) -> Path:
        run = self.output / f"{name}.{half}.run"
        self._command(
            "pyserini_xqg.search", "--index", self.output / name,
            "--topics", XQG_MINI / f"topics.{half}.jsonl", "--output", run, "--hits", 100,
            "--device", "cpu", keep=keep,
        )  # fmt: skip
        return run

    def _fuse(self, weight: float, half: str, *, keep: bool = True) -> Path:
        run = self.output / (f"fused.{half}.run" if keep else f"fused-{weight:g}.{half}.run")
        self._command(
            "pyserini_xqg.run", "pyserini.fusion", "--method", "interpolation", "--alpha", weight,
            "--runs", self.output / f"routed.{half}.run", self.output / f"bm25.{half}.run",
            "--output", run, "--k", 100, "--runtag", "fused", keep=keep,
        )  # fmt: skip
        return run

    def _routed_on_dev(self, alpha: float) -> Path:
        name = f"routed-{alpha:g}"
        self._index(name, "mean", alpha, routed=True, keep=False)
        run = self._search(name, "dev", keep=False)
        shutil.rmtree(self.output / name)
        return run

    def _choose(self, values: Iterable[float], run_on_dev: Callable[[float], Path]) -> float:
        """The value with the best pooled score on the dev half; the smallest of equals."""
        scores = {}
        for value in values:
            run = run_on_dev(value)
            scores[value] = self._pooled_on_dev(run)
            run.unlink()
        return max(scores, key=lambda value: (scores[value], -value))

    def _pooled_on_dev(self, run: Path) -> float:
        dev = self._collections["dev"]
        by_topic = score_by_topic(dev.qrels, run, [_CHOSEN_BY])[_CHOSEN_BY]
        asked = [qid for language in LANGUAGES for qid in dev.by()[language]]
        return sum(by_topic[qid] for qid in asked) / len(asked)

    def _system(self, name: str, run: Path) -> System:
        test = self._collections["test"]
        by_topic = score_by_topic(test.qrels, run, list(MEASURES))
        scores = {measure: scores_of(test, by_topic[measure], LANGUAGES) for measure in MEASURES}
        return System(name, run, scores, self._token_recall(run))

    def _token_recall(self, run: Path) -> dict[int, float]:
        """R@kt over the query languages; a topic that the run does not answer is a miss."""
        gold = read_gold(XQG_MINI / "gold.test.jsonl")
        answered = {p.qid: p for p in predictions_of_run(run, XQG_MINI / "corpus.jsonl", gold)}
        asked = [question for question in gold if question.language in LANGUAGES]
        predictions = [answered.get(q.qid, Prediction(q.qid, q.language, [])) for q in asked]
        return score_xor(predictions, asked, simple_tokenizer(), BUDGETS).mean

    def _command(
        self, module: str, *words: object, keep: bool = True, execute: bool = True
    ) -> None:
        arguments = [str(word) for word in words]
        if keep:
            line = f"python -m {module} {shlex.join(arguments)}"
            self.commands.append(line.replace(f"{HERE}/", "$DEMO/"))
        if execute:
            main_of(module)(arguments)
