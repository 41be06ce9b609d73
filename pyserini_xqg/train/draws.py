"""Which examples make a batch, and which of their passages are read in which epoch.

All of it follows from the examples and the seed, so that a resumed training goes on as an unbroken
one does, on however many devices.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.train.examples import Example, passage_text


class Draws:
    """The texts that an example gives in an epoch.

    Parameters
    ----------
    examples : sequence of Example
    negatives : int
        Passages that do not answer, for each query. Where an example has fewer, positives of other
        examples fill up.
    seed : int
    """

    def __init__(self, examples: Sequence[Example], negatives: int, seed: int) -> None:
        self._examples, self._negatives, self._seed = examples, negatives, seed
        self.names = ["query", "positive", *(f"negative_{n}" for n in range(1, negatives + 1))]

    def texts(self, row: int, epoch: int) -> list[str]:
        """Query, positive and negatives; all passages have their turn over the epochs."""
        example = self._examples[row]
        order = random.Random(f"{self._seed} {row}")
        positives = order.sample(example.positives, len(example.positives))
        negatives = order.sample(example.negatives, len(example.negatives))
        drawn = [
            negatives[(epoch * self._negatives + number) % len(negatives)]
            for number in range(min(self._negatives, len(negatives)))
        ]
        texts = [passage_text(passage) for passage in (positives[epoch % len(positives)], *drawn)]
        own = {passage_text(passage) for passage in example.positives}
        others = random.Random(f"{self._seed} {row} {epoch}")
        while len(texts) <= self._negatives:
            text = passage_text(others.choice(others.choice(self._examples).positives))
            if text not in own:
                texts.append(text)
        return [example.query, *texts]

    def columns(self, draws: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
        """The texts of a batch of draws (``row`` and ``epoch``), by column."""
        rows = [self.texts(*draw) for draw in zip(draws["row"], draws["epoch"], strict=True)]
        return dict(zip(self.names, map(list, zip(*rows, strict=True)), strict=True))


def schedule(
    examples: Sequence[Example], epochs: int, batch_size: int, seed: int
) -> tuple[list[int], list[int]]:
    """Rows and epochs in the order of training, whole batches one after another.

    In a batch no two examples have a query or a positive passage in common, as each would be taught
    that the other's passage does not answer it. An example that must wait for that goes into a
    later batch; what is left after the last whole batch is not used.

    Raises
    ------
    XqgError
        If no batch can be filled.
    """
    keys = [
        {example.query, *(passage_text(passage) for passage in example.positives)}
        for example in examples
    ]
    order = random.Random(seed)
    waiting: deque[tuple[int, int]] = deque()
    taken: list[tuple[int, int]] = []
    for epoch in range(epochs):
        waiting.extend((row, epoch) for row in order.sample(range(len(examples)), len(examples)))
        while batch := _batch(waiting, keys, batch_size):
            taken += batch
    if not taken:
        raise XqgError(
            f"{len(examples)} training examples cannot fill a batch of {batch_size} in which no "
            "query or positive passage stands twice; take a lower --effective-batch-size"
        )
    return [row for row, _ in taken], [epoch for _, epoch in taken]


def _batch(
    waiting: deque[tuple[int, int]], keys: Sequence[set[str]], size: int
) -> list[tuple[int, int]]:
    """Take the first draws that fit together; none if they are too few for a batch."""
    batch: list[tuple[int, int]] = []
    passed: list[tuple[int, int]] = []
    seen: set[str] = set()
    while waiting and len(batch) < size:
        draw = waiting.popleft()
        fits = seen.isdisjoint(keys[draw[0]])
        (batch if fits else passed).append(draw)
        if fits:
            seen |= keys[draw[0]]
    if len(batch) < size:
        waiting.extend(sorted([*batch, *passed], key=lambda draw: draw[1]))
        return []
    waiting.extendleft(reversed(passed))
    return batch
