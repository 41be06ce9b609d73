"""Many texts as token ids, padded batches of them, and the next ones made while these are used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.encoder.hub import Named

Item = TypeVar("Item")
Made = TypeVar("Made")


class Tokens(NamedTuple):
    """Token ids, a text's after the other's.

    Attributes
    ----------
    ids : array, shape (sum of lengths,), int64
    lengths : array, shape (n,), int64
    """

    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]]) -> Tokens:
        """From a list of token ids a text."""
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        ids = np.fromiter(chain.from_iterable(texts), np.int64, count=int(lengths.sum()))
        return cls(ids, lengths)

    def padded(
        self, rows: NDArray[np.int64], pad_id: int, *, left: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Some texts as a batch: its ids and its attention mask, both (len(rows), longest), int64.

        The tokenizers' own `pad` takes forty times as long, and a GPU would wait for it.
        """
        lengths = self.lengths[rows][:, None]
        places = np.arange(lengths.max())[None]
        if left:
            places = places - (lengths.max() - lengths)
        inside = (places >= 0) & (places < lengths)
        first = (np.cumsum(self.lengths) - self.lengths)[rows][:, None]
        ids = np.full(inside.shape, pad_id, dtype=np.int64)
        ids[inside] = self.ids[(first + places)[inside]]
        return ids, inside.astype(np.int64)


def check_ids(ids: NDArray[np.int64], rows: int | None, named: Named) -> None:
    """Refuse token ids that the embedding has no row for; an accelerator would not outlive them.

    Parameters
    ----------
    ids : array of int64
    rows : int or None
        Rows of the embedding, where there is one.
    named : Named

    Raises
    ------
    XqgError
    """
    if rows is not None and len(ids) and (highest := int(ids.max())) >= rows:
        raise named.error(
            f"its tokenizer made token {highest:,} of a text, and its embedding has {rows:,} rows: "
            "the tokenizer is damaged, or the text names a token that stands for a picture; save "
            "the model's own tokenizer beside it, or take that token out of the text"
        )


#: Tokens of a batch on the CPU, for each thread: measured, more fall out of its caches.
CPU_TOKENS = 256


def batches_of(lengths: NDArray[np.int64], most: int, tokens: int) -> Iterator[NDArray[np.int64]]:
    """Rows that go through the model together, at most so many rows and tokens.

    Longest first: padding stays small, and a batch that does not fit fails at once.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = min(most, max(1, tokens // max(1, int(lengths[order[start]]))))
        yield order[start : start + size]
        start += size


def one_ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `make` makes of the items, in their order, each while the one before it is in use."""
    with ThreadPoolExecutor(1) as thread:
        made = None
        for item in items:
            next_made = thread.submit(make, item)
            if made is not None:
                yield made.result()
            made = next_made
        if made is not None:
            yield made.result()
