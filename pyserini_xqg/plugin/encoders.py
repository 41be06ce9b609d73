"""Encoders that Pyserini's searchers and commands can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyserini.encode import DocumentEncoder, QueryEncoder

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.blocks import encode_generated
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.hub import Named, model_folder
from pyserini_xqg.encoder.spec import SPEC_FILE, EncoderSpec
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.index.dense import open_encoder
from pyserini_xqg.index.manifest import MANIFEST
from pyserini_xqg.index.maps import Maps
from pyserini_xqg.index.maps_file import load_maps
from pyserini_xqg.index.settings import Fusion, check_fusion
from pyserini_xqg.store.block import Block

#: Words in a name from which stock Pyserini's commands guess pooling and norm.
_GUESSED_BY = ("sentence", "contriever", "clip", "dse")


def _check_agrees(spec: EncoderSpec, name: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings, as stock Pyserini calls them, that a specification has otherwise."""
    has: dict[str, Any] = {
        "prefix": spec.query_prefix.rstrip(),  # stock Pyserini puts a space behind it
        "tokenizer_name": spec.model,
        "fp16": spec.dtype == "float16",
    }
    if not any(word in name.lower() for word in _GUESSED_BY):
        has |= {"pooling": spec.pooling, "l2_norm": spec.l2_norm}
    for setting, value in settings.items():
        # False and None are what stock Pyserini passes where the user says nothing.
        said = setting in has and (value is not None if setting == "pooling" else bool(value))
        if said and (value.rstrip() if setting == "prefix" else value) != has[setting]:
            raise XqgError(
                f"{setting} {value!r}: the encoder's specification decides, which says "
                f"{has[setting]!r}; leave it out"
            )


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
    maps : Maps, path-like or None
        For a mu above 0: maps, or the index that has them.
    spec : EncoderSpec or None
        Instead of the one saved with the model, or of the preset of that name.
    trust_remote_code : bool
        Run the Python that comes with the model.
    **kwargs
        As in `XqgQueryEncoder`.

    Raises
    ------
    XqgError
        If the model cannot be loaded, and for a setting that the specification has not.
    """

    def __init__(
        self,
        model_name: str,
        device: str | None = None,
        *,
        batch_size: int = 64,
        fusion: Fusion | None = None,
        maps: Maps | str | Path | None = None,
        spec: EncoderSpec | None = None,
        trust_remote_code: bool = False,
        **kwargs: Any,
    ) -> None:
        if spec is None:
            model_folder(Named(model_name, trust_remote_code=trust_remote_code))
            spec = EncoderSpec.resolve(model_name)
        spec.check_pooling()  # what stock Pyserini passes is its default
        _check_agrees(spec, model_name, kwargs)
        self.encoder = Encoder(
            spec, device=device, batch_size=batch_size, trust_remote_code=trust_remote_code
        )
        self.fusion = Fusion() if fusion is None else fusion
        check_fusion(self.fusion)
        self.maps = load_maps(maps) if isinstance(maps, str | Path) else maps
        if bool(self.fusion.mu) != (self.maps is not None):
            raise XqgError(
                f"mu {self.fusion.mu} with{'' if self.maps else 'out'} maps: the two go together, "
                'as in fusion=Fusion(method="mean", alpha=0.3, mu=2), maps="INDEX"'
            )
        self.has_model = True

    def encode(
        self,
        texts: Sequence[str],
        titles: Sequence[str] | None = None,
        queries: Sequence[Mapping[str, Sequence[str]]] | None = None,
        docids: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> NDArray[np.float32]:
        """Vectors of passages, fused with their generated queries where these are given.

        Parameters
        ----------
        texts, titles : sequence of str
        queries : sequence of mapping, optional
            For each passage its queries by language; none, {}.
        docids : sequence of str, optional
            With a mu, for passages that the maps were fitted on: a passage's own queries are then
            never in what is expected of it.
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
            if self.maps is None:
                return vectors
            queries = [{} for _ in texts]  # what the maps expect makes up for them
        if len(queries) != len(texts):
            raise XqgError(f"{len(queries)} mappings of queries for {len(texts)} texts")
        languages = sorted({language for of_passage in queries for language in of_passage})
        self.fusion.check(languages if self.maps is None else self.maps.languages)
        sums, counts, _ = encode_generated(queries, languages, self.encoder)
        names = [str(row) for row in range(len(texts))] if docids is None else list(docids)
        block = Block(names, vectors, sums, counts)
        if self.maps is None:
            return self.fusion.apply(block)
        if missing := [code for code in languages if code not in self.maps.languages]:
            raise XqgError(
                f"queries in {missing[0]!r}, which there is no map for; there are "
                f"{' '.join(self.maps.languages)}"
            )
        folds = np.full(len(texts), -1) if docids is None else None
        return self.fusion.apply(block, predictions=self.maps.predictions(block, folds))


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
    trust_remote_code : bool
        Run the Python that comes with the encoder. Never taken from the index.
    **kwargs
        Stock Pyserini's other arguments: they belong to the specification and may not differ. Of a
        model or index whose name holds a word that stock Pyserini guesses pooling and norm from
        (``contriever``), these two are not looked at: they are its guess, not the user's wish.

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
        trust_remote_code: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        path = Path(encoder_dir)
        if (path / MANIFEST).is_file():
            self.encoder = open_encoder(
                path, encoder, device, batch_size, trust_remote_code=trust_remote_code
            )
        elif (path / SPEC_FILE).is_file():
            spec = EncoderSpec.resolve(encoder or str(path))
            self.encoder = TopicEncoder(
                spec, device=device, batch_size=batch_size, trust_remote_code=trust_remote_code
            )
            self.encoder.loaded  # noqa: B018 - a model that is none is refused here
        else:
            raise XqgError(
                f"{path} is neither an xQG index (no {MANIFEST}) nor a model folder with a saved "
                f"specification (no {SPEC_FILE}); for other models use --encoder-class auto"
            )
        _check_agrees(self.encoder.spec, str(path), kwargs)
        self.has_model = True

    def encode(self, query: str, **kwargs: Any) -> NDArray[np.float32]:
        """The vector of one topic, shape ``(d,)``, float32."""
        vector: NDArray[np.float32] = self.encoder.encode_queries([query])[0]
        return vector

    def encode_batch(self, queries: Sequence[str], **kwargs: Any) -> NDArray[np.float32]:
        """The vectors of topics, shape ``(len(queries), d)``, float32."""
        return self.encoder.encode_queries(queries)
