"""What long work says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar


class _Block(Protocol):
    @property
    def docids(self) -> list[str]: ...


Blocks = TypeVar("Blocks", bound=_Block)


def with_bar(
    blocks: Iterable[Blocks], passages: int, what: str, *, done: int = 0
) -> Iterator[Blocks]:
    """The blocks, with a progress bar where there is a terminal; `done` passages came before."""
    from tqdm import tqdm

    with tqdm(total=passages, initial=done, desc=what, unit="passage", disable=None) as bar:
        for block in blocks:
            yield block
            bar.update(len(block.docids))
