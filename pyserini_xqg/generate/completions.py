"""Chat completions as servers send them, of whatever shape: what they say, or what is wrong."""

from __future__ import annotations

import http.client
import json
import math
import re
import urllib.error
from typing import Any, NamedTuple

#: Faults that lie in one prompt, by what servers say of them, and what mends each.
TOO_LONG, FILTERED = "prompt too long for the model", "prompt refused by a filter"
PROMPT_FAULTS = {
    TOO_LONG: re.compile(
        r"context[ _](?:length|window|size)|maximum context|too long|too many tokens|token limit"
        r"|max(?:imum)?[ _](?:model[ _]len|(?:input|prompt|total|allowed|number of)[ _]"
        r"(?:tokens|length))|(?:prompt|input|request|payload|body|entity|message) too large"
        r"|have less than \d+ (?:input )?tokens|longer than the|(?:input|prompt) length"
        r"|exceed\w* (?:the )?(?:model|available|max|limit|context|token|input)"
        r"|string_above_max_length|reduce (?:the )?(?:length|your prompt)",
        re.IGNORECASE,
    ),
    FILTERED: re.compile(
        r"content[ _-]?(?:filter|policy|management|moderation)|moderation|safety|filtered|flagged"
        r"|responsible ?ai|inappropriate|data_inspection|sensitive (?:words?|content|information)"
        r"|prohibited|harmful|jailbreak|usage polic(?:y|ies)|guardrail"
        r"|(?:prompt|content|input|request) (?:was |is |has been )?blocked",
        re.IGNORECASE,
    ),
}
#: An answer that begins as one in JSON, and ends before it does.
CUT = "cut off on the way"
_OTHER = "no chat completion"
# "stop" by the names that servers have for it; some say nothing.
_FINISHED = {"", "stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete", "finished"}
_REASONS = {
    "length": "cut off", "max_tokens": "cut off", "model_length": "cut off",
    "content_filter": "filtered", "safety": "filtered", "recitation": "filtered",
    "refusal": "refusal",
}  # fmt: skip
_SPOKEN = {"text", "output_text"}
_UNSPOKEN = {"thinking", "reasoning", "redacted_thinking", "reasoning_text", "summary_text"}


class Answer(NamedTuple):
    """What a server answered.

    Attributes
    ----------
    text : str
    fault : str
        In a word or two why the text is no answer, or not all of one; else empty.
    lasting : bool
        Whether it lies in the prompt, so that asking again is of no use.
    prompt_tokens, completion_tokens : int
        As the server counts them; 0 where it does not say.
    cached : bool
        Whether an earlier run had asked this.
    """

    text: str
    fault: str = ""
    lasting: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: bool = False


class ServerError(NamedTuple):
    """An error that came with status 200: its code, where it has one, and the server's words."""

    code: int | None
    message: str


def read_completion(content: bytes) -> Answer | ServerError | str:
    """What the body of an answer says, or why it is no chat completion."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return CUT
    if not isinstance(body, dict):
        return _OTHER
    if body.get("error") and not body.get("choices"):
        return _error_of(body["error"])
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return _OTHER
    text = spoken(message.get("content"))
    fault = _fault_of(choice.get("finish_reason"))
    if not fault and message.get("refusal"):
        fault = "refusal"
    if not fault and text is None:
        fault = "content of another shape"
    usage = body["usage"] if isinstance(body.get("usage"), dict) else {}
    return Answer(
        (text or "").encode(errors="replace").decode(),  # half a surrogate pair is no text
        fault,
        False,
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )


def spoken(content: Any) -> str | None:
    """The text of a message's content: itself, or its parts but for thoughts; None where it has
    another shape.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type", "text") if isinstance(part, dict) else None
        if not isinstance(kind, str) or kind not in _SPOKEN | _UNSPOKEN:
            return None
        if kind in _SPOKEN:
            if not isinstance(part.get("text"), str):
                return None
            texts.append(part["text"])
    return "".join(texts)


def message_of(error: urllib.error.HTTPError) -> str:
    """The server's own words on an error, on one line."""
    try:
        content = error.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return _one_line(content)
    return _error_of(found.get("error", found) if isinstance(found, dict) else found).message


def _error_of(error: Any) -> ServerError:
    if not isinstance(error, dict):
        return ServerError(None, _one_line(error))
    code = error.get("code", error.get("status"))
    words = _one_line(error.get("message") or json.dumps(error))
    # What it is called says more than the words of some servers.
    kinds = [name for name in (error.get("type"), code) if isinstance(name, str)]
    kinds = [_one_line(name) for name in kinds if name not in words and not name.isdigit()]
    number = re.fullmatch(r"[45]\d\d", str(code))
    return ServerError(int(number[0]) if number else None, "; ".join([words, *kinds]))


def _fault_of(reason: Any) -> str:
    if reason is None:
        return ""
    name = reason.lower() if isinstance(reason, str) else ascii(reason)
    return "" if name in _FINISHED else _REASONS.get(name, f"finish_reason {name[:20]}")


def _count(value: Any) -> int:
    known = isinstance(value, int | float) and math.isfinite(value) and 0 <= value < 2**53
    return int(value) if known else 0


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())[:200]
