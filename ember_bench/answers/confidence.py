"""The confidence that a text states for its answer."""

from __future__ import annotations

import re
from typing import Final

from ember_bench.models.thoughts import split_thoughts


def _number(name: str) -> str:
    """Return a pattern for a number and its unit, as groups of this name."""
    return rf"(?P<{name}>\d+(?:\.\d+)?|\.\d+)\s*(?P<{name}_unit>%|/\s*100?\b|percent)?"


_STATED: Final = re.compile(
    r"\b(?:confidence|probability)(?:\s+(?:level|score|that\s+[\w\s]{1,40}))?"
    rf"[\"'*_\s>]*(?:is|of|[:=])?[\"'*_\s]*{_number('after')}"
    rf"|{_number('before')}[*_]*\s+(?:confident|sure|certain)\b",
    re.IGNORECASE,
)


def stated_confidence(text: str) -> float | None:
    """Return the confidence in [0, 1] that a text states last; None if it states none.

    Read are `Confidence: 85%`, `confidence: 0.85`, `Confidence: 8/10`, `"confidence": 85`,
    `<confidence>0.85</confidence>` and `I am 85% confident`. A number above 1 without a unit is in
    percent; one above 100 % is no confidence.
    """
    found = None
    for match in _STATED.finditer(split_thoughts(text).answer):
        name = "after" if match["after"] is not None else "before"
        value, unit = float(match[name]), (match[f"{name}_unit"] or "").replace(" ", "")
        scale = {"": 1 if value <= 1 else 100, "/10": 10}.get(unit, 100)
        found = value / scale
    return found if found is not None and found <= 1 else None
