"""Turn XOR-TyDi QA's translated questions into a small retrieval task of one's own.

The English translations are the passages, the original questions the topics; each topic has one
relevant passage. Sampled by a seed, as evenly over the languages as they allow.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with question_translations.tsv: "
                        "language, question and English translation, tab-separated")  # fmt: skip
    parser.add_argument("--output", required=True, metavar="DIR")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    source = Path(args.data) / "question_translations.tsv"
    by_language: dict[str, list[tuple[str, str]]] = {}
    seen: set[str] = set()
    for line in source.read_text(encoding="utf-8").split("\n"):
        language, question, english = line.split("\t") if line.count("\t") == 2 else ("", "", "")
        # A translation that occurs twice would be two relevant passages for one topic.
        if language.strip() and english.strip().lower() not in seen:
            seen.add(english.strip().lower())
            by_language.setdefault(language.strip(), []).append((question, english))
    rng = random.Random(args.seed)
    for pairs in by_language.values():
        rng.shuffle(pairs)
    languages = sorted(by_language)
    chosen = []
    while len(chosen) < args.questions and any(by_language.values()):
        for language in languages:
            if by_language[language] and len(chosen) < args.questions:
                chosen.append((language, *by_language[language].pop()))
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    with (
        open(output / "corpus.jsonl", "w", encoding="utf-8") as corpus,
        open(output / "topics.jsonl", "w", encoding="utf-8") as topics,
        open(output / "qrels.txt", "w", encoding="utf-8") as qrels,
    ):
        for number, (language, question, english) in enumerate(chosen):
            docid, qid = f"en-{number:04d}", f"{language}-{number:04d}"
            corpus.write(json.dumps({"docid": docid, "text": english}, ensure_ascii=False) + "\n")
            row = {"qid": qid, "title": question, "lang": language}
            topics.write(json.dumps(row, ensure_ascii=False) + "\n")
            qrels.write(f"{qid} 0 {docid} 1\n")
    print(f"{len(chosen)} passages and topics in {output}")


if __name__ == "__main__":
    main()
