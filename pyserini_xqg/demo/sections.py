"""The demo's results as sections of a report."""

from __future__ import annotations

from pyserini_xqg.demo import BUDGETS, LANGUAGES, MEASURES
from pyserini_xqg.demo.pipeline import Results
from pyserini_xqg.demo.plot import success_plot
from pyserini_xqg.evaluate.report.sections import Section, Table
from pyserini_xqg.evaluate.trec.measures import file_name
from pyserini_xqg.evaluate.trec.scores import scores_table


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
