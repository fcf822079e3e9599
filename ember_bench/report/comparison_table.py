"""Comparisons of systems in the terminal: the table, and the items that make the difference."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from ember_bench.drawing.number_format import (
    UNDEFINED,
    count,
    interval,
    p_value,
    percent,
    points,
    share,
    times,
)
from ember_bench.drawing.text import one_line, width
from ember_bench.experiment.results.compared import Comparison, ComparisonTable, Flip, Side, Winner
from ember_bench.report.columns import USUAL, Column, View, places
from ember_bench.report.layout import flat, named, stacked
from ember_bench.report.summary_text import (
    CORRECTED,
    INTERVALS,
    SHARED,
    SHARED_DRAWS,
    SIMULATED,
    left_out,
    marked,
    with_mark,
)
from ember_bench.report.system_columns import RANKS, SAME, ranks, verdict

_LONGEST_LINE: Final = 100
_LONGEST_ANSWER: Final = 40
_LONGEST_WORDS: Final = 10
_NAMED: Final = 5
_USUAL: Final = (
    "accuracy", "baseline", "difference", "items", "won", "lost", "result", "p", "cost", "best",
)  # fmt: skip


def comparison_columns(level: float) -> list[Column[Comparison]]:
    """Return all columns of the table of comparisons, in their order.

    Args:
        level: Level of the intervals.
    """
    sure = f"[{100 * level:g} %]"
    return [
        Column("accuracy", "accuracy", lambda p: percent(p.cell.accuracy),
               lambda p: p.cell.accuracy, descending=True),
        Column("baseline", "baseline", lambda p: percent(p.baseline.accuracy),
               lambda p: p.baseline.accuracy, descending=True, under="accuracy"),
        Column("difference", "difference", lambda p: points(p.difference.value),
               lambda p: p.difference.value, descending=True),
        Column("difference_interval", sure,
               lambda p: "" if p.same_calls else interval(p.difference, "points"),
               under="difference", along=True),
        Column("items", "items", lambda p: f"{p.items:,}", lambda p: p.items, descending=True),
        Column("won", "won", lambda p: f"{p.wins:,}", lambda p: p.wins, descending=True),
        Column("lost", "lost", lambda p: f"{p.losses:,}", lambda p: p.losses, under="won"),
        Column("result", "result", lambda p: verdict(
            p.sign, same=p.same_calls, clear=p.is_clear(level), oracle=p.cell.oracle)),
        Column("p", "adj. p", lambda p: "" if p.same_calls else p_value(p.p_adjusted),
               lambda p: p.p_adjusted, under="result"),
        Column("raw_p", "p", lambda p: "" if p.same_calls else p_value(p.p_value),
               lambda p: p.p_value, under="p"),
        Column("cost", "cost", lambda p: times(p.cost_ratio),
               lambda p: None if p.cost_ratio is None else p.cost_ratio.value),
        Column("cost_interval", sure, _cost_interval, under="cost"),
        Column("best", "P(best)", lambda p: share(p.best_probability),
               lambda p: p.best_probability, descending=True, under="cost"),
        Column("rank", "rank", lambda p: ranks(p.rank, may_be_best=p.may_be_best),
               lambda p: None if p.rank is None else sum(p.rank)),
    ]  # fmt: skip


def _cost_interval(pair: Comparison) -> str:
    cost = pair.cost_ratio
    if cost is None or cost.low is None or cost.high is None:
        return ""
    return f"[{cost.low:.3g}, {cost.high:.3g}]"


def comparison_table(
    table: ComparisonTable, columns: int | None, *, flips: int, view: View = USUAL
) -> Text:
    """Return the comparisons, a section for each baseline, with their captions.

    Args:
        table: The comparisons.
        columns: The terminal's width; None without a terminal, and then nothing is wrapped.
        flips: Number of items to list of those won, and of those lost, for each comparison.
        view: The rows and columns to show; p stays adjusted for all that were compared.

    Raises:
        UnknownNameError: if the view names an unknown column or dataset.
    """
    text = Text()
    view.check(comparison_columns(table.level))
    view.check_datasets({pair.cell.dataset for pair in table.pairs})
    room = min(columns or _LONGEST_LINE, _LONGEST_LINE)
    several = len({side.source for pair in table.pairs for side in (pair.cell, pair.baseline)}) > 1
    for section in _sections(table, view, several=several):
        simulated = " (simulated)" if _all_simulated(table) else ""
        text.append(f"{section.title}{simulated}\n", style="bold")
        for reason in dict.fromkeys(r for pair in section.pairs for r in pair.differing):
            text.append(f"not comparable: {one_line(reason)}\n", style="bold")
        heading, *rows = _layout(section, table, columns, view, several=several)
        text.append(heading + "\n", style="dim")
        text.append("\n".join(rows) + "\n\n")
        said = [_filled(one_line(line), room) for line in _sentences(section, table.level)]
        text.append("\n".join([*said, "", ""]) if said else "")
        for pair in section.pairs:
            text.append(_flips(pair, flips, several=several))
    said = [*captions(table), *([RANKS] if "rank" in view.columns else ())]
    lines = "\n".join(_filled(with_mark(caption, columns), room) for caption in said)
    return text.append(lines, style="dim")


def _sentences(section: _Section, level: float) -> Iterator[str]:
    """Yield what is said below the table of a section."""
    if section.winner is not None:
        yield winner_text(section.winner)
    yield from margin_texts(section.pairs, level)


def _filled(line: str, room: int) -> str:
    return textwrap.fill(line, room, subsequent_indent="  ", break_on_hyphens=False)


@dataclass(frozen=True, slots=True)
class _Section:
    """Comparisons that are shown together.

    Attributes:
        best: Probability of the baseline to be the best; None without a row for it.
        matched: Whether each cell has a baseline of its own, the same in other results.
        winner: The most accurate of the section; None if nothing is known of it.
    """

    title: str
    pairs: list[Comparison]
    best: float | None
    matched: bool
    winner: Winner | None = None


def margin_texts(pairs: Sequence[Comparison], level: float) -> Iterator[str]:
    """Say of each pair whether the cell is no worse, or as good, within the margin given."""
    for pair in pairs:
        if (within := pair.within) is None:
            continue
        by = f"{100 * within.margin:g} point{'' if within.margin == 0.01 else 's'}"
        shown, p = "", within.p_worse
        if p >= 1 - level:
            shown = "not shown to be "
        elif within.p_value < 1 - level:
            p = within.p_value
        verb = "as good as" if p is not within.p_worse else "no worse than"
        which = f"within {by}" if verb == "as good as" else f"by more than {by}"
        cost = f", at {times(pair.cost_ratio)} its cost" if pair.cost_ratio else ""
        size = p_value(p)
        sign = "" if size.startswith("<") else "= "
        yield (
            f"{pair.cell.label} is {shown}{verb} {pair.baseline.label} {which}"
            f" (one-sided p {sign}{size}){cost}."
        )


def winner_text(winner: Winner) -> str:
    """Say which cell is the most accurate, and which others may be."""
    others = winner.may_be_best[1:]
    more = f"; and {count(len(others) - _NAMED, 'other')}" if len(others) > _NAMED else ""
    also = f" May be better: {'; '.join(others[:_NAMED])}{more}." if others else " No other may be."
    accuracy = f"{percent(winner.accuracy.value)} % {interval(winner.accuracy, 'percent')}"
    return (
        f"Most accurate of {len(winner.ranks):,}: {winner.label}, {accuracy}, corrected for its"
        f" selection.{also}"
    )


def _sections(table: ComparisonTable, view: View, *, several: bool) -> list[_Section]:
    """Return a section for each baseline; one for all that have one each, dataset by dataset."""
    columns = comparison_columns(table.level)
    families: dict[tuple[str, str], list[Comparison]] = {}
    for pair in table.pairs:
        families.setdefault((pair.baseline.source, pair.baseline.cell), []).append(pair)
    matched: dict[tuple[str, str, str], list[Comparison]] = {}
    found = []
    winners = table.winners or [None] * len(families)
    for pairs, best, winner in zip(families.values(), table.baseline_best, winners, strict=True):
        cell, baseline = pairs[0].cell, pairs[0].baseline
        if len(pairs) == 1 and len(families) > 1 and cell.label == baseline.label:
            key = baseline.dataset, cell.source, baseline.source
            matched.setdefault(key, []).append(pairs[0])
            continue
        title = f"{one_line(baseline.dataset)}: against {_label(baseline, several=several)}"
        chosen = view.chosen(pairs, columns)
        found.append(_Section(title, chosen, best, matched=False, winner=winner))
    for (dataset, source, other), pairs in matched.items():
        title = one_line(f"{dataset}: {source} against {other}")
        found.append(_Section(title, view.chosen(pairs, columns), None, matched=True))
    return [s for s in found if any(view.shows(pair.cell.dataset) for pair in s.pairs)]


def _layout(
    section: _Section, table: ComparisonTable, columns: int | None, view: View, *, several: bool
) -> list[str]:
    shown = view.shown(comparison_columns(table.level), _USUAL)
    if section.matched:
        shown = [column for column in shown if column.name != "best"]
    names = [("system", "")]
    values = [[column.heading for column in shown]]
    for pair in section.pairs:
        label = _label(pair.cell, several=several and not section.matched)
        names.append(marked(label, _notes(pair, table), columns))
        values.append([column.text(pair) for column in shown])
    if not section.matched:
        names.append((_label(section.pairs[0].baseline, several=several), "baseline"))
        values.append([_of_baseline(section, column.name) for column in shown])
    lines = flat([[*name, *line] for name, line in zip(names, values, strict=True)], left=2)
    if columns is None or max(map(width, lines)) <= columns:
        return lines
    at = places(shown)
    blocks = stacked(
        [[place.heading for place in at], *values[1:]], [p.under for p in at], _LONGEST_WORDS
    )
    return named(names, blocks, columns)


def _of_baseline(section: _Section, column: str) -> str:
    """Return the value of a baseline in a column; it has few of its own."""
    winner = section.winner
    if column == "best":
        return share(section.best)
    if column == "rank" and winner is not None:
        return ranks(winner.baseline_rank, may_be_best=winner.baseline_may_be_best)
    return ""


def pair_values(pair: Comparison) -> tuple[str, ...]:
    """Return accuracy, baseline, difference, interval, items, won, lost, p, adjusted p and cost."""
    return (
        percent(pair.cell.accuracy),
        percent(pair.baseline.accuracy),
        SAME if pair.same_calls else points(pair.difference.value),
        "" if pair.same_calls else interval(pair.difference, "points"),
        f"{pair.items:,}",
        f"{pair.wins:,}",
        f"{pair.losses:,}",
        p_value(pair.p_value),
        p_value(pair.p_adjusted),
        times(pair.cost_ratio),
    )


def _label(side: Side, *, several: bool) -> str:
    return one_line(f"{side.source}: {side.label}" if several else side.label)


def _all_simulated(table: ComparisonTable) -> bool:
    return all(pair.simulated for pair in table.pairs)


def _notes(pair: Comparison, table: ComparisonTable) -> Iterator[str]:
    if pair.simulated and not _all_simulated(table):
        yield "simulated"
    if pair.cell.oracle:
        yield "oracle"
    if pair.shared_draws and not pair.same_calls:
        yield SHARED
    for side in (pair.cell, pair.baseline):
        which = "" if side is pair.cell else "baseline: "
        if side.scheduled is not None and side.items < side.scheduled:
            yield f"{which}{side.items:,} of {count(side.scheduled, 'item')}"
        if side.failed:
            yield f"{which}{count(side.failed, 'error')}"


def _flips(pair: Comparison, most: int, *, several: bool) -> str:
    """Return the items that a cell won and lost, as far as there is room for them."""
    if not (most and pair.flips):
        return ""
    lines = [f"{_label(pair.cell, several=several)}: {_effect(pair)}"]
    for verb, chosen in pair.flipped():
        lines += [f"  {verb:<4} {_flip(flip)}" for flip in chosen[:most]]
        if (more := len(chosen) - most) > 0:
            lines.append(f"  {verb:<4} and {count(more, 'more item')}")
    return "\n".join(lines) + "\n\n"


def _effect(pair: Comparison) -> str:
    return (
        f"{pair.effect_items:+,.6g} of {count(pair.items, 'item')};"
        f" {pair.wins:,} won, {pair.losses:,} lost"
    )


def _flip(flip: Flip) -> str:
    target = f", target {_shown(flip.target)}" if flip.target is not None else ""
    return (
        f"{one_line(flip.item)}: {_answers(flip.answers)} against"
        f" {_answers(flip.baseline_answers)}{target}"
    )


def _answers(answers: list[str | None]) -> str:
    return " / ".join(_shown(answer) for answer in answers)


def _shown(text: str | None) -> str:
    if text is None:
        return UNDEFINED
    line = one_line(text)
    return line if len(line) <= _LONGEST_ANSWER else line[: _LONGEST_ANSWER - 1] + "…"


def captions(table: ComparisonTable) -> Iterator[str]:
    """Yield the sentences that one needs to read the comparisons."""
    tests = dict.fromkeys(pair.test for pair in table.pairs)
    names = {"mcnemar": "exact McNemar", "sign-flip": "sign-flip permutation"}
    oracles = sum(pair.cell.oracle for pair in table.pairs)
    same = sum(pair.same_calls and not pair.cell.oracle for pair in table.pairs)
    family = count(len(table.pairs) - oracles - same, "comparison")
    yield (
        "Difference: accuracy minus the baseline's in points, on the items that both have, with its"
        f" {100 * table.level:g} % interval{INTERVALS[table.correction]}; p is two-sided"
        f" ({'; '.join(names[test] for test in tests)}), adj. p by {CORRECTED[table.correction]}"
        f" over {family}{left_out(oracles, same)}. Better, worse: adj. p is below"
        f" {1 - table.level:.2g}."
    )
    yield (
        "Cost: how many times the baseline's, on the same items. P(best): the probability of the"
        " highest true accuracy of those that are compared with one baseline; with few items it"
        " says too much of systems that are nearly equal."
    )
    if any(pair.cell.failed or pair.baseline.failed for pair in table.pairs):
        yield (
            "Where trials failed, interval and p hold whatever these would have scored: they span"
            " the worst and the best case."
        )
    if left := [one_line(names) for names in table.left_out]:
        more = f" and {count(len(left) - 1, 'more pair')}" if len(left) > 1 else ""
        yield f"Left out, as no item is in both: {left[0]}{more}."
    if any(pair.clusters is not None for pair in table.pairs):
        yield "Items come in clusters, which flip and are resampled as a whole."
    if any(pair.shared_draws and not pair.same_calls for pair in table.pairs):
        yield SHARED_DRAWS
    if any(pair.simulated for pair in table.pairs):
        yield SIMULATED
