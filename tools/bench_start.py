"""What it costs to start: CPU seconds of our commands for two topics, beside stock Pyserini's.

    python tools/bench_start.py --encoder MODEL_FOLDER

Indexes are built of xqg-mini's passages with the encoder given. Each command is a process of its
own, run once for its byte code and then ``--repeats`` times, ours and the stock one in turn; the
least of its CPU seconds counts, Java's and all threads' included. Stock commands are started by
``pyserini_xqg.run``, so that they find a Java. At the end the hits are compared with those of the
searcher objects, which are stock Pyserini's own subclasses.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.collection.runs import read_run
from pyserini_xqg.demo import XQG_MINI

OURS, STOCK = "pyserini_xqg", "pyserini_xqg.run pyserini"


def run(words: Sequence[str], environment: dict[str, str]) -> float:
    """CPU seconds of ``python -m words...``, its children's included."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words], env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = process.stderr.read() if process.stderr else ""
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(words)} failed:\n{said[-2000:]}")
    return used.ru_utime + used.ru_stime


def build(work: Path, encoder: str, environment: dict[str, str]) -> None:
    for name, more in (("torch", []), ("onnx", ["--backend", "onnx"])):
        run(
            [f"{OURS}.encode", "input", "--corpus", str(XQG_MINI / "corpus.jsonl"), "--fields",
             "title", "text", "output", "--embeddings", str(work / name), "--to-faiss", "encoder",
             "--encoder", encoder, "--preset", "e5-small", "--fields", "title", "text",
             "--device", "cpu", *more],
            environment,
        )  # fmt: skip
    run([f"{OURS}.index", "--to", "bm25", "--corpus", str(XQG_MINI / "corpus.jsonl"),
         "--analyzer", "en", "--output", str(work / "bm25")], environment)  # fmt: skip
    rows = (XQG_MINI / "topics.dev.jsonl").read_text(encoding="utf-8").splitlines()[:2]
    (work / "topics.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    topics = [json.loads(row) for row in rows]
    text = "".join(f"{topic['qid']}\t{topic['title']}\n" for topic in topics)
    (work / "topics.tsv").write_text(text, encoding="utf-8")
    qids = {topic["qid"] for topic in topics}
    judged = (XQG_MINI / "qrels.dev.txt").read_text().splitlines()
    (work / "qrels").write_text("".join(f"{line}\n" for line in judged if line.split()[0] in qids))


def commands(work: Path, encoder: str) -> list[tuple[str, list[list[str]], list[list[str]], bool]]:
    """What each row runs: its name, ours, the stock peer's, and whether topics are kept."""

    def search(index: str, run_name: str) -> list[str]:
        return [f"{OURS}.search", "--index", str(work / index), "--topics",
                str(work / "topics.jsonl"), "--output", str(work / run_name), "--overwrite",
                *([] if index == "bm25" else ["--device", "cpu"])]  # fmt: skip

    faiss = [*f"{STOCK}.search.faiss".split(), "--index", str(work / "torch"), "--topics",
             str(work / "topics.tsv"), "--encoder", encoder, "--encoder-class", "auto",
             "--pooling", "mean", "--l2-norm", "--query-prefix", "query:", "--device", "cpu",
             "--output", str(work / "stock-faiss.run")]  # fmt: skip
    lucene = [*f"{STOCK}.search.lucene".split(), "--index", str(work / "bm25"), "--topics",
              str(work / "topics.tsv"), "--bm25", "--language", "en", "--output",
              str(work / "stock-bm25.run")]  # fmt: skip
    fusion = [*f"{STOCK}.fusion".split(), "--method", "interpolation", "--alpha", "0.5", "--runs",
              str(work / "stock-faiss.run"), str(work / "stock-bm25.run"), "--output",
              str(work / "stock-fused.run")]  # fmt: skip
    hybrid = [f"{OURS}.hybrid", "--dense", str(work / "torch"), "--sparse", str(work / "bm25"),
              "--weight", "0.5", "--topics", str(work / "topics.jsonl"), "--device", "cpu",
              "--output", str(work / "fused.run"), "--overwrite"]  # fmt: skip
    score = [f"{OURS}.evaluate", "trec", "--topics", str(work / "topics.jsonl"), "--qrels",
             str(work / "qrels"), "--runs", str(work / "torch.run"), "--measures", "RR",
             "--no-check"]  # fmt: skip
    trec_eval = [*f"{STOCK}.eval.trec_eval".split(), "-m", "recip_rank", str(work / "qrels"),
                 str(work / "torch.run")]  # fmt: skip
    return [
        ("search, BM25", [search("bm25", "bm25.run")], [lucene], False),
        ("search, FAISS, torch", [search("torch", "torch.run")], [faiss], False),
        ("search, FAISS, onnx", [search("onnx", "onnx.run")], [faiss], False),
        ("search, FAISS, same topics again", [search("torch", "torch.run")], [faiss], True),
        ("hybrid", [hybrid], [faiss, lucene, fusion], False),
        ("hybrid, same topics again", [hybrid], [faiss, lucene, fusion], True),
        ("evaluate trec", [score], [trec_eval], False),
    ]


def check_hits(work: Path) -> str:
    from pyserini_xqg.plugin import Bm25Searcher, XqgSearcher

    topics = [json.loads(row) for row in (work / "topics.jsonl").read_text("utf-8").splitlines()]
    found = 0
    for name, searcher in (
        ("bm25", Bm25Searcher(work / "bm25")),
        ("torch", XqgSearcher(work / "torch")),
        ("onnx", XqgSearcher(work / "onnx")),
    ):
        of_command = read_run(work / f"{name}.run")
        for topic in topics:
            hits = searcher.search(topic["title"], k=1000)
            ours = of_command.get(topic["qid"], [])
            same = [hit.docid for hit in hits] == [hit.docid for hit in ours]
            near = all(abs(a.score - b.score) < 1e-4 for a, b in zip(hits, ours, strict=True))
            if not (same and near):
                sys.exit(f"{name}, topic {topic['qid']}: other hits than the searcher object's")
            found += len(hits)
    return f"hits: {found}, the same as the searcher objects'"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--encoder", required=True, help="folder of an E5 model")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", help="keep what is built here, and use it again")
    parser.add_argument("--only", default="", help="rows with these words in their names")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as made:
        work = Path(args.work or made).resolve()
        work.mkdir(exist_ok=True)
        environment = {
            **os.environ, "PYSERINI_CACHE": str(work / "cache"), "XQG_TOPIC_CACHE": "off"
        }  # fmt: skip
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        encoder = str(Path(args.encoder).resolve())
        if not (work / "qrels").exists():
            build(work, encoder, environment)
        print(f"{'two topics':34} {'ours':>8} {'stock':>8} {'ratio':>6}   CPU seconds", flush=True)
        for name, ours, stock, keep in commands(work, encoder):
            if args.only not in name:
                continue
            of_ours = {**environment, **({"XQG_TOPIC_CACHE": "64"} if keep else {})}
            least = [float("inf"), float("inf")]
            for turn in range(args.repeats + 1):
                took = [
                    sum(run(words, of_ours) for words in ours),
                    sum(run(words, environment) for words in stock),
                ]
                if turn:
                    least = [min(pair) for pair in zip(least, took, strict=True)]
            print(f"{name:34} {least[0]:8.2f} {least[1]:8.2f} {least[0] / least[1]:6.2f}",
                  flush=True)  # fmt: skip
        os.environ["XQG_TOPIC_CACHE"] = "off"
        if not args.only:
            print(check_hits(work))


if __name__ == "__main__":
    main()
