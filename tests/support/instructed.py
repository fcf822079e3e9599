"""Models that answer better the better they are told to, in a known way.

`instructed:` does sums: it is right with the probability `base`, and `gain` more for each of its
`words` that the text before the question has. Asked for an instruction, it proposes one of a pool,
by the call. Each request is noted as by `counted`.
"""

from __future__ import annotations

import asyncio
import json
import re
from hashlib import sha256

from ember_bench.models.call import Call
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.types import Completion, Usage
from tests.support.counted import note

_SUM = re.compile(r"(\d+) \+ (\d+)")
POOL = ("Answer quickly.", "Add with care.", "Check the sum twice.", "Add with care, check twice.")


@provider("instructed")
class Instructed(Provider):
    """Options: `base`, `gain`, `words`; `seconds` that an answer takes, by the clock."""

    async def complete(self, call: Call) -> Completion:
        note("ask", call)
        await asyncio.sleep(self.model.options.get("seconds", 0.0))
        luck = int.from_bytes(sha256(call.key).digest()[:8]) / 2**64
        *_, last = call.request.messages
        text = "\n".join(message.content for message in call.request.messages)
        fields = re.findall(r"\d\. `(\w+)`", text.partition("Your output fields are")[2])
        note("answer", call)
        if fields or call.request.role == "reflect":
            proposal = POOL[int(luck * len(POOL))]
            return Completion(_proposal(fields, proposal, last.content), Usage(50, 20))
        options = self.model.options
        question = list(_SUM.finditer(last.content))[-1]
        told = last.content[: question.start()]
        right = options["base"] + options["gain"] * sum(word in told for word in options["words"])
        a, b = map(int, question.groups())
        answer = a + b if luck < right else a + b + 1
        return Completion(f"Answer: {answer}", Usage(10, 5), latency_seconds=0.1)


def _proposal(fields: list[str], proposal: str, asked: str) -> str:
    if not fields:
        return f"It should be told more.\n```\n{proposal}\n```"
    values = {f: proposal if f.endswith("instruction") else "sums" for f in fields}
    if "JSON object" in asked:
        return json.dumps(values)
    return "\n\n".join(f"[[ ## {f} ## ]]\n{v}" for f, v in values.items())
