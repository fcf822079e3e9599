"""A worker as an actor of Ray; imports nothing of Ray."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, TypeVar

from pydantic import SecretStr

from ember_bench.engines.worker import Worker
from ember_bench.experiment.cells import json_digest
from ember_bench.experiment.prepare import Experiment
from ember_bench.models.info import ModelInfo, ProviderInfo
from ember_bench.secrets import remember

ModelT = TypeVar("ModelT", ModelInfo, ProviderInfo)

Opening = Callable[[], Experiment]
"""Opens the experiment; it is pickled, and called on each node."""


def layout_of(experiment: Experiment) -> dict[str, str]:
    """Return digests of all that a trial's number stands for, by what they are digests of.

    Not of user code and evaluators: a function that was pickled has no file any more. Fingerprints
    of trials are the driver's.
    """
    found = {"version of ember-bench": version("ember-bench")}
    for number, cell in enumerate(experiment.cells):
        parts = {name: digest for name, digest in cell.parts.items() if name != "code"}
        found[f"cell {number} ({cell.name})"] = json_digest(parts)
    for name, questions in experiment.questions.items():
        found[f"dataset {name}"] = questions.identity
    return found


def with_keys(kind: type[ModelT], state: dict[Any, Any]) -> ModelT:
    """Return a model or provider of a pickle that has its keys; they are in no text from now on."""
    made = kind.__new__(kind)
    made.__setstate__(state)
    for value in vars(made).values():
        for key in value if isinstance(value, tuple) else (value,):
            if isinstance(key, SecretStr):
                remember(key.get_secret_value())
    return made


class RayWorker:
    """Opens the experiment on its node, and runs trials of it.

    All methods are coroutines, so that Ray runs them on one event loop.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None

    async def open(
        self, opening: bytes, environment: Mapping[str, str], account: str, *, budgeted: bool
    ) -> dict[str, str]:
        """Open the experiment; return its layout, which must be the driver's.

        Args:
            opening: The pickled `Opening`.
            environment: Variables of the driver, keys among them. They come as an argument: what
                is in a runtime environment, Ray logs.
            account: Account that requests are paid on.
            budgeted: Whether the driver has a budget.
        """
        from ray import cloudpickle  # noqa: PLC0415 - an extra

        os.environ.update(environment)
        experiment: Experiment = cloudpickle.loads(opening)()
        self._worker = Worker(experiment, account, budgeted=budgeted)
        return layout_of(experiment)

    async def poll(self) -> bytes:
        """Return the next messages to the driver; see `Worker.poll`."""
        return await self._opened.poll()

    async def deliver(self, data: bytes) -> None:
        """Take messages of the driver; see `Worker.deliver`."""
        self._opened.deliver(data)

    async def leave(self) -> bytes:
        """Give everything up; see `Worker.leave`."""
        return await self._opened.leave()

    @property
    def _opened(self) -> Worker:
        if self._worker is None:
            raise RuntimeError("the worker was not opened")
        return self._worker
