"""Topics in tags, as TREC, CLEF and NTCIR have them: SGML or XML, closed or not."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import read_lines, read_whole

_TOPIC = re.compile(r"<(top|topic|query)\b([^>]*)>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<([A-Za-z][\w.-]*)([^>]*)>([^<]*)")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
#: In topics without closing tags the label comes again in the text.
_LABEL = re.compile(r"^\s*(number|topic)\s*:", re.IGNORECASE)
_IDS = ("num", "identifier", "number", "qid", "id", "topicid")
_TEXTS = ("title", "query", "question", "topic", "text")
_LANGUAGES = ("lang", "xml:lang", "language")


def is_in_tags(file: Path) -> bool:
    """Whether a file begins with a tag."""
    first = next(read_lines(file), None)
    return first is not None and first.content.lstrip().startswith(b"<")


def tagged_topics(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each topic of a file with its place: ``qid``, ``title``, and ``lang`` where it has one.

    A topic is what stands in ``<top>`` or ``<topic>``; its id is in ``<num>`` or ``<identifier>``,
    or an attribute; its question in ``<title>`` or ``<query>`` (CLEF: ``<FR-title>``).

    Raises
    ------
    XqgError
        Naming file and line, for a topic without one of these; and for a file without topics.
    """
    try:
        content = read_whole(file).decode()
    except UnicodeDecodeError as error:
        raise XqgError(
            f"{file}: not UTF-8 (byte {error.start + 1}); convert the file to UTF-8"
        ) from None
    found = False
    line, at = 1, 0
    for match in _TOPIC.finditer(content):
        found = True
        line, at = line + content.count("\n", at, match.start()), match.start()
        where = f"{file}:{line}"
        yield where, _row(match[1], match[2], match[3], where)
    if not found:
        raise XqgError(f"{file}: no <top> or <topic> in it, closed by </top> or </topic>")


def _row(element: str, attributes: str, content: str, where: str) -> dict[str, Any]:
    fields = _attributes(attributes)
    inside = [(tag.lower(), _attributes(more), text) for tag, more, text in _TAG.findall(content)]
    for tag, more, text in inside:
        prefix, _, rest = tag.partition("-")
        if rest in _TEXTS:  # CLEF: FR-title
            tag, more = rest, {"lang": prefix, **more}
        if text.strip():
            fields.setdefault(tag, text)
        if tag in _TEXTS:
            fields.update({name: more[name] for name in _LANGUAGES if name in more})
    if not inside and content.strip():
        fields.setdefault("title", content)
    qid = next((fields[name] for name in _IDS if name in fields), None)
    text = next((fields[name] for name in _TEXTS if name in fields), None)
    if qid is None or text is None:
        what, names = ("id", _IDS) if qid is None else ("question", _TEXTS)
        raise XqgError(
            f"{where}: a <{element}> without {what}; expected it in <{'>, <'.join(names)}>, found "
            f"{', '.join(fields) or 'nothing'}"
        )
    row = {"qid": _plain(qid), "title": _plain(text)}
    if language := next((fields[name] for name in _LANGUAGES if name in fields), ""):
        row["lang"] = _plain(language).lower()
    return row


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): first or second for name, first, second in _ATTRIBUTE.findall(text)}


def _plain(text: str) -> str:
    return " ".join(_LABEL.sub("", html.unescape(text)).split())
