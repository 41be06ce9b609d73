"""Hard negatives: what our own indexes find for the training queries, but does not answer them."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import written_whole
from pyserini_xqg.base.refusing import refuse_existing
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.scripts import normalise, word_characters
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.train.examples import Example, passage_text, read_examples

#: A passage that has this much of a positive's text (or the other way round) is that positive in
#: another version, or a window that overlaps with it.
SIMILARITY = 0.8
# Two passages on one subject share words and phrases, but few runs of so many characters.
_SHINGLE = 8


def mine_negatives(
    train: Sequence[str | Path],
    indexes: Sequence[str | Path],
    corpus: str | Path,
    output: str | Path,
    *,
    count: int = 30,
    hits: int = 100,
    similarity: float = SIMILARITY,
    encoder: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    batch_size: int = 64,
    threads: int = 1,
    overwrite: bool = False,
) -> Counter[str]:
    """Write training examples with the negatives that indexes find for their queries.

    The texts of all hits are held in memory: for 15,000 queries, two indexes and 100 hits about a
    gigabyte.

    Parameters
    ----------
    train : sequence of path-like
        Examples, as `pyserini_xqg.train.examples.read_examples` reads them. Negatives that they
        have stay, before the new ones.
    indexes : sequence of path-like
        Of ours, dense or BM25, over the corpus. Of several the hits are taken in turn.
    corpus : path-like
        Where the passages' texts are.
    output : path-like
        The JSONL to make, in Tevatron's fields.
    count : int
        New negatives for each query, at most.
    hits : int
        Of each index and query, to choose from.
    similarity : float
        See `choose`.
    encoder, device : str or None
        Of the dense indexes: another place of the model, and where to compute.
    trust_remote_code : bool
        Run the Python that comes with that model.
    batch_size, threads : int
        Of the search.
    overwrite : bool
        Replace an existing output.

    Returns
    -------
    Counter of str
        Of ``queries``, ``negatives``, what was left out as ``positives`` and ``near-duplicates``,
        and queries ``without negatives``.

    Raises
    ------
    XqgError
        For broken input, an index that is none, or hits that the corpus lacks.
    """
    from pyserini_xqg.collection.runs import read_passages

    if min(count, hits, batch_size, threads) < 1:
        raise XqgError("--negatives, --hits, --batch-size and --threads are at least 1")
    if not 0 < similarity <= 1:
        raise XqgError(f"--similarity {similarity}: expected above 0, and at most 1")
    output = Path(output)
    refuse_existing(output, overwrite)
    examples = read_examples(train)
    topics = [
        Topic(str(number), example.query, example.language)
        for number, example in enumerate(examples)
    ]
    loading = {"encoder": encoder, "device": device, "trust_remote_code": trust_remote_code}
    found = [_search(index, topics, hits, loading, batch_size, threads) for index in indexes]
    merged = [list(in_turn(of_query)) for of_query in zip(*found, strict=True)]
    passages = read_passages(corpus, set(chain.from_iterable(merged)))
    tally: Counter[str] = Counter()
    with written_whole(output) as file:
        for number, (example, docids) in enumerate(zip(examples, merged, strict=True)):
            candidates = (passages[docid] for docid in docids)
            chosen = list(choose(example, candidates, count, similarity, tally))
            tally.update({"queries": 1, "negatives": len(chosen), "without negatives": not chosen})
            file.write(_row(number, example, chosen) + "\n")
    if tally["without negatives"]:
        warnings.warn(
            f"{tally['without negatives']} of {tally['queries']} queries have no new negative; "
            "--hits may help",
            stacklevel=2,
        )
    return tally


def in_turn(lists: Iterable[Sequence[str]]) -> Iterator[str]:
    """The first of each list, then the second of each, and so on; each docid once."""
    ranks = zip_longest(*lists)
    return iter(dict.fromkeys(docid for rank in ranks for docid in rank if docid is not None))


def choose(
    example: Example,
    candidates: Iterable[Passage],
    count: int,
    similarity: float,
    tally: Counter[str],
) -> Iterator[Passage]:
    """The first `count` candidates that are no positive, nor nearly one.

    Parameters
    ----------
    example : Example
    candidates : iterable of Passage
        Best first.
    count : int
    similarity : float
        A passage is left out if of the 8-character runs of its text and a positive's, whichever has
        fewer, this part is in the other: punctuation, spaces and case do not count.
    tally : Counter
        Receives what was left out as ``positives`` or ``near-duplicates``.
    """
    own = {passage.docid for passage in example.positives if passage.docid}
    texts = {passage_text(passage) for passage in (*example.positives, *example.negatives)}
    texts.add("")  # an empty passage is no negative
    positives = [_shingles(passage) for passage in example.positives]
    for passage in candidates:
        if not count:
            return
        text = passage_text(passage)
        if passage.docid in own:
            tally["positives"] += 1
        elif text in texts or _overlap(_shingles(passage), positives) >= similarity:
            tally["near-duplicates"] += 1
        else:
            texts.add(text)
            count -= 1
            yield passage


def _shingles(passage: Passage) -> set[str]:
    text = word_characters(normalise(passage.text or passage.title))
    return {text[at : at + _SHINGLE] for at in range(max(1, len(text) - _SHINGLE + 1))}


def _overlap(shingles: set[str], others: Iterable[set[str]]) -> float:
    return max(len(shingles & other) / min(len(shingles), len(other)) for other in others)


def _search(
    index: str | Path,
    topics: Sequence[Topic],
    hits: int,
    loading: Mapping[str, Any],
    batch_size: int,
    threads: int,
) -> list[list[str]]:
    """For each topic the docids that an index finds, best first."""
    from pyserini_xqg.index.bm25_text import is_bm25
    from pyserini_xqg.index.manifest import read_manifest
    from pyserini_xqg.search.searcher import open_searcher, search_topics

    of_text = is_bm25(read_manifest(index))
    searcher = open_searcher(index, **({} if of_text else loading))
    found = search_topics(searcher, topics, hits=hits, batch_size=batch_size, threads=threads)
    return [[hit.docid for hit in of_topic] for _, of_topic in found]


def _row(number: int, example: Example, chosen: Sequence[Passage]) -> str:
    row: Mapping[str, Any] = {
        "query_id": str(number),
        "query": example.query,
        **({"lang": example.language} if example.language else {}),
        "positive_passages": [passage._asdict() for passage in example.positives],
        "negative_passages": [passage._asdict() for passage in (*example.negatives, *chosen)],
    }
    return json.dumps(row, ensure_ascii=False)
