"""Decisions in words: the choice, how sure it is, and what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ember_bench.drawing.number_format import UNDEFINED, count, dollars
from ember_bench.experiment.results.certificate import Certificate
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.report.search_text import SEARCHED, said_first, said_space, searched

_MOST_NAMED: Final = 6
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


def stopped(summary: ExperimentSummary) -> str:
    """Return what a reader of tables is told of a run that stopped with its choice."""
    return SEARCHED if searched(summary) else _STOPPED


def decisions(summary: ExperimentSummary) -> list[str]:
    """Return the decisions of an experiment as sentences, one text for each dataset."""
    labels = {cell.name: cell.label for cell in summary.cells}
    several = len(summary.datasets) > 1
    return [" ".join(_said(found, labels, several=several)) for found in summary.decisions]


def _said(found: Certificate, labels: Mapping[str, str], *, several: bool) -> Iterator[str]:
    if found.search is not None and found.choice:
        yield from said_first(found, found.search, labels)
        yield _sure_of_search(found)
        yield from said_space(found, found.search)
        yield from _took(found)
        return
    where = f" on {', '.join(found.datasets)}" if several else ""
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


def _sure_of_search(found: Certificate) -> str:
    others = f"among the {count(len(found.cells), 'system')} that were asked"
    if found.outcome == "decided":
        return f"{_sure(found)}, {others}: {_claim(found, len(found.choice))}."
    if found.margin is not None and found.margin <= _LARGEST_MARGIN:
        margin = _points(found.margin)
        return f"{_sure(found)}, {others}: no other is more than {margin} more accurate."
    what = "the front" if found.want == "front" else "the best"
    return f"Not sure ({_goal(found)}), {others}: it is {what} by the values."


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
