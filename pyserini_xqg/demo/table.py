"""The demo's results as text."""

from __future__ import annotations

from pyserini_xqg.demo import BUDGETS, CAVEAT, LANGUAGES, MEASURES
from pyserini_xqg.demo.pipeline import Results


def format_table(results: Results) -> str:
    """One table a measure: a row a system, a column a language, the mean with its interval."""
    width = max(len(system.name) for system in results.systems)
    lines = [CAVEAT, ""]
    for measure in MEASURES:
        columns = "".join(f"{language:>6}" for language in LANGUAGES)
        lines.append(
            f"{MEASURES[measure] + ', %':<{width}}{columns}{'mean':>7}  {'95 %':^13}{'en':>7}"
        )
        for system in results.systems:
            scores = system.scores[measure]
            cells = "".join(f"{scores.by_language[language]:6.1f}" for language in LANGUAGES)
            low, high = scores.interval
            lines.append(
                f"{system.name:<{width}}{cells}{scores.mean:7.1f}  [{low:4.1f}, {high:4.1f}] "
                f"{scores.by_language['en']:6.1f}"
            )
            ranges = {
                code: f"{low:.0f}-{high:.0f}" for code, (low, high) in scores.intervals.items()
            }
            cells = "".join(f"{ranges[language]:>6}" for language in LANGUAGES)
            lines.append(f"{'':<{width}}{cells}{'':23}{ranges['en']:>6}")
        counts = "".join(f"{results.topics[language]:>6}" for language in LANGUAGES)
        total = sum(results.topics[language] for language in LANGUAGES)
        lines += [f"{'n':<{width}}{counts}{total:7}{'':15}{results.topics['en']:7}", ""]
    heads = "".join(f"{f'R@{budget}t':>8}" for budget in BUDGETS)
    lines.append(f"{'answer in the first tokens, %':<{width}}{heads}")
    for system in results.systems:
        cells = "".join(f"{system.token_recall[budget]:8.1f}" for budget in BUDGETS)
        lines.append(f"{system.name:<{width}}{cells}")
    lines += ["Budgets and tokenizer are this collection's own: not official figures.", ""]
    lines += [
        "Test half; alpha and weight: chosen on the dev half by pooled MRR@10. The mean is over",
        "the seven query languages. Below each figure, and beside the mean: 95 % intervals from a",
        "bootstrap over passages. en: the same questions in English, the language of the passages.",
        "The last two systems are there for comparison.",
    ]
    return "\n".join(lines) + "\n"
