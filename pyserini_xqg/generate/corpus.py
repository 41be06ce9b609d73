"""Queries for a corpus of any length: into one file, block by block, resumable."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pyserini_xqg.base.errors import NothingMadeError, XqgError
from pyserini_xqg.base.files import digest, read_json, write_json
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.base.versions import versions
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import Passage, PassageFormat
from pyserini_xqg.collection.shards import BLOCK, shard_range
from pyserini_xqg.encoder.loading import load_tokenizer
from pyserini_xqg.generate.decoding import NAME_SAMPLE, Outside, kept_tokens, names_in
from pyserini_xqg.generate.devices import Job, devices_of, generate_on
from pyserini_xqg.generate.selection import Selection
from pyserini_xqg.generate.settings import Settings

ROWS, _OUTSIDE = "queries", "outside.jsonl"


def generate_corpus(
    corpus: str | Path,
    output: str | Path,
    settings: Settings,
    *,
    device: str | None = None,
    form: PassageFormat | None = None,
    shard_id: int = 0,
    shard_num: int = 1,
    sample: int | float | None = None,
    earlier: Sequence[str | Path] = (),
    overwrite: bool = False,
) -> Outside:
    """Generate queries for a corpus into a JSONL file.

    The work is cut into jobs: one language of one block. A run that was killed goes on at the jobs
    that were not done when it is called again, and the file becomes that of an unbroken run.

    Parameters
    ----------
    corpus : path-like
        Passages: a JSONL or TSV file, ``.gz`` or not, or a folder of them.
    output : path-like
        The file to make; compressed where its name ends in ``.gz``.
    settings : Settings
    device : str or None
        One or more, separated by commas; by default the first GPU, or the CPU.
    form : PassageFormat or None
        How corpus rows are read.
    shard_id, shard_num : int
        The part to do, counted from 0.
    sample : int, float or None
        Generate for so many passages only, or this share of them; see `Selection`. The shards are
        the sample's, and `settings.seed` draws it.
    earlier : sequence of path-like
        Queries of the same corpus: passages that have some are left out.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Outside
        Where the vocabulary is trimmed, how often that could have changed a draw.

    Raises
    ------
    XqgError
        For bad input, a model that cannot be used, or a process that died.
    """
    output, devices = Path(output), devices_of(device)
    check_file_name(output)
    with OutputFolder(output, ROWS, overwrite=overwrite) as folder:
        join = Join(corpus, earlier, folder.work, form=form)
        chosen = Selection(join, folder.work, sample=sample, seed=settings.seed)
        start, stop = shard_range(chosen.passages, shard_id, shard_num)
        kept = kept_for(settings, join)
        plan = {
            "settings": asdict(settings),
            "inputs": join.digests,
            **chosen.plan,
            "kept tokens": digest(json.dumps(kept).encode()),
            "shard": [shard_id, shard_num],
            "device": sorted({name.partition(":")[0] for name in devices}),
            "versions": versions(),
        }
        folder.start(plan, {ROWS: b"", _OUTSIDE: b""})
        blocks = _Blocks(folder, chosen, settings, start, stop, packed=output.suffix == ".gz")
        try:
            blocks.generate(devices, kept)
        except XqgError:
            if not blocks.any_done():  # another device or batch size may then be tried
                (folder.partial / "plan.json").unlink()
            raise
        outside = blocks.outside()
        join.close()
        check_made(folder, packed=output.suffix == ".gz")
        hand_over(folder, output)
    return outside


def kept_for(settings: Settings, join: Join) -> dict[str, list[int]]:
    """By language the tokens to draw among; empty where the vocabulary is not trimmed.

    The names are those of the whole corpus, not the shard's, so that shards agree.
    """
    if not settings.trim_vocabulary:
        return {}
    tokenizer = load_tokenizer(settings.named)
    names = names_in(spread(join, NAME_SAMPLE))
    return kept_tokens(tokenizer, settings.languages, names)


def spread(join: Join, count: int) -> Iterator[Passage]:
    """At most `count` passages, evenly spread over the corpus."""
    for number in range(min(count, join.passages)):
        row = number * join.passages // min(count, join.passages)
        yield from join.read_passages(row, row + 1)


def as_rows(docids: Sequence[str], by_language: dict[str, list[list[str]]]) -> bytes:
    """The lines of the output for some passages."""
    return b"".join(
        json.dumps(
            {
                "docid": docid,
                "generated_queries": {
                    language: texts[place] for language, texts in by_language.items()
                },
            },
            ensure_ascii=False,
        ).encode()
        + b"\n"
        for place, docid in enumerate(docids)
    )


def pack(rows: bytes) -> bytes:
    """Lines for a file whose name ends in ``.gz``.

    Gzip files may stand one behind another, so that blocks can be appended; without the time in
    them the bytes are the same each time.
    """
    return gzip.compress(rows, mtime=0)


def check_file_name(output: Path) -> None:
    """Refuse a folder where a file is to be made."""
    if output.is_dir():
        raise XqgError(f"--output {output} is a folder; give the name of a file in it")


def hand_over(folder: OutputFolder, output: Path) -> None:
    """Give the finished rows their name; nothing else of the folder is kept."""
    os.replace(folder.partial / ROWS, output)
    shutil.rmtree(folder.partial)


def check_made(folder: OutputFolder, *, packed: bool) -> None:
    """Refuse to finish where no row has a query; the folder is removed then.

    Raises
    ------
    NothingMadeError
    """
    with (gzip.open if packed else open)(folder.partial / ROWS, "rb") as rows:
        if any(any(map(any, json.loads(row)["generated_queries"].values())) for row in rows):
            return
    shutil.rmtree(folder.partial)
    raise NothingMadeError(
        "nothing was generated: the model wrote no text for any passage; look at what it writes "
        "with another --preset or --prompt"
    )


class _Blocks:
    """The blocks of a run: which jobs are left, and what is committed.

    A finished job waits in a file of the work folder until its block has all its languages; then
    the block's rows go into the output, in corpus order.
    """

    def __init__(
        self,
        folder: OutputFolder,
        chosen: Selection,
        settings: Settings,
        start: int,
        stop: int,
        *,
        packed: bool,
    ) -> None:
        self._folder, self._chosen, self._settings = folder, chosen, settings
        self._start, self._stop, self._packed = start, stop, packed
        self._count = -(-(stop - start) // BLOCK)
        self._jobs = folder.work / "jobs"
        self._jobs.mkdir(exist_ok=True)

    def generate(self, devices: Sequence[str], kept: dict[str, list[int]]) -> None:
        """Do what is left, and commit it."""
        languages, each = self._settings.languages, self._settings.num_queries
        total = (self._stop - self._start) * len(languages) * each
        self._commit()
        done = self._folder.rows * len(languages) * each
        with Progress(total, "generating", "queries", done=done) as bar:
            for job, generated in generate_on(devices, self._settings, kept, self._left()):
                write_json(
                    self._file(job.block, job.language),
                    {"texts": generated.texts, "outside": generated.outside},
                )
                bar.update(len(job.passages) * each)
                self._commit()

    def any_done(self) -> bool:
        """Whether there is work to go on with."""
        return bool(self._folder.blocks) or any(self._jobs.iterdir())

    def outside(self) -> Outside:
        """The sum over the committed blocks."""
        total = Outside()
        for line in (self._folder.partial / _OUTSIDE).read_text().splitlines():
            total = total.plus(Outside(*json.loads(line)))
        return total

    def _left(self) -> Iterator[Job]:
        for block in range(self._folder.blocks, self._count):
            for language in self._settings.languages:
                if not self._file(block, language).exists():
                    yield Job(block, language, self._passages(block))

    def _commit(self) -> None:
        """Append the blocks that have all their languages."""
        while self._folder.blocks < self._count:
            block, languages = self._folder.blocks, self._settings.languages
            files = [self._file(block, language) for language in languages]
            if not all(file.exists() for file in files):
                return
            done = [read_json(file) for file in files]
            docids = [passage.docid for passage in self._passages(block)]
            texts = {lang: job["texts"] for lang, job in zip(languages, done, strict=True)}
            rows = as_rows(docids, texts)
            outside = Outside()
            for job in done:
                outside = outside.plus(Outside(*job["outside"]))
            parts = {
                ROWS: pack(rows) if self._packed else rows,
                _OUTSIDE: json.dumps(outside).encode() + b"\n",
            }
            self._folder.append(len(docids), parts)
            for file in files:
                file.unlink()

    def _passages(self, block: int) -> list[Passage]:
        row = self._start + block * BLOCK
        return list(self._chosen.read_passages(row, min(row + BLOCK, self._stop)))

    def _file(self, block: int, language: str) -> Path:
        return self._jobs / f"{block}-{language}.json"
