"""Certificates: choices among systems, how sure they are, and the rows they stand on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from ember_bench.errors import DamagedStoreError
from ember_bench.experiment.results.figures import Quantity

DECISIONS: Final = "decisions"
"""Name of the fact that holds the certificates of the last run in a trial store."""


class Measured(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is known of a system that a search found.

    Attributes:
        cell: Its name.
        held_out: Number of items that the search never saw, from the first on, on which it was
            measured.
        seen: Its accuracy on the items that it was chosen by, which flatter it.
        unseen: The same on those that the search never saw; None if none was asked.
        by_dataset: The same on each of several datasets.
        usd: Mean cost of a trial over all these items, US dollars; None if unknown.
    """

    cell: str
    held_out: int
    seen: Quantity | None = None
    unseen: Quantity | None = None
    by_dataset: dict[str, Quantity] = {}
    usd: float | None = None


class Search(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a search adds to a decision.

    Attributes:
        space: Number of systems of the grid.
        candidates: Number of those among which it chose.
        worse: Number of those asked that are shown to be no better choice.
        held_out: Number of items that it never saw.
        datasets: Names of its datasets, if there are several: the cells of the certificate are
            those of the first one, and the items those of all.
        measured: What is known of the systems that it chose, in the order of the choice.
        trials_taken: Trials that it took, those that were stored before left out.
        spent_usd: Money that the search paid for its own trials; None if unknown.
        budget_usd: The most that it could pay; None for no cap.
        trials: The most trials that it could take; None for no cap.
    """

    space: int
    candidates: int
    worse: int
    held_out: int
    datasets: list[str] = []
    measured: list[Measured] = []
    trials_taken: int = 0
    spent_usd: float | None = None
    budget_usd: float | None = None
    trials: int | None = None


class Certificate(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A decision on one dataset; that of a search may be on several.

    Attributes:
        dataset: Name of the dataset; of several, the first one.
        want: `cheapest`, `most_accurate` or `front`.
        within: Difference of mean scores that does not matter, in [0, 1].
        at_least: The mean score that is enough; None if `within` counts.
        alpha: Most probable share of wrong decisions of this kind.
        claim: What it is sure for: `items`, the grid's own, or `questions` like these.
        cells: Names of the cells that could be chosen, in grid order; oracles cannot. Of a search
            those that were asked.
        items: Number of items of the whole grid that all of them are asked. Of a search those that
            it may see.
        asked: Number of these that it stands on, the first in the order of the grid, by cell.
        digest: Over their scores and costs.
        choice: Names of the cells that are chosen; empty without one.
        outcome: `decided`; `none` if it is sure that no cell is good enough; else the reason for no
            decision: `stopped` (also by the budget), `failures`, `unpriced`, or `items` that ran
            out; or `spent` for a search that came to its end with a choice that is not sure.
        possible: Cells that may still be chosen, if it is undecided.
        leader: The cells that would be chosen by the values so far, if it is undecided.
        also: Whether it is sure for the other claim as well.
        margin: If it is undecided which is the most accurate: no other cell's mean score is higher
            than the leader's by more than this; None if that is more than half.
        trials: Trials that it stands on.
        all_trials: Trials of the whole grid.
        cost_usd: What its trials cost, each call counted for each cell that uses it; None if
            unknown.
        all_cost_usd: The same for the whole grid, by the means of each cell.
        failed: Failed trials among its trials; it holds whatever these would have scored.
        search: What a search adds.
    """

    dataset: str
    want: Literal["cheapest", "most_accurate", "front"]
    alpha: float
    claim: Literal["items", "questions"]
    cells: list[str]
    items: int
    asked: dict[str, int]
    digest: str
    outcome: Literal["decided", "none", "spent", "stopped", "failures", "unpriced", "items"]
    trials: int
    all_trials: int
    within: float = 0.0
    at_least: float | None = None
    choice: list[str] = []
    possible: list[str] = []
    leader: list[str] = []
    also: bool = False
    margin: float | None = None
    cost_usd: float | None = None
    all_cost_usd: float | None = None
    failed: int = 0
    search: Search | None = None

    @property
    def datasets(self) -> list[str]:
        """Names of its datasets."""
        return (self.search.datasets if self.search is not None else []) or [self.dataset]

    def on_all(self, names: Iterable[str]) -> set[str]:
        """Return the names of the cells that some systems are on all datasets."""
        own = self.datasets
        return {on_dataset(name, own, each) for name in names for each in own}

    @property
    def over(self) -> bool:
        """Whether nothing more is to be asked for it."""
        return self.sure or self.outcome == "spent"

    @property
    def sure(self) -> bool:
        """Whether it is decided."""
        return self.outcome in ("decided", "none")


def on_dataset(name: str, datasets: Sequence[str], dataset: str) -> str:
    """Return the name of the cell of the same system on another dataset.

    Args:
        name: Name of the cell, on the first of the datasets.
        datasets: The dataset that its name is of, and further ones; empty for none.
        dataset: The other dataset.
    """
    return dataset + name.removeprefix(datasets[0]) if datasets else name


def certificates_in(fact: str | None) -> list[Certificate]:
    """Return the certificates in a fact of a trial store; none without the fact.

    Raises:
        DamagedStoreError: if they cannot be read.
    """
    if fact is None:
        return []
    try:
        return msgspec.json.decode(fact, type=list[Certificate])
    except msgspec.MsgspecError as error:
        raise DamagedStoreError(
            f"the certificates of the trial store are damaged: {error}; run its grid once more"
        ) from None
