"""CodeT@k from the recorded matrix: one sample from each of the k best groups.

With fewer groups than k, the best ones give one more (the source's `evaluation.py`). A problem
without a group counts at the plain pass@k. The interval is that of a mean over problems.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ember_bench.running.reproduce import Measure
from ember_bench.running.results import Results

Z = 1.959964


def measures(found: Sequence[Results]) -> Iterator[Measure]:
    """Yield CodeT@1, @2 and @10, in percent."""
    nodes = [node for each in found for cell in each.reopen().cells for node in cell.graph]
    kind = next(type(n.operator) for n in nodes if type(n.operator).__name__ == "CodeT")
    code = sys.modules[kind.__module__]  # the cards have loaded it
    for k in (1, 2, 10):
        shares = [_of_problem(code.groups, matrix, k) for matrix in code.recorded().values()]
        mean = math.fsum(shares) / len(shares)
        spread = math.fsum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
        half = Z * math.sqrt(spread / len(shares))
        yield Measure(
            "CodeT", f"codet_at_{k}", 100 * mean, 100 * (mean - half), 100 * (mean + half)
        )


def _of_problem(groups: Callable[..., Any], matrix: Any, k: int) -> float:
    """Return the chance that one of k samples is right."""
    right = [matrix.right[text] for text in matrix.samples]
    digits = [matrix.digits[text] for text in matrix.samples]
    found = [members for members, _ in groups(digits, list(matrix.tests.values()))]
    if not found:
        wrong = right.count(False)
        return 1 - math.comb(wrong, k) / math.comb(len(right), k)
    missed = 1.0
    for place, members in enumerate(found[:k]):
        wrong = sum(not right[n] for n in members) / len(members)
        times = k // len(found) + (place < k % len(found)) if k > len(found) else 1
        missed *= wrong**times
    return 1 - missed
