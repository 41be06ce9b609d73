"""What long work says of itself: a bar on a terminal, lines in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

# In a log a line comes when so much more is done, but not more often than the first number of
# seconds, nor less often than the second.
_SHARE, _SOONEST, _LATEST = 0.05, 10.0, 60.0

_quiet = False


class Progress:
    """How far work is: ``with Progress(total, "encoding") as progress: progress.update(n)``.

    On a terminal it is tqdm's bar, which stays at the end. Elsewhere there is a line at the start,
    one at least every minute or for every twentieth of the work, and one at the end.

    Parameters
    ----------
    total : int or None
        Of `unit`; None where it is not known.
    what : str
        Such as ``encoding``.
    unit : str
        In the plural; ``bytes`` are shown as kB, MB or GB.
    done : int
        What an earlier process had done.
    aside : bool
        Work beside the main one, which says nothing in a log before it has taken a minute.
    last : bool
        Whether a log has a line at the end; without, the caller says what was made.
    """

    def __init__(
        self,
        total: int | None,
        what: str,
        unit: str = "passages",
        *,
        done: int = 0,
        aside: bool = False,
        last: bool = True,
    ) -> None:
        self._total, self._what, self._unit, self._aside = total, what, unit, aside
        self._last_line = last
        self._begun_with = self._done = self._said = done
        self._bar: Any = None

    def __enter__(self) -> Self:
        self._began = self._last = time.monotonic()
        if _quiet:
            return self
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self._total,
                initial=self._done,
                desc=self._what,
                unit="B" if self._unit == "bytes" else f" {self._unit}",
                unit_scale=self._unit == "bytes",
            )
        elif not self._aside:
            resumed = f", going on after {self._amount(self._done)}" if self._done else ""
            of = "" if self._total is None else f" {self._amount(self._total)} {self._unit}"
            self._say(f"{of}{resumed}".strip() or self._unit)
        return self

    def update(self, number: int = 1, shown: str = "") -> None:
        """So much more is done; `shown` is a word beside it, such as a loss."""
        self._done += number
        if self._bar is not None:
            self._bar.update(number)
            if shown:
                self._bar.set_postfix_str(shown, refresh=False)
            return
        waited = time.monotonic() - self._last
        far = self._total is not None and self._done - self._said >= _SHARE * self._total
        if waited >= _LATEST or (far and waited >= _SOONEST and not self._aside):
            self._last, self._said, self._aside = time.monotonic(), self._done, False
            self._say(self._how_far() + (f", {shown}" if shown else ""))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and self._last_line and not self._aside:
            self._say(
                f"{self._amount(self._done)} {self._unit} in "
                f"{duration(time.monotonic() - self._began)}"
            )

    def _how_far(self) -> str:
        taken = time.monotonic() - self._began
        rate = (self._done - self._begun_with) / taken if taken else 0.0
        speed = f"{self._amount(rate)}/s"
        if self._total is None:
            return f"{self._amount(self._done)} {self._unit}, {speed}"
        left = f", {duration((self._total - self._done) / rate)} left" if rate else ""
        return (
            f"{self._amount(self._done)} of {self._amount(self._total)} {self._unit} "
            f"({100 * self._done / max(self._total, 1):.0f} %), {speed}{left}"
        )

    def _amount(self, number: float) -> str:
        if self._unit != "bytes":
            return f"{number:,.1f}" if 0 < number < 10 and number % 1 else f"{number:,.0f}"
        for unit in ("", "k", "M"):
            if number < 1000:
                return f"{number:.0f} {unit}B"
            number /= 1000
        return f"{number:,.1f} GB"

    def _say(self, text: str) -> None:
        if not _quiet:
            print(f"{self._what}: {text.replace('B bytes', 'B')}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds as people say them: ``4 s``, ``3 min 12 s``, ``19 h 3 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def say(text: str) -> None:
    """A line about what was done, on standard error, unless ``--quiet`` was given."""
    if not _quiet:
        print(text, file=sys.stderr, flush=True)


def be_quiet() -> None:
    """Say nothing of progress from now on: work lies too deep to be handed an option."""
    global _quiet
    _quiet = True


Item = TypeVar("Item")


def counted(items: Iterable[Item], what: str, unit: str) -> Iterator[Item]:
    """The items, counted as they are taken."""
    with Progress(None, what, unit, aside=True) as progress:
        for item in items:
            yield item
            progress.update()


class _Block(Protocol):
    @property
    def docids(self) -> list[str]: ...


Blocks = TypeVar("Blocks", bound=_Block)


def with_bar(
    blocks: Iterable[Blocks], passages: int, what: str, *, done: int = 0, last: bool = True
) -> Iterator[Blocks]:
    """The blocks, as `Progress` shows them; `done` passages came before."""
    with Progress(passages, what, done=done, last=last) as progress:
        for block in blocks:
            yield block
            progress.update(len(block.docids))
