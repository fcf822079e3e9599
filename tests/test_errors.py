from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench import errors
from ember_bench.errors import (
    BatchesOpenError,
    BudgetExhaustedError,
    CallGivenUpError,
    ConfigError,
    DamagedStoreError,
    DataMissingError,
    EmberBenchError,
    GraphError,
    Location,
    NoAnswerError,
    OfflineError,
    OutputError,
    Problem,
    ProviderError,
    ResultsLockedError,
    SignatureError,
    StoreError,
    TimeLimitError,
    UnjudgedError,
    UnknownNameError,
    UnlabelledError,
    did_you_mean,
)

HERE = Location(Path("grid.yaml"), 3, 7)

EVERY = [
    EmberBenchError("x"),
    TimeLimitError("x"),
    ConfigError("x", Problem("y", HERE)),
    UnknownNameError("model", "gpt", ["gpt-4o"], HERE),
    DataMissingError("x"),
    SignatureError("x"),
    GraphError("x"),
    StoreError("x"),
    DamagedStoreError("x"),
    ResultsLockedError("x"),
    ProviderError("x", retryable=True, status=429, retry_after=1.5),
    OfflineError("x"),
    NoAnswerError("x"),
    OutputError("x"),
    UnjudgedError("x"),
    UnlabelledError("x"),
    BudgetExhaustedError("x"),
    CallGivenUpError("x"),
    BatchesOpenError("x"),
]


def test_every_error_is_tried_here() -> None:
    classes = {
        c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)
    }
    assert {type(error) for error in EVERY} == classes


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_every_error_is_one_of_ours(error: Exception) -> None:
    assert isinstance(error, EmberBenchError)


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_every_error_goes_to_another_process_and_can_be_copied(error: Exception) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_errors_are_also_what_python_calls_them() -> None:
    assert issubclass(UnknownNameError, KeyError)
    assert issubclass(SignatureError, ValueError)
    assert issubclass(GraphError, ValueError)


class TestPlaces:
    @pytest.mark.parametrize(
        ("location", "text"),
        [
            (Location(Path("a.yaml")), "a.yaml"),
            (Location(Path("a.yaml"), 3), "a.yaml:3"),
            (HERE, "grid.yaml:3:7"),
        ],
    )
    def test_are_written_as_editors_read_them(self, location: Location, text: str) -> None:
        assert str(location) == text
        assert str(Problem("wrong", location)) == f"{text}: wrong"

    def test_a_problem_may_have_none(self) -> None:
        assert str(Problem("wrong")) == "wrong"

    def test_all_problems_are_said_one_a_line(self) -> None:
        error = ConfigError("one", Problem("two", HERE))
        assert str(error) == "one\ngrid.yaml:3:7: two"
        assert error.problems == (Problem("one"), Problem("two", HERE))


class TestNearMatches:
    @pytest.mark.parametrize(
        ("name", "known", "hint"),
        [
            ("gtp-4o", ["gpt-4o", "claude"], "; did you mean 'gpt-4o'?"),
            ("mini", ["gpt-4o-mini", "o3"], "; did you mean 'gpt-4o-mini'?"),
            ("MINI", ["gpt-4o-mini", "o3"], "; did you mean 'gpt-4o-mini'?"),
            ("abc", ["abd", "abe"], "; did you mean 'abe' or 'abd'?"),
            ("zzz", ["a", "b"], "; known: a, b"),
            ("zzz", [], "; none is registered"),
            ("", ["a", "b"], "; known: a, b"),
        ],
    )
    def test_are_listed_or_else_all_there_is(self, name: str, known: list[str], hint: str) -> None:
        assert did_you_mean(name, known) == hint

    def test_a_long_list_is_cut(self) -> None:
        hint = did_you_mean("?", [f"name{n:02}" for n in range(30)])
        assert hint.endswith("name11, ... (30 in all)")

    @given(st.text(), st.lists(st.text(min_size=1), max_size=20))
    def test_no_more_than_three_and_each_one_known(self, name: str, known: list[str]) -> None:
        hint = did_you_mean(name, known)
        if hint.startswith("; did you mean "):
            options = hint.removeprefix("; did you mean ").removesuffix("?")
            assert sum(repr(n) in options for n in set(known)) >= 1
            assert options.count(" or ") - sum(n.count(" or ") for n in known) <= 2


def test_an_unknown_name_says_what_where_and_what_was_meant() -> None:
    error = UnknownNameError("model", "gtp", ["gpt"], HERE)
    assert str(error) == "grid.yaml:3:7: unknown model 'gtp'; did you mean 'gpt'?"
    assert (error.kind, error.name) == ("model", "gtp")


def test_a_provider_error_is_lasting_unless_it_says_otherwise() -> None:
    error = ProviderError("x")
    assert (error.retryable, error.status, error.retry_after) == (False, None, None)
