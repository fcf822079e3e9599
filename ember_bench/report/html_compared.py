"""A comparison's report: the differences, and every item that makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ember_bench.drawing.charts import Row, differences
from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import (
    UNDEFINED,
    count,
    interval,
    p_value,
    points,
    share,
    times,
)
from ember_bench.experiment.results.compared import Comparison, ComparisonTable, Flip, Side
from ember_bench.report.comparison_table import captions, margin_texts, pair_values, winner_text
from ember_bench.report.html_report import page_of
from ember_bench.report.system_columns import RANKS, ranks

_Namer = Callable[[Side], str]


def html_comparison(found: ComparisonTable) -> str:
    """Return the page; it needs no script."""
    name = _namer(found)
    notes = tag("ul", *(tag("li", line) for line in (*captions(found), RANKS)))
    main = tag(
        "main",
        tag("section", *(_verdict(pair, found, name) for pair in found.pairs),
            class_="answer", aria_label="The answer"),
        *_overview(found, name),
        *(tag("p", said) for said in margin_texts(found.pairs, found.level)),
        *(tag("p", winner_text(winner)) for winner in found.winners if winner is not None),
        *(_flips(pair, name) for pair in found.pairs),
        tag("section", tag("h2", "How to read this"), notes),
    )  # fmt: skip
    title = "Comparison" + (" (simulated)" if any(pair.simulated for pair in found.pairs) else "")
    return page_of(title, joined([tag("header", tag("h1", title)), main]))


def _verdict(pair: Comparison, found: ComparisonTable, name: _Namer) -> Html:
    """Return the result of a pair in words."""
    p = pair.p_adjusted
    cell, baseline = name(pair.cell), name(pair.baseline)
    size = f"{points(pair.difference.value)} points {interval(pair.difference, 'points')}"
    cost = f", at {times(pair.cost_ratio)} the cost" if pair.cost_ratio else ""
    if pair.same_calls:
        said = f"{cell} makes the same calls as {baseline}"
    elif p is None:
        said = f"{cell}, an oracle, differs from {baseline} by {size}"
    elif not pair.is_clear(found.level):
        said = f"{cell} is not shown to differ from {baseline}: {size}"
    else:
        verb = "beats" if pair.sign > 0 else "is worse than"
        said = f"{cell} {verb} {baseline}: {size}"
    tested = f", adjusted p {p_value(p)}" if p is not None else ""
    tested += ", on shared draws" if pair.shared_draws and not pair.same_calls else ""
    made_up = "Simulated: " if pair.simulated else ""
    sentence = tag("p", f"{made_up}{said}{tested}, on {count(pair.items, 'item')}{cost}.")
    warned = (tag("p", f"Not comparable: {why}.", class_="flag") for why in pair.differing)
    return joined([sentence, *warned])


def _overview(found: ComparisonTable, name: _Namer) -> Iterator[Html]:
    made_up = " (simulated)" if any(pair.simulated for pair in found.pairs) else ""
    rows = [
        Row(
            name(pair.cell),
            number,
            pair.difference,
            hollow=not pair.is_clear(found.level),
        )
        for number, pair in enumerate(found.pairs)
    ]
    title = f"Differences in accuracy{made_up}"
    yield tag("section", tag("h2", title), differences(rows, title=title),
              table(_HEADINGS, [_row(pair, name) for pair in found.pairs],
                    caption=title, names=2))  # fmt: skip


_HEADINGS = ("system", "against", "accuracy", "baseline", "difference", "interval", "items", "won",
             "lost", "p", "adj. p", "cost", "P(best)", "rank")  # fmt: skip


def _row(pair: Comparison, name: _Namer) -> list[Content]:
    return [
        name(pair.cell),
        name(pair.baseline),
        *pair_values(pair),
        share(pair.best_probability),
        ranks(pair.rank, may_be_best=pair.may_be_best),
    ]


def _flips(pair: Comparison, name: _Namer) -> Html:
    """Return the items that a cell won and lost, folded."""
    cell, baseline = name(pair.cell), name(pair.baseline)
    parts: list[Content] = [tag("h2", f"{cell} against {baseline}")]
    for verb, chosen in pair.flipped():
        if chosen:
            title = f"{count(len(chosen), 'item')} {verb}"
            listed = table(("item", "question", "target", cell, baseline),
                           [_flip(flip) for flip in chosen], caption=title, names=5)  # fmt: skip
            parts.append(tag("details", tag("summary", title), listed))
        else:
            parts.append(tag("p", f"No item {verb}.", class_="facts"))
    return tag("section", *parts)


def _flip(flip: Flip) -> list[Content]:
    answers = (" / ".join(a if a is not None else UNDEFINED for a in found)
               for found in (flip.answers, flip.baseline_answers))  # fmt: skip
    return [flip.item, flip.question, flip.target, *answers]


def _namer(found: ComparisonTable) -> _Namer:
    """Return a function that names cells: by label, with source and dataset if these differ."""
    sides = [side for pair in found.pairs for side in (pair.cell, pair.baseline)]
    sources = len({side.source for side in sides}) > 1
    datasets = len({side.dataset for side in sides}) > 1

    def name(side: Side) -> str:
        parts = (side.source if sources else "", side.dataset if datasets else "", side.label)
        return ": ".join(filter(None, parts))

    return name
