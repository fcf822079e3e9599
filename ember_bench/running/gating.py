"""Gates: the results of a change and of its baseline, found and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ember_bench.decisions.gate import (
    GateReport,
    Gone,
    Judged,
    judge,
    matched,
    passed,
    unfinished,
)
from ember_bench.decisions.rules import EXAMPLES, Rule, read_rule
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import CellResults
from ember_bench.experiment.results.comparison import Group, differences, pair_up
from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary
from ember_bench.running.find_results import ResultsReader, find_group
from ember_bench.running.find_summary import read_summary

_SUMMARY: Final = ".json"


@dataclass(frozen=True, slots=True)
class GateOptions:
    """How a change is judged.

    Attributes:
        rules: As texts.
        baseline: Results, a run in MLflow, or a `summary.json`; None for the experiment's own.
        results: The folder in which experiments are looked for by name.
        tracking_uri: The store of MLflow; by default `mlflow.db` in the folder of results.
        anyway: Compare also what is not comparable, and say what differs.
        pass_unclear: Whether rules that are not shown pass.
    """

    rules: Sequence[str]
    baseline: str | None = None
    results: Path = Path("results")
    tracking_uri: str | None = None
    anyway: bool = False
    pass_unclear: bool = False


@dataclass(frozen=True, slots=True)
class _Matched:
    """Systems with their baselines, and what is left over."""

    systems: list[Judged]
    differing: list[str]
    gone: list[Gone]


def gate(name: str, options: GateOptions) -> GateReport:
    """Judge the results of a name by rules.

    Args:
        name: `EXPERIMENT`, `EXPERIMENT/CELL`, or a run in MLflow.
        options: The rules, and where the baseline is.

    Raises:
        ConfigError: if there are no such results, if a rule is not understood or is for no system,
            or if the results are not comparable.
    """
    if not options.rules:
        raise ConfigError(f"no rule: give one or more, for example --rule '{EXAMPLES[0]}'")
    rules = [read_rule(text) for text in options.rules]
    with ResultsReader(options.results) as reader:
        group = find_group(name, reader, options.tracking_uri)
        found = _matched(group, rules, options, reader)
        # Whoever names systems has left out the others.
        chosen = (named := reader.find(name)) is not None and len(named.cells) < len(
            named.rows.description.cells
        )
        gone = [] if chosen else found.gone
        verdicts = judge(found.systems, rules, gone)
        relative = any(rule.relative for rule in rules)
        new = [f"{s.cell.asked.name}: {s.cell.label}" for s in found.systems if s.baseline is None]
        baselines = [s.baseline for s in found.systems if s.baseline is not None]
        return GateReport(
            passed=passed(verdicts, pass_unclear=options.pass_unclear),
            pass_unclear=options.pass_unclear,
            change=name,
            baseline=_named(options.baseline, baselines) if relative else None,
            paired=not any(isinstance(baseline, CellSummary) for baseline in baselines),
            simulated=any(cell.simulated for cell in group.cells),
            verdicts=verdicts,
            differing=found.differing,
            new=new if relative and options.baseline is not None else [],
            gone=[str(system) for system in gone],
            unfinished=unfinished(group.cells),
        )


def _named(given: str | None, baselines: Sequence[CellResults | CellSummary]) -> str:
    return given or ", ".join(dict.fromkeys(baseline.label for baseline in baselines))


def _matched(
    group: Group, rules: Sequence[Rule], options: GateOptions, reader: ResultsReader
) -> _Matched:
    cells = list(group.cells)
    name = options.baseline
    if not any(rule.relative for rule in rules):
        _check_there(name, options, reader)
        return _Matched([Judged(cell) for cell in cells], [], [])
    if name is not None and name.endswith(_SUMMARY) and Path(name).is_file():
        return _with_summary(cells, Path(name), anyway=options.anyway)
    groups = [group] if name is None else [find_group(name, reader, options.tracking_uri), group]
    pairs = pair_up(groups)
    differing = [_of(pair.cell, reason) for pair in pairs for reason in differences(pair)]
    _refuse(differing, anyway=options.anyway)
    by_cell = {id(pair.cell): pair.baseline for pair in pairs}
    systems = [Judged(cell, by_cell.get(id(cell))) for cell in cells]
    taken = {baseline.name for baseline in by_cell.values()}
    before = groups[0].cells if name is not None else ()
    gone = [Gone(o.asked.name, o.name, o.label) for o in before if o.name not in taken]
    return _Matched(systems, differing, gone)


def _check_there(name: str | None, options: GateOptions, reader: ResultsReader) -> None:
    """Check that a baseline is there, though no rule takes it: the name may be a mistake.

    Raises:
        ConfigError: if it is not, or cannot be read.
    """
    if name is None:
        return
    if name.endswith(_SUMMARY) and Path(name).is_file():
        read_summary(Path(name))
    else:
        find_group(name, reader, options.tracking_uri)


def _with_summary(cells: Sequence[CellResults], path: Path, *, anyway: bool) -> _Matched:
    summary = read_summary(path)
    systems, gone = matched(cells, summary.cells, summary.level)
    if not any(system.baseline for system in systems):
        raise ConfigError(f"{path}: has none of these systems, nor one on their datasets")
    differing = [
        _of(system.cell, reason)
        for system in systems
        if isinstance(system.baseline, CellSummary)
        for reason in _summary_differences(system.cell, system.baseline, summary)
    ]
    _refuse(differing, anyway=anyway)
    return _Matched(systems, differing, gone)


def _summary_differences(
    cell: CellResults, baseline: CellSummary, summary: ExperimentSummary
) -> Iterator[str]:
    """Yield the reasons why a cell and a summary's are not comparable, as sentences."""
    asked = next(found for found in summary.datasets if found.name == baseline.dataset)
    if cell.asked.evaluator_identity != asked.evaluator_identity:
        yield f"it was scored by {cell.asked.evaluator}, the baseline by {asked.evaluator}" + (
            " of another version" if cell.asked.evaluator == asked.evaluator else ""
        )
    if cell.asked.digest != asked.digest:
        yield "the datasets' items differ"
    if cell.failures != summary.failures:
        yield f"failed trials count as {cell.failures} here and as {summary.failures} there"


def _of(cell: CellResults, reason: str) -> str:
    return f"{cell.source}/{cell.name}: {reason}"


def _refuse(differing: Sequence[str], *, anyway: bool) -> None:
    """Check that there is no reason against a comparison.

    Raises:
        ConfigError: if there is one.
    """
    if differing and not anyway:
        raise ConfigError(*(f"not comparable: {d}; --anyway compares" for d in differing))
