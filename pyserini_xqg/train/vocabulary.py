"""Extension of a model's vocabulary by pieces that are learnt from texts in a language."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError, check_positive
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.versions import versions
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.encoder.loading import (
    MASKED_LM,
    TEXT_ENCODER,
    load_config,
    load_model,
    load_tokenizer,
)
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.train.examples import Text, read_texts
from pyserini_xqg.train.extension import INITIAL, New, new_pieces
from pyserini_xqg.train.progress import quiet
from pyserini_xqg.train.resume import MANIFEST, digest_of
from pyserini_xqg.train.settings import start_of

#: Not copied from the old model's folder: weights, tokenizers in other forms, and what said how it
#: was made.
_LEFT = ("*.safetensors", "*.bin", "*.index.json", "vocab.*", "merges.txt", "*.model", "onnx",
         MANIFEST, "scores.csv", "losses.*", "README.md", ".*")  # fmt: skip


@dataclass(frozen=True)
class VocabularySettings:
    """What decides the new vocabulary, apart from the texts.

    Attributes
    ----------
    model : str
        Hub name or folder of the model to extend.
    pieces : int
        The most new pieces.
    min_count : int
        How often a new piece must occur in the texts.
    initial : {"mean", "sum"}
        The vector of a new piece, from those of the pieces that it is made of.
    revision : str or None
        Revision on the hub.
    """

    model: str
    pieces: int = 1000
    min_count: int = 5
    initial: str = "mean"
    revision: str | None = None

    def __post_init__(self) -> None:
        check_positive(self, "pieces", "min_count")
        if self.initial not in INITIAL:
            raise XqgError(f"--initial {self.initial!r} is none of {', '.join(INITIAL)}")


def extend_vocabulary(
    data: Sequence[str | Path],
    output: str | Path,
    settings: VocabularySettings,
    *,
    languages: Sequence[str] = (),
    language: str = "",
    dev: Sequence[str | Path] = (),
    overwrite: bool = False,
) -> dict[str, Any]:
    """Make a model whose tokenizer has new pieces, each with a vector to start from.

    Texts without any of the new pieces are read as before. A new piece's vector is the mean (or
    sum) of those of the old pieces that made it up; train further (`train_language_model`,
    `train_retriever`) to give it one of its own.

    Parameters
    ----------
    data : sequence of path-like
        Texts to learn from, as `pyserini_xqg.train.examples.read_texts` reads them.
    output : path-like
        The folder to make: model and tokenizer, ``training.json``, and what else stood in the
        model's folder.
    settings : VocabularySettings
    languages : sequence of str
        Learn from texts in these alone.
    language : str
        Of texts that do not say theirs.
    dev : sequence of path-like
        Texts to count tokens on; by default those of `data`.
    overwrite : bool
        Replace an existing folder.

    Returns
    -------
    dict
        What ``training.json`` says; ``tokens`` has, by language, before and after, tokens a word
        and a character, and which part of them is unknown.

    Raises
    ------
    XqgError
        For broken input, a language without texts, a model or tokenizer that cannot be extended,
        and an existing output.
    """
    languages = [check_language(code, "--languages") for code in languages]
    texts = read_texts(data, language)
    counted = read_texts(dev, language) if dev else texts
    learnt = [text.text for text in texts if not languages or text.language in languages]
    there = sorted({text.language or "unknown" for text in texts})
    if not learnt:
        raise XqgError(f"no text in {', '.join(languages)}; there is {', '.join(there)}")
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder, quiet():
        folder.discard()  # it is quickly made again
        tokenizer, model = _load(settings)
        pieces, content = new_pieces(
            tokenizer.backend_tokenizer, learnt, settings.pieces, settings.min_count
        )
        if not pieces:
            raise XqgError(
                f"nothing to learn: no two neighbours occur {settings.min_count} times in the "
                f"{len(learnt)} text(s); lower --min-count, or give more texts"
            )
        plan = {**asdict(settings), "languages": languages, "data": digest_of(texts)}
        folder.start(plan, {})
        before = _counts(tokenizer, counted)
        if Path(settings.model).is_dir():
            shutil.copytree(
                settings.model, folder.partial, dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(*_LEFT),
            )  # fmt: skip
        old = {part: tokenizer.convert_tokens_to_ids(part) for p in pieces for part in p.parts}
        tokenizer.save_pretrained(folder.partial)
        (folder.partial / "tokenizer.json").write_text(content, encoding="utf-8")
        extended = load_tokenizer(Named(str(folder.partial), option="--output", what="tokenizer"))
        ids = extended.convert_tokens_to_ids([piece.text for piece in pieces])
        _set_vectors(model, pieces, old, ids, settings.initial)
        model.save_pretrained(folder.partial)
        after = _counts(extended, counted)
        manifest = {
            **plan,
            "pieces": len(pieces),
            "tokens": {code: {"before": before[code], "after": after[code]} for code in before},
            "versions": versions(),
        }
        folder.finish(manifest, keep_log=False)
    return manifest


def _load(settings: VocabularySettings) -> tuple[Any, Any]:
    """The tokenizer, and the model with the head of its pre-training if it has one."""
    if (query := EncoderSpec.resolve(settings.model).query_model) is not None:
        raise XqgError(
            f"--model {settings.model} encodes queries with another model, {query}; extend one "
            "model and train both sides from it"
        )
    named = start_of(settings)
    names = load_config(named).architectures or [""]
    kind = MASKED_LM if names[0].endswith("ForMaskedLM") else TEXT_ENCODER
    tokenizer = load_tokenizer(named)
    if not tokenizer.is_fast:
        raise XqgError(
            f"--model {settings.model} has a tokenizer without a tokenizer.json, which cannot be "
            "extended"
        )
    return tokenizer, load_model(named, kind, tokenizer)


def _set_vectors(
    model: Any, pieces: Sequence[New], old: dict[str, int], ids: Sequence[int], initial: str
) -> None:
    """Give the model a row for each new piece, in the input and in an untied output layer."""
    import torch

    size = len(model.get_input_embeddings().weight)
    model.resize_token_embeddings(max(size, max(ids) + 1), mean_resizing=False)
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    if layers[1] is not None and layers[1].weight is layers[0].weight:
        layers.pop()
    # New characters have vectors by the time that pieces are made of them.
    known = {**old, **{piece.text: number for piece, number in zip(pieces, ids, strict=True)}}
    with torch.no_grad():
        for layer in filter(None, layers):
            average = layer.weight[:size].mean(dim=0)
            for piece, number in zip(pieces, ids, strict=True):
                rows = [known[part] for part in piece.parts]
                layer.weight[number] = INITIAL[initial](layer.weight[rows]) if rows else average


def _known(lengths: list[int], texts: Sequence[str]) -> list[int]:
    """Lengths that are counted already, as what counts them."""
    return lengths


def _counts(tokenizer: Any, texts: Sequence[Text]) -> dict[str, dict[str, float | None]]:
    """Tokens a word and a character, and the part of them that is unknown, by language."""
    from pyserini_xqg.evaluate.resource.gains import fertility

    by_language: dict[str, list[Topic]] = {}
    for text in texts:
        by_language.setdefault(text.language, []).append(Topic("", text.text, text.language))
    counts = {}
    for code, topics in sorted(by_language.items()):
        ids = tokenizer([topic.text for topic in topics], add_special_tokens=False)["input_ids"]
        lengths = list(map(len, ids))
        unknown = sum(of_text.count(tokenizer.unk_token_id) for of_text in ids)
        counts[code or "unknown"] = {
            **fertility(topics, partial(_known, lengths))._asdict(),
            "unknown": unknown / max(1, sum(lengths)),
        }
    return counts
