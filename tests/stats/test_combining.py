"""Combinations of members, against counting by hand, and tuning that does not flatter."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench import stats

BALLOTS = st.lists(st.integers(-1, 3), min_size=1, max_size=7)


class TestVotes:
    @given(ballot=BALLOTS)
    def test_they_are_a_plurality_with_shared_ties(self, ballot: list[int]) -> None:
        scores = [[1.0 if answer == 0 else 0.0 for answer in ballot]]
        found = stats.combine_votes([ballot], scores)
        votes = Counter(answer for answer in ballot if answer >= 0)
        most = max(votes.values(), default=0)
        ahead = [answer for answer, number in votes.items() if number == most]
        assert found.credit[0] == pytest.approx((0 in ahead) / max(1, len(ahead)))
        assert found.agreement[0] == pytest.approx(most / len(ballot))

    def test_weights_decide(self) -> None:
        found = stats.combine_votes([[0, 1, 1]] * 2, [[1, 0, 0]] * 2, [[3, 1, 1], [1, 1, 1]])
        assert found.credit.tolist() == [1, 0]

    def test_negative_weights_are_refused(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            stats.combine_votes([[0, 1]], [[1, 0]], [1, -1])

    def test_weights_are_the_log_odds(self) -> None:
        right = np.repeat([[1.0, 0.0]], 8, axis=0)
        assert stats.member_weights(right).tolist() == pytest.approx([np.log(9), 0.0])


class TestFolds:
    @given(clusters=st.lists(st.integers(0, 9), min_size=1, max_size=60))
    def test_clusters_stay_whole_and_folds_are_equal(self, clusters: list[int]) -> None:
        folds = stats.folds_of(len(clusters), clusters=clusters, n_folds=3)
        by_cluster = {c: set(folds[np.asarray(clusters) == c]) for c in clusters}
        assert all(len(found) == 1 for found in by_cluster.values())
        sizes = Counter(next(iter(found)) for found in by_cluster.values())
        assert max(sizes.values()) - min(sizes.get(k, 0) for k in range(min(3, len(sizes)))) <= 1


class TestChoices:
    def test_the_choice_for_a_fold_is_made_without_it(self) -> None:
        scores = np.array([[1.0, 0.0]] * 6 + [[0.0, 1.0]] * 4)
        folds = np.array([0] * 6 + [1] * 4)
        found = stats.choose_crossfitted(scores, np.ones((10, 2)), folds)
        assert found.chosen.tolist() == [1] * 6 + [0] * 4
        assert (found.scores.mean(), found.optimistic, found.final) == (0.0, 0.6, 0)

    def test_the_cheapest_within_the_margin_is_chosen(self) -> None:
        scores = np.column_stack([np.ones(100), [0.0] + [1.0] * 99])
        costs, folds = np.tile([2.0, 1.0], (100, 1)), np.arange(100) % 10
        assert stats.choose_crossfitted(scores, costs, folds).final == 0
        near = stats.choose_crossfitted(scores, costs, folds, within=0.02)
        assert (near.final, near.costs.mean()) == (1, 1.0)

    def test_a_router_chooses_by_group_where_there_are_items_enough(self) -> None:
        scores = np.array([[1.0, 0.0]] * 30 + [[0.0, 1.0]] * 20 + [[0.0, 1.0]] * 5)
        groups = ["a"] * 30 + ["b"] * 20 + ["c"] * 5
        folds = np.arange(55) % 5
        found = stats.choose_crossfitted(scores, np.ones((55, 2)), folds, groups=groups)
        assert found.scores[:50].tolist() == [1.0] * 50
        assert found.chosen[50:].tolist() == [0] * 5

    @pytest.mark.parametrize(("n", "worst"), [(100, 0.7), (200, 0.6), (40, 0.7)])
    def test_the_interval_of_a_choice_by_halves_holds(self, n: int, worst: float) -> None:
        rng = np.random.default_rng(1)
        rates = np.linspace(worst, 2 * 0.7 - worst, 10)
        honest, flattering, covered, runs = [], [], 0, 300
        for seed in range(runs):
            scores = (rng.random((n, 10)) < rates).astype(float)
            found = stats.choose_crossfitted(scores, np.ones((n, 10)), stats.folds_of(n, seed=seed))
            truth = rates[found.chosen].mean()
            honest.append(found.scores.mean() - truth)
            flattering.append(found.optimistic - rates[found.final])
            value = found.scores.mean()
            interval = stats.widened(stats.mean_score(found.scores).interval, value, least=0)
            covered += interval.low <= truth <= interval.high
        assert np.mean(honest) == pytest.approx(0, abs=0.008)
        assert np.mean(flattering) > 0.02
        assert 0.92 < covered / runs < 0.99
