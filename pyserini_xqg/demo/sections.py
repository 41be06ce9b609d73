"""The demo's results as sections of a report, and one search in each language for its page."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pyserini_xqg.collection.languages import NAMES
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import read_passages, read_run
from pyserini_xqg.demo import BUDGETS, LANGUAGES, MEASURES, XQG_MINI
from pyserini_xqg.demo.pipeline import Results
from pyserini_xqg.evaluate.report.forms import COLOURS
from pyserini_xqg.evaluate.report.sections import Plot, Section, Table
from pyserini_xqg.evaluate.trec.measures import file_name
from pyserini_xqg.evaluate.trec.scores import scores_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sections(results: Results) -> list[Section]:
    """The tables with their picture, then the commands behind them."""
    tables = [
        scores_table(
            f"{name}, %",
            file_name(measure),
            {system.name: system.scores[measure] for system in results.systems},
            results.collection,
            LANGUAGES,
        )
        for measure, name in MEASURES.items()
    ]
    heads = [f"R@{budget}t" for budget in BUDGETS]
    tokens = Table(
        "tokens",
        "Answer in the first tokens, %",
        ["run", *heads],
        [
            [system.name, *(system.token_recall[budget] for budget in BUDGETS)]
            for system in results.systems
        ],
        formats=dict.fromkeys(heads, ".1f"),
        note="Mean of the query languages. Budgets and tokenizer are this collection's own: not "
        "official figures.",
    )
    text = (
        "Test half; alpha and weight: chosen on the dev half by pooled MRR@10. en: the same "
        "questions in English, the language of the passages. The last two systems are there for "
        "comparison."
    )
    xqg = (
        "For every passage a generator writes questions in the languages of the users, and their "
        "vectors are folded into the passage's own when it is indexed (xQG). So a question finds "
        "the passage in another language, and a search costs what it did."
    )
    return [
        Section(
            "What generated queries do",
            [xqg],
            plots=[success_plot(results)],
            caveat=results.caveat,
        ),
        Section("Scores", [text], [*tables, tokens]),
        Section(
            "The commands",
            ["They led here; put your own files in their place:"],
            commands=results.commands,
        ),
    ]


# Grey for what is compared with; light and dark of one colour for what belongs together.
_COLOURS = (COLOURS[6], COLOURS[4], COLOURS[0], COLOURS[3], COLOURS[1])
_SHOWN = len(_COLOURS)  # the rows below them are for comparison, in the table only


def success_plot(results: Results) -> Plot:
    """Success@1 by language, a bar a system, with 95 % intervals."""
    return Plot("plot", "Success@1 by language and system", partial(_draw, results), (10, 4.6))


def _draw(results: Results, axes: Axes) -> None:
    width = 0.8 / _SHOWN
    for number, (system, colour) in enumerate(zip(results.systems[:_SHOWN], _COLOURS, strict=True)):
        scores = system.scores["Success@1"]
        tops = [*(scores.by_group[language] for language in LANGUAGES), scores.mean]
        intervals = [*(scores.intervals[language] for language in LANGUAGES), scores.interval]
        places = [i + (number - (_SHOWN - 1) / 2) * width for i in range(len(LANGUAGES) + 1)]
        places[-1] += 0.35
        axes.bar(places, tops, width * 0.92, color=colour, label=system.name)
        below = [top - low for top, (low, _) in zip(tops, intervals, strict=True)]
        above = [high - top for top, (_, high) in zip(tops, intervals, strict=True)]
        axes.errorbar(places, tops, [below, above], fmt="none", ecolor="#444444", elinewidth=0.8)
    counts = {language: len(qids) for language, qids in results.collection.by().items()}
    names = [f"{NAMES[language]}\nn = {counts[language]}" for language in LANGUAGES]
    axes.set_xticks([*range(len(LANGUAGES)), len(LANGUAGES) + 0.35], [*names, "mean"])
    axes.set_ylabel("success@1, %, with 95 % intervals")
    axes.set_xlabel(results.caveat, loc="right", fontsize=8, color="#555555")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


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
