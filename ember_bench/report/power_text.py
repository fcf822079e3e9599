"""What a grid can show, in the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from rich.text import Text

from ember_bench.decisions.planning import ComparisonPower, PowerPlan
from ember_bench.drawing.number_format import UNDEFINED, count
from ember_bench.drawing.text import one_line
from ember_bench.report.layout import flat

_MOST_DATASETS: Final = 3
"""Of more datasets, sentences tell of the first ones."""


def power_text(plan: PowerPlan, columns: int | None) -> Text:
    """Return the comparisons with what they can show, and sentences about them."""
    text, room = Text(), min(columns or 100, 100)
    simulated = " (simulated)" if plan.simulated else ""
    split = any(found.within is not None for found in plan.comparisons)
    wanted = None if plan.difference is None else points(plan.difference)
    for dataset, group in groupby(plan.comparisons, key=lambda found: found.dataset):
        items = count(plan.items[dataset], "item")
        epochs = f" x {plan.epochs} epochs" if plan.epochs > 1 else ""
        text.append(f"{one_line(dataset)}: {items}{epochs}{simulated}\n", style="bold")
        headings = ["system", "measured on", "differ", "shows"]
        headings += [f"{wanted} need"] if wanted else []
        headings += ["or epochs"] if wanted and split else []
        rows = [_row(found, wanted=bool(wanted), split=split) for found in group]
        heading, *lines = flat([headings, *rows], left=1)
        text.append(heading + "\n", style="dim")
        text.append("\n".join(lines) + "\n\n")
    if not plan.comparisons:
        return text.append(textwrap.fill(_total(plan), room), style="bold")
    for line in _captions(plan, split=split):
        text.append(textwrap.fill(line, room, subsequent_indent="  ") + "\n", style="dim")
    return text.append("\n" + textwrap.fill(_total(plan), room), style="bold")


def _row(found: ComparisonPower, *, wanted: bool, split: bool) -> list[str]:
    differ = found.deviation if found.disagree is None else found.disagree
    row = [
        one_line(found.label),
        count(found.items, "item"),
        f"{100 * differ:.3g} %" if found.disagree is not None else f"sd {differ:.2g}",
        UNDEFINED if found.shows is None else points(found.shows),
    ]
    row += [UNDEFINED if found.needs is None else count(found.needs, "item")] if wanted else []
    row += [UNDEFINED if found.epochs is None else str(found.epochs)] if wanted and split else []
    return row


def _captions(plan: PowerPlan, *, split: bool) -> Iterator[str]:
    yield (
        "Differ: share of items that exactly one of the system and the baseline gets right, or the"
        f" standard deviation (sd) of the items' differences; measured on {one_line(plan.source)}."
    )
    yield (
        f"Shows: the smallest difference of accuracy that is found in {100 * plan.power:.3g} % of"
        f" such studies, each comparison at an error of {100 * plan.alpha:.2g} %: that of all"
        " comparisons divided by their number."
    )
    if plan.difference is not None and split:
        yield (
            "Or epochs: with as many items, the epochs of each that are enough. One more item tells"
            f" more than one more epoch of an item; {UNDEFINED} where no number of epochs is"
            " enough."
        )
    if plan.unmeasured:
        yield f"Not measured, with too few common items: {count(plan.unmeasured, 'system')}."
    if any(found.deviation == 0 for found in plan.comparisons):
        yield f"{UNDEFINED} where no item differed: nothing is known of the variance."
    if any(found.shows is None and found.deviation > 0 for found in plan.comparisons):
        yield f"{UNDEFINED} below shows: so few items show no difference with this power."


def _total(plan: PowerPlan) -> str:
    if not plan.comparisons:
        return f"Nothing can be measured yet on {one_line(plan.source)}: " + (
            f"{count(plan.unmeasured, 'system')} with too few answered items in common with the"
            " baseline."
            if plan.unmeasured
            else "there is no system beside the baseline."
        )
    return " ".join(sentences(plan)) or "No difference can be shown."


def sentences(plan: PowerPlan) -> list[str]:
    """Return what each dataset can show, as sentences."""
    found = []
    for dataset, group in groupby(plan.comparisons, key=lambda one: one.dataset):
        known = [one for one in group if one.shows is not None]
        if not known:
            continue
        low, high = (f(one.shows or 0.0 for one in known) for f in (min, max))
        size = points(high) if points(low) == points(high) else f"{_number(low)} to {points(high)}"
        items = count(plan.items[dataset], "item")
        epochs = f" x {plan.epochs} epochs" if plan.epochs > 1 else ""
        said = (
            f"{one_line(dataset)}, {items}{epochs}: differences of {size} at"
            f" {100 * plan.power:.3g} % power"
        )
        needs = [one.needs for one in known if one.needs is not None]
        if needs and plan.difference is not None:
            most = count(max(needs), "item")
            least = "" if min(needs) == max(needs) else f"{min(needs):,} to "
            said += f"; {points(plan.difference)} need {least}{most}"
        found.append(said + ".")
    if (more := len(found) - _MOST_DATASETS) > 0:
        found[_MOST_DATASETS:] = [f"`ember-bench power` tells of {count(more, 'other dataset')}."]
    return found


def points(value: float) -> str:
    """Return a difference of accuracy in points."""
    number = _number(value)
    return f"{number} point" if number == "1" else f"{number} points"


def _number(value: float) -> str:
    return f"{100 * value:.2g}" if value < 0.1 else f"{100 * value:.3g}"
