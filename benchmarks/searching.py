"""What a search misses: `python -m benchmarks.searching [RESULTS EXPERIMENT...]`.

Regret is the accuracy of the best system of the space minus that of the system that is found, in
points, both over all items: the mean of so many studies, each with a space and an order of the
items of its own, and its standard error. At the same budget, and with as much of it kept for the
items that are held out, compared are:

* `search`: successive halving as `search:` does it;
* `no guess`: the same, with the systems of the first rung drawn at random;
* `random`: systems drawn at random, all asked as many items: 10, 30, 100 or all, whichever turns
  out best over all studies, which nobody knows before;
* `all`: every system, on as many items as the budget pays.

Simulated spaces have 400 systems, which share no call: the budget counts trials. The worth of a
system is the sum of the worth of its four parts (`additive`), or has nothing to do with them
(`unrelated`). Recorded spaces have votes of three and five, and cascades, of the models of a stored
experiment, which share calls: the budget counts calls of models on items, each paid once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
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
MOST_RESERVED = 0.4
GOAL = Goal("most_accurate", 0.01)
BUDGETS = (500, 1_000, 2_000, 5_000, 10_000)
RANDOM = (10, 30, 100, 10**9)
"""Items that each system is asked if systems are drawn at random."""


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


def simulated(seed: int, *, additive: bool) -> Space:
    """Return 400 systems of four parts, with ten values each, on 500 items."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 10, (400, 4))
    worth = rng.normal(size=(4, 10)) * 0.5
    parts = worth[np.arange(4), points].sum(axis=1)
    odds = 0.8 + (parts if additive else rng.permutation(parts)) + 0.2 * rng.normal(size=400)
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
    calls = [dict.fromkeys(row.nonzero()[0].tolist(), 1 / row.sum()) for row in space.uses]
    found = Halving(
        GOAL,
        items,
        features,
        price=price,
        calls=calls,
        held_out=len(space.scores) - items,
        seed=seed,
    )
    seen = space.scores[:items]
    while True:
        cells, to = found.wanted
        if not cells.size:
            break
        asked = found.race.asked.copy()
        asked[cells] = to
        found.take(asked, seen, seen, None, space.calls(asked) / budget, price)
    (winner,) = found.winners
    return winner


def on_first_items(space: Space, budget: int, cells: Ints, number: int) -> int:
    """Return the best of some systems on the first items, of as many as the budget pays."""
    items = int(len(space.scores) * (1 - HELD_OUT))
    calls = int(space.uses[cells].any(axis=0).sum())
    number = max(1, min(number, items, budget // calls))
    return int(cells[space.scores[:number, cells].mean(axis=0).argmax()])


def drawn(space: Space, budget: int, seed: int, number: int) -> int:
    """Return the best of systems drawn at random, of as many as the budget pays on some items."""
    number = min(number, int(len(space.scores) * (1 - HELD_OUT)))
    order = np.random.default_rng([1, seed]).permutation(space.scores.shape[1])
    calls = np.maximum.accumulate(space.uses[order], axis=0).sum(axis=1)
    most = int(np.searchsorted(calls * number, budget, side="right"))
    return on_first_items(space, budget, order[: max(2, most)], number)


def missed(space: Space, budget: int, seed: int) -> dict[str, float]:
    """Return the regret of each way in points."""
    truth = space.scores.mean(axis=0)
    # As much as a search keeps for the held-out items.
    price = float(np.median(space.uses.sum(axis=1)))
    held_out = len(space.scores) - int(len(space.scores) * (1 - HELD_OUT))
    rest = budget - int(min(MOST_RESERVED * budget, held_out * price))
    found = {
        "search": search(space, budget, seed),
        "no guess": search(space, budget, seed, guess=False),
        "all": on_first_items(space, rest, np.arange(len(truth)), len(space.scores)),
    }
    found |= {f"random {number}": drawn(space, rest, seed, number) for number in RANDOM}
    return {way: 100 * float(truth.max() - truth[cell]) for way, cell in found.items()}


def regrets(make: Callable[[int], Space], budgets: Sequence[int], studies: int) -> None:
    """Print the regret of each way at each budget."""
    ways = ("search", "no guess", "random", "all")
    print(f"| budget | {' | '.join(ways)} |")
    print(f"| ---: |{' ---: |' * len(ways)}")
    spaces = [make(seed) for seed in range(studies)]
    for budget in budgets:
        found = [missed(space, budget, seed) for seed, space in enumerate(spaces)]
        table = {way: np.asarray([one[way] for one in found]) for way in found[0]}
        random = min((f"random {n}" for n in RANDOM), key=lambda way: float(table[way].mean()))
        table["random"] = table[random]
        line = (
            f"{table[way].mean():.1f} ± {table[way].std(ddof=1) / studies**0.5:.1f}" for way in ways
        )
        print(f"| {budget:,} | {' | '.join(line)} |", flush=True)


def pool_of(path: Path) -> Pool:
    """Return the single models of a stored experiment that were asked the most items."""
    with closing(StoredTrials(path)) as rows:
        stored = StoredCells(rows)
        singles = [cell for cell in rows.description.cells if cell.architecture == "single"]
        dataset = max(
            {cell.dataset for cell in singles}, key=lambda name: len(rows.description.items[name])
        )
        return Pool([stored.results(cell.name) for cell in singles if cell.dataset == dataset])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searching", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", help="folder of results")
    parser.add_argument("experiments", nargs="*", help="experiments of recorded models in it")
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS)
    options = parser.parse_args()
    for kind in ("additive", "unrelated"):
        print(f"\nSimulated, {kind}: 400 systems, 500 items, {options.studies} studies; trials\n")
        make = partial(simulated, additive=kind == "additive")
        regrets(make, options.budgets, options.studies)
    for name in options.experiments:
        pool = pool_of(options.results / name / "trials.db")
        print(f"\n{name}: 600 systems of {len(pool.cells)} models, {len(pool.items):,} items,")
        print(f"{options.studies} studies; calls, of {pool.scores.size:,} for all\n")
        regrets(partial(recorded, pool), options.budgets, options.studies)


if __name__ == "__main__":
    main()
