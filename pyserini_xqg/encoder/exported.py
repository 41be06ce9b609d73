"""The query side of an encoder that was exported to ONNX: tokenizers and ONNX Runtime, no torch.

Importing torch and transformers takes longer than a search. What they know of the tokenizer is
written beside the exported model, once, after both ways were seen to give the same vectors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import cache_folder, digest, read_json, write_json
from pyserini_xqg.encoder.onnx_model import OnnxModel
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.encoder.tokens import CPU_TOKENS, Tokens, batches_of
from pyserini_xqg.encoder.vector_cache import identity

# Both ways must agree on these: no text, a short one, one of many scripts, and one that is cut.
_TRIED = ("", "a", "Où 东京 ఎంత? المدينة Кто? 3,5", "How many people live in the city? " * 200)
_CLOSE = 1e-4


class Loaded(Protocol):
    """What is asked of an `Encoder` whose model is loaded."""

    spec: EncoderSpec
    batch_size: int

    @property
    def exported(self) -> OnnxModel | None: ...
    @property
    def query_tokenizer(self) -> Any: ...
    @property
    def query_longest(self) -> int | None: ...
    @property
    def dimension(self) -> int: ...
    def encode_queries(
        self, texts: Sequence[str], max_length: int | None = None
    ) -> NDArray[np.float32]: ...


class ExportedEncoder:
    """Texts to vectors as `Encoder.encode_queries` has them.

    Parameters
    ----------
    spec : EncoderSpec
    file : Path
        The exported model.
    about : mapping
        What `keep_exported` wrote.
    tokenizer : str
        As the tokenizers library saves it.
    batch_size : int
    """

    def __init__(
        self, spec: EncoderSpec, file: Path, about: Any, tokenizer: str, batch_size: int = 64
    ) -> None:
        from tokenizers import Tokenizer

        self.spec, self._about, self._batch_size = spec, about, batch_size
        self._threads = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._model = OnnxModel(file, self._threads)

    def encode_queries(
        self, texts: Sequence[str], max_length: int | None = None
    ) -> NDArray[np.float32]:
        """Vectors of topics, shape ``(len(texts), d)``, float32."""
        about = self._about
        limit = min(max_length or self.spec.query_max_length, about["longest"])
        self._tokenizer.enable_truncation(limit, direction=about["truncation_side"])
        prefixed = [self.spec.query_prefix + text for text in texts]
        tokens = Tokens.of([found.ids for found in self._tokenizer.encode_batch(prefixed)])
        vectors = np.zeros((len(texts), about["dimension"]), dtype=np.float32)
        for rows in batches_of(tokens.lengths, self._batch_size, CPU_TOKENS * self._threads):
            if tokens.lengths[rows].any():
                ids, mask = tokens.padded(rows, about["pad"], left=about["padding_side"] == "left")
                vectors[rows] = _POOL[self.spec.pooling](self._model(ids, mask), mask)
        if self.spec.l2_norm:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def open_exported(spec: EncoderSpec, name: str, batch_size: int = 64) -> ExportedEncoder | None:
    """The query side of an encoder, if it was exported and nothing changed since.

    Parameters
    ----------
    spec : EncoderSpec
    name : str
        Its `identity`.
    batch_size : int
    """
    for path in cache_folder().glob(f"xqg-{spec.backend}-*/topics-{name}.json"):
        about = read_json(path)
        try:
            tokenizer = (path.parent / about["tokenizer"]).read_bytes()
        except OSError:
            continue
        if about["files"] == _files(path.parent) and about["digest"] == digest(tokenizer):
            file = path.parent / "model.onnx"
            return ExportedEncoder(spec, file, about, tokenizer.decode(), batch_size)
    return None


def keep_exported(encoder: Loaded, name: str | None) -> None:
    """Write beside an exported model what `open_exported` needs, if it gives the same vectors.

    Parameters
    ----------
    encoder : Loaded
    name : str or None
        Its `identity` before it was loaded.
    """
    spec, model = encoder.spec, encoder.exported
    if name is None or model is None or name != identity(spec):
        return
    tokenizer = encoder.query_tokenizer
    if not tokenizer.is_fast:
        return
    folder = model.file.parent
    path = folder / f"topics-{name}.json"
    if path.exists():
        return
    saved = tokenizer.backend_tokenizer.to_str()
    about = {
        "tokenizer": f"tokenizer-{digest(saved.encode())}.json",
        "digest": digest(saved.encode()),
        "files": _files(folder),
        "pad": tokenizer.pad_token_id or 0,
        "padding_side": tokenizer.padding_side,
        "truncation_side": tokenizer.truncation_side,
        "longest": encoder.query_longest or 1 << 30,
        "dimension": encoder.dimension,
    }
    light = ExportedEncoder(spec, model.file, about, saved, encoder.batch_size)
    for text in _TRIED:  # one by one: int8 depends on what is encoded together
        try:
            expected, found = encoder.encode_queries([text]), light.encode_queries([text])
        except XqgError:  # it has a side for passages only
            return
        if not np.allclose(found, expected, rtol=0, atol=_CLOSE * float(np.abs(expected).max())):
            return  # there is more to this encoder than we compute here
    try:
        (folder / about["tokenizer"]).write_text(saved, encoding="utf-8")
        write_json(path, about)
    except OSError:  # not ours to write: torch does it every time
        return


def _files(folder: Path) -> list[list[str | int]]:
    """What tells the exported model's files from others."""
    files = ((path.name, path.stat()) for path in sorted(folder.glob("model.onnx*")))
    return [[name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns] for name, facts in files]


def _cls(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    return _at(hidden, mask.argmax(axis=1))


def _mean(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    weights = mask[:, :, None].astype(hidden.dtype)
    means: NDArray[np.float32] = (hidden * weights).sum(axis=1) / weights.sum(axis=1).clip(min=1)
    return means


def _last(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    return _at(hidden, (mask * mask.cumsum(axis=1)).argmax(axis=1))


def _at(hidden: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
    return hidden[np.arange(len(hidden)), places]


_POOL: dict[str | None, Any] = {"cls": _cls, "mean": _mean, "last": _last}
