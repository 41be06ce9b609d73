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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.generate.completions import (
    CUT,
    PROMPT_FAULTS,
    TOO_LONG,
    Answer,
    ServerError,
    message_of,
    read_completion,
)

# Too many requests, or the server's own trouble: time may mend these.
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_HINTS = {
    401: "set OPENAI_API_KEY to a key of this server",
    403: "the key in OPENAI_API_KEY may not use this model",
    404: "check --base-url (it often ends in /v1) and --model",
    400: "check --model and --extra-body",
    422: "check --model and --extra-body",
}
_ALWAYS = {401, 404}  # whatever is asked
_OVERLOADED = {429, 529}
# Where a server says what it thinks of one request.
_OF_A_REQUEST = {400, 403, 422}
# So many prompts in turn are refused for reasons of their own; after that it is the settings, or
# money. Fewer where nothing has been answered yet.
_MOST_REFUSED, _MOST_AT_FIRST = 10, 3
_LONGEST_WAIT = 60.0


class _Trouble(NamedTuple):
    """Something that may pass, and the seconds that the server asks to wait."""

    what: str
    wait: float | None = None


class ChatClient:
    """A chat server, with a cache of its good answers on disk. Threads may share it.

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
        self._reached = self._answered = False
        self._refused_in_turn = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        Path(cache).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(cache, isolation_level=None, check_same_thread=False)
        try:
            self._db.executescript(
                "pragma trusted_schema=off; pragma journal_mode=wal; pragma synchronous=normal;"
                "create table if not exists answers (request blob primary key, text text, "
                "whole int, prompt_tokens int, completion_tokens int) without rowid;"
            )
        except sqlite3.DatabaseError as error:
            raise XqgError(
                f"{cache}: no cache of answers ({error}); give another name or remove it"
            ) from None

    def ask(
        self,
        body: Mapping[str, Any],
        attempt: int = 0,
        *,
        usable: Callable[[Answer], bool] = lambda answer: not answer.fault,
    ) -> Answer:
        """The answer to a request, from the cache where a usable one is there.

        Parameters
        ----------
        body : mapping
            In JSON types.
        attempt : int
            Asking the same thing once more needs another number.
        usable : callable
            Whether an answer is worth keeping: no other one is cached, so that a server that was
            mended, or a reader that has learnt more, is not held up by what was there before.

        Raises
        ------
        XqgError
            If the server refuses whatever it is asked, or its trouble does not pass.
        """
        if (kept := self.recall(body, attempt)) and usable(kept):
            return kept
        answer = self._send(_content(body))
        if usable(answer):
            with self._lock:
                self._db.execute(
                    "insert or replace into answers values (?, ?, 1, ?, ?)",
                    (
                        _key(body, attempt),
                        answer.text,
                        answer.prompt_tokens,
                        answer.completion_tokens,
                    ),
                )
        return answer

    def recall(self, body: Mapping[str, Any], attempt: int = 0) -> Answer | None:
        """What an earlier run had for an answer, if any; the parameters are those of `ask`."""
        with self._lock:
            row = self._db.execute(
                "select text, prompt_tokens, completion_tokens from answers "
                "where request = ? and whole",
                (_key(body, attempt),),
            ).fetchone()
        if row is None:
            return None
        self._answered = True
        return Answer(str(row[0]), "", False, row[1], row[2], cached=True)

    def stop(self) -> None:
        """Make requests that wait give up, because another one failed."""
        self._stop.set()

    def close(self) -> None:
        self._db.close()

    def _send(self, content: bytes) -> Answer:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY", "").strip():
            if not key.isascii() or not key.isprintable() or " " in key:
                raise XqgError("OPENAI_API_KEY is no key: it holds white space or is not ASCII")
            headers["Authorization"] = f"Bearer {key}"
        trouble = ""
        for retry in range(self._retries + 1):
            if self._stop.is_set():
                raise XqgError("given up, because another request failed")
            found = self._try(urllib.request.Request(self._url, content, headers))
            if isinstance(found, Answer):
                return found
            trouble = found.what
            if retry < self._retries:
                wait = self._backoff * 2**retry if found.wait is None else found.wait
                # Not all threads at the same moment again.
                self._stop.wait(min(wait, _LONGEST_WAIT) * random.uniform(1.0, 1.25))
        raise XqgError(
            f"{self._url}: {trouble}, after {self._retries + 1} attempts; run the same command "
            "again later, answers so far are kept"
        )

    def _try(self, request: urllib.request.Request) -> Answer | _Trouble:
        """Ask once."""
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                self._reached = True
                content: bytes = response.read()
        except urllib.error.HTTPError as error:
            self._reached = True
            said = message_of(error)
            what = f"{error.code} {error.reason}" + (f" ({said})" if said else "")
            return self._judge(error.code, what, _seconds(error.headers.get("Retry-After")))
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            what = str(reason) or type(reason).__name__
            # Nobody there from the start is a mistake; a server that was there, or that took the
            # connection and broke it off, may come back.
            nobody = isinstance(error, urllib.error.URLError) and not isinstance(
                reason, (TimeoutError, ConnectionResetError, BrokenPipeError)
            )
            if nobody and not self._reached:
                raise XqgError(
                    f"cannot reach {self._url}: {what}; is the server running, and is --base-url "
                    "right?"
                ) from None
            return _Trouble(what)
        found = read_completion(content)
        if isinstance(found, ServerError):
            return self._judge(found.code, f"an error ({found.message})", None)
        if isinstance(found, Answer):
            self._answered, self._refused_in_turn = True, 0
            return found
        # Cut off on the way, or a page of what stands before the server; from the start it is
        # another service.
        if self._answered or not content.strip() or (content.lstrip()[:1] == b"{" and found == CUT):
            return _Trouble(f"answered no chat completion but {_start(content)}")
        raise XqgError(
            f"{self._url} answered no chat completion but {_start(content)}; check --base-url"
        )

    def _judge(self, code: int | None, what: str, wait: float | None) -> Answer | _Trouble:
        """What an error means: for this request, for a while, or for the whole run."""
        if code in _ALWAYS:
            raise XqgError(f"{self._url} answered {what}; {_HINTS[code]}")
        for fault, said in PROMPT_FAULTS.items():
            if said.search(what) and code not in _OVERLOADED:
                return Answer(what, fault, lasting=True)
        if code == 413:
            return Answer(what, TOO_LONG, lasting=True)
        if code is None or code in _PASSING or 500 <= code < 600:
            return _Trouble(what, wait)
        if code not in _OF_A_REQUEST:
            raise XqgError(f"{self._url} answered {what}; {_HINTS.get(code, 'check --base-url')}")
        # A prompt that this server does not like, or settings: these it refuses with every prompt.
        with self._lock:
            self._refused_in_turn += 1
            if self._refused_in_turn > (_MOST_REFUSED if self._answered else _MOST_AT_FIRST):
                raise XqgError(f"{self._url} answered {what}; {_HINTS[code]}")
        return Answer(what, "refused by the server", lasting=True)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _content(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode(errors="replace")


def _key(body: Mapping[str, Any], attempt: int) -> bytes:
    return hashlib.sha256(f"{attempt}\n".encode() + _content(body)).digest()


def _start(content: bytes) -> str:
    return repr(content[:80].decode(errors="replace"))


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(float(retry_after or ""), 0.0)
    except ValueError:  # a date, or nothing
        return None
