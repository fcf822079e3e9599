"""Networks on a Ray Serve cluster: `serve`'s application as a deployment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.engines.ray_engine import driver_environment
from ember_bench.errors import ConfigError
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.models.wire.adapting import require
from ember_bench.registry import Cards, default_roots
from ember_bench.serving.networks import find_networks
from ember_bench.serving.server import KEY_VARIABLE

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.types import ASGIApp


class Served(BaseModel):
    """What a cluster serves.

    Attributes:
        networks: Architectures, or cells of studies (`STUDY/CELL`).
        parameters: Parameters of the architectures; each is given to those that have it.
        replicas: Number of processes that answer.
        in_flight: Number of requests that each of them answers at once; more wait.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    networks: list[str] = Field(min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    replicas: int = Field(default=1, gt=0)
    in_flight: int = Field(default=1000, gt=0)


def app(served: Served) -> Application:
    """Return an application for `ray.serve.run`, or for a config file of Ray Serve.

    Clients send the key in `EMBER_BENCH_SERVE_KEY`. Replicas find cards and grids in their working
    directory; they get the variables of this process that say where models are, and their keys.

    Args:
        served: What is served.

    Raises:
        ConfigError: if Ray Serve is not installed, there is no key, or a network cannot be built.
    """
    require("ray.serve.api", "ray-serve", "a Ray Serve deployment")
    from ray import serve  # noqa: PLC0415 - an extra

    if not (key := os.environ.get(KEY_VARIABLE)):
        raise ConfigError(
            f"Ray Serve may listen for others, who could spend your money: set {KEY_VARIABLE} to"
            " the key that they need"
        )
    cards = Cards(default_roots())
    find_networks(served.networks, served.parameters, _service(cards), cards)  # mistakes are told
    deployment = serve.deployment(
        serve.ingress(_builder(served, key, driver_environment()))(),
        name="Networks",
        num_replicas=served.replicas,
        max_ongoing_requests=served.in_flight,
    )
    return deployment.bind()


def _builder(served: Served, key: str, environment: Mapping[str, str]) -> Callable[[], ASGIApp]:
    """Return what makes the ASGI application in a replica; Ray takes nothing but a function."""

    def build() -> ASGIApp:
        from ember_bench.serving.openai_api import Access, OpenAIServer  # noqa: PLC0415

        os.environ.update(environment)
        cards = Cards(default_roots())
        service = _service(cards)
        networks = find_networks(served.networks, served.parameters, service, cards)
        return OpenAIServer(networks, Access(key, served.in_flight), service).app()

    return build


def _service(cards: Cards) -> ModelService:
    return ModelService(ModelRegistry.from_cards(cards))
