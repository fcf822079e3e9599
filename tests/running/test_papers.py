"""The files of a paper's folder, and published numbers beside ours."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from ember_bench.errors import ConfigError, Location
from ember_bench.experiment.results.figures import Quantity
from ember_bench.running.papers import Paper, Published, find_paper, papers
from ember_bench.running.reproduce import verdict

ROOT = Path(__file__).parents[2]


def row(printed: str) -> Published:
    return Published("a", "accuracy", printed, "", "", "", Location(Path("published.csv"), 2))


def ours(value: float, low: float | None = None, high: float | None = None) -> Quantity:
    return Quantity(value, low, high, "wilson")


class TestVerdicts:
    @pytest.mark.parametrize(
        ("printed", "value"),
        [("84.0", 84.04), ("84.0", 83.95), ("33", 33.4), ("59.13", 59.125), ("59.12", 59.125)],
    )
    def test_equal_is_equal_at_the_printed_precision(self, printed: str, value: float) -> None:
        assert verdict(row(printed), ours(value)) == "equal"

    @pytest.mark.parametrize(("printed", "value"), [("84.0", 84.06), ("84.00", 84.04), ("33", 34)])
    def test_another_number_without_an_interval_is_different(
        self, printed: str, value: float
    ) -> None:
        assert verdict(row(printed), ours(value)) == "different"

    def test_a_number_in_our_interval_is_within_it(self) -> None:
        assert verdict(row("80.06"), ours(79.98, 77.7, 82.1)) == "within"
        assert verdict(row("82.2"), ours(79.98, 77.7, 82.1)) == "different"

    def test_a_bound_is_compared_at_the_printed_precision(self) -> None:
        assert verdict(row("82.1"), ours(79.98, 77.7, 82.06)) == "within"

    def test_what_was_not_measured_is_different(self) -> None:
        assert verdict(row("1"), None) == "different"


class TestFiles:
    def paper(self, folder: Path, published: str, differences: str = "") -> Paper:
        (folder / "published.csv").write_text(published)
        if differences:
            (folder / "differences.yaml").write_text(differences)
        return Paper(folder)

    def test_a_table_has_a_column_for_each_number(self, tmp_path: Path) -> None:
        table = "dataset,system,accuracy,cost,where\nd,a,84.0,-,table 1\nd,b,,0.10,\n"
        found = self.paper(tmp_path, table).published
        assert [(r.system, r.metric, r.printed, r.where) for r in found] == [
            ("a", "accuracy", "84.0", "table 1"),
            ("b", "cost", "0.10", ""),
        ]
        assert [r.decimals for r in found] == [1, 2]

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("sytem,accuracy\na,1\n", r"published.csv:1: expected a column 'system'.*sytem"),
            ("system,accuracy\na,about 1\n", r"published.csv:2: accuracy: expected a number"),
            ("system,accuracy\na,nan\n", r"published.csv:2: accuracy: expected a number"),
            ("system,accuracy\na\n", r"published.csv:2: expected 2 columns"),
            ("system,accuracy\na,1,2\n", r"published.csv:2: expected 2 columns"),
            ("system,Pass@1\na,1\n", r"published.csv:1: column 'Pass@1'"),
        ],
    )
    def test_a_wrong_table_is_an_error_at_its_line(
        self, tmp_path: Path, table: str, message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            _ = self.paper(tmp_path, table).published

    def test_a_difference_names_systems_of_the_table(self, tmp_path: Path) -> None:
        known = "differences:\n  - systems: [yi_large]\n    why: eval\n"
        with pytest.raises(ConfigError, match=r"differences.yaml:2:\d+: unknown .*'yi-large'"):
            _ = self.paper(tmp_path, "system,accuracy\nyi-large,1\n", known).differences

    def test_names_near_a_paper_are_suggested(self) -> None:
        with pytest.raises(ConfigError, match="zeroeval_gsm8k"):
            find_paper("zeroeval_gsm8")


@pytest.mark.parametrize("paper", papers().values(), ids=lambda paper: paper.name)
class TestEachPaper:
    def test_its_files_can_be_read(self, paper: Paper) -> None:
        assert paper.card.claim
        assert paper.grids
        assert paper.published
        assert (paper.folder / "README.md").is_file()
        assert all(known.why for known in paper.differences)

    def test_its_data_has_one_source_for_each_repository(self, paper: Paper) -> None:
        repositories = [source.repository for source in paper.sources]
        assert len(repositories) == len(set(repositories))
        assert bool(repositories) != paper.card.simulated


@pytest.mark.parametrize(
    "paper",
    [paper for paper in papers().values() if (paper.folder / "formula.py").is_file()],
    ids=lambda paper: paper.name,
)
def test_formulas_give_a_papers_table(paper: Paper) -> None:
    rows = runpy.run_path(str(paper.folder / "formula.py"))["rows"]()
    lines = (paper.folder / "published.csv").read_text().splitlines()[1:]
    assert [line.replace('"', "") for line in lines] == [",".join(row) for row in rows]
