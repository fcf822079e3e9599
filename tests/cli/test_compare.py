"""`ember-bench compare`."""

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
    sums.sums(40)
    sums.grid(architectures=[single(label="alone"), vote([3, 5], label="vote of {k}")])
    command(*RUN)
    return sums


def again(command: Command, here: Workspace, name: str, **grid: object) -> None:
    """Run the same grid under another name."""
    here.grid(**{"name": name, "architectures": [single(label="alone"), vote(3)]} | grid)
    command(*RUN)


class TestTable:
    def test_an_experiment_alone_is_compared_with_its_baseline(
        self, command: Command, ran: Workspace
    ) -> None:
        result = command("compare", "trip")
        assert result.status == 0
        assert "sums: against alone" in result.out
        lines = {line.partition("  ")[0]: line for line in result.out.splitlines()}
        assert lines["alone"].split()[1] == "baseline"
        assert "adj. p by Westfall and Young's max-T" in " ".join(result.out.split())
        shown = command("compare", "trip", "--json").json
        assert [pair["cell"]["label"] for pair in shown["pairs"]] == ["vote of 3", "vote of 5"]
        accuracy = f"{100 * shown['pairs'][0]['cell']['accuracy']:.1f}"
        assert accuracy in lines["vote of 3"].split()

    @pytest.mark.parametrize(
        "name",
        [
            "trip/vote of 3", "trip/sums/vote of 3", "trip/vote(model=counted:a, k=3)",
            "trip/sums/vote(model=counted:a, k=3)", "results/trip/vote of 3",
        ],
    )  # fmt: skip
    def test_a_cell_goes_by_its_name_or_label(
        self, command: Command, ran: Workspace, name: str
    ) -> None:
        (pair,) = command("compare", "trip/alone", name, "--json").json["pairs"]
        assert (pair["cell"]["label"], pair["baseline"]["label"]) == ("vote of 3", "alone")

    def test_flips_name_the_items_with_both_answers(self, command: Command, ran: Workspace) -> None:
        result = command("compare", "trip/alone", "trip/vote of 5", "--flips", "100")
        (pair,) = command("compare", "trip/alone", "trip/vote of 5", "--json").json["pairs"]
        assert pair["wins"] + pair["losses"] == len(pair["flips"]) > 0
        for flip in pair["flips"]:
            verb = "won" if flip["score"] > flip["baseline_score"] else "lost"
            answers = f"{flip['answers'][0]} against {flip['baseline_answers'][0]}"
            assert f"  {verb:<4} {flip['item']}: {answers}, target {flip['target']}" in result.out
        assert flip["item"] not in command("compare", "trip", "--flips", "0").out

    def test_a_margin_is_given_in_points(self, command: Command, ran: Workspace) -> None:
        text = command("compare", "trip", "--margin", "50").out
        assert "by more than 50 points (one-sided p" in text or "within 50 points" in text
        shown = command("compare", "trip", "--margin", "50", "--json").json
        assert [pair["within"]["margin"] for pair in shown["pairs"]] == [0.5, 0.5]
        refused = command("compare", "trip", "--margin", "0")
        assert (refused.status, "--margin must be over 0" in refused.err) == (2, True)

    def test_the_correction_can_be_chosen(self, command: Command, ran: Workspace) -> None:
        result = command("compare", "trip", "--correction", "bh")
        assert "adj. p" in result.out.splitlines()[1]
        assert "Benjamini and Hochberg's" in " ".join(result.out.split())
        assert command("compare", "trip", "--correction", "bonferroni").status == 2


class TestAcrossExperiments:
    def test_cells_of_the_same_name_are_compared(self, command: Command, ran: Workspace) -> None:
        again(command, ran, "second")
        result = command("compare", "trip", "second")
        assert result.status == 0
        assert "sums: second against trip" in result.out
        assert len(command("compare", "trip", "second", "--json").json["pairs"]) == 2

    def test_another_evaluator_is_refused_unless_told(
        self, command: Command, ran: Workspace
    ) -> None:
        datasets = [{"name": "sums", "evaluator": "numeric_match_1_percent"}]
        again(command, ran, "second", datasets=datasets)
        refused = command("compare", "trip", "second")
        assert refused.status == 2
        assert "were scored by numeric_match_1_percent and by numeric_match" in refused.err
        told = command("compare", "trip", "second", "--anyway")
        assert told.status == 0
        assert "not comparable: they were scored by numeric_match_1_percent" in told.out

    def test_other_items_are_refused_unless_told(self, command: Command, ran: Workspace) -> None:
        again(command, ran, "second", datasets=[{"name": "sums", "limit": 15}])
        refused = command("compare", "trip", "second")
        assert refused.status == 2
        assert "25 items are asked only in trip (sums)" in refused.err
        told = command("compare", "trip", "second", "--anyway", "--json").json
        assert {pair["items"] for pair in told["pairs"]} == {15}

    def test_results_of_another_machine_need_no_grid_and_no_registry(
        self, command: Command, ran: Workspace, tmp_path: Path
    ) -> None:
        again(command, ran, "second")
        expected = command("compare", "trip", "second").out
        other = tmp_path / "theirs"
        for name in ("trip", "second"):
            (other / name).mkdir(parents=True)
            shutil.copy(f"results/{name}/trials.db", other / name)
        shutil.rmtree("registry")
        Path("grid.yaml").unlink()
        assert command("compare", "trip", "second", "--results", other).out == expected
        by_path = command("compare", "theirs/trip", "theirs/second/trials.db", "--json")
        assert [pair["baseline"]["source"] for pair in by_path.json["pairs"]] == ["theirs/trip"] * 2

    def test_nobody_is_asked(self, command: Command, ran: Workspace) -> None:
        before = counted.requests()
        command("compare", "trip")
        assert counted.requests() == before


class TestUnfinished:
    def test_what_there_is_is_compared_and_the_rest_named(
        self, command: Command, sums: Workspace
    ) -> None:
        sums.sums(["", "", "refuse", ""])
        sums.grid(architectures=[single(), vote(3)])
        command(*RUN)
        result = command("compare", "trip")
        assert result.status == 0
        assert "1 error, baseline: 1 error" in result.out


class TestMistakes:
    def test_an_unknown_experiment_lists_near_matches(
        self, command: Command, ran: Workspace
    ) -> None:
        result = command("compare", "tripp")
        assert (result.status, result.out) == (2, "")
        assert "tripp: there are no results of it; did you mean 'trip'?" in result.err

    def test_an_unknown_cell_lists_near_matches(self, command: Command, ran: Workspace) -> None:
        result = command("compare", "trip/vote of 4")
        assert result.status == 2
        assert "unknown cell 'vote of 4'" in result.err

    def test_without_results_it_says_so(self, command: Command, here: Workspace) -> None:
        result = command("compare", "trip")
        assert result.status == 2
        assert "there are no results of it, nor of anything else in results" in result.err

    def test_a_file_that_is_no_trial_store(self, command: Command, here: Workspace) -> None:
        here.write("results/trip/trials.db", "no database")
        result = command("compare", "trip")
        assert result.status == 2
        assert "results/trip/trials.db: cannot be opened" in result.err

    def test_text_of_models_cannot_draw_on_the_terminal(
        self, command: Command, sums: Workspace
    ) -> None:
        sums.grid(architectures=[single(label="\x1b[2Jalone"), vote(3, label="\x1b[31mvote")])
        command(*RUN)
        assert "\x1b" not in command("compare", "trip").out
