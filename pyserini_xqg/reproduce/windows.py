"""A corpus cut into windows: as many vectors a passage as a routed index has, without any queries.

Each passage becomes the whole of it, ``ID#0``, and overlapping windows of its words, ``ID#1`` and
so on. Encoded, and searched with Pyserini's ``--max-passage``, a passage counts by its best window
(MaxP: Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling",
SIGIR 2019).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import written_whole
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.shards import BLOCK

DELIMITER = "#"


def windows(passage: Passage, number: int) -> Iterator[Passage]:
    """The passage and `number` - 1 windows of its words, each half over the next one.

    A passage of fewer words than windows has fewer of these, one for each word.
    """
    yield passage._replace(docid=f"{passage.docid}{DELIMITER}0")
    words = passage.text.split()
    count = min(number - 1, len(words))
    # So long that, half over each other, they reach from the first word to the last.
    length = -(-2 * len(words) // (count + 1)) if count else 0
    for place in range(count):
        start = place * (len(words) - length) // max(count - 1, 1)
        text = " ".join(words[start : start + length])
        yield passage._replace(docid=f"{passage.docid}{DELIMITER}{place + 1}", text=text)


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.windows",
        description=__doc__,
        example="--corpus corpus.jsonl --number 8 --output windows.jsonl",
    )
    add = parser.add_argument
    add("--corpus", required=True, help="JSONL or TSV, file or folder")
    add("--number", type=int, required=True, help="vectors a passage")
    add("--output", required=True, type=Path, metavar="FILE", help="the file to write")
    args = parser.parse_args(argv)
    if args.number < 1:
        raise XqgError(f"--number {args.number}: expected at least 1")
    with tempfile.TemporaryDirectory() as work, written_whole(args.output) as file:
        join = Join(args.corpus, [], Path(work))
        for start in range(0, join.passages, BLOCK):
            for passage in join.read_passages(start, min(start + BLOCK, join.passages)):
                if DELIMITER in passage.docid:
                    raise XqgError(f"docid {passage.docid!r} holds {DELIMITER!r}; rename it")
                for window in windows(passage, args.number):
                    file.write(json.dumps(window._asdict(), ensure_ascii=False) + "\n")
        join.close()


if __name__ == "__main__":
    run_command(main)
