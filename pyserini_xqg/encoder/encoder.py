"""The encoder: texts to vectors, through any transformer that AutoModel loads."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.backends import BACKENDS, OnnxForward
from pyserini_xqg.encoder.devices import device_of
from pyserini_xqg.encoder.exported import keep_exported
from pyserini_xqg.encoder.hub import Named, model_folder
from pyserini_xqg.encoder.onnx_model import OnnxModel
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.encoder.tokens import CPU_TOKENS, Tokens, batches_of, one_ahead
from pyserini_xqg.encoder.transformer import Side
from pyserini_xqg.encoder.vector_cache import identity

#: Texts that are sorted by length together, while the next ones are made into tokens.
_PART = 8192


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage where it is: a library that is loaded makes none, and is a million objects.

    To look through them again and again takes a fifth of the time that loading takes.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Encoder:
    """Texts to vectors, batched by length.

    Parameters
    ----------
    spec : EncoderSpec or str
        What to load and how to use it; or a model's name or folder, of which that is known.
    device : str or None
        ``cpu``, ``cuda:0``, ``mps``; by default the first accelerator there is.
    batch_size : int
        The most texts that go through the model together. On the CPU long ones are fewer; an
        accelerator takes more where they are shorter than passages may be, as many tokens.
    trust_remote_code : bool
        Run the Python that comes with the model.

    Raises
    ------
    XqgError
        If nobody says how the model pools, it cannot be loaded, or the device is not there, or
        cannot compute in the dtype or with the backend.
    """

    def __init__(
        self,
        spec: EncoderSpec | str,
        *,
        device: str | None = None,
        batch_size: int = 64,
        trust_remote_code: bool = False,
    ) -> None:
        if batch_size < 1:
            raise XqgError(f"--batch-size {batch_size}: expected at least 1")
        if isinstance(spec, str):
            model_folder(Named(spec, trust_remote_code=trust_remote_code))
            spec = EncoderSpec.resolve(spec)
        spec.check_pooling()
        self.spec = spec
        self.batch_size = batch_size
        self.trust_remote_code = trust_remote_code
        cpu_only = BACKENDS[spec.backend].float32_cpu_only
        if cpu_only and device not in (None, "cpu"):
            raise XqgError(
                f"--backend {spec.backend} is for the CPU, not for {device}; take --device cpu, or "
                "--backend torch"
            )
        with _uncollected():
            self.device = "cpu" if cpu_only else device_of(device)
            if spec.dtype == "float16" and self.device == "cpu":
                raise XqgError(
                    "float16 on the CPU is slow and inexact; take --dtype float32 or bfloat16"
                )
            name = identity(spec) if cpu_only and not trust_remote_code else None
            named = Named(spec.model, spec.revision, trust_remote_code=trust_remote_code)
            self._passage_side = Side(named, spec, self.device)
            self._query_side = self._passage_side
            if spec.query_model is not None:
                named = named._replace(name=spec.query_model, option="--query-encoder")
                self._query_side = Side(named, spec, self.device)
                if self._query_side.dimension != self._passage_side.dimension:
                    raise named.error(
                        f"its vectors have {self._query_side.dimension} components, and those of "
                        f"{spec.model} {self._passage_side.dimension}: the two do not belong "
                        "together"
                    )
        self._warn_of_cuts()
        keep_exported(self, name)

    @property
    def exported(self) -> OnnxModel | None:
        """What computes the query side, where that is no longer torch."""
        forward = self._query_side.backend
        return forward.model if isinstance(forward, OnnxForward) else None

    @property
    def query_tokenizer(self) -> Any:
        """The tokenizer of the query side, of transformers."""
        return self._query_side.tokenizer

    @property
    def dimension(self) -> int:
        """Components of a vector."""
        return int(self._passage_side.dimension)

    @property
    def longest(self) -> int | None:
        """The most tokens that the model can read of a passage; None where that is not fixed."""
        return self._passage_side.longest

    @property
    def query_longest(self) -> int | None:
        """As `longest`, of a query."""
        return self._query_side.longest

    def check_sides(self) -> None:
        """Refuse, before any work, a model that cannot encode both passages and queries.

        Raises
        ------
        XqgError
            For one side of DPR where the other is not given.
        """
        self._passage_side.check_side("passage", self.spec)
        self._query_side.check_side("query", self.spec)

    def _warn_of_cuts(self) -> None:
        """Say where a length that somebody chose is more than the model can read."""
        defaults = {field.name: field.default for field in fields(self.spec)}
        for name, side in (
            ("max_length", self._passage_side),
            ("query_max_length", self._query_side),
        ):
            chosen = getattr(self.spec, name)
            if side.longest is not None and side.longest < chosen != defaults[name]:
                warnings.warn(
                    f"--{name.replace('_', '-')} {chosen}: {side.named.name} reads "
                    f"{side.longest} tokens at most; longer texts are cut there",
                    stacklevel=3,
                )

    def encode_passages(
        self, texts: Sequence[str], titles: Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of passages, shape ``(len(texts), dimension)``, float32."""
        self._passage_side.check_side("passage", self.spec)
        prefix, spec = self.spec.passage_prefix, self.spec
        if titles is None:
            return self._encode(
                self._passage_side, [prefix + text for text in texts], None, spec.max_length
            )
        if spec.add_sep:
            return self._encode(
                self._passage_side, [prefix + title for title in titles], texts, spec.max_length
            )
        joined = [
            prefix + (f"{title} {text}" if title else text)
            for title, text in zip(titles, texts, strict=True)
        ]
        return self._encode(self._passage_side, joined, None, spec.max_length)

    def encode_queries(
        self, texts: Sequence[str], max_length: int | None = None
    ) -> NDArray[np.float32]:
        """Vectors of topics, shape ``(len(texts), dimension)``, float32.

        `max_length` is in tokens, and by default the specification's for queries.
        """
        self._query_side.check_side("query", self.spec)
        return self._encode(
            self._query_side,
            [self.spec.query_prefix + text for text in texts],
            None,
            max_length or self.spec.query_max_length,
        )

    def encode_generated_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of generated queries, on the side that the specification names."""
        if self.spec.generated_queries_as == "query":
            return self.encode_queries(texts)
        return self._encode(
            self._passage_side,
            [self.spec.passage_prefix + text for text in texts],
            None,
            self.spec.query_max_length,
        )

    def use(self, spec: EncoderSpec) -> None:
        """Take other pooling, norm, prefixes or lengths with the weights already loaded."""
        self.spec = self._passage_side.spec = self._query_side.spec = spec

    def token_ids(self, text: str) -> list[int]:
        """The token ids of a topic, by which a changed tokenizer is told from changed weights."""
        texts = [self.spec.query_prefix + text]
        return [*map(int, self._query_side.tokenize(texts, None, self.spec.query_max_length).ids)]

    def _encode(
        self, side: Side, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
    ) -> NDArray[np.float32]:
        import torch

        def tokenize(start: int) -> Tokens:
            part = slice(start, start + _PART)
            return side.tokenize(texts[part], None if pairs is None else pairs[part], max_length)

        vectors = np.empty((len(texts), side.dimension), dtype=np.float32)
        starts = range(0, len(texts), _PART)
        parts = one_ahead(tokenize, starts) if len(starts) > 1 else map(tokenize, starts)
        for start, tokens in zip(starts, parts, strict=True):
            batches = list(self._batches(tokens.lengths))
            found = [side.forward(tokens, rows) for rows in batches]
            # Copied once: an accelerator would stand still for each copy.
            vectors[start + np.concatenate(batches)] = torch.cat(found).cpu().numpy()
        return vectors

    def _batches(self, lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Rows that go through the model together."""
        import torch

        if self.device == "cpu":
            most, tokens = self.batch_size, CPU_TOKENS * torch.get_num_threads()
        else:
            longest = max(self.spec.max_length, self.spec.query_max_length)
            most = _PART
            tokens = self.batch_size * min(longest, self._passage_side.longest or longest)
        return batches_of(lengths, most, tokens)
