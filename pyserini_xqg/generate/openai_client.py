"""A server that speaks OpenAI's chat API: asked with patience, and never the same thing twice."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError

# Too many requests, or the server's own trouble: time may mend these.
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_HINTS = {
    401: "set OPENAI_API_KEY to a key of this server",
    403: "the key in OPENAI_API_KEY may not use this model",
    404: "check --base-url (it often ends in /v1) and --model",
    400: "check --model and --extra-body",
    422: "check --model and --extra-body",
}
_LONGEST_WAIT = 60.0


class Answer(NamedTuple):
    """What a server answered.

    Attributes
    ----------
    text : str
        Empty where it refused.
    whole : bool
        False where it was cut off at the limit of tokens.
    prompt_tokens, completion_tokens : int
        As the server counts them; 0 where it does not say.
    cached : bool
        Whether an earlier run had asked this.
    """

    text: str
    whole: bool
    prompt_tokens: int
    completion_tokens: int
    cached: bool = False


class ChatClient:
    """A chat server, with a cache of its answers on disk. Threads may share it.

    The key is taken from OPENAI_API_KEY where that is set; it is neither kept nor shown. An answer
    is found again by its request, wherever the server was then.

    Parameters
    ----------
    base_url : str
        Up to the part before ``/chat/completions``.
    cache : path-like
        The SQLite file of answers, made where there is none.
    timeout : float
        Seconds to wait for an answer.
    retries : int
        How often a passing trouble is waited for, before it is taken as lasting.
    backoff : float
        Seconds before the first of them; each next wait is twice as long, unless the server says.

    Raises
    ------
    XqgError
        If the URL is none.
    """

    def __init__(
        self,
        base_url: str,
        cache: str | Path,
        *,
        timeout: float = 120.0,
        retries: int = 6,
        backoff: float = 1.0,
    ) -> None:
        base_url = base_url.rstrip("/").removesuffix("/chat/completions")
        if not base_url.startswith(("http://", "https://")):
            raise XqgError(
                f"--base-url {base_url!r}: expected a URL such as http://localhost:8000/v1"
            )
        self._url = base_url + "/chat/completions"
        self._timeout, self._retries, self._backoff = timeout, retries, backoff
        # A redirect would carry the key to another host.
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._reached = False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        Path(cache).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(cache, isolation_level=None, check_same_thread=False)
        try:
            self._db.executescript(
                "pragma journal_mode=wal; pragma synchronous=normal;"
                "create table if not exists answers (request blob primary key, text text, "
                "whole int, prompt_tokens int, completion_tokens int) without rowid;"
            )
        except sqlite3.DatabaseError as error:
            raise XqgError(
                f"{cache}: no cache of answers ({error}); give another name or remove it"
            ) from None

    def ask(self, body: Mapping[str, Any], attempt: int = 0) -> Answer:
        """The answer to a request, from the cache where it was asked before.

        Parameters
        ----------
        body : mapping
            In JSON types.
        attempt : int
            Asking the same thing once more needs another number.

        Raises
        ------
        XqgError
            If the server refuses, or its trouble does not pass.
        """
        content = json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
        key = hashlib.sha256(f"{attempt}\n".encode() + content).digest()
        with self._lock:
            row = self._db.execute(
                "select text, whole, prompt_tokens, completion_tokens from answers "
                "where request = ?",
                (key,),
            ).fetchone()
        if row:
            return Answer(row[0], bool(row[1]), row[2], row[3], cached=True)
        answer = self._read(self._send(content))
        with self._lock:
            self._db.execute(
                "insert or ignore into answers values (?, ?, ?, ?, ?)", (key, *answer[:4])
            )
        return answer

    def stop(self) -> None:
        """Make requests that wait give up, because another one failed."""
        self._stop.set()

    def close(self) -> None:
        """Close the cache."""
        self._db.close()

    def _send(self, content: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY", "").strip():
            if not key.isascii() or not key.isprintable() or " " in key:
                raise XqgError("OPENAI_API_KEY is no key: it holds white space or is not ASCII")
            headers["Authorization"] = f"Bearer {key}"
        for retry in range(self._retries + 1):
            if self._stop.is_set():
                raise XqgError("given up, because another request failed")
            wait = self._backoff * 2**retry
            request = urllib.request.Request(self._url, content, headers)
            try:
                with self._opener.open(request, timeout=self._timeout) as response:
                    answer: bytes = response.read()
                self._reached = True
                return answer
            except urllib.error.HTTPError as error:
                self._reached = True
                trouble = f"{error.code} {error.reason}{_message(error)}"
                if error.code not in _PASSING:
                    hint = _HINTS.get(error.code, "check --base-url")
                    raise XqgError(f"{self._url} answered {trouble}; {hint}") from None
                wait = _seconds(error.headers.get("Retry-After"), wait)
            except (OSError, http.client.HTTPException) as error:
                reason = error.reason if isinstance(error, urllib.error.URLError) else error
                trouble = str(reason) or type(reason).__name__
                # Nobody there from the start is a mistake; a server that was there may come back.
                if not self._reached and not isinstance(reason, TimeoutError):
                    raise XqgError(
                        f"cannot reach {self._url}: {trouble}; is the server running, and is "
                        "--base-url right?"
                    ) from None
            if retry < self._retries:
                # Not all threads at the same moment again.
                self._stop.wait(min(wait, _LONGEST_WAIT) * random.uniform(1.0, 1.25))
        raise XqgError(
            f"{self._url}: {trouble}, after {self._retries + 1} attempts; run the same command "
            "again later, answers so far are kept"
        )

    def _read(self, content: bytes) -> Answer:
        try:
            answer = json.loads(content)
            choice = answer["choices"][0]
            text = choice["message"].get("content") or ""
            usage = answer.get("usage") or {}
            return Answer(
                str(text).encode(errors="replace").decode(),  # half a surrogate pair is no text
                choice.get("finish_reason") != "length",
                int(usage.get("prompt_tokens") or 0),
                int(usage.get("completion_tokens") or 0),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            start = content[:80].decode(errors="replace")
            raise XqgError(
                f"{self._url} answered no chat completion but {start!r}; check --base-url"
            ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _message(error: urllib.error.HTTPError) -> str:
    """The server's own words, on one line."""
    try:
        content = error.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""
    try:
        found = json.loads(content)
        inner = found.get("error", found)
        content = inner.get("message", content) if isinstance(inner, dict) else str(inner)
    except (ValueError, AttributeError):
        pass
    content = " ".join(str(content).split())[:200]
    return f" ({content})" if content else ""


def _seconds(retry_after: str | None, default: float) -> float:
    try:
        return max(float(retry_after or ""), 0.0)
    except ValueError:  # a date, or nothing
        return default
