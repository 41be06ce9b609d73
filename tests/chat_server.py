"""A fake of OpenAI's chat API on a free port, for the tests of what asks one."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """A chat server; `answer` makes of a request's body an answer's text, or a raw answer, or a
    function that does with the handler what it likes."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.headers, self.paths = [], [], []
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        self.answer = answer
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            number = len(server.requests)
            server.requests.append(body)
            server.headers.append(self.headers)
            server.paths.append(self.path)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        found = server.answer(body, number)
        with server.lock:
            server.at_once -= 1
        if callable(found):  # something other than an answer
            found(self)
            return
        status, extra, content = found if isinstance(found, tuple) else (200, {}, completion(found))
        try:
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except BrokenPipeError:
            pass  # the client had waited long enough

    def log_message(self, *args):
        pass


def completion(text, **choice):
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "choices": [{"message": message, "finish_reason": "stop", **choice}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 7},
        }
    ).encode()


@contextmanager
def serving(answer):
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
