"""Whether stores and indexes still are what was written: ``python -m pyserini_xqg.verify``."""
