"""The settings of a fusion: as an index records them, and as options of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyserini_xqg.errors import XqgError
from pyserini_xqg.languages import check_language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyserini_xqg.blocks import Block


@dataclass(frozen=True)
class Fusion:
    """The settings of `pyserini_xqg.fusion.fuse`, as an index records them.

    Attributes
    ----------
    method : str or None
        None only where there are no generated queries.
    alpha : float or None
    weights : dict of str to float
        1 for a language that is not named.
    centre : bool
        Subtract each language's mean query vector.
    l2_norm : bool
    """

    method: str | None = None
    alpha: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    centre: bool = False
    l2_norm: bool = False

    def check(self, languages: Sequence[str]) -> None:
        """Refuse settings that do not fit a store with these languages.

        Raises
        ------
        XqgError
            If method or alpha is missing where there are queries, or given where there are none.
        """
        from pyserini_xqg.fusion import METHODS, check_formula

        if not languages:
            if self.method or self.alpha is not None or self.weights or self.centre:
                raise XqgError(
                    "there are no generated queries to fuse: leave --method, --alpha, "
                    "--weights and --centre out, or encode with xqg --queries"
                )
            return
        if self.method is None or self.alpha is None:
            raise XqgError(
                f"give --method ({' or '.join(METHODS)}) and --alpha: there is no default "
                "that is right for every encoder; the paper's own is --method paper "
                "--alpha 0.01 for five queries in each of seven languages"
            )
        check_formula(self.method, self.alpha, self.weights, languages)

    def apply(
        self, block: Block, centres: Mapping[str, NDArray[np.float32]] | None = None
    ) -> NDArray[np.float32]:
        """The vectors to index for a block, shape ``(n, d)``."""
        from pyserini_xqg.fusion import fuse, normalise

        if self.method is None or self.alpha is None:
            return normalise(block.passages) if self.l2_norm else block.passages
        return fuse(
            block.passages,
            block.sums,
            block.counts,
            method=self.method,
            alpha=self.alpha,
            weights=self.weights,
            centres=centres,
            l2_norm=self.l2_norm,
        )


def add_fusion_options(parser: argparse.ArgumentParser) -> None:
    """The options that describe a `Fusion`, for every command that fuses."""
    parser.add_argument("--method", help="paper (a sum, as published) or mean; no default")
    parser.add_argument(
        "--alpha", type=float, help="share of the generated queries, 0 to 1; no default"
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        metavar="LANG=W",
        help="weight by language, e.g. ar=1 bn=2; 1 where not named",
    )
    parser.add_argument(
        "--l2-norm", action="store_true", help="scale the fused vectors to length 1"
    )


def fusion_from(args: argparse.Namespace) -> Fusion:
    """The `Fusion` that the options of `add_fusion_options` describe.

    Raises
    ------
    XqgError
        For a weight that is not ``language=number``.
    """
    weights = {}
    for item in args.weights or ():
        language, equals, number = item.partition("=")
        try:
            weights[check_language(language, "--weights")] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise XqgError(f"--weights {item}: expected language=number, e.g. te=2")
    return Fusion(args.method, args.alpha, weights, getattr(args, "centre", False), args.l2_norm)
