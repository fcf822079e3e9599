"""Numbers as people read them."""

from __future__ import annotations

import pytest

from ember_bench.drawing import number_format
from ember_bench.drawing.number_format import Unit, tick_text
from ember_bench.experiment.results.figures import Quantity


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
    [
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (-0.0001, "-0.01"),
        (0.000349, "+0.03"),
        (0.0005, "+0.1"),
        (-2e-6, "-0.0002"),
        (-1e-10, "<0"),
        (1e-10, ">0"),
        (0.6 - 0.4 - 0.2, "0.0"),
    ],
)
def test_a_difference_that_rounds_to_0_keeps_its_sign(value: float, shown: str) -> None:
    assert number_format.points(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.0"), (-0.0, "0.0"), (-0.0001, "0.0"), (0.0005, "0.1")]
)
def test_no_share_is_minus_zero(value: float, shown: str) -> None:
    assert number_format.percent(value) == shown


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


@pytest.mark.parametrize(
    ("costs", "unit"),
    [
        ([], Unit(1)),
        ([None, 0.0], Unit(1)),
        ([0.1, 5.0], Unit(1, 2)),
        ([0.0999, 5.0], Unit(1_000, 2)),
        ([0.0001, None, 0.0], Unit(1_000, 2)),
        ([0.00001, 2.0], Unit(1_000, 3)),
        ([0.0000099], Unit(1_000_000, 2)),
        ([1e-9], Unit(1_000_000)),
    ],
)
def test_a_unit_shows_at_least_two_digits_of_the_least_cost(
    costs: list[float | None], unit: Unit
) -> None:
    assert Unit.of(costs) == unit


def test_a_unit_has_the_same_decimals_for_every_cost_and_its_interval() -> None:
    unit = Unit(1_000, 3)
    assert (unit.name, unit.dollars(0.00123), unit.dollars(2.5)) == ("1,000", "1.230", "2,500.000")
    assert unit.interval(Quantity(0.00123, 0.001, 0.0015, "t")) == "[1.000, 1.500]"
    assert unit.interval(Quantity(0.00123, None, None, "none")) == "[\N{EN DASH}]"
    assert (unit.dollars(0.0), unit.interval(None)) == ("0", "")


def test_an_interval_without_bounds_is_a_dash() -> None:
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


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0025, "0.0025"), (300.0, "300"), (1_000.0, "1,000"), (12_500.0, "12,500")],
)
def test_numbers_of_an_axis_have_no_exponent_where_people_write_none(
    value: float, text: str
) -> None:
    assert tick_text(value) == text
