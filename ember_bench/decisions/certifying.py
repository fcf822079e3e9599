"""Certificates of decisions, from stored rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.decisions.evidence import Evidence, stored_evidence
from ember_bench.experiment.results.certificate import Certificate, Measured, Search
from ember_bench.experiment.results.rows import TrialRows

Undecided = Literal["stopped", "failures", "unpriced", "items", "spent"]

_MARGINS: Final = (
    0.0, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2,
    0.3, 0.5,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found, and how.

    Attributes:
        terms: What it was given; its figures are computed anew.
        items: Number of items that it may see.
        winners: The places of its choice among the cells of the evidence; empty without one.
        held_out: Number of held-out items that each of these was measured on.
    """

    terms: Search
    items: int
    winners: tuple[int, ...] = ()
    held_out: int = 0

    def told(
        self,
        evidence: Evidence,
        choice: tuple[int, ...],
        asked: npt.NDArray[np.int64],
        now: stats.Standing,
    ) -> Search:
        """Return its terms with the figures of the rows."""
        return msgspec.structs.replace(
            self.terms,
            worse=int(np.count_nonzero(~now.possible)),
            measured=[self._measured(evidence, cell, int(asked[cell])) for cell in choice],
        )

    def _measured(self, evidence: Evidence, cell: int, asked: int) -> Measured:
        number = min(self.held_out, evidence.held_out(cell, self.items))
        end = self.items + number
        by_dataset = {}
        for place, name in enumerate(self.terms.datasets):
            if (own := evidence.accuracy(cell, self.items, end, place)) is not None:
                by_dataset[name] = own
        described = evidence.rows.description
        return Measured(
            cell=described.cells[evidence.cells[cell]].name,
            held_out=number,
            seen=evidence.accuracy(cell, 0, asked),
            unseen=evidence.accuracy(cell, self.items, end),
            by_dataset=by_dataset,
            usd=evidence.usd(cell, asked, self.items, number),
        )


def goal_of(certificate: Certificate) -> stats.Goal:
    """Return what a certificate's race was to find."""
    found = certificate.search
    others = 0 if found is None else found.candidates - len(certificate.cells)
    return stats.Goal(
        certificate.want, certificate.within, certificate.at_least, certificate.alpha, others
    )


def certify(
    evidence: Evidence,
    goal: stats.Goal,
    asked: npt.NDArray[np.int64],
    claim: Literal["items", "questions"],
    undecided: Undecided,
    search: Searched | None = None,
) -> Certificate:
    """Return the certificate of what the first ``asked`` items of each cell show.

    Args:
        evidence: The rows.
        goal: What is to be found.
        asked: Number of items of each cell, shape (n_cells,).
        claim: What it is to be sure for.
        undecided: Why no more items were asked, if it is undecided.
        search: What a search found, and how; None for a decision.
    """
    items = len(evidence) if search is None else search.items
    described = evidence.rows.description
    names = [described.cells[place].name for place in evidence.cells]
    most = None if search is None else stats.CONTENDERS
    population = items if claim == "items" else None
    now = _standing(evidence, goal, asked, items, most, resampled=claim == "questions")
    other = _standing(evidence, goal, asked, items, most, resampled=claim == "items")
    measured = evidence.measured(asked)
    choice, outcome = _chosen(now, measured, undecided, search)
    taken = evidence.taken(asked)
    found = None if search is None else search.told(evidence, choice, asked, now)
    held_out = 0 if found is None else sum(one.held_out for one in found.measured)
    systems = len(names) if search is None else search.terms.space
    costs = np.where(taken, evidence.cost, 0.0).sum(axis=0) * described.epochs
    priced = not evidence.unpriced(asked) and bool(asked.all())
    return Certificate(
        dataset=evidence.datasets[0],
        want=goal.want,
        within=goal.within,
        at_least=goal.at_least,
        alpha=goal.alpha,
        claim=claim,
        cells=names,
        items=items,
        asked=dict(zip(names, asked.tolist(), strict=True)),
        digest=evidence.digest(asked),
        outcome=outcome,
        choice=[names[cell] for cell in choice],
        possible=_named(names, now, chosen=bool(choice) and search is None),
        leader=[] if choice else [names[cell] for cell in now.leader if measured[cell]],
        also=outcome in ("decided", "none") and _is_also(choice, now, other),
        margin=_margin(evidence, goal, asked, now, population, choice),
        trials=(int(asked.sum()) + held_out) * described.epochs,
        all_trials=len(evidence) * systems * described.epochs,
        cost_usd=float(costs.sum()) if priced else None,
        # Those that a search asked are no random part of its space.
        all_cost_usd=None
        if not priced or search is not None
        else float((costs / asked).sum() * len(evidence)),
        failed=int(np.where(taken, evidence.failed, 0).sum()),
        search=found,
    )


def _named(names: Sequence[str], now: stats.Standing, *, chosen: bool) -> list[str]:
    """Return the names of the cells that may still be chosen; none if one is chosen."""
    return [] if chosen else [names[cell] for cell in np.flatnonzero(now.possible).tolist()]


def _chosen(
    now: stats.Standing,
    measured: npt.NDArray[np.bool_],
    undecided: Undecided,
    search: Searched | None,
) -> tuple[tuple[int, ...], Literal["decided", "none"] | Undecided]:
    """Return the choice, and how it was come to."""
    choice = now.choice or ()
    if search is not None and now.choice != ():
        choice = search.winners
    if search is not None and (undecided == "stopped" or (not choice and now.choice != ())):
        return (), undecided
    if not measured[list(choice)].all():
        # A failure is no finding: nobody is told to use what never answered.
        return (), "failures"
    if now.choice is not None and (search is None or now.sure[list(choice)].all()):
        return choice, "decided" if choice else "none"
    return choice, undecided


def recertify(rows: TrialRows, certificate: Certificate) -> Certificate:
    """Return the certificate that the stored rows give now for the same question and items.

    Raises:
        StoreError: if one of its cells is gone.
    """
    terms = certificate.search
    evidence = stored_evidence(rows, certificate.cells, [] if terms is None else terms.datasets)
    wanted = [certificate.asked.get(name, 0) for name in certificate.cells]
    asked = np.minimum(np.asarray(wanted, dtype=np.int64), evidence.whole)
    outcome = certificate.outcome
    why: Undecided = "stopped" if outcome == "decided" or outcome == "none" else outcome  # noqa: PLR1714 - narrows the type
    search = None
    if terms is not None:
        winners = tuple(certificate.cells.index(name) for name in certificate.choice)
        held_out = max((one.held_out for one in terms.measured), default=0)
        search = Searched(terms, certificate.items, winners, held_out)
        why = "spent" if certificate.sure else why
    return certify(evidence, goal_of(certificate), asked, certificate.claim, why, search)


def _standing(
    evidence: Evidence,
    goal: stats.Goal,
    asked: npt.NDArray[np.int64],
    items: int,
    contenders: int | None,
    *,
    resampled: bool,
) -> stats.Standing:
    race = stats.Race(goal, len(evidence.cells), items, resampled=resampled, contenders=contenders)
    if evidence.unpriced(asked) and goal.want != "most_accurate":
        return race.now
    return race.take(asked, evidence.low, evidence.high, costs_for(goal, evidence))


def costs_for(goal: stats.Goal, evidence: Evidence) -> npt.NDArray[np.float64] | None:
    """Return the costs of the evidence if they matter for the goal."""
    return None if goal.want == "most_accurate" else evidence.cost


def _is_also(choice: tuple[int, ...], now: stats.Standing, other: stats.Standing) -> bool:
    """Return whether a choice is a right one for the other claim, too."""
    if not choice:
        return now.choice is not None and now.choice == other.choice
    if len(choice) == 1:
        return bool(other.sure[choice[0]])
    return choice == other.choice


def _margin(
    evidence: Evidence,
    goal: stats.Goal,
    asked: npt.NDArray[np.int64],
    now: stats.Standing,
    population: int | None,
    choice: tuple[int, ...],
) -> float | None:
    """Return by how much the best cell can be more accurate than the one that leads undecided."""
    if now.choice is not None or goal.want != "most_accurate" or not now.leader:
        return None
    cell = choice[0] if choice else now.leader[0]
    # A cell that another one is shown to beat is not the best.
    others = [int(other) for other in np.flatnonzero(now.possible) if other != cell]
    nulls = -np.asarray(_MARGINS)[::-1] - stats.TINY
    alpha, most = goal.share(len(evidence.cells)), 0.0
    for other in others:
        n = int(min(asked[cell], asked[other]))
        values = evidence.low[:n, cell] - evidence.high[:n, other]
        found = stats.first_shown(values[:, np.newaxis], nulls, alpha=alpha, population=population)[
            :, 0
        ]
        known = np.flatnonzero(found != stats.NEVER)
        if not known.size:
            return None
        most = max(most, float(-nulls[known[-1]] - stats.TINY))
    return most


def same_certificate(first: Certificate, second: Certificate) -> Sequence[str]:
    """Return the fields in which two certificates differ by more than rounding."""
    return [
        name
        for name in first.__struct_fields__
        if not _same(getattr(first, name), getattr(second, name))
    ]


def _same(first: object, second: object) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return bool(np.isclose(first, second, rtol=1e-9, atol=1e-12))
    return first == second
