"""The servers of local models that a service needs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from ember_bench.models.gpus import gpus_here
from ember_bench.models.info import ModelInfo
from ember_bench.models.launching import Launch, LocalServer
from ember_bench.models.types import Usage


class Server(Protocol):
    """The server of a local model."""

    @property
    def launch(self) -> Launch:
        """How it is started."""

    async def ready(self) -> str:
        """Return the address of its API once it can be asked; start it if need be.

        Raises:
            ProviderError: if it does not start, or has ended, with what it printed.
            CallGivenUpError: if it is not up as of `give_up`.
        """

    async def is_foreign(self) -> bool:
        """Whether it answers, and was not started for this run."""

    def served(self, usage: Usage) -> None:
        """Count the tokens of an answer."""

    def unheard(self) -> None:
        """Hear that nothing answered at its address."""

    def give_up(self) -> None:
        """Wait no longer for a server that is not up yet, and start none; until it is closed."""

    async def close(self) -> None:
        """End the server, if it was started."""

    @property
    def report(self) -> str:
        """Its time and cost as a sentence; "" if it was not started."""


class Servers:
    """Servers of a run, by the address on their models' cards; several models may be at one."""

    def __init__(self) -> None:
        self._by_address: dict[str, Server] = {}

    def made(self, model: ModelInfo, base_url: str, launch: Launch) -> Server:
        """Return the server at an address, which is not started yet."""
        raise NotImplementedError

    async def room(self) -> tuple[int, ...]:
        """Return the number of GPUs of each machine.

        Raises:
            ConfigError: if that cannot be said.
        """
        raise NotImplementedError

    def of(self, model: ModelInfo) -> Server | None:
        """Return the server that is started for a model; None if it has none to be started."""
        launch, base_url = model.launch, model.provider.base_url
        if launch is None or base_url is None:
            return None
        if base_url not in self._by_address:
            self._by_address[base_url] = self.made(model, base_url, launch)
        return self._by_address[base_url]

    async def gpus(self, models: Iterable[ModelInfo]) -> Mapping[str, int]:
        """Return the GPUs that the servers of some models take, by address.

        A server that somebody else has started takes none.
        """
        found: dict[str, int] = {}
        for model in models:
            server, base_url = self.of(model), model.provider.base_url
            if base_url in found or server is None or base_url is None or not server.launch.gpus:
                continue
            if not await server.is_foreign():
                found[base_url] = server.launch.gpus
        return found

    async def keep(self, addresses: Collection[str]) -> None:
        """End all servers that take GPUs but those at some addresses."""
        for address, server in self._by_address.items():
            if server.launch.gpus and address not in addresses:
                await server.close()

    @property
    def reports(self) -> list[str]:
        """Sentences about those that were started and have ended: time and cost."""
        return [report for server in self._by_address.values() if (report := server.report)]

    async def close(self) -> None:
        """End those that were started."""
        await asyncio.gather(*(server.close() for server in self._by_address.values()))


class LocalServers(Servers):
    """Servers on this machine."""

    def made(self, model: ModelInfo, base_url: str, launch: Launch) -> LocalServer:
        """Return the server at an address, which is not started yet."""
        return LocalServer(model.model_id, model.model_name, base_url, launch)

    async def room(self) -> tuple[int, ...]:
        """Return the number of GPUs of this machine.

        Raises:
            ConfigError: if `EMBER_BENCH_GPUS` is mistaken.
        """
        found, _ = await asyncio.to_thread(gpus_here)
        return (len(found),)


def moved(model: ModelInfo, base_url: str | None) -> ModelInfo:
    """Return a model at another address."""
    provider = model.provider.model_copy(update={"base_url": base_url})
    return model.model_copy(update={"provider": provider})
