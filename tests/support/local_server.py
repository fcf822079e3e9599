"""A server of a model, as a program: `python local_server.py PORT [OPTION | FOLDER]`.

It answers every chat completion with `Answer: 7`, half a second after it began. With `--fail`,
`--never` and `--die` it does that; `--host=HOST` is where it listens. In a folder it writes that it
was started, and holds the GPUs of `CUDA_VISIBLE_DEVICES` as a real one does: another server does
not get them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

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


def hold_gpus(folder: Path) -> None:
    """Hold the GPUs until the server is told to end."""
    gpus = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    held = []

    def let_go(*_: object) -> None:
        for file in held:
            file.unlink()
        os._exit(0)

    signal.signal(signal.SIGTERM, let_go)
    for gpu in gpus:
        file = folder / f"gpu-{gpu}"
        try:
            file.touch(exist_ok=False)
        except FileExistsError:
            print(f"CUDA out of memory on GPU {gpu}", flush=True)
            sys.exit(5)
        held.append(file)
    with (folder / "started").open("a") as log:
        log.write(f"{sys.argv[1]} {','.join(gpus)}\n")


if __name__ == "__main__":
    print("loading the weights", flush=True)
    if "--fail" in sys.argv:
        print("no GPU was found", flush=True)
        sys.exit(4)
    if "--never" in sys.argv:
        time.sleep(60)
    if len(sys.argv) > 2 and not sys.argv[2].startswith("--"):
        hold_gpus(Path(sys.argv[2]))
    named = [part.removeprefix("--host=") for part in sys.argv if part.startswith("--host=")]
    ThreadingHTTPServer(((*named, "127.0.0.1")[0], int(sys.argv[1])), Handler).serve_forever()
