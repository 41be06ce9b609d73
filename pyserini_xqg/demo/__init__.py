"""The whole pipeline on a small synthetic collection: ``python -m pyserini_xqg.demo``."""

from __future__ import annotations

from pathlib import Path

#: What the demo reads lies in here.
HERE = Path(__file__).parent

#: A synthetic cross-lingual collection; its README.md says what it must not be used to claim.
XQG_MINI = HERE / "xqg-mini"
#: An encoder of 9 MB that reads eight languages a little; see its README.md.
TINY_ENCODER = HERE / "tiny-encoder"

LANGUAGES = ("ar", "bn", "fi", "ja", "ko", "ru", "te")
#: As ir_measures spells them, and as people do.
MEASURES = {"Success@1": "success@1", "RR@10": "MRR@10"}
#: Tokens for R@kt. The collection's own: official budgets would read a third of it.
BUDGETS = (100, 200)
CAVEAT = (
    "Synthetic collection, tiny model: a check that the pipeline works, not evidence about "
    "retrieval."
)
#: The same where another encoder was given.
CAVEAT_OF_OTHERS = (
    "Synthetic collection: a check that the pipeline works, not evidence about retrieval."
)
#: The environment variable that names a real encoder, taken in place of the tiny one.
ENCODER_VARIABLE = "XQG_E5"
