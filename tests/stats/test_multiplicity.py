import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from ember_bench.stats import benjamini_hochberg, holm

pytestmark = pytest.mark.slow

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@settings(max_examples=10, deadline=None)
@given(P_VALUES)
def test_adjusted_p_values_agree_with_statsmodels(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


@given(P_VALUES)
def test_adjustment_keeps_the_order_and_never_lowers_a_p_value(p):
    for adjusted in (holm(p), benjamini_hochberg(p)):
        assert np.all(np.diff(adjusted[np.argsort(p)]) >= 0)
        assert np.all(adjusted >= np.array(p) * (1 - 1e-12))
        assert adjusted.max() <= 1


@given(P_VALUES)
def test_holm_is_at_least_as_strict_as_benjamini_hochberg(p):
    assert np.all(holm(p) >= benjamini_hochberg(p) - 1e-12)


def test_holm_multiplies_the_smallest_by_the_size_of_the_family():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_a_family_of_none_has_no_p_values():
    assert holm([]).shape == (0,)


def test_what_is_no_p_value_is_refused():
    with pytest.raises(ValueError, match=r"p_values must lie in \[0, 1\], found 0.2 to 1.5"):
        holm([0.2, 1.5])
    with pytest.raises(ValueError, match="not finite"):
        holm([0.2, float("nan")])
