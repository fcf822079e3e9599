"""A judge that costs money: it compares the last number of a response with that of the reference.

It knows its prompt alone, as a paid model does, and counts its requests as `tests.support.counted`
does, in the same file. Options: `fails`, whether it answers at all; `mumbles`, a text in a response
on which it gives no verdict; `likes_first`, whether it prefers what is shown first.
"""

from __future__ import annotations

import re

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.types import Completion, Usage
from tests.support.counted import note

_NUMBER = re.compile(r"\d+")


def _part(prompt: str, heading: str) -> str:
    return prompt.partition(f"{heading}:\n")[2].partition("\n\n")[0]


@provider("grading")
class Grading(Provider):
    async def complete(self, call: Call) -> Completion:
        note("ask", call)
        options, prompt = self.model.options, call.request.messages[-1].content
        if options.get("fails"):
            raise ProviderError("the judge is ill")
        text = self._text(prompt, options)
        note("answer", call)
        return Completion(f"So be it.\nAnswer: {text}", Usage(50, 10), latency_seconds=2.0)

    def _text(self, prompt: str, options: dict[str, object]) -> str:
        if first := _part(prompt, "First response"):
            second = _part(prompt, "Second response")
            if options.get("likes_first"):
                return "A"
            return "C" if first == second else "A" if len(first) > len(second) else "B"
        response = _part(prompt, "Response")
        mumbled = options.get("mumbles")
        if isinstance(mumbled, str) and mumbled in response:
            return "well ..."
        if not (said := _NUMBER.findall(response)):
            return "C"
        return "A" if said[-1] == _part(prompt, "Reference answer") else "B"
