"""Sampling parameters of requests: they are used, or refused, or named as not used."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, default_roots
from ember_bench.serving.networks import find_networks
from ember_bench.serving.sampling import settle
from tests.serving.test_openai import ASK, Client, client, here, requests
from tests.support.workspace import Workspace, vote

__all__ = ["client", "here"]  # fixtures

CHAT: dict[str, Any] = {"model": "single", "messages": ASK}


def asked_for(client: openai.OpenAI, **fields: Any) -> openai._legacy_response.Any:
    return client.chat.completions.with_raw_response.create(**{**CHAT, **fields})


def test_the_one_module_of_a_network_is_asked_with_the_parameters_of_the_request(
    client: Client, here: Workspace
) -> None:
    asked = client("single", results=here.root / "kept")
    for temperature in (0.0, 0.0, 1.5):
        found = asked_for(asked, temperature=temperature, max_completion_tokens=50)
        assert "x-ember-bench-unused" not in found.headers
    assert requests() == 2  # the second is stored: it is the same call


def test_a_value_that_the_models_have_anyway_is_no_change(client: Client, here: Workspace) -> None:
    asked = client("vote", values={"model": "counted:a", "k": 3, "temperature": 0.4})
    assert asked_for(asked, model="vote", temperature=0.4, top_p=1, presence_penalty=0)


def test_a_network_of_several_modules_refuses_what_it_cannot_use(client: Client) -> None:
    asked = client("vote")
    for name, value in {"temperature": 0.1, "max_tokens": 7, "reasoning_effort": "low"}.items():
        error = f"Unsupported parameter: '{name}'"
        with pytest.raises(openai.BadRequestError, match=error) as caught:
            asked_for(asked, model="vote", **{name: value})
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", name)
    assert requests() == 0


def test_a_system_of_a_study_keeps_its_parameters(client: Client, here: Workspace) -> None:
    here.sums(3)
    here.grid(architectures=[{**vote([1]), "label": "vote"}])
    asked = client("grid.yaml/vote", values={})
    with pytest.raises(openai.BadRequestError, match="a system of a study"):
        asked_for(asked, model="grid.yaml/vote", temperature=0.1)


def test_with_own_sampling_it_is_said_what_is_not_used(client: Client) -> None:
    told: list[str] = []
    asked = client("vote", own_sampling=True, told=told.append)
    for _ in range(2):
        found = asked_for(asked, model="vote", temperature=0, seed=3, top_p=1)
        assert found.headers["x-ember-bench-unused"] == "seed, temperature"
    stream = asked_for(asked, model="vote", temperature=0, stream=True)
    assert stream.headers["x-ember-bench-unused"] == "temperature"
    assert told == [
        "vote: seed of requests is not used", "vote: temperature of requests is not used"
    ]  # fmt: skip


def test_what_the_model_does_not_take_is_refused(client: Client, here: Workspace) -> None:
    here.edit("registry/models/counted-a.yaml", "name:", "unsupported_parameters: [top_k]\nname:")
    asked = client("single")
    with pytest.raises(openai.BadRequestError, match="counted:a does not take top_k"):
        asked_for(asked, extra_body={"top_k": 5})


def test_parameters_of_a_request_replace_those_of_the_module(here: Workspace) -> None:
    cards = Cards(default_roots())
    service = ModelService(ModelRegistry.from_cards(cards))
    values = {"model": "counted:a", "temperature": 0.3}
    (network,) = find_networks(["single"], values, service, cards)
    assert settle(network, {"temperature": 1}, own=False).used == {"temperature": 1}
    assert settle(network, {"temperature": 0.3}, own=False).used == {}
    assert settle(network, {"temperature": 1}, own=True).unused == ("temperature",)
