from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.text import Text

from ember_bench import stats
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.summary import ExperimentSummary, SuiteSummary
from ember_bench.report.markdown import markdown
from ember_bench.report.suite_text import HEADINGS, suite_tables
from ember_bench.report.summary_table import table
from ember_bench.report.tidy import tidy
from ember_bench.running.find_results import ResultsReader
from ember_bench.running.html_reports import write_html_report
from ember_bench.tracking.fields import experiment_metrics
from tests.support.workspace import Workspace, single

FEW, MANY = 4, 12


def made(workspace: Workspace) -> Workspace:
    """Two datasets as a suite, and two recorded models: one right on some of each, one on all."""
    workspace.sums(FEW, "few", kind="few")
    workspace.sums(MANY, "many", kind=lambda i: "odd" if i % 2 else "even")
    for name in ("few", "many"):
        workspace.edit(f"registry/datasets/{name}.yaml", "  kind: kind", "  category: kind")
    card = {"name": "both", "purpose": "Sums, few and many.", "datasets": ["few", "many"]}
    workspace.write("registry/suites/both.yaml", card)
    right = {f"few-{i}": i < 3 for i in range(FEW)} | {f"many-{i}": i < 6 for i in range(MANY)}
    answers = {item: str(8 * int(item.partition("-")[2])) for item in right}
    workspace.tape({i: [answers[i] if ok else "-1"] for i, ok in right.items()}, "some")
    workspace.tape({item: [answer] for item, answer in answers.items()}, "all")
    models = ["recorded:some/m", "recorded:all/m"]
    workspace.grid(datasets=[{"suite": "both"}], architectures=[single(models)])
    return workspace


@pytest.fixture
def suite(workspace: Workspace) -> Workspace:
    return made(workspace)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("suites")


@pytest.fixture(scope="module")
def summary(folder: Path) -> ExperimentSummary:
    return made(Workspace(folder)).run().summary


def rows(workspace: Workspace) -> list[SuiteSummary]:
    return workspace.run().summary.suites


def test_a_suite_is_its_datasets_and_a_row_for_each_system(
    summary: ExperimentSummary,
) -> None:
    assert [dataset.name for dataset in summary.datasets] == ["few", "many"]
    some, every = summary.suites
    assert (some.suite, some.strata, some.items) == ("both", 2, FEW + MANY)
    assert some.cells == [cell.name for cell in summary.cells if cell.label == some.label]
    assert some.macro is not None
    assert some.micro is not None
    assert some.macro.value == pytest.approx((3 / 4 + 6 / 12) / 2)
    assert some.micro.value == pytest.approx(9 / 16)
    assert every.macro is not None
    assert every.macro.value == 1
    assert every.macro_difference is not None
    assert every.micro_difference is not None
    assert every.macro_difference.value == pytest.approx(3 / 8)
    assert every.micro_difference.value == pytest.approx(7 / 16)
    assert some.macro_difference is None  # it is the baseline


def test_the_intervals_are_those_of_the_statistics(
    summary: ExperimentSummary,
) -> None:
    some, every = summary.suites
    scores = [1, 1, 1, 0, *[1] * 6, *[0] * 6]
    strata = ["few"] * FEW + ["many"] * MANY
    for average in ("macro", "micro"):
        score = stats.stratified_score(scores, strata, average=average)  # type: ignore[arg-type]
        gain = stats.stratified_difference(
            [1] * 16,
            scores,
            strata,
            average=average,  # type: ignore[arg-type]
        )
        for found, expected in (
            (getattr(some, average), score),
            (getattr(every, f"{average}_difference"), gain),
        ):
            assert expected is not None
            assert expected.interval is not None
            assert found.low == pytest.approx(expected.interval.low)
            assert found.high == pytest.approx(expected.interval.high)


def test_categories_may_be_the_strata(suite: Workspace) -> None:
    suite.edit("registry/suites/both.yaml", "datasets:", "strata: category\ndatasets:")
    some, _ = rows(suite)
    assert some.strata == 3
    assert some.macro is not None
    assert some.macro.value == pytest.approx((3 / 4 + 3 / 6 + 3 / 6) / 3)


def test_a_dataset_with_an_entry_of_its_own_keeps_its_limit(suite: Workspace) -> None:
    suite.grid(
        datasets=[{"name": "many", "limit": 6}, {"suite": "both"}],
        architectures=[single("recorded:all/m")],
    )
    summary = suite.run().summary
    assert {dataset.name: dataset.items for dataset in summary.datasets} == {"many": 6, "few": FEW}
    (row,) = summary.suites
    assert row.items == 6 + FEW


def test_a_limit_of_a_suite_holds_for_each_dataset(suite: Workspace) -> None:
    suite.grid(datasets=[{"suite": "both", "limit": 3}], architectures=[single("recorded:all/m")])
    assert [dataset.items for dataset in suite.run().summary.datasets] == [3, 3]


def test_without_a_score_on_a_dataset_there_is_no_average(suite: Workspace) -> None:
    suite.grid(
        datasets=[{"suite": "both"}],
        architectures=[
            single("recorded:all/m"),
            single("recorded:some/m", datasets=["many"], label="half"),
        ],
    )
    whole, half = rows(suite)
    assert whole.macro is not None
    assert (half.missing, half.macro, half.micro) == (["few"], None, None)


def test_cells_with_the_baselines_calls_have_no_interval(suite: Workspace) -> None:
    suite.grid(
        datasets=[{"suite": "both"}],
        architectures=[
            single("recorded:all/m"),
            {"name": "vote", "parameters": {"model": "recorded:all/m", "k": 1}},
        ],
    )
    _, same = rows(suite)
    assert same.macro_difference is not None
    assert (same.macro_difference.value, same.macro_difference.low) == (0, None)


def test_the_tables_show_the_averages(
    summary: ExperimentSummary,
) -> None:
    text = table(summary, None)
    assert isinstance(text, Text)
    for shown in (text.plain, table(summary, 60).plain, markdown(summary)):
        assert "suite both: 16 items in 2 strata" in shown
        assert "62.5" in shown
        assert "Price and" in shown
    assert "| baseline |" in markdown(summary)


def test_the_report_and_mlflow_have_the_averages(
    summary: ExperimentSummary,
) -> None:
    metrics = experiment_metrics(summary)
    found = {key: value for key, value in metrics.items() if key.startswith("suites/")}
    values = [value for key, value in found.items() if key.endswith("/macro")]
    assert values == [pytest.approx(0.625), 1]
    assert len(found) == 6 + 12  # two averages with bounds; the second with differences
    (found,) = suite_tables(summary)
    assert found.title == "suite both: 16 items in 2 strata"
    assert all(len(row) == len(HEADINGS) for row in found.rows)


def test_the_averages_are_exported(summary: ExperimentSummary, folder: Path) -> None:
    with ResultsReader(folder / "results") as reader:
        named = reader.get("trip")
        written = tidy(named.rows, "suites", [cell.name for cell in summary.cells])
        part = tidy(named.rows, "suites", [cell.name for cell in summary.cells[:1]])
        page = write_html_report(named, folder / "page.html", graphs=False).read_text()
    assert "suite both: 16 items in 2 strata" in page
    names = [name for name, _ in written.columns]
    some, every = written.rows
    assert some[names.index("macro")] == pytest.approx(0.625)
    assert some[names.index("macro_difference")] is None
    assert every[names.index("micro_difference")] == pytest.approx(7 / 16)
    assert list(part.rows) == []


def test_the_summary_is_read_back_as_it_was_written(
    summary: ExperimentSummary,
) -> None:
    assert msgspec.json.decode(msgspec.json.encode(summary), type=ExperimentSummary) == summary
    cells = [cell.name for cell in summary.cells if cell.dataset == "few"]
    assert summary.only(cells).suites == []


def test_an_experiment_without_suites_has_none_in_its_summary(workspace: Workspace) -> None:
    assert b"suites" not in msgspec.json.encode(workspace.run().summary)


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ([{"suite": "boths"}], "unknown suite 'boths'; did you mean 'both'?"),
        ([{"suite": "both"}, {"suite": "both"}], "duplicate suite 'both'"),
        ([{"suite": "both", "name": "few"}], "expected exactly one of name, suite"),
        ([{"limit": 3}], "expected exactly one of name, suite"),
        ([{"suite": "broken"}], "unknown dataset 'fewer'; did you mean 'few'?"),
        ([{"suite": "twice"}], "duplicate dataset 'few'"),
    ],
)
def test_what_is_wrong_with_a_suite_is_said(
    datasets: list[dict[str, Any]], message: str, suite: Workspace
) -> None:
    for name, members in (("broken", ["fewer"]), ("twice", ["few", "few"])):
        card = {"name": name, "purpose": "A test.", "datasets": members}
        suite.write(f"registry/suites/{name}.yaml", card)
    suite.grid(datasets=datasets, architectures=[single("recorded:all/m")])
    with pytest.raises(ConfigError) as caught:
        suite.experiment()
    assert message in str(caught.value)
