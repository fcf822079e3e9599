"""Recorded samples: dealt to draws and epochs without repeats, never more than there are."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from ember_bench import stats
from ember_bench.errors import ConfigError
from ember_bench.experiment.forecast.calls import forecast
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.recorded.replay import sample_order
from tests.support.workspace import Workspace, single, vote

TAPE = "recorded:tape/m"


def rows(workspace: Workspace, query: str) -> list[Any]:
    """Return what stands in the trial store."""
    with sqlite3.connect(workspace.root / "results" / "trip" / "trials.db") as db:
        return db.execute(query).fetchall()


def flags(rights: Sequence[int], samples: int) -> dict[str, list[str]]:
    """Return samples of `sums`, sorted: so many right ones of each item, then wrong ones."""
    return {
        f"sums-{i}": [f"Answer: {8 * i}"] * right + ["Answer: -1"] * (samples - right)
        for i, right in enumerate(rights)
    }


def problem(workspace: Workspace, **grid: Any) -> str:
    """Return the one problem of a grid, which `plan` and `run` find alike."""
    workspace.grid(**grid)
    with pytest.raises(ConfigError) as caught:
        workspace.experiment()
    (found,) = caught.value.problems
    assert found.location is not None
    assert found.location.line is not None
    with pytest.raises(ConfigError) as planned:
        plan(workspace)
    assert planned.value.problems == caught.value.problems
    return found.message


def plan(workspace: Workspace) -> list[str]:
    """Return what a plan rests on."""
    cards = workspace.cards()
    registry = ModelRegistry.from_cards(cards)
    return forecast(workspace.root / "grid.yaml", cards, registry).assumptions


class TestEstimates:
    """Samples sorted by score, as public files have them, give the numbers of random draws."""

    def test_epochs_over_all_samples_give_their_mean_and_unbiased_pass_at_k(
        self, workspace: Workspace
    ) -> None:
        rights, samples = [0, 1, 3, 5, 9, 10], 10
        workspace.sums(len(rights))
        workspace.tape(flags(rights, samples))
        workspace.grid(architectures=[single(TAPE)], epochs=samples)
        cell = workspace.run().cell
        assert cell.accuracy is not None
        assert cell.accuracy.value == pytest.approx(sum(rights) / 60, abs=1e-12)
        for k in (2, 5, 10):
            missed = [math.comb(samples - c, k) / math.comb(samples, k) for c in rights]
            assert cell.pass_at_k[k].value == pytest.approx(
                1 - sum(missed) / len(rights), abs=1e-12
            )

    def test_every_trial_right_is_the_share_of_pairs_and_triples(
        self, workspace: Workspace
    ) -> None:
        """pass^k: k trials of an item are all right, C(c, k) / C(n, k)."""
        rights, samples = [0, 2, 3, 4], 4
        workspace.sums(len(rights))
        workspace.tape(flags(rights, samples))
        workspace.grid(architectures=[single(TAPE)], epochs=samples)
        workspace.run()
        scores = rows(workspace, "SELECT sum(score) FROM trials GROUP BY item")
        found = sorted(int(right) for (right,) in scores)
        assert found == rights
        for k in (1, 2, 3, 4):
            closed = sum(math.comb(c, k) / math.comb(samples, k) for c in rights) / len(rights)
            failed = stats.pass_at_k(np.full(4, samples), samples - np.array(found), k)
            assert 1 - failed.mean() == pytest.approx(closed, abs=1e-12)

    def test_one_draw_of_sorted_samples_is_a_random_one(self, workspace: Workspace) -> None:
        items = 600
        workspace.sums(items)
        workspace.tape(flags([3] * items, 10))
        workspace.grid(architectures=[single(TAPE)])
        cell = workspace.run().cell
        assert cell.accuracy is not None
        # Binomial(600, 0.3); the first samples of the file are all right.
        assert abs(cell.accuracy.value - 0.3) < 4 * math.sqrt(0.3 * 0.7 / items)

    def test_epochs_use_the_samples_in_the_order_of_model_and_item(
        self, workspace: Workspace
    ) -> None:
        workspace.sums(1)
        samples = [f"Answer: {n}" for n in range(6)]
        workspace.tape({"sums-0": samples})
        workspace.grid(architectures=[vote(2, TAPE)], epochs=3)
        assert workspace.run().cell.outcomes["error"] == 0
        answers = dict(rows(workspace, "SELECT epoch, answer FROM trials"))
        order = sample_order(TAPE, "sums-0", 6)
        # The first of two equal votes wins: draw 0 of each epoch.
        assert answers == {epoch: str(order[epoch]) for epoch in range(3)}


class TestSharing:
    def test_a_small_vote_has_the_first_draws_of_a_large_one(self, workspace: Workspace) -> None:
        workspace.sums(5)
        workspace.tape(flags([2] * 5, 10))
        workspace.grid(architectures=[vote([3, 5], TAPE)], epochs=2)
        ran = workspace.run()
        assert ran.summary.run.calls_made == 5 * 2 * 5
        assert ran.summary.run.calls_shared == 5 * 2 * 3

    def test_another_number_of_epochs_runs_anew_and_says_so(self, workspace: Workspace) -> None:
        workspace.sums(4)
        workspace.tape(flags([1, 2, 3, 4], 4))
        workspace.grid(architectures=[single(TAPE)], epochs=2)
        workspace.run()
        workspace.grid(architectures=[single(TAPE)], epochs=4)
        ran = workspace.run()
        assert ran.changes == [f"the epochs of cell sums/single(model={TAPE}) have changed"]
        assert ran.progress.done == 16
        assert ran.cell.accuracy is not None
        assert ran.cell.accuracy.value == 10 / 16

    def test_models_that_answer_anew_keep_their_trials(self, workspace: Workspace) -> None:
        workspace.sums(4)
        workspace.model("counted:a", right=1.0)
        workspace.grid(epochs=2)
        workspace.run()
        workspace.grid(epochs=3)
        ran = workspace.run()
        assert (ran.progress.kept, ran.progress.done, ran.changes) == (8, 4, [])


class TestTooFew:
    @pytest.mark.parametrize(("draws", "epochs"), [*product((1, 2, 3), (1, 2, 3))])
    def test_more_than_there_are_is_refused_before_the_run(
        self, workspace: Workspace, draws: int, epochs: int
    ) -> None:
        workspace.sums(3)
        workspace.tape(flags([0, 1, 2], 4))
        grid = {"architectures": [vote(draws, TAPE)], "epochs": epochs}
        if draws * epochs > 4:
            assert "has 4 recorded samples" in problem(workspace, **grid)
        else:
            workspace.grid(**grid)
            assert workspace.run().cell.outcomes["error"] == 0

    def test_the_message_names_model_item_cell_and_numbers(self, workspace: Workspace) -> None:
        workspace.sums(5)
        workspace.tape(flags([1] * 5, 5) | {"sums-3": ["Answer: 24"] * 2, "sums-4": ["?"] * 3})
        assert problem(workspace, architectures=[single(TAPE), vote([2, 3], TAPE)], epochs=2) == (
            f"{TAPE} has 2 recorded samples of item 'sums-3', and too few of 4 more of the 5"
            f" items; cell sums/vote(model={TAPE}, k=3) asks for 6 of each: 3 draws x 2 epochs"
            " (and 1 more cell too many)"
        )

    def test_ids_of_another_kind_are_shown(self, workspace: Workspace) -> None:
        workspace.sums(3)
        workspace.tape({f"test/{number}": ["?"] for number in range(4)})
        found = problem(workspace, architectures=[single(TAPE)])
        assert found.endswith("; the ids of the recording are such as 'test/0' and 'test/1'")

    def test_an_item_that_was_not_recorded_is_named(self, workspace: Workspace) -> None:
        workspace.sums(5)
        workspace.tape(dict(list(flags([1] * 5, 1).items())[:3]))
        found = problem(workspace, architectures=[single(TAPE)])
        assert found.startswith(f"{TAPE} has 0 recorded samples of item 'sums-")
        assert found.endswith(
            "and too few of 1 more of the 5 items; "
            f"cell sums/single(model={TAPE}) asks for 1 of each: 1 draw x 1 epoch"
        )

    def test_where_failures_are_excluded_what_was_not_recorded_is_left_out_and_said_once(
        self, workspace: Workspace
    ) -> None:
        workspace.sums(5)
        answers = flags([2] * 5, 2)
        del answers["sums-2"]
        workspace.tape(answers)
        workspace.grid(architectures=[single(TAPE), vote(2, TAPE)], failures="excluded")
        (note,) = workspace.experiment().notes
        assert note == (
            f"{TAPE} has no answer to 1 of the 5 items of sums, such as 'sums-2'; trials that need"
            " one fail and are left out (failures: excluded)"
        )
        assert note in plan(workspace)
        cells = workspace.run().summary.cells
        assert [cell.outcomes["error"] for cell in cells] == [1, 1]
        assert [cell.accuracy.value for cell in cells if cell.accuracy] == [1.0, 1.0]

    def test_too_few_samples_are_refused_there_also(self, workspace: Workspace) -> None:
        workspace.sums(2)
        workspace.tape({"sums-0": ["Answer: 0"]})
        found = problem(workspace, architectures=[vote(2, TAPE)], failures="excluded")
        assert "has 1 recorded sample of item 'sums-0'; cell" in found

    def test_by_option_a_cell_is_without_them(self, workspace: Workspace) -> None:
        workspace.sums(4)
        workspace.tape(flags([1, 1, 1], 4) | {"sums-1": ["Answer: 8"]})
        workspace.grid(
            architectures=[single(TAPE), vote(2, TAPE)], epochs=2, too_few_samples="left_out"
        )
        (note,) = workspace.experiment().notes
        assert note.startswith(f"{TAPE} has too few samples of 2 of the 4 items of sums, such as")
        assert note.endswith(
            "; 2 cells that would need more are without them (too_few_samples: left_out)"
        )
        ran = workspace.run()
        assert (ran.progress.done, ran.summary.run.status) == (2 * 2 * 2, "complete")
        for cell in ran.summary.cells:
            assert (cell.items, cell.scheduled) == (2, 4)
            assert (cell.outcomes["error"], cell.outcomes["skipped"]) == (0, 0)
        assert workspace.run().progress.done == 0

    def test_each_cell_is_without_its_own(self, workspace: Workspace) -> None:
        workspace.sums(3)
        workspace.tape({"sums-0": ["x"] * 3, "sums-1": ["x"] * 2, "sums-2": ["x"]})
        workspace.grid(architectures=[vote([1, 2, 3], TAPE)], too_few_samples="left_out")
        assert [cell.items for cell in workspace.run().summary.cells] == [3, 2, 1]

    def test_a_cell_without_any_item_is_refused(self, workspace: Workspace) -> None:
        workspace.sums(2)
        workspace.tape(flags([1, 1], 2))
        found = problem(workspace, architectures=[vote(3, TAPE)], too_few_samples="left_out")
        assert "asks for 3 of each" in found
        assert found.endswith("; no item is left")

    def test_the_option_is_part_of_an_experiment_only_where_it_is_given(
        self, workspace: Workspace
    ) -> None:
        workspace.sums(2)
        workspace.tape(flags([1, 1], 2))
        digests = []
        for more in ({}, {"too_few_samples": "refused"}, {"too_few_samples": "left_out"}):
            workspace.grid(architectures=[single(TAPE)], **more)
            digests.append(workspace.experiment().digest)
        assert digests[0] == digests[1] != digests[2]

    def test_a_model_is_told_once_for_each_dataset(self, workspace: Workspace) -> None:
        for name in ("sums", "more"):
            workspace.sums(2, name=name)
        workspace.tape({f"{name}-{i}": ["x"] for name in ("sums", "more") for i in range(2)})
        workspace.grid(datasets=["sums", "more"], architectures=[vote([1, 2, 3, 4], TAPE)])
        with pytest.raises(ConfigError) as caught:
            workspace.experiment()
        messages = [found.message for found in caught.value.problems]
        assert len(messages) == 2
        assert all("and 2 more cells too many" in message for message in messages)

    def test_each_model_of_an_ensemble_needs_samples_of_its_own(self, workspace: Workspace) -> None:
        workspace.sums(2)
        workspace.tape(flags([1, 1], 1), "one")
        workspace.tape(flags([1, 1], 1), "two")
        models = ["recorded:one/m", "recorded:two/m"]
        entry = {"name": "ensemble_vote", "parameters": {"models": models}}
        workspace.grid(architectures=[entry])
        assert workspace.run().cell.outcomes["error"] == 0
        entry["parameters"] = {"models": [*models, "recorded:two/m"]}
        assert "recorded:two/m has 1 recorded sample" in problem(workspace, architectures=[entry])


class TestWhatCannotBeAnswered:
    def card(self, workspace: Workspace, records: Any, fields: Mapping[str, str]) -> None:
        workspace.tape({})
        workspace.write("registry/models/tape.json", json.dumps(records))
        card = {"name": "recorded:tape", "files": "tape.json", "models": ["m"]}
        workspace.write("registry/models/tape.yaml", card | {"fields": fields})

    def test_answers_to_other_questions_are_refused(self, workspace: Workspace) -> None:
        workspace.sums(3)
        asked = ["Please:  0 + 0 = ?\nThanks.", "1 + 7", "2 + 15 = ?"]
        records = [{"id": f"sums-{i}", "q": q, "o": "x"} for i, q in enumerate(asked)]
        fields = {"item": "id", "question": "q", "answer": "o"}
        self.card(workspace, records, fields)
        assert problem(workspace, architectures=[single(TAPE)]) == (
            f"{TAPE} was asked other questions in 1 of the 3 items of sums: item 'sums-2' is"
            f" ' 2 + 14 = ?', recorded is '2 + 15 = ?' (in cell sums/single(model={TAPE}))"
        )
        self.card(workspace, records[:2], fields)
        workspace.grid(architectures=[single(TAPE)], failures="excluded")
        assert workspace.run().cell.outcomes["error"] == 1

    def test_scores_without_texts_are_scored_as_recorded_only(self, workspace: Workspace) -> None:
        workspace.sums(2)
        records = [{"id": f"sums-{i}", "s": s} for i, s in enumerate((1, 0.5))]
        self.card(workspace, records, {"item": "id", "score": "s"})
        found = problem(workspace, architectures=[single(TAPE)])
        assert found.startswith(f"{TAPE} has scores and no texts: score sums with an evaluator of")
        workspace.write(
            "registry/evaluators/theirs.yaml",
            {"name": "theirs", "kind": "as_recorded", "purpose": "Theirs.",
             "recorded": "recorded:tape"},
        )  # fmt: skip
        workspace.grid(
            architectures=[single(TAPE)], datasets=[{"name": "sums", "evaluator": "theirs"}]
        )
        accuracy = workspace.run().cell.accuracy
        assert accuracy is not None
        assert accuracy.value == 0.75

    def test_a_verdict_is_refused_before_the_run(self, workspace: Workspace) -> None:
        workspace.sums(2)
        workspace.tape(flags([1, 1], 3))
        entry = {
            "name": "verifier_judge",
            "parameters": {"model": TAPE, "verifier": TAPE, "k": 2},
        }
        assert problem(workspace, architectures=[entry]).startswith(
            f"{TAPE} has answers to items; it cannot be asked to verify (in cell sums/"
        )

    def test_two_requests_for_one_sample_are_refused(self, workspace: Workspace) -> None:
        workspace.sums(1)
        workspace.tape(flags([1], 4))
        modules = [{"model": "$model", "temperature": t} for t in (0.2, 0.8)]
        workspace.write(
            "registry/architectures/warmer.yaml",
            {
                "name": "warmer",
                "purpose": "One model at two temperatures.",
                "parameters": {"model": {"type": "model", "purpose": "Asked."}},
                "graph": {
                    "both": {"operator": "EnsembleOperator", "lm_modules": modules},
                    "vote": {"operator": "MostCommonOperator", "inputs": ["both"]},
                },
            },
        )
        entry = {"name": "warmer", "parameters": {"model": TAPE}}
        assert "would answer two different requests of a trial with one sample" in problem(
            workspace, architectures=[entry]
        )


class TestCascades:
    """Graphs that answers steer: what the recordings lead to decides."""

    def cascade(self, workspace: Workspace, dear: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        workspace.sums(30)
        cheap = flags([1] * 30, 1)
        other = {i: a if n % 3 else ["Answer: 7"] for n, (i, a) in enumerate(cheap.items())}
        workspace.tape(cheap, "one")
        workspace.tape(other, "two")
        workspace.tape(dear, "dear")
        cheap_models = ["recorded:one/m", "recorded:two/m"]
        return {
            "name": "cascade",
            "parameters": {"cheap": cheap_models, "dear": ["recorded:dear/m"]},
        }

    def escalated(self) -> dict[str, list[str]]:
        return {f"sums-{i}": [f"Answer: {8 * i}"] for i in range(0, 30, 3)}

    def test_a_recording_of_what_was_escalated_is_enough(self, workspace: Workspace) -> None:
        workspace.grid(architectures=[self.cascade(workspace, self.escalated())])
        cell = workspace.run().cell
        assert (cell.outcomes["error"], cell.outcomes["correct"]) == (0, 30)

    def test_an_escalated_item_that_it_lacks_is_refused(self, workspace: Workspace) -> None:
        dear = self.escalated()
        del dear["sums-27"]
        entry = self.cascade(workspace, dear)
        found = problem(workspace, architectures=[entry])
        assert found.startswith("recorded:dear/m has 0 recorded samples of item 'sums-27'; cell")


def test_a_grid_can_be_prepared_inside_a_running_loop(workspace: Workspace) -> None:
    workspace.sums(2)
    workspace.tape(flags([1, 1], 1))
    workspace.grid(architectures=[single(TAPE)])

    async def inside() -> int:
        return len(workspace.experiment())

    assert asyncio.run(inside()) == 2
