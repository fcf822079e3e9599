"""Errors about content filters, as providers and gateways word them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models.types import Completion, Usage
from ember_bench.models.wire.blocked import is_blocked
from ember_bench.models.wire.failures import BlockedError, WireErrors
from tests.models.providers.wires.blocks import BLOCKED, OTHERS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "type", "message", "x"]), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", BLOCKED)
def test_a_block_is_told_by_its_code_or_by_its_words(name: str) -> None:
    status, body = BLOCKED[name]
    assert is_blocked(status, body)
    assert is_blocked(None, body)


@pytest.mark.parametrize("name", OTHERS)
def test_another_mistake_is_not_taken_for_one(name: str) -> None:
    assert not is_blocked(*OTHERS[name])


@given(JSON)
def test_any_body_can_be_looked_through(body: Any) -> None:
    assert not is_blocked(400, body)


def test_it_is_an_answer_with_the_usage_that_the_body_reports() -> None:
    errors = WireErrors("m", lambda: ())
    status, body = BLOCKED["azure"]
    blocked = errors.status(status, "no", body=body, usage=Usage(7, 0))
    assert isinstance(blocked, BlockedError)
    assert blocked.completion == Completion("", Usage(7, 0), "content_filter")
    assert not blocked.retryable
