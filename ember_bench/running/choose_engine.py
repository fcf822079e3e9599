"""The engine that a run names: `local`, or `ray[:ADDRESS]`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from ember_bench.engines import LocalEngine
from ember_bench.errors import ConfigError, did_you_mean
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.runner import Engine
from ember_bench.models.info import ModelInfo
from ember_bench.running.study_spec import RunOptions

_RAY_ADDRESS: Final = "RAY_ADDRESS"
# Options of what a run does with its results; a worker has none.
_OF_RESULTS: Final = frozenset(
    {"results", "tracking_uri", "mlflow", "traces", "shard", "whole", "engine", "quiet", "data_dir"}
)


@contextmanager
def chosen_engine(
    name: str | None,
    experiment: Experiment,
    opening: Callable[[RunOptions], Experiment],
    options: RunOptions,
    results: Path,
) -> Iterator[Engine]:
    """Yield the engine of a run, and end it.

    Args:
        name: Its name; None for the local one.
        experiment: What is run.
        opening: Opens it again, where trials run in other processes.
        options: For `opening`.
        results: The results folder.

    Raises:
        ConfigError: if there is no such engine, or it cannot run the experiment.
    """
    kind, _, address = (name or "local").partition(":")
    if kind == "local" and not address:
        yield LocalEngine()
        return
    if kind != "ray":
        raise ConfigError(
            f"--engine: expected local or ray[:ADDRESS], found {name!r}"
            f"{did_you_mean(kind, ['local', 'ray'])}"
        )
    from ember_bench.engines.ray_engine import RayEngine  # noqa: PLC0415 - Ray is heavy

    _check(experiment.models, address)
    given: dict[str, object] = {k: v for k, v in options.items() if k not in _OF_RESULTS}
    again = partial(opening, RunOptions(**given))  # type: ignore[typeddict-item]
    service = experiment.service
    with RayEngine(address or os.environ.get(_RAY_ADDRESS) or "local", again, [results]) as engine:
        before, service.servers = service.servers, engine.servers
        try:
            yield engine
        finally:
            service.servers = before


def _check(models: list[ModelInfo], address: str) -> None:
    """See that Ray can run what asks these models.

    Raises:
        ConfigError: if not.
    """
    if address.startswith("ray://"):
        raise ConfigError(
            "--engine ray: an address of Ray Client (ray://) is not supported: run the command on a"
            " node of the cluster, with its address (HOST:6379) or auto"
        )
    if batch := [model.model_id for model in models if model.mode == "batch"]:
        raise ConfigError(
            f"--engine ray: {batch[0]} has mode: batch, and waits for its provider in one process:"
            " use the local engine"
        )
