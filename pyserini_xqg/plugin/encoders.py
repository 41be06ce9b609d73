"""Encoders that Pyserini's searchers and commands can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini.encode import DocumentEncoder, QueryEncoder

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.blocks import encode_generated
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.encoder.spec import SPEC_FILE, EncoderSpec
from pyserini_xqg.index.manifest import MANIFEST, read_manifest
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.block import Block

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class XqgDocumentEncoder(DocumentEncoder):
    """Pyserini's document encoder that folds generated queries in.

    Parameters
    ----------
    model_name : str
        Hub name, or a folder.
    device : str or None
    batch_size : int
    fusion : Fusion or None
        Needed where `encode` is given queries.
    spec : EncoderSpec or None
        Instead of the one saved with the model, or of the preset of that name.
    **kwargs
        Not used. Stock Pyserini guesses pooling and norm from pieces of the model's name.
    """

    def __init__(
        self,
        model_name: str,
        device: str | None = None,
        *,
        batch_size: int = 64,
        fusion: Fusion | None = None,
        spec: EncoderSpec | None = None,
        **kwargs: Any,
    ) -> None:
        spec = spec or EncoderSpec.resolve(model_name)
        self.encoder = Encoder(spec, device=device, batch_size=batch_size)
        self.fusion = fusion or Fusion()
        self.has_model = True

    def encode(
        self,
        texts: Sequence[str],
        titles: Sequence[str] | None = None,
        queries: Sequence[Mapping[str, Sequence[str]]] | None = None,
        **kwargs: Any,
    ) -> NDArray[np.float32]:
        """Vectors of passages, fused with their generated queries where these are given.

        Parameters
        ----------
        texts, titles : sequence of str
        queries : sequence of mapping, optional
            For each passage its queries by language.
        **kwargs
            What stock Pyserini passes (``max_length``, ``fp16``, ``add_sep``) is not used: the
            encoder's specification decides.

        Returns
        -------
        array, shape (len(texts), d), float32

        Raises
        ------
        XqgError
            If there are queries and no fusion settings, or not one mapping a passage.
        """
        vectors = self.encoder.encode_passages(texts, titles)
        if queries is None:
            return vectors
        if len(queries) != len(texts):
            raise XqgError(f"{len(queries)} mappings of queries for {len(texts)} texts")
        languages = sorted({language for of_passage in queries for language in of_passage})
        self.fusion.check(languages)
        sums, counts, _ = encode_generated(queries, languages, self.encoder)
        docids = [str(row) for row in range(len(texts))]
        return self.fusion.apply(Block(docids, vectors, sums, counts))


class XqgQueryEncoder(QueryEncoder):
    """Pyserini's query encoder for an index of ours.

    Parameters
    ----------
    encoder_dir : path-like
        An index folder, or a model folder with a saved specification. For an index the encoder is
        checked against the index's probes.
    device : str
    encoder : str or None
        Another place of the same model.
    batch_size : int
    **kwargs
        Stock Pyserini's other arguments; they belong to the specification and may not differ.

    Raises
    ------
    XqgError
        For any other folder, and for an encoder that does not fit the index.
    """

    def __init__(
        self,
        encoder_dir: str | Path,
        device: str | None = "cpu",
        *,
        encoder: str | None = None,
        batch_size: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        for name in ("prefix", "tokenizer_name"):
            if kwargs.get(name):
                raise XqgError(
                    f"{name} {kwargs[name]!r}: the encoder's specification decides; leave it out"
                )
        path = Path(encoder_dir)
        if (path / MANIFEST).is_file():
            manifest = read_manifest(path)
            if "encoder" not in manifest:
                raise XqgError(f"{path} is a {manifest['kind']} index and has no encoder")
            spec = EncoderSpec.from_dict(manifest["encoder"], str(path / MANIFEST)).at(encoder)
        elif (path / SPEC_FILE).is_file():
            manifest, spec = {}, EncoderSpec.resolve(encoder or str(path))
        else:
            raise XqgError(
                f"{path} is neither an xQG index (no {MANIFEST}) nor a model folder with a saved "
                f"specification (no {SPEC_FILE}); for other models use --encoder-class auto"
            )
        self.encoder = Encoder(spec, device=device, batch_size=batch_size)
        check_probes(self.encoder, manifest.get("probes", ()), str(path))
        self.has_model = True

    def encode(self, query: str, **kwargs: Any) -> NDArray[np.float32]:
        """The vector of one topic, shape ``(d,)``, float32."""
        vector: NDArray[np.float32] = self.encoder.encode_queries([query])[0]
        return vector

    def encode_batch(self, queries: Sequence[str], **kwargs: Any) -> NDArray[np.float32]:
        """The vectors of topics, shape ``(len(queries), d)``, float32."""
        return self.encoder.encode_queries(queries)
