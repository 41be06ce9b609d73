"""The rows that pass between stages, and how each is read from a line of input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError, shortened
from pyserini_xqg.base.files import parsed_json
from pyserini_xqg.collection.columns import is_one_column
from pyserini_xqg.collection.languages import check_language_of_row

DOCID_FIELDS = ("docid", "id", "_id")
#: Where a row's generated queries may be; the first one's are by language.
QUERY_FIELDS = ("generated_queries", "predicted_queries", "query")


class Passage(NamedTuple):
    """One passage of the corpus; ``title`` is empty where there is none."""

    docid: str
    title: str
    text: str


class GeneratedQueries(NamedTuple):
    """The generated queries of one passage, by language code.

    Attributes
    ----------
    docid : str
    queries : dict of language to list of str
    scores : dict of language to list of float or None
        Beside the queries where the row has scores; None for a query without one.
    """

    docid: str
    queries: dict[str, list[str]]
    scores: dict[str, list[float | None]] | None = None


class PassageFormat(NamedTuple):
    """How a corpus row is read: Pyserini's ``input`` options.

    Attributes
    ----------
    fields : sequence of str
        ``text``, or ``title text``: what a ``contents`` field holds, in order, when it is split.
    docid_field : str or None
        The name of the docid field where it is none of `DOCID_FIELDS`.
    delimiter : str
        What separates the fields inside ``contents``.
    """

    fields: Sequence[str] = ("text",)
    docid_field: str | None = None
    delimiter: str = "\n"


def parse_json(line: bytes, where: str) -> dict[str, Any]:
    """One line of JSONL as a dict.

    Raises
    ------
    XqgError
        If the line is not UTF-8, not JSON, or not an object; `where` names file and line.
    """
    try:
        row = parsed_json(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise XqgError(
            f"{where}: not UTF-8 (byte {error.start + 1} of the line); convert the file to UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:  # not only syntax: numbers of 5,000 digits
        raise XqgError(f"{where}: not JSON ({error}); expected one JSON object a line") from None
    if not isinstance(row, dict):
        raise XqgError(f"{where}: expected a JSON object, found a {type(row).__name__}")
    if b"\\u" in line:  # half of a surrogate pair is legal JSON, but no text: nothing can write it
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise XqgError(
                f"{where}: half of a surrogate pair (\\ud800-\\udfff); not text"
            ) from None
    return row


def parse_passage(line: bytes, where: str, form: PassageFormat) -> Passage:
    """A corpus row in JSON: docid, optional ``title``, and ``text`` or ``contents``.

    Raises
    ------
    XqgError
        Naming `where`, for a row that is broken or lacks a field.
    """
    return passage_of(parse_json(line, where), where, form)


def passage_of(row: dict[str, Any], where: str, form: PassageFormat) -> Passage:
    """As `parse_passage`, of a row that is read already."""
    docid = docid_of(row, where, form.docid_field)
    if "text" in row:
        return Passage(docid, text_field(row, "title", where), text_field(row, "text", where))
    if "contents" not in row:
        raise XqgError(f"{where}: no field 'text' or 'contents'; found {', '.join(row)}")
    contents = text_field(row, "contents", where)
    if "title" in form.fields and "title" not in row:
        # As Pyserini does: one delimiter may close the last field.
        if contents.count(form.delimiter) == len(form.fields):
            contents = contents.removesuffix(form.delimiter)
        parts = contents.split(form.delimiter)
        if len(parts) != len(form.fields):
            raise XqgError(
                f"{where}: 'contents' holds {len(parts)} fields separated by {form.delimiter!r}, "
                f"expected {len(form.fields)} ({' '.join(form.fields)}); see --fields, --delimiter"
            )
        named = {name: part.strip() for name, part in zip(form.fields, parts, strict=True)}
        return Passage(docid, named["title"], named.get("text", ""))
    return Passage(docid, text_field(row, "title", where), contents.strip())


def parse_queries(line: bytes, where: str, docid_field: str | None = None) -> GeneratedQueries:
    """As `queries_of`, of a line of JSON."""
    return queries_of(parse_json(line, where), where, docid_field)


def queries_of(
    row: dict[str, Any], where: str, docid_field: str | None = None, language: str | None = None
) -> GeneratedQueries:
    """A row of generated queries: ``{"docid": ..., "generated_queries": {"ar": ["..."]}}``.

    Beside them there may be ``scores`` of the same shape. Queries of one language may also be a
    plain list, there or in ``predicted_queries`` (doc2query), or one in ``query``; then ``lang``,
    or the caller, says which.

    Parameters
    ----------
    row : dict
    where : str
        File and line, for messages.
    docid_field : str or None
        The name of the docid field where it is none of `DOCID_FIELDS`.
    language : str or None
        Of queries whose row does not say theirs.

    Raises
    ------
    XqgError
        Naming `where`, for a broken row, a language code that is not well-formed, one that is
        missing, or scores that do not fit the queries.
    """
    docid = docid_of(row, where, docid_field)
    queries = _by_language(row, where, language)
    scores = row.get("scores")
    if scores is not None and (not isinstance(scores, dict) or scores.keys() - queries.keys()):
        raise XqgError(
            f"{where}: expected 'scores' to be an object of lists by the languages of "
            f"'generated_queries', found {_found(scores)}"
        )
    by_language: dict[str, list[str]] = {}
    scores_by_language: dict[str, list[float | None]] = {}
    for code, texts in queries.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise XqgError(
                f"{where}: expected generated_queries[{code!r}] to be a list of "
                f"strings, found {_found(texts)}"
            )
        language = check_language_of_row(code, where)
        by_language.setdefault(language, []).extend(texts)
        if scores is not None:
            of_language = _scores(scores.get(code), len(texts), f"{where}: scores[{code!r}]")
            scores_by_language.setdefault(language, []).extend(of_language)
    return GeneratedQueries(docid, by_language, None if scores is None else scores_by_language)


def _by_language(row: dict[str, Any], where: str, language: str | None) -> dict[str, Any]:
    """The queries of a row, whatever their field, by language."""
    name = next((name for name in QUERY_FIELDS if name in row), QUERY_FIELDS[0])
    queries = row.get(name)
    if isinstance(queries, dict) and name == QUERY_FIELDS[0]:
        return queries
    if isinstance(queries, str) and name == "query":
        queries = [queries]
    if not isinstance(queries, list):
        raise XqgError(
            f"{where}: expected 'generated_queries' to be an object of lists by "
            f"language, found {_found(queries)}"
        )
    code = row.get("lang") or language
    if not isinstance(code, str):
        raise XqgError(
            f"{where}: {name!r} does not say its language; give it with --language, such as "
            "--language te, or in a field 'lang' of the row"
        )
    return {code.strip(): queries}


def check_docid(docid: str, where: str) -> str:
    """The docid itself.

    Raises
    ------
    XqgError
        If it is empty or holds what neither Pyserini's docid file nor a TREC run could carry.
    """
    if not is_one_column(docid):
        raise XqgError(
            f"{where}: docid {docid!r} is empty or holds white space or NUL; TREC runs cannot "
            "carry it, rename it"
        )
    return docid


def docid_of(row: dict[str, Any], where: str, field: str | None = None) -> str:
    """The docid of a row: a string, or an integer as its digits.

    Parameters
    ----------
    row : dict
    where : str
        File and line, for the message.
    field : str or None
        Its name where it is none of `DOCID_FIELDS`.

    Raises
    ------
    XqgError
        If there is none, or white space in it.
    """
    return check_docid(id_of(row, (field,) if field else DOCID_FIELDS, "docid", where), where)


def id_of(row: dict[str, Any], names: Sequence[str], what: str, where: str) -> str:
    """The first of some fields that a row has: a string, or an integer as its digits.

    Raises
    ------
    XqgError
        If there is none, or it is neither.
    """
    name = next((name for name in names if name in row), None)
    if name is None:
        raise XqgError(
            f"{where}: no {what}; expected a string in {either(names)}, found "
            f"{', '.join(row) or 'no field'}"
        )
    found = row[name]
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str):
        raise XqgError(f"{where}: {name!r} is {_found(found)}; expected a string, or an integer")
    return found


def text_field(row: dict[str, Any], field: str, where: str) -> str:
    """The string that a row has in a field, empty where it has none.

    Raises
    ------
    XqgError
        Naming `where`, for anything but a string.
    """
    value = row.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise XqgError(f"{where}: expected {field!r} to be a string, found {_found(value)}")
    return value


def _scores(values: Any, count: int, where: str) -> list[float | None]:
    if values is None:
        return [None] * count
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(v is None or _is_number(v) for v in values)
    ):
        raise XqgError(
            f"{where}: expected {count} numbers, one for each query, found {_found(values)}"
        )
    return list(values)


def either(names: Sequence[str]) -> str:
    """Names as words: a, b or c."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def _found(value: Any) -> str:
    return shortened(repr(value), 60)
