"""The commonest faults among the errors of failed trials."""

from __future__ import annotations

import pytest

from ember_bench.experiment.results.failures import commonest, fault, first_line
from ember_bench.experiment.results.summary import FailureReason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ProviderError: timed out after 31.2 s", "ProviderError: timed out after 600 s"),
        ("Error: request req_8fK3d91 was lost", "Error: request req_77aQ was lost"),
        ("id 3b241101-e2bb-4255-8caf-4136c566a962", "id 0d9f8f50-1a70-4a0e-9b1a-5c0b7a8f9e11"),
        ("KeyError: 'item-12'", "KeyError: 'question of another item'"),
        ("HTTP 429: limit 10000, used 9,973", "HTTP 429: limit 10000, used 12"),
        ("OutputError: bad\nTraceback of one", "OutputError: bad\nTraceback of another"),
    ],
)
def test_numbers_ids_and_quotations_do_not_tell_faults_apart(one: str, other: str) -> None:
    assert fault(one) == fault(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 429: no", "HTTP 500: no"),
        ("error code: 401", "error code: 404"),
        ("status 503 from it", "status 529 from it"),
        ("ProviderError: refused", "OutputError: refused"),
    ],
)
def test_statuses_and_words_do(one: str, other: str) -> None:
    assert fault(one) != fault(other)


def test_the_most_frequent_come_first_each_by_its_first_message() -> None:
    errors = ["a: 1", "b: 1", "b: 2", "c", "d", "d", "b: 3"]
    assert commonest(errors) == [
        FailureReason("b: 1", 3), FailureReason("d", 2), FailureReason("a: 1", 1),
    ]  # fmt: skip


def test_a_message_is_one_line_that_is_not_too_long() -> None:
    assert first_line("\n  first \nsecond") == "first"
    assert len(first_line("x" * 5_000)) == 300
    assert first_line("") == "an error without a message"
