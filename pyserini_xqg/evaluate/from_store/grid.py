"""The settings that a sweep tries: method, languages, alpha and mu, no augmentation among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.from_store.retrieval import Members, System, everyone, routed
from pyserini_xqg.fusion import METHODS, SMOOTHED, check_formula
from pyserini_xqg.index.max_sim import MAX_SIM, check_share
from pyserini_xqg.index.settings import Fusion


class Setting(NamedTuple):
    """A point of the sweep.

    Attributes
    ----------
    method : str
        Empty where no queries are folded in.
    languages : str
        What is folded in: ``all``, ``routed``, ``only te``, ``all but te``.
    alpha : float
    mu : float
        Virtual queries, of a method that is smoothed.
    """

    method: str
    languages: str
    alpha: float
    mu: float = 0.0

    def __str__(self) -> str:
        if not self.method:
            return self.languages
        return f"{self.formula}, {self.languages}, alpha {self.alpha:g}"

    @property
    def formula(self) -> str:
        """The method, with its mu where it is smoothed."""
        return self.method + (f", mu {self.mu:g}" if self.mu else "")


#: Passages as the encoder gives them.
NONE = Setting("", "no augmentation", 0.0)
#: The same scaled to length 1, which is a change of its own where fused vectors are scaled.
SCALED = Setting("", "no augmentation, length 1", 0.0)

#: The choices of ``--methods``: the formulas, and the best of single queries.
TRIED = (*METHODS, MAX_SIM)

#: Sets of languages by name; the keys are the choices of ``--language-sets``.
LANGUAGE_SETS: dict[str, Callable[[Sequence[str]], Mapping[str, Members]]] = {
    "all": lambda codes: {"all": everyone(codes)},
    "alone": lambda codes: {f"only {code}": everyone([code]) for code in codes},
    "leave-one-out": lambda codes: {
        f"all but {code}": everyone([other for other in codes if other != code]) for code in codes
    },
}


def grid(
    languages: Sequence[str],
    *,
    alphas: Sequence[float],
    methods: Sequence[str],
    language_sets: Sequence[str],
    mus: Sequence[float] = (0.0,),
    with_routed: bool = False,
    l2_norm: bool = False,
    centre: bool = False,
) -> dict[Setting, System]:
    """Every combination, beginning with no augmentation and then in the order of alpha and mu.

    Parameters
    ----------
    languages : sequence of str
    alphas : sequence of float
        0 is no augmentation, which is there anyhow.
    methods : sequence of str
        Of `TRIED`.
    language_sets : sequence of str
        Keys of `LANGUAGE_SETS`; with one language every set is that one.
    mus : sequence of float
        Tried with the methods that they go with.
    with_routed : bool
        Each topic's own language as another set.
    l2_norm, centre : bool
        As in `Fusion`.

    Raises
    ------
    XqgError
        For an unknown method, an alpha outside [0, 1], a mu that is no number of queries or goes
        with none of the methods, and max-sim where vectors are scaled or centred.
    """
    for method in methods:
        for alpha in alphas:
            if method == MAX_SIM:
                check_share(Fusion(method, alpha, centre=centre, l2_norm=l2_norm))
            else:
                check_formula(method, alpha, {}, languages)
    of_method = {method: sorted(set(mus)) if method in SMOOTHED else [0.0] for method in methods}
    for mu in mus:
        check_formula(SMOOTHED[0], 0, {}, languages, mu)
        if not any(mu in tried for tried in of_method.values()):
            raise XqgError(
                f"--mu {mu:g} goes with --methods {' '.join(SMOOTHED)}, which is not tried"
            )
    names = language_sets if len(languages) > 1 else ["all"]
    members: dict[str, Members] = {}
    for name in names:
        members.update(LANGUAGE_SETS[name](languages))
    if with_routed:
        members["routed"] = routed(languages)
    found = {NONE: System(Fusion(), everyone(languages))}
    if l2_norm:
        found[SCALED] = System(Fusion(l2_norm=True), everyone(languages))
    for alpha in sorted(set(alphas) - {0.0}):
        for method in methods:
            for mu in of_method[method]:
                fusion = Fusion(method, alpha, centre=centre, l2_norm=l2_norm, mu=mu)
                for label, of_topic in members.items():
                    found[Setting(method, label, alpha, mu)] = System(fusion, of_topic)
    return found


def best(scores: Mapping[Setting, float]) -> Setting:
    """The one with the highest score; of equals the first, so no augmentation, or less of it."""
    return max(scores, key=lambda setting: scores[setting])
