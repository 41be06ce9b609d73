"""The versions of what decides bytes, as outputs record them."""

from __future__ import annotations


def versions() -> dict[str, str]:
    """The versions of the libraries that decide bytes."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in (
        "pyserini_xqg",
        "torch",
        "transformers",
        "tokenizers",
        "numpy",
        "faiss-cpu",
        "onnxruntime",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # faiss may have come as faiss or faiss-gpu
            found[name] = "unknown"
    return found
