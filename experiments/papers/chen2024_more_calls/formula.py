"""Writes published.csv: the accuracies that the paper's closed forms give (`python formula.py`).

Vote: F(K) = alpha V(p1, K) + (1 - alpha) V(p2, K), V(p, K) = I_p((K + 1) / 2, (K + 1) / 2)
(section 4).
Filter-Vote: the same of the vote over the accepted answers, over all if none is accepted.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ember_bench.stats import filter_vote_accuracy, mixture_vote_accuracy

REGIMES = {
    # dataset: alpha, p1, p2
    "rise_and_fall": (0.5, 0.8, 0.45),
    "fall": (0.1, 0.8, 0.45),
    "rise": (0.8, 0.6, 0.2),
    "fall_and_rise": (0.6, 0.6, 0.3),
}
SIZES = (1, 3, 5, 9, 15)
ACCEPT_RIGHT, ACCEPT_WRONG = 0.8, 0.3


def rows() -> list[tuple[str, str, str, str]]:
    """Return the rows of the table: dataset, system, accuracy in percent, where it stands."""
    found = []
    for dataset, (alpha, p1, p2) in REGIMES.items():
        for k in SIZES:
            value = mixture_vote_accuracy(alpha, p1, p2, k)
            found.append((dataset, f"vote of {k}", f"{100 * value:.2f}", "section 4, F(K)"))
        for k in SIZES:
            value = alpha * filter_vote_accuracy(p1, ACCEPT_RIGHT, ACCEPT_WRONG, k)
            value += (1 - alpha) * filter_vote_accuracy(p2, ACCEPT_RIGHT, ACCEPT_WRONG, k)
            where = "Filter-Vote, by enumeration"
            found.append((dataset, f"filter-vote of {k}", f"{100 * value:.2f}", where))
    return found


if __name__ == "__main__":
    path = Path(__file__).with_name("published.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("dataset", "system", "accuracy", "where"))
        table.writerows(rows())
