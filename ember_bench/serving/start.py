"""The start of a server of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ember_bench.errors import ConfigError
from ember_bench.experiment.checks import unready
from ember_bench.models.budget import Budget
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.models.store.salvage import open_response_store
from ember_bench.registry import Cards, default_roots
from ember_bench.running.places import RESPONSES
from ember_bench.serving.networks import find_networks
from ember_bench.serving.openai_api import Access, OpenAIServer
from ember_bench.serving.server import address, listen, serve


@dataclass(frozen=True, slots=True)
class Places:
    """Where a server listens, and keeps calls.

    Attributes:
        host: The address.
        port: The port; 0 for any that is free.
        results: The results folder; None to keep nothing.
    """

    host: str
    port: int
    results: Path | None


def serve_networks(
    names: Sequence[str],
    values: Mapping[str, Any],
    access: Access,
    places: Places,
    *,
    budget_usd: float | None,
    own_sampling: bool = False,
    told: Callable[[str], None],
) -> None:
    """Serve networks until SIGINT or SIGTERM.

    Args:
        names: Their names, see `find_networks`.
        values: Parameters of the architectures.
        access: Who may ask.
        places: Where it listens.
        budget_usd: The most that it may spend, in US dollars.
        own_sampling: Whether networks keep their sampling parameters whatever a request says.
        told: Is told where it listens, and of parameters that are not used.

    Raises:
        ConfigError: if a network cannot be built, a key is missing, or the port cannot be had.
        StoreError: if calls cannot be kept.
    """
    cards = Cards(default_roots())
    registry = ModelRegistry.from_cards(cards)
    budget = None if budget_usd is None else Budget(budget_usd)
    plain, storing = ModelService(registry, budget=budget), None
    networks = find_networks(names, values, plain, cards)
    models = [lm.model for network in networks for lm in network.graph.lm_modules()]
    if problems := [*unready(models, asks=True)]:
        raise ConfigError(*problems)
    listening = listen(places.host, places.port)
    if places.results is not None:
        store, mended = open_response_store(places.results / RESPONSES)
        if mended:
            told(mended)
        storing = ModelService(registry, budget=budget, store=store)
    url = address(listening)
    told(f"serving at {url}/v1 (Ctrl-C ends it)")
    for network in networks:
        told(f"  {network.name}: {network.purpose}")
    server = OpenAIServer(networks, access, plain, storing, own_sampling=own_sampling, told=told)
    serve(server.app(), listening)
    for service in (plain, storing):
        for report in [] if service is None else service.servers.reports:
            told(report)
