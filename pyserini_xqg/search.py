"""Topics in, a run out: ``python -m pyserini_xqg.search`` over any index of ours."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.errors import XqgError, run_command
from pyserini_xqg.files import input_files, is_tsv, read_lines, unpacked
from pyserini_xqg.languages import check_language
from pyserini_xqg.manifest import read_manifest
from pyserini_xqg.records import Topic, parse_topic, parse_tsv_topic

if TYPE_CHECKING:
    from pyserini_xqg.plugin import Bm25Searcher, XqgSearcher


def read_topics(path: str | Path, language: str | None = None) -> list[Topic]:
    """The topics of a JSONL or TSV file (or a folder of them), ids kept exactly.

    Parameters
    ----------
    path : path-like
        JSONL with ``qid`` (or ``id``), ``title`` (or ``question``) and optional ``lang``; or TSV
        with id and question.
    language : str or None
        Of all topics, instead of what the file says.

    Raises
    ------
    XqgError
        For a broken row, a duplicate id, or a file without topics.
    """
    import tempfile

    topics: dict[str, Topic] = {}
    code = check_language(language, "--language") if language else None
    with tempfile.TemporaryDirectory() as work:
        for name in input_files(path):
            parse = parse_tsv_topic if is_tsv(name) else parse_topic
            for line in read_lines(unpacked(name, Path(work))):
                topic = parse(line.content, f"{name}:{line.number}", code)
                if topic.qid in topics:
                    raise XqgError(f"{name}:{line.number}: duplicate topic id {topic.qid!r}")
                topics[topic.qid] = topic
    if not topics:
        raise XqgError(f"{path}: no topics in it")
    return list(topics.values())


def open_searcher(
    index: str | Path, *, encoder: str | None = None, device: str | None = None
) -> XqgSearcher | Bm25Searcher:
    """The searcher that an index asks for, dense or BM25.

    Raises
    ------
    XqgError
        If the folder is no index of ours, or the encoder does not fit it.
    """
    kind = read_manifest(index)["kind"]
    from pyserini_xqg.plugin import Bm25Searcher, XqgSearcher

    if kind != "bm25":
        return XqgSearcher(index, encoder=encoder, device=device)
    if encoder:
        raise XqgError(f"{index} is a BM25 index: leave --encoder out")
    return Bm25Searcher(index)


def search_topics(
    searcher: XqgSearcher | Bm25Searcher,
    topics: Sequence[Topic],
    *,
    hits: int = 1000,
    batch_size: int = 64,
    threads: int = 1,
) -> Iterator[tuple[str, list[Any]]]:
    """Topic ids with their hits (``docid``, ``score``), best first, in the order of the topics."""
    from tqdm import tqdm

    with tqdm(total=len(topics), desc="searching", unit="topic", disable=None) as bar:
        for start in range(0, len(topics), batch_size):
            batch = topics[start : start + batch_size]
            qids = [topic.qid for topic in batch]
            found = searcher.batch_search(
                [topic.text for topic in batch],
                qids,
                k=hits,
                threads=threads,
                languages=[topic.language for topic in batch],
            )
            for qid in qids:
                yield qid, found.get(qid, [])
            bar.update(len(batch))


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m pyserini_xqg.search", description=__doc__)
    parser.add_argument("--index", required=True, metavar="DIR", help="FAISS, routed or BM25")
    parser.add_argument("--topics", required=True, help="JSONL or TSV")
    parser.add_argument("--language", help="of all topics, instead of their own 'lang'")
    parser.add_argument("--output", required=True, metavar="RUN")
    parser.add_argument("--output-format", default="trec", choices=("trec", "msmarco"))
    parser.add_argument("--runtag", default="xqg")
    parser.add_argument("--hits", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--encoder", help="another place of the model that the index was built with"
    )
    parser.add_argument(
        "--device", help="of the encoder; by default the first accelerator there is"
    )
    parser.add_argument("--ef-search", type=int, help="of an HNSW index")
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args(argv)
    if min(args.hits, args.batch_size, args.threads) < 1:
        raise XqgError("--hits, --batch-size and --threads are at least 1")
    output = Path(args.output)
    if output.exists() and not args.overwrite:
        raise XqgError(f"{output} exists; give another name, or --overwrite to replace it")
    topics = read_topics(args.topics, args.language)
    searcher = open_searcher(args.index, encoder=args.encoder, device=args.device)
    if args.ef_search:
        set_ef_search(searcher, args.ef_search)

    from pyserini.output_writer import OutputFormat, get_output_writer

    partial = output.with_name(output.name + ".partial")
    with get_output_writer(
        str(partial), OutputFormat(args.output_format), max_hits=args.hits, tag=args.runtag
    ) as writer:
        for qid, found in search_topics(
            searcher, topics, hits=args.hits, batch_size=args.batch_size, threads=args.threads
        ):
            writer.write(qid, found)
    partial.replace(output)


def set_ef_search(searcher: Any, ef_search: int) -> None:
    """Set efSearch of an HNSW index.

    Raises
    ------
    XqgError
        If the index is none.
    """
    index = getattr(searcher, "index", None)
    if not hasattr(index, "hnsw"):
        raise XqgError("--ef-search is for an HNSW index (--type hnsw); this is none")
    searcher.set_hnsw_ef_search(ef_search)


if __name__ == "__main__":
    run_command(main)
