"""Vectors that stock tools made, taken into a store: by the real other side."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from stock import stock

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import PassageFormat
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encode import blocks
from pyserini_xqg.encode.__main__ import main
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encode.vector_sources import open_vectors
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.index.build import build_index
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store


def rows_of(corpus):
    return [json.loads(line) for line in corpus.read_text().splitlines()]


@pytest.fixture
def made(corpus_and_queries, encoder):
    """Docids, vectors and texts of the corpus."""
    rows = rows_of(corpus_and_queries[0])
    texts = [row["text"] for row in rows]
    return [row["docid"] for row in rows], encoder.encode_passages(texts), texts


def as_jsonl(folder, docids, vectors, texts):
    folder.mkdir()
    with open(folder / "embeddings.jsonl", "w") as file:
        for docid, vector, text in zip(docids, vectors, texts, strict=True):
            row = {"id": docid, "contents": text, "vector": vector.tolist()}
            file.write(json.dumps(row) + "\n")
    return open_vectors(folder)


def as_gz(folder, docids, vectors, texts):
    as_jsonl(folder, docids, vectors, texts)
    plain = folder / "embeddings.jsonl"
    (folder / "part.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    return open_vectors(folder)


def as_faiss(folder, docids, vectors, texts, kind="Flat"):
    import faiss

    folder.mkdir()
    index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(folder / "index"))
    (folder / "docid").write_text("".join(f"{docid}\n" for docid in docids))
    return open_vectors(folder)


def as_hnsw(*args):
    return as_faiss(*args, kind="HNSW8,Flat")


def as_ivf(*args):
    return as_faiss(*args, kind="IVF2,Flat")


def as_numpy(folder, docids, vectors, texts):
    folder.mkdir()
    np.save(folder / "v.npy", vectors)
    (folder / "ids.txt").write_text("\n".join(docids))
    return open_vectors(folder / "v.npy", folder / "ids.txt")


def as_numpy_names(folder, docids, vectors, texts):
    folder.mkdir()
    np.save(folder / "v.npy", vectors.astype(np.float64))
    np.save(folder / "ids.npy", np.array(docids))
    return open_vectors(folder / "v.npy", folder / "ids.npy")


def as_parquet(folder, docids, vectors, texts):
    import pyarrow
    import pyarrow.parquet

    (folder / "sw").mkdir(parents=True)
    half = len(docids) // 2
    for number, part in enumerate((slice(0, half), slice(half, None))):
        table = pyarrow.table(
            {"_id": docids[part], "url": ["u"] * len(docids[part]), "text": texts[part],
             "emb": vectors[part].tolist()}
        )  # fmt: skip
        pyarrow.parquet.write_table(table, folder / f"sw/000{number}.parquet", row_group_size=7)
    return open_vectors(folder)


def as_dataset(folder, docids, vectors, texts):
    import datasets

    table = {"docid": docids, "text": texts, "embedding": vectors.tolist()}
    datasets.Dataset.from_dict(table).save_to_disk(str(folder))
    return open_vectors(folder)


def as_stock_faiss(folder, docids, vectors, texts):
    """As Pyserini's own writer has it; Java is prepared by the first who asks for its command."""
    from pyserini.encode.optional import FaissRepresentationWriter

    writer = FaissRepresentationWriter(str(folder), dimension=vectors.shape[1])
    with writer:
        writer.write({"id": docids, "vector": vectors})
    return open_vectors(folder)


def as_stock_hnsw(folder, docids, vectors, texts):
    """By Pyserini's command, from the JSONL of its encoder."""
    folder.mkdir()
    as_jsonl(folder / "jsonl", docids, vectors, texts)
    stock("pyserini.index.faiss", "--input", folder / "jsonl", "--output", folder / "hnsw",
          "--hnsw", "--M", 16, "--efC", 40, "--threads", 1, "--dim", vectors.shape[1])  # fmt: skip
    return open_vectors(folder / "hnsw")


KINDS = [
    as_jsonl, as_gz, as_faiss, as_hnsw, as_ivf, as_numpy, as_numpy_names, as_parquet, as_dataset,
    as_stock_hnsw, as_stock_faiss,
]  # fmt: skip


@pytest.mark.parametrize("write", KINDS)
def test_the_store_is_the_one_that_encoding_gives(
    write, made, corpus_and_queries, encoder, tmp_path
):
    corpus, queries = corpus_and_queries
    source = write(tmp_path / "v", *made)
    encode_corpus(corpus, tmp_path / "s", encoder, vectors=source, queries=[queries])
    encode_corpus(corpus, tmp_path / "e", encoder, queries=[queries])
    store, expected = Store([tmp_path / "s"]), Store([tmp_path / "e"])
    (here,), (there,) = store.blocks(), expected.blocks()
    assert here.docids == there.docids
    assert here.passages == pytest.approx(there.passages, abs=1e-6)
    for language in ("ar", "te"):
        assert here.sums[language] == pytest.approx(there.sums[language], abs=1e-6)
        assert (here.counts[language] == there.counts[language]).all()
    assert store.manifest["adopted"]["checked"]["compared"] == 16
    assert store.manifest["adopted"]["checked"]["cosine"] > 0.999
    assert {probe["language"] for probe in store.manifest["probes"]} >= {"ar", "te"}


def test_stock_pyserini_encode(corpus_and_queries, model_dir, tmp_path):
    """Its own command writes the vectors; ours takes them without a corpus, for they say theirs."""
    corpus, queries = corpus_and_queries
    encoding = ["encoder", "--encoder", model_dir, "--fields", "title", "text", "--pooling", "mean"]
    stock("pyserini.encode", "input", "--corpus", corpus, "--fields", "title", "text",
          "--docid-field", "docid", "output", "--embeddings", tmp_path / "stock", *encoding,
          "--encoder-class", "auto", "--device", "cpu", "--dimension", 16)  # fmt: skip
    ours = ["input", "--vectors", tmp_path / "stock", "--fields", "title", "text", "output",
            "--embeddings", tmp_path / "s", *encoding, "xqg", "--queries", queries]  # fmt: skip
    main([*map(str, ours)])
    (block,) = Store([tmp_path / "s"]).blocks()
    given = rows_of(tmp_path / "stock/embeddings.jsonl")
    assert block.docids == [row["id"] for row in given]
    assert block.passages == pytest.approx(np.array([row["vector"] for row in given]), abs=1e-6)
    wrong = [word if word != "mean" else "cls" for word in map(str, ours)]
    wrong[wrong.index(str(tmp_path / "s"))] = str(tmp_path / "w")
    with pytest.raises(XqgError, match="cosine .* What agrees: --pooling mean"):
        main(wrong)


def test_stock_prefix_after_the_title(corpus_and_queries, encoder, tmp_path, capsys):
    """AutoDocumentEncoder puts its prefix before the text alone, so after the title."""
    passages = rows_of(corpus_and_queries[0])
    docids = [row["docid"] for row in passages]
    titles = [row["title"] or "A title" for row in passages]
    texts = [row["text"] for row in passages]
    given = encoder.encode_passages([f"passage: {text}" for text in texts], titles)
    joined = [f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)]
    prefixed = Encoder(replace(encoder.spec, passage_prefix="passage: "), device="cpu")
    as_jsonl(tmp_path / "v", docids, given, joined)
    source = open_vectors(tmp_path / "v", form=PassageFormat(fields=("title", "text")))
    encode_corpus(None, tmp_path / "s", prefixed, vectors=source, fields=["title", "text"])
    assert "between title and text, as pyserini.encode puts it" in capsys.readouterr().err
    store = Store([tmp_path / "s"])
    assert store.manifest["adopted"]["checked"]["prefix"] == "after the title"
    (block,) = store.blocks()
    assert block.passages == pytest.approx(given, abs=1e-6)
    assert prefixed.spec.passage_prefix == "passage: "


def test_without_texts_it_is_said_that_nothing_was_checked(
    made, corpus_and_queries, encoder, tmp_path, capsys
):
    source = as_numpy(tmp_path / "v", *made)
    encode_corpus(None, tmp_path / "s", encoder, vectors=source, queries=[corpus_and_queries[1]])
    said = capsys.readouterr().err
    assert "could not be checked" in said
    assert "no text and were encoded" not in said
    assert Store([tmp_path / "s"]).manifest["adopted"]["checked"] is None


def test_another_encoder_is_refused(made, corpus_and_queries, encoder, tmp_path):
    docids, vectors, texts = made
    turned = vectors[:, ::-1].copy()
    for given, message in (
        (turned, "was not made by .* No pooling, prefix or field"),
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True), "What agrees: --l2-norm"),
        (vectors[:, :8], "dimension 8; .* has 16"),
    ):
        source = as_jsonl(tmp_path / f"v{given.shape[1]}{given[0, 0]}", docids, given, texts)
        with pytest.raises(XqgError, match=message):
            encode_corpus(None, tmp_path / "s", encoder, vectors=source)
    prefixed = Encoder(replace(encoder.spec, passage_prefix="passage: "), device="cpu")
    with pytest.raises(XqgError, match="What agrees: --passage-prefix ''"):
        encode_corpus(
            None, tmp_path / "s", prefixed, vectors=as_jsonl(tmp_path / "p", docids, vectors, texts)
        )
    assert encoder.spec.passage_prefix == ""


def test_bad_rows_are_named(made, encoder, tmp_path):
    docids, vectors, texts = made
    holed = vectors.copy()
    holed[4, 2] = np.nan
    cases = [
        (docids, holed, r"row 5: the vector of passage 'd1' holds NaN"),
        ([*docids[:-1], "007"], vectors, r"/v1:30: duplicate docid '007', first seen at .*/v1:2;"),
        (docids[:-1], vectors, "29 docids for 30 vectors"),
        ([*docids, "more"], vectors, "more docids than the 30 vectors"),
        ([*docids[:-1], "a b"], vectors, "docid:30: "),
    ]
    for number, (names, given, message) in enumerate(cases):
        source = as_faiss(tmp_path / f"v{number}", names, given, texts)
        with pytest.raises(XqgError, match=message):
            encode_corpus(None, tmp_path / "s", encoder, vectors=source)
    lines = (tmp_path / "lines.jsonl", '{"id": "a", "contents": "w1", "vector": %s}\n')
    for value, message in (
        ('"no"', "lines.jsonl:2: expected the vector to be a list"),
        ("[1]", "lines.jsonl:2: a vector of 1 components"),
    ):
        lines[0].write_text(lines[1] % "[1, 2]" + lines[1] % value)
        with pytest.raises(XqgError, match=message):
            encode_corpus(None, tmp_path / "s", encoder, vectors=open_vectors(lines[0]))
    lines[0].write_text('{"id": "a", "contents": "w1", "dense": [1]}\n')
    with pytest.raises(XqgError, match="no vector in vector or .* found id, contents, dense"):
        encode_corpus(None, tmp_path / "s", encoder, vectors=open_vectors(lines[0]))


def test_what_holds_no_vectors_is_refused(made, corpus_and_queries, encoder, tmp_path):
    with pytest.raises(XqgError, match="IndexPQ does not hold the vectors"):
        as_faiss(tmp_path / "pq", *made, kind="PQ4x4")
    with pytest.raises(XqgError, match="--docids goes with"):
        open_vectors(tmp_path / "v.npy")
    with pytest.raises(XqgError, match="hf download --repo-type dataset owner/name"):
        open_vectors("owner/name")
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries])
    build_index(Store([tmp_path / "s"]), tmp_path / "i", Fusion("mean", 0.3))
    with pytest.raises(XqgError, match="queries are folded into these vectors already"):
        open_vectors(tmp_path / "i")


def test_a_store_is_given_other_queries(corpus_and_queries, encoder, tmp_path, capsys):
    """And names its encoder itself; texts for the check come from the corpus."""
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries], languages=["te"])
    main(["input", "--vectors", str(tmp_path / "s"), "--corpus", str(corpus), "output",
          "--embeddings", str(tmp_path / "t"), "xqg", "--queries", str(queries),
          "--languages", "ar"])  # fmt: skip
    new, old = Store([tmp_path / "t"]), Store([tmp_path / "s"])
    assert new.encoder == old.encoder
    assert (new.languages, old.languages) == (["ar"], ["te"])
    assert (tmp_path / "t/passages.npy").read_bytes() == (tmp_path / "s/passages.npy").read_bytes()
    assert new.manifest["adopted"]["checked"]["compared"] == 16
    assert new.manifest["fields"] == ["text"]
    other = tmp_path / "other.jsonl"
    other.write_text('{"docid": "x", "text": "w1"}\n')
    with pytest.raises(XqgError, match="other.jsonl: no passage .*, which --vectors has"):
        encode_corpus(other, tmp_path / "u", encoder, vectors=open_vectors(tmp_path / "s"))


@pytest.mark.parametrize("to_faiss", [None, Fusion()])
def test_what_was_encoded_comes_with_the_vectors(encoder, tmp_path, to_faiss):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"docid": "p", "title": "w1", "text": "w2"}\n')
    encode_corpus(corpus, tmp_path / "s", encoder, fields=["title", "text"], to_faiss=to_faiss)
    source = open_vectors(tmp_path / "s")
    encode_corpus(corpus, tmp_path / "t", encoder, vectors=source)
    assert Store([tmp_path / "t"]).manifest["fields"] == ["title", "text"]
    with pytest.raises(XqgError, match="vectors of passages' title text; found .*--fields text"):
        encode_corpus(corpus, tmp_path / "u", encoder, vectors=source, fields=["text"])


@pytest.mark.parametrize("write", KINDS)
def test_resumed_and_sharded_as_whole(write, encoder, tmp_path, monkeypatch):
    """Blocks end where the source's own parts do not."""
    rng = np.random.default_rng(1)
    docids = [f"d{i}" for i in range(2 * BLOCK + 77)]
    vectors = rng.normal(size=(len(docids), 16)).astype(np.float32)
    source = write(tmp_path / "v", docids, vectors, [""] * len(docids))
    calls, real = [], blocks.encode_blocks

    def breaking(*args, **kwargs):
        calls.append(kwargs["done"])
        for number, block in enumerate(real(*args, **kwargs)):
            if len(calls) == 1 and number == 1:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(blocks, "encode_blocks", breaking)
    with pytest.raises(KeyboardInterrupt):
        encode_corpus(None, tmp_path / "s", encoder, vectors=source)
    encode_corpus(None, tmp_path / "s", encoder, vectors=source)
    assert calls == [0, 1]
    shards = [tmp_path / f"s{shard}" for shard in range(3)]
    for shard, path in enumerate(shards):
        encode_corpus(None, path, encoder, vectors=source, shard_id=shard, shard_num=3)
    for store in (Store([tmp_path / "s"]), Store(shards)):
        read = list(store.blocks())
        assert [docid for block in read for docid in block.docids] == docids
        assert np.concatenate([block.passages for block in read]) == pytest.approx(vectors)


def test_straight_to_an_index(made, corpus_and_queries, encoder, tmp_path):
    source = as_parquet(tmp_path / "v", *made)
    given = {"queries": [corpus_and_queries[1]], "to_faiss": Fusion("mean", 0.4)}
    encode_corpus(None, tmp_path / "i", encoder, vectors=source, **given)
    encode_corpus(corpus_and_queries[0], tmp_path / "e", encoder, **given)
    assert (tmp_path / "i/index").read_bytes()[:45] == (tmp_path / "e/index").read_bytes()[:45]
    found, expected = (
        np.frombuffer((tmp_path / name / "index").read_bytes()[45:], "<f4") for name in "ie"
    )
    assert found == pytest.approx(expected, abs=1e-6)


def test_fields_and_docids_by_other_names(made, encoder, tmp_path):
    docids, vectors, texts = made
    path = tmp_path / "own.jsonl"
    with open(path, "w") as file:
        for docid, vector, text in zip(docids, vectors, texts, strict=True):
            file.write(json.dumps({"key": docid, "text": text, "e5": vector.tolist()}) + "\n")
    source = open_vectors(path, form=PassageFormat(docid_field="key"), vector_field="e5")
    encode_corpus(None, tmp_path / "s", encoder, vectors=source)
    (block,) = Store([tmp_path / "s"]).blocks()
    assert block.docids == docids
    with pytest.raises(XqgError, match="go with --vectors"):
        main(["input", "--corpus", str(path), "--docids", "x", "output", "--embeddings", "s",
              "encoder", "--encoder", "m"])  # fmt: skip
