"""An answer format of these results' own, which no change of a built-in one touches."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ember_bench.operators import answer_format


@answer_format("resumed_whole_number", version=1)
def parse_whole_number(text: str, choices: Sequence[str]) -> str | None:
    """Read the last run of digits."""
    found = re.findall(r"[0-9]+", text)
    return found[-1] if found else None
