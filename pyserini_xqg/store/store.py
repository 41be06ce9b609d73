"""The embedding store: E(p), and for each language the sum and the count of its queries' vectors.

From these every alpha, set of languages and weighting follows without encoding again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import digest
from pyserini_xqg.base.output import read_finished
from pyserini_xqg.base.refusing import check_names
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.store.block import Block, Sampled
from pyserini_xqg.store.columns import Column

MANIFEST = "manifest.json"
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "encoder": dict, "passages": int, "dimension": int, "dtype": str,
    "queries": dict, "kept_queries": bool, "blocks": int, "digest": str,
    "sample": (dict, NoneType),
}  # fmt: skip
FORMAT = 1


class Store:
    """One store, or several shards of one, read in the order given.

    Parameters
    ----------
    paths : path-like, or sequence of path-like
        A finished store folder, or those of its shards.

    Attributes
    ----------
    passages, dimension : int
    sizes : list of int
        Passages of each shard.
    languages : list of str
    queries : dict of str to int
        Number of queries by language.
    encoder : EncoderSpec
    manifest : dict
        That of the first shard.
    manifests : list of dict
        Those of all shards.
    kept_queries : bool
        Whether every query's vector is kept beside the sums.
    sample_rates : dict of str to float, or None
        At which passages were drawn for the sample of single query vectors, by language; the
        lowest of the shards'. None where a shard has no sample.
    digest : str
        Of all shards' content.

    Raises
    ------
    XqgError
        For a folder that is no store, or shards that do not belong together.
    """

    def __init__(self, paths: str | Path | Sequence[str | Path]) -> None:
        if isinstance(paths, str | Path):
            paths = [paths]
        if not paths:
            raise XqgError("no embedding store given; see --embeddings")
        self.paths = [Path(path) for path in paths]
        self.manifests = [_read_manifest(path) for path in self.paths]
        self.manifest = self.manifests[0]
        self._check_together()
        self.sizes = [int(manifest["passages"]) for manifest in self.manifests]
        self.passages = sum(self.sizes)
        self.dimension = int(self.manifest["dimension"])
        self.languages: list[str] = sorted(self.manifest["queries"])
        self.queries = {
            language: sum(manifest["queries"][language] for manifest in self.manifests)
            for language in self.languages
        }
        self.kept_queries = all(manifest["kept_queries"] for manifest in self.manifests)
        self.sample_rates: dict[str, float] | None = None
        if all(manifest.get("sample") is not None for manifest in self.manifests):
            self.sample_rates = {
                code: min(float(manifest["sample"][code]["rate"]) for manifest in self.manifests)
                for code in self.languages
            }
        self.encoder = EncoderSpec.from_dict(
            self.manifest["encoder"], str(self.paths[0] / MANIFEST)
        )
        self.digest = joined_digest([manifest["digest"] for manifest in self.manifests])

    def blocks(
        self,
        languages: Sequence[str] | None = None,
        *,
        start: int = 0,
        keep: bool = False,
        sample: bool = False,
    ) -> Iterator[Block]:
        """Blocks from number `start` on, with the sums of some languages (default all).

        Parameters
        ----------
        languages : sequence of str or None
        start : int
            Blocks to pass over, counted through the shards.
        keep : bool
            Bring every query's vector too.
        sample : bool
            Bring the sample, as each shard has it, where every shard has one.

        Raises
        ------
        XqgError
            If the store lacks a language, or `keep` is asked of a store made without
            ``--keep-queries``; or if a file is shorter than the manifest says.
        """
        chosen = self.choose(languages)
        if keep and not self.kept_queries:
            raise XqgError(f"{self.paths[0]} holds sums only; encode with --keep-queries for this")
        for path, manifest in zip(self.paths, self.manifests, strict=True):
            count = int(manifest["blocks"])
            if start >= count:
                start -= count
                continue
            drawn = sample and self.sample_rates is not None
            yield from _read_blocks(path, manifest, chosen, start, keep, drawn)
            start = 0

    def covered(self, languages: Sequence[str] | None = None) -> dict[str, int]:
        """By language, how many passages have queries; reads counts only.

        Parameters
        ----------
        languages : sequence of str or None
            All by default.
        """
        covered = {}
        for language in self.choose(languages):
            covered[language] = 0
            for path, size in zip(self.paths, self.sizes, strict=True):
                column = Column(path / f"queries.{language}.count.npy", 1)
                try:
                    covered[language] += column.positive(size)
                finally:
                    column.close()
        return covered

    def choose(self, languages: Sequence[str] | None) -> list[str]:
        """The languages asked for, sorted; all of the store's for None.

        Raises
        ------
        XqgError
            For one that the store lacks.
        """
        if languages is None:
            return self.languages
        if missing := [language for language in languages if language not in self.languages]:
            raise XqgError(
                f"{self.paths[0]}: no queries in {' '.join(missing)}; found "
                f"{' '.join(self.languages) or 'none'}"
            )
        return sorted(set(languages))

    def _check_together(self) -> None:
        seen: dict[str, Path] = {}
        for path, manifest in zip(self.paths, self.manifests, strict=True):
            for key in ("encoder", "dimension", "format"):
                if manifest[key] != self.manifest[key]:
                    raise XqgError(
                        f"{path} does not belong to {self.paths[0]}: {key} is "
                        f"{manifest[key]!r}, expected {self.manifest[key]!r}"
                    )
            if sorted(manifest["queries"]) != sorted(self.manifest["queries"]):
                raise XqgError(
                    f"{path} does not belong to {self.paths[0]}: its languages are "
                    f"{' '.join(sorted(manifest['queries'])) or 'none'}, expected "
                    f"{' '.join(sorted(self.manifest['queries'])) or 'none'}"
                )
            shard = str((manifest.get("inputs"), manifest.get("shard")))
            if shard in seen:
                raise XqgError(f"{path} and {seen[shard]} hold the same passages; give each once")
            seen[shard] = path


def joined_digest(digests: Sequence[str]) -> str:
    """That of several shards, in order; a single one keeps its own."""
    return digests[0] if len(digests) == 1 else digest("".join(digests).encode())


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = read_finished(
        path,
        MANIFEST,
        FORMAT,
        _FIELDS,
        what="embedding store",
        made_by="python -m pyserini_xqg.encode",
    )
    check_names(manifest["queries"], path / MANIFEST)
    if not all(isinstance(count, int) for count in manifest["queries"].values()):
        raise XqgError(f"{path / MANIFEST}: damaged ('queries' has no numbers); encode again")
    sample = manifest.get("sample")
    if sample is not None and not all(
        isinstance(sample.get(code), dict) and isinstance(sample[code].get("rate"), int | float)
        for code in manifest["queries"]
    ):
        raise XqgError(f"{path / MANIFEST}: damaged ('sample' has no rates); encode again")
    # Whole, so that a manifest from before a field existed equals one that says its default.
    encoder = EncoderSpec.from_dict(manifest["encoder"], str(path / MANIFEST)).to_dict()
    return {**manifest, "encoder": encoder}


def _read_blocks(
    path: Path,
    manifest: Mapping[str, Any],
    languages: Sequence[str],
    start: int,
    keep: bool,
    sample: bool,
) -> Iterator[Block]:
    rows, dimension = int(manifest["passages"]), int(manifest["dimension"])
    columns: list[Column] = []

    def column(name: str, width: int) -> Column:
        columns.append(Column(path / name, width))
        return columns[-1]

    try:
        vectors, counts, queries = {"": column("passages.npy", dimension)}, {}, {}
        owners, single = {}, {}
        for language in languages:
            vectors[language] = column(f"queries.{language}.sum.npy", dimension)
            counts[language] = column(f"queries.{language}.count.npy", 1)
            if keep:
                queries[language] = column(f"queries.{language}.npy", dimension)
            if sample:
                size = int(manifest["sample"][language]["queries"])
                owners[language] = column(f"sample.{language}.row.npy", 1).read(size)[:, 0]
                single[language] = column(f"sample.{language}.npy", dimension)
        with open(path / "docid", encoding="utf-8", newline="\n") as docids:
            for _ in range(start * BLOCK):
                docids.readline()
            for values in vectors.values():
                values.skip(start * BLOCK)
            for language, values in counts.items():
                before = values.sum(start * BLOCK)
                if keep:
                    queries[language].skip(before)
            for language, values in single.items():
                values.skip(int(np.searchsorted(owners[language], start * BLOCK)))
            for first in range(start * BLOCK, rows, BLOCK):
                n = min(BLOCK, rows - first)
                count = {
                    language: values.read(n)[:, 0].astype(np.int32)
                    for language, values in counts.items()
                }
                read = {name: values.vectors(n) for name, values in vectors.items()}
                kept = (
                    {
                        language: values.vectors(int(count[language].sum()))
                        for language, values in queries.items()
                    }
                    if keep
                    else None
                )
                drawn = {}
                for language, values in single.items():
                    mine = np.searchsorted(owners[language], np.arange(first, first + n + 1))
                    drawn[language] = Sampled(
                        np.diff(mine).astype(np.int32), values.vectors(int(mine[-1] - mine[0]))
                    )
                yield Block(
                    [docids.readline().rstrip("\n") for _ in range(n)],
                    read.pop(""),
                    read,
                    count,
                    kept,
                    drawn if sample else None,
                )
    finally:
        for opened in columns:
            opened.close()
