"""Topics for stock Pyserini to search a BM25 index of ours with: ``-m pyserini_xqg.bm25_topics``.

An index of character n-grams needs topics of n-grams. They are written as TSV, and the command that
takes them is printed.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import refuse_existing, written_whole
from pyserini_xqg.collection.languages import code_of
from pyserini_xqg.collection.topics import read_topics
from pyserini_xqg.index.bm25 import NGRAMS, query_text
from pyserini_xqg.index.bm25_text import field_of
from pyserini_xqg.index.manifest import read_manifest


def write_topics(
    index: str | Path, topics: str | Path, output: str | Path, language: str | None = None
) -> list[str]:
    """Write topics as the analyzer of an index wants them: id, tab, text.

    Parameters
    ----------
    index : path-like
        A BM25 index of ours; of a routed folder one of its routes.
    topics : path-like
    output : path-like
        Its name must end in ``.tsv``, by which stock Pyserini knows the format.
    language : str or None
        Write the topics in this language alone.

    Returns
    -------
    list of str
        The ids of topics without a letter or digit, which are left out.

    Raises
    ------
    XqgError
        For another kind of index, another suffix, and if there are no topics to write.
    """
    manifest, output = read_manifest(index), Path(output)
    if manifest["kind"] != "bm25":
        raise XqgError(f"{index} is a {manifest['kind']} index; expected one of --to bm25")
    if output.suffix != ".tsv":
        raise XqgError(f"{output}: stock Pyserini takes such topics from a file named *.tsv")
    asked = [t for t in read_topics(topics) if language is None or t.language == language]
    if not asked:
        raise XqgError(f"{topics}: no topics in {language!r}")
    text_of = query_text(manifest["analyzer"])
    rows = [(topic.qid, text_of(topic.text)) for topic in asked]
    with written_whole(output) as file:
        file.writelines(f"{qid}\t{text}\n" for qid, text in rows if text)
    return [qid for qid, text in rows if not text]


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = Parser(
        prog="python -m pyserini_xqg.bm25_topics",
        description=__doc__.partition("\n")[0],
        example="--index indexes/bm25 --topics topics.jsonl --output bm25.tsv",
    )
    parser.add_argument("--index", required=True, metavar="DIR", help="a BM25 index of ours")
    parser.add_argument("--topics", required=True, help="JSONL or TSV")
    parser.add_argument(
        "--language",
        type=code_of("--language"),
        metavar="CODE",
        help="write the topics in this language alone",
    )
    parser.add_argument("--output", required=True, metavar="TSV", help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that is there")
    args = parser.parse_args(argv)
    refuse_existing(args.output, args.overwrite)
    empty = write_topics(args.index, args.topics, args.output, args.language)
    if empty:
        print(f"note: without letters or digits, left out: {' '.join(empty)}", file=sys.stderr)
    analyzer = read_manifest(args.index)["analyzer"]
    option = ["--pretokenized"] if analyzer == NGRAMS else ["--language", analyzer]
    if field := field_of(read_manifest(args.index)):
        option += ["--fields", f"{field}=1.0"]
    words = ["--index", args.index, "--topics", args.output, "--bm25", *option]
    print(f"python -m pyserini_xqg.run pyserini.search.lucene {shlex.join(words)} --output RUN")


if __name__ == "__main__":
    run_command(main)
