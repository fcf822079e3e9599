"""Wrong answers of simulated models, read back by the formats that they imitate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.answers.formats import parse_answer
from ember_bench.models.providers._distractors import distractors

CITIES = ("London", "Paris", "Rome", "Berlin")

TARGETS = st.one_of(
    st.tuples(
        st.just("number"),
        st.integers(-(10**20), 10**20).map(str)
        | st.decimals(-1000, 1000, places=3).map(str)
        | st.fractions(max_denominator=999).map(str)
        | st.integers(0, 10**9).map("{:,}".format),
    ),
    st.tuples(st.just("choice"), st.sampled_from(["A", "(B)", "d", "Rome"])),
    st.tuples(st.just("yes_no"), st.sampled_from(["yes", "no", "[Yes]"])),
    st.tuples(
        st.just("integers"),
        st.lists(st.integers(-999, 999), min_size=1, max_size=5).map(
            lambda v: ",".join(map(str, v))
        ),
    ),
    st.tuples(
        st.sampled_from(["text", "exact"]), st.from_regex(r"\w[\w ]{0,30}\w", fullmatch=True)
    ),
)


@given(TARGETS, st.integers(1, 12))
def test_each_is_read_back_as_itself_and_is_wrong(target: tuple[str, str], n: int) -> None:
    form, right = target
    wrong = distractors(right, form, CITIES, n)
    assert len(set(wrong)) == len(wrong)
    assert all(parse_answer(answer, form, CITIES) == answer for answer in wrong)
    assert all(parse_answer(f"Answer: {w}", form, CITIES) == w for w in wrong if form != "exact")
    assert parse_answer(right, form, CITIES) not in wrong


@given(TARGETS, st.integers(1, 12))
def test_as_many_as_exist_the_same_every_time(target: tuple[str, str], n: int) -> None:
    form, right = target
    exist = {"yes_no": 1, "choice": 3}.get(form, n)
    wrong = distractors(right, form, CITIES, n)
    assert len(wrong) == min(n, exist)
    assert distractors(right, form, CITIES, 12)[: len(wrong)] == wrong


@pytest.mark.parametrize(
    ("form", "target", "wrong"),
    [
        ("number", "18", ["19", "17", "20"]),
        ("number", "0.5", ["0.6", "0.4", "0.7"]),
        ("number", "1/3", ["4/3", "-2/3", "7/3"]),
        ("choice", "B", ["C", "D", "A"]),
        ("integers", "101,103", ["101,105", "101,107", "101,109"]),
        ("text", "Paris", ["another Paris", "another Paris (2)", "another Paris (3)"]),
        # A format of the user's is imitated by the shape of its target.
        ("zeroeval_gsm8k", "# 18", ["19", "17", "20"]),
        ("llmdrift_prime", "No", ["yes"]),
    ],
)
def test_they_are_near_the_target(form: str, target: str, wrong: list[str]) -> None:
    assert distractors(target, form, CITIES, 3) == wrong
