"""Encoders saved for sentence-transformers, loaded by it as it loads its own."""

from __future__ import annotations

import json

import numpy as np
import odd_models as odd
import pytest
from generate_models import make_t5

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import SPEC_FILE, EncoderSpec
from pyserini_xqg.export import main

TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11", "w1 w2 unknown"]
FILES = pytest.mark.parametrize(
    ("file", "least"), [("model.onnx", 0.999999), ("model_qint8.onnx", 0.99)]
)


@pytest.fixture(scope="module")
def saved(model_dir, tmp_path_factory):
    """The random encoder with settings of every kind, as the command saves it."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("saved") / "st"
    main(["--encoder", str(model_dir), "--output", str(folder), "--pooling", "mean", "--l2-norm",
          "--query-prefix", "w50 ", "--passage-prefix", "w51 w52 ",
          "--max-length", "16"])  # fmt: skip
    return folder


def driven(folder, file, texts):
    """Mean-pooled unit vectors, from the files and as sentence-transformers' ONNX backend does it.

    It feeds the graph what its inputs are called, of all that the tokenizer gives, and reads the
    output called last_hidden_state.
    """
    import onnxruntime
    from transformers import AutoTokenizer

    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, max_length=limit, return_tensors="np"
    )
    session = onnxruntime.InferenceSession(str(folder / "onnx" / file))
    inputs = {one.name: tokens[one.name] for one in session.get_inputs()}
    (hidden,) = session.run(["last_hidden_state"], inputs)
    mask = tokens["attention_mask"][:, :, None]
    vectors = (hidden * mask).sum(1) / mask.sum(1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_sentence_transformers_loads_it(saved):
    from sentence_transformers import SentenceTransformer

    library, ours = SentenceTransformer(str(saved), device="cpu"), Encoder(str(saved), device="cpu")
    assert (ours.spec.pooling, ours.spec.l2_norm, ours.spec.max_length) == ("mean", True, 16)
    long = " ".join(f"w{i}" for i in range(45))
    passages = ours.encode_passages([*TEXTS, long])
    assert library.encode_document([*TEXTS, long]) == pytest.approx(passages, abs=1e-5)
    assert library.encode_query(TEXTS) == pytest.approx(ours.encode_queries(TEXTS), abs=1e-5)
    assert library.similarity_fn_name == "dot"
    assert sorted(path.name for path in saved.iterdir() if path.is_dir()) == [
        "1_Pooling", "2_Normalize", "onnx",
    ]  # fmt: skip


@FILES
def test_the_graphs_are_what_its_onnx_backend_asks_for(saved, file, least):
    expected = Encoder(str(saved), device="cpu").encode_queries(TEXTS)
    vectors = driven(saved, file, [f"w50 {text}" for text in TEXTS])
    assert (vectors * expected).sum(1).min() > least
    assert np.array_equal(vectors, expected) is False


@FILES
def test_its_onnx_backend_loads_them(saved, file, least):
    pytest.importorskip("optimum.onnxruntime", reason="not installed (optimum-onnx)")
    from sentence_transformers import SentenceTransformer

    options = {"file_name": file, "provider": "CPUExecutionProvider"}
    library = SentenceTransformer(str(saved), backend="onnx", device="cpu", model_kwargs=options)
    expected = Encoder(str(saved), device="cpu").encode_queries(TEXTS)
    assert (library.encode_query(TEXTS) * expected).sum(1).min() > least


def test_names_that_older_versions_know(saved):
    """transformers 4, which optimum-onnx asks for, and sentence-transformers from 2 on."""
    tokenizer = json.loads((saved / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert not isinstance(tokenizer.get("extra_special_tokens"), list)
    modules = json.loads((saved / "modules.json").read_text())
    assert [module["type"] for module in modules] == [
        f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling", "Normalize")
    ]
    pooling = json.loads((saved / "1_Pooling/config.json").read_text())
    assert [name for name, on in pooling.items() if on is True] == ["pooling_mode_mean_tokens"]
    assert json.loads((saved / "sentence_bert_config.json").read_text()).keys() == {
        "max_seq_length", "do_lower_case",
    }  # fmt: skip


@pytest.mark.parametrize(
    "made",
    [
        {"pooling": "lasttoken", "dense": 8},
        {"pooling": "cls", "norm": False, "prompts": {"query": "w50 "}},
    ],
)
def test_a_folder_of_sentence_transformers_comes_out_as_it_went_in(model_dir, tmp_path, made):
    from sentence_transformers import SentenceTransformer

    pytest.importorskip("onnxscript")
    theirs = odd.sentence_transformer(model_dir, tmp_path / "st", **made)
    given = ["--encoder", str(tmp_path / "st"), "--output", str(tmp_path / "out")]
    main([*given, "--backend", "onnx"])
    library = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    assert library.encode_query(TEXTS) == pytest.approx(theirs.encode_query(TEXTS), abs=1e-5)
    assert [path.name for path in (tmp_path / "out/onnx").glob("*.onnx")] == ["model.onnx"]
    with pytest.raises(XqgError, match="exists; give another name, or --overwrite"):
        main(given)


def test_what_it_could_not_load_is_refused(tmp_path, saved):
    t5 = make_t5(tmp_path / "t5")
    with pytest.raises(XqgError, match="is not a whole model of transformers"):
        main(["--encoder", str(t5), "--output", str(tmp_path / "out"), "--pooling", "mean"])
    from pyserini_xqg.encoder.saving import save_encoder

    with pytest.raises(XqgError, match="queries have a model of their own"):
        save_encoder(EncoderSpec(str(saved), query_model=str(saved)), tmp_path / "out")
    assert not list(tmp_path.glob("out*"))
    assert (saved / SPEC_FILE).is_file()
