"""Writes published.csv: the accuracies that the closed form gives (`python formula.py`).

A verifier judge returns an accepted candidate, else a random one. With s = P(accept | right),
f = P(accept | wrong), r = 1 - ps - (1 - p)f:
acc(K) = (1 - r^K) ps / (ps + (1 - p)f) + r^(K - 1) p (1 - s); if it is perfect 1 - (1 - p)^K.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ember_bench.stats import verifier_judge_accuracy

P = 0.037
VERIFIERS = {"perfect": (1.0, 0.0), "fallible": (0.95, 0.02)}
SIZES = (1, 3, 5, 12)
HEADLINE = ("perfect verifier, 12 candidates", "36.6", "abstract; K is ours")


def rows() -> list[tuple[str, str, str]]:
    """Return the rows of the table: system, accuracy in percent, where it stands."""
    found = [
        (
            f"{name} verifier, {k} candidates",
            f"{100 * verifier_judge_accuracy(P, accept_right, accept_wrong, k):.2f}",
            "closed form",
        )
        for name, (accept_right, accept_wrong) in VERIFIERS.items()
        for k in SIZES
    ]
    return [("one answer", f"{100 * P:.1f}", "abstract"), *found, HEADLINE]


if __name__ == "__main__":
    path = Path(__file__).with_name("published.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("system", "accuracy", "where"))
        table.writerows(rows())
