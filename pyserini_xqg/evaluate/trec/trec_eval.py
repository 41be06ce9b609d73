"""The same scores by Pyserini's own trec_eval, which must agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Qrels
from pyserini_xqg.collection.runs import Run
from pyserini_xqg.evaluate.by_query import Scores
from pyserini_xqg.evaluate.trec.measures import parse_measures

#: By ir_measures' name: trec_eval's without a cutoff and with one. It cuts no recip_rank: for that
#: it must read less of the run (-M).
NAMES: dict[str, tuple[str | None, str | None]] = {
    "AP": ("map", "map_cut.{}"),
    "P": (None, "P.{}"),
    "R": (None, "recall.{}"),
    "RR": ("recip_rank", None),
    "Rprec": ("Rprec", None),
    "Success": (None, "success.{}"),
    "nDCG": ("ndcg", "ndcg_cut.{}"),
}

# It prints four places.
_TOLERANCE = 0.5e-4 + 1e-9


class Asked(NamedTuple):
    """A measure as trec_eval is asked for it; `depth` is how much of the run it may read."""

    name: str
    depth: int | None = None


def trec_eval_name(name: str) -> Asked:
    """What ``-m``, and ``-M``, say for a measure of ir_measures.

    Raises
    ------
    XqgError
        If trec_eval does not have it.
    """
    (measure,) = parse_measures([name])
    plain, cut = NAMES.get(measure.NAME, (None, None))
    cutoff = measure.params.get("cutoff")
    if set(measure.params) <= {"cutoff"}:
        if cutoff is None and plain:
            return Asked(plain)
        if cutoff is not None and cut:
            return Asked(cut.format(cutoff))
        if cutoff is not None and plain == "recip_rank":
            return Asked(plain, cutoff)
    raise XqgError(
        f"trec_eval cannot check {name!r}: it has {', '.join(NAMES)}, without other parameters "
        "than a cutoff; leave the measure out, or do without the check (--no-check)"
    )


def check_with_trec_eval(qrels: Qrels, run: Run, scores: Scores) -> str:
    """Compute the scores again and compare them, topic by topic and over all.

    Parameters
    ----------
    qrels : mapping of topic id to mapping of docid to int
    run : mapping of topic id to hits
    scores : mapping of measure to mapping of topic id to float
        As `score_by_topic` found them.

    Returns
    -------
    str
        What was compared, as a sentence.

    Raises
    ------
    XqgError
        Naming measure and topic, if a score differs in the fourth place; if trec_eval does not
        have a measure; and if it, or Java, fails.
    """
    asked = {name: trec_eval_name(name) for name in scores}
    with tempfile.TemporaryDirectory() as work:
        files = _write(Path(work), qrels, run)
        for depth in dict.fromkeys(one.depth for one in asked.values()):
            names = {name: one.name for name, one in asked.items() if one.depth == depth}
            theirs = _run_trec_eval(files, names.values(), depth)
            for name, their_name in names.items():
                _compare(name, scores[name], theirs[their_name.replace(".", "_")])
    return (
        f"trec_eval (Pyserini {version('pyserini')}) agrees to 4 places on all of them, topic by "
        "topic."
    )


def _write(work: Path, qrels: Qrels, run: Run) -> list[Path]:
    files = [work / "qrels.txt", work / "run.txt"]
    with open(files[0], "w", encoding="utf-8") as lines:
        for qid, judged in qrels.items():
            lines.writelines(f"{qid} 0 {docid} {value}\n" for docid, value in judged.items())
    with open(files[1], "w", encoding="utf-8") as lines:
        for qid in qrels:
            for rank, hit in enumerate(run.get(qid, ()), 1):
                lines.write(f"{qid} Q0 {hit.docid} {rank} {hit.score!r} run\n")
    return files


def _run_trec_eval(
    files: Iterable[Path], names: Iterable[str], depth: int | None
) -> dict[str, dict[str, float]]:
    """By trec_eval's measure and topic id; ``all`` is the mean over every topic of the qrels."""
    # A process of its own: called in this one, it returns the last measure alone, and prints.
    command = [sys.executable, "-m", "pyserini_xqg.run", "pyserini.eval.trec_eval", "-c", "-q"]
    command += ["-M", str(depth)] if depth else []
    # Of two cutoffs of one measure it takes the first, unless they are given as one: recall.1,3.
    cutoffs: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        measure, _, cutoff = name.partition(".")
        cutoffs.setdefault(measure, []).extend([cutoff] if cutoff else [])
    for measure, cut in cutoffs.items():
        command += ["-m", f"{measure}.{','.join(sorted(cut, key=int))}" if cut else measure]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    scores: dict[str, dict[str, float]] = {}
    for name, qid, value in re.findall(r"^(\S+)\s+(\S+)\s+(\S+)$", done.stdout, re.MULTILINE):
        scores.setdefault(name, {})[qid] = float(value)
    if done.returncode or not scores:
        reason = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise XqgError(
            f"trec_eval failed: {reason.removeprefix('error: ')} (python -m pyserini_xqg.doctor "
            "looks at Java; --no-check does without)"
        )
    return scores


def _compare(name: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    mean = sum(ours.values()) / len(ours)
    for qid, value in [*ours.items(), ("all", mean)]:
        their = theirs.get(qid, 0.0)  # it is silent on topics without results
        if abs(value - their) > _TOLERANCE:
            raise XqgError(
                f"{name} of topic {qid!r}: {value:.6f} by ir_measures, {their:.4f} by trec_eval; "
                "one of them is wrong: please report it, with the topic's lines of qrels and run"
            )
