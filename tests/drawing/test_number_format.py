"""Numbers as people read them."""

from __future__ import annotations

import pytest

from ember_bench.drawing import number_format
from ember_bench.experiment.results.summary import Quantity


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "$0"), (0.00123, "$0.00123"), (0.0000768, "$0.0000768"), (0.5, "$0.500"),
        (1.0, "$1.00"), (12.345, "$12.35"), (1234.5, "$1,234.50"), (None, "\N{EN DASH}"),
    ],
)  # fmt: skip
def test_dollars(value: float | None, shown: str) -> None:
    assert number_format.dollars(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.045, "+4.5"), (-0.045, "-4.5"), (1.0, "+100.0")],
)
def test_points(value: float, shown: str) -> None:
    assert number_format.points(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.0"), (-0.0, "0.0"), (-0.0001, "-0.0"), (0.0001, "+0.0"), (0.6 - 0.4 - 0.2, "0.0")],
)
def test_a_difference_that_rounds_to_0_keeps_its_sign(value: float, shown: str) -> None:
    assert number_format.points(value) == shown
    assert number_format.percent(value) == shown.lstrip("+")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.00099, "<0.001"), (0.0123, "0.012"), (1.0, "1.000"), (None, "\N{EN DASH}")],
)
def test_p_value(value: float | None, shown: str) -> None:
    assert number_format.p_value(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.82, "0.8 s"),
        (42.4, "42 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (59.7, "1 min 0 s"),
    ],
)
def test_duration(value: float, shown: str) -> None:
    assert number_format.duration(value) == shown


def test_an_interval_has_the_decimals_of_its_value() -> None:
    found = Quantity(0.00123, 0.001, 0.0015, "t")
    assert number_format.interval(found, "dollars") == "[0.00100, 0.00150]"
    assert number_format.interval(Quantity(0.5, None, None, "none"), "percent") == "[\N{EN DASH}]"
    assert number_format.interval(None, "percent") == ""


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (Quantity(0.84, 0.8164, 0.8612, "wilson"), "84.0 % [81.6, 86.1]"),
        (Quantity(0.84, None, None, "none"), "84.0 %"),
        (None, "–"),  # noqa: RUF001
    ],
)
def test_shares_have_their_intervals_beside_them(found: Quantity | None, shown: str) -> None:
    assert number_format.in_percent(found) == shown


def test_small_values_keep_three_digits() -> None:
    found = Quantity(0.000412, 0.000383, 0.000441, "t")
    assert number_format.in_short(found) == "0.000412 [0.000383, 0.000441]"


def test_ratios_and_probabilities() -> None:
    assert number_format.times(Quantity(4.1876, None, None, "Fieller")) == "4.19x"
    assert number_format.share(0.994) == "99 %"
    assert number_format.times(None) == number_format.share(None) == number_format.UNDEFINED
