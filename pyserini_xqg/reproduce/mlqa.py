"""MLQA's files, as they are downloaded, as a retrieval collection with passages in many languages.

Its contexts, in any of seven languages, are the corpus, some 40,000 passages. Questions of the dev
files are generated queries, those of the test files topics; the relevant passages of a topic are
all contexts that its question was asked about, in whatever language. No passage of a topic has
queries: what queries do for it comes from the map of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.reproduce.question_answering import Asked, one_line, read_squad, write_collection

LANGUAGES = ("ar", "de", "en", "es", "hi", "vi", "zh")
_EXPECTED = "MLQA_V1, with dev/dev-context-ar-question-ar.json and so on"


def asked_in(source: Path, split: str, context: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Title, context, question id, language and question, of every file with these contexts.

    English questions come first. Languages without such a file are passed over, the contexts' own
    excepted.
    """
    folder = source / split
    for code in ("en", *(each for each in LANGUAGES if each != "en")):
        path = folder / f"{split}-context-{context}-question-{code}.json"
        if code != context and not path.is_file():
            continue
        try:
            for article in read_squad(path, _EXPECTED):
                for paragraph in article["paragraphs"]:
                    for asked in paragraph["qas"]:
                        where = f"{path}: question {asked['id']}"
                        text = one_line(asked["question"], where)
                        yield article["title"], paragraph["context"], asked["id"], code, text
        except (KeyError, TypeError) as error:
            raise XqgError(f"{path}: not in SQuAD's form ({error!r})") from None


def make_collection(source: Path, output: Path, contexts: Sequence[str]) -> None:
    """Write the collection of the contexts in these languages.

    Raises
    ------
    XqgError
        For a file that is missing or of another form, and a folder that exists.
    """
    docids: dict[str, str] = {}
    corpus: list[dict[str, str]] = []
    queries: dict[str, dict[str, list[str]]] = {}
    topics: dict[str, Asked] = {}
    relevant: dict[str, list[str]] = {}
    english: dict[str, str] = {}
    for split in ("dev", "test"):
        for context in contexts:
            for title, text, number, code, question in asked_in(source, split, context):
                if text not in docids:
                    docids[text] = f"mlqa-{context}-{len(docids)}"
                    corpus.append({"docid": docids[text], "title": title, "text": text})
                    queries[docids[text]] = {}
                if split == "dev":
                    queries[docids[text]].setdefault(code, []).append(question)
                    continue
                if code == "en":
                    english[number] = question
                qid = f"{code}-{number}"
                own = english.get(number, question)
                topics.setdefault(qid, Asked(qid, code, question, docids[text], own))
                relevant.setdefault(qid, []).append(docids[text])
    asked = sorted(topics.values(), key=lambda each: each.qid)
    write_collection(output, corpus, queries, {"test": asked}, relevant=relevant)
    covered = sum(bool(of) for of in queries.values())
    print(
        f"{output}: {len(corpus)} passages in {' '.join(contexts)}, {covered} with queries; "
        f"{len(asked)} topics"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.mlqa",
        description=__doc__,
        example="--input MLQA_V1 --output mlqa-collection",
    )
    add = parser.add_argument
    add("--input", required=True, type=Path, help="the folder MLQA_V1")
    add("--output", required=True, type=Path, metavar="DIR", help="the folder to make")
    add(
        "--contexts", nargs="+", default=LANGUAGES, choices=LANGUAGES, metavar="LANG",
        help="the languages of the passages",
    )  # fmt: skip
    args = parser.parse_args(argv)
    make_collection(args.input, args.output, args.contexts)


if __name__ == "__main__":
    run_command(main)
