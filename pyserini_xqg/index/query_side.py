"""The encoder that an index was built with, for its topics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.index.manifest import MANIFEST, read_manifest

if TYPE_CHECKING:
    from pyserini_xqg.encoder.encoder import Encoder


def open_encoder(
    index: str | Path,
    encoder: str | None = None,
    device: str | None = None,
    batch_size: int = 64,
) -> Encoder:
    """The encoder of an index, checked against the index's probes.

    Parameters
    ----------
    index : path-like
        A dense index of ours.
    encoder : str or None
        Another place of the same model.
    device : str or None
    batch_size : int

    Raises
    ------
    XqgError
        If it cannot be loaded, or is not the one that the index was built with.
    """
    from pyserini_xqg.encoder.encoder import Encoder

    path, manifest = Path(index), read_manifest(index)
    if "encoder" not in manifest:
        raise XqgError(f"{path} is a {manifest['kind']} index and has no encoder")
    spec = EncoderSpec.from_dict(manifest["encoder"], str(path / MANIFEST)).at(encoder)
    loaded = Encoder(spec, device=device, batch_size=batch_size)
    check_probes(loaded, manifest["probes"], str(path))
    return loaded
