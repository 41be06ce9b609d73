"""Clean generated queries: ``python -m pyserini_xqg.filter``."""
