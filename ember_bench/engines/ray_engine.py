"""The Ray engine: one worker on each node of a cluster, and the driver in this process.

Ray carries the messages, finds the nodes, brings the working directory to them, and tells of
workers that are lost. It is the extra `ray`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pydantic import BaseModel

from ember_bench.engines.dispatch import Dispatcher, Outbox
from ember_bench.engines.driver import Driver, Link
from ember_bench.engines.ray_servers import RayServers
from ember_bench.engines.ray_worker import Opening, RayWorker, layout_of, with_keys
from ember_bench.errors import ConfigError, EmberBenchError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.models.info import ModelInfo, ProviderInfo
from ember_bench.models.service import ModelService
from ember_bench.models.wire.adapting import require
from ember_bench.secrets import names_secret

_LOOK_SECONDS: Final = 1.0
# Requests that were answered are told within this time when a run is given up.
_LEAVE_SECONDS: Final = 3.0
# Of a node on which no worker can be started.
_MOST_FAILURES: Final = 3

# Beside secrets: where models are, and what their clouds' libraries and the project read.
_FORWARDED: Final = re.compile(
    r"EMBER_BENCH_\w+|(?:AWS|AZURE|GOOGLE|VERTEX\w*|OPENAI|ANTHROPIC)_\w+|\w+_(?:BASE_URL|API_BASE"
    r"|ENDPOINT|HOST)|(?i:https?_proxy|no_proxy|all_proxy)"
)
# What makes a working directory large, and what is not to leave this machine.
_NOT_SENT: Final = (
    ".git", ".venv", "venv", "node_modules", "__pycache__", ".env", ".env.*", "mlruns", "*.db",
    "*.db-wal", "*.db-shm",
)  # fmt: skip


_LOGGER: Final = logging.getLogger("ember_bench.ray")


class _OtherExperimentError(ConfigError):
    """A worker reads other data or another version than the driver."""


class RayEngine:
    """Runs trials on the nodes of a Ray cluster.

    Use it as a context manager: Ray is started, or connected to, at its begin, and left at its end.

    Args:
        address: The cluster's address; "local" starts Ray on this machine, for this run. A program
            that uses Ray already stays in its cluster.
        opening: Opens the experiment on a node.
        excluded: Folders in the working directory that are not sent to the nodes.

    Raises:
        ConfigError: if Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, address: str, opening: Opening, excluded: Iterable[Path | str] = ()) -> None:
        self._address = address
        self._opening = opening
        self._excluded = list(excluded)
        self._ray: Any = None
        self._owns_ray = False
        self._pickled = b""
        self._dispatcher: Dispatcher | None = None
        self._layout: Mapping[str, str] = {}
        self._actors: dict[str, Any] = {}
        self._links: dict[str, Link] = {}
        self._failures: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        """Start Ray, or connect to it."""
        # Before Ray is imported, which reads them then.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        require("ray", "ray", "--engine ray")
        import ray  # noqa: PLC0415 - an extra

        self._ray = ray
        try:
            self._pickled = _pickled(self._opening)
        except Exception as error:  # whatever a user's object does when it is pickled
            raise ConfigError(
                f"--engine ray: the study cannot be sent to other processes: {error}"
            ) from None
        if not ray.is_initialized():
            self._connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers, and leave Ray if it was not used before."""
        with suppress(Exception):  # the cluster may be gone
            for actor in self._actors.values():
                self._ray.kill(actor)
        if self._owns_ray:
            self._ray.shutdown()

    @property
    def servers(self) -> RayServers:
        """Where the servers of local models run."""
        return RayServers(self._ray, driver_environment())

    @property
    def nodes(self) -> int:
        """Number of nodes on which there can be a worker."""
        return len(self._nodes())

    @property
    def workers(self) -> int:
        """Number of workers that take trials."""
        return len(self._links)

    def _connect(self) -> None:
        runtime = {
            "working_dir": str(Path.cwd()),
            "excludes": [*_NOT_SENT, *(_pattern(folder) for folder in self._excluded)],
        }
        try:
            self._ray.init(
                address=self._address,
                runtime_env=runtime,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                **({"include_dashboard": False} if self._address == "local" else {}),
            )
        except Exception as error:  # of Ray's many kinds
            line = str(error).strip().partition("\n")[0]
            raise ConfigError(f"--engine ray:{self._address}: {line}") from None
        self._owns_ray = True
        # Ray prints what befalls workers to stdout, where results go, and has no option for it.
        with suppress(ImportError, AttributeError):
            import ray._private.worker as of_ray  # noqa: PLC0415 - an extra

            of_ray.print_to_stdstream = _noted

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        """Yield the results of trials as they come; see `Engine.run`.

        Raises:
            EmberBenchError: if no worker can be started, or workers end again and again.
            StoreError: if answers cannot be kept.
        """
        dispatcher = self._dispatcher or self._begin(experiment)
        over = False
        try:
            async for batch in dispatcher.run(experiment, trials, stop):
                yield batch
            over = True
        finally:
            if not over:
                await self._give_up()

    def _begin(self, experiment: Experiment) -> Dispatcher:
        dispatcher = self._dispatcher = Dispatcher(Driver(experiment))
        self._layout = layout_of(experiment)
        self._spawn(self._attend(experiment, dispatcher))
        return dispatcher

    async def _attend(self, experiment: Experiment, dispatcher: Dispatcher) -> None:
        """See to it that there is a worker on each node."""
        while True:
            try:
                nodes = await asyncio.to_thread(self._nodes)
            except Exception as error:  # of Ray's many kinds: the head is gone
                dispatcher.failed(EmberBenchError(f"Ray cannot be reached any more: {error}"))
                return
            for node, name in nodes.items():
                if node not in self._actors:
                    actor = self._actors[node] = self._start(node)
                    self._spawn(self._serve(node, name, actor, experiment, dispatcher))
            await asyncio.sleep(_LOOK_SECONDS)

    def _nodes(self) -> dict[str, str]:
        """Return the names of the nodes that have processors, by their ids."""
        return {
            node["NodeID"]: node["NodeManagerAddress"]
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        }

    def _start(self, node: str) -> Any:
        from ray.util.scheduling_strategies import (  # noqa: PLC0415 - an extra
            NodeAffinitySchedulingStrategy,
        )

        place = NodeAffinitySchedulingStrategy(node, soft=False)
        actor = self._ray.remote(RayWorker)
        # A worker that is lost is another one when it comes back: nothing is to be tried again
        # that the driver does not know of.
        options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
        return actor.options(scheduling_strategy=place, **options).remote()

    async def _serve(
        self, node: str, name: str, actor: Any, experiment: Experiment, dispatcher: Dispatcher
    ) -> None:
        """Open a worker, and take its messages until it is lost."""
        link: Link | None = None
        try:
            layout = await actor.open.remote(
                self._pickled, driver_environment(), experiment.account,
                budgeted=experiment.budget is not None,
            )  # fmt: skip
            self._check(name, layout)
            link = Link(name, Outbox(actor.deliver.remote).send)
            self._links[node] = link
            self._failures.pop(node, None)
            dispatcher.joined(link)
            while True:
                dispatcher.heard(link, await actor.poll.remote())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the worker is lost, or could not be opened
            if link is not None:
                dispatcher.left(link, error)
            elif isinstance(error, _OtherExperimentError) or self._fails_again(node):
                dispatcher.failed(self._plain(name, error))
                return
            else:
                # The node may be about to end, or not have all files yet.
                await asyncio.sleep(_LOOK_SECONDS)
            self._links.pop(node, None)
            self._actors.pop(node, None)

    def _fails_again(self, node: str) -> bool:
        self._failures[node] = self._failures.get(node, 0) + 1
        return self._failures[node] >= _MOST_FAILURES

    def _plain(self, name: str, error: Exception) -> EmberBenchError:
        """Return why a worker could not be opened."""
        if isinstance(error, _OtherExperimentError):
            return error
        if isinstance(cause := getattr(error, "cause", None), EmberBenchError):
            return ConfigError(f"the worker on {name}: {cause}")
        return EmberBenchError(f"the worker on {name} cannot be started: {error}")

    def _check(self, name: str, layout: Mapping[str, str]) -> None:
        """See that a worker has the same experiment.

        Raises:
            _OtherExperimentError: if not; names the first difference.
        """
        for what in [*self._layout, *layout]:
            if (here := self._layout.get(what)) != (there := layout.get(what)):
                raise _OtherExperimentError(
                    f"the worker on {name} has another experiment: {what} is"
                    f" {there or 'missing'} there, and {here or 'missing'} here"
                )

    async def _give_up(self) -> None:
        """End all workers; answers that they have are stored."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*map(self._leave, list(self._links)), return_exceptions=True)

    async def _leave(self, node: str) -> None:
        link, actor = self._links.pop(node), self._actors.pop(node)
        with suppress(Exception):  # it may be what is lost
            last = await asyncio.wait_for(actor.leave.remote(), _LEAVE_SECONDS)
            if self._dispatcher is not None:
                self._dispatcher.heard(link, last)
        with suppress(Exception):
            self._ray.kill(actor)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pickled(opening: Opening) -> bytes:
    """Return the opening of an experiment as bytes.

    A service has connections and locks, and goes as a new one for its registry: in an experiment,
    the experiment's makes the calls of all modules. Keys that a program has set go along, which
    other pickles of a model are without: the bytes are an argument, which Ray does not log.
    """
    from ray import cloudpickle  # noqa: PLC0415 - an extra

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # Ray ships no types of it
        def reducer_override(self, thing: Any) -> Any:
            if isinstance(thing, ModelService):
                return ModelService, (thing.registry,)
            if isinstance(thing, ModelInfo | ProviderInfo):
                fields = {name: getattr(thing, name) for name in type(thing).model_fields}
                state = BaseModel.__getstate__(thing) | {"__dict__": fields}
                return with_keys, (type(thing), state)
            return super().reducer_override(thing)

    file = BytesIO()
    Pickler(file).dump(opening)
    return file.getvalue()


def _noted(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
    """Log what Ray would print."""
    _LOGGER.info("%s", "\n".join(map(str, data.get("lines", ()))))


def driver_environment() -> dict[str, str]:
    """Return the variables that workers need: keys, and where models are."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RAY_") and (names_secret(name) or _FORWARDED.fullmatch(name))
    }


def _pattern(folder: Path | str) -> str:
    """Return a folder of the working directory as a pattern of what is not sent."""
    path = Path(folder).absolute()
    here = Path.cwd()
    return f"/{path.relative_to(here)}" if path.is_relative_to(here) and path != here else "/-"
