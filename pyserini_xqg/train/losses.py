"""How training went: the losses as a table and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Loss(NamedTuple):
    """The losses at a step; ``dev`` is None where there was no evaluation."""

    step: int
    train: float
    dev: float | None


def losses_of(history: Iterable[Mapping[str, Any]]) -> list[Loss]:
    """The losses in the history that transformers' trainer keeps, by step."""
    train: dict[int, float] = {}
    dev: dict[int, float] = {}
    for entry in history:
        if "loss" in entry:
            train[entry["step"]] = entry["loss"]
        if "eval_loss" in entry:
            dev[entry["step"]] = entry["eval_loss"]
    return [Loss(step, train[step], dev.get(step)) for step in sorted(train)]


def write_losses(losses: Iterable[Loss], path: Path) -> None:
    """A CSV of step, train and dev loss, the last empty where there was no evaluation."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Loss._fields)
        writer.writerows(losses)


def plot_losses(losses: Iterable[Loss], path: Path) -> None:
    """Both losses over the steps, with the step of the lowest dev loss marked."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    losses = list(losses)
    dev = [(loss.step, loss.dev) for loss in losses if loss.dev is not None]
    best = min(dev, key=lambda point: point[1])
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(
        [loss.step for loss in losses],
        [loss.train for loss in losses],
        color="#56B4E9",
        label="train",
    )
    axes.plot(*zip(*dev, strict=True), color="#D55E00", marker="o", markersize=3, label="dev")
    axes.axvline(best[0], color="#999999", linestyle=":", label=f"best: step {best[0]}")
    axes.set_xlabel("step")
    axes.set_ylabel("cross-entropy a token, nats")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
