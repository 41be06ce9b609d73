"""What ``index`` gives with no option but its input and output: XQuAD with a real encoder.

Stores of XQuAD's passages are taken as they are, with queries for all of them, for half and for a
tenth; every fourth topic is asked, so that encoding stays short.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pyserini_xqg.collection.judged import read_collection
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.index.__main__ import main
from pyserini_xqg.index.dense import open_dense
from pyserini_xqg.reproduce.xquad import main as xquad
from pyserini_xqg.store.rows import read_docids
from pyserini_xqg.store.store import Store

pytestmark = pytest.mark.skipif(
    not (os.environ.get("XQUAD") and os.environ.get("XQG_XQUAD_STORES")),
    reason="XQUAD (a folder of XQuAD's files) and XQG_XQUAD_STORES (of its stores, xquad and "
    "xquad-0.1 among them) are not both set",
)

#: At least, in percent: all topics, and those whose passage has queries and has none.
BARS = {
    "xquad": (88.2, 88.2, None),
    "xquad-0.5": (86.4, 88.5, 83.5),
    "xquad-0.1": (84.3, 84.0, 84.0),
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Topics, their qrels and their vectors."""
    folder = tmp_path_factory.mktemp("topics") / "c"
    xquad(["--input", os.environ["XQUAD"], "--output", str(folder)])
    both = [read_collection(folder / f"topics.{half}.jsonl", folder / f"qrels.{half}.txt")
            for half in ("dev", "test")]  # fmt: skip
    topics = [topic for of in both for topic in list(of.topics.values())[::4]]
    qrels = {topic.qid: (both[0].qrels | both[1].qrels)[topic.qid] for topic in topics}
    encoder = Encoder(Store([Path(os.environ["XQG_XQUAD_STORES"]) / "xquad"]).encoder)
    return topics, qrels, encoder.encode_queries([topic.text for topic in topics])


@pytest.mark.parametrize("name", BARS)
def test_the_default_reaches_its_bar_and_harms_no_language(name, asked, tmp_path):
    topics, qrels, vectors = asked
    path = Path(os.environ["XQG_XQUAD_STORES"]) / name
    languages = [topic.language for topic in topics]
    scores = {}
    for kind, options in (("default", []), ("plain", ["--method", "mean", "--alpha", "0"])):
        main(["--embeddings", str(path), "--output", str(tmp_path / kind), *options])
        index = open_dense(tmp_path / kind)
        found = index.search(vectors, 10, languages=languages)
        index.close()
        run = {topic.qid: [Hit(*hit) for hit in hits]
               for topic, hits in zip(topics, found, strict=True)}  # fmt: skip
        scores[kind] = score_by_topic(qrels, run, ["RR@10"])["RR@10"]
    store = Store([path])
    (block,) = store.blocks(["ar"])  # the same passages have queries in every language
    covered = {d for d, n in zip(read_docids(store), block.counts["ar"], strict=True) if n}
    has = {qid: any(docid in covered for docid in judged) for qid, judged in qrels.items()}

    def mean(kind, qids):
        return 100 * float(np.mean([scores[kind][qid] for qid in qids]))

    groups = [list(has), [qid for qid in has if has[qid]], [qid for qid in has if not has[qid]]]
    for qids, bar in zip(groups, BARS[name], strict=True):
        if bar is not None:
            assert mean("default", qids) >= bar
            assert mean("default", qids) >= mean("plain", qids)
    for code in set(languages):
        mine = [topic.qid for topic in topics if topic.language == code]
        assert mean("default", mine) >= mean("plain", mine)
