import numpy as np
import pytest
from scipy.special import ndtri

from ember_bench.stats import controlled_mean, mean_score


def studies(rng, runs, n, others, rates, shared):
    """Return scores, runs x items, of a cell and of its control; hard items are hard for both."""
    luck = rng.normal(size=(2, runs, n + others)) * (1 - shared) ** 0.5
    luck += rng.normal(size=(runs, n + others)) * shared**0.5
    return (luck < ndtri(np.array(rates))[:, np.newaxis, np.newaxis]).astype(float)


def intervals(rng, runs, n, others, rates, shared):
    scores, control = studies(rng, runs, n, others, rates, shared)
    for y, x in zip(scores, control, strict=True):
        yield controlled_mean(y[:n], x[:n], x[n:]), mean_score(y[:n])


def test_an_easy_part_is_corrected_by_what_the_control_says_of_it():
    scores = np.array([1.0] * 25 + [0.0] * 15)
    found = controlled_mean(scores, scores, np.zeros(4000))
    # The control is the cell itself, and right on 25 of 4,040 items.
    assert found.value == pytest.approx(25 / 4040, abs=0.01)
    assert found.method == "control variate"


def test_a_control_that_says_nothing_changes_nothing():
    scores, control = np.tile([1.0, 1.0, 0.0, 1.0], 25), np.ones(100)
    found, alone = controlled_mean(scores, control, np.ones(300)), mean_score(scores)
    assert found.value == alone.value
    assert found.interval.low == pytest.approx(alone.interval.low, abs=0.005)
    assert found.interval.high == pytest.approx(alone.interval.high, abs=0.005)


def test_a_control_that_errs_on_the_same_items_narrows_the_interval():
    rng = np.random.default_rng(0)
    pairs = list(intervals(rng, 30, 100, 2000, (0.6, 0.5), 0.9))
    widths = [[each.interval.high - each.interval.low for each in pair] for pair in pairs]
    by_control, alone = np.mean(widths, axis=0)
    assert by_control < 0.85 * alone


def test_fewer_than_20_items_or_no_others_say_nothing():
    scores = np.arange(19) % 2
    assert controlled_mean(scores, scores, [1.0]) is None
    scores = np.arange(20) % 2
    assert controlled_mean(scores, scores, [1.0]) is not None
    assert controlled_mean(scores, scores, []) is None


@pytest.mark.slow
@pytest.mark.parametrize("rates", [(0.5, 0.4), (0.8, 0.6), (0.97, 0.85)])
@pytest.mark.parametrize("shared", [0.0, 0.6, 0.9])
def test_95_percent_intervals_hold_the_truth(rates, shared):
    rng = np.random.default_rng(1)
    for n, others in ((25, 400), (100, 100), (200, 2000)):
        found = list(intervals(rng, 300, n, others, rates, shared))
        held = np.mean([each.interval.low <= rates[0] <= each.interval.high for each, _ in found])
        assert held > 0.95 - 3 * (0.95 * 0.05 / len(found)) ** 0.5
        assert len(found) == 300
