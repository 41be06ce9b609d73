"""Encoders people use, by exact hub name, with what their authors trained and pooled them for."""

from __future__ import annotations

from typing import Any, NamedTuple


class Preset(NamedTuple):
    """Settings of a published encoder.

    Attributes
    ----------
    model : str
        Its name on the Hugging Face hub.
    settings : dict
        Fields of `pyserini_xqg.encoder.spec.EncoderSpec` that differ from their defaults.
    trained_on : tuple of str
        The retrieval training sets that its authors name, so that overlap with a test set is seen.
    """

    model: str
    settings: dict[str, Any]
    trained_on: tuple[str, ...]


_E5 = {
    "pooling": "mean",
    "l2_norm": True,
    "query_prefix": "query: ",
    "passage_prefix": "passage: ",
    "max_length": 512,
    "query_max_length": 512,
}
_E5_DATA = (
    "mC4",
    "CCNews",
    "NLLB",
    "Wikipedia",
    "Reddit",
    "S2ORC",
    "StackExchange",
    "xP3",
    "MS MARCO",
    "NQ",
    "TriviaQA",
    "SQuAD",
    "NLI",
    "ELI5",
    "DuReader",
    "FEVER",
    "HotpotQA",
    "Quora",
    "Mr. TyDi",
    "MIRACL",
)
_CLS_L2 = {"pooling": "cls", "l2_norm": True, "max_length": 512, "query_max_length": 512}
# The paper's own pipeline (github.com/ielab/xQG4xDR): tied encoder, CLS, no norm, 32 and 128
# tokens, generated queries through the passage side, cut at 32 tokens.
_XDR = {
    "pooling": "cls",
    "max_length": 128,
    "query_max_length": 32,
    "generated_queries_as": "passage",
}
_QWEN = {
    "pooling": "last",
    "l2_norm": True,
    "max_length": 512,
    "query_max_length": 512,
    "query_prefix": "Instruct: Given a web search query, retrieve relevant passages that answer "
    "the query\nQuery:",
}

#: By the name that ``--preset`` takes. ``--encoder`` with one of the models' exact names finds its
#: preset too; a name that only resembles one never does.
PRESETS = {
    "xdr": Preset("ielabgroup/bert-base-multilingual-cased-xor-tydi", _XDR, ("XOR-TyDi", "NQ")),
    "mdpr": Preset("castorini/mdpr-tied-pft-msmarco", {"pooling": "cls"}, ("MS MARCO",)),
    "mdpr-nq": Preset("castorini/mdpr-tied-pft-nq", {"pooling": "cls"}, ("NQ",)),
    "mcontriever": Preset("facebook/mcontriever", {"pooling": "mean"}, ("CC-100",)),
    "mcontriever-msmarco": Preset(
        "facebook/mcontriever-msmarco", {"pooling": "mean"}, ("CC-100", "MS MARCO")
    ),
    "e5-small": Preset("intfloat/multilingual-e5-small", _E5, _E5_DATA),
    "e5-base": Preset("intfloat/multilingual-e5-base", _E5, _E5_DATA),
    "e5-large": Preset("intfloat/multilingual-e5-large", _E5, _E5_DATA),
    "bge-m3": Preset(
        "BAAI/bge-m3",
        _CLS_L2,
        (
            "MIRACL",
            "Mr. TyDi",
            "MS MARCO",
            "NQ",
            "HotpotQA",
            "TriviaQA",
            "SQuAD",
            "DuReader",
            "MLDR",
        ),
    ),
    "arctic-l-v2": Preset(
        "Snowflake/snowflake-arctic-embed-l-v2.0",
        {**_CLS_L2, "query_prefix": "query: "},
        ("MS MARCO", "NQ", "HotpotQA", "FEVER", "MIRACL", "MLDR"),
    ),
    # Runs its authors' code from the hub: loads only with --trust-remote-code.
    "gte-multilingual": Preset(
        "Alibaba-NLP/gte-multilingual-base",
        _CLS_L2,
        (
            "MS MARCO",
            "NQ",
            "TriviaQA",
            "HotpotQA",
            "SQuAD",
            "FEVER",
            "MIRACL",
            "Mr. TyDi",
            "MLDR",
            "DuReader",
        ),
    ),
    "qwen3-0.6b": Preset(
        "Qwen/Qwen3-Embedding-0.6B",
        _QWEN,
        (
            "synthetic",
            "MS MARCO",
            "NQ",
            "HotpotQA",
            "NLI",
            "DuReader",
            "MIRACL",
            "MLDR",
            "Mr. TyDi",
        ),
    ),
}

BY_MODEL = {preset.model: preset for preset in PRESETS.values()}
