from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models import (
    File,
    Image,
    Message,
    ModelCost,
    ModelInfo,
    ProviderInfo,
    RateLimit,
    Request,
    ResponseFormat,
    SamplingParameters,
    ToolCall,
    ToolDefinition,
)
from ember_bench.models.call import Call
from ember_bench.models.strand import Strand, TrialContext

MODEL = ModelInfo(model_id="openai:m", options={"a": 1, "b": 2})
MESSAGES = (Message("system", "be brief"), Message("user", "question"))
PARAMETERS = SamplingParameters(temperature=0.5, top_p=0.9, max_tokens=10, stop=("END",), seed=1)
FORMAT = ResponseFormat("answer", {"type": "object", "properties": {"x": {}, "y": {}}})
CALL = ToolCall("1", "add", '{"a": 1, "b": 2}')


def key(
    *,
    model: ModelInfo = MODEL,
    messages: tuple[Message, ...] = MESSAGES,
    parameters: SamplingParameters = PARAMETERS,
    response_format: ResponseFormat | None = FORMAT,
    role: str = "generate",
    about: tuple[str, ...] = (),
    tools: tuple[ToolDefinition, ...] = (),
    epoch: int = 0,
    replica: str = "0",
    asked_before: int = 0,
    context: str = "",
) -> bytes:
    request = Request(model, messages, parameters, response_format, role, about, tools)
    strand = Strand(TrialContext(epoch=epoch))
    for _ in range(asked_before):
        Call.place(request, strand, replica, context)
    return Call.place(request, strand, replica, context).key


def model(**changes: Any) -> dict[str, ModelInfo]:
    return {"model": MODEL.model_copy(update=changes)}


def sampling(**changes: Any) -> dict[str, SamplingParameters]:
    given: dict[str, Any] = msgspec.structs.asdict(PARAMETERS)
    return {"parameters": SamplingParameters(**{**given, **changes})}


CHANGES_THE_ANSWER: dict[str, dict[str, Any]] = {
    "model id": {"model": ModelInfo(model_id="openai:n", model_name="m", options=MODEL.options)},
    "model name": model(model_name="m-2"),
    "provider": model(provider=ProviderInfo(name="azure")),
    "base url": model(provider=ProviderInfo(name="openai", base_url="http://localhost:8000/v1")),
    "options": model(options={"a": 1, "b": 3}),
    "prompt": {"messages": (MESSAGES[0], Message("user", "question?"))},
    "persona": {"messages": (Message("system", "be long"), MESSAGES[1])},
    "no persona": {"messages": MESSAGES[1:]},
    "order of messages": {"messages": MESSAGES[::-1]},
    "who says it": {"messages": (MESSAGES[0], Message("assistant", "question"))},
    "temperature": sampling(temperature=0.6),
    "no temperature": sampling(temperature=None),
    "greedy": sampling(temperature=0.0),
    "top_p": sampling(top_p=0.8),
    "max_tokens": sampling(max_tokens=11),
    "stop": sampling(stop=("END", "STOP")),
    "no stop": sampling(stop=()),
    "seed": sampling(seed=2),
    "reasoning_effort": sampling(reasoning_effort="low"),
    "thinking_tokens": sampling(thinking_tokens=1_024),
    "top_logprobs": sampling(top_logprobs=5),
    "top_k": sampling(top_k=5),
    "min_p": sampling(min_p=0.1),
    "frequency_penalty": sampling(frequency_penalty=0.5),
    "presence_penalty": sampling(presence_penalty=0.5),
    "repetition_penalty": sampling(repetition_penalty=1.1),
    "logit_bias": sampling(logit_bias={"1": -100}),
    "verbosity": sampling(verbosity="low"),
    "tool_choice": sampling(tool_choice="required"),
    "parallel_tool_calls": sampling(parallel_tool_calls=False),
    "server_tools": sampling(server_tools=({"type": "web_search"},)),
    "safety_settings": sampling(safety_settings={"HARM": "BLOCK_NONE"}),
    "service_tier": sampling(service_tier="flex"),
    "cache": sampling(cache=True),
    "metadata": sampling(metadata={"user_id": "1"}),
    "headers": sampling(headers={"X-Beta": "1"}),
    "extra_body": sampling(extra_body={"thinking": {"type": "disabled"}}),
    "card's headers": model(headers={"X-Beta": "1"}),
    "card's extra body": model(extra_body={"a": 1}),
    "detail of the image": {
        "messages": (
            MESSAGES[0],
            Message("user", "question", (Image("image/png", "AA==", "low"),)),
        )
    },
    "file": {
        "messages": (
            MESSAGES[0],
            Message("user", "question", files=(File("application/pdf", "AA=="),)),
        )
    },
    "image": {
        "messages": (MESSAGES[0], Message("user", "question", (Image("image/png", "AA=="),)))
    },
    "tools": {"tools": (ToolDefinition("add", "Add two numbers.", {"type": "object"}),)},
    "tool call": {"messages": (*MESSAGES, Message("assistant", "", tool_calls=(CALL,)))},
    "tool result": {"messages": (*MESSAGES, Message("tool", "question", tool_call_id="1"))},
    "response format": {"response_format": ResponseFormat("answer", {"type": "string"})},
    "name of the format": {"response_format": ResponseFormat("a", FORMAT.json_schema)},
    "no response format": {"response_format": None},
    "role": {"role": "verify"},
    "epoch": {"epoch": 1},
    "replica": {"replica": "1"},
    "draw": {"asked_before": 1},
    "item, for models that do not read the prompt": {"context": "another item"},
}

CHANGES_NO_ANSWER: dict[str, dict[str, Any]] = {
    "price": model(cost=ModelCost(input_cost_per_thousand=1, output_cost_per_thousand=2)),
    "rate limit": model(rate_limit=RateLimit(requests_per_minute=1)),
    "concurrency": model(max_concurrency=3),
    "key": {"model": ModelInfo(model_id="openai:m", options=MODEL.options, api_key="sk-1")},
    "the provider's key": model(provider=ProviderInfo(name="openai", default_api_key="sk-2")),
    "capitals in the provider": model(provider=ProviderInfo(name="OpenAI")),
    "longest output": model(max_output_tokens=10),
    "efforts that are taken": model(reasoning_efforts=("low",)),
    "no cache": sampling(cache=False),
    "no labels": sampling(metadata={}),
    "order of options": model(options={"b": 2, "a": 1}),
    "order within a schema": {
        "response_format": ResponseFormat(
            "answer", {"properties": {"y": {}, "x": {}}, "type": "object"}
        )
    },
    "candidates that stand in the prompt already": {"about": ("x",)},
}


@pytest.mark.parametrize("change", CHANGES_THE_ANSWER)
def test_the_key_changes_with_what_can_change_the_answer(change: str) -> None:
    assert key(**CHANGES_THE_ANSWER[change]) != key()


@pytest.mark.parametrize("change", CHANGES_NO_ANSWER)
def test_the_key_does_not_change_with_what_cannot(change: str) -> None:
    assert key(**CHANGES_NO_ANSWER[change]) == key()


def test_all_these_keys_differ_from_each_other() -> None:
    keys = [key(**change) for change in CHANGES_THE_ANSWER.values()]
    assert len(set(keys)) == len(keys)


def test_every_sampling_parameter_is_tried_here() -> None:
    assert set(SamplingParameters.__struct_fields__) <= set(CHANGES_THE_ANSWER)


def test_a_key_is_the_same_in_every_process() -> None:
    """Written down: a change here makes every stored answer unreachable (see KEY_VERSION)."""
    assert key().hex() == "42dd66aa9f5d05e4e6b718857584ca6e"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
requests = st.tuples(
    st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), texts))
    .map(tuple),
    st.builds(
        SamplingParameters,
        temperature=st.none() | st.floats(0, 2).map(abs),
        max_tokens=st.none() | st.integers(1, 9),
        stop=st.lists(texts, max_size=2).map(tuple),
    ),
    texts,
    texts,
    st.integers(0, 3),
)  # fmt: skip


@given(requests, requests)
def test_keys_are_equal_exactly_when_everything_is(one: Any, two: Any) -> None:
    names = ("messages", "parameters", "role", "context", "epoch")
    first, second = (key(**dict(zip(names, parts, strict=True))) for parts in (one, two))
    assert (first == second) == (one == two)


@given(texts, texts)
def test_moving_text_from_one_message_to_the_next_makes_another_key(a: str, b: str) -> None:
    split = (Message("user", a), Message("user", b))
    joined = (Message("user", a + b), Message("user", ""))
    assert (key(messages=split) == key(messages=joined)) == (b == "")


def test_whole_numbers_and_floats_are_the_same_temperature() -> None:
    assert key(**sampling(temperature=1)) == key(**sampling(temperature=1.0))


@pytest.mark.parametrize(("asked_before", "text"), [(0, "0"), (3, "3")], ids=["first", "fourth"])
def test_a_draw_is_written_as_a_number(asked_before: int, text: str) -> None:
    request, strand = Request(MODEL, MESSAGES), Strand(TrialContext())
    for _ in range(asked_before):
        Call.place(request, strand, "0", "")
    assert Call.place(request, strand, "0", "").draw_text == text


def test_a_draw_in_a_branch_is_written_with_dots() -> None:
    branch = Strand(TrialContext()).fork(range(4))[3]
    request = Request(MODEL, MESSAGES)
    Call.place(request, branch, "0", "")
    assert Call.place(request, branch, "0", "").draw_text == "3.1"


class TestTheSeedOfACall:
    def seeds(
        self, count: int, seed: int | None = 7, replica: str = "0", epoch: int = 0
    ) -> list[int | None]:
        request = Request(MODEL, MESSAGES, SamplingParameters(seed=seed))
        strand = Strand(TrialContext(epoch=epoch))
        return [Call.place(request, strand, replica, "").seed for _ in range(count)]

    @pytest.mark.parametrize("replica", ["0", "generate.0"])
    def test_is_that_of_the_request_for_the_first_draw_of_the_first_replica(
        self, replica: str
    ) -> None:
        assert self.seeds(1, replica=replica) == [7]

    def test_is_none_where_the_request_has_none(self) -> None:
        assert self.seeds(2, None, replica="1", epoch=3) == [None, None]

    def test_differs_for_every_draw_replica_epoch_and_seed(self) -> None:
        found = [
            *self.seeds(20),
            *self.seeds(20, replica="1"),
            *self.seeds(20, replica="node/made.0"),
            *self.seeds(20, epoch=1),
            *self.seeds(20, seed=8),
        ]
        assert len(set(found)) == len(found)

    def test_is_the_same_in_every_process(self) -> None:
        """Written down: what was asked with a seed can be asked again."""
        assert self.seeds(3) == [7, 391799609, 1573199343]

    @given(st.integers(), st.integers(0, 5))
    def test_is_one_that_every_provider_takes(self, seed: int, epoch: int) -> None:
        for derived in self.seeds(3, seed, epoch=epoch)[1:]:
            assert derived is not None
            assert 0 <= derived < 2**31
