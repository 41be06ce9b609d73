"""Settings that are left open, chosen before an index is built."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.choice import Choice
from pyserini_xqg.index.choose import ALPHAS, MU, MUS, choose, choose_judged
from pyserini_xqg.index.maps import Maps
from pyserini_xqg.index.maps_file import maps_of
from pyserini_xqg.index.settings import FALLBACK, Fusion
from pyserini_xqg.store.store import Store

#: Nothing is given: alpha and mu are to be chosen.
OPEN = Fusion(mu=None)


class Chosen(NamedTuple):
    """Settings that are complete.

    Attributes
    ----------
    fusion : Fusion
    maps : Maps or None
        Fitted for the choice, to be used again.
    record : dict or None
        For ``xqg.json``; None where nothing was open.
    """

    fusion: Fusion
    maps: Maps | None = None
    record: dict[str, Any] | None = None


def is_open(fusion: Fusion) -> bool:
    """Whether alpha or mu are to be chosen."""
    return (fusion.alpha is None and not fusion.alphas) or fusion.mu is None


def complete(
    store: Store,
    fusion: Fusion,
    *,
    routed: bool,
    languages: Sequence[str] | None = None,
    judged: tuple[str | Path, str | Path] | None = None,
    trust_remote_code: bool = False,
    seed: int = 0,
) -> Chosen:
    """Choose the alpha and the mu that a fusion leaves open, and print what was chosen.

    Parameters
    ----------
    store : Store
    fusion : Fusion
        Its method is taken for ``mean`` where none is given; vectors are scaled to length 1 where
        the encoder's are.
    routed : bool
        Choose an alpha for each route.
    languages : sequence of str or None
        To fold in; all of the store's by default.
    judged : pair of path-like, or None
        Topics and qrels to choose by, on their dev half; without them generated queries are left
        out of their own passages.
    trust_remote_code : bool
        Run the Python that comes with the store's encoder.
    seed : int
        Of what is drawn, and of the halves.

    Raises
    ------
    XqgError
        If the store has no sample of single query vectors, and for settings that have to be given.
    """
    chosen = store.choose(languages)
    if not chosen:  # nothing to fold in, so nothing to choose
        return Chosen(replace(fusion, mu=fusion.mu or 0.0))
    if not is_open(fusion):
        return Chosen(fusion)
    if fusion.method not in (None, "mean"):
        raise XqgError(
            f"--method {fusion.method} needs --alpha and has no --mu: they are chosen for --method "
            "mean only"
        )
    if fusion.weights or fusion.centre:
        raise XqgError("--weights and --centre go with an --alpha and a --mu that are given")
    fusion = replace(fusion, method="mean", l2_norm=fusion.l2_norm or store.encoder.l2_norm)
    alphas = ALPHAS if fusion.alpha is None else (fusion.alpha,)
    mus = (MU,) if judged is None else MUS
    if fusion.mu is not None:
        mus = (fusion.mu,)
    maps = maps_of(store, chosen) if any(mus) else None
    trying: dict[str, Any] = {
        "routed": routed,
        "l2_norm": fusion.l2_norm,
        "alphas": alphas,
        "mus": mus,
        "seed": seed,
    }
    if judged is None:
        found = choose(store, chosen, maps, **trying)
    else:
        found = choose_judged(
            store, chosen, maps, *judged, **trying, trust_remote_code=trust_remote_code
        )
    print(found.line(), file=sys.stderr)
    return Chosen(_with(fusion, found, routed), maps, found.record)


def _with(fusion: Fusion, found: Choice, routed: bool) -> Fusion:
    fusion = replace(fusion, mu=found.mu)
    if fusion.alpha is not None or fusion.alphas:  # it was given, and mu alone was open
        return fusion
    if routed:
        return replace(fusion, alphas=found.alphas)
    return replace(fusion, alpha=found.alphas[FALLBACK])
