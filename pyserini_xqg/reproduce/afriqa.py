"""AfriQA's gold passages, as they are downloaded, as a retrieval collection.

Wikipedia passages are the corpus, and questions that speakers of African languages asked are
queries and topics: eight languages over English passages, or Fon over French ones. Nearly every
passage has one question, so that its own question cannot be both: the questions of the training
files are generated queries, those of the dev and test files topics, and most topics ask for
passages that have no queries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import read_lines
from pyserini_xqg.collection.records import parse_json
from pyserini_xqg.reproduce.question_answering import Asked, one_line, parted, write_collection

#: ISO 639-3 codes in the files' names, and what we call the languages.
LANGUAGES = {"bem": "bem", "fon": "fon", "hau": "ha", "ibo": "ig", "kin": "rw", "swa": "sw",
             "twi": "tw", "yor": "yo", "zul": "zu"}  # fmt: skip
#: The languages that passages are in.
PASSAGES = ("en", "fr")
_NAME = re.compile(r"gold_span_passages\.afriqa\.([a-z]{3})\.([a-z]{2})\.(train|dev|test)\.json")


def make_collection(source: Path, output: Path, passages: str = "en") -> None:
    """Write the collection of the passages in one of `PASSAGES`.

    Rows without a passage or a question, and questions that a topic on the same passage repeats,
    are left out.

    Raises
    ------
    XqgError
        For a folder without such files, and a row that is not as theirs are.
    """
    files = [
        (match[1], match[3], path)
        for path in sorted(source.glob("**/*.json"), key=lambda path: path.name)
        if (match := _NAME.fullmatch(path.name)) and match[1] in LANGUAGES and match[2] == passages
    ]
    if not files:
        raise XqgError(
            f"{source}: no file named like gold_span_passages.afriqa.hau.{passages}.test.json; "
            "expected the folder of AfriQA's gold passages"
        )
    docids: dict[str, str] = {}
    corpus: list[dict[str, str]] = []
    queries: dict[str, dict[str, list[str]]] = {}
    topics: dict[str, list[Asked]] = {"dev": [], "test": []}
    training: list[tuple[str, str, str]] = []
    empty = 0
    for code, part, path in files:
        language = LANGUAGES[code]
        for line in read_lines(path):
            where = f"{path}:{line.number}"
            row = parse_json(line.content, where)
            if missing := {"context", "title", "question_lang", "id"} - row.keys():
                raise XqgError(
                    f"{where}: not as AfriQA's rows are: no {', '.join(sorted(missing))}"
                )
            if not row["context"] or not row["question_lang"]:
                empty += 1
                continue
            text = one_line(row["context"], where)
            if text not in docids:
                docids[text] = f"afriqa-{len(docids)}"
                title = one_line(row["title"], where) if row["title"] else ""
                corpus.append({"docid": docids[text], "title": title, "text": text})
            question = one_line(row["question_lang"], where)
            if part == "train":
                training.append((docids[text], language, question))
            else:
                translated = row.get("question_translated") or question
                topics[part].append(
                    Asked(
                        f"{language}-{part}-{len(topics[part])}",
                        language,
                        question,
                        docids[text],
                        one_line(translated, where),
                    )
                )
    asked = {(topic.docid, topic.text) for of in topics.values() for topic in of}
    for docid, language, question in training:
        if (docid, question) not in asked:
            queries.setdefault(docid, {}).setdefault(language, []).append(question)
    parts = parted(topics["test"], queries)
    write_collection(
        output,
        corpus,
        {row["docid"]: queries.get(row["docid"], {}) for row in corpus},
        topics,
        parts,
        language=passages,
    )
    alone = len(parts["test.without-queries"])
    print(
        f"{output}: {len(corpus)} passages, {len(queries)} with queries; topics: "
        f"{len(topics['dev'])} dev, {len(topics['test'])} test, {alone} of these on passages "
        f"without queries; {empty} rows without a passage or a question left out"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.afriqa",
        description=__doc__,
        example="--input afriqa --output afriqa-collection",
    )
    add = parser.add_argument
    add("--input", required=True, type=Path, help="the folder of AfriQA's files")
    add("--output", required=True, type=Path, metavar="DIR", help="the folder to make")
    add("--passages", default="en", choices=PASSAGES, help="their language")
    args = parser.parse_args(argv)
    make_collection(args.input, args.output, args.passages)


if __name__ == "__main__":
    run_command(main)
