"""Qrels of answer-bearing passages among those that runs return.

XOR-Retrieve has answers, and no judgments of passages. A passage is called answer-bearing here by
the string rule that R@kt applies to its texts (`pyserini_xqg.evaluate.xor.command`): one of the
answers, as it stands, is a substring of the passage's tokens joined by spaces; the title is not
looked at. That is not relevance: a passage may hold the string and say something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import digest, write_json, written_whole
from pyserini_xqg.collection.judged import Qrels
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import Run, read_run, stream_corpus
from pyserini_xqg.evaluate.report.publish import publish
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.evaluate.xor.predictions import (
    NOT_OFFICIAL,
    TOKENIZERS,
    Question,
    Tokenize,
    add_tokenizer_option,
    read_gold,
)

#: What such qrels are called wherever they appear.
KIND = "answer-bearing"


class AnswerBearing(NamedTuple):
    """What was found in a pool.

    Attributes
    ----------
    qrels : dict of str to dict of str to int
        1 by question and docid, for answer-bearing passages alone, in the order of the questions.
    pooled : dict of str to int
        Passages looked at, by question; every question with an answer to look for.
    """

    qrels: dict[str, dict[str, int]]
    pooled: dict[str, int]


def pool(runs: Iterable[Run], depth: int) -> dict[str, set[str]]:
    """The docids of the first `depth` hits of any of the runs, by topic."""
    pooled: dict[str, set[str]] = {}
    for run in runs:
        for qid, hits in run.items():
            pooled.setdefault(qid, set()).update(hit.docid for hit in hits[:depth])
    return pooled


def judge(
    pooled: Mapping[str, set[str]],
    passages: Iterable[Passage],
    questions: Sequence[Question],
    tokenize: Tokenize,
) -> AnswerBearing:
    """Look for the questions' answers in the passages of their pools, one passage at a time.

    Parameters
    ----------
    pooled : mapping of str to set of str
        Docids by question.
    passages : iterable of Passage
        The corpus, or at least the pooled part of it.
    questions : sequence of Question
        Those without an answer but yes and no are left out, as in R@kt.
    tokenize : callable

    Raises
    ------
    XqgError
        For a pooled topic that is no question, and for docids that the passages lack.
    """
    answers = {question.qid: question.answers for question in questions}
    if unknown := pooled.keys() - answers.keys():
        raise XqgError(
            f"{len(unknown)} topic(s) of the runs are not in the gold file, e.g. {min(unknown)!r}"
        )
    asking: dict[str, list[str]] = {}
    for qid, docids in pooled.items():
        for docid in docids:
            asking.setdefault(docid, []).append(qid)
    found: dict[str, list[str]] = {}
    for passage in passages:
        qids = asking.pop(passage.docid, None)
        if qids is None:
            continue
        text = " ".join(tokenize(passage.text))
        for qid in qids:
            if any(answer in text for answer in answers[qid]):
                found.setdefault(qid, []).append(passage.docid)
    if asking:
        raise XqgError(
            f"{len(asking)} docid(s) of the runs are not in the corpus, e.g. {min(asking)!r}"
        )
    spans = [question.qid for question in questions if question.answers]
    return AnswerBearing(
        {qid: dict.fromkeys(found[qid], 1) for qid in spans if qid in found},
        {qid: len(pooled.get(qid, ())) for qid in spans},
    )


def write_qrels(path: Path, qrels: Qrels, facts: Mapping[str, object]) -> None:
    """Write qrels whole or not at all, and what they are in ``<name>.json`` beside them.

    Qrels hold no comments, so that the label has a file of its own, written first: its checksum
    tells whether both belong together.
    """
    lines = [
        f"{qid} 0 {docid} {relevance}\n"
        for qid, judged in qrels.items()
        for docid, relevance in judged.items()
    ]
    content = "".join(lines)
    write_json(sidecar(path), {"kind": KIND, **facts, "digest": digest(content.encode())})
    with written_whole(path) as file:
        file.write(content)


def sidecar(path: Path) -> Path:
    """Where the label of a qrels file is."""
    return path.with_name(path.name + ".json")


def section(found: AnswerBearing, questions: Sequence[Question], *, official: bool) -> Section:
    """What was found, by language."""
    groups: dict[str, list[str]] = {}
    for question in questions:
        if question.answers:
            groups.setdefault(question.language or "unknown", []).append(question.qid)
    rows: list[list[Cell]] = [
        [
            name,
            len(qids),
            sum(found.pooled[qid] for qid in qids),
            sum(len(found.qrels.get(qid, ())) for qid in qids),
            sum(qid not in found.qrels for qid in qids),
        ]
        for name, qids in [*sorted(groups.items()), ("all", list(found.pooled))]
    ]
    share = len(found.qrels) / len(found.pooled) if found.pooled else 0.0
    table = Table(
        "answer-bearing",
        "Answer-bearing passages in the pool",
        ["language", "questions", "pooled", "answer-bearing", "questions without"],
        rows,
        note="Questions without an answer-bearing passage are not in the qrels, and no measure "
        f"counts them; to count them as 0, multiply a mean over all by {share:.4f}.",
    )
    return Section(
        "Qrels from answers: answer-bearing, not judged relevant",
        tables=[table],
        caveat="" if official else NOT_OFFICIAL,
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate xor-qrels",
        description=__doc__.partition("\n")[0],
        example="--runs wiki.run --corpus corpus.jsonl --gold "
        "xor_dev_retrieve_eng_span_v1_1.jsonl --output answers.qrels",
    )
    add = parser.add_argument
    add("--runs", nargs="+", required=True, metavar="RUN", help="TREC runs")
    add("--corpus", required=True, help="where the texts are: JSONL or TSV")
    add("--gold", required=True, help="JSONL with id, answers, lang")
    add("--depth", type=int, default=100, help="hits of each run in the pool")
    add_tokenizer_option(parser)
    add("--output", required=True, metavar="FILE", help="qrels; label in FILE.json")
    add("--overwrite", action="store_true", help="replace an output that is there")
    args = parser.parse_args(argv)
    if args.depth < 1:
        raise XqgError(f"--depth {args.depth}: expected at least 1")
    output = Path(args.output)
    tokenize = TOKENIZERS[args.tokenizer]()
    questions = read_gold(args.gold)
    pooled = pool((read_run(run) for run in args.runs), args.depth)
    passages = (row.passage for row in stream_corpus(args.corpus))
    found = judge(pooled, passages, questions, tokenize)
    official = args.tokenizer == "official"
    facts = {
        "rule": "an answer, as it stands, is a substring of the passage's tokens joined by spaces",
        "tokenizer": args.tokenizer,
        "label": "" if official else NOT_OFFICIAL,
        "runs": [str(run) for run in args.runs],
        "depth": args.depth,
        "pooled": sum(found.pooled.values()),
        "answer-bearing": sum(map(len, found.qrels.values())),
        "questions": len(found.pooled),
        "questions without": sorted(found.pooled.keys() - found.qrels.keys()),
        "limits": "passages that no run had in its first hits were not looked at",
    }
    write_qrels(output, found.qrels, facts)
    publish([section(found, questions, official=official)], None, "Qrels from answers")
    print(f"{output}: {KIND}; {sidecar(output).name} says how it was made")
