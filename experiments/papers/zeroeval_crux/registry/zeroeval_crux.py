r"""How ZeroEval (github.com/WildEval/ZeroEval) reads and compares answers to CRUXEval-O.

Models were asked for a JSON object with the fields `reasoning` and `answer`. The published rule:

1. The answer is the field `answer` of the first complete object in the text, line breaks left out.
   Where that is not valid JSON it is what follows `"answer":` in quotes, or else without quotes up
   to a comma or a space; failing that, the word in the first `\boxed{}` of a text that ends in
   one. (The source reads boxes of Llama 3.1 alone.)
2. Answers are compared as texts without quotes at both ends; a line break is the characters `\n`.

An answer that has been read stands between single quotes, and is read as itself, so that votes can
pass their result on. So is a target, which is a bare literal.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ember_bench.operators import answer_format

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOSE = (
    re.compile(r'"answer"\s*:\s*"([^"]*?)"'),
    re.compile(r'"answer"\s*:\s*"(.*?)"', re.DOTALL),
    re.compile(r'"answer"\s*:\s*([^,\s]*)'),
    re.compile(r"answer\s*:\s*([^,\s]*)"),
)
_BOXED = re.compile(r"\\boxed\{(\w+)\}")
_END = 30
_LONGEST_LITERAL = 2000
_FAILED = "API Error"  # what the source recorded where a provider refused the prompt


@answer_format("zeroeval_crux", version=1)
def zeroeval_crux(text: str, _: Sequence[str]) -> str | None:
    """Return the literal that ZeroEval's rule reads, between single quotes."""
    if text[:1] == text[-1:] == "'" and len(text) > 1:  # read already, or a target that is a text
        found = text[1:-1]
    elif (field := _field(text)) is not None:
        found = field
    elif text and len(text) < _LONGEST_LITERAL and not ("\n" in text or text.startswith(_FAILED)):
        found = text
    else:
        return None
    bare = found.strip("'\"").replace("\n", "\\n")
    return f"'{bare}'"


def _field(text: str) -> str | None:
    found = _first_object(text)
    if isinstance(found, dict) and "answer" in found:
        return str(found["answer"])
    matches = [pattern.search(text) for pattern in _LOOSE]
    if "boxed" in text[-_END:]:
        matches.append(_BOXED.search(text))
    return next((match[1] for match in matches if match), None)


def _first_object(text: str) -> object:
    depth, start = 0, -1
    for place, character in enumerate(text):
        if character == "{":
            start = place if depth == 0 else start
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            if depth == 0:
                try:
                    return json.loads(text[start : place + 1].replace("\n", ""))
                except (ValueError, RecursionError):
                    return None
    return None
