"""The same scores by Pyserini's own trec_eval, which must agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
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

# So many hits in one start of it, which Java makes slow: some hundred MB.
_HITS = 2_000_000
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


def check_with_trec_eval(
    qrels: Qrels, runs: Mapping[str, Run], scores: Mapping[str, Scores]
) -> str:
    """Compute runs' scores again and compare them, topic by topic and over all.

    Parameters
    ----------
    qrels : mapping of topic id to mapping of docid to int
    runs : mapping of name to run
    scores : mapping of a run's name to mapping of measure to mapping of topic id to float
        As `score_by_topic` found them, the same measures for each run.

    Returns
    -------
    str
        What was compared, as a sentence.

    Raises
    ------
    XqgError
        Naming measure, run and topic, if a score differs in the fourth place; if trec_eval does not
        have a measure; and if it, or Java, fails.
    """
    asked = {name: trec_eval_name(name) for of_run in scores.values() for name in of_run}
    for names in _together(runs):
        with tempfile.TemporaryDirectory() as work:
            files = _write(Path(work), qrels, [runs[name] for name in names])
            for depth in dict.fromkeys(one.depth for one in asked.values()):
                theirs = {measure: one.name for measure, one in asked.items() if one.depth == depth}
                found = _run_trec_eval(files, theirs.values(), depth)
                for measure, their_name in theirs.items():
                    mine = {name: scores[name][measure] for name in names}
                    _compare(measure, mine, found[their_name.replace(".", "_")])
    return (
        f"trec_eval (Pyserini {version('pyserini')}) agrees to 4 places on all of them, topic by "
        "topic."
    )


def _together(runs: Mapping[str, Run]) -> list[list[str]]:
    """Names of runs that are checked in one start of trec_eval, which keeps all hits in memory."""
    parts: list[list[str]] = []
    held = 0
    for name, run in runs.items():
        hits = sum(map(len, run.values()))
        if not parts or held + hits > _HITS:
            parts.append([])
            held = 0
        parts[-1].append(name)
        held += hits
    return parts


def _write(work: Path, qrels: Qrels, runs: Sequence[Run]) -> list[Path]:
    """Qrels and runs as one of each: a topic is another one in each run."""
    files = [work / "qrels.txt", work / "run.txt"]
    with open(files[0], "w", encoding="utf-8") as lines:
        for number in range(len(runs)):
            for qid, judged in qrels.items():
                lines.writelines(f"{number}:{qid} 0 {docid} {v}\n" for docid, v in judged.items())
    with open(files[1], "w", encoding="utf-8") as lines:
        for number, run in enumerate(runs):
            for qid in qrels:
                lines.writelines(
                    f"{number}:{qid} Q0 {hit.docid} {rank} {hit.score!r} run\n"
                    for rank, hit in enumerate(run.get(qid, ()), 1)
                )
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


def _compare(
    measure: str, ours: Mapping[str, Mapping[str, float]], theirs: Mapping[str, float]
) -> None:
    pairs = [
        (f"{qid!r} of {run}", value, theirs.get(f"{number}:{qid}", 0.0))  # silent: without results
        for number, (run, of_run) in enumerate(ours.items())
        for qid, value in of_run.items()
    ]
    pairs.append(("'all'", sum(value for _, value, _ in pairs) / len(pairs), theirs["all"]))
    for topic, value, their in pairs:
        if abs(value - their) > _TOLERANCE:
            raise XqgError(
                f"{measure} of topic {topic}: {value:.6f} by ir_measures, {their:.4f} by "
                "trec_eval; one of them is wrong: please report it, with the topic's lines of "
                "qrels and run"
            )
