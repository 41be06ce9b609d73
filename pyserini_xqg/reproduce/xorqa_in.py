"""XorQA-IN's files (IndicGenBench; Singh et al., ACL 2024), as they are, as a retrieval collection.

English Wikipedia passages are the corpus, those that answer XOR-TyDi's questions. The questions are
there in 28 languages of India: asked in Bengali or Telugu, translated by people into the others.
Nearly every passage has one question, so that its own question cannot be both. The questions of the
dev files are generated queries, those of the train and the test files dev and test topics: they ask
for passages that have no queries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.reproduce.question_answering import (
    Asked,
    one_line,
    parted,
    read_examples,
    write_collection,
)

#: Without English.
LANGUAGES = (
    "as", "awa", "bgc", "bho", "bn", "bo", "brx", "gbm", "gom", "gu", "hi", "hne", "hoj", "kn",
    "mai", "ml", "mni", "mr", "mup", "mwr", "or", "pa", "ps", "sa", "sat", "ta", "te", "ur",
)  # fmt: skip
#: What we call the files' parts: train is the smallest, so settings are chosen on it.
_PARTS = {"train": "dev", "dev": "queries", "test": "test"}
_KEYS = ("context", "title", "question", "answers")
# A title says the section, too.
_TITLE = re.compile(r"title:(.*?)_parentSection:.*", re.DOTALL)

Example = dict[str, Any]


def make_collection(source: Path, output: Path, distractors: Path | None = None) -> None:
    """Write the collection; examples without a question are left out.

    Raises
    ------
    XqgError
        For a file that is missing or of another form.
    """
    docids: dict[str, str] = {}
    corpus: list[dict[str, str]] = []
    queries: dict[str, dict[str, list[str]]] = {}
    topics: dict[str, list[Asked]] = {"dev": [], "test": []}
    empty = 0
    for their, part in _PARTS.items():
        english: dict[tuple[str, str], str] = {}
        for code in ("en", *LANGUAGES):
            path = source / f"xorqa_{code}_{their}.json"
            for number, example in enumerate(read_examples(path, _KEYS, "the folder xorqa_in")):
                where = f"{path}: example {number + 1}"
                text = one_line(example["context"], where)
                if text not in docids:
                    docids[text] = f"xorqa-{len(docids)}"
                    title = _TITLE.sub(r"\1", example["title"])
                    corpus.append({"docid": docids[text], "title": title, "text": text})
                if not example["question"].strip():
                    empty += 1
                    continue
                question, same = one_line(example["question"], where), _which(example, where)
                if code == "en":
                    english[same] = question
                elif part == "queries":
                    of = queries.setdefault(docids[text], {})
                    of.setdefault(code, []).append(question)
                else:
                    topics[part].append(
                        Asked(f"{code}-{their}-{number}", code, question, docids[text],
                              english.get(same, question))
                    )  # fmt: skip
    asked = {(topic.docid, topic.text) for of in topics.values() for topic in of}
    for docid, of in queries.items():
        for code, questions in of.items():
            of[code] = [each for each in questions if (docid, each) not in asked]
    parts = parted(topics["test"], queries)
    write_collection(
        output,
        corpus,
        {row["docid"]: queries.get(row["docid"], {}) for row in corpus},
        topics,
        parts,
        distractors=distractors,
    )
    alone = len(parts["test.without-queries"])
    print(
        f"{output}: {len(corpus)} passages, {len(queries)} with queries; topics: "
        f"{len(topics['dev'])} dev, {len(topics['test'])} test, {alone} of these on passages "
        f"without queries; {empty} examples without a question left out"
    )


def _which(example: Example, where: str) -> tuple[str, str]:
    """What the same question has in common in all languages: its passage and its answer."""
    try:
        return example["context"], example["answers"][0]["text"]
    except (IndexError, KeyError, TypeError) as error:
        raise XqgError(f"{where}: not as XorQA-IN's are ({error!r})") from None


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.xorqa_in",
        description=__doc__,
        example="--input xorqa_in --output xorqa-collection",
    )
    parser.add_argument("--input", required=True, type=Path, help="the folder xorqa_in")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="the folder to make"
    )
    parser.add_argument(
        "--distractors", type=Path, metavar="FILE",
        help="a corpus of other passages; all.jsonl gets the corpus, and these",
    )  # fmt: skip
    args = parser.parse_args(argv)
    make_collection(args.input, args.output, args.distractors)


if __name__ == "__main__":
    run_command(main)
