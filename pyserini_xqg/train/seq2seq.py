"""transformers' trainer, set up for pairs and a model of the T5 family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.loading import SEQ2SEQ, load_config, load_model, load_tokenizer
from pyserini_xqg.generate.prompts import fill
from pyserini_xqg.generate.settings import T5_FAMILY
from pyserini_xqg.train.pairs import Pair
from pyserini_xqg.train.progress import progress
from pyserini_xqg.train.resume import step_options, trainer_arguments
from pyserini_xqg.train.settings import GeneratorSettings, start_of

if TYPE_CHECKING:
    import torch


def make_trainer(
    pairs: Sequence[Pair],
    dev_pairs: Sequence[Pair],
    work: Path,
    settings: GeneratorSettings,
    device: str | None,
) -> tuple[Any, Any]:
    """The trainer, ready to go, and the tokenizer; checkpoints go to `work`.

    Raises
    ------
    XqgError
        For a model that is not there, is not of the T5 family or sees tokens that it is to predict,
        or a device that is not there.
    """
    from transformers import (
        DataCollatorForSeq2Seq,
        PrinterCallback,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
    )

    arguments = trainer_arguments(
        Seq2SeqTrainingArguments,
        work,
        device=device,
        best="eval_loss",
        load_best_model_at_end=True,
        **step_options(settings),
    )
    named = start_of(settings)
    kind = load_config(named).model_type
    if kind not in T5_FAMILY:
        raise XqgError(
            f"--model {settings.model}: a model of type {kind!r}; expected {', '.join(T5_FAMILY)}"
        )
    tokenizer = load_tokenizer(named)
    model = load_model(named, SEQ2SEQ, tokenizer).float()
    check_order(model, settings.model)
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=Examples(pairs, tokenizer, settings),
        eval_dataset=Examples(dev_pairs, tokenizer, settings),
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
        processing_class=tokenizer,
        compute_loss_func=token_mean,
        callbacks=[progress()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, tokenizer


def check_order(model: Any, name: str) -> None:
    """Refuse a decoder that reads on while it learns, as umT5's does in transformers 5.17.

    Its loss falls all the same, and it generates nothing of use.

    Raises
    ------
    XqgError
        If a later token changes the logits before it.
    """
    import torch
    import transformers

    model.eval()
    prompt = torch.tensor([[3, 4, 5]])
    with torch.inference_mode():
        one, other = (
            model(input_ids=prompt, decoder_input_ids=torch.tensor([[0, 3, last]])).logits[0, :2]
            for last in (4, 5)
        )
    if not torch.allclose(one, other, atol=1e-4 * float(one.abs().max())):
        raise XqgError(
            f"--model {name}: its decoder sees the tokens that it is to predict, as transformers "
            f"{transformers.__version__} computes it; install another version of transformers"
        )


class Examples:
    """Pairs as the trainer takes them, tokenized when they are asked for.

    Training and dev pairs both go through here: one prompt, which is also that of
    `pyserini_xqg.generate`.
    """

    def __init__(self, pairs: Sequence[Pair], tokenizer: Any, settings: GeneratorSettings) -> None:
        self._pairs, self._tokenizer, self._settings = pairs, tokenizer, settings

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, row: int) -> dict[str, list[int]]:
        pair, known = self._pairs[row], self._settings
        prompt = fill(known.template, pair.language, pair.title, pair.text)
        read = self._tokenizer(prompt, truncation=True, max_length=known.max_length)
        query = self._tokenizer(
            text_target=pair.query, truncation=True, max_length=known.query_max_length
        )
        return {
            "input_ids": read["input_ids"],
            "attention_mask": read["attention_mask"],
            "labels": query["input_ids"],
        }


def token_mean(
    outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Cross-entropy, a mean over the tokens of the whole effective batch.

    transformers takes a T5's own loss for one that is divided by the accumulation steps already,
    which it is not: gradients would grow with them.
    """
    from torch.nn.functional import cross_entropy

    logits = outputs["logits"].float()
    total = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
    mean: torch.Tensor = total / count
    return mean
