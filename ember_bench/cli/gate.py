"""`ember-bench gate`: may a change be merged?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import Status, put_json, put_text, width
from ember_bench.cli._run_options import LookIn, TrackingUri

if TYPE_CHECKING:
    from ember_bench.decisions.gate import GateReport

Name = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="The results to judge: an experiment, systems of it (EXPERIMENT/SYSTEM), or a run in "
        "MLflow (runs:/RUN).",
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What they are compared with: the same, or a summary.json [the experiment's own].",
    ),
]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rule", metavar="RULE", help="[SYSTEM: ]CONDITION[, CONFIDENCE %]; again for another."
    ),
]
Unclear = Annotated[
    bool, typer.Option("--pass-unclear", help="Fail only on rules that are shown to be broken.")
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Compare despite different evaluators or data.")
]
Comment = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a comment in Markdown to this file.")
]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit's XML to this file.")]


def gate(
    name: Name,
    baseline: Baseline = None,
    rule: Rules = None,
    pass_unclear: Unclear = False,
    anyway: Anyway = False,
    comment: Comment = None,
    junit: Junit = None,
    results: LookIn = Path("results"),
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Exit with 1 unless results keep rules, compared with a baseline."""
    from ember_bench.running.gating import GateOptions
    from ember_bench.running.gating import gate as judged

    options = GateOptions(rule or (), baseline, results, tracking_uri, anyway, pass_unclear)
    report = judged(name, options)
    _write(report, comment, junit)
    if as_json:
        put_json(report)
    else:
        from ember_bench.report.gate_text import gate_text

        put_text(gate_text(report, width()))
    if not report.passed:
        raise typer.Exit(Status.FAILURES)


def _write(report: GateReport, comment: Path | None, junit: Path | None) -> None:
    from ember_bench.cli.export import opened
    from ember_bench.report.gate_text import gate_junit, gate_markdown

    if comment is not None:
        with opened(comment, "--comment") as file:
            file.write(gate_markdown(report).encode())
    if junit is not None:
        with opened(junit, "--junit") as file:
            file.write(gate_junit(report))
