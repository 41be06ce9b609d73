"""What an encoder was trained on, beside what it is tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyserini_xqg.encoder.presets import BY_MODEL, PRESETS
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.index import manifest
from pyserini_xqg.store import store

_OWN = "its own training questions"
_TYDI = "questions asked for TyDi QA, as here"

#: By benchmark, the training sets that have its questions or others of the same origin, and how:
#: XOR-TyDi (Asai et al., NAACL 2021), Mr. TyDi (Zhang et al., MRL 2021) and MIRACL (Zhang et al.,
#: TACL 2023) take questions from TyDi QA; MKQA (Longpre et al., TACL 2021) translates some of NQ's.
BENCHMARKS: Mapping[str, Mapping[str, str]] = {
    "XOR-TyDi": {"XOR-TyDi": _OWN, "TyDi QA": _TYDI, "Mr. TyDi": _TYDI, "MIRACL": _TYDI},
    "Mr. TyDi": {"Mr. TyDi": _OWN, "TyDi QA": _TYDI, "XOR-TyDi": _TYDI, "MIRACL": _TYDI},
    "MIRACL": {"MIRACL": _OWN, "TyDi QA": _TYDI, "XOR-TyDi": _TYDI, "Mr. TyDi": _TYDI},
    "MKQA": {"NQ": "MKQA's questions are translations of questions of NQ"},
    "NQ": {"NQ": _OWN},
    "mMARCO": {"MS MARCO": "mMARCO is a machine translation of MS MARCO"},
    "MLDR": {"MLDR": _OWN},
    "CIRAL": {},
    "NeuCLIR": {},
}


def spec_of(name: str) -> EncoderSpec:
    """The encoder that a preset, a store, an index, a model's folder or its hub name stands for.

    Raises
    ------
    XqgError
        If it is none of these, or damaged.
    """
    folder = Path(name)
    if name in PRESETS:
        return EncoderSpec.resolve(None, name)
    if (folder / store.MANIFEST).is_file():
        return store.Store([folder]).encoder
    if (folder / manifest.MANIFEST).is_file():
        encoder = manifest.read_manifest(folder)["encoder"]
        return EncoderSpec.from_dict(encoder, str(folder / manifest.MANIFEST))
    return EncoderSpec.resolve(name)


def contamination_section(encoder: EncoderSpec) -> Section:
    """The training sets that the encoder's authors name, and the benchmarks that they touch."""
    preset = BY_MODEL.get(encoder.model)
    title = "What the encoder was trained on"
    if preset is None:
        return Section(
            title,
            [
                f"{encoder.model} is none of the presets' models: its training data are not known "
                "here, and belong beside the scores."
            ],
        )
    rows: list[list[Cell]] = [
        [benchmark, trained, touched[trained]]
        for benchmark, touched in BENCHMARKS.items()
        for trained in preset.trained_on
        if trained in touched
    ]
    clear = [
        name for name, touched in BENCHMARKS.items() if not set(touched) & {*preset.trained_on}
    ]
    table = Table(
        "leakage-encoder",
        f"Benchmarks that the training data of {encoder.model} touch",
        ["benchmark", "trained on", "which has"],
        rows,
        note=f"Nothing named touches: {', '.join(clear) or 'none of the benchmarks listed'}. Lists "
        "of training data are seldom complete, and pre-training text is not looked at.",
    )
    return Section(title, [f"{encoder.model}: {', '.join(preset.trained_on)}."], [table])
