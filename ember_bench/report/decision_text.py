"""Decisions in words: the choice, how sure it is, and what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ember_bench.drawing.number_format import UNDEFINED, count, dollars, percent
from ember_bench.experiment.results.certificate import Certificate, Search
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import ExperimentSummary

_MOST_NAMED: Final = 6
_MOST_ROWS: Final = 12
_LARGEST_MARGIN: Final = 0.2
"""Larger margins of what a search found say nothing of use."""
_REASONS: Final = {
    "stopped": "the run was stopped, or its budget is spent",
    "failures": "failed trials could turn it, whatever else is asked",
    "unpriced": "the cost of a trial is unknown",
    "items": "the items ran out",
    "spent": "the search is over",
}
_STOPPED: Final = (
    "The run stopped when its decision was sure: the decision allows for that, and intervals and"
    " p-values of the tables do not. Systems were asked different numbers of items."
)


_SEARCHED: Final = (
    "The search asked systems different numbers of items, the more the better they were: intervals"
    " and p-values of the tables do not allow for that."
)


def searched(summary: ExperimentSummary) -> bool:
    """Return whether a summary is of a search, whose systems are no study of their own."""
    return any(found.search is not None for found in summary.decisions)


def finalists(summary: ExperimentSummary) -> set[str] | None:
    """Return the names of the systems that a search asked the most; None without a search."""
    names: set[str] = set()
    for found in summary.decisions:
        if found.search is None:
            return None
        # With equal numbers of items, the choice comes first.
        order = sorted(found.asked, key=lambda n: (-found.asked[n], n not in found.choice))
        names.update(order[:_MOST_ROWS])
    baselines = {cell.comparison.baseline for cell in summary.cells if cell.comparison is not None}
    return names | baselines if names else None


def stopped(summary: ExperimentSummary) -> str:
    """Return what a reader of tables is told of a run that stopped with its choice."""
    return _SEARCHED if searched(summary) else _STOPPED


def decisions(summary: ExperimentSummary) -> list[str]:
    """Return the decisions of an experiment as sentences, one text for each dataset."""
    labels = {cell.name: cell.label for cell in summary.cells}
    several = len(summary.datasets) > 1
    return [" ".join(_said(found, labels, several=several)) for found in summary.decisions]


def _said(found: Certificate, labels: Mapping[str, str], *, several: bool) -> Iterator[str]:
    if found.search is not None and found.choice:
        yield from _searched(found, found.search, labels[found.choice[0]])
        return
    where = f" on {found.dataset}" if several else ""
    names = [labels[name] for name in found.choice]
    if found.outcome == "decided":
        use = f"use {names[0]}" if len(names) == 1 else f"the front is {_some(names)}"
        yield f"Decision{where}: {use}."
        yield f"{_sure(found)}: {_claim(found, len(names))}."
    elif found.outcome == "none":
        yield f"Decision{where}: no system is accurate enough."
        yield f"{_sure(found)}: each of them is below {_percent(found.at_least)} %."
    else:
        yield f"Undecided{where} ({_goal(found)}): {_REASONS[found.outcome]}."
        yield from _so_far(found, labels)
    yield from _took(found)
    yield from _other_claim(found)


def _searched(found: Certificate, search: Search, label: str) -> Iterator[str]:
    """Say what a search found: the honest estimate first."""
    yield f"Search: use {label}."
    asked = f"{count(int(found.asked[found.choice[0]]), 'item')} it was chosen by"
    if search.unseen is not None:
        yield (
            f"It is right on {_interval(search.unseen)} of"
            f" {count(search.held_out_asked, 'item')} that the search never saw; on the {asked}"
            f" on {_interval(search.seen)}, which flatters it."
        )
    else:
        yield (
            f"On the {asked} it is right on {_interval(search.seen)}, which flatters it: no item"
            f" was {'left' if search.held_out else 'held out'} to measure it on."
        )
    others = f"{count(len(found.cells), 'system')} that were asked"
    if found.outcome == "decided":
        yield f"{_sure(found)}, among the {others}: {_claim(found, 1)}."
    elif found.margin is not None and found.margin <= _LARGEST_MARGIN:
        yield (
            f"{_sure(found)}, among the {others}: no other is more than {_points(found.margin)}"
            " more accurate."
        )
    else:
        yield f"Not sure ({_goal(found)}), among the {others}: it is the best by the values."
    yield from _space(found, search)
    yield from _took(found)


def _space(found: Certificate, search: Search) -> Iterator[str]:
    drawn = ""
    if search.candidates < search.space:
        drawn = f", of which {search.candidates:,} were drawn to choose among"
    never = search.candidates - len(found.cells)
    said = f"The grid has {count(search.space, 'system')}{drawn}"
    if never:
        said += f"; of {count(never, 'system')} nothing was asked, and nothing is said"
    yield f"{said}. {search.worse:,} of those asked are surely no better choice."
    money = []
    if search.budget_usd is not None and search.spent_usd is not None:
        money.append(f"{dollars(search.spent_usd)} of {dollars(search.budget_usd)}")
    if search.trials is not None:
        money.append(f"at most {count(search.trials, 'trial')}")
    yield (
        f"Paid for it: {', '.join(money)}."
        if search.budget_usd is not None
        else (f"Its budget: {', '.join(money)}.")
    )


def _interval(value: Quantity | None) -> str:
    if value is None:
        return UNDEFINED
    if value.low is None or value.high is None:
        return f"{percent(value.value)} %"
    return f"{percent(value.value)} % [{percent(value.low)}, {percent(value.high)}]"


def _so_far(found: Certificate, labels: Mapping[str, str]) -> Iterator[str]:
    leaders = [labels[name] for name in found.leader]
    if leaders:
        margin = ""
        if found.margin is not None:
            margin = (
                f"; no other is more than {_points(found.margin)} more accurate,"
                f" {_sure(found).lower()}"
            )
        yield f"So far: {_some(leaders)}{margin}."
    others = [labels[name] for name in found.possible if name not in found.leader]
    if others:
        yield f"Still possible: {_some(others)}."


def _claim(found: Certificate, chosen: int) -> str:
    if found.want == "most_accurate":
        return f"no system is more accurate by more than {_points(found.within)}"
    if found.want == "front" and chosen != 1:
        return (
            "every other system has one of these that costs no more and is at most"
            f" {_points(found.within)} less accurate, and none of these has such a one that is"
            " more accurate by more than that"
        )
    if found.want == "front":
        return f"no system that costs no more is more accurate by more than {_points(found.within)}"
    if found.at_least is not None:
        return f"it reaches {_percent(found.at_least)} %, and no cheaper system does"
    return (
        f"it is at most {_points(found.within)} less accurate than the most accurate system, and no"
        " cheaper system is"
    )


def _goal(found: Certificate) -> str:
    if found.want == "most_accurate":
        return f"most accurate, within {_points(found.within)}"
    if found.want == "front":
        return f"front, within {_points(found.within)}"
    if found.at_least is not None:
        return f"cheapest that reaches {_percent(found.at_least)} %"
    return f"cheapest within {_points(found.within)} of the most accurate"


def _sure(found: Certificate) -> str:
    about = "for this item" if found.items == 1 else f"for these {found.items:,} items"
    if found.claim == "questions":
        about = "for questions like these"
    return f"Sure at {_percent(1 - found.alpha)} % {about}"


def _took(found: Certificate) -> Iterator[str]:
    share = found.trials / max(1, found.all_trials)
    cost = ""
    if found.cost_usd is not None and found.all_cost_usd:
        cost = (
            f", calls of {dollars(found.cost_usd)} of about {dollars(found.all_cost_usd)} for all"
            " (shared calls counted for each system)"
        )
    failed = ""
    if found.failed:
        failed = f"; {found.failed:,} of these trials failed" + (
            ", and it holds whatever they would have scored" if found.sure else ""
        )
    yield (
        f"It stands on {found.trials:,} of {count(found.all_trials, 'trial')}"
        f" ({100 * share:.0f} %){cost}{failed}."
    )
    if found.want != "most_accurate" and found.sure and found.trials < found.all_trials:
        yield "It assumes that no item costs more than 4 times the most expensive of the first ten."


def _other_claim(found: Certificate) -> Iterator[str]:
    if not found.sure:
        return
    if found.claim == "questions":
        yield "So it is for these items." if found.also else "For these items it is not shown."
    elif found.also:
        yield "It holds for questions like these as well, with the same confidence."
    else:
        yield "For questions like these it is not shown, which would take more items."


def _points(value: float) -> str:
    number = f"{100 * value:.3g}"
    return f"{number} point" if number == "1" else f"{number} points"


def _percent(value: float | None) -> str:
    return UNDEFINED if value is None else f"{100 * value:.4g}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    if more <= 1:
        return "; ".join(names)
    return f"{'; '.join(names[:_MOST_NAMED])}; and {count(more, 'other')}"
