"""Lists that a grid names by what they are chosen from."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench.operators.choosing import Choices
from ember_bench.operators.parameters import ParameterCard, sweep

WAYS = {
    (False, False): itertools.combinations,
    (False, True): itertools.combinations_with_replacement,
    (True, False): itertools.permutations,
    (True, True): lambda of, k: itertools.product(of, repeat=k),
}


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True),
    st.integers(4, 6),
    st.sampled_from(list(WAYS)),
)
def test_they_are_those_of_itertools_in_its_order(
    sizes: list[int], n: int, way: tuple[bool, bool]
) -> None:
    of = [f"m{i}" for i in range(n)]
    ordered, repeated = way
    found = Choices({"choose": sizes, "of": of, "ordered": ordered, "repeated": repeated})
    expected = [list(one) for k in sizes for one in WAYS[way](of, k)]
    assert list(found) == expected
    assert len(found) == len(expected)
    assert found.firsts == [next(one for one in expected if len(one) == k) for k in sizes]


def test_a_list_is_made_when_it_is_asked_for() -> None:
    found = Choices({"choose": 20, "of": [f"m{i}" for i in range(80)]})
    assert len(found) == 3535316142212174320
    assert len(set(found[len(found) - 1])) == 20


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"choose": 3, "of": ["a", "b"]}, "cannot choose 3 of 2 without repeated: true"),
        ({"choose": 0, "of": ["a"]}, "choose"),
        ({"chose": 1, "of": ["a"]}, "unknown field 'chose'.*did you mean 'choose'"),
        ({"choose": 1, "of": []}, "of"),
        ({"choose": 1, "of": [1]}, "of"),
    ],
)
def test_a_wrong_mapping_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Choices(given)


def test_parameters_of_models_take_them() -> None:
    of = {"choose": 2, "of": ["a:x", "a:y", "a:z"]}
    assert list(sweep(ParameterCard(type="models"), of)) == [
        ["a:x", "a:y"], ["a:x", "a:z"], ["a:y", "a:z"],
    ]  # fmt: skip
    assert sweep(ParameterCard(type="mapping"), of) == [of]
