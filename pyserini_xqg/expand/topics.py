"""A file of topics into the same file with expansions, block by block, resumable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import NothingMadeError, XqgError
from pyserini_xqg.base.files import digest
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.records import parse_json
from pyserini_xqg.collection.topics import FIELD, Topic, TopicRow, topic_rows
from pyserini_xqg.expand.expander import QueryExpander
from pyserini_xqg.generate.corpus import ROWS, check_file_name, hand_over

#: Topics that are committed together: what a killed run with a model of one's own does again.
_BLOCK = 128
_NONE = f'"{FIELD}": []}}\n'.encode()


def expand_topics(
    path: str | Path,
    output: str | Path,
    expander: QueryExpander,
    settings: Mapping[str, Any],
    *,
    language: str | None = None,
    overwrite: bool = False,
) -> int:
    """Write the topics of a file with their expansions.

    JSON rows keep every byte and get one more field; TSV rows become JSON. A run that was killed
    goes on where it stopped when it is called again.

    Parameters
    ----------
    path : path-like
        As `pyserini_xqg.collection.topics.topic_rows` takes it.
    output : path-like
        The JSONL file to make.
    expander : QueryExpander
    settings : mapping
        All that decides what is written, in JSON types: a run is not taken up with others.
    language : str or None
        Of all topics, instead of what the file says.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    int
        Topics that nothing was written for.

    Raises
    ------
    XqgError
        For bad input, topics that have expansions, a generator that cannot be used, and where it
        was asked and wrote nothing for any topic.
    """
    rows = [_checked(row) for row in topic_rows(path, language)]
    topics = [row.topic for row in rows]
    lines = [row.line for row in rows]
    output = Path(output)
    check_file_name(output)
    with OutputFolder(output, ROWS, overwrite=overwrite) as folder:
        plan = {**settings, "topics": digest(b"".join(lines)), "topic language": language}
        folder.start(plan, {ROWS: b""})
        with Progress(len(topics), "expanding", "topics", done=folder.rows) as bar:
            for start in range(folder.rows, len(topics), _BLOCK):
                block = expander.expand(topics[start : start + _BLOCK])
                of_block = lines[start : start + len(block)]
                written = b"".join(map(with_field, of_block, block))
                folder.append(len(block), {ROWS: written})
                bar.update(len(block))
        with open(folder.partial / ROWS, "rb") as rows_file:
            missing = sum(line.endswith(_NONE) for line in rows_file)
        if missing == len(topics) and expander.asked:
            shutil.rmtree(folder.partial)  # a next run may have other settings
            raise NothingMadeError("nothing was written for any topic")
        hand_over(folder, output)
    return missing


def with_field(line: bytes, topic: Topic) -> bytes:
    """The row of a topic with one more field, all else as it was."""
    value = [
        {"kind": item.kind, "lang": item.language, "text": item.text} for item in topic.expansions
    ]
    whole = line.rstrip()
    head = whole[: whole.rindex(b"}")]
    return head + f', "{FIELD}": {json.dumps(value, ensure_ascii=False)}}}\n'.encode()


def _checked(row: TopicRow) -> TopicRow:
    if FIELD in parse_json(row.line, row.where):
        raise XqgError(
            f"{row.where}: topic {row.topic.qid!r} has {FIELD!r} already; give the topics without "
            "them"
        )
    return row
