"""Races on simulated studies of which the truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from ember_bench.stats import Goal, Race


def play(goal, scores, costs=None, *, resampled=False, step=10, high=None):
    """Play a race to its end on items in the order in which they are."""
    race = Race(goal, scores.shape[1], len(scores), resampled=resampled, step=step)
    while True:
        cells, to = race.wanted
        if not cells.size:
            return race
        asked = race.asked.copy()
        asked[cells] = to
        race.take(asked, scores, scores if high is None else high, costs)


def is_wrong(goal, choice, accuracy, cost):
    """Whether a choice breaks what `Goal` says, written down a second time."""
    tiny, cells = 1e-9, range(len(accuracy))
    if choice is None:
        return False
    if goal.want == "front":
        uncovered = any(
            not any(cost[i] <= cost[j] + tiny and accuracy[i] >= accuracy[j] - goal.within - tiny
                    for i in choice)
            for j in cells if j not in choice
        )  # fmt: skip
        return uncovered or any(
            cost[i] <= cost[j] + tiny and accuracy[i] > accuracy[j] + goal.within + tiny
            for j in choice for i in cells
        )  # fmt: skip
    enough = max(accuracy) - goal.within if goal.at_least is None else goal.at_least
    good = [cell for cell in cells if accuracy[cell] >= enough - tiny]
    if not choice:
        return bool(good)
    (chosen,) = choice
    if goal.want == "most_accurate":
        return chosen not in good
    return chosen not in good or any(cost[cell] < cost[chosen] - tiny for cell in good)


ITEMS = 80


def study(seed, accuracies, prices):
    """Return scores and costs of items that are hard, and long, for all cells alike."""
    rng = np.random.default_rng(seed)
    shape = ITEMS, len(accuracies)
    skill = rng.normal(size=shape) + 0.8 * rng.normal(size=(ITEMS, 1))
    scores = (skill < ndtri(accuracies) * np.sqrt(1.64)).astype(float)
    lengths = np.exp(0.5 * rng.normal(size=shape) + 0.3 * rng.normal(size=(ITEMS, 1)))
    return scores, np.asarray(prices) * lengths


STUDIES = {
    "most accurate of two": (Goal("most_accurate", 0.05), (0.6, 0.45), (3.0, 1.0)),
    "most accurate of ten": (
        Goal("most_accurate", 0.05), (0.7, *[0.55] * 8, 0.3), (1.0,) * 10,
    ),
    "cheapest within a margin": (
        Goal("cheapest", 0.15), (0.8, 0.6, 0.7, 0.3), (9.0, 1.0, 2.5, 0.5),
    ),
    "cheapest of a level": (
        Goal("cheapest", 0.0, 0.6), (0.8, 0.55, 0.7, 0.3), (9.0, 1.0, 2.5, 0.5),
    ),
    "front": (Goal("front", 0.1), (0.4, 0.45, 0.7, 0.5), (1.0, 3.0, 5.0, 14.0)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("claim", ["items", "questions"])
@pytest.mark.parametrize("name", STUDIES)
def test_at_most_5_percent_of_2000_studies_decide_wrongly(name, claim):
    goal, accuracies, prices = STUDIES[name]
    resampled = claim == "questions"
    # Whatever is shown on the way counts, so large stages look no less often.
    wrong = sure = 0
    for seed in range(2_000):
        scores, costs = study(seed, accuracies, prices)
        cost = None if goal.want == "most_accurate" else costs
        race = play(goal, scores, cost, resampled=resampled, step=40)
        truth = (accuracies, prices) if resampled else (scores.mean(axis=0), costs.mean(axis=0))
        wrong += is_wrong(goal, race.now.choice, *truth)
        sure += race.now.choice is not None
    assert wrong <= 100
    assert sure == 2_000 or resampled


@pytest.mark.parametrize("name", STUDIES)
def test_a_choice_for_these_items_is_always_reached_and_right(name):
    goal, accuracies, prices = STUDIES[name]
    for seed in range(5):
        scores, costs = study(seed, accuracies, prices)
        race = play(goal, scores, None if goal.want == "most_accurate" else costs, step=20)
        assert race.now.choice is not None
        assert not is_wrong(goal, race.now.choice, scores.mean(axis=0), costs.mean(axis=0))


def test_a_clear_case_takes_a_small_part_of_the_items():
    rng = np.random.default_rng(0)
    scores = (rng.random((1000, 6)) < [0.9, 0.6, 0.5, 0.5, 0.4, 0.2]).astype(float)
    race = play(Goal("most_accurate", 0.01), scores)
    assert race.now.choice == (0,)
    assert race.asked.sum() < 0.15 * scores.size


def test_cells_that_are_out_are_asked_no_more():
    rng = np.random.default_rng(1)
    scores = (rng.random((1000, 4)) < [0.8, 0.78, 0.3, 0.2]).astype(float)
    race = play(Goal("most_accurate", 0.01), scores)
    assert max(race.asked[2:]) < 100 < min(race.asked[:2])


def test_the_more_of_the_cost_a_stage_has_the_shorter_it_is():
    race = Race(Goal("most_accurate", 0.01), 3, 1000)
    scores = np.tile([[1.0, 1.0, 0.0]], (200, 1))
    race.take(np.full(3, 200), scores, scores)
    assert race.now.open.tolist() == [True, True, False]
    cells, to = race.wanted
    assert (cells.tolist(), to) == ([0, 1], 220)
    race.price = np.array([1.0, 1.0, 8.0])
    assert race.wanted[1] == 218
    race.price = np.array([8.0, 1.0, 1.0])
    assert race.wanted[1] == 211


def test_the_more_points_do_not_matter_the_fewer_items_it_takes():
    rng = np.random.default_rng(2)
    scores = (rng.random((800, 5)) < [0.8, 0.78, 0.76, 0.7, 0.6]).astype(float)
    taken = [play(Goal("most_accurate", m), scores).asked.sum() for m in (0.01, 0.03, 0.1)]
    assert taken == sorted(taken, reverse=True)
    assert taken[-1] < taken[0] / 2


def test_equal_cells_are_told_apart_by_nothing_but_the_last_item():
    scores = np.tile([[1.0], [0.0]], (50, 3))
    race = play(Goal("most_accurate", 0.0), scores)
    assert race.now.choice == (0,)
    assert (race.asked == 100).all()


def test_no_system_that_is_accurate_enough_is_a_sure_answer_too():
    scores = np.zeros((200, 2))
    race = play(Goal("cheapest", 0.0, 0.5), scores, np.ones((200, 2)))
    assert race.now.choice == ()
    assert race.asked.max() < 60


def test_the_cheapest_need_not_be_the_most_accurate():
    rng = np.random.default_rng(3)
    scores = (rng.random((600, 3)) < [0.9, 0.88, 0.4]).astype(float)
    costs = rng.uniform(0.8, 1.2, (600, 3)) * [10.0, 1.0, 0.1]
    assert play(Goal("cheapest", 0.05), scores, costs).now.choice == (1,)
    assert play(Goal("cheapest", 0.0, 0.3), scores, costs).now.choice == (2,)


def test_the_front_leaves_out_what_is_dominated():
    rng = np.random.default_rng(4)
    scores = (rng.random((600, 4)) < [0.9, 0.7, 0.4, 0.4]).astype(float)
    costs = rng.uniform(0.8, 1.2, (600, 4)) * [10.0, 1.0, 0.1, 5.0]
    assert play(Goal("front", 0.03), scores, costs).now.choice == (0, 1, 2)


def test_failed_trials_count_both_ways():
    scores = np.zeros((100, 2))
    scores[:, 0] = 1.0
    high = scores.copy()
    high[:40, 1] = 1.0  # failed: they could have been right
    assert play(Goal("most_accurate", 0.0), scores, high=high).now.choice == (0,)
    scores[:40, 0] = 0.0
    high = np.ones((100, 2))
    assert play(Goal("most_accurate", 0.0), scores, high=high).now.choice is None


def test_the_choice_depends_on_the_rows_alone_and_not_on_the_stages():
    scores, costs = study(5, *STUDIES["front"][1:])
    goal = replace(STUDIES["front"][0], within=0.2)
    race = play(goal, scores, costs)
    again = Race(goal, 4, ITEMS)
    assert again.take(race.asked, scores, scores, costs).choice == race.now.choice


@pytest.mark.parametrize(
    "goal", [Goal("most_accurate", 0.05), Goal("cheapest", 0.1), Goal("front", 0.05)]
)
def test_comparing_the_best_alone_shows_nothing_that_all_pairs_do_not(goal):
    rng = np.random.default_rng(3)
    scores = (rng.random((400, 12)) < np.linspace(0.2, 0.95, 12)).astype(float)
    costs = np.linspace(1, 3, 12) * rng.uniform(0.9, 1.1, (400, 1))
    asked = np.full(12, 400)
    every, best = Race(goal, 12, 400), Race(goal, 12, 400, contenders=3)
    whole = every.take(asked, scores, scores, costs)
    part = best.take(asked, scores, scores, costs)
    assert part.possible[whole.possible].all()
    assert part.choice in (None, whole.choice)
    if goal.want == "most_accurate":
        assert part.choice == whole.choice is not None


def test_one_cell_needs_no_item():
    assert play(Goal("most_accurate", 0.01), np.ones((50, 1))).asked.sum() <= 10


def test_errors_are_shared_only_among_comparisons_that_can_mislead():
    assert Goal("most_accurate", alpha=0.05).share(43) == pytest.approx(0.05 / 42)
    assert Goal("cheapest", alpha=0.05).share(5) == pytest.approx(0.05 / 12)
    assert Goal("cheapest", at_least=0.5, alpha=0.05).share(5) == pytest.approx(0.05 / 10)
    assert Goal("front", alpha=0.05).share(5) == pytest.approx(0.05 / 20)
    assert Goal("front", alpha=0.05).share(1) == pytest.approx(0.05)
