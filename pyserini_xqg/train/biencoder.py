"""The retriever as sentence-transformers trains it, and as other programs load it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import write_json
from pyserini_xqg.encoder.folder import POOLING_NAMES, read_folder
from pyserini_xqg.encoder.hub import model_folder
from pyserini_xqg.encoder.loading import quiet
from pyserini_xqg.encoder.spec import SPEC_FILE
from pyserini_xqg.encoder.transformer import load_encoder
from pyserini_xqg.train.draws import Draws
from pyserini_xqg.train.progress import progress
from pyserini_xqg.train.resume import trainer_arguments
from pyserini_xqg.train.retriever_settings import RetrieverSettings
from pyserini_xqg.train.settings import start_of

#: The query side of untied encoders, inside the folder of the passage side.
QUERY_SIDE = "query"


def make_model(settings: RetrieverSettings) -> Any:
    """A SentenceTransformer that starts from the settings' model, in float32 on the CPU.

    Untied encoders are a `Router` over two of them.

    Raises
    ------
    XqgError
        If the model cannot be loaded.
    """
    from sentence_transformers.sentence_transformer.modules import Router

    loaded = load_encoder(start_of(settings))  # which says best what is wrong
    if loaded.layers is not None or loaded.side is not None:
        raise XqgError(
            f"--model {settings.model} is more than a transformer and its pooling (a Dense layer, "
            "or one side of DPR), which training would drop; start from another model"
        )
    if settings.tied:
        return _wrapped(_modules(settings), settings)
    router = Router.for_query_document(_modules(settings), _modules(settings))
    return _wrapped([router], settings)


def _modules(settings: RetrieverSettings) -> list[Any]:
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    folder = model_folder(start_of(settings))
    with quiet():
        transformer = Transformer(str(read_folder(folder).transformer)).float()
    limit = transformer.tokenizer.model_max_length
    transformer.query_length = min(settings.query_max_length, limit)
    transformer.document_length = transformer.max_seq_length = min(settings.max_length, limit)
    pooling = Pooling(transformer.get_embedding_dimension(), POOLING_NAMES[settings.pooling])
    return [transformer, pooling, *([Normalize()] if settings.l2_norm else [])]


def _wrapped(modules: Sequence[Any], settings: RetrieverSettings) -> Any:
    from sentence_transformers import SentenceTransformer

    prompts = {"query": settings.query_prefix, "document": settings.passage_prefix}
    return SentenceTransformer(
        modules=list(modules), prompts=prompts, similarity_fn_name="dot", device="cpu"
    )


def make_trainer(
    model: Any,
    draws: Draws,
    order: tuple[Sequence[int], Sequence[int]],
    work: Path,
    settings: RetrieverSettings,
    *,
    devices: int,
    device: str | None,
    scores: Callable[[Any], dict[str, float]] | None,
) -> Any:
    """sentence-transformers' trainer, ready to go; checkpoints go to `work`.

    Parameters
    ----------
    model : SentenceTransformer
    draws : Draws
    order : two sequences of int
        Rows and epochs, as `pyserini_xqg.train.draws.schedule` has them.
    work : Path
    settings : RetrieverSettings
    devices : int
        Processes that train together.
    device : {"cpu", "cuda"} or None
    scores : callable or None
        From a model to its scores on dev data, ``mrr`` among them.

    Raises
    ------
    XqgError
        For a device that is not there.
    """
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.evaluation import BaseEvaluator
    from transformers import PrinterCallback

    class Trainer(SentenceTransformerTrainer):  # type: ignore[misc]
        def add_model_card_callback(self, default_args_dict: Any) -> None:
            """Write no card: it would ask the hub, and quote the training data."""

    class Evaluator(BaseEvaluator):  # type: ignore[misc]
        def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
            return {} if scores is None else scores(model)

    sides = {name: "query" if name == "query" else "document" for name in draws.names}
    prefixes = {"query": settings.query_prefix, "document": settings.passage_prefix}
    rows, epochs = order
    an_epoch = max(1, len(rows) // settings.epochs // settings.effective_batch_size)
    arguments = trainer_arguments(
        SentenceTransformerTrainingArguments,
        work,
        dtype=settings.dtype,
        device=device,
        eval_steps=settings.eval_steps or an_epoch,
        best="eval_mrr" if scores else None,
        greater_is_better=True,
        num_train_epochs=1,  # the order holds them all
        per_device_train_batch_size=settings.effective_batch_size // devices,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        batch_sampler=_in_order,
        dataloader_drop_last=True,
        router_mapping=sides,
        prompts={name: prefixes[side] for name, side in sides.items() if prefixes[side]},
        seed=settings.seed,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": rows, "epoch": epochs}).with_transform(
            draws.columns
        ),
        loss=_loss(model, settings, devices),
        evaluator=Evaluator() if scores else None,
        callbacks=[progress("eval_mrr" if scores else None, "dev MRR")],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _in_order(dataset: Any, batch_size: int, drop_last: bool, **_: Any) -> Any:
    """Batches as they stand in the order; with several devices each takes its part of them."""
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler

    return DefaultBatchSampler(SequentialSampler(dataset), batch_size, drop_last)


def _loss(model: Any, settings: RetrieverSettings, devices: int) -> Any:
    """Cross-entropy of each query's positive among all passages of the effective batch."""
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
        MultipleNegativesRankingLoss,
    )
    from sentence_transformers.util import dot_score

    options = {
        "scale": settings.scale,
        "similarity_fct": dot_score,
        "gather_across_devices": devices > 1,
    }
    if settings.batch_size >= settings.effective_batch_size // devices:
        return MultipleNegativesRankingLoss(model, **options)
    return CachedMultipleNegativesRankingLoss(model, mini_batch_size=settings.batch_size, **options)


def save_model(model: Any, folder: Path, settings: RetrieverSettings) -> None:
    """Save as models of transformers and sentence-transformers, with the encoder's specification.

    The passage side is `folder` itself; the query side, if it is another, is in it.
    """
    sides = {folder: list(model)}
    if not settings.tied:
        router = model[0].sub_modules
        sides = {folder: list(router["document"]), folder / QUERY_SIDE: list(router["query"])}
    for path, modules in sides.items():
        _wrapped(modules, settings).save_pretrained(str(path), create_model_card=False)
    spec = settings.spec("", None if settings.tied else QUERY_SIDE).to_dict()
    spec.pop("model")  # it is where the file is
    write_json(folder / SPEC_FILE, spec)
