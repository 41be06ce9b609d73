"""The demo's results as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import json
from html import escape
from pathlib import Path
from typing import Any

from pyserini_xqg.demo import BUDGETS, CAVEAT, LANGUAGES, MEASURES, XQG_MINI
from pyserini_xqg.demo.pipeline import Results, Scores
from pyserini_xqg.languages import NAMES

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 66rem; margin: 0 auto;
       padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.caveat { background: #fff3cd; border-left: 4px solid #e0a800; padding: .6rem 1rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .45rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #444; }
tbody tr:nth-child(even) { background: #f6f6f6; }
tr.n td { border-top: 1px solid #999; color: #555; }
small { color: #666; }
img { max-width: 100%; height: auto; } .search { border-top: 1px solid #ccc; margin-top: 1.5rem; }
.question { font-size: 1.15rem; margin: .6rem 0 .1rem; } .english, .note { color: #555; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem; }
.hit { border: 1px solid #ddd; border-radius: 4px; padding: .5rem .7rem; margin: .4rem 0;
       font-size: .85rem; } .hit.right { border-color: #2e7d32; border-width: 2px; }
mark { background: #c8e6c9; } pre { background: #f6f6f6; padding: .8rem; overflow-x: auto;
       font-size: .8rem; }
"""


def write_page(results: Results, output: Path) -> None:
    """Write ``index.html``: tables, the plot, a search in each language, and the commands."""
    picture = base64.b64encode((output / "plot.png").read_bytes()).decode()
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>pyserini_xqg demo</title><style>{_STYLE}</style></head><body>",
        "<h1>Questions in seven languages, passages in English</h1>",
        f"<p class='caveat'>{CAVEAT}</p>",
        *(_table(results, measure) for measure in MEASURES),
        "<p class='note'>Test half; alpha and weight chosen on the dev half by pooled MRR@10. "
        "Mean: the seven query languages. Intervals: 95 %, by bootstrap over passages. English: "
        "the same questions in the passages' own language. The last two rows are for "
        "comparison.</p>",
        _token_table(results),
        f"<img alt='Success at 1 by language and system' src='data:image/png;base64,{picture}'>",
        "<h2>One search in each language</h2>",
        "<p class='note'>The first test topic of each language, not chosen by its outcome: the "
        "best three passages without and with generated queries. A green frame marks the passage "
        "that holds the answer.</p>",
        *_searches(results),
        "<h2>The commands</h2>",
        f"<pre>{escape(chr(10).join(results.commands))}</pre>",
        "</body></html>",
    ]
    (output / "index.html").write_text("\n".join(parts), encoding="utf-8")


def _table(results: Results, measure: str) -> str:
    head = "".join(f"<th>{NAMES[language]}</th>" for language in LANGUAGES)
    rows = []
    for system in results.systems:
        scores = system.scores[measure]
        cells = "".join(_cell(scores, language) for language in LANGUAGES)
        low, high = scores.interval
        rows.append(
            f"<tr><td>{escape(system.name)}</td>{cells}<td><b>{scores.mean:.1f}</b></td>"
            f"<td>[{low:.1f}, {high:.1f}]</td>{_cell(scores, 'en')}</tr>"
        )
    counts = "".join(f"<td>{results.topics[language]}</td>" for language in LANGUAGES)
    total = sum(results.topics[language] for language in LANGUAGES)
    return (
        f"<h2>{MEASURES[measure]}, %</h2><div class='scroll'><table><thead><tr><th></th>{head}"
        f"<th>mean</th><th>95 %</th><th>English</th></tr></thead><tbody>{''.join(rows)}"
        f"<tr class='n'><td>n</td>{counts}<td>{total}</td><td></td>"
        f"<td>{results.topics['en']}</td></tr></tbody></table></div>"
    )


def _token_table(results: Results) -> str:
    head = "".join(f"<th>R@{budget}t</th>" for budget in BUDGETS)
    rows = []
    for system in results.systems:
        cells = "".join(f"<td>{system.token_recall[budget]:.1f}</td>" for budget in BUDGETS)
        rows.append(f"<tr><td>{escape(system.name)}</td>{cells}</tr>")
    return (
        "<h2>Answer in the first tokens, %</h2><div class='scroll'><table><thead><tr><th></th>"
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div><p class='note'>Mean of "
        "the query languages. Budgets and tokenizer are this collection's own: not official "
        "figures.</p>"
    )


def _cell(scores: Scores, language: str) -> str:
    low, high = scores.intervals[language]
    score = scores.by_language[language]
    return f"<td>{score:.1f}<br><small>{low:.0f}&ndash;{high:.0f}</small></td>"


def _searches(results: Results) -> list[str]:
    passages = {row["docid"]: row for row in _rows("corpus.jsonl")}
    gold = {row["id"]: row for row in _rows("gold.test.jsonl")}
    qrels = dict(
        line.split()[:3:2]
        for line in (XQG_MINI / "qrels.test.txt").read_text(encoding="utf-8").splitlines()
    )
    compared = (results.systems[0], results.systems[4])
    runs = [_best_three(system.run) for system in compared]
    parts = []
    for language in LANGUAGES:
        qid = next(qid for qid, row in gold.items() if row["lang"] == language)
        english = gold["en" + qid[len(language) :]]["question"]
        answer = gold[qid]["answers"][0]
        parts.append(
            f"<div class='search'><p class='question' lang='{language}' dir='auto'>"
            f"{escape(gold[qid]['question'])}</p><p class='english'>{NAMES[language]}; in English: "
            f"{escape(english)} &mdash; <b>{escape(answer)}</b></p><div class='columns'>"
        )
        for system, run in zip(compared, runs, strict=True):
            parts.append(f"<div><b>{escape(system.name)}</b>")
            for docid in run.get(qid, ()):
                parts.append(_hit(passages[docid], answer, docid == qrels[qid]))
            parts.append("</div>")
        parts.append("</div></div>")
    return parts


def _hit(passage: dict[str, str], answer: str, right: bool) -> str:
    text = escape(passage["text"])
    if right:
        text = text.replace(escape(answer), f"<mark>{escape(answer)}</mark>")
    kind = "hit right" if right else "hit"
    return f"<div class='{kind}'><b>{escape(passage['title'])}</b> {text}</div>"


def _best_three(run: Path) -> dict[str, list[str]]:
    hits: dict[str, list[str]] = {}
    for line in run.read_text(encoding="utf-8").splitlines():
        qid, _, docid, *_ = line.split()
        if len(hits.setdefault(qid, [])) < 3:
            hits[qid].append(docid)
    return hits


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (XQG_MINI / name).read_text("utf-8").splitlines()]
