"""Dense indexes of every kind, searched with topics' vectors, and the encoder that makes these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.index.export import FORMS
from pyserini_xqg.index.faiss_vectors import FaissVectors
from pyserini_xqg.index.hits import DenseIndex
from pyserini_xqg.index.lucene import FLAT, HNSW, LuceneVectors
from pyserini_xqg.index.manifest import MANIFEST, read_manifest
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.index.routed import Routed


def open_dense(path: str | Path) -> DenseIndex:
    """Open an index of ours by its kind.

    Raises
    ------
    XqgError
        If the folder holds no dense index of ours.
    """
    path, manifest = Path(path), read_manifest(path)
    check_searchable(path, manifest)
    return _KINDS[manifest["kind"]](path, manifest)


def check_searchable(path: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse what cannot be searched with vectors.

    Raises
    ------
    XqgError
        Saying what to do instead.
    """
    kind = manifest["kind"]
    if kind in FORMS:
        raise XqgError(
            f"{path} is a {kind} export for other software, not an index; to search the store here "
            "give index another --to"
        )
    if kind not in _KINDS:
        raise XqgError(f"{path} is a {kind} index; expected one of {', '.join(_KINDS)}")


_KINDS: dict[str, Callable[[Path, Mapping[str, Any]], DenseIndex]] = {
    "faiss": FaissVectors,
    MAX_SIM: FaissVectors,
    FLAT: LuceneVectors,
    HNSW: LuceneVectors,
    "routed": lambda path, manifest: Routed(path, manifest, open_dense),
}


def open_encoder(
    index: str | Path,
    encoder: str | None = None,
    device: str | None = None,
    batch_size: int = 64,
    *,
    keep: bool = True,
    trust_remote_code: bool = False,
) -> TopicEncoder:
    """The encoder of an index, checked against the index's probes.

    Parameters
    ----------
    index : path-like
        A dense index of ours.
    encoder : str or None
        Another place of the same model.
    device : str or None
    batch_size : int
    keep : bool
        The vectors of topics, for the next time.
    trust_remote_code : bool
        Run the Python that comes with the model. Never taken from the index.

    Raises
    ------
    XqgError
        If it cannot be loaded, or is not the one that the index was built with.
    """
    path, manifest = Path(index), read_manifest(index)
    if "encoder" not in manifest:
        raise XqgError(f"{path} is a {manifest['kind']} index and has no encoder")
    spec = EncoderSpec.from_dict(manifest["encoder"], str(path / MANIFEST)).at(encoder)
    topics = TopicEncoder(
        spec,
        device=device,
        batch_size=batch_size,
        keep=keep,
        trust_remote_code=trust_remote_code,
    )
    check_probes(topics, manifest["probes"], str(path))
    return topics
