"""Pyserini's own REST and MCP servers, started by `run`, with indexes of ours."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest

from pyserini_xqg.collection.runs import read_run
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.bm25 import build_bm25
from pyserini_xqg.index.bm25_routed import build_routed_bm25
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.plugin import Bm25Searcher, RoutedBm25Searcher
from pyserini_xqg.plugin.opening import register_searchers
from pyserini_xqg.run import run_module
from pyserini_xqg.search.__main__ import main as search
from pyserini_xqg.store.store import Store

SERVES_FOLDERS = importlib.util.find_spec("pyserini.server.utils") is not None
pyserini_2 = pytest.mark.skipif(
    not SERVES_FOLDERS, reason="the servers of Pyserini 1.6 open prebuilt indexes only"
)
#: Words that only the generated queries hold, in a language that is detected.
QUERY = "నది ఎక్కడ ఉంది"


@pytest.fixture
def served(tmp_path, encoder, write_jsonl):
    words = ["నది", "ఎక్కడ", "ఉంది", "నగరం", "ఎవరు"]
    docids = ["-1018987027025691298", "007", "12#3", *(f"d{i}" for i in range(17))]
    corpus = write_jsonl(
        "c.jsonl", [{"docid": d, "title": f"w{i}", "text": f"w{i} w{i + 3}"}
                    for i, d in enumerate(docids)])  # fmt: skip
    queries = write_jsonl(
        "q.jsonl",
        [{"docid": d, "generated_queries": {"te": [f"{words[i % 5]} {words[i % 3]} w{i}"],
                                            "fi": [f"w{i + 20}"]}} for i, d in enumerate(docids)],
    )  # fmt: skip
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    store, fusion = Store([tmp_path / "store"]), Fusion("mean", 0.7)
    build_index(store, tmp_path / "dense", fusion)
    build_index(store, tmp_path / "lucene", fusion, to="lucene-flat")
    build_routed(store, tmp_path / "routed", fusion)
    build_routed(store, tmp_path / "routed-lucene", fusion, to="lucene-flat")
    build_bm25(corpus, tmp_path / "bm25", queries=[queries])
    build_routed_bm25(corpus, tmp_path / "routed-bm25", queries=[queries], analyzer="own")
    (tmp_path / "server.yaml").write_text(
        "indexes:\n"
        "  bm25: {path: bm25}\n"
        "  dense: {path: dense, index_type: faiss, encoder: xqg, base_index: bm25}\n"
        f"  routed: {{path: routed, index_type: faiss, encoder: {encoder.spec.model}, "
        "base_index: routed-bm25}\n"
        "  lucene: {path: lucene, index_type: lucene_flat, encoder: xqg, base_index: bm25}\n"
        "  routed-lucene: {path: routed-lucene, index_type: lucene_flat, encoder: xqg, "
        "base_index: bm25}\n"
        "  routed-bm25: {path: routed-bm25}\n"
    )
    return tmp_path


#: The server's names of the indexes, which are those of their folders.
INDEXES = ("bm25", "dense", "routed", "lucene", "routed-lucene", "routed-bm25")


def expected(folder):
    """By the name of an index, what our own search finds; in the routed ones by detection."""
    (folder / "topics.jsonl").write_text(json.dumps({"qid": "q", "title": QUERY}))
    found = {}
    for name in INDEXES:
        words = ["--index", str(folder / name), "--topics", str(folder / "topics.jsonl"),
                 "--output", str(folder / f"{name}.run"), "--hits", "5", "--overwrite",
                 *([] if "bm25" in name else ["--device", "cpu"])]  # fmt: skip
        search([*words, "--language", "und"])
        undetected = read_run(folder / f"{name}.run")["q"]
        search([*words, *(["--detect-language"] if "routed" in name else [])])
        found[name] = read_run(folder / f"{name}.run")["q"]
        assert (found[name] != undetected) == ("routed" in name)
    return {
        name: [(hit.docid, pytest.approx(hit.score, abs=1e-5)) for hit in hits]
        for name, hits in found.items()
    }


@pytest.mark.skipif(SERVES_FOLDERS, reason="Pyserini 2's servers open folders")
def test_servers_that_open_no_folders_are_left_as_they_are():
    assert register_searchers() is False


@pyserini_2
def test_rest(served, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn", reason="a server's package is missing")
    ready, server = threading.Event(), []

    def run(app, **settings):
        """What uvicorn.run does, at a port that is free."""
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        server.append(uvicorn.Server(uvicorn.Config(app, log_config=None)))
        server.append(listening.getsockname()[1])
        startup = server[0].startup

        async def started(sockets=None):
            await startup(sockets)
            ready.set()

        server[0].startup = started
        server[0].run(sockets=[listening])

    monkeypatch.setattr(uvicorn, "run", run)
    arguments = ["--config", str(served / "server.yaml"), "--no-prebuilt-indexes"]
    thread = threading.Thread(target=run_module, args=("pyserini.server.rest", arguments))
    thread.start()
    try:
        assert ready.wait(60)

        def ask(index, **parameters):
            url = f"http://127.0.0.1:{server[1]}/v1/{index}/search?"
            with urllib.request.urlopen(url + urllib.parse.urlencode(parameters)) as answer:
                return json.loads(answer.read())["candidates"]

        for index, hits in expected(served).items():
            found = ask(index, query=QUERY, hits=5)
            assert [(hit["docid"], hit["score"]) for hit in found] == hits
            assert [hit["rank"] for hit in found] == [1, 2, 3, 4, 5]
            assert re.match(r"w\d+ w\d+$", found[0]["doc"]["text"])
        routed = RoutedBm25Searcher(served / "routed-bm25")
        routed.set_bm25(2.0, 0.1)
        found = ask("routed-bm25", query=QUERY, hits=5, k1=2.0, b=0.1)
        assert [(hit["docid"], hit["score"]) for hit in found] == [
            (hit.docid, pytest.approx(hit.score, abs=1e-5))
            for hit in routed.search(QUERY, k=5, language="te")
        ]
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask("nowhere", query="w1")
    finally:
        server[0].should_exit = True
        thread.join()


@pyserini_2
def test_mcp(served, monkeypatch):
    fastmcp = pytest.importorskip("fastmcp", reason="a server's package is missing")
    found = {}

    async def ask(server):
        async with fastmcp.Client(server) as client:
            for index in INDEXES:
                arguments = {"query": QUERY, "index": index, "hits": 5}
                answer = await client.call_tool("search", arguments)
                found[index] = "".join(block.text for block in answer.content)
            listed = await client.call_tool("list_indexes", {"index_type": "faiss"})
            found["listed"] = listed.data

    # In memory, instead of over standard input and output.
    monkeypatch.setattr(fastmcp.FastMCP, "run", lambda self, **_: asyncio.run(ask(self)))
    run_module("pyserini.server.mcp", ["--config", str(served / "server.yaml")])
    assert found.pop("listed") == ["dense", "routed"]
    for index, hits in expected(served).items():
        lines = re.findall(r"DocID: (\S+) \| Score: ([-\d.e]+)", found[index])
        assert [(docid, float(score)) for docid, score in lines] == hits


@pyserini_2
def test_stock_indexes_are_opened_as_before(tmp_path):
    from pyserini.search.lucene import LuceneSearcher
    from pyserini.server.utils import IndexConfig, create_searcher

    assert register_searchers()
    assert register_searchers()  # and once more changes nothing
    build_bm25(_one_passage(tmp_path), tmp_path / "bm25", analyzer="en")
    ours = create_searcher("tf", IndexConfig("x"), local_path=str(tmp_path / "bm25"))
    assert type(ours) is Bm25Searcher
    (tmp_path / "bm25" / "xqg.json").unlink()
    stock = create_searcher("tf", IndexConfig("x"), local_path=str(tmp_path / "bm25"))
    assert type(stock) is LuceneSearcher


def _one_passage(folder):
    path = folder / "c.jsonl"
    path.write_text('{"docid": "1", "text": "a river"}\n')
    return path
