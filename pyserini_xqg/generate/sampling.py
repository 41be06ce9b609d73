"""Top-k sampling whose noise depends on passage, language, sample and step, and on nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def noise(seed: int, docid: str, language: str, sample: int, steps: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) for the steps of one query, shape ``(steps,)``.

    They are a stream of their own: Philox (Salmon et al., SC 2011), a generator that counts, keyed
    by a hash of what the query is. So neither shard, restart, batch nor number of queries moves
    them, and more steps continue the same stream.
    """
    name = f"{seed}\n{language}\n{sample}\n{docid}".encode()  # a docid holds no line break
    key = np.frombuffer(hashlib.blake2b(name, digest_size=16).digest(), dtype="<u8")
    # The raw stream, which numpy promises to keep; 53 bits of it fill a double.
    raw = np.random.Philox(key=key.astype(np.uint64)).random_raw(steps)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def sample_top_k(scores: torch.Tensor, uniform: torch.Tensor, top_k: int) -> torch.Tensor:
    """Draw one column of each row among its `top_k` highest, by softmax over these.

    Parameters
    ----------
    scores : tensor, shape (n, v)
        Logits.
    uniform : tensor, shape (n,), float64
        The noise: the drawn column is where the cumulative probability passes it.
    top_k : int

    Returns
    -------
    tensor, shape (n,), int64
    """
    values, columns = scores.float().topk(min(top_k, scores.shape[1]), dim=1)
    # In the columns' order: were it that of the scores, a rounding error that swaps two nearly
    # equal ones would swap the queries drawn, too.
    columns, order = columns.sort(dim=1)
    cumulative = values.gather(1, order).double().softmax(dim=1).cumsum(dim=1)
    passed = cumulative <= uniform[:, None] * cumulative[:, -1:]
    drawn = passed.sum(dim=1).clamp(max=columns.shape[1] - 1)
    return columns.gather(1, drawn[:, None]).squeeze(1)
