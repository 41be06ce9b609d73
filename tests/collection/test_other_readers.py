"""Files as collections publish them, read by us and by the field's own readers: equal.

The readers are those of ir_datasets and Anserini; `test_named` asks them by the names of data sets.
"""

from __future__ import annotations

import gzip
import json

import pytest

from pyserini_xqg.base.java import prepare
from pyserini_xqg.collection.judged import read_qrels
from pyserini_xqg.collection.records import PassageFormat
from pyserini_xqg.collection.runs import stream_corpus
from pyserini_xqg.collection.topics import read_topics

TREC = """<top>

<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations
that take part.

<narr> Narrative:
A relevant document must name one.

</top>

<top>

<num> Number: 302
<title> Poliomyelitis and Post-Polio

<desc> Description:
Is it under control?

<narr> Narrative:
None.

</top>
"""
WEB = """<webtrack2009>
  <topic number="1" type="faceted">
    <query>obama family tree</query>
    <description>Find information on it.</description>
    <subtopic number="1" type="nav">Find the page.</subtopic>
  </topic>
  <topic number="52" type="ambiguous">
    <query>avp &amp; more</query>
    <description>What is it?</description>
  </topic>
</webtrack2009>
"""
COVID = """<topics task="COVIDSearch" batch="1">
  <topic number="1">
    <query>coronavirus origin</query>
    <question>what is the origin of COVID-19</question>
    <narrative>seeking range</narrative>
  </topic>
</topics>
"""
PASSAGES = [
    ("12#0", "చార్మినార్", "చార్మినార్ హైదరాబాద్\nలో ఉంది."),
    ("12#1", "చార్మినార్", 'It was "built" in 1591.'),
    ("7#0", "", "Nothing but text."),
]


@pytest.fixture
def irds():
    return pytest.importorskip("ir_datasets", reason="not installed (extra irds)")


def anserini(reader, path):
    """Ids and questions as Anserini's reader gives them."""
    prepare()
    from pyserini.search import get_topics_with_reader

    found = get_topics_with_reader(f"io.anserini.search.topicreader.{reader}", str(path))
    return {
        str(qid): (fields.get("title") or fields["query"]).strip() for qid, fields in found.items()
    }


def ours(path):
    return {topic.qid: topic.text for topic in read_topics(path)}


def passages_of(path, **form):
    rows = stream_corpus(path, PassageFormat(**form))
    return [(row.passage.docid, row.passage.title, row.passage.text) for row in rows]


def write_gz(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(lines.encode()))


@pytest.mark.parametrize(
    ("text", "reader"),
    [
        (TREC, "TrecTopicReader"),
        (WEB.replace("&amp;", "and"), "WebxmlTopicReader"),  # it leaves &amp; as it is
        (COVID, "CovidTopicReader"),
        ("te-007\tఎంత?\n8\twhere is it\n", "TsvStringTopicReader"),
        ("1048585\twhat is paula deen's brother\n", "TsvIntTopicReader"),
    ],
)
def test_topics_as_anserini_reads_them(tmp_path, text, reader):
    path = tmp_path / ("t.tsv" if "\t" in text else "topics.txt")
    path.write_text(text)
    assert ours(path) == anserini(reader, path)


@pytest.mark.parametrize(("text", "xml"), [(TREC, False), (WEB, True), (COVID, True)])
def test_topics_in_tags_as_ir_datasets_reads_them(tmp_path, irds, text, xml):
    from ir_datasets.formats import TrecQueries, TrecXmlQueries
    from ir_datasets.formats.trec import TrecQuery
    from ir_datasets.util import LocalDownload

    path = tmp_path / "topics.txt"
    path.write_text(text)
    if xml:
        names = {"query": "title", "description": "description", "narrative": "narrative"}
        reader = TrecXmlQueries(LocalDownload(path), TrecQuery, names)
    else:
        reader = TrecQueries(LocalDownload(path))
    assert ours(path) == {query.query_id: query.title.strip() for query in reader.queries_iter()}


def test_miracls_files(tmp_path, irds):
    """A folder of packed JSONL, topics in TSV, and qrels with tabs, as on the hub."""
    from ir_datasets.datasets.miracl import MiraclDoc
    from ir_datasets.formats import JsonlDocs, TrecQrels, TsvQueries
    from ir_datasets.util import GzipExtract, LocalDownload

    rows = [{"docid": docid, "title": title, "text": text} for docid, title, text in PASSAGES]
    files = [tmp_path / f"miracl-corpus-v1.0-te/docs-{number}.jsonl.gz" for number in (0, 1)]
    write_gz(files[0], rows[:2])
    write_gz(files[1], rows[2:])
    topics = tmp_path / "topics.miracl-v1.0-te-dev.tsv"
    qrels = tmp_path / "qrels.miracl-v1.0-te-dev.tsv"
    topics.write_text("2\tచార్మినార్ ఎక్కడ ఉంది?\n31\tఎప్పుడు కట్టారు?\n")
    qrels.write_text("2\tQ0\t12#0\t1\n2\tQ0\t7#0\t0\n31\tQ0\t12#1\t1\n")
    docs = JsonlDocs(
        [GzipExtract(LocalDownload(file)) for file in files],
        doc_cls=MiraclDoc,
        mapping={"doc_id": "docid", "title": "title", "text": "text"},
    )
    assert passages_of(files[0].parent) == [
        (doc.doc_id, doc.title, doc.text) for doc in docs.docs_iter()
    ]
    queries = TsvQueries(LocalDownload(topics)).queries_iter()
    assert ours(topics) == {query.query_id: query.text for query in queries}
    expected = {}
    for row in TrecQrels(LocalDownload(qrels), {}).qrels_iter():
        expected.setdefault(row.query_id, {})[row.doc_id] = row.relevance
    assert read_qrels(qrels) == expected


def test_mr_tydis_files(tmp_path, irds):
    """Title and text in `contents`, an empty line between them; topics of the hub's data set."""
    from ir_datasets.datasets.mr_tydi import MrTydiDocs
    from ir_datasets.util import GzipExtract, LocalDownload

    path = tmp_path / "collection/docs.jsonl.gz"
    write_gz(path, [{"id": docid, "contents": f"{title}\n\n{text}"}
                    for docid, title, text in PASSAGES[:2]])  # fmt: skip
    docs = MrTydiDocs(GzipExtract(LocalDownload(path)), f"xqg-{tmp_path.name}").docs_iter()
    expected = [(doc.doc_id, doc.text) for doc in docs]
    assert [(docid, text) for docid, _, text in passages_of(path)] == expected
    assert passages_of(path, fields=("title", "text"), delimiter="\n\n") == PASSAGES[:2]
    hub = tmp_path / "dev.jsonl.gz"
    passage = {"docid": "12#0", "title": "t", "text": "x"}
    write_gz(hub, [{"query_id": "7", "query": "ఎక్కడ?", "positive_passages": [passage],
                    "negative_passages": []}])  # fmt: skip
    assert ours(hub) == {"7": "ఎక్కడ?"}


def test_beirs_files(tmp_path, irds):
    from ir_datasets.datasets.beir import BeirDocs, BeirQrels, BeirQueries, BeirTitleDoc
    from ir_datasets.formats import GenericQuery
    from ir_datasets.util import LocalDownload

    folder = tmp_path / "scifact"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": docid, "title": title, "text": text, "metadata": {"url": "u"}}
            for docid, title, text in PASSAGES]  # fmt: skip
    queries = [{"_id": "1", "text": "Where is it?", "metadata": {}}]
    for name, of in (("corpus", rows), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in of)
        (folder / f"{name}.jsonl").write_text(text)
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n1\t12#0\t1\n1\t7#0\t0\n")
    docs = BeirDocs("x", LocalDownload(folder / "corpus.jsonl"), BeirTitleDoc)._docs_iter()
    assert passages_of(folder) == [(doc.doc_id, doc.title, doc.text) for doc in docs]
    read = BeirQueries("x", LocalDownload(folder / "queries.jsonl"), GenericQuery).queries_iter()
    assert ours(folder) == {query.query_id: query.text for query in read}
    judged = BeirQrels(LocalDownload(folder / "qrels/test.tsv"), {}).qrels_iter()
    assert read_qrels(folder) == {"1": {row.doc_id: row.relevance for row in judged}}
