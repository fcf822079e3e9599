"""Comparisons of cells in the terminal: the table, and the items that make the difference."""

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
from ember_bench.report.layout import Line, flat, named
from ember_bench.report.summary_text import CORRECTED, SIMULATED

_LONGEST_LINE: Final = 100
_LONGEST_ANSWER: Final = 40
_NAMED: Final = 5
_SHORT: Final = {"maxt": "adjusted p", "holm": "Holm p", "bh": "BH p"}


def comparison_table(table: ComparisonTable, columns: int | None, *, flips: int) -> Text:
    """Return the comparisons, a section for each baseline, with their captions.

    Args:
        table: The comparisons.
        columns: The terminal's width; None without a terminal, and then nothing is wrapped.
        flips: Number of items to list of those won, and of those lost, for each comparison.
    """
    text = Text()
    several = len({side.source for pair in table.pairs for side in (pair.cell, pair.baseline)}) > 1
    for section in _sections(table, several=several):
        text.append(section.title + "\n", style="bold")
        for reason in dict.fromkeys(r for pair in section.pairs for r in pair.differing):
            text.append(f"not comparable: {one_line(reason)}\n", style="bold")
        heading, *rows = _layout(section, table, columns, several=several)
        text.append(heading + "\n", style="dim")
        text.append("\n".join(rows) + "\n\n")
        if section.winner is not None:
            text.append(f"{one_line(winner_text(section.winner))}\n\n")
        if said := list(margin_texts(section.pairs, table.level)):
            text.append("\n".join(map(one_line, said)) + "\n\n")
        for pair in section.pairs:
            text.append(_flips(pair, flips, several=several))
    room = min(columns or _LONGEST_LINE, _LONGEST_LINE)
    lines = "\n".join(
        textwrap.fill(caption, room, subsequent_indent="  ") for caption in captions(table)
    )
    return text.append(lines, style="dim")


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


def _sections(table: ComparisonTable, *, several: bool) -> list[_Section]:
    """Return a section for each baseline; one for all that have one each, dataset by dataset."""
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
        found.append(_Section(title, pairs, best, matched=False, winner=winner))
    for (dataset, source, other), pairs in matched.items():
        title = one_line(f"{dataset}: {source} against {other}")
        found.append(_Section(title, pairs, None, matched=True))
    return found


def _layout(
    section: _Section, table: ComparisonTable, columns: int | None, *, several: bool
) -> list[str]:
    level = f"[{100 * table.level:g} %]"
    names = [("cell", "")]
    values: list[Line] = [
        (
            "accuracy", "baseline", "difference", level, "items", "won", "lost", "p",
            _SHORT[table.correction], "cost", level, "" if section.matched else "best",
        )
    ]  # fmt: skip
    for pair in section.pairs:
        label = _label(pair.cell, several=several and not section.matched)
        names.append((label, ", ".join(_notes(pair))))
        values.append(_values(pair, with_best=not section.matched))
    if not section.matched:
        names.append((_label(section.pairs[0].baseline, several=several), "baseline"))
        values.append((*[""] * 11, share(section.best)))
    lines = flat([[*name, *line] for name, line in zip(names, values, strict=True)], left=2)
    if columns is None or max(map(width, lines)) <= columns:
        return lines
    return named(names, [_stacked(line) for line in values], columns)


def pair_values(pair: Comparison) -> tuple[str, ...]:
    """Return accuracy, baseline, difference, interval, items, won, lost, p, adjusted p and cost."""
    return (
        percent(pair.cell.accuracy),
        percent(pair.baseline.accuracy),
        "same calls" if pair.same_calls else points(pair.difference.value),
        "" if pair.same_calls else interval(pair.difference, "points"),
        f"{pair.items:,}",
        f"{pair.wins:,}",
        f"{pair.losses:,}",
        p_value(pair.p_value),
        p_value(pair.p_adjusted),
        times(pair.cost_ratio),
    )


def _values(pair: Comparison, *, with_best: bool) -> Line:
    cost = pair.cost_ratio
    low_high = ""
    if cost is not None and cost.low is not None and cost.high is not None:
        low_high = f"[{cost.low:.3g}, {cost.high:.3g}]"
    return *pair_values(pair), low_high, share(pair.best_probability) if with_best else ""


def _stacked(line: Line) -> list[Line]:
    """Put each interval below its value."""
    accuracy, baseline, difference, low_high, items, won, lost, p, adjusted, *rest = line
    cost, cost_low_high, best = rest
    return [
        (accuracy, difference, items, won, adjusted, cost, best),
        (baseline, low_high, "", lost, p, cost_low_high, ""),
    ]


def _label(side: Side, *, several: bool) -> str:
    return one_line(f"{side.source}: {side.label}" if several else side.label)


def _notes(pair: Comparison) -> Iterator[str]:
    if pair.simulated:
        yield "simulated"
    if pair.cell.oracle:
        yield "bound"
    if pair.same_calls:
        yield f"same calls as {one_line(pair.baseline.label)}"
    elif pair.shared_draws:
        yield "shared draws"
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
    bounds = sum(pair.cell.oracle for pair in table.pairs)
    same = sum(pair.same_calls and not pair.cell.oracle for pair in table.pairs)
    left_out = [count(bounds, "bound")] if bounds else []
    left_out += [f"{count(same, 'cell')} with the baseline's own calls"] if same else []
    family = count(len(table.pairs) - bounds - same, "comparison")
    if left_out:
        family += f" ({' and '.join(left_out)} left out)"
    yield (
        "Difference: accuracy minus the baseline's in points, with its"
        f" {100 * table.level:g} % interval, on the items that both have; p is two-sided"
        f" ({'; '.join(names[test] for test in tests)}), {_SHORT[table.correction]}"
        f" by {CORRECTED[table.correction]} over {family}."
    )
    yield (
        "Cost: how many times the baseline's, on the same items. Best: the probability of the"
        " highest accuracy of those that are compared with one baseline, by paired bootstrap."
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
    if any(pair.simulated for pair in table.pairs):
        yield SIMULATED
