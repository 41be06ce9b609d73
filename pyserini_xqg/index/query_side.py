"""The encoder that an index was built with, for its topics."""

from __future__ import annotations

from pathlib import Path

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.index.manifest import MANIFEST, read_manifest


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
