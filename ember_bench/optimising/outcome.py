"""The result of an optimisation: as data, as text, and as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from ember_bench.drawing.number_format import UNDEFINED, count, dollars, percent, points

OPTIMISED: Final = "optimised.json"
OPTIMISED_TEXT: Final = "optimised.md"
OPTIMISED_PAGE: Final = "optimised.html"


class CurvePoint(msgspec.Struct, frozen=True):
    """A candidate that was scored on all validation items.

    Attributes:
        spent_usd: Cost of all calls of the search up to then, each counted once; None if unknown.
        score: Mean score on the validation items, in [0, 1].
        cost_usd: Cost of a trial; None if unknown.
    """

    spent_usd: float | None
    score: float
    cost_usd: float | None


class Difference(msgspec.Struct, frozen=True):
    """A paired difference of mean scores.

    Attributes:
        value: Mean score after less before.
        interval: Its confidence interval; None if there is none.
        p_value: Two-sided, of no difference.
        level: Nominal coverage of the interval.
    """

    value: float
    interval: tuple[float, float] | None
    p_value: float
    level: float


class Tested(msgspec.Struct, frozen=True):
    """Both networks on items that the search never saw.

    Attributes:
        items: Number of items.
        before: Mean score of the network as it was.
        after: Mean score with the new prompts.
        difference: The paired difference; failed trials score 0.
        cost_before_usd: Cost of a trial of the network as it was; None if unknown.
        cost_after_usd: The same with the new prompts.
        failed_before: Failed trials of the network as it was.
        failed_after: The same with the new prompts.
    """

    items: int
    before: float
    after: float
    difference: Difference
    cost_before_usd: float | None
    cost_after_usd: float | None
    failed_before: int
    failed_after: int


class Optimised(msgspec.Struct, frozen=True):
    """The result of an optimisation.

    Attributes:
        study: The study.
        cell: Name of the cell whose prompts were worded otherwise.
        method: The optimiser.
        card: Name of the new architecture card.
        simulated: Whether any answer is from a simulated model.
        train: Number of items that the optimiser looked at.
        validation: Number of items by which it chose.
        curve: The candidates, in order; the first is the network as it was.
        chosen: Index of the best of them.
        optimistic: Difference on the validation items, which chose the best: too high.
        tested: Both on items that were not used before; None if nothing better was found, or the
            budget ended.
        ended: Why the search ended before its time; empty if it did not.
        prompts: What the new prompts say before their inputs, by name.
        prompts_before: What they said.
        spent_usd: Cost of all calls, each counted once; None if unknown.
    """

    study: str
    cell: str
    method: str
    card: str
    simulated: bool
    train: int
    validation: int
    curve: list[CurvePoint]
    chosen: int
    optimistic: float
    tested: Tested | None
    ended: str
    prompts: Mapping[str, str]
    prompts_before: Mapping[str, str]
    spent_usd: float | None


def as_text(outcome: Optimised) -> str:
    """Return the result to read."""
    return "\n".join(_lines(outcome))


def _lines(outcome: Optimised) -> Iterator[str]:
    simulated = ", simulated" if outcome.simulated else ""
    yield f"{outcome.cell}: prompts by {outcome.method}{simulated}"
    yield ""
    yield from _curve(outcome)
    yield ""
    yield from result_lines(outcome)
    for name, text in outcome.prompts.items():
        if text != outcome.prompts_before[name]:
            yield ""
            yield f"{name}:"
            yield from (f"  {line}" for line in text.splitlines())


def result_lines(outcome: Optimised) -> Iterator[str]:
    """Yield what was found, in sentences."""
    if outcome.ended:
        yield f"The search ended early: {outcome.ended}."
    if outcome.chosen == 0:
        yield "No better prompt was found: the card has the prompts as they are."
        return
    yield (
        f"On the {count(outcome.validation, 'validation item')}, which chose it:"
        f" {points(outcome.optimistic)} points (optimistic)"
    )
    yield from _test(outcome.tested)


def _curve(outcome: Optimised) -> Iterator[str]:
    yield f"{'candidate':>9}  {'cost so far':>11}  {'validation':>10}  {'cost/item':>9}"
    for number, point in enumerate(outcome.curve):
        mark = " *" if number == outcome.chosen else ""
        yield (
            f"{number:>9}  {dollars(point.spent_usd):>11}  {percent(point.score):>10}"
            f"  {dollars(point.cost_usd):>9}{mark}"
        )


def _test(tested: Tested | None) -> Iterator[str]:
    if tested is None:
        yield "On test items: not known, as the budget ended; run it again to go on."
        return
    found = tested.difference
    interval = UNDEFINED
    if found.interval is not None:
        interval = f"[{points(found.interval[0])}, {points(found.interval[1])}]"
    yield (
        f"On {count(tested.items, 'test item')}, not used before: {points(found.value)} {interval}"
        f" points ({100 * found.level:g} % interval)"
    )
    yield (
        f"  score {percent(tested.before)} -> {percent(tested.after)}, cost/item"
        f" {dollars(tested.cost_before_usd)} -> {dollars(tested.cost_after_usd)}"
    )
    if tested.failed_before or tested.failed_after:
        yield (f"  failed trials, which score 0: {tested.failed_before} -> {tested.failed_after}")
