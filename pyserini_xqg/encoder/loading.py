"""The one place that loads models: what they say of themselves is asked, and their weights judged.

Encoders, generators, cross-encoders, tokenizers and the models that training starts from come
through here, so that each is checked alike: files, weights, tokenizer.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import reason_of
from pyserini_xqg.encoder.hub import Named, model_folder
from pyserini_xqg.encoder.judging import check_output, check_untied, check_weights
from pyserini_xqg.encoder.weights import check_adapter, check_files, check_pointers


class Kind(NamedTuple):
    """A way to use a model.

    Attributes
    ----------
    auto : str
        The class of transformers that loads it.
    output : callable
        From the model and token ids of shape (1, n) to what is used of its output. Weights that
        this does not depend on may be missing.
    own_heads_only : bool
        Whether weights that are left over belong to some other head of the same model, or else
        would change the output.
    """

    auto: str
    output: Callable[[Any, Any], Any]
    own_heads_only: bool = True


def encoder_of(model: Any) -> Any:
    """The part of a model that reads a text, of T5 and its like the encoder.

    The configuration of an encoder that was saved alone may not say that it had a decoder.
    """
    of_two = model.config.is_encoder_decoder or hasattr(model.base_model, "decoder")
    return model.get_encoder() if of_two else model.base_model


def _hidden(model: Any, ids: Any) -> Any:
    part = encoder_of(model)
    return part(input_ids=ids, attention_mask=ids.new_ones(ids.shape)).last_hidden_state


def _logits(model: Any, ids: Any) -> Any:
    return model(input_ids=ids, attention_mask=ids.new_ones(ids.shape)).logits


def _decoded(model: Any, ids: Any) -> Any:
    return model(input_ids=ids, decoder_input_ids=ids).logits


TEXT_ENCODER = Kind("AutoModel", _hidden)
#: With the head of masked language modelling, which is made anew where it is missing.
MASKED_LM = Kind("AutoModelForMaskedLM", _hidden)
CLASSIFIER = Kind("AutoModelForSequenceClassification", _logits)
# Generators come with towers for pictures and heads for several tokens at once.
CAUSAL = Kind("AutoModelForCausalLM", _logits, own_heads_only=False)
SEQ2SEQ = Kind("AutoModelForSeq2SeqLM", _decoded, own_heads_only=False)


def load_config(named: Named) -> Any:
    """A model's configuration.

    Raises
    ------
    XqgError
        If there is no such model, or its configuration cannot be read.
    """
    from transformers import AutoConfig

    folder = model_folder(named)
    check_pointers(folder)
    check_adapter(folder)  # it comes without a configuration
    return _loaded(AutoConfig, named, folder)


def load_tokenizer(named: Named, folder: Path | None = None) -> Any:
    """A model's tokenizer.

    Parameters
    ----------
    named : Named
    folder : Path or None
        Where its files are, if not in the model's own folder.

    Raises
    ------
    XqgError
        If there is none: transformers would make one up, to which all words are unknown. And if it
        cannot read a text.
    """
    from transformers import AutoTokenizer

    folder = folder or model_folder(named)
    check_pointers(folder)
    # AutoTokenizer, never a model's own class: DPR's lowercases cased models (transformers 5).
    tokenizer = _loaded(AutoTokenizer, named, folder)
    specials = len(set(tokenizer.all_special_ids))
    if len(tokenizer) <= specials + 1:
        raise named.error(
            f"it has no tokenizer (tokenizer.json, or a vocabulary; found one of {len(tokenizer)} "
            "entries, to which every word is unknown): save the tokenizer beside the model"
        )
    try:
        tokenizer("a")
    except BaseException as error:  # what ends the tokenizers' native code is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise named.error(
            f"its tokenizer cannot read a text ({reason_of(error)}): save it beside the model again"
        ) from None
    return tokenizer


def load_model(
    named: Named, kind: Kind, tokenizer: Any = None, *, folder: Path | None = None, own: Any = None
) -> Any:
    """A model in evaluation mode, on the CPU, as its weights have it.

    Parameters
    ----------
    named : Named
    kind : Kind
    tokenizer : tokenizer of transformers, optional
        To be checked against the model's embedding.
    folder : Path or None
        Where its files are, if not in the model's own folder.
    own : class or None
        A class of transformers instead of the one that it would choose.

    Raises
    ------
    XqgError
        If it cannot be loaded, if weights that are used are missing, of another shape, left over,
        twice there or zero, and if the tokenizer is another model's.
    """
    import transformers

    folder = folder or model_folder(named)
    if not _quantised(folder):
        check_files(folder)
    auto = own or getattr(transformers, kind.auto)
    model, info = _loaded(
        auto, named, folder, output_loading_info=True, ignore_mismatched_sizes=True
    )
    check_weights(model.eval(), info, named, kind.output, own_heads_only=kind.own_heads_only)
    if kind in (CAUSAL, SEQ2SEQ):
        check_untied(model, folder, named)
    check_output(model, named, kind.output)
    if tokenizer is not None:
        check_tokenizer(tokenizer, model, named)
    return model


def check_tokenizer(tokenizer: Any, model: Any, named: Named) -> None:
    """Refuse a tokenizer that is not of this model, as the number of its entries shows.

    Embeddings have some rows more than there are tokens (mT5: 12, Qwen: 267), never twice as many;
    a token for pictures may have none (Gemma: 1). Words that were added must have theirs.

    Raises
    ------
    XqgError
    """
    rows = embedding_rows(model)
    if rows is None:
        return
    entries = len(tokenizer)
    if entries > rows + max(8, rows // 1000) or entries < rows / 2:
        raise named.error(
            f"its tokenizer has {entries:,} entries and its embedding {rows:,} rows: the tokenizer "
            "is another model's, or part of it is missing; save the model's own beside it"
        )
    if added := [
        str(token)
        for number, token in tokenizer.added_tokens_decoder.items()
        if number >= rows and not token.special
    ]:
        raise named.error(
            f"its tokenizer was given words that its embedding has no row for ({added[0]!r:.40}): "
            "save the model that was resized for them, or the tokenizer without them"
        )
    _pad_within(tokenizer, rows)


def _pad_within(tokenizer: Any, rows: int) -> None:
    """Pad with a token that the model has, since one for padding is often added to a tokenizer.

    No model reads it; but all look its row up.
    """
    if (tokenizer.pad_token_id or 0) < rows:
        return
    for name in ("eos_token", "sep_token", "unk_token", "cls_token", "bos_token"):
        token = getattr(tokenizer, name)
        if token is not None and tokenizer.convert_tokens_to_ids(token) < rows:
            tokenizer.pad_token = token
            return


def embedding_rows(model: Any) -> int | None:
    """How many tokens a model knows; None where it reads characters or bytes."""
    try:
        return int(model.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError, TypeError):
        return None


def positions_of(model: Any) -> int | None:
    """The most tokens that a model can read, or None where no number is fixed."""
    import torch

    limits = []
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if isinstance(module, torch.nn.Embedding) and last in _POSITIONS:
            # RoBERTa and its kin count from behind the padding token, BART from 2.
            skipped = module.padding_idx + 1 if module.padding_idx is not None else 0
            limits.append(int(module.num_embeddings - max(skipped, getattr(module, "offset", 0))))
    if limits:
        return min(limits)
    stated: Any = getattr(model.config, "max_position_embeddings", None)
    return int(stated) if isinstance(stated, int) and stated > 0 else None


_POSITIONS = ("position_embeddings", "wpe", "embed_positions", "position_embedding")


def _quantised(folder: Path) -> bool:
    try:
        return '"quantization_config"' in (folder / "config.json").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _loaded(auto: Any, named: Named, folder: Path, **options: Any) -> Any:
    try:
        with quiet():
            return auto.from_pretrained(
                str(folder), trust_remote_code=named.trust_remote_code, **options
            )
    except MemoryError:
        raise
    # Damaged files raise whatever the library that stumbles over them likes.
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise named.error(
                "it runs Python that comes with it; if you have read that and trust it, say "
                "--trust-remote-code in this very command (it is never taken from a file)"
            ) from None
        reason = reason_of(error).strip().rstrip(".")
        if isinstance(error, (KeyError, TypeError, AttributeError, IndexError)):
            reason = (
                f"a file of it is damaged, or not of this kind ({type(error).__name__}: {reason})"
            )
        if reason.startswith("Weights only load failed"):  # and then advice on how to run it
            reason = (
                "its weights are pickled together with Python, which is never run: load it where "
                "it was made, and save it with save_pretrained, as safetensors"
            )
        raise named.error(reason) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what transformers says while it loads: what matters of it, we ask and say."""
    from transformers.utils import logging as theirs

    progress, before = theirs.is_progress_bar_enabled(), theirs.get_verbosity()
    theirs.disable_progress_bar()
    theirs.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        theirs.set_verbosity(before)
        if progress:
            theirs.enable_progress_bar()
