"""How a retriever is trained: the settings, and those of the paper by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError, check_positive
from pyserini_xqg.encoder.presets import PRESETS as ENCODERS
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.train.settings import DTYPES, check_learning_rate

# Zhuang et al., SIGIR 2023: 1 positive and 7 negatives a query and those of the others in the
# batch; dot products without a scale.
_PAPER = {
    "learning_rate": 1e-5,
    "epochs": 40,
    "effective_batch_size": 128,
    "negatives": 7,
    "warmup": 0.1,
    "tied": True,
    **ENCODERS["xdr"].settings,
}
#: By the name that ``--preset`` takes, each for the training data that it is named after: the
#: paper's zero-shot retriever is trained as the other one, on English alone.
PRESETS: dict[str, dict[str, Any]] = {"xor-tydi": _PAPER, "nq-zero-shot": _PAPER}
#: What scores are multiplied by where vectors have length 1: between -1 and 1, they would tell the
#: softmax next to nothing.
_UNIT_SCALE = 20.0
#: What the encoder's specification and the settings have in common.
_ENCODER = (
    "pooling", "l2_norm", "query_prefix", "passage_prefix", "query_max_length", "max_length",
    "generated_queries_as",
)  # fmt: skip


@dataclass(frozen=True)
class RetrieverSettings:
    """What decides the trained weights, apart from the examples.

    Attributes
    ----------
    model : str
        Hub name or folder of the model to start from: anything that AutoModel loads.
    learning_rate : float
        At its highest; it rises over the `warmup` part of all steps, and then falls to 0, both in
        a straight line.
    epochs : int
        Times that every example is seen.
    effective_batch_size : int
        Queries behind each update, on all devices together: each learns from all their passages.
    negatives : int
        Passages that do not answer, of its own for each query. Files without any need none.
    warmup : float
        A part of all steps.
    tied : bool
        Whether one model encodes queries and passages, or each has one of its own.
    scale : float
        What scores are multiplied by before the softmax: 1 / temperature.
    pooling, l2_norm, query_prefix, passage_prefix, query_max_length, max_length, \
generated_queries_as
        The encoder's specification (`EncoderSpec`), which is saved with it.
    batch_size : int
        Texts that go through the model together; gradients of the whole batch are kept by GradCache
        (Gao et al., 2021) where it holds more.
    eval_steps : int or None
        Updates between two evaluations, each with a checkpoint; None is once an epoch.
    dtype : {"float32", "bfloat16"}
        What the model computes in; its weights are kept in float32.
    seed : int
        Of the examples' order, their passages, and dropout.
    revision : str or None
        Revision on the hub.
    """

    model: str
    learning_rate: float
    epochs: int
    effective_batch_size: int
    negatives: int
    warmup: float
    tied: bool
    scale: float
    pooling: str
    l2_norm: bool
    query_prefix: str
    passage_prefix: str
    query_max_length: int
    max_length: int
    generated_queries_as: str
    batch_size: int = 32
    eval_steps: int | None = None
    dtype: str = "float32"
    seed: int = 0
    revision: str | None = None

    def __post_init__(self) -> None:
        check_positive(
            self, "epochs", "batch_size", "query_max_length", "max_length",
            *(() if self.eval_steps is None else ("eval_steps",)),
        )  # fmt: skip
        if self.effective_batch_size < 2:
            raise XqgError(
                f"--effective-batch-size {self.effective_batch_size}: expected at least 2, as each "
                "query learns from the passages of the others"
            )
        if self.negatives < 0:
            raise XqgError(f"--negatives {self.negatives}: expected 0 or more")
        check_learning_rate(self)
        if not 0 <= self.warmup < 1:
            raise XqgError(f"--warmup {self.warmup}: expected a part of all steps, below 1")
        if not self.scale > 0:
            raise XqgError(f"--scale {self.scale}: expected above 0")
        if self.dtype not in DTYPES:
            raise XqgError(f"--dtype {self.dtype!r} is none of {', '.join(DTYPES)}")
        if self.dtype == "float16":
            raise XqgError(
                "--dtype float16: dot products of a whole batch overflow it; take bfloat16, which "
                "has the range of float32, or float32"
            )
        self.spec(self.model)

    @classmethod
    def resolve(cls, model: str, preset: str | None = None, **given: Any) -> RetrieverSettings:
        """The settings for a model.

        Parameters
        ----------
        model : str
            Hub name or folder.
        preset : str or None
            A key of `PRESETS`. Without one training goes as in the paper, and a model that is a
            retriever already (a saved specification in its folder, or the exact name of one that
            `pyserini_xqg.presets` lists) is pooled, prefixed and cut as it was.
        **given
            Fields that go before those; None leaves a field alone.

        Raises
        ------
        XqgError
            For an unknown preset, a start with two models, and for settings that do not fit.
        """
        if preset is not None and preset not in PRESETS:
            raise XqgError(f"--preset {preset!r} is none of {', '.join(PRESETS)}")
        spec = EncoderSpec.resolve(model)
        known = preset is None and spec.pooling is not None
        spec = spec if known else EncoderSpec(model)
        if spec.query_model is not None:
            raise XqgError(
                f"--model {model} encodes queries with another model, {spec.query_model}; training "
                "starts from one model: give that one's folder, or a --preset"
            )
        chosen = {name: getattr(spec, name) for name in _ENCODER}
        chosen |= {
            name: value
            for name, value in PRESETS[preset or "xor-tydi"].items()
            if not (known and name in _ENCODER)
        }
        chosen |= {name: value for name, value in given.items() if value is not None}
        chosen.setdefault("scale", _UNIT_SCALE if chosen["l2_norm"] else 1.0)
        if Path(model).is_dir():  # a run is taken up from any working directory
            model = str(Path(model).resolve())
        return cls(model, **chosen)

    def spec(self, model: str, query_model: str | None = None) -> EncoderSpec:
        """The specification of the trained encoder, to be found in `model`."""
        given = {name: getattr(self, name) for name in _ENCODER}
        return EncoderSpec(model, query_model=query_model, **given)
