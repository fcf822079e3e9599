"""How much of a grid `decide` asks: `python -m benchmarks.deciding RESULTS EXPERIMENT...`.

The stored trials of whole experiments are dealt out in other orders of their items. Printed are,
for each dataset and question, the mean and the highest share of trials that the decision took, the
number of orders in which there was one, and in which it was wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from ember_bench import stats
from ember_bench.decisions.evidence import Evidence
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.stats import Goal, Race

GOALS = {
    "most accurate, within 1": Goal("most_accurate", 0.01),
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
    print("| dataset | systems | items | question | share | highest | decided | wrong |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
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
    shares, decided, wrong = [], 0, 0
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
        shares.append(float(race.asked.sum()) / (items * cells))
        decided += race.now.choice is not None
        wrong += is_wrong(goal, race.now.choice, evidence)
    return (
        f"| {dataset} | {cells} | {items:,} | {question} | {100 * np.mean(shares):.0f} %"
        f" | {100 * max(shares):.0f} % | {decided} of {orders} | {wrong} |"
    )


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
