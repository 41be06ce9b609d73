"""An encoder saved so that sentence-transformers loads it, with torch or with ONNX.

Its files have the form that sentence-transformers has read since version 2, and tokenizers the name
that transformers 4 knows as well as 5: `optimum-onnx`, which sentence-transformers needs for ONNX,
may be of another time than the libraries here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import write_json
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.encoder.backends import EXPORTS
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.folder import BY_FLAG, POOLING_NAMES, read_folder
from pyserini_xqg.encoder.hub import Named, model_folder
from pyserini_xqg.encoder.loading import quiet
from pyserini_xqg.encoder.probes import MIN_COSINE, compare
from pyserini_xqg.encoder.spec import SPEC_FILE, EncoderSpec
from pyserini_xqg.encoder.transformer import load_encoder
from pyserini_xqg.encoder.weights import weight_files

#: The file inside ``onnx/`` that holds what a backend computes.
ONNX_FILES = {"onnx": "model.onnx", "onnx-int8": "model_qint8.onnx"}
# What a Dense layer's file always held; others of its settings are refused when they are read.
_DENSE = ("in_features", "out_features", "bias", "activation_function")
_TRIED = ("Which river flows into the Caspian Sea?", "В какое море течёт Волга?", "నది", "w1 w2")


def save_encoder(
    spec: EncoderSpec,
    output: str | Path,
    backends: Sequence[str] = tuple(ONNX_FILES),
    *,
    overwrite: bool = False,
) -> None:
    """Write an encoder as a folder of sentence-transformers.

    Parameters
    ----------
    spec : EncoderSpec
        Its model and settings. Texts of both sides are cut at `max_length` there: only version 6
        has a length for queries of its own, and older ones do not read files that name it.
    output : path-like
        The folder to make.
    backends : sequence of {"onnx", "onnx-int8"}
        What to write beside the weights.
    overwrite : bool
        Replace a folder that is there.

    Raises
    ------
    XqgError
        If the encoder is more than sentence-transformers' own parts, or cannot be exported.
    """
    if spec.query_model is not None:
        raise XqgError(f"{spec.model}: queries have a model of their own; save each by itself")
    reference = Encoder(spec, device="cpu")
    named = Named(spec.model, spec.revision)
    loaded = load_encoder(named)
    _check_plain(loaded.transformer, named)
    with OutputFolder(output, SPEC_FILE, overwrite=overwrite) as folder:
        folder.discard()  # it is quickly made again
        folder.start(spec.to_dict(), {})
        place = folder.partial
        with quiet():
            loaded.transformer.save_pretrained(place)
            loaded.tokenizer.save_pretrained(place)
        _name_for_all(place / "tokenizer_config.json")
        _write_parts(place, model_folder(named), spec, reference)
        (place / "onnx").mkdir()
        for backend in backends:
            EXPORTS[backend](
                loaded.transformer.float(), place / "onnx" / ONNX_FILES[backend], named.name
            )
        _check_same(reference, place)
        settings = spec.to_dict()
        for name in ("model", "revision", "backend"):  # it is where the file is
            del settings[name]
        folder.finish(settings, keep_log=False)


def _check_plain(model: Any, named: Named) -> None:
    """Refuse what transformers would not load as it was saved: half a model, Python of its own."""
    import transformers

    if transformers.MODEL_MAPPING.get(type(model.config), None) is not type(model):
        raise named.error(
            f"a {type(model).__name__} is not a whole model of transformers; sentence-transformers "
            "loads those alone"
        )


def _name_for_all(path: Path) -> None:
    """Name the tokenizer's class and further tokens as transformers 4 does; 5 reads them, too."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    write_json(path, config)


def _write_parts(place: Path, source: Path, spec: EncoderSpec, encoder: Encoder) -> None:
    """The list of the encoder's parts, and the files of those that follow the transformer."""
    parts = [("Transformer", "")]

    def part(kind: str) -> Path:
        parts.append((kind, f"{len(parts)}_{kind}"))
        (place / parts[-1][1]).mkdir()
        return place / parts[-1][1]

    layers = read_folder(source).layers
    width = layers[0].size[0] if layers else encoder.dimension
    mode = POOLING_NAMES[str(spec.pooling)]
    flags = {flag: name == mode for flag, name in BY_FLAG.items() if name in POOLING_NAMES.values()}
    write_json(part("Pooling") / "config.json", {"word_embedding_dimension": width, **flags})
    for layer in layers:
        folder = part("Dense")
        saved = json.loads((layer.place / "config.json").read_text(encoding="utf-8"))
        write_json(folder / "config.json", {key: saved[key] for key in _DENSE if key in saved})
        for file in weight_files(layer.place):
            shutil.copyfile(file, folder / file.name)
    if spec.l2_norm:
        part("Normalize")
    longest = min(spec.max_length, encoder.longest or spec.max_length)
    limits = {"max_seq_length": longest, "do_lower_case": False}
    write_json(place / "sentence_bert_config.json", limits)
    prompts = {"query": spec.query_prefix, "document": spec.passage_prefix}
    write_json(
        place / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "dot"},
    )
    listed = [
        {"idx": number, "name": str(number), "path": path,
         "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(parts)
    ]  # fmt: skip
    write_json(place / "modules.json", listed)


def _check_same(reference: Encoder, place: Path) -> None:
    """Load what was written, by sentence-transformers' files alone, and compare."""
    written = Encoder(EncoderSpec.resolve(str(place)), device="cpu")
    limit = reference.spec.max_length  # there it is that of queries, too
    found, expected = (
        np.concatenate([one.encode_queries(_TRIED, limit), one.encode_passages(_TRIED)])
        for one in (written, reference)
    )
    cosines, ratio = compare(found, expected)
    if cosines.min() < MIN_COSINE or not np.isclose(ratio, 1, atol=1e-3):
        raise XqgError(
            f"{reference.spec.model} as it was saved gives other vectors (cosine "
            f"{cosines.min():.4f}, length x{ratio:.3f}); take the model itself"
        )
