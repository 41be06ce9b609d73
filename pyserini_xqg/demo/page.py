"""One search in each language, for the demo's page."""

from __future__ import annotations

import json
from typing import NamedTuple

from pyserini_xqg.collection.languages import NAMES
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import read_passages, read_run
from pyserini_xqg.demo import LANGUAGES, XQG_MINI
from pyserini_xqg.demo.pipeline import Results


class Found(NamedTuple):
    """A passage that was returned, and whether it is the right one."""

    passage: Passage
    right: bool


class Search(NamedTuple):
    """A question and, by system, the best three passages."""

    language: str
    name: str
    question: str
    english: str
    answer: str
    found: dict[str, list[Found]]


def searches(results: Results) -> list[Search]:
    """The first test topic of each language, without and with generated queries."""
    rows = map(json.loads, (XQG_MINI / "gold.test.jsonl").read_text("utf-8").splitlines())
    gold = {row["id"]: row for row in rows}
    first = {
        code: next(qid for qid, row in gold.items() if row["lang"] == code) for code in LANGUAGES
    }
    best = {
        system.name: {
            qid: [hit.docid for hit in hits[:3]]
            for qid, hits in read_run(system.run).items()
            if qid in first.values()
        }
        for system in (results.systems[0], results.systems[4])
    }
    passages = read_passages(
        XQG_MINI / "corpus.jsonl",
        {docid for of_run in best.values() for docids in of_run.values() for docid in docids},
    )
    right = results.collection.qrels
    return [
        Search(
            code,
            NAMES[code],
            gold[qid]["question"],
            gold["en" + qid[len(code) :]]["question"],
            gold[qid]["answers"][0],
            {
                system: [Found(passages[docid], docid in right[qid]) for docid in of_run[qid]]
                for system, of_run in best.items()
            },
        )
        for code, qid in first.items()
    ]
