"""A loaded generator: from passages to their queries in one language, batched by length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.encoder.backends import pack
from pyserini_xqg.encoder.devices import device_of
from pyserini_xqg.encoder.loading import CAUSAL, SEQ2SEQ, embedding_rows, load_model, load_tokenizer
from pyserini_xqg.encoder.tokens import Tokens, check_ids
from pyserini_xqg.generate.answers import first_answer
from pyserini_xqg.generate.chat import ChatDecoder
from pyserini_xqg.generate.decoding import Outside, decode
from pyserini_xqg.generate.prompts import fill
from pyserini_xqg.generate.sampling import noise
from pyserini_xqg.generate.settings import Settings
from pyserini_xqg.generate.t5 import T5Decoder

#: Asked of a chat template, to see that it is in what comes of it.
_ASKED = "What is this about?"


class Generated(NamedTuple):
    """Queries of some passages in one language.

    Attributes
    ----------
    texts : list of list of str
        `Settings.num_queries` for each passage, in the passages' order.
    outside : Outside
        What a trimmed vocabulary could have changed, checked on the first batch.
    """

    texts: list[list[str]]
    outside: Outside


class Generator:
    """A generator on one device.

    Parameters
    ----------
    settings : Settings
    device : str
        ``cpu``, ``cuda:0`` ...
    kept : mapping of str to sequence of int
        By language the tokens to draw among, where the vocabulary is trimmed.

    Attributes
    ----------
    batch_size : int
        Prompts at a time; halved each time the memory does not suffice.

    Raises
    ------
    XqgError
        If the model cannot be loaded, or the device is not there.
    """

    def __init__(
        self, settings: Settings, device: str, kept: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        import torch

        self.settings, self.device, self._kept = settings, device, kept or {}
        self.batch_size = settings.batch_size
        device_of(device)
        named = settings.named
        self._tokenizer = load_tokenizer(named)
        kind = SEQ2SEQ if settings.kind == "seq2seq" else CAUSAL
        model = load_model(named, kind, self._tokenizer)
        self._rows = embedding_rows(model)
        if kind is SEQ2SEQ and getattr(model.config, "decoder_start_token_id", None) is None:
            raise named.error(
                "its config.json has no decoder_start_token_id, which all have that were trained "
                "to generate"
            )
        try:
            model.to(device=device, dtype=getattr(torch, settings.dtype))
        except torch.OutOfMemoryError:
            raise XqgError(
                f"--device {device}: the weights do not fit into its memory; try --dtype bfloat16"
            ) from None
        except (RuntimeError, AssertionError) as error:  # no such device, or torch without CUDA
            raise XqgError(f"--device {device}: {reason_of(error)}") from None
        self._ends = _ends_of(model, self._tokenizer)
        self._decoder: Any
        if settings.kind == "seq2seq":
            pack(model.encoder)  # not the output layer: it is as large, and seldom used whole
            pack(model.decoder)
            self._decoder = T5Decoder(model)
        else:
            pack(model)
            self._decoder = ChatDecoder(model, self._tokenizer.pad_token_id or 0)
            if _ASKED not in self._chat(_ASKED):
                raise named.error(
                    "its chat template leaves out what it is asked; give one that has it "
                    "(chat_template.jinja, or in tokenizer_config.json)"
                )

    def generate(
        self, passages: Sequence[Passage], language: str, *, check: bool = True
    ) -> Generated:
        """The queries of some passages in one language.

        Parameters
        ----------
        passages : sequence of Passage
        language : str
        check : bool
            Count on the first batch how often a trimmed vocabulary could have changed a draw.

        Raises
        ------
        XqgError
            If one passage alone does not fit into the memory, or scores are not finite.
        """
        if self.settings.trim_vocabulary:
            self._decoder.trim(self._kept[language])
        prompts = self._prompts(passages, language)
        # Longest first: padding stays small, and a batch that does not fit fails at once.
        order = np.argsort([-len(prompt) for prompt in prompts], kind="stable")
        texts: list[list[str]] = [[] for _ in passages]
        outside, start = Outside(), 0
        while start < len(order):
            rows = [int(row) for row in order[start : start + self.batch_size]]
            try:
                answers, found = self._decode(
                    [prompts[row] for row in rows],
                    [passages[row].docid for row in rows],
                    language,
                    check=check and start == 0,
                )
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                answers = None  # go on outside: here the traceback still holds the tensors
            if answers is None:
                self._halve()
                continue
            outside = outside.plus(found)
            for row, tokens in zip(rows, answers, strict=True):
                texts[row] = [self._text(sample, language) for sample in tokens]
            start += len(rows)
        return Generated(texts, outside)

    def _decode(
        self, prompts: list[list[int]], docids: list[str], language: str, *, check: bool
    ) -> tuple[list[list[list[int]]], Outside]:
        import torch

        known = self.settings
        uniform = np.stack([
            np.stack([
                noise(known.seed, docid, language, sample, known.max_new_tokens)
                for sample in range(known.num_queries)
            ])
            for docid in docids
        ])  # fmt: skip
        return decode(
            self._decoder,
            prompts,
            torch.from_numpy(uniform).to(self.device),
            top_k=known.top_k,
            ends=self._ends,
            check=check,
        )

    def _halve(self) -> None:
        import torch

        if self.batch_size == 1:
            raise XqgError(
                f"out of memory on {self.device} with one passage and "
                f"{self.settings.num_queries} queries at a time; lower --num-queries or "
                "--max-length, or take --dtype bfloat16"
            )
        self.batch_size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _prompts(self, passages: Sequence[Passage], language: str) -> list[list[int]]:
        template, limit = self.settings.template, self.settings.max_length
        if self.settings.kind == "seq2seq":
            texts = [fill(template, language, p.title, p.text) for p in passages]
            encoded = self._tokenizer(texts, truncation=True, max_length=limit)
        else:
            texts = [
                self._chat(fill(template, language, p.title, self._cut(p.text, limit)))
                for p in passages
            ]
            encoded = self._tokenizer(texts, add_special_tokens=False)
        ids: list[list[int]] = encoded["input_ids"]
        check_ids(Tokens.of(ids).ids, self._rows, self.settings.named)
        return ids

    def _cut(self, text: str, tokens: int) -> str:
        """The beginning of a text, so that what stands behind it in the prompt stays whole."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        places = encoded["offset_mapping"]
        return text if len(places) <= tokens else text[: places[tokens - 1][1]]

    def _chat(self, prompt: str) -> str:
        if self._tokenizer.chat_template is None:
            return prompt
        try:
            text: str = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,  # for templates that know it: the question, not the thoughts
            )
        except Exception as error:  # a template raises what it likes
            raise self.settings.named.error(
                f"its chat template cannot be filled ({reason_of(error)}); give one that takes a "
                "user's words alone"
            ) from None
        return text

    def _text(self, tokens: list[int], language: str) -> str:
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        if self.settings.kind == "causal":
            return first_answer(text, language)
        return " ".join(text.split())


def _ends_of(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end an answer, of whoever names them first."""
    for owner in (model.generation_config, model.config, tokenizer):
        found = getattr(owner, "eos_token_id", None)
        if found is not None:
            return [*found] if isinstance(found, list) else [found]
    return []


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the CPU's allocator, which has no error of its own, had too little."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
