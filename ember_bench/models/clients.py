"""The clients of a service: one for each event loop, and for each way to a model."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from ember_bench.models.client import Client
from ember_bench.models.info import ModelInfo

# More than any grid names; a program may make a `ModelInfo` for each question.
_MOST_MODELS: Final = 1_000


@dataclass(slots=True)
class _OfLoop:
    """The clients of one loop.

    Attributes:
        by_connection: By what of a model a client depends on.
        by_model: By the model's `id`, with the model so that this stays its own: what a client
            depends on takes longer to hash than to ask for.
        winding_down: Whether no further request is sent, by clients to come neither.
    """

    by_connection: dict[Hashable, Client] = field(default_factory=dict)
    by_model: dict[int, tuple[ModelInfo, Client]] = field(default_factory=dict)
    winding_down: bool = False


def _no_loop() -> None:
    """Stand for the reference to a loop."""


class Clients:
    """Finds the clients of the running loop, and makes them.

    An SDK's connections belong to the loop they were opened on.

    Args:
        connect: Makes the client of a model.
    """

    def __init__(self, connect: Callable[[ModelInfo], Client]) -> None:
        self._connect = connect
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop]
        self._by_loop = weakref.WeakKeyDictionary()
        self._latest: tuple[Callable[[], asyncio.AbstractEventLoop | None], _OfLoop]
        self._latest = _no_loop, _OfLoop()

    @property
    def in_use(self) -> bool:
        """Whether a loop that is not closed has clients."""
        loops = [loop for loop in self._by_loop if not loop.is_closed()]
        return any(self._by_loop[loop].by_connection for loop in loops)

    def of(self, model: ModelInfo) -> Client:
        """Return the client that asks `model`."""
        clients = self._own()
        if (known := clients.by_model.get(id(model))) is not None:
            return known[1]
        if len(clients.by_model) >= _MOST_MODELS:
            clients.by_model.clear()
        if (client := clients.by_connection.get(model.connection)) is None:
            client = clients.by_connection[model.connection] = self._connect(model)
            if clients.winding_down:
                client.wind_down()
        clients.by_model[id(model)] = model, client
        return client

    def open(self) -> list[Client]:
        """Return this loop's clients."""
        clients = self._by_loop.get(asyncio.get_running_loop())
        return [] if clients is None else list(clients.by_connection.values())

    def take(self) -> list[Client]:
        """Return this loop's clients and forget them."""
        clients = self.open()
        self._by_loop.pop(asyncio.get_running_loop(), None)
        self._latest = _no_loop, _OfLoop()
        return clients

    @property
    def is_winding_down(self) -> bool:
        """Whether this loop's clients send no further request."""
        return self._own().winding_down

    def wind_down(self) -> None:
        """Let this loop's clients, those to come too, send no further request."""
        clients = self._own()
        clients.winding_down = True
        for client in clients.by_connection.values():
            client.wind_down()

    def _own(self) -> _OfLoop:
        loop = asyncio.get_running_loop()
        known, clients = self._latest
        if known() is loop:  # a look into the dictionary takes longer than the rest of this
            return clients
        clients = self._by_loop.setdefault(loop, _OfLoop())
        self._latest = weakref.ref(loop), clients
        return clients
