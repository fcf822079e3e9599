"""Turns of cells whose models' servers have too few GPUs to run all at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial
from ember_bench.models.gpus import counted
from ember_bench.models.info import ModelInfo

Servers = frozenset[str]

# Orders that are tried; each takes a time that grows with the square of their length.
_MOST_ORDERS: Final = 32


@dataclass(frozen=True, slots=True)
class Turn:
    """Cells that are asked together.

    Attributes:
        groups: What servers they need.
        running: The servers that run meanwhile.
    """

    groups: frozenset[Servers]
    running: Servers


class Turns:
    """Divides trials so that servers with GPUs run in turn, where not all of them can at once.

    Args:
        experiment: The experiment.
        is_done: Whether a trial needs no server any more.
    """

    def __init__(self, experiment: Experiment, is_done: Callable[[Trial], bool]) -> None:
        self._experiment = experiment
        self._is_done = is_done
        self._asked = [self._models(number) for number in range(len(experiment.cells))]
        self._in_use = any(m.launch and m.launch.gpus for models in self._asked for m in models)
        self._running: Servers = frozenset()

    async def of(self, trials: Iterable[Trial]) -> AsyncGenerator[Iterable[Trial], None]:
        """Yield trials turn by turn; before each, servers that have had their turn are ended.

        Raises:
            ConfigError: if a trial needs servers that there are too few GPUs for.
        """
        if not self._in_use:
            yield trials
            return
        servers = self._experiment.service.servers
        room = await servers.room()
        trials = [trial for trial in trials if not self._is_done(trial)]
        cells = dict.fromkeys(trial.cell for trial in trials)
        needs = {cell: await servers.gpus(self._asked[cell]) for cell in cells}
        sizes = {server: gpus for need in needs.values() for server, gpus in need.items()}
        for cell, need in needs.items():
            if not fits(need, need, room):
                raise ConfigError(_too_few(self._experiment.cells[cell].name, need, room))
        groups = {cell: frozenset(need) for cell, need in needs.items()}
        running = frozenset(server for server in self._running if server in sizes)
        for turn in turns_of(groups.values(), sizes, room, running):
            self._running = turn.running
            # Requests of trials that have failed may be in flight.
            await self._experiment.service.drain()
            await servers.keep(turn.running)
            yield [trial for trial in trials if groups[trial.cell] in turn.groups]

    def _models(self, number: int) -> list[ModelInfo]:
        """Return the models that trials of a cell send requests to."""
        service, cell = self._experiment.service, self._experiment.cells[number]
        return [
            *(cell.models if service.asks(judges=False) else ()),
            *(self._experiment.judges_of(cell) if service.asks(judges=True) else ()),
        ]


def turns_of(
    groups: Iterable[Servers],
    sizes: Mapping[str, int],
    room: Sequence[int],
    running: Servers = frozenset(),
) -> list[Turn]:
    """Return the turns of groups of cells, by the servers that these need.

    Of several orders the one is taken in which the fewest servers are started. Each order goes on
    with the group that has the fewest servers to start.

    Args:
        groups: Each of which fits.
        sizes: GPUs of each server.
        room: GPUs of each machine.
        running: The servers that run at the beginning.
    """
    distinct = list(dict.fromkeys(groups))
    orders = (_order(first, distinct, sizes, room, running) for first in distinct[:_MOST_ORDERS])
    return min(orders, key=lambda turns: _starts(turns, running), default=[])


def fits(servers: Iterable[str], sizes: Mapping[str, int], room: Sequence[int]) -> bool:
    """Whether there are GPUs for all of some servers: the largest first, each on one machine."""
    free = list(room)
    for size in sorted((sizes[server] for server in servers), reverse=True):
        place = next((i for i, left in enumerate(free) if left >= size), None)
        if place is None:
            return False
        free[place] -= size
    return True


def _order(
    chosen: Servers,
    groups: Sequence[Servers],
    sizes: Mapping[str, int],
    room: Sequence[int],
    running: Servers,
) -> list[Turn]:
    """Return the turns that begin with the group `chosen`."""
    left = list(groups)
    turns: list[Turn] = []
    while True:
        left.remove(chosen)
        if fits(running | chosen, sizes, room):
            before = turns.pop().groups if turns else frozenset()
            running |= chosen
        else:
            before = frozenset()
            needed: Servers = frozenset().union(*left)
            kept = chosen
            for server in sorted(running & needed):
                if fits(kept | {server}, sizes, room):
                    kept |= {server}
            running = kept
        turns.append(Turn(before | {chosen}, running))
        if not left:
            return turns
        now = running
        chosen = min(left, key=lambda group: len(group - now))


def _starts(turns: Iterable[Turn], before: Servers) -> int:
    starts = 0
    for turn in turns:
        starts += len(turn.running - before)
        before = turn.running
    return starts


def _too_few(cell: str, need: Mapping[str, int], room: Sequence[int]) -> str:
    servers = ", ".join(f"{server} {gpus}" for server, gpus in need.items())
    there = " + ".join(map(str, room)) or "0"
    return (
        f"{cell}: the servers of its models take {counted(sum(need.values()))} at the same time"
        f" ({servers}), and the number of GPUs is {there}; EMBER_BENCH_GPUS states another. If all"
        " answers are stored, --offline needs none"
    )
