"""A server of a model, as a program: `python local_server.py PORT [--fail | --never | --die]`.

It answers every chat completion with `Answer: 7`, half a second after it began.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEGAN = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200 if time.monotonic() - BEGAN > 0.5 else 503, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "Answer: 7"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 600_000, "completion_tokens": 400_000}
        self.answer(200, {"choices": [choice], "usage": usage, "model": "m"})
        if "--die" in sys.argv:
            print("out of memory, dying", flush=True)
            threading.Timer(0.05, os._exit, [9]).start()

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


if __name__ == "__main__":
    print("loading the weights", flush=True)
    if "--fail" in sys.argv:
        print("no GPU was found", flush=True)
        sys.exit(4)
    if "--never" in sys.argv:
        time.sleep(60)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
