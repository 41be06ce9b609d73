from __future__ import annotations

import json
import shutil

import numpy as np
import odd_models as odd
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import digest
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.columns import Column, widened
from pyserini_xqg.store.store import Store
from pyserini_xqg.store.writer import StoreWriter

ROWS, D = 2 * BLOCK + 100, 6
LANGUAGES = ["ar", "te"]


def blocks(seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for start in range(0, ROWS, BLOCK):
        n = min(BLOCK, ROWS - start)
        counts = {x: rng.integers(0, 3, n).astype(np.int32) for x in LANGUAGES}
        queries = {x: rng.normal(size=(counts[x].sum(), D)).astype(np.float32) for x in LANGUAGES}
        sums = {x: rng.normal(size=(n, D)).astype(np.float32) for x in LANGUAGES}
        passages = rng.normal(size=(n, D)).astype(np.float32)
        docids = [f"{seed}-{start + i}" for i in range(n)]
        made.append(Block(docids, passages, sums, counts, queries))
    return made


def write(path, made, shard=0, dtype="float32", keep=False, model="m"):
    with OutputFolder(path, "manifest.json") as folder:
        writer = StoreWriter(folder, {}, rows=sum(len(b.docids) for b in made), dimension=D,
                             languages=LANGUAGES, dtype=dtype, keep_queries=keep)  # fmt: skip
        for block in made:
            writer.append(block)
        writer.finish(
            {
                "encoder": EncoderSpec(model, pooling="cls").to_dict(),
                "shard": [shard, 2],
                "inputs": {},
            }
        )


def same(read, made, rtol=0.0):
    assert len(read) == len(made)
    for a, b in zip(read, made, strict=True):
        assert a.docids == b.docids
        assert np.allclose(a.passages, b.passages, rtol=rtol, atol=rtol)
        for x in a.sums:
            assert np.allclose(a.sums[x], b.sums[x], rtol=rtol, atol=rtol)
            assert np.array_equal(a.counts[x], b.counts[x])
            assert a.sums[x].dtype == np.float32


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_written_is_read(tmp_path, keep):
    made = blocks()
    write(tmp_path / "s", made, keep=keep)
    store = Store([tmp_path / "s"])
    assert (store.passages, store.dimension, store.languages) == (ROWS, D, LANGUAGES)
    assert store.queries == {x: sum(int(b.counts[x].sum()) for b in made) for x in LANGUAGES}
    same(list(store.blocks(keep=keep)), made)
    same(list(store.blocks(["te"], start=1)), made[1:])
    if keep:
        kept = list(store.blocks(keep=True, start=1))
        for x in LANGUAGES:
            assert np.array_equal(kept[0].queries[x], made[1].queries[x])
    # anybody's NumPy reads it
    assert np.load(tmp_path / "s/passages.npy").shape == (ROWS, D)
    assert np.load(tmp_path / "s/queries.te.count.npy").sum() == store.queries["te"]
    if keep:
        assert np.load(tmp_path / "s/queries.te.npy").shape == (store.queries["te"], D)


def test_float16(tmp_path):
    made = blocks()
    write(tmp_path / "s", made, dtype="float16")
    assert np.load(tmp_path / "s/passages.npy").dtype == np.float16
    same(list(Store([tmp_path / "s"]).blocks()), made, rtol=1e-3)


def test_every_float16_is_widened_as_numpy_does_it(tmp_path):
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    assert len(finite) == 63488
    for numbers in (finite, halves, finite[:0], np.full(3, -np.inf, np.float16)):
        np.testing.assert_array_equal(widened(numbers), numbers.astype(np.float32))
    np.save(tmp_path / "halves.npy", finite.reshape(-1, 64))
    column = Column(tmp_path / "halves.npy", 64)
    read = column.vectors(992)
    column.close()
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read.ravel(), finite.astype(np.float32))


def test_float16_overflow_is_refused(tmp_path):
    block = blocks()[0]
    block.sums["te"][3, 2] = 70_000
    with pytest.raises(XqgError, match="does not fit into float16; use output --dtype float32"):
        write(tmp_path / "s", [block], dtype="float16")
    assert not (tmp_path / "s").exists()


def test_shards_are_read_as_one(tmp_path):
    a, b = blocks(0), blocks(1)
    write(tmp_path / "a", a, shard=0)
    write(tmp_path / "b", b, shard=1)
    store = Store([tmp_path / "a", tmp_path / "b"])
    assert store.passages == 2 * ROWS
    same(list(store.blocks()), a + b)
    same(list(store.blocks(start=4)), (a + b)[4:])
    assert store.digest != Store([tmp_path / "b", tmp_path / "a"]).digest


def test_a_shard_from_before_a_setting_existed(tmp_path):
    write(tmp_path / "a", blocks(0), shard=0)
    write(tmp_path / "b", blocks(1), shard=1)
    manifest = json.loads((tmp_path / "a/manifest.json").read_text())
    assert manifest["encoder"].pop("backend") == "torch"
    (tmp_path / "a/manifest.json").write_text(json.dumps(manifest))
    for order in ("ab", "ba"):
        store = Store([tmp_path / name for name in order])
        assert store.passages == 2 * ROWS
        assert store.manifest["encoder"] == EncoderSpec("m", pooling="cls").to_dict()
    manifest["encoder"]["backend"] = "onnx"
    (tmp_path / "a/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(XqgError, match="b does not belong to .*a: encoder is"):
        Store([tmp_path / "a", tmp_path / "b"])


def test_shards_that_do_not_belong_together(tmp_path):
    write(tmp_path / "a", blocks())
    write(tmp_path / "b", blocks(), shard=1, model="other")
    with pytest.raises(XqgError, match="b does not belong to .*a: encoder is"):
        Store([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(XqgError, match="hold the same passages"):
        Store([tmp_path / "a", tmp_path / "a"])


def test_sums_only(tmp_path):
    write(tmp_path / "s", blocks())
    store = Store([tmp_path / "s"])
    with pytest.raises(XqgError, match="holds sums only; encode with --keep-queries"):
        next(store.blocks(keep=True))
    with pytest.raises(XqgError, match="no queries in fi; found ar te"):
        next(store.blocks(["fi"]))


def test_what_is_no_store(tmp_path):
    with pytest.raises(XqgError, match="no embedding store given"):
        Store([])
    with pytest.raises(XqgError, match=r"is no embedding store .* make one with"):
        Store([tmp_path])
    (tmp_path / "s.partial").mkdir()
    with pytest.raises(XqgError, match=r"s\.partial is an unfinished one"):
        Store([tmp_path / "s"])


def test_damage_is_noticed(tmp_path):
    write(tmp_path / "s", blocks())
    shutil.copytree(tmp_path / "s", tmp_path / "old")
    manifest = json.loads((tmp_path / "old/manifest.json").read_text())
    (tmp_path / "old/manifest.json").write_text(json.dumps({**manifest, "format": 0}))
    with pytest.raises(XqgError, match="format 0 of embedding store, expected 1"):
        Store([tmp_path / "old"])
    with open(tmp_path / "s/passages.npy", "r+b") as file:
        file.truncate(5000)
    with pytest.raises(XqgError, match=r"passages\.npy: shorter than the manifest says"):
        list(Store([tmp_path / "s"]).blocks())


def test_one_path_needs_no_list(tmp_path):
    write(tmp_path / "store", blocks())
    assert Store(tmp_path / "store").digest == Store([tmp_path / "store"]).digest
    assert Store(str(tmp_path / "store")).passages == ROWS


def test_passages_with_queries_are_counted(tmp_path):
    made = blocks()
    write(tmp_path / "store", made)
    expected = {x: sum(int((b.counts[x] > 0).sum()) for b in made) for x in LANGUAGES}
    assert Store(tmp_path / "store").covered() == expected
    assert Store(tmp_path / "store").covered(["te"]) == {"te": expected["te"]}


def test_a_manifest_that_is_no_object(tmp_path):
    write(tmp_path / "store", blocks())
    (tmp_path / "store/manifest.json").write_text("[1]")
    with pytest.raises(XqgError, match="store/manifest.json"):
        Store(tmp_path / "store")


def test_values_of_other_types_in_a_manifest_are_one_line_with_its_name(tmp_path):
    write(tmp_path / "store", blocks())
    file = tmp_path / "store/manifest.json"
    whole, refused = json.loads(file.read_text()), []
    for content in odd.with_other_values(
        {**whole, "sample": {x: {"rate": 1.0} for x in LANGUAGES}}
    ):
        file.write_text(json.dumps(content))
        try:
            Store(tmp_path / "store")
        except XqgError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(said.startswith(str(tmp_path / "store")) for said in refused)


def changed_manifest(path, **values):
    file = path / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_shards_have_the_same_languages(tmp_path):
    for shard, name in enumerate("ab"):
        write(tmp_path / name, blocks(shard), shard)
    queries = json.loads((tmp_path / "b/manifest.json").read_text())["queries"]
    changed_manifest(tmp_path / "b", queries={**queries, "zz": 1})
    for one, other in ("ab", "ba"):
        said = f"{other} does not belong to {tmp_path / one}: its languages are .*, expected"
        with pytest.raises(XqgError, match=said):
            Store([tmp_path / one, tmp_path / other])


def test_the_digest_of_several_is_that_of_theirs(tmp_path):
    for shard, name in enumerate("ab"):
        write(tmp_path / name, blocks(shard), shard)
    one, other = (json.loads((tmp_path / x / "manifest.json").read_text())["digest"] for x in "ab")
    assert Store([tmp_path / "a"]).digest == one
    assert Store([tmp_path / "a", tmp_path / "b"]).digest == digest((one + other).encode())


@pytest.mark.parametrize("sample", [{}, {"te": 1}, {"te": {"rate": "1"}}])
def test_a_sample_without_rates(tmp_path, sample):
    write(tmp_path / "a", blocks())
    changed_manifest(tmp_path / "a", sample=sample)
    with pytest.raises(XqgError, match=r"a/manifest.json: damaged \('sample' has no rates\)"):
        Store([tmp_path / "a"])
