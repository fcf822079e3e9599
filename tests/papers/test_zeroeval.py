"""`experiments/papers/zeroeval_gsm8k`, run whole: 58,000 trials, once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ember_bench import stats
from ember_bench.decisions.evidence import stored_evidence
from ember_bench.decisions.pool import Pool
from ember_bench.decisions.what_if import Combination, evaluate
from ember_bench.experiment.results.cells import StoredCells
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.results.summary import CellSummary
from ember_bench.stats import Goal, Race
from ember_bench.stats.joint_errors import Policy
from tests.papers.runs import Paper, paper, percent

pytestmark = pytest.mark.slow

# Their answers contain unevaluated arithmetic, which the source hands to eval(): ours, published.
EVALUATED_THERE = {"yi-large": (79.98, 80.06), "yi-large-preview": (82.41, 82.64)}
ASKED_LESS = "gemini-1.5-flash-exp-0827"


@pytest.fixture(scope="module")
def zeroeval(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Paper:
    return paper("zeroeval_gsm8k", "zeroeval", data_dir, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def cells(zeroeval: Paper) -> dict[str, CellSummary]:
    """By label, which for one model alone is the model."""
    return {cell.label: cell for cell in zeroeval.summary.cells}


Cells = dict[str, CellSummary]


def test_42_of_44_published_accuracies_are_reproduced(zeroeval: Paper, cells: Cells) -> None:
    different = {}
    rows = zeroeval.published()
    for row in rows:
        cell = cells[f"recorded:zeroeval_gsm8k/{row['system']}"]
        assert cell.scheduled == cell.items == int(row["items"])
        assert cell.outcomes["error"] == cell.outcomes["skipped"] == 0
        if percent(cell) != float(row["accuracy"]):
            different[row["system"]] = (percent(cell), float(row["accuracy"]))
    assert len(rows) == 44
    assert different == EVALUATED_THERE
    assert zeroeval.summary.run.status == "complete"


def test_one_model_was_asked_its_own_681_questions(cells: Cells) -> None:
    cell = cells[f"recorded:zeroeval_gsm8k/{ASKED_LESS}"]
    assert (cell.dataset, cell.scheduled) == ("zeroeval_gsm8k_681", 681)
    assert cell.comparison is None


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("vote of the best five", 97.36),
        ("oracle of the best five", 98.26),
        ("vote of the weakest five", 83.42),
        ("oracle of the weakest five", 93.63),
    ],
)
def test_what_votes_and_oracles_come_to(cells: Cells, label: str, value: float) -> None:
    assert percent(cells[label]) == value


def test_what_was_not_recorded_is_unknown(cells: Cells) -> None:
    for cell in cells.values():
        assert cell.cost_per_item is None
        assert cell.cost_per_correct is None
        assert cell.latency_seconds is None
        assert not cell.simulated


def test_no_answer_is_asked_for_twice(zeroeval: Paper) -> None:
    summary = zeroeval.summary
    assert summary.run.calls_made == 43 * 1319 + 681
    # The votes and oracles of five share theirs with the models alone.
    assert summary.run.calls_shared == 4 * 5 * 1319


def test_a_repeated_run_does_nothing_and_finds_the_same(zeroeval: Paper) -> None:
    first = zeroeval.summary
    started = time.process_time()
    again = zeroeval.run()
    assert time.process_time() - started < 15
    assert (again.progress.done, again.progress.calls_made, again.changes) == (0, 0, [])
    assert again.progress.kept == len(first.cells) * 1319 - (1319 - 681)
    assert again.summary.cells == first.cells


def combined(codes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return stats.combine_votes(codes, scores).credit


def cascaded(codes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    early = stats.combine_votes(codes[:, :3], scores[:, :3])
    return np.where(early.agreement > 0.99, early.credit, combined(codes[:, 3:], scores[:, 3:]))


@pytest.fixture(scope="module")
def pool(zeroeval: Paper) -> Iterator[Pool]:
    """The answers of the models that were asked all questions."""
    assert zeroeval.summary
    (path,) = zeroeval.results.rglob("trials.db")
    rows = StoredTrials(path)
    stored = StoredCells(rows)
    yield Pool(
        [
            stored.results(cell.name)
            for cell in rows.description.cells
            if cell.architecture == "single" and cell.dataset == "zeroeval_gsm8k"
        ]
    )
    rows.close()


@pytest.mark.parametrize("label", ["vote of the best five", "vote of the weakest five"])
def test_what_if_gives_what_the_votes_gave(
    zeroeval: Paper, pool: Pool, cells: Cells, label: str
) -> None:
    members = tuple(c for c in pool.cells if c.label in cells[label].parameters["models"])
    found = evaluate(pool, Combination("vote", members), label)
    assert (len(members), found.items, found.missing.trials) == (5, 1319, 0)
    assert found.accuracy.value == pytest.approx(cells[label].accuracy.value, abs=1e-9)


@pytest.mark.parametrize("policy", [combined, cascaded])
def test_joint_errors_predict_models_that_were_asked_little(pool: Pool, policy: Policy) -> None:
    """Two of five models are asked 100 of 400 questions; the truth is of all 1,319."""
    rng = np.random.default_rng(0)
    errors, covered, alone, runs = [], 0, [], 40
    for seed in range(runs):
        chosen = rng.choice(pool.scores.shape[1], 5, replace=False)
        chosen = chosen[np.argsort(pool.scores[:, chosen].mean(axis=0))]
        items = rng.choice(len(pool.scores), 400, replace=False)
        x, given = pool.scores[np.ix_(items, chosen)], pool.answers[np.ix_(items, chosen)]
        x[100:, 3] = x[50:100, 4] = x[150:, 4] = np.nan
        truth = policy(pool.answers[:, chosen], pool.scores[:, chosen]).mean()
        found = stats.predict_policy(given, x, policy, n_draws=50, seed=seed)
        errors.append(found.value - truth)
        covered += found.interval.low <= truth <= found.interval.high
        whole = ~np.isnan(x).any(axis=1)
        alone.append(policy(given[whole], x[whole]).mean() - truth)
    assert covered / runs >= 0.85
    assert abs(np.mean(errors)) < 0.006
    assert np.std(errors) < 0.6 * np.std(alone)


@pytest.mark.parametrize(("points", "share"), [(1, 0.38), (2, 0.30), (3, 0.25)])
def test_a_model_near_the_best_is_found_after_a_part_of_the_calls(
    zeroeval: Paper, cells: Cells, points: int, share: float
) -> None:
    whole = [c.name for c in cells.values() if c.architecture == "single" and c.scheduled == 1319]
    assert len(whole) == 43
    rows = StoredTrials(next(zeroeval.results.rglob("trials.db")))
    scores = stored_evidence(rows, whole).low
    rows.close()
    taken = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(scores))
        race = Race(Goal("most_accurate", points / 100), 43, len(scores))
        while (going := race.wanted)[0].size:
            asked = race.asked.copy()
            asked[going[0]] = going[1]
            race.take(asked, scores[order], scores[order])
        assert race.now.choice is not None
        means = scores.mean(axis=0)
        assert means[race.now.choice[0]] >= means.max() - points / 100
        taken.append(race.asked.sum() / scores.size)
    assert np.mean(taken) <= share
