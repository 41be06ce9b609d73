"""Encode passages and their generated queries into an embedding store, or straight to an index.

``python -m pyserini_xqg.encode input ... output ... encoder ... [xqg ...]``: the groups and flags
of ``pyserini.encode``, and a fourth group for the generated queries.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyserini_xqg.base.errors import run_command
from pyserini_xqg.encode.command import encode_here, encode_on_ray
from pyserini_xqg.encode.groups import parse_groups


def main(argv: Sequence[str] | None = None) -> None:
    groups = parse_groups(sys.argv[1:] if argv is None else list(argv))
    (encode_on_ray if groups.input.engine == "ray" else encode_here)(groups)


if __name__ == "__main__":
    run_command(main)
