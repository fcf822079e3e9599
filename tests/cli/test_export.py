"""`ember-bench export`."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Command, program
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--quiet")


@pytest.fixture
def ran(command: Command, sums: Workspace) -> Workspace:
    sums.sums(10, category=lambda i: "even" if i % 2 == 0 else "odd")
    sums.grid(architectures=[single(), vote([3, 5])], epochs=2)
    command(*RUN)
    return sums


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestWhat:
    def test_cells_are_the_default_and_are_the_summarys(
        self, command: Command, ran: Workspace
    ) -> None:
        summary = json.loads(Path("results/trip/summary.json").read_text())
        found = rows(command("export", "trip").out)
        assert len(found) == len(summary["cells"]) == 3
        for row, cell in zip(found, summary["cells"], strict=True):
            assert row["cell"] == cell["name"]
            assert float(row["accuracy"]) == cell["accuracy"]["value"]
            assert float(row["accuracy_low"]) == cell["accuracy"]["low"]
            assert float(row["cost_usd_per_item"]) == cell["cost_per_item"]["value"]
            assert int(row["calls_used"]) == cell["calls"]
        assert [row["parameter.k"] for row in found] == ["", "3", "5"]
        assert found[0]["difference"] == ""
        assert float(found[1]["p_adjusted"]) == summary["cells"][1]["comparison"]["p_adjusted"]

    def test_trials_have_a_row_for_each_item_and_epoch(
        self, command: Command, ran: Workspace
    ) -> None:
        found = rows(command("export", "trip", "--what", "trials").out)
        assert len(found) == 3 * 10 * 2
        assert len({(row["cell"], row["item"], row["epoch"]) for row in found}) == len(found)
        assert {row["category"] for row in found} == {"even", "odd"}
        for row in found:
            assert (row["answer"] == row["target"]) == (row["outcome"] == "correct")

    def test_calls_have_all_that_was_asked(self, command: Command, ran: Workspace) -> None:
        found = rows(command("export", "trip", "--what", "calls").out)
        assert len(found) == (1 + 3 + 5) * 20
        assert {row["key"] for row in found} == set(counted.requests())
        assert "text" not in found[0]
        trials = rows(command("export", "trip", "--what", "trials").out)
        assert sum(float(row["cost_usd"]) for row in found) == pytest.approx(
            sum(float(row["cost_usd"]) for row in trials)
        )

    def test_calls_may_come_with_their_texts(self, command: Command, ran: Workspace) -> None:
        found = rows(command("export", "trip", "--what", "calls", "--texts").out)
        assert all(row["text"].startswith("Answer: ") for row in found)

    def test_nodes_have_their_shares(self, command: Command, ran: Workspace) -> None:
        found = rows(command("export", "trip", "--what", "nodes").out)
        assert [row["node"] for row in found] == ["answer", "ensemble", "ensemble"]
        assert {row["cost_share"] for row in found} == {"1.0"}

    def test_choices_and_members_come_from_stored_answers(
        self, command: Command, ran: Workspace
    ) -> None:
        before = counted.requests()
        choices = rows(command("export", "trip", "--what", "choices").out)
        members = rows(command("export", "trip", "--what", "members").out)
        assert [row["node"] for row in choices] == ["vote", "vote"]
        assert len(members) == 3 + 5
        assert counted.requests() == before

    def test_some_cells_alone(self, command: Command, ran: Workspace) -> None:
        found = rows(command("export", "trip/vote(model=counted:a, k=3)", "--what", "trials").out)
        assert {row["label"] for row in found} == {"vote k=3"}


class TestFormats:
    def test_parquet_to_a_file(self, command: Command, ran: Workspace) -> None:
        result = command(
            "export", "trip", "--what", "trials", "--format", "parquet", "--output", "t.parquet"
        )
        assert (result.status, result.out) == (0, "")
        table = pq.read_table("t.parquet")
        assert table.num_rows == 60
        assert str(table.schema.field("score").type) == "double"
        assert [p.name for p in Path().glob("*parquet*")] == ["t.parquet"]

    def test_tables_for_papers_have_intervals(self, command: Command, ran: Workspace) -> None:
        markdown = command("export", "trip", "--format", "md").out
        latex = command("export", "trip", "--format", "latex").out
        summary = json.loads(Path("results/trip/summary.json").read_text())
        accuracy = summary["cells"][1]["accuracy"]
        low, high = (f"{100 * accuracy[end]:.1f}" for end in ("low", "high"))
        assert f"[{low}, {high}]" in markdown.replace("\\", "")
        assert f"{{[{low}, {high}]}}" in latex
        assert latex.startswith("\\begin{tabular}")

    def test_for_a_paper_the_best_is_bold_and_what_may_be_as_good_marked(
        self, command: Command, ran: Workspace
    ) -> None:
        latex = command("export", "trip", "--format", "latex", "--columns", "accuracy").out
        summary = json.loads(Path("results/trip/summary.json").read_text())
        best = max(cell["accuracy"]["value"] for cell in summary["cells"])
        assert latex.count("\\textbf{") == 1
        assert f"\\textbf{{{100 * best:.1f}}}" in latex
        marked = [line for line in latex.splitlines() if "dagger" in line]
        compared = command("compare", "trip", "--json").json
        near = compared["winners"][0]["may_be_best"][1:]
        assert [line.partition(" &")[0] for line in marked] == [
            cell["label"] for cell in summary["cells"] if cell["label"] in near
        ]
        assert latex.splitlines()[-1].startswith("% Bold: the most accurate system. Dagger:")

    def test_json_lines(self, command: Command, ran: Workspace) -> None:
        lines = command("export", "trip", "--format", "jsonl").out.splitlines()
        assert [json.loads(line)["scheduled"] for line in lines] == [20, 20, 20]

    def test_whoever_reads_may_stop_reading(self, command: Command, ran: Workspace) -> None:
        import subprocess

        from tests.cli.conftest import COMMAND, ENVIRONMENT
        from tests.support.programs import started

        words = [*COMMAND, "export", "trip", "--what", "calls"]
        with started(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""


class TestElsewhere:
    def test_neither_grid_nor_summary_nor_registry_is_needed(
        self, command: Command, ran: Workspace, tmp_path: Path
    ) -> None:
        expected = {
            what: command("export", "trip", "--what", what).out
            for what in ("cells", "trials", "calls", "nodes")
        }
        (tmp_path / "away/trip").mkdir(parents=True)
        shutil.copy("results/trip/trials.db", "away/trip")
        for what, text in expected.items():
            done = program("export", "away/trip", "--what", what, cwd=tmp_path)
            assert done.stdout == text

    def test_a_run_that_is_not_done_has_what_there_is(
        self, command: Command, sums: Workspace
    ) -> None:
        sums.model("counted:a", seconds=0.01)
        sums.grid(in_flight=1)
        sums.run(stop_after=3)
        found = rows(command("export", "trip", "--what", "trials").out)
        assert 3 <= len(found) < 10
        (cell,) = rows(command("export", "trip").out)
        assert int(cell["skipped"]) == 10 - len(found)


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--format", "xlsx"), "unknown format 'xlsx'"),
            (("--what", "call"), "unknown table 'call'; did you mean 'calls'"),
            (("--texts",), "--texts goes with --what calls"),
            (("--output", "no/such/folder.csv"), "--output no/such/folder.csv: cannot be written"),
        ],
    )
    def test_they_are_said(
        self, command: Command, ran: Workspace, arguments: tuple[str, ...], message: str
    ) -> None:
        result = command("export", "trip", *arguments)
        assert (result.status, result.out) == (2, "")
        assert message in result.err

    def test_an_unknown_experiment(self, command: Command, ran: Workspace) -> None:
        result = command("export", "trap")
        assert result.status == 2
        assert "trap: there are no results of it; did you mean 'trip'?" in result.err

    def test_texts_need_the_response_store(self, command: Command, ran: Workspace) -> None:
        Path("results/responses.db").unlink()
        result = command("export", "trip", "--what", "calls", "--texts")
        assert result.status == 2
        assert "responses.db" in result.err
