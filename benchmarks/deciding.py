"""How much of a grid `decide` asks: `python -m benchmarks.deciding RESULTS EXPERIMENT...`.

The stored trials of whole experiments are dealt out in other orders of their items. Printed are,
for each dataset and question, the mean and the highest share of trials that the decision took, its
mean share of the whole grid's dollars, the number of orders in which there was one, and in which it
was wrong. `hindsight` is the share of dollars (of trials, without prices) of the cheapest proof by
the same bounds that compares one system with each other one: what is left to gain by asking
in a better order.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.decisions.evidence import Evidence
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.stats import Goal, Race
from ember_bench.stats.races import Shown

GOALS = {
    "most accurate, within 1": Goal("most_accurate", 0.01),
    "most accurate, within 2": Goal("most_accurate", 0.02),
    "most accurate, within 3": Goal("most_accurate", 0.03),
    "cheapest, within 1": Goal("cheapest", 0.01),
    "cheapest, within 3": Goal("cheapest", 0.03),
    "front, within 3": Goal("front", 0.03),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deciding", description=__doc__)
    parser.add_argument("results", type=Path, help="folder of results")
    parser.add_argument("experiments", nargs="+", help="whole experiments in it")
    parser.add_argument("--orders", type=int, default=40)
    options = parser.parse_args()
    headings = (
        "dataset", "systems", "items", "question", "share", "highest", "dollars", "hindsight",
        "decided", "wrong",
    )  # fmt: skip
    print(f"| {' | '.join(headings)} |")
    print(f"| {' | '.join(['---', '---:', '---:', '---', *['---:'] * 6])} |")
    for name in options.experiments:
        with closing(StoredTrials(options.results / name / "trials.db")) as rows:
            for dataset, evidence in _datasets(rows):
                for question, goal in GOALS.items():
                    if goal.want == "most_accurate" or not np.isnan(evidence.cost).any():
                        print(_line(dataset, evidence, question, goal, options.orders), flush=True)


def _datasets(rows: StoredTrials) -> Iterator[tuple[str, Evidence]]:
    """Yield the datasets of an experiment with the systems that were asked all items."""
    for dataset in rows.description.items:
        cells = [
            place
            for place, cell in enumerate(rows.description.cells)
            if cell.dataset == dataset and not cell.oracle
        ]
        evidence = Evidence(rows, cells)
        evidence.read(range(len(cells)))
        whole = evidence.whole == len(evidence)
        if whole.sum() > 1:
            kept = Evidence(rows, [cells[place] for place in np.flatnonzero(whole)])
            kept.read(range(len(kept.cells)))
            yield dataset, kept


def _line(dataset: str, evidence: Evidence, question: str, goal: Goal, orders: int) -> str:
    items, cells = evidence.low.shape
    shares, dollars, least, decided, wrong = [], [], [], 0, 0
    price = evidence.cost.mean(axis=0)
    priced = not np.isnan(price).any()
    taken = np.zeros((items, cells), dtype=np.bool_)
    for seed in range(orders):
        order = np.random.default_rng(seed).permutation(items)
        race = Race(goal, cells, items)
        cost = None if goal.want == "most_accurate" else evidence.cost[order]
        while True:
            going, to = race.wanted
            if not going.size:
                break
            asked = race.asked.copy()
            asked[going] = to
            race.take(asked, evidence.low[order], evidence.high[order], cost)
            taken = np.arange(items)[:, np.newaxis] < race.asked
            if priced and race.asked.all():
                race.price = np.where(taken, evidence.cost[order], 0.0).sum(axis=0) / race.asked
        dollars.append(float(evidence.cost[order][taken].sum() / evidence.cost.sum()))
        if goal.want == "most_accurate":
            weights = price if priced else np.ones(cells)
            least.append(_hindsight(goal, evidence.low[order], evidence.high[order], weights))
        shares.append(float(race.asked.sum()) / (items * cells))
        decided += race.now.choice is not None
        wrong += is_wrong(goal, race.now.choice, evidence)
    return (
        f"| {dataset} | {cells} | {items:,} | {question} | {100 * np.mean(shares):.0f} %"
        f" | {100 * max(shares):.0f} % | {_mean(dollars)} | {_mean(least)}"
        f" | {decided} of {orders} | {wrong} |"
    )


def _mean(shares: list[float]) -> str:
    return "" if not shares or np.isnan(shares).any() else f"{100 * np.mean(shares):.0f} %"


def _hindsight(
    goal: Goal,
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    price: npt.NDArray[np.float64],
) -> float:
    """Return the share of dollars of the cheapest proof that some cell is a right choice.

    Each other cell needs the items after which it is shown to be no more than the margin more
    accurate, or less accurate; the chosen cell needs the most of these.
    """
    items, cells = low.shape
    shown = Shown.nothing(cells)
    i, j = np.nonzero(~np.eye(cells, dtype=np.bool_))
    shown.add(goal, low, high, None, np.arange(cells), items, i, j)
    needed = np.minimum(shown.close, shown.better)
    np.fill_diagonal(needed, 0)
    needed = np.where(needed > items, np.inf, needed)
    np.fill_diagonal(needed, needed.max(axis=1))
    return float((needed @ price).min() / (items * price.sum()))


def is_wrong(goal: Goal, choice: tuple[int, ...] | None, evidence: Evidence) -> bool:
    """Whether the whole grid's values contradict a choice, by what `Goal` says."""
    if choice is None:
        return False
    accuracy = (evidence.low + evidence.high).mean(axis=0) / 2
    cost = evidence.cost.mean(axis=0)
    tiny = stats.TINY
    if goal.want == "front":
        chosen = list(choice)
        others = [cell for cell in range(accuracy.size) if cell not in choice]
        covered = (cost[chosen][:, np.newaxis] <= cost[others] + tiny) & (
            accuracy[chosen][:, np.newaxis] >= accuracy[others] - goal.within - tiny
        )
        beaten = (cost[:, np.newaxis] <= cost[chosen] + tiny) & (
            accuracy[:, np.newaxis] > accuracy[chosen] + goal.within + tiny
        )
        return bool(not covered.any(axis=0).all() or beaten.any())
    good = accuracy >= accuracy.max() - goal.within - tiny
    (chosen_one,) = choice
    cheaper = good & (cost < cost[chosen_one] - tiny)
    return bool(not good[chosen_one] or (goal.want == "cheapest" and cheaper.any()))


if __name__ == "__main__":
    main()
