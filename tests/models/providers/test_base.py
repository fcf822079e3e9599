"""What every provider is asked before its model is: nothing that a call wants is dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.models import (
    Completion,
    File,
    Image,
    Message,
    ModelInfo,
    Provider,
    Request,
    ResponseFormat,
    SamplingParameters,
    ToolDefinition,
    provider,
)
from ember_bench.models.call import Call
from ember_bench.models.info import FEATURES, Feature
from ember_bench.models.providers import base
from tests.support.models import module, serve

USER = Message("user", "q")
ALL = SamplingParameters(
    temperature=0.0,
    top_p=1.0,
    max_tokens=1,
    stop=("x",),
    seed=0,
    reasoning_effort="low",
    thinking_tokens=0,
    top_logprobs=0,
    top_k=1,
    min_p=0.0,
    frequency_penalty=0.0,
    presence_penalty=0.0,
    repetition_penalty=1.0,
    logit_bias={"1": 0.0},
    verbosity="low",
    tool_choice="auto",
    parallel_tool_calls=False,
    server_tools=({},),
    safety_settings={"a": "b"},
    service_tier="flex",
    cache=True,
    metadata={"a": "b"},
    headers={"X-A": "b"},
    extra_body={"a": "b"},
)


@provider("picky")
class Picky(Provider):
    """Has no place for a seed, nor for two texts to stop at."""

    asked = 0

    async def complete(self, call: Call) -> Completion:
        type(self).asked += 1
        return Completion("ok")

    @classmethod
    def lacks(cls, model: ModelInfo) -> Mapping[Feature, str]:
        return {"seed": "leave it out"}

    @classmethod
    def unsupported(cls, request: Request) -> list[str]:
        many = len(request.parameters.stop) > 1
        return super().unsupported(request) + (["stop: at most one text"] if many else [])


def picky(*features: Feature) -> ModelInfo:
    return ModelInfo(model_id="picky:m", unsupported_parameters=features)


def wanting_all(model: ModelInfo) -> Request:
    return Request(
        model,
        (
            Message("system", "s"),
            Message(
                "user",
                "q",
                (Image("image/png", "https://example.org/a.png", "low"),),
                files=(File("application/pdf", "https://example.org/a.pdf"), File("audio/wav", "")),
            ),
        ),
        ALL,
        ResponseFormat("R", {}),
        tools=(ToolDefinition("t", "", {}),),
    )


class TestFeatures:
    def test_all_are_found_where_all_are_asked_for(self) -> None:
        assert base.features(wanting_all(picky())) == list(FEATURES)

    def test_what_is_left_to_the_model_is_not_asked_for(self) -> None:
        assert base.features(Request(picky(), (USER,))) == []

    @pytest.mark.parametrize("feature", FEATURES)
    def test_a_card_may_exclude_each(self, feature: Feature) -> None:
        problems = Provider.unsupported(wanting_all(picky(feature)))
        assert problems == [f"picky:m does not take {feature}"]


class TestRefusal:
    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"seed": 1}, "picky:m does not take seed: leave it out"),
            ({"temperature": 0.0}, "picky:m does not take temperature"),
            ({"stop": ["a", "b"]}, "stop: at most one text"),
            ({"images": [Image("image/png", "")]}, "picky:m does not take images"),
        ],
    )
    def test_comes_before_any_request_however_often_one_tries(
        self, asked: dict[str, Any], message: str
    ) -> None:
        model, before = picky("temperature", "images"), Picky.asked
        lm = module(serve(model), model)
        assert lm("q") == "ok"
        for _ in range(2):
            with pytest.raises(ConfigError) as caught:
                lm("q", **asked)
            assert str(caught.value) == message
        assert lm("q", max_tokens=5, stop=["a"]) == "ok"
        assert Picky.asked == before + 2

    def test_names_all_that_is_wrong_at_once(self) -> None:
        model = picky("temperature", "system")
        lm = module(serve(model), model, temperature=0.5, seed=3, persona="a pirate")
        with pytest.raises(ConfigError) as caught:
            lm("q")
        assert len(caught.value.problems) == 3


class TestInstalled:
    def test_a_provider_of_another_package_is_found_by_its_entry_point(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Point:
            name = "Installed"

            def load(self) -> type[Provider]:
                return Picky

        def entry_points(*, group: str) -> list[Point]:
            return [Point()] if group == "ember_bench.providers" else []

        monkeypatch.setattr(base, "entry_points", entry_points)
        monkeypatch.setattr(base, "_providers", dict(base._providers))
        assert base.provider_class("installed") is Picky
