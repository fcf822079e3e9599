"""npm's `@copilotkit/aimock`, a mock of the providers' wire protocols that nobody here wrote.

It is not part of the project and pip cannot install it. `INSTALL` says how to get it; the tests
that need it take the fixture `aimock`, which skips where it is missing.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

VERSION = "1.43.0"
FOLDER = Path.home() / ".cache" / "ember-bench" / "aimock"
INSTALL = (
    f"npm install --ignore-scripts --prefix {FOLDER} @copilotkit/aimock@{VERSION} "
    "(needs Node 20; EMBER_BENCH_AIMOCK names another folder)"
)

_LISTENING = re.compile(r"listening on (http://\S+)")


def command() -> list[str] | None:
    """Return how to start it, or None if it or Node is not installed."""
    folder = Path(os.environ.get("EMBER_BENCH_AIMOCK") or FOLDER)
    script = folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    node = shutil.which("node")
    return [node, str(script)] if node and script.is_file() else None


class AIMock:
    """A running aimock. It answers nothing (404) until it is told what, and keeps a journal.

        aimock.answer("capital", {"content": "Paris", "usage": {...}})
        aimock.fail(429, "slow down")          # the next request, whatever it is
        aimock.journal()[-1]["body"]           # translated to OpenAI's chat completions

    Each provider's SDK finds its own paths below `url` (OpenAI's below `url` + "/v1").
    """

    def __init__(self, start: list[str]) -> None:
        # The folder of fixtures is empty: each test brings its own over the control interface.
        empty = Path(__file__).parent / "aimock_fixtures.json"
        self._process = subprocess.Popen(
            [*start, "-p", "0", "-f", str(empty)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self.url = self._wait_for_url()
        except BaseException:
            self.close()
            raise

    def answer(self, prompt: str, response: Mapping[str, Any], **match: Any) -> None:
        """Answer requests whose last user message contains `prompt` (and `match`) so."""
        fixture = {"match": {"userMessage": prompt, **match}, "response": response}
        self._ask("POST", "fixtures", {"fixtures": [fixture]})

    def fail(self, status: int, message: str) -> None:
        """Answer the next request with an error, in the form of the provider that is asked."""
        self._ask("POST", "error", {"status": status, "body": {"message": message}})

    def chaos(self, **rates: float) -> None:
        """Fail at random from now on: `dropRate`, `malformedRate`, `disconnectRate`, ..."""
        self._ask("POST", "chaos", rates)

    def journal(self) -> list[dict[str, Any]]:
        """Return every request since the last reset, with its `path`, `headers` and `body`."""
        entries: list[dict[str, Any]] = self._ask("GET", "journal")
        return entries

    def reset(self) -> None:
        """Forget all fixtures, faults and requests."""
        self._ask("DELETE", "chaos")
        self._ask("POST", "reset")

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/__aimock/{path}", content, method=method)
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def _wait_for_url(self) -> str:
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()

        def read() -> None:
            # To the end: a pipe that nobody empties would block it.
            for line in self._process.stdout or ():
                lines.put(line)

        threading.Thread(target=read, name="aimock-output", daemon=True).start()
        said = ""
        while (found := _LISTENING.search(said)) is None:
            try:
                said += lines.get(timeout=20)
            except queue.Empty:
                raise RuntimeError(f"aimock did not start: {said}") from None
        return found[1]
