"""Servers of local models on the nodes of a Ray cluster, where Ray finds room for them."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from ember_bench.errors import CallGivenUpError, EmberBenchError, ProviderError
from ember_bench.models.gpus import counted
from ember_bench.models.info import ModelInfo
from ember_bench.models.launching import Launch, LocalServer, Meter
from ember_bench.models.servers import Servers
from ember_bench.models.types import Usage

_END_WITHIN_SECONDS: Final = 30.0


class ServerActor:
    """Starts a server on its node; an actor of Ray, which imports nothing of it.

    All methods are coroutines, so that Ray runs them on one event loop.
    """

    def __init__(self) -> None:
        self._server: LocalServer | None = None

    async def place(self, environment: Mapping[str, str], model: ModelInfo, launch: Launch) -> str:
        """Choose a port of the node; return the address that the server will have.

        Args:
            environment: Variables of the driver, keys among them.
            model: The model that is served.
            launch: How the server is started.
        """
        from ray.util import get_node_ip_address  # noqa: PLC0415 - an extra

        os.environ.update(environment)
        host = get_node_ip_address()
        parts = urlsplit(model.provider.base_url or "")
        with socket.create_server((host, 0)) as free:
            port = free.getsockname()[1]
        named = f"[{host}]" if ":" in host else host
        base_url = parts._replace(netloc=f"{named}:{port}").geturl()
        # Ray has given it its GPUs, which are in the environment.
        launch = launch.model_copy(update={"gpus": 0})
        self._server = LocalServer(model.model_id, model.model_name, base_url, launch)
        return base_url

    async def ready(self) -> None:
        """Return once the server can be asked; see `LocalServer.ready`."""
        await self._placed.ready()

    async def end(self) -> None:
        """End the server, also while it starts."""
        self._placed.give_up()
        await self._placed.close()

    @property
    def _placed(self) -> LocalServer:
        if self._server is None:
            raise RuntimeError("the server has no address yet")
        return self._server


class RayServer:
    """The driver's side of one server."""

    def __init__(
        self, model: ModelInfo, launch: Launch, ray: Any, environment: Mapping[str, str]
    ) -> None:
        self.launch = launch
        self._model = model
        self._ray = ray
        self._environment = environment
        self._actor: Any = None
        self._address = ""
        self._began = 0.0
        self._turn = asyncio.Lock()
        self._given_up = False
        self._meter = Meter(model.model_id, launch.per_hour)

    async def ready(self) -> str:
        """Return the address of its API once it can be asked; start it if need be.

        Raises:
            ProviderError: if it does not start, or has ended, with what it printed; or if no node
                has the GPUs that it takes; or if its node was lost, which may pass.
            CallGivenUpError: if it is not up as of `give_up`.
        """
        async with self._turn:
            if self._given_up:
                raise CallGivenUpError(f"{self._model.model_id}: not asked, as the run is to stop")
            if self._actor is None:
                await self._place()
            try:
                await self._actor.ready.remote()
            except Exception as error:  # of Ray's many kinds
                if isinstance(cause := getattr(error, "cause", None), EmberBenchError):
                    raise cause from None
                self._forget()
                raise ProviderError(
                    f"{self._model.model_id}: the node of its server was lost", retryable=True
                ) from error
            return self._address

    async def is_foreign(self) -> bool:
        """Return False: it is always a new one."""
        return False

    def served(self, usage: Usage) -> None:
        """Count the tokens of an answer."""
        self._meter.served(usage)

    def unheard(self) -> None:
        """Do nothing: who asks again for its address is told whether it is there."""

    def give_up(self) -> None:
        """Start it no more, until it is closed."""
        self._given_up = True

    async def close(self) -> None:
        """End the server, if it was started."""
        if (actor := self._actor) is not None:
            with suppress(Exception):  # its node may be lost
                await asyncio.wait_for(actor.end.remote(), _END_WITHIN_SECONDS)
            self._forget()
        self._given_up = False

    @property
    def report(self) -> str:
        """The time and the cost of the server as a sentence; "" if it was not started."""
        return self._meter.report

    async def _place(self) -> None:
        """Have Ray find a node.

        Raises:
            ProviderError: if there is none within the time that the server may take to start.
        """
        options = {"num_gpus": self.launch.gpus, "num_cpus": 0, "max_restarts": 0}
        actor = self._ray.remote(ServerActor).options(**options).remote()
        name, seconds = self._model.model_id, self.launch.wait_seconds
        try:
            placed = actor.place.remote(self._environment, self._model, self.launch)
            self._address = await asyncio.wait_for(placed, seconds)
        except TimeoutError:
            self._ray.kill(actor)
            raise ProviderError(
                f"{name}: no node of the cluster had {counted(self.launch.gpus)} free for its"
                f" server within {seconds:g} s"
            ) from None
        except BaseException:
            self._ray.kill(actor)
            raise
        self._actor, self._began = actor, time.monotonic()

    def _forget(self) -> None:
        self._meter.seconds += time.monotonic() - self._began
        self._ray.kill(self._actor)
        self._actor = None


class RayServers(Servers):
    """Servers on the nodes of a cluster.

    Args:
        ray: The module.
        environment: Variables that servers need.
    """

    def __init__(self, ray: Any, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._ray = ray
        self._environment = environment

    def made(self, model: ModelInfo, base_url: str, launch: Launch) -> RayServer:
        """Return the server in place of that at an address; it is not started yet."""
        del base_url
        return RayServer(model, launch, self._ray, self._environment)

    async def room(self) -> tuple[int, ...]:
        """Return the number of GPUs of each node."""
        nodes = await asyncio.to_thread(self._ray.nodes)
        return tuple(int(n["Resources"].get("GPU", 0)) for n in nodes if n["Alive"])
