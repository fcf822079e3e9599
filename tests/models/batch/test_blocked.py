"""Prompts that a content filter blocks in a batch."""

from __future__ import annotations

from ember_bench.errors import ProviderError
from ember_bench.models.batch.api import with_blocked
from ember_bench.models.types import Completion, Usage
from ember_bench.models.wire import openai_chat
from ember_bench.models.wire.failures import WireErrors
from tests.models.providers.wires.blocks import BLOCKED, OTHERS


def test_are_answers_and_other_refusals_stay_errors() -> None:
    errors = WireErrors("m", lambda: ())
    blocked, other = (
        openai_chat.refusal(errors, status, {}, body)
        for status, body in (BLOCKED["azure"], OTHERS["an unknown field"])
    )
    done = Completion("4", Usage(1, 1))
    outcomes = with_blocked({"a": blocked, "b": other, "c": done})
    assert outcomes["a"] == Completion("", Usage(), "content_filter")
    assert outcomes["b"] is other
    assert isinstance(other, ProviderError)
    assert outcomes["c"] is done
