"""`ember-bench report`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--quiet")


@pytest.fixture
def ran(command: Command, sums: Workspace) -> Workspace:
    sums.grid(architectures=[single(), vote([3, 5])])
    command(*RUN)
    return sums


class TestHtml:
    def test_is_written_beside_the_results_and_nobody_is_asked(
        self, command: Command, ran: Workspace
    ) -> None:
        before = counted.requests()
        result = command("report", "trip")
        assert (result.status, result.out.strip(), result.err) == (
            0,
            "results/trip/report.html",
            "",
        )
        page = Path("results/trip/report.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert counted.requests() == before

    def test_says_how_well_nodes_choose_where_the_grid_is_there(
        self, command: Command, ran: Workspace
    ) -> None:
        command("report", "trip", "--output", "with.html")
        command("report", "trip", "--output", "without.html", "--no-graphs")
        assert "Shapley" in Path("with.html").read_text()
        assert "vote of k candidates" in Path("with.html").read_text()
        assert "Shapley" not in Path("without.html").read_text()

    def test_of_another_machines_results_takes_neither_grid_nor_registry(
        self, command: Command, ran: Workspace
    ) -> None:
        shutil.move("results", "theirs")
        shutil.rmtree("registry")
        Path("grid.yaml").unlink()
        result = command("report", "theirs/trip")
        assert result.status == 0
        assert "without how well nodes choose" in result.err
        assert "MostCommonOperator" in Path("theirs/trip/report.html").read_text()

    def test_says_elsewhere_how_well_nodes_choose_if_it_was_found_where_the_grid_is(
        self, command: Command, ran: Workspace
    ) -> None:
        command("report", "trip")
        tables = [command("export", "trip", "--what", what).out for what in ("choices", "members")]
        assert all(len(table.splitlines()) > 1 for table in tables)
        shutil.move("results", "theirs")
        shutil.rmtree("registry")
        Path("grid.yaml").unlink()
        Path("theirs/responses.db").unlink()
        result = command("report", "theirs/trip")
        assert "without how well nodes choose" not in result.err
        page = Path("theirs/trip/report.html").read_text()
        assert "Shapley" in page
        assert "vote of k candidates" in page
        for what, table in zip(("choices", "members"), tables, strict=True):
            assert command("export", "theirs/trip", "--what", what).out == table

    @pytest.mark.parametrize(
        "change",
        [
            "DELETE FROM trials WHERE item = 3",
            "UPDATE trials SET score = 0.5, outcome = 'partial' WHERE item = 3",
        ],
    )
    def test_does_not_say_it_of_other_trials(
        self, command: Command, ran: Workspace, change: str
    ) -> None:
        import sqlite3
        from contextlib import closing

        command("report", "trip")
        Path("grid.yaml").unlink()
        with closing(sqlite3.connect("results/trip/trials.db")) as store, store:
            store.execute(change)
        result = command("report", "trip")
        assert "without how well nodes choose" in result.err
        assert "Shapley" not in Path("results/trip/report.html").read_text()
        assert command("export", "trip", "--what", "choices").status == 2

    def test_passes_over_what_another_version_kept(self, command: Command, ran: Workspace) -> None:
        Path("results/trip/choices.json").write_text('{"sums/single": 3}')
        assert command("report", "trip").status == 0
        assert "Shapley" in Path("results/trip/report.html").read_text()

    def test_does_without_the_answers(self, command: Command, ran: Workspace) -> None:
        Path("results/responses.db").unlink()
        result = command("report", "trip")
        assert result.status == 0
        assert "prompts and answers are left out" in result.err

    def test_of_some_cells_has_those_alone(self, command: Command, ran: Workspace) -> None:
        command("report", "trip/vote(model=counted:a, k=3)", "--output", "some.html")
        page = Path("some.html").read_text()
        assert "k=3" in page
        assert "k=5" not in page

    def test_lists_as_many_trials_as_are_asked_for(self, command: Command, ran: Workspace) -> None:
        assert command("report", "trip", "--trials", "10").status == 0
        page = (ran.root / "results/trip/report.html").read_text()
        assert "--trials 0" in page
        assert command("report", "trip", "--trials", "0").status == 0
        page = (ran.root / "results/trip/report.html").read_text()
        assert "Every trial, with all" in page

    def test_of_a_run_that_is_still_going_on(self, command: Command, ran: Workspace) -> None:
        ran.grid(architectures=[single(), vote([3, 5])], epochs=2)
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect("results/trip/trials.db")) as writer, writer:
            writer.execute("DELETE FROM trials WHERE item > 5")
            writer.commit()
            writer.execute("BEGIN IMMEDIATE")  # as a run that writes
            assert command("report", "trip").status == 0
        assert "<strong>Partial</strong>" in Path("results/trip/report.html").read_text()


class TestTables:
    @pytest.mark.parametrize("form", ["md", "csv", "latex"])
    def test_are_those_of_export(self, command: Command, ran: Workspace, form: str) -> None:
        assert command("report", "trip", "--format", form).out == (
            command("export", "trip", "--format", form).out
        )


class TestComparisons:
    def test_have_a_report_with_every_flip(self, command: Command, ran: Workspace) -> None:
        found = command("compare", "trip", "--report", "c.html", "--json").json
        page = Path("c.html").read_text(encoding="utf-8")
        for pair in found["pairs"]:
            assert f"<h2>{pair['cell']['label']} against {pair['baseline']['label']}</h2>" in page
            for flip in pair["flips"]:
                assert flip["question"].strip() in page
        assert "script-src &#x27;none&#x27;" in page
        assert "<script" not in page

    def test_say_that_the_file_cannot_be_written(self, command: Command, ran: Workspace) -> None:
        result = command("compare", "trip", "--report", "nowhere/c.html")
        assert result.status == 2
        assert "--report nowhere/c.html: cannot be written" in result.err


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["trop"], "did you mean 'trip'"),
            (["trip", "--format", "htm"], "did you mean 'html'"),
            (["trip", "--format", "md", "--open"], "--open goes with --format html"),
            (["trip", "--output", "nowhere/x.html"], "nowhere/x.html: cannot be written"),
        ],
    )
    def test_are_named(
        self, command: Command, ran: Workspace, arguments: list[str], message: str
    ) -> None:
        result = command("report", *arguments)
        assert result.status == 2
        assert message in result.err
        assert "Traceback" not in result.err
