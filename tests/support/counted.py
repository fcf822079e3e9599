"""A provider that counts what it is asked, over any number of processes.

It does sums: it reads `3 + 4` out of the prompt and, like a paid model, knows nothing of the item
behind it. Each request is appended to the file that EMBER_TEST_LOG names, once when it comes and
once when it is answered, so that a killed process leaves a true account. What it answers is a
function of the call alone.

Words in the prompt make it misbehave: `mumble` (no number in the answer), `refuse` (an error of the
provider), `crash` (an error of nobody's), `sometimes` (an error while the file that
EMBER_TEST_TROUBLE names is there).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.types import Completion, Usage

LOG = "EMBER_TEST_LOG"
TROUBLE = "EMBER_TEST_TROUBLE"

_SUM = re.compile(r"(\d+) \+ (\d+)")


@provider("counted")
class Counted(Provider):
    """Options: `right`, P(right answer); `seconds` and `spread` that it takes, by the clock;
    `says`, the latency that it reports; `refuses`, whether it fails whatever it is asked; `cached`
    and `written`, the tokens that it reads from a cache of prompts and writes to it.
    """

    async def complete(self, call: Call) -> Completion:
        options = self.model.options
        _note("ask", call)
        luck = int.from_bytes(sha256(call.key).digest()[:8]) / 2**64
        await asyncio.sleep(options.get("seconds", 0.0) + luck * options.get("spread", 0.0))
        prompt = call.request.messages[-1].content
        if options.get("refuses"):
            raise ProviderError("it never answers")
        _misbehave(prompt)
        a, b = map(int, _SUM.search(prompt).groups())  # type: ignore[union-attr]
        right = luck < options.get("right", 0.7)
        text = "Mumble." if "mumble" in prompt else f"Answer: {a + b if right else a + b + 1}"
        _note("answer", call)
        says = options.get("says", 0.5 + luck)
        read, written = options.get("cached", 0), options.get("written", 0)
        usage = Usage(10, 20, read, cache_write_tokens=written)
        return Completion(text, usage, latency_seconds=says)


def _misbehave(prompt: str) -> None:
    if "refuse" in prompt:
        raise ProviderError("it will not answer")
    if "crash" in prompt:
        raise ZeroDivisionError("a bug in the provider")
    if "sometimes" in prompt and Path(os.environ.get(TROUBLE, "/nonexistent")).exists():
        raise ProviderError("it is having trouble")


def _note(what: str, call: Call) -> None:
    """Append one line in one write, which no other process can come in between of."""
    if (path := os.environ.get(LOG)) is not None:
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log, f"{what} {call.key.hex()}\n".encode())
        finally:
            os.close(log)


def requests(what: str = "ask") -> Counter[str]:
    """Return how often each call was asked (or answered), by call key."""
    path = Path(os.environ[LOG])
    if not path.exists():
        return Counter()
    lines = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return Counter(line[1] for line in lines if line[0] == what)
