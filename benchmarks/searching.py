"""What a search misses: `python -m benchmarks.searching [--recorded RESULTS]`.

Regret is the accuracy of the best system of the space minus that of the system that is found, in
points, both over all items. Compared are, at the same budget:

* `search`: successive halving as `search:` does it, with a part of the items held out;
* `halving`: the same without the guess by features;
* `random`: systems drawn at random, all asked as many items, the best number of systems of several;
* `all`: every system, on as many items as the budget pays.

Simulated spaces have systems of four parts each, which share no call: the budget counts trials. The
recorded space has votes of three and five, and cascades, of the complete models of
`experiments/papers/zeroeval_gsm8k`, which share calls: the budget counts calls of models on items,
each paid once. `--recorded` names the folder with the results of that grid.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.decisions.pool import Pool
from ember_bench.experiment.results.cells import StoredCells
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.stats import Goal, Halving

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HELD_OUT = 0.2
GOAL = Goal("most_accurate", 0.01)
WAYS = ("search", "halving", "random", "all")


@dataclass(frozen=True)
class Space:
    """A space of systems of which everything is known.

    Attributes:
        scores: Shape ``(n_items, n_systems)``.
        features: Shape ``(n_systems, n_features)``.
        uses: Calls that each system makes of each item, shape ``(n_systems, n_calls)``.
    """

    scores: Floats
    features: Floats
    uses: npt.NDArray[np.bool_]

    def calls(self, asked: Ints) -> int:
        """Return the number of calls that so many first items of each system take."""
        most = np.where(self.uses, asked[:, np.newaxis], 0).max(axis=0)
        return int(most.sum())


def simulated(seed: int) -> Space:
    """Return 400 systems of four parts, with ten values each, on 500 items."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 10, (400, 4))
    worth = rng.normal(size=(4, 10)) * 0.5
    odds = 0.8 + worth[np.arange(4), points].sum(axis=1) + 0.2 * rng.normal(size=400)
    hard = 1.5 * rng.normal(size=(500, 1))
    scores = (rng.random((500, 400)) < 1 / (1 + np.exp(-(odds + hard)))).astype(float)
    features = np.zeros((400, 40))
    for part in range(4):
        features[np.arange(400), part * 10 + points[:, part]] = 1
    return Space(scores, features, np.eye(400, dtype=np.bool_))


def recorded(pool: Pool, seed: int, systems: int = 600) -> Space:
    """Return votes and cascades of recorded models, drawn at random, and the models alone."""
    rng = np.random.default_rng(seed)
    models = pool.scores.shape[1]
    order = rng.permutation(len(pool.scores))
    answers, right = pool.answers[order], pool.scores[order]
    columns = [right[:, model] for model in range(models)]
    lists: list[Sequence[int]] = [[model] for model in range(models)]
    kinds = [0] * models
    for number in range(systems - models):
        size = (3, 5)[number % 2]
        members = rng.permutation(models)[:size].tolist()
        vote = stats.combine_votes(answers[:, members], right[:, members])
        credit, kind = vote.credit, 1
        if number % 3 == 0:  # two cheap ones that must agree, else the third
            members = members[:3]
            early = stats.combine_votes(answers[:, members[:2]], right[:, members[:2]])
            credit, kind = np.where(early.agreement > 0.99, early.credit, right[:, members[2]]), 2
        columns.append(credit)
        lists.append(members)
        kinds.append(kind)
    uses = np.zeros((systems, models), dtype=np.bool_)
    for place, members in enumerate(lists):
        uses[place, members] = True
    features = np.hstack([uses, np.eye(3)[kinds]])
    return Space(np.column_stack(columns), features, uses)


def search(space: Space, budget: int, seed: int, *, guess: bool = True) -> int:
    """Return the system that a search finds with so many calls."""
    items = int(len(space.scores) * (1 - HELD_OUT))
    price = space.uses.sum(axis=1) / budget
    features = space.features if guess else np.zeros((len(price), 1))
    found = Halving(
        GOAL, items, features, price=price, held_out=len(space.scores) - items, seed=seed
    )
    seen = space.scores[:items]
    while True:
        cells, to = found.wanted
        if not cells.size:
            break
        asked = found.race.asked.copy()
        asked[cells] = to
        found.take(asked, seen, seen, None, space.calls(asked) / budget, price)
    winner = found.winner
    assert winner is not None
    return winner


def drawn(space: Space, budget: int, seed: int) -> int:
    """Return the best of several systems drawn at random, on as many items as the budget pays."""
    order = np.random.default_rng([1, seed]).permutation(space.scores.shape[1])
    return _on_first_items(space, budget, order[: max(2, min(order.size, budget // 50))])


def every(space: Space, budget: int, seed: int) -> int:
    """Return the best of all systems."""
    del seed
    return _on_first_items(space, budget, np.arange(space.scores.shape[1]))


def _on_first_items(space: Space, budget: int, cells: Ints) -> int:
    calls = int(space.uses[cells].any(axis=0).sum())
    number = max(1, min(len(space.scores), budget // calls))
    return int(cells[space.scores[:number, cells].mean(axis=0).argmax()])


def regrets(make: Callable[[int], Space], budgets: Sequence[int], studies: int) -> None:
    ways: dict[str, Callable[[Space, int, int], int]] = {
        "search": search,
        "halving": lambda space, budget, seed: search(space, budget, seed, guess=False),
        "random": drawn,
        "all": every,
    }
    missed: dict[tuple[str, int], list[float]] = {}
    for seed in range(studies):
        space = make(seed)
        truth = space.scores.mean(axis=0)
        for budget in budgets:
            for way, play in ways.items():
                found = play(space, budget, seed)
                missed.setdefault((way, budget), []).append(float(truth.max() - truth[found]))
    print(f"| budget | {' | '.join(WAYS)} |")
    print(f"| ---: |{' ---: |' * len(WAYS)}")
    for budget in budgets:
        line = (f"{100 * np.mean(missed[way, budget]):.1f}" for way in WAYS)
        print(f"| {budget:,} | {' | '.join(line)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searching", description=__doc__)
    parser.add_argument("--recorded", type=Path, help="folder of results of zeroeval_gsm8k")
    parser.add_argument("--studies", type=int, default=20)
    options = parser.parse_args()
    print(f"Simulated: 400 systems, 500 items, {options.studies} studies; budget in trials\n")
    regrets(simulated, (500, 1_000, 2_000, 5_000, 10_000), options.studies)
    if options.recorded is None:
        return
    with closing(StoredTrials(options.recorded / "zeroeval_gsm8k" / "trials.db")) as rows:
        stored = StoredCells(rows)
        pool = Pool(
            [
                stored.results(cell.name)
                for cell in rows.description.cells
                if cell.architecture == "single" and cell.dataset == "zeroeval_gsm8k"
            ]
        )
        print(f"\nRecorded: 600 systems of {len(pool.cells)} models, {len(pool.items):,} items;")
        print(f"{options.studies} studies; budget in calls, of {pool.scores.size:,} for all\n")
        budgets = (1_000, 2_000, 5_000, 10_000, 20_000)
        regrets(lambda seed: recorded(pool, seed), budgets, options.studies)


if __name__ == "__main__":
    main()
