"""Figures of results: their data are those of the tables, and each has something to draw."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.report.chart_data import bare_labels, curve_data
from ember_bench.report.figures import KINDS, plot
from ember_bench.report.html_contents import Contents
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Twenty sums, which two models and votes of one of them answer."""
    made = Workspace(tmp_path_factory.mktemp("figures"))
    made.sums(20)
    made.model("counted:a", right=0.6)
    made.model("counted:b", right=0.9, price=5.0)
    made.grid(
        architectures=[
            single(["counted:a", "counted:b"], label="{model}"),
            vote([3, 5], label="vote of {k}"),
        ],
        baseline={"name": "single", "parameters": {"model": "counted:a"}},
    )
    made.run()
    return made


@pytest.fixture
def contents(ran: Workspace) -> Contents:
    rows = StoredTrials(ran.root / "results/trip/trials.db")
    return Contents(rows, {cell.name for cell in rows.description.cells})


def rows(contents: Contents, kind: str, **options: Any) -> list[dict[str, Any]]:
    return plot(contents, kind, **options).frame.to_dict("records")


def test_names_on_charts_leave_out_the_recorded_set_if_it_is_one() -> None:
    assert bare_labels(["recorded:set/a", "recorded:set/b/c", "vote"]) == ["a", "b/c", "vote"]
    both = ["recorded:one/a", "recorded:two/a"]
    assert bare_labels(both) == both


# `test_calibration.py` has labels, which calibration needs.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "calibration"])
def test_every_kind_is_saved_with_its_data_beside_it(
    contents: Contents, kind: str, tmp_path: Path
) -> None:
    made = plot(contents, kind, width="two")
    pdf, csv = made.save(tmp_path / "figure.pdf")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert csv == tmp_path / "figure.csv"
    assert len(csv.read_text().splitlines()) == 1 + len(made.frame)


def test_a_front_has_the_values_of_the_summary(contents: Contents) -> None:
    for row, cell in zip(rows(contents, "front"), contents.summary.cells, strict=True):
        assert cell.accuracy is not None
        assert cell.cost_per_item is not None
        assert (row["system"], row["architecture"]) == (cell.label, cell.architecture)
        assert (row["accuracy"], row["accuracy_low"]) == (cell.accuracy.value, cell.accuracy.low)
        assert row["cost_per_item"] == cell.cost_per_item.value
    assert "latency_seconds" in rows(contents, "front", axis="latency")[0]


def test_differences_are_those_to_the_baseline(contents: Contents) -> None:
    found = {row["system"]: row for row in rows(contents, "differences")}
    assert "counted:a" not in found
    own = contents.summary.cells[1].comparison
    assert own is not None
    assert found["counted:b"]["difference"] == own.difference.value
    assert found["counted:b"]["p_adjusted"] == own.p_adjusted


def test_items_are_in_the_order_of_their_difficulty(contents: Contents) -> None:
    found = rows(contents, "items")
    assert len(found) == 4 * 20
    solved = [row["solved"] for row in found[:20]]
    assert solved == sorted(solved)


def test_nodes_have_the_costs_of_the_most_accurate_of_each_architecture(
    contents: Contents,
) -> None:
    found = rows(contents, "nodes")
    cells = {cell.label: cell for cell in contents.summary.cells}
    for row in found:
        cost = cells[row["system"]].cost_per_item
        assert cost is not None
        assert row["cost_usd_per_trial"] == pytest.approx(cost.value)
        assert row["cost_share"] == pytest.approx(1)


def test_a_wrong_name_suggests_the_right_one(contents: Contents) -> None:
    for options in ({"kind": "frnt"}, {"kind": "front", "axis": "cots"},
                    {"kind": "front", "datasets": ["sms"]}):  # fmt: skip
        with pytest.raises(UnknownNameError):
            plot(contents, **options)  # type: ignore[arg-type]


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.sums(3)
    workspace.model("counted:a", price=None)
    workspace.grid(architectures=[single("counted:a")])
    workspace.run()
    found = StoredTrials(tmp_path / "results/trip/trials.db")
    alone = Contents(found, {cell.name for cell in found.description.cells})
    with pytest.raises(ConfigError, match="no system has an accuracy and a cost"):
        plot(alone, "front")
    with pytest.raises(ConfigError, match="no system is compared with a baseline"):
        plot(alone, "differences")


def test_a_file_of_another_kind_is_refused(contents: Contents, tmp_path: Path) -> None:
    made = plot(contents, "front")
    with pytest.raises(ConfigError, match=r"ends in one of \.pdf, \.svg, \.png"):
        made.save(tmp_path / "front.jpg")


def test_without_matplotlib_the_extra_is_named(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return usual(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"ember-bench\[plots\]"):
        plot(contents, "front")


def test_a_notebook_shows_it(contents: Contents) -> None:
    assert "<svg" in plot(contents, "front")._repr_svg_()


def test_rows_of_one_architecture_have_names_and_colours_of_their_own(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    made.sums(4)
    models = [f"counted:{name}" for name in "abc"]
    for model in models:
        made.model(model)
    votes = [vote([1, 3], model) for model in models]
    votes[0]["parameters"]["temperature"] = [0.5, 1.0]
    made.grid(architectures=[single(), *votes])
    made.run()
    found = StoredTrials(tmp_path / "results/trip/trials.db")
    contents = Contents(found, {cell.name for cell in found.description.cells})
    (lines,) = [curve_data(contents, dataset)["k"] for dataset in contents.summary.datasets]
    run = [line for line in lines if line.label.endswith("as run")]
    colours = [line.colour for line in run]
    assert colours[0] == contents.colour("vote")
    assert contents.colour("single") not in colours
    assert len(set(colours)) == len({line.label for line in run}) == len(run) == 4
    assert run[0].label == "vote, counted:a, temperature=0.5: k as run"
