from __future__ import annotations

import asyncio
import gc
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ember_bench.errors import UnknownNameError
from ember_bench.models import (
    Completion,
    Image,
    Message,
    ModelRegistry,
    ResponseFormat,
    SamplingParameters,
    TokenLogprob,
    ToolCall,
    ToolDefinition,
)
from ember_bench.models.call import Call
from ember_bench.models.store.memory import MemoryStore
from ember_bench.models.types import CutOff
from ember_bench.operators import LMModule, LMModuleConfig
from ember_bench.operators.asking import ask_all, ask_requests
from ember_bench.operators.cards import LMCard
from tests.support.models import module, modules, scripted, serve, simulated


class Echo:
    """A model that repeats the prompt, and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.model = scripted(self.answer)
        self.service = serve(self.model)

    async def answer(self, call: Call) -> str:
        self.calls.append(call)
        return f"echo {call.request.messages[-1].content}"


class Models(Enum):
    SIMULATED = "simulated:m"


def registry() -> ModelRegistry:
    registry = ModelRegistry()
    registry.register_model(simulated())
    return registry


class TestConfig:
    def test_takes_an_enum(self) -> None:
        assert LMModuleConfig(model_name=Models.SIMULATED).model_name == "simulated:m"

    def test_has_the_sampling_parameters_and_no_others(self) -> None:
        config = LMModuleConfig(model_name="m", temperature=1, stop=["x"], persona="p", seed=4)
        assert config.parameters == SamplingParameters(1.0, None, None, ("x",), 4)

    def test_takes_every_parameter_of_a_request(self) -> None:
        own = {"model_name", "persona"}
        assert set(LMModuleConfig.model_fields) - own == set(SamplingParameters.__struct_fields__)

    def test_has_equals_on_cards(self) -> None:
        own = {"model", "count", "sampling", "shared"}
        fields = set(LMModuleConfig.model_fields) - {"model_name"}
        assert set(LMCard.model_fields) - own == fields

    def test_describes_only_the_later_parameters_that_are_given(self) -> None:
        """Descriptions are part of identities: those of older modules stay as they were."""
        plain = LMModuleConfig(model_name="m").describe()
        assert set(plain) == {
            "temperature", "top_p", "max_tokens", "stop", "seed", "persona",
            "reasoning_effort", "thinking_tokens", "top_logprobs",
        }  # fmt: skip
        given = LMModuleConfig(model_name="m", top_k=5, cache=True).describe()
        assert given == plain | {"top_k": 5, "cache": True}

    @pytest.mark.parametrize(
        "field", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"max_tokens": 0}, {"topp": 1}]
    )
    def test_refuses_what_no_model_takes(self, field: dict[str, Any]) -> None:
        with pytest.raises(ValidationError, match=next(iter(field))):
            LMModuleConfig(model_name="m", **field)


class TestCalling:
    def test_gives_text(self) -> None:
        echo = Echo()
        lm = module(echo.service, echo.model)
        assert lm("a") == lm.generate_response("a") == lm.respond("a").data == "echo a"

    def test_a_coroutine_awaits_it(self) -> None:
        echo = Echo()
        assert asyncio.run(module(echo.service, echo.model).acall("a")) == "echo a"

    def test_the_persona_is_the_system_message(self) -> None:
        echo = Echo()
        module(echo.service, echo.model, persona="a pirate")("q")
        asked = [(m.role, m.content) for m in echo.calls[0].request.messages]
        assert asked == [("system", "a pirate"), ("user", "q")]

    def test_parameters_may_be_changed_for_one_call(self) -> None:
        echo = Echo()
        lm = module(echo.service, echo.model, temperature=0.5, max_tokens=9)
        lm("q", temperature=1)
        lm("q")
        asked = [call.request.parameters for call in echo.calls]
        assert [(p.temperature, p.max_tokens) for p in asked] == [(1.0, 9), (0.5, 9)]

    @pytest.mark.parametrize("name", ["temprature", "persona", "model_name"])
    def test_what_is_no_sampling_parameter_is_refused_not_ignored(self, name: str) -> None:
        echo = Echo()
        with pytest.raises(TypeError, match=name):
            module(echo.service, echo.model)("q", **{name: "x"})
        assert echo.calls == []

    def test_a_wrong_value_is_refused(self) -> None:
        echo = Echo()
        with pytest.raises(ValueError, match="temperature"):
            module(echo.service, echo.model)("q", temperature=-1)

    def test_role_format_and_candidates_reach_the_model(self) -> None:
        echo = Echo()
        schema = ResponseFormat("answer", {"type": "string"})
        lm = module(echo.service, echo.model)
        lm("q", role="judge", about=["x"], response_format=schema)
        request = echo.calls[0].request
        assert (request.role, request.about, request.response_format) == ("judge", ("x",), schema)


class Verdict(BaseModel):
    correct: bool


class TestWhatIsAskedBeside:
    def test_images_come_with_the_prompt(self) -> None:
        echo, image = Echo(), Image("image/png", "AAAA")
        module(echo.service, echo.model)("what is it?", images=[image])
        assert echo.calls[0].request.messages == (Message("user", "what is it?", (image,)),)

    def test_a_pydantic_model_is_a_schema_for_the_answer(self) -> None:
        echo = Echo()
        module(echo.service, echo.model)("q", response_format=Verdict)
        asked = echo.calls[0].request.response_format
        assert asked is not None
        assert asked.name == "Verdict"
        assert asked.json_schema["required"] == ["correct"]
        assert asked.json_schema["additionalProperties"] is False

    def test_tools_are_asked_for_and_their_results_given_back(self) -> None:
        wish, tool = ToolCall("1", "add", '{"a": 2}'), ToolDefinition("add", "Adds.", {})

        async def answer(call: Call) -> Completion:
            last = call.request.messages[-1]
            if last.role == "tool":
                return Completion(f"it is {last.content}")
            tokens = (TokenLogprob("x", -0.5),)
            return Completion("", finish_reason="tool_calls", tool_calls=(wish,), logprobs=tokens)

        model = scripted(answer)
        lm = module(serve(model), model, persona="a clerk")
        asked = [Message("user", "2 + 2?")]
        response = lm.respond(asked, tools=[tool])
        assert (response.tool_calls, response.data) == ((wish,), "")
        assert response.logprobs == (TokenLogprob("x", -0.5),)
        asked += [
            Message("assistant", "", tool_calls=response.tool_calls),
            Message("tool", "4", tool_call_id=wish.id),
        ]
        assert lm(asked, tools=[tool]) == "it is 4"
        assert lm.request(asked).messages == (Message("system", "a clerk"), *asked)
        assert lm.request(asked, tools=[tool]).tools == (tool,)

    def test_all_of_it_is_part_of_the_calls_identity(self) -> None:
        echo = Echo()
        lm = module(echo.service, echo.model)
        tool, other = ToolDefinition("f", "", {}), ToolDefinition("g", "", {})
        digests = {
            lm.request("q", **asked).digest("")
            for asked in (
                {},
                {"images": [Image("image/png", "AAAA")]},
                {"images": [Image("image/png", "BBBB")]},
                {"tools": [tool]},
                {"tools": [other]},
                {"tools": [tool, other]},
                {"response_format": Verdict},
            )
        }
        assert len(digests) == 7

    def test_the_images_of_a_conversation_are_in_its_messages(self) -> None:
        echo = Echo()
        with pytest.raises(TypeError, match=r"Message\(images=\.\.\.\)"):
            module(echo.service, echo.model)(
                [Message("user", "q")], images=[Image("image/png", "")]
            )
        assert echo.calls == []


class TestRegistry:
    def test_an_unknown_model_is_refused_when_the_module_is_made(self) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'simulated:m'"):
            LMModule(LMModuleConfig(model_name="simulated:n"), registry())

    def test_an_empty_registry_is_not_the_default_one(self) -> None:
        with pytest.raises(UnknownNameError):
            LMModule(LMModuleConfig(model_name="simulated:small"), ModelRegistry())

    def test_modules_of_one_registry_share_a_service(self) -> None:
        known = registry()
        config = LMModuleConfig(model_name="m")
        one, two = LMModule(config, known), LMModule(config, known)
        assert one.service is two.service
        assert LMModule(config, registry()).service is not one.service
        assert len(ask_all([(one, "q"), (two, "q")])) == 2

    def test_a_service_nobody_uses_is_let_go(self) -> None:
        from ember_bench.operators import lm as lm_code

        gc.collect()
        before = len(lm_code._services)
        one = LMModule(LMModuleConfig(model_name="m"), registry())
        assert len(lm_code._services) == before + 1
        del one
        gc.collect()
        assert len(lm_code._services) == before

    def test_it_prints_as_what_it_is(self) -> None:
        lm = LMModule(LMModuleConfig(model_name="m", temperature=0.5), registry())
        assert repr(lm) == "LMModule(simulated:m, temperature=0.5)"


class TestAskingTogether:
    def test_answers_are_in_the_order_of_the_calls(self) -> None:
        async def answer(call: Call) -> str:
            prompt = call.request.messages[0].content
            for _ in range(9 - int(prompt)):
                await asyncio.sleep(0)
            return prompt

        model = scripted(answer)
        lms = modules(serve(model), model, 9)
        asked = [(lm, str(n)) for n, lm in enumerate(lms)]
        assert [r.data for r in ask_all(asked)] == [str(n) for n in range(9)]

    def test_nothing_is_asked_of_nobody(self) -> None:
        assert ask_requests([]) == []

    def test_modules_of_different_services_are_refused(self) -> None:
        one, two = (LMModule(LMModuleConfig(model_name="m"), registry()) for _ in range(2))
        with pytest.raises(ValueError, match="share one ModelService"):
            ask_all([(one, "q"), (two, "q")])


class TestThoughts:
    def test_are_apart_from_the_text_that_operators_see(self) -> None:
        async def answer(_: Call) -> Completion:
            return Completion("<think>12?</think>\n\n18")

        model = scripted(answer)
        response = module(serve(model), model).respond("q")
        assert (response.data, response.thoughts) == ("18", "12?")

    def test_stay_in_the_stored_answer(self) -> None:
        async def answer(_: Call) -> Completion:
            return Completion("<think>12?</think>18")

        model = scripted(answer)
        store = MemoryStore()
        assert module(serve(model, store=store), model)("q") == "18"
        (stored,) = store._calls.values()
        assert stored.completion.text == "<think>12?</think>18"

    def test_an_answer_that_was_cut_off_says_so_until_it_is_part_of_another_text(self) -> None:
        asked: list[Call] = []

        async def answer(call: Call) -> Completion:
            asked.append(call)
            return Completion("It is 18 or", finish_reason="length")

        model = scripted(answer)
        lm = module(serve(model), model)
        first = lm("q")
        assert (first, type(first)) == ("It is 18 or", CutOff)
        lm(first)
        lm([Message("user", "q"), Message("assistant", first), Message("user", "Go on")])
        contents = [m.content for call in asked[1:] for m in call.request.messages]
        assert {type(content) for content in contents} == {str}
