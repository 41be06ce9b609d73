"""Further pre-training of an encoder on texts (MLM) and on parallel texts (TLM)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError, check_positive
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.versions import versions
from pyserini_xqg.encoder.loading import MASKED_LM, load_model, load_tokenizer
from pyserini_xqg.train.examples import passage_text, read_examples, read_texts
from pyserini_xqg.train.progress import progress, quiet
from pyserini_xqg.train.resume import (
    MANIFEST,
    Tokenized,
    check_packages,
    digest_of,
    step_arguments,
    train_into,
)
from pyserini_xqg.train.settings import (
    DTYPES,
    check_batches,
    check_learning_rate,
    start_of,
)

#: A text, or a text and its translation.
Row = tuple[str] | tuple[str, str]


@dataclass(frozen=True)
class LanguageModelSettings:
    """What decides the trained weights, apart from the texts.

    Attributes
    ----------
    model : str
        Hub name or folder of the encoder to go on with.
    learning_rate : float
        At the start; it falls to 0 in a straight line.
    max_steps : int
        Updates of the weights.
    effective_batch_size : int
        Texts behind each update.
    max_length : int
        Tokens of a text, or of a text and its translation together.
    masked : float
        The part of the tokens that is to be guessed.
    eval_steps : int
        Updates between evaluations, each with a checkpoint.
    batch_size : int
        Texts at a time; gradients accumulate over so many as the effective batch size needs.
    dtype : {"float32", "bfloat16"}
        What the model computes in; its weights are kept in float32.
    seed : int
        Of the texts' order, the masks and dropout.
    revision : str or None
        Revision on the hub.
    """

    model: str
    learning_rate: float = 5e-5
    max_steps: int = 10_000
    effective_batch_size: int = 64
    max_length: int = 128
    masked: float = 0.15
    eval_steps: int = 500
    batch_size: int = 16
    dtype: str = "float32"
    seed: int = 0
    revision: str | None = None

    def __post_init__(self) -> None:
        check_positive(
            self, "max_steps", "effective_batch_size", "max_length", "eval_steps", "batch_size"
        )
        check_learning_rate(self)
        if not 0 < self.masked < 1:
            raise XqgError(f"--masked {self.masked}: expected a part of the tokens, below 1")
        check_batches(self)
        if self.dtype not in DTYPES[:2]:
            raise XqgError(f"--dtype {self.dtype!r} is none of {', '.join(DTYPES[:2])}")


def train_language_model(
    output: str | Path,
    settings: LanguageModelSettings,
    *,
    data: Sequence[str | Path] = (),
    parallel: Sequence[str | Path] = (),
    dev: Sequence[str | Path] = (),
    device: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Let an encoder guess masked tokens, with the translation beside the text where there is one.

    Masked language modelling (Devlin et al., NAACL 2019) on texts, translation language modelling
    (Lample and Conneau, NeurIPS 2019) on pairs: a text and its translation are one input. A run
    that was killed goes on at its last checkpoint.

    Parameters
    ----------
    output : path-like
        The folder to make: model with its head, tokenizer, ``losses.csv``, ``losses.png``,
        ``training.json``.
    settings : LanguageModelSettings
    data : sequence of path-like
        Texts, as `pyserini_xqg.train.examples.read_texts` reads them.
    parallel : sequence of path-like
        Pairs, as `pyserini_xqg.train.examples.read_examples` reads them: a query and its first
        positive passage are a text and its translation.
    dev : sequence of path-like
        Texts for the dev loss, of which the lowest keeps the weights.
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
        For broken input or none, a model or device that is not there, a tokenizer without a mask,
        an existing output, a missing package, or a loss that is not finite.
    """
    check_packages("accelerate")
    if not data and not parallel:
        raise XqgError("nothing to learn from: give --data, --parallel or both")
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        rows: list[Row] = [(text.text,) for text in (read_texts(data) if data else [])]
        texts = len(rows)
        for example in read_examples(parallel) if parallel else []:
            rows.append((example.query, passage_text(example.positives[0])))
        dev_rows: list[Row] = [(text.text,) for text in (read_texts(dev) if dev else [])]
        plan = {
            **asdict(settings),
            "data": {"texts": texts, "pairs": len(rows) - texts, "digest": digest_of(rows)},
            "dev": {"texts": len(dev_rows), "digest": digest_of(dev_rows)},
        }
        folder.start(plan, {})
        with quiet():
            trainer, tokenizer = _make_trainer(rows, dev_rows, folder.work, settings, device)
            best = train_into(folder, trainer, tokenizer, settings.batch_size, "texts")
            trainer.model.save_pretrained(folder.partial)
        manifest = {**plan, "versions": versions(), **({"best": best} if best else {})}
        folder.finish(manifest, keep_log=False)
    return manifest


def _make_trainer(
    rows: Sequence[Row],
    dev_rows: Sequence[Row],
    work: Path,
    settings: LanguageModelSettings,
    device: str | None,
) -> tuple[Any, Any]:
    """The trainer, ready to go, and the tokenizer; checkpoints go to `work`."""
    from transformers import (
        DataCollatorForLanguageModeling,
        PrinterCallback,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    arguments = step_arguments(TrainingArguments, work, settings, device, dev=bool(dev_rows))
    named = start_of(settings)
    tokenizer = load_tokenizer(named)
    if tokenizer.mask_token is None:
        raise XqgError(f"--model {settings.model} has a tokenizer without a mask token")
    set_seed(settings.seed)  # of a head that the model may not have
    model = load_model(named, MASKED_LM, tokenizer).float()

    def encode(row: Row) -> dict[str, Any]:
        limit = settings.max_length
        return dict(
            tokenizer(*row, truncation=True, max_length=limit, return_special_tokens_mask=True)
        )

    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Tokenized(rows, encode),
        eval_dataset=Tokenized(dev_rows, encode) if dev_rows else None,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=settings.masked),
        processing_class=tokenizer,
        callbacks=[progress("eval_loss" if dev_rows else None)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, tokenizer
