"""The settings of a fusion: as an index records them, and as options of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import check_language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyserini_xqg.store.block import Block

#: The route for topics whose language has no index of its own.
FALLBACK = "all"
#: For ``--alpha`` and ``--mu``: to be chosen; None in a `Fusion`.
AUTO = "auto"


@dataclass(frozen=True)
class Fusion:
    """The settings of `pyserini_xqg.fusion.fuse`, as an index records them.

    Attributes
    ----------
    method : str or None
        None only where there are no generated queries.
    alpha : float or None
        None is to be chosen before an index is built, as is ``"auto"``.
    weights : dict of str to float
        1 for a language that is not named.
    centre : bool
        Subtract each language's mean query vector.
    l2_norm : bool
    alphas : dict of str to float
        By route, of a routed index only, instead of `alpha`: a language, or `FALLBACK`.
    mu : float or None
        Virtual queries a language, of ``mean`` only; None as for `alpha`, 0 the plain mean.

    Examples
    --------
    >>> Fusion(method="mean", alpha=0.3, mu=2)

    Raises
    ------
    XqgError
        For an alpha or a mu that is no number.
    """

    method: str | None = None
    alpha: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    centre: bool = False
    l2_norm: bool = False
    alphas: Mapping[str, float] = field(default_factory=dict)
    mu: float | None = 0.0

    def __post_init__(self) -> None:
        for name in ("alpha", "mu"):
            value = getattr(self, name)
            if value == AUTO:
                object.__setattr__(self, name, None)
            elif value is not None and not _is_number(value):
                raise XqgError(
                    f"{name} {value!r}: expected a number or {AUTO!r}, as in "
                    'Fusion(method="mean", alpha=0.3, mu=2)'
                )

    def check(self, languages: Sequence[str]) -> None:
        """Refuse settings that do not fit a store with these languages.

        Raises
        ------
        XqgError
            If method or alpha is missing where there are queries, or given where there are none;
            and for an alpha by language, which a single index has no place for.
        """
        from pyserini_xqg.fusion import METHODS, check_formula

        if self.alphas:
            raise XqgError("--alpha by language goes with --routed: one index has one alpha")
        if not languages:
            if self.method or self.alpha is not None or self.weights or self.centre or self.mu:
                raise XqgError(
                    "there are no generated queries to fuse: leave --method, --alpha, --mu, "
                    "--weights and --centre out, or encode with xqg --queries"
                )
            return
        if self.method is None or self.alpha is None:
            raise XqgError(
                f"give --method ({' or '.join(METHODS)}) and --alpha, or let python -m "
                "pyserini_xqg.index choose them from a store by leaving both out; the paper's own "
                "is --method paper --alpha 0.01 for five queries in each of seven languages"
            )
        if self.mu is None:
            raise XqgError("--mu auto is not chosen yet: give a number, as in --mu 2")
        check_formula(self.method, self.alpha, self.weights, languages, self.mu)

    def of_route(self, route: str, members: Sequence[str]) -> Fusion:
        """The settings of one index of a routed folder.

        Parameters
        ----------
        route : str
            A language, or `FALLBACK`.
        members : sequence of str
            The languages that it folds in.
        """
        return replace(
            self,
            alpha=self.alphas.get(route, self.alpha),
            alphas={},
            weights={code: weight for code, weight in self.weights.items() if code in members},
        )

    def check_routes(self, languages: Sequence[str]) -> None:
        """Refuse settings that do not fit a folder routed by these languages.

        Raises
        ------
        XqgError
            For an alpha of a route that is not there, and a route without one.
        """
        routes = [*languages, FALLBACK]
        if more := [name for name in self.alphas if name not in routes]:
            raise XqgError(f"--alpha {more[0]}: no such route; there are {' '.join(routes)}")
        missing = [name for name in routes if name not in self.alphas]
        if self.alphas and self.alpha is None and missing:
            raise XqgError(
                f"--alpha: none for {' '.join(missing)}; name every route, or give a number for "
                "the others, too, as in --alpha 0.5 te=0.3"
            )

    def apply(
        self,
        block: Block,
        centres: Mapping[str, NDArray[np.float32]] | None = None,
        predictions: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> NDArray[np.float32]:
        """The vectors to index for a block, shape ``(n, d)``.

        Parameters
        ----------
        block : Block
        centres : mapping of language to array, shape (d,), or None
        predictions : mapping of language to array, shape (n, d), or None
            For a mu above 0, as of `pyserini_xqg.index.maps.Maps.predictions`.
        """
        from pyserini_xqg.fusion import fuse, normalise

        if self.method is None or self.alpha is None:
            return normalise(block.passages) if self.l2_norm else block.passages
        return fuse(
            block.passages,
            block.sums,
            block.counts,
            method=self.method,
            alpha=self.alpha,
            mu=self.mu or 0.0,
            predictions=predictions,
            weights=self.weights,
            centres=centres,
            l2_norm=self.l2_norm,
        )


def add_fusion_options(parser: argparse.ArgumentParser, *, routes: bool = False) -> None:
    """The options that describe a `Fusion`, for every command that fuses.

    With `routes`, ``--alpha`` is taken by language, too.
    """
    parser.add_argument(
        "--method",
        help="paper (a sum, as published) or mean; for index also max-sim (every query a vector of "
        "its own, the best one counts); mean where it is left out",
    )
    share = f"share of the generated queries, 0 to 1, or {AUTO}"
    if routes:
        parser.add_argument(
            "--alpha",
            nargs="+",
            metavar="A",
            help=f"{share}; with --routed also by language, e.g. 0.5 te=0.3 {FALLBACK}=0.1",
        )
    else:
        parser.add_argument("--alpha", type=number_or_auto, metavar="A", help=share)
    parser.add_argument(
        "--mu",
        type=number_or_auto,
        metavar="M",
        help="of mean: smooth it with so many virtual queries a passage and language, as a map "
        f"from passages to queries expects them (0: none), or {AUTO}",
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
        For a weight that is not ``language=number``, and for two alphas without a language.
    """
    alpha, by_language = args.alpha, {}
    if isinstance(alpha, list):
        by_language = _by_language([item for item in alpha if "=" in item], "--alpha")
        alpha = _one_number([item for item in alpha if "=" not in item])
    return Fusion(
        args.method,
        alpha,
        _by_language(args.weights or [], "--weights"),
        getattr(args, "centre", False),
        args.l2_norm,
        by_language,
        0.0 if args.mu is None else args.mu,
    )


def check_fusion(fusion: Any) -> None:
    """Refuse what is no `Fusion`, such as the name of a method.

    Raises
    ------
    XqgError
        Saying what to type.
    """
    if not isinstance(fusion, Fusion):
        method = fusion if isinstance(fusion, str) else "mean"
        raise XqgError(
            f"fusion is {fusion!r}, expected a Fusion: "
            f'Fusion(method="{method}", alpha=0.3{"" if method == "paper" else ", mu=2"})'
        )


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool)


def number_or_auto(text: str) -> float | str:
    """As an option's type: a number, or `AUTO`."""
    return text if text == AUTO else float(text)


def _one_number(items: Sequence[str]) -> float | str | None:
    try:
        values = [number_or_auto(item) for item in items]
    except ValueError:
        values = [0.0, 0.0]
    if len(values) > 1:
        raise XqgError(
            f"--alpha {' '.join(items)}: expected one number, or language=number, or {AUTO}"
        )
    return values[0] if values else None


def _by_language(items: Sequence[str], option: str) -> dict[str, float]:
    found = {}
    for item in items:
        language, equals, number = item.partition("=")
        try:
            name = language if language == FALLBACK else check_language(language, option)
            value = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise XqgError(f"{option} {item}: expected language=number, e.g. te=2")
        if name in found:
            raise XqgError(f"{option}: two numbers for {name}; give one")
        found[name] = value
    return found
