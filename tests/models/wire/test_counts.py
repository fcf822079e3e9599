"""Tokens and prices, in the forms in which servers report them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models.types import Completion, Usage
from ember_bench.models.wire import anthropic_messages, openai_chat, openai_responses
from ember_bench.models.wire.counts import (
    anthropic_usage,
    count,
    gemini_usage,
    metered,
    openai_usage,
    stated_usd,
)

READERS = [openai_usage, anthropic_usage, gemini_usage]
NAMES = {
    openai_usage: [
        ("prompt_tokens", "completion_tokens"),
        ("input_tokens", "output_tokens"),
    ],
    anthropic_usage: [("input_tokens", "output_tokens")],
    gemini_usage: [("promptTokenCount", "candidatesTokenCount")],
}
SHAPES = [(reader, *names) for reader in READERS for names in NAMES[reader]]
UNREADABLE = [None, "", "many", True, -1, -0.5, 10.5, float("nan"), float("inf"), 10**25, [], {}]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@pytest.mark.parametrize(("reader", "sent", "received"), SHAPES)
class TestEveryWire:
    def test_reports_that_are_missing_leave_all_unknown(
        self, reader: Any, sent: str, received: str
    ) -> None:
        del sent, received
        for report in (None, {}, [], "none", 7):
            assert reader(report) == Usage()

    @pytest.mark.parametrize("value", UNREADABLE, ids=repr)
    def test_an_unreadable_half_is_unknown_and_the_other_is_kept(
        self, reader: Any, sent: str, received: str, value: Any
    ) -> None:
        assert reader({sent: value, received: 5}) == Usage(None, 5)
        assert reader({sent: 10, received: value}) == Usage(10, None)

    @pytest.mark.parametrize("value", [10, 10.0, "10", " 10 ", "10.0"], ids=repr)
    def test_a_whole_number_may_be_written_in_other_ways(
        self, reader: Any, sent: str, received: str, value: Any
    ) -> None:
        assert reader({sent: value, received: value}) == Usage(10, 10)


@given(st.dictionaries(st.sampled_from([n for s in SHAPES for n in s[1:]]), JUNK))
def test_no_report_is_ever_an_error_or_a_negative_count(report: dict[str, Any]) -> None:
    for reader in READERS:
        usage = reader(report)
        counts = (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens)
        assert all(number is None or 0 <= number <= 10**9 for number in counts)


class TestOpenAI:
    @pytest.mark.parametrize(
        ("report", "usage"),
        [
            # xAI and Gemini's own endpoint: the total has what was thought.
            (
                {
                    "prompt_tokens": 32,
                    "completion_tokens": 9,
                    "total_tokens": 135,
                    "completion_tokens_details": {"reasoning_tokens": 94},
                },
                Usage(32, 103, 0, 94),
            ),
            (
                {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
                Usage(20, 603),
            ),
            # More was thought than completed, and there is no total.
            (
                {
                    "prompt_tokens": 32,
                    "completion_tokens": 9,
                    "completion_tokens_details": {"reasoning_tokens": 94},
                },
                Usage(32, 103, 0, 94),
            ),
            # Inside the completion, as OpenAI has it.
            (
                {
                    "prompt_tokens": 32,
                    "completion_tokens": 103,
                    "total_tokens": 135,
                    "completion_tokens_details": {"reasoning_tokens": 94},
                },
                Usage(32, 103, 0, 94),
            ),
            # One half follows from the other and the total.
            ({"prompt_tokens": 20, "total_tokens": 30}, Usage(20, 10)),
            ({"completion_tokens": 10, "total_tokens": 30}, Usage(20, 10)),
            ({"total_tokens": 30}, Usage()),
            # A total that contradicts its halves.
            ({"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 5}, Usage(20, 10)),
            # Caches: DeepSeek's, Moonshot's, litellm's.
            (
                {"prompt_tokens": 20, "completion_tokens": 1, "prompt_cache_hit_tokens": 8},
                Usage(20, 1, 8),
            ),
            ({"prompt_tokens": 20, "completion_tokens": 1, "cached_tokens": 8}, Usage(20, 1, 8)),
            (
                {
                    "prompt_tokens": 20,
                    "completion_tokens": 1,
                    "cache_creation_input_tokens": 12,
                    "prompt_tokens_details": {
                        "cached_tokens": 8,
                        "cache_creation_token_details": {"ephemeral_1h_input_tokens": 5},
                    },
                },
                Usage(20, 1, 8, 0, 12, cache_write_1h_tokens=5),
            ),
            # More from the cache than there is.
            (
                {
                    "prompt_tokens": 10,
                    "completion_tokens": 5,
                    "prompt_tokens_details": {"cached_tokens": 50},
                },
                Usage(10, 5, 10),
            ),
        ],
    )
    def test_is_read_as_it_is_billed(self, report: dict[str, Any], usage: Usage) -> None:
        assert openai_usage(report) == usage


class TestAnthropic:
    def test_cache_writes_are_told_apart_by_their_duration(self) -> None:
        report = {
            "input_tokens": 10,
            "cache_read_input_tokens": 500,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            "output_tokens": 5,
        }
        assert anthropic_usage(report) == Usage(540, 5, 500, 0, 30, cache_write_1h_tokens=20)

    def test_a_cache_alone_does_not_make_the_input_known(self) -> None:
        for name in ("cache_read_input_tokens", "cache_creation_input_tokens"):
            usage = {"input_tokens": 9, name: "many", "output_tokens": 5}
            assert anthropic_usage(usage).input_tokens is None
        counts = {"promptTokenCount": 9, "toolUsePromptTokenCount": -1, "candidatesTokenCount": 5}
        assert gemini_usage(counts).input_tokens is None
        assert anthropic_usage({"cache_read_input_tokens": 9, "output_tokens": 5}).input_tokens is (
            None
        )


class TestGemini:
    @pytest.mark.parametrize(
        ("report", "usage"),
        [
            # A count of 0 is left out.
            ({"promptTokenCount": 8, "totalTokenCount": 8}, Usage(8, 0)),
            (
                {"promptTokenCount": 7, "thoughtsTokenCount": 64, "totalTokenCount": 71},
                Usage(7, 64, 0, 64),
            ),
            (
                {
                    "promptTokenCount": 264,
                    "candidatesTokenCount": 104,
                    "thoughtsTokenCount": 989,
                    "totalTokenCount": 1357,
                },
                Usage(264, 1093, 0, 989),
            ),
            ({"candidatesTokenCount": 5, "totalTokenCount": 15}, Usage(10, 5)),
            ({"promptTokenCount": 10}, Usage(10, None)),
        ],
    )
    def test_is_read_as_it_is_billed(self, report: dict[str, Any], usage: Usage) -> None:
        assert gemini_usage(report) == usage


class TestStatedPrice:
    @pytest.mark.parametrize(
        ("report", "usd"),
        [
            ({"cost": 0.0125}, 0.0125),
            ({"cost": "0.0125"}, 0.0125),
            ({"cost": 0}, 0.0),
            ({"cost": {"input_tokens_cost": 0.01, "total_cost": 0.02}}, 0.02),
            ({"estimated_cost": 0.003}, 0.003),
            ({"cost_in_usd_ticks": 158_500_000}, 0.01585),
            ({"cost": 0.01, "cost_details": {"upstream_inference_cost": 0.2}}, 0.01),
            (
                {"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}},
                0.21,
            ),
            ({"cost": 0.01, "is_byok": True}, None),
            *(({"cost": value}, None) for value in (None, True, -1, "free", float("nan"), 10**9)),
            (None, None),
        ],
    )
    def test_is_read_where_gateways_state_it(self, report: Any, usd: float | None) -> None:
        assert stated_usd(report) == (usd if usd is None else pytest.approx(usd))


class TestMetered:
    @pytest.mark.parametrize(
        ("text", "reported", "usage"),
        [
            ("Paris", Usage(7, 2), Usage(7, 2)),
            ("Paris", Usage(0, 0), Usage()),
            ("Paris", Usage(7, 0), Usage(7, None)),
            ("", Usage(7, 0), Usage(7, 0)),
            ("Paris", Usage(0, 2), Usage(None, 2)),
        ],
    )
    def test_a_count_of_0_for_what_is_there_is_none(
        self, text: str, reported: Usage, usage: Usage
    ) -> None:
        assert metered(reported, None, lambda: Completion(text)).usage == usage


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (
            openai_chat.completion,
            {"choices": [{"message": {"content": "ok"}}], "service_tier": "flex"},
        ),
        (
            openai_responses.completion,
            {
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "ok"}]}],
                "service_tier": "flex",
            },
        ),
        (
            anthropic_messages.completion,
            {
                "content": [{"type": "text", "text": "ok"}],
                "stop_reason": "end_turn",
                "usage": {"service_tier": "flex"},
            },
        ),
    ],
)
def test_the_service_tier_that_an_answer_states_is_read(
    read: Callable[[Any], Completion], body: dict[str, Any]
) -> None:
    assert read(body).service_tier == "flex"


@pytest.mark.parametrize("tier", [None, 7, ["flex"]])
def test_a_service_tier_that_is_no_text_is_none(tier: Any) -> None:
    assert metered(Usage(), None, lambda: Completion("ok"), tier).service_tier is None


def test_the_first_name_that_has_a_count_is_taken() -> None:
    assert count({"a": "x", "b": 3}, "a", "b", "c") == 3
    assert count({"a": True}, "a") is None
