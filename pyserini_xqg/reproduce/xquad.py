"""XQuAD's files, as they are downloaded, as a retrieval collection.

The English passages are the corpus, or with ``--passages`` those in another of its languages. Of
the questions that people asked about a passage the first, third, ... are its generated queries and
the others topics, in the eleven other languages. Articles alternate: the first, third, ... are the
dev half, the others the test half. ``--indic`` adds the same questions in eleven languages of India
(XQuAD-IN, of IndicGenBench; Singh et al., ACL 2024).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.reproduce.question_answering import (
    Asked,
    one_line,
    parted,
    read_examples,
    read_squad,
    write_collection,
)

LANGUAGES = ("ar", "de", "el", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
#: With that of the originals.
ALL = ("en", *LANGUAGES)
HALVES = ("dev", "test")
#: Those that XQuAD-IN adds; its Hindi is left out, as XQuAD has one.
INDIC = ("as", "bn", "gu", "kn", "ml", "mr", "or", "pa", "ta", "te", "ur")
_EXPECTED = f"the folder of XQuAD's downloads, xquad.en.json and {', '.join(LANGUAGES)}"


class Question(NamedTuple):
    """A question in all languages; its number on its passage, from 0."""

    id: str
    number: int
    texts: dict[str, str]


class Paragraph(NamedTuple):
    """A passage in all languages with its questions; the number of its article, from 0."""

    docid: str
    title: str
    texts: dict[str, str]
    article: int
    questions: list[Question]

    @property
    def half(self) -> str:
        """Dev or test."""
        return HALVES[self.article % 2]


def read_xquad(folder: Path, indic: Path | None = None) -> Iterator[Paragraph]:
    """The passages in the order of ``xquad.en.json``, with their questions, in every language.

    Questions are in those of `INDIC`, too, where XQuAD-IN's folder is given.

    Raises
    ------
    XqgError
        For a file that is missing or of another form, and if one has other articles, passages or
        questions than the English one.
    """
    files = {code: folder / f"xquad.{code}.json" for code in ALL}
    data = {code: read_squad(path, _EXPECTED) for code, path in files.items()}
    for code, articles in data.items():
        if _shape(articles, files[code]) != _shape(data["en"], files["en"]):
            raise XqgError(
                f"{files[code]}: other questions than {files['en'].name}; fetch both again"
            )
    more = _read_indic(indic, data["en"]) if indic else {}
    for a, article in enumerate(data["en"]):
        for p, paragraph in enumerate(article["paragraphs"]):
            questions = [
                Question(
                    str(asked["id"]),
                    q,
                    {
                        code: one_line(
                            of[a]["paragraphs"][p]["qas"][q].get("question"),
                            f"{files[code]}: question {asked['id']}",
                        )
                        for code, of in data.items()
                    }
                    | {code: of[str(asked["id"])] for code, of in more.items()},
                )
                for q, asked in enumerate(paragraph["qas"])
            ]
            texts = {code: of[a]["paragraphs"][p]["context"] for code, of in data.items()}
            yield Paragraph(f"{a}#{p}", article["title"], texts, a, questions)


def _read_indic(folder: Path, articles: Any) -> dict[str, dict[str, str]]:
    """By language the questions of XQuAD-IN's files by id, all that these articles have."""
    ids = {asked["id"] for a in articles for p in a["paragraphs"] for asked in p["qas"]}
    questions = {}
    for code in INDIC:
        path = folder / f"xquad_{code}_test.json"
        questions[code] = {
            example["id"]: one_line(example["question"], f"{path}: question {example['id']}")
            for example in read_examples(path, ("id", "question"), "the folder xquad_in")
        }
        if missing := ids - questions[code].keys():
            raise XqgError(f"{path}: no question {min(missing)}; fetch it again")
    return questions


def _shape(articles: Any, path: Path) -> list[list[list[str]]]:
    try:
        return [
            [[asked["id"] for asked in paragraph["qas"]] for paragraph in article["paragraphs"]]
            for article in articles
        ]
    except (KeyError, TypeError) as error:
        raise XqgError(f"{path}: not a file of XQuAD's ({error!r})") from None


def make_collection(
    source: Path,
    output: Path,
    *,
    coverage: float = 1.0,
    seed: int = 1,
    without: Sequence[str] = (),
    queries_of: Sequence[str] = HALVES,
    passages: str = "en",
    indic: Path | None = None,
    distractors: Path | None = None,
) -> None:
    """Write the collection.

    Parameters
    ----------
    source : Path
        XQuAD's folder.
    output : Path
        A folder that is not there.
    coverage : float
        The share of passages that have generated queries, 0 to 1; drawn by `seed`.
    without : sequence of str
        Languages whose queries are left out.
    queries_of : sequence of str
        The halves whose passages have queries.
    passages : str
        Their language; queries and topics are in all others.
    indic : Path or None
        XQuAD-IN's folder, for queries and topics in `INDIC`, too.
    distractors : Path or None
        A corpus of other passages: see `question_answering.write_collection`.
    """
    if not 0 <= coverage <= 1:
        raise XqgError(f"--coverage {coverage}: expected a share from 0 to 1")
    paragraphs = list(read_xquad(source, indic))
    drawn = random.Random(seed).sample(range(len(paragraphs)), round(coverage * len(paragraphs)))
    covered = {paragraphs[i].docid for i in drawn if paragraphs[i].half in queries_of}
    asking = [code for code in (*ALL, *(INDIC if indic else ())) if code != passages]
    codes = [code for code in asking if code not in without]
    topics: dict[str, list[Asked]] = {half: [] for half in HALVES}
    for paragraph in paragraphs:
        topics[paragraph.half] += [
            Asked(
                f"{code}-{asked.id}",
                code,
                asked.texts[code],
                paragraph.docid,
                asked.texts[passages],
            )
            for asked in paragraph.questions
            if asked.number % 2
            for code in asking
        ]
    write_collection(
        output,
        [{"docid": p.docid, "title": p.title, "text": p.texts[passages]} for p in paragraphs],
        {
            p.docid: {
                code: [asked.texts[code] for asked in p.questions if asked.number % 2 == 0]
                for code in (codes if p.docid in covered else ())
            }
            for p in paragraphs
        },
        topics,
        parted(topics["test"], covered) if len(covered) < len(paragraphs) else {},
        language=passages,
        distractors=distractors,
    )
    said = [
        f"{len(of)} {half} ({len(of) // len(asking)} a language)" for half, of in topics.items()
    ]
    print(
        f"{output}: {len(paragraphs)} passages, {len(covered)} with queries in {len(codes)} "
        f"languages; topics: {', '.join(said)}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.xquad",
        description=__doc__,
        example="--input xquad --output xquad-collection",
    )
    add = parser.add_argument
    add("--input", required=True, type=Path, help="the folder of XQuAD's files")
    add("--output", required=True, type=Path, metavar="DIR", help="the folder to make")
    add("--coverage", type=float, default=1.0, help="share of passages with queries")
    add("--seed", type=int, default=1, help="of that share")
    add(
        "--without", nargs="+", default=[], choices=ALL, metavar="LANG",
        help="languages to leave without queries",
    )  # fmt: skip
    add(
        "--queries-of", nargs="+", default=HALVES, choices=HALVES, metavar="HALF",
        help="halves whose passages have queries",
    )  # fmt: skip
    add("--passages", default="en", choices=ALL, metavar="LANG", help="their language")
    add("--indic", type=Path, metavar="DIR", help="XQuAD-IN's folder: eleven languages more")
    add(
        "--distractors", type=Path, metavar="FILE",
        help="a corpus of other passages; all.jsonl gets the corpus, and these",
    )  # fmt: skip
    args = parser.parse_args(argv)
    make_collection(
        args.input,
        args.output,
        coverage=args.coverage,
        seed=args.seed,
        without=args.without,
        queries_of=args.queries_of,
        passages=args.passages,
        indic=args.indic,
        distractors=args.distractors,
    )


if __name__ == "__main__":
    run_command(main)
