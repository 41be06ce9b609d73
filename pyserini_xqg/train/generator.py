"""Fine-tuning of a T5, mT5 or umT5 that writes queries, with transformers' own trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.versions import versions
from pyserini_xqg.encoder.loading import SEQ2SEQ, load_config, load_model, load_tokenizer
from pyserini_xqg.generate.prompts import fill
from pyserini_xqg.generate.settings import T5_FAMILY
from pyserini_xqg.train.pairs import Pair, read_pairs
from pyserini_xqg.train.progress import progress, quiet
from pyserini_xqg.train.resume import (
    MANIFEST,
    Tokenized,
    check_packages,
    digest_of,
    step_arguments,
    train_into,
)
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

    arguments = step_arguments(Seq2SeqTrainingArguments, work, settings, device, dev=True)
    named = start_of(settings)
    kind = load_config(named).model_type
    if kind not in T5_FAMILY:
        raise XqgError(
            f"--model {settings.model}: a model of type {kind!r}; expected {', '.join(T5_FAMILY)}"
        )
    tokenizer = load_tokenizer(named)
    model = load_model(named, SEQ2SEQ, tokenizer).float()
    check_order(model, settings.model)
    encode = partial(example, tokenizer, settings)
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=Tokenized(pairs, encode),
        eval_dataset=Tokenized(dev_pairs, encode),
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


def example(tokenizer: Any, settings: GeneratorSettings, pair: Pair) -> dict[str, list[int]]:
    """A pair in tokens, to train on or not: one prompt, also that of `pyserini_xqg.generate`."""
    prompt = fill(settings.template, pair.language, pair.title, pair.text)
    read = tokenizer(prompt, truncation=True, max_length=settings.max_length)
    query = tokenizer(text_target=pair.query, truncation=True, max_length=settings.query_max_length)
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


def train_generator(
    data: Sequence[str | Path],
    dev: Sequence[str | Path],
    output: str | Path,
    settings: GeneratorSettings,
    *,
    languages: Sequence[str] = (),
    device: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train a generator, and keep the weights of the lowest loss on the dev pairs.

    A run that was killed goes on at its last checkpoint when it is called again, and on a CPU ends
    with the weights of an unbroken one.

    Parameters
    ----------
    data, dev : sequence of path-like
        Training and dev pairs, as `pyserini_xqg.train.pairs.read_pairs` reads them.
    output : path-like
        The folder to make: model, tokenizer, ``losses.csv``, ``losses.png``, ``training.json``.
    settings : GeneratorSettings
    languages : sequence of str
        For rows that do not say theirs.
    device : {"cpu", "cuda"} or None
        By default the first GPU, or the CPU.
    overwrite : bool
        Replace an existing folder, and start anew instead of resuming.

    Returns
    -------
    dict
        What ``training.json`` says.

    Raises
    ------
    XqgError
        For broken input, a model that is not of the T5 family, an existing output, a missing
        package, or a loss that is not finite.
    """
    check_packages("accelerate")
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        pairs = read_pairs(data, languages)
        dev_pairs = read_pairs(dev, languages)
        plan = {
            **asdict(settings),
            "data": {"pairs": len(pairs), "digest": digest_of(pairs)},
            "dev": {"pairs": len(dev_pairs), "digest": digest_of(dev_pairs)},
        }
        folder.start(plan, {})

        with quiet():
            trainer, tokenizer = make_trainer(pairs, dev_pairs, folder.work, settings, device)
            best = train_into(folder, trainer, tokenizer, settings.batch_size, "pairs")
            _save(trainer.model, folder.partial)
        manifest = {**plan, "best": best, "versions": versions()}
        folder.finish(manifest, keep_log=False)
    return manifest


def _save(model: Any, path: Path) -> None:
    """Save a model so that all versions of transformers load what was trained.

    Version 5 calls every T5 tied, in which earlier ones would overwrite the output layer; and
    whether hidden states are scaled before that layer is read from the same word.
    """
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    model.config.tie_word_embeddings = getattr(model.config, "scale_decoder_outputs", tied)
    model.save_pretrained(path)
