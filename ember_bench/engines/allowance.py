"""The limits that the card of a model states, for all processes of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

from ember_bench.models.info import ModelInfo
from ember_bench.models.limits import SharedBucket
from ember_bench.models.limits.shared import shared_path
from ember_bench.models.providers.base import provider_class


class Allowance:
    """Requests in flight, requests a minute and tokens a minute of one key of a model.

    Args:
        most: Most requests in flight.
        requests: Counts requests; None for no limit.
        tokens: Counts tokens; None for no limit.
        sleep: Waits for some seconds; injected in tests.
    """

    def __init__(
        self,
        most: int,
        requests: SharedBucket | None = None,
        tokens: SharedBucket | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._left = most
        self._requests = requests
        self._tokens = tokens
        self._sleep = sleep
        self._turn = asyncio.Lock()  # in the order in which they come
        self._freed = asyncio.Event()

    @classmethod
    def of(cls, model: ModelInfo, lane: int) -> Self:
        """Return what a model's card allows one of its keys.

        Raises:
            ConfigError: if a key is missing.
        """
        limit = model.rate_limit
        key = None
        if (limit.requests_per_minute, limit.tokens_per_minute) != (None, None):
            key = _key(model, lane)

        def bucket(per_minute: int | None, unit: str) -> SharedBucket | None:
            if per_minute is None:
                return None
            return SharedBucket(per_minute, shared_path(model, unit, key))

        return cls(
            model.max_concurrency,
            bucket(limit.requests_per_minute, "requests"),
            bucket(limit.tokens_per_minute, "tokens"),
        )

    def take_now(self) -> bool:
        """Take one request if nothing is to be waited for, whoever waits; else False."""
        if self._requests or self._tokens or self._turn.locked() or not self._left:
            return False
        self._left -= 1
        return True

    async def take(self, tokens: float) -> None:
        """Wait until one more request may begin; `give_back` must follow.

        Args:
            tokens: That it will have, as far as one can tell.
        """
        async with self._turn:
            while not self._left:
                self._freed.clear()
                await self._freed.wait()
            self._left -= 1
            try:
                waits = [0.0]
                if self._requests is not None:
                    waits.append(self._requests.take(1))
                if self._tokens is not None:
                    waits.append(self._tokens.take(tokens))
                if (seconds := max(waits)) > 0:
                    await self._sleep(seconds)
            except BaseException:
                self._give_room()
                raise

    def give_back(self, tokens: float, used: float) -> None:
        """End a request.

        Args:
            tokens: That were taken.
            used: That it had.
        """
        if self._tokens is not None:
            self._tokens.settle(tokens, used)
        self._give_room()

    def _give_room(self) -> None:
        self._left += 1
        self._freed.set()


def _key(model: ModelInfo, lane: int) -> str | None:
    """Return one of several keys of a model; None for the only one that it has."""
    providers = provider_class(model.provider_name)(model).for_each_key()
    keys = [key.get_secret_value() for p in providers if (key := p.model.key) is not None]
    return keys[lane] if len(keys) > 1 else None
