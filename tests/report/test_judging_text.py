"""The table of what judges took: apart from the systems' own figures, wherever a table is drawn."""

from __future__ import annotations

import pytest

from ember_bench.drawing.number_format import UNDEFINED
from ember_bench.drawing.text import width
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    EvaluationSummary,
    ExperimentSummary,
)
from ember_bench.report import markdown, table
from ember_bench.report.columns import View
from ember_bench.report.summary_text import tables
from tests.tracking.summaries import cell, summary

JUDGED = EvaluationSummary(
    models=["openai:judge"],
    calls=100,
    calls_made=70,
    calls_shared=30,
    cost_per_item=Quantity(0.042, 0.041, 0.043, "t"),
    latency_seconds=Quantity(9.5, 9.0, 10.0, "t"),
    input_tokens=1_000,
    output_tokens=200,
    spend_usd=2.94,
)
FIGURES = ("openai:judge", "100", "70", "30", "42.00", "[41.00, 43.00]", "9.50", "$2.94")
UNPRICED = EvaluationSummary(["m"], 5, 5, 0, None, None, 0, 0, None)


@pytest.fixture
def judged() -> ExperimentSummary:
    return summary(cell(0, evaluation=JUDGED), cell(1))


@pytest.mark.parametrize("columns", [80, 120, None])
def test_the_terminal_has_a_table_of_its_own(
    judged: ExperimentSummary, columns: int | None
) -> None:
    text = table(judged, columns, View()).plain
    own = text.partition("primes: evaluation by judges")[2]
    assert own
    for figure in FIGURES:
        assert figure in own
    assert "The judge is unchecked" in own
    assert "vote" not in own.partition("\n\n")[0]  # nobody judged it
    if columns is not None:
        assert max(map(width, text.splitlines())) <= columns


def test_markdown_has_it_too(judged: ExperimentSummary) -> None:
    own = markdown(judged).partition("## primes: evaluation by judges")[2]
    (line,) = [line for line in own.splitlines() if line.startswith("| single")]
    assert [value.strip().replace("\\", "") for value in line.strip("|").split("|")] == [
        "single",
        *FIGURES,
    ]


def test_without_a_judge_nothing_is_said_of_them() -> None:
    text = table(summary(cell(0), cell(1)), None, View()).plain
    assert "udge" not in text


def test_it_has_a_unit_of_its_own_and_follows_its_dataset(judged: ExperimentSummary) -> None:
    systems, judging = tables(judged).sections
    assert (systems.about, judging.about) == ("systems", "judges")
    assert "$/1,000" in systems.headings
    assert "$/1,000" in judging.headings
    (row,) = judging.rows
    assert row.label == "single"


def test_what_is_unknown_is_not_zero() -> None:
    _, judging = tables(summary(cell(0, evaluation=UNPRICED))).sections
    (row,) = judging.rows
    assert row.values == ("5", "5", "0", UNDEFINED, "", UNDEFINED, UNDEFINED)


def test_it_is_marked_where_all_is_simulated(judged: ExperimentSummary) -> None:
    assert tables(judged).sections[1].title.endswith("judges (simulated)")
    mixed = summary(cell(0, evaluation=JUDGED, simulated=False), cell(1))
    assert tables(mixed).sections[1].title.endswith("judges")
