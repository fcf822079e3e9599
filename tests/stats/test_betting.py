import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.stats import NEVER, first_shown
from ember_bench.stats.betting import cannot_show


def by_hand(x, null, population):
    """Capital of the four bettors, one item at a time, by Waudby-Smith & Ramdas 2020 and 2023."""
    capital = [1.0] * 4
    for t, value in enumerate(x):
        before = np.asarray(x[:t])
        spread = ((before - before.mean()) ** 2).sum() if t else 0.0
        variance = (0.2 + spread) / (t + 2)
        left, growth = null, 1.0
        if population is not None:
            left = (population * null - before.sum()) / (population - t)
            growth = population / (population - t)
        for place, gap in enumerate((0.01, 0.03, 0.1, 0.3)):
            bet = min(gap * growth / (variance + (gap * growth) ** 2), 0.9 / (left + 1))
            capital[place] *= 1 + (bet if left <= 1 else 0.0) * (value - left)
        yield float(np.mean(capital))


@pytest.mark.parametrize("population", [None, 400])
def test_the_capital_is_that_of_the_papers(population):
    x = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 120, p=[0.05, 0.7, 0.25])
    capital = list(by_hand(x.tolist(), -0.02, population))
    for alpha in (0.2, 0.05, 0.001):
        reached = [t for t, value in enumerate(capital, start=1) if value >= 1 / alpha]
        expected = reached[0] if reached else NEVER
        found = first_shown(x[:, np.newaxis], [-0.02], alpha=alpha, population=population)
        assert found[0, 0] == expected
    assert reached, "the example shows something at the strictest level, too"


@pytest.mark.parametrize("replaced", [True, False])
@pytest.mark.parametrize("discordance", [0.02, 0.2, 1.0])
def test_nothing_false_is_shown_in_more_than_alpha_of_the_sequences(replaced, discordance):
    """At the edge: the mean is exactly the value, or what is below it by rounding."""
    rng = np.random.default_rng(1)
    n, studies = 300, 2_000
    half = round(n * discordance / 2)
    if replaced:
        chances = [discordance / 2, 1 - discordance, discordance / 2]
        x = rng.choice([-1.0, 0.0, 1.0], (n, studies), p=chances)
    else:
        one = np.repeat([-1.0, 0.0, 1.0], [half, n - 2 * half, half])
        x = rng.permuted(np.tile(one[:, np.newaxis], studies), axis=0)
    found = first_shown(x, [0.0], alpha=0.05, population=None if replaced else n)
    wrong = np.mean(found[0] != NEVER)
    assert wrong <= 0.05
    if discordance == 1.0:
        assert wrong > 0.01, "it is a bound that is nearly reached, not one that shows nothing"


def test_a_true_difference_is_shown_soon_and_without_replacement_sooner():
    rng = np.random.default_rng(2)
    x = rng.choice([-1.0, 0.0, 1.0], (1000, 200), p=[0.02, 0.88, 0.1])
    drawn = first_shown(x, [0.0], alpha=0.05)[0]
    held = first_shown(x, [0.0], alpha=0.05, population=1000)[0]
    assert np.median(held) <= np.median(drawn) < 250
    assert (held != NEVER).all()


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=40), st.data())
def test_once_all_items_are_there_exactly_what_is_true_is_shown(values, data):
    null = data.draw(st.sampled_from([-0.3, -0.1, 0.0, 0.2]))
    found = first_shown(
        np.asarray(values)[:, np.newaxis], [null], alpha=1e-9, population=len(values)
    )
    assert (found[0, 0] != NEVER) == (np.sum(values) > len(values) * null + 1e-9)


def test_what_is_shown_of_a_higher_value_is_shown_of_the_lower_ones():
    x = np.random.default_rng(3).normal(0.1, 0.2, (300, 50)).clip(-1, 1)
    found = first_shown(x, [-0.1, 0.0, 0.05], alpha=0.05, population=500)
    assert (np.diff(np.where(found == NEVER, 10**6, found), axis=0) >= 0).all()


def test_a_value_outside_the_bounds_ends_what_is_shown():
    x = np.ones((60, 1))
    before = int(first_shown(x, [0.0], alpha=0.01)[0, 0])
    x[before - 2] = 1.5
    assert first_shown(x, [0.0], alpha=0.01)[0, 0] == NEVER
    assert first_shown(x, [0.0], alpha=0.01, first=before)[0, 0] > before


def test_bets_begin_after_the_first_items():
    x = np.ones((60, 1))
    assert first_shown(x, [0.0], alpha=0.01, first=20)[0, 0] > 20


@pytest.mark.parametrize(
    ("values", "nulls", "population"),
    [([[0.0]], [0.1, 0.0], None), ([[0.0], [0.0]], [0.0], 1), ([0.0], [0.0], None)],
)
def test_bad_input_is_refused(values, nulls, population):
    with pytest.raises(ValueError, match=r"nulls|population|dimensions"):
        first_shown(values, nulls, alpha=0.05, population=population)


@pytest.mark.parametrize("population", [None, 60, 400])
@pytest.mark.parametrize("margin", [0.0, 0.05, 0.8])
def test_so_few_items_as_cannot_show_anything_do_not_even_if_all_are_won(population, margin):
    for alpha in (0.05, 1e-5):
        found = first_shown(np.ones((30, 1)), [-margin - 1e-9], alpha=alpha, population=population)[
            0, 0
        ]
        few = [n for n in range(1, 31) if cannot_show(n, margin, alpha, population)]
        assert all(n < found for n in few)
