"""Whether generated queries help on a collection, and what serves it best.

Encodes passages and queries, chooses the settings, builds a dense and a BM25 index and the weight
of their hybrid, and says what each is worth: on the test half of topics with judgments or, without
them, on generated queries that were taken out before anything was built. What is made stays, and a
run that was killed goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import input_files, read_json, write_json, written_whole
from pyserini_xqg.encode.groups import add_encoder_options, encoder_from

if TYPE_CHECKING:
    from pyserini_xqg.advise.pipeline import Inputs
    from pyserini_xqg.encoder.encoder import Encoder


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.advise",
        description=__doc__,
        example="--corpus corpus.jsonl --queries queries.jsonl --encoder "
        "intfloat/multilingual-e5-small --output advice",
    )
    add = parser.add_argument
    add("--corpus", required=True, help="passages: JSONL or TSV, file or folder")
    add("--queries", nargs="+", required=True, help="generated queries")
    add("--topics", help="JSONL or TSV, to choose and report by judgments")
    add("--qrels", help="of --topics, in TREC format")
    add("--output", required=True, metavar="DIR", help="for all that is made")
    add_encoder_options(parser.add_argument_group("encoder"))
    args = parser.parse_args(argv)
    if bool(args.topics) != bool(args.qrels):
        raise XqgError("--topics and --qrels go together; give both, or none")
    from pyserini_xqg.advise.pipeline import Inputs
    from pyserini_xqg.base.output import check_same_plan

    for path in (args.corpus, *args.queries):
        input_files(path)  # a missing file is found before a model is loaded
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    plan = {
        name: value
        for name, value in vars(args).items()
        if name not in ("output", "device", "batch_size")
    }
    plan_file = output / "plan.json"
    if plan_file.exists():
        check_same_plan(str(output), read_json(plan_file), plan)
    elif any(path.name != "plan.json.partial" for path in output.iterdir()):  # of a killed process
        raise XqgError(f"{output} holds other things; give a folder of its own")
    write_json(plan_file, plan)

    @cache
    def encoder() -> Encoder:
        return encoder_from(args)

    inputs = Inputs(args.corpus, args.queries, args.fields, args.topics, args.qrels)
    advise(inputs, output, encoder)


def advise(inputs: Inputs, output: Path, encoder: Callable[[], Encoder]) -> None:
    """Make everything, print the answer and write the page."""
    from pyserini_xqg.advise import advice, systems
    from pyserini_xqg.advise.pipeline import make, see
    from pyserini_xqg.evaluate.report.forms import as_page
    from pyserini_xqg.index.manifest import read_built

    def say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    made = make(inputs, output, encoder, say)
    dev, test = see(inputs, made, output, encoder, say)
    covered = made.store.covered()
    coverage = {code: count / made.store.passages for code, count in covered.items()}
    by_group = None if inputs.topics else coverage
    dev_share, share = systems.shares(dev, by_group), systems.shares(test, by_group)
    alpha = systems.choose_sum(dev, dev_share)
    weight = systems.choose_weight(dev, dev_share)
    fusion = read_built(made.dense).fusion
    alphas = sorted(set(fusion.alphas.values()))
    span = f"{alphas[0]:g}" if len(alphas) == 1 else f"{alphas[0]:g} to {alphas[-1]:g}"
    ours = f"alpha {span}, mu {fusion.mu:g}"
    lines = [
        advice.line(
            name, setting, scores, test.plain, share, test.languages, test.clusters
        )
        for name, setting, scores in (
            (systems.PLAIN, "", test.plain),
            (systems.SUM, f"alpha {alpha:g}", test.sums[alpha]),
            (systems.OURS, ours, test.score(test.dense)),
            (systems.BM25, "", test.score(test.sparse)),
            (systems.HYBRID, f"dense weight {weight:g}", test.hybrid(weight)),
        )
    ]  # fmt: skip
    commands = [
        f"python -m pyserini_xqg.search --index {made.dense} --topics TOPICS --output RUN",
        f"python -m pyserini_xqg.hybrid --dense {made.dense} --sparse {made.bm25} --weight "
        f"{weight:g} --topics TOPICS --output RUN",
    ]
    what = (
        "topics of the test half"
        if inputs.topics
        else "generated queries taken out of their passages"
    )
    what = f"{len(share)} {what}, {len(dev_share)} others chose"
    page = output / "advice.html"
    more = [f"serve: {commands[0]}", f"or:    {commands[1]}", f"page:  {page}"]
    said = advice.in_words(lines, what, coverage, more)
    section = advice.section(lines, said[:-3], commands)
    text = as_page("Does it help?", [section], {"advice.png": advice.picture(section)})
    with written_whole(page) as file:
        file.write(text)
    write_json(
        output / "advice.json",
        {
            "topics": len(share),
            "weight": weight,
            "coverage": coverage,
            "systems": [each._asdict() for each in lines],
            "commands": commands,
        },
    )
    print("\n".join(said))


if __name__ == "__main__":
    run_command(main)
