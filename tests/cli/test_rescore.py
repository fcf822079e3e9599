"""`ember-bench rescore`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--quiet")
LOOSE = "numeric_match_1_percent"
SINGLE = "single(model=counted:a)"


@pytest.fixture
def ran(command: Command, sums: Workspace) -> Workspace:
    """Sums that are large enough for one more to be within a percent, but for the first few."""
    sums.sums(40)
    sums.grid(architectures=[single(), vote(3)])
    command(*RUN)
    return sums


def scores(name: str) -> dict[tuple[str, str], float]:
    from ember_bench.experiment.results.rows import StoredTrials

    stored = StoredTrials(Path("results") / name / "trials.db")
    items = stored.description.items["sums"]
    found = {
        (cell.name, items[item].id): score
        for number, cell in enumerate(stored.description.cells)
        for item, _, score in stored.columns(number, ["score"])
    }
    stored.close()
    return found


def test_stored_answers_are_scored_anew_and_nobody_is_asked(
    command: Command, ran: Workspace
) -> None:
    asked, before = counted.requests(), scores("trip")
    result = command("rescore", "grid.yaml", "--evaluator", LOOSE)
    assert result.status == 0
    assert counted.requests() == asked
    after = scores("trip.rescored")
    assert after.keys() == before.keys()
    assert sum(after.values()) > sum(before.values())
    for (cell, item), score in after.items():
        # Off by one is within a percent from the 13th sum on, 8 x 13 being above 100.
        assert score == (1.0 if int(item.partition("-")[2]) >= 13 else before[cell, item])


def test_the_results_that_are_scored_anew_are_left_as_they_are(
    command: Command, ran: Workspace
) -> None:
    files = {path: path.read_bytes() for path in Path("results/trip").iterdir()}
    command("rescore", "trip", "--evaluator", LOOSE)
    assert {path: path.read_bytes() for path in Path("results/trip").iterdir()} == files


def test_it_costs_nothing_and_keeps_costs_and_latencies(command: Command, ran: Workspace) -> None:
    command("rescore", "trip", "--evaluator", LOOSE)
    before, after = (
        json.loads(Path(f"results/{name}/summary.json").read_text())
        for name in ("trip", "trip.rescored")
    )
    assert after["spend_usd"] == 0
    for old, new in zip(before["cells"], after["cells"], strict=True):
        assert new["cost_per_item"] == old["cost_per_item"]
        assert new["latency_seconds"] == old["latency_seconds"]
        assert new["calls_made"] == 0


class TestOfCells:
    @pytest.mark.parametrize("cell", [f"sums/{SINGLE}", SINGLE])
    def test_scores_those_that_are_named_and_no_others(
        self, command: Command, ran: Workspace, cell: str
    ) -> None:
        asked, before = counted.requests(), scores("trip")
        result = command("rescore", f"trip/{cell}", "--evaluator", LOOSE, "--json")
        assert result.status == 0
        assert counted.requests() == asked
        assert [found["name"] for found in result.json["cells"]] == [f"sums/{SINGLE}"]
        assert result.json["run"]["status"] == "complete"
        after = scores("trip.rescored")
        assert after.keys() == {key for key in before if key[0] == f"sums/{SINGLE}"}
        assert sum(after.values()) > sum(before[key] for key in after)
        command("rescore", "trip", "--evaluator", LOOSE, "--as", "whole")
        whole = scores("whole")
        assert after == {key: whole[key] for key in after}

    def test_scores_a_dataset(self, command: Command, ran: Workspace) -> None:
        ran.sums(5, name="more")
        ran.grid(datasets=["sums", "more"], architectures=[single(), vote(3)])
        command(*RUN)
        result = command("rescore", "trip/more", "--evaluator", f"more={LOOSE}", "--json")
        assert [data["name"] for data in result.json["datasets"]] == ["more"]
        assert [cell["dataset"] for cell in result.json["cells"]] == ["more", "more"]
        assert result.json["cells"][1]["comparison"]["baseline"] == result.json["cells"][0]["name"]
        other = command("rescore", "trip/more", "--evaluator", f"sums={LOOSE}", "--as", "other")
        assert other.status == 2
        assert "unknown dataset 'sums'" in other.err

    def test_is_compared_with_a_baseline_only_if_that_is_scored_too(
        self, command: Command, ran: Workspace
    ) -> None:
        ran.grid(architectures=[single(), vote(3)], baseline={"name": "single"})
        command(*RUN)
        (voted,) = {name for name, _ in scores("trip")} - {f"sums/{SINGLE}"}
        result = command("rescore", f"trip/{voted}", "--evaluator", LOOSE, "--json")
        (cell,) = result.json["cells"]
        assert result.json["baseline"] is None
        assert cell["comparison"] is None
        assert command("report", "trip.rescored").status == 0

    def test_says_what_to_compare(self, command: Command, ran: Workspace) -> None:
        result = command("rescore", f"trip/{SINGLE}", "--evaluator", LOOSE)
        assert f"ember-bench compare 'trip/{SINGLE}' trip.rescored --anyway" in result.err
        found = command("compare", f"trip/{SINGLE}", "trip.rescored", "--anyway", "--json").json
        (pair,) = found["pairs"]
        assert pair["losses"] == 0 < pair["wins"]

    def test_covers_no_results_of_other_cells(self, command: Command, ran: Workspace) -> None:
        command("rescore", "trip", "--evaluator", LOOSE)
        before = scores("trip.rescored")
        refused = command("rescore", f"trip/{SINGLE}")
        assert refused.status == 2
        assert "results/trip.rescored: has results of other cells too" in refused.err
        assert "--as" in refused.err
        assert scores("trip.rescored") == before
        assert command("rescore", f"trip/{SINGLE}", "--as", "one").status == 0
        assert command("rescore", f"trip/{SINGLE}", "--as", "one", "--evaluator", LOOSE).status == 0

    def test_that_are_not_there_are_a_mistake(self, command: Command, ran: Workspace) -> None:
        result = command("rescore", "trip/singel")
        assert result.status == 2
        assert "unknown cell 'singel'" in result.err
        ran.grid(architectures=[vote(3)])
        result = command("rescore", f"trip/{SINGLE}")
        assert result.status == 2
        assert f"trip/{SINGLE}: grid.yaml has no such cell any more" in result.err

    def test_may_be_in_results_of_another_machine(self, command: Command, ran: Workspace) -> None:
        Path("theirs").mkdir()
        Path("results").rename("theirs/results")
        result = command("rescore", f"theirs/results/trip/{SINGLE}", "--evaluator", LOOSE)
        assert result.status == 0
        compare = f"compare 'theirs/results/trip/{SINGLE}' theirs/results/trip.rescored --anyway"
        assert compare in result.err


def test_a_corrected_evaluator_is_taken_from_its_card(command: Command, ran: Workspace) -> None:
    ran.write("registry/evaluators/near.yaml", "kind: numeric_match\nrelative_tolerance: 0.001\n")
    ran.grid(
        name="near", datasets=[{"name": "sums", "evaluator": "near"}], architectures=[single()]
    )
    command(*RUN)
    ran.edit("registry/evaluators/near.yaml", "0.001", "0.5")
    assert command("rescore", "grid.yaml").status == 0
    assert sum(scores("near.rescored").values()) > sum(scores("near").values())


def test_what_changed_is_seen_by_comparing(command: Command, ran: Workspace) -> None:
    result = command("rescore", "trip", "--evaluator", LOOSE)
    assert "ember-bench compare trip trip.rescored --anyway" in result.err
    found = command("compare", "trip", "trip.rescored", "--anyway", "--json").json
    assert all(pair["losses"] == 0 < pair["wins"] for pair in found["pairs"])


def test_a_partial_run_stays_partial(command: Command, sums: Workspace) -> None:
    sums.model("counted:a", seconds=0.01)
    sums.grid(in_flight=1)
    sums.run(stop_after=4)
    asked = counted.requests()
    result = command("rescore", "grid.yaml", "--evaluator", LOOSE, "--json")
    assert result.status == 0
    assert counted.requests() == asked
    (cell,) = result.json["cells"]
    assert result.json["run"]["status"] == "partial"
    assert 4 <= cell["items"] == 10 - cell["outcomes"]["skipped"] < 10


def test_simulated_answers_are_the_stored_ones_too(command: Command, here: Workspace) -> None:
    # Simulated models heed the evaluator: run anew under another one they would say other things.
    here.sums(30)
    here.model("simulated:a", accuracy=0.5, distractors=5)
    here.model("simulated:v")
    parameters = {"model": "simulated:a", "verifier": "simulated:v", "k": 3}
    here.grid(architectures=[{"name": "verifier_judge", "parameters": parameters}])
    command(*RUN)
    result = command("rescore", "trip", "--evaluator", LOOSE, "--json")
    assert result.status == 0
    assert result.json["run"]["calls_made"] == 0
    before, after = scores("trip"), scores("trip.rescored")
    assert all(after[key] >= score for key, score in before.items())


def test_failed_trials_keep_what_they_failed_with(command: Command, sums: Workspace) -> None:
    sums.sums(["", "refuse", ""])
    command(*RUN)
    result = command("rescore", "grid.yaml", "--evaluator", LOOSE)
    assert result.status == 1
    exported = command("export", "trip.rescored", "--what", "trials", "--format", "jsonl").out
    (failed,) = [row for line in exported.splitlines() if (row := json.loads(line))["error"]]
    assert failed["error"] == "ProviderError: it will not answer (in node 'answer')"


def test_trials_of_another_graph_are_left_out_and_said(command: Command, ran: Workspace) -> None:
    ran.grid(architectures=[single(), vote(5)])
    result = command("rescore", "grid.yaml", "--evaluator", LOOSE)
    assert result.status == 0
    assert {cell for cell, _ in scores("trip.rescored")} == {"sums/single(model=counted:a)"}
    ran.grid(architectures=[single(), vote(3)])
    ran.edit("registry/datasets/sums.jsonl", "8 + 56", "8 + 57")
    result = command("rescore", "grid.yaml", "--evaluator", LOOSE)
    assert (
        "2 stored trials are left out: their graph, model or item has changed since" in result.err
    )


def test_a_model_that_has_changed_since_cannot_be_scored(command: Command, ran: Workspace) -> None:
    ran.model("counted:a", right=0.1)
    result = command("rescore", "grid.yaml", "--evaluator", LOOSE)
    assert result.status == 2
    assert "none of its 80 trials is of grid.yaml as it is now" in result.err


def test_a_run_that_goes_on_can_be_scored(command: Command, ran: Workspace) -> None:
    from ember_bench.experiment.lock import locked

    with locked(Path("results/trip")):
        assert command("rescore", "trip", "--evaluator", LOOSE).status == 0


def test_datasets_may_have_evaluators_of_their_own(command: Command, sums: Workspace) -> None:
    sums.sums(20, name="more")
    sums.grid(datasets=["sums", "more"])
    command(*RUN)
    result = command("rescore", "grid.yaml", "--evaluator", f"more={LOOSE}", "--json")
    evaluators = {data["name"]: data["evaluator"] for data in result.json["datasets"]}
    assert evaluators == {"sums": "numeric_match", "more": LOOSE}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--evaluator", "numeric_mach"), "unknown evaluator 'numeric_mach'; did you mean"),
        (("--evaluator", f"sum={LOOSE}"), "unknown dataset 'sum'; did you mean 'sums'"),
        (("--as", "trip"), "--as trip: has the results that are scored anew"),
        (("--as", "a/b"), "--as a/b: expected up to 100 letters"),
        (("--results", "nowhere"), "there are no results of it"),
    ],
)
def test_mistakes_are_said_before_anything_is_done(
    command: Command, ran: Workspace, arguments: tuple[str, ...], message: str
) -> None:
    result = command("rescore", "grid.yaml", *arguments)
    assert result.status == 2
    assert message in result.err
    assert not Path("results/trip.rescored").exists()


def test_without_stored_answers_it_says_so(command: Command, ran: Workspace) -> None:
    Path("results/responses.db").unlink()
    result = command("rescore", "grid.yaml", "--evaluator", LOOSE)
    assert result.status == 2
    assert "results/responses.db: is not there" in result.err


def test_results_without_their_grid_say_what_is_missing(command: Command, ran: Workspace) -> None:
    Path("grid.yaml").unlink()
    result = command("rescore", "trip")
    assert result.status == 2
    assert "this takes their grid too" in result.err
