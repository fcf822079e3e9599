"""A record as the hub has those of MBPP's checked part."""

from __future__ import annotations

from typing import Any, Final

MBPP: Final[dict[str, Any]] = {
    "source_file": "Benchmark Questions Verification V2.ipynb",
    "task_id": 2,
    "prompt": "Write a function to find what two lists have in common.",
    "code": "import math\ndef common(a, b):\n  return sorted(set(a) & set(b))\n",
    "test_imports": ["import math"],
    "test_list": ["assert common([3, 4], [5, 4]) == [4]", "assert common([1], [2]) == []"],
}
