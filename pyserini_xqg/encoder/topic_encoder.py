"""An encoder for topics that remembers those it has seen, and loads its model for others only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.encoder.vector_cache import VectorCache, cache_limit, identity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.exported import ExportedEncoder
    from pyserini_xqg.encoder.spec import EncoderSpec


class TopicEncoder:
    """What makes vectors of topics: kept ones, and an `Encoder` that is loaded when it is needed.

    Vectors are kept by `identity`, so that another model, other files, settings or libraries never
    see them. Who checks an index's probes through this checks the kept vectors too: the probes'
    own are kept beside the topics', and came from the same encoder.

    Parameters
    ----------
    spec : EncoderSpec
    device : str or None
    batch_size : int
    keep : bool
        False encodes every text anew; so does the environment, with ``XQG_TOPIC_CACHE=off``.
    trust_remote_code : bool
        Run the Python that comes with the model.

    Notes
    -----
    Nothing is kept of a model that brings its own code: what that does is nobody's to know.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        device: str | None = None,
        batch_size: int = 64,
        keep: bool = True,
        trust_remote_code: bool = False,
    ) -> None:
        spec.check_pooling()
        self.spec = spec
        self.device, self.batch_size = device, batch_size
        self._trust_remote_code = trust_remote_code
        self._loaded: Encoder | None = None
        self._identity = None if trust_remote_code else identity(spec)
        limit = cache_limit() if keep and self._identity else 0
        self._cache = VectorCache(self._identity, limit) if self._identity and limit else None
        self._exported: ExportedEncoder | None = None

    @property
    def loaded(self) -> Encoder:
        """The encoder, loaded now if it is not yet.

        Raises
        ------
        XqgError
            If it cannot be.
        """
        if self._loaded is None:
            from pyserini_xqg.encoder.encoder import Encoder

            self._loaded = Encoder(
                self.spec,
                device=self.device,
                batch_size=self.batch_size,
                trust_remote_code=self._trust_remote_code,
            )
            if self._cache is not None and identity(self.spec) != self._identity:
                # Files changed, or came from the hub, while they were read: whose these are is
                # known from the next time on.
                self._cache = None
        return self._loaded

    @property
    def dimension(self) -> int:
        """Components of a vector."""
        return self.loaded.dimension

    def encode_queries(
        self, texts: Sequence[str], max_length: int | None = None
    ) -> NDArray[np.float32]:
        """As `Encoder.encode_queries`."""
        return self._encode(
            texts,
            f"query {max_length or self.spec.query_max_length}",
            lambda missing: self._query_side().encode_queries(missing, max_length),
        )

    def encode_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Encoder.encode_passages`, for passages that were written for topics."""
        return self._encode(texts, "passage", lambda missing: self.loaded.encode_passages(missing))

    def use(self, spec: EncoderSpec) -> None:
        """As `Encoder.use`; nothing is kept from then on."""
        self.loaded.use(spec)
        self.spec, self._cache, self._identity = spec, None, None

    def token_ids(self, text: str) -> list[int]:
        """As `Encoder.token_ids`."""
        return self.loaded.token_ids(text)

    def _query_side(self) -> Encoder | ExportedEncoder:
        """What encodes topics: the model, or what was exported of it, which opens sooner."""
        if self._loaded is None and self._identity and self.device in (None, "cpu"):
            from pyserini_xqg.encoder.exported import open_exported

            self._exported = self._exported or open_exported(
                self.spec, self._identity, self.batch_size
            )
        return self._exported if self._exported and self._identity else self.loaded

    def _encode(
        self,
        texts: Sequence[str],
        side: str,
        encode: Callable[[list[str]], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        if self._cache is None or not texts:
            return encode(list(texts))
        names = {text: json.dumps([side, text]) for text in texts}
        found = {text: self._cache.find(name) for text, name in names.items()}
        if missing := [text for text, vector in found.items() if vector is None]:
            encoded = dict(zip(missing, encode(missing), strict=True))
            found |= encoded
            if self._cache is not None:  # loading may have taken it away
                self._cache.add({names[text]: vector for text, vector in encoded.items()})
        return np.stack([vector for text in texts if (vector := found[text]) is not None])
