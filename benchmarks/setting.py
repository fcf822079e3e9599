"""How a measurement is to be made: how large, where, against which server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.server import Server


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        repeats: Of everything that is compared.
        share: Of the items in `contestants`.
        trials: Of the run in process.
        memory: Trials of each run whose peak memory is taken.
        resumed: Trials of the finished grid.
        cells: Of the experiment that is analysed, with `items` items each.
        starts: Of each command.
        sweep: Items of the sweep.
        whole: Whether these are the sizes that the targets are about.
    """

    repeats: int
    share: float
    trials: int
    memory: tuple[int, ...]
    resumed: int
    cells: int
    items: int
    starts: int
    sweep: int
    whole: bool


FULL: Final = Sizes(
    repeats=5,
    share=1.0,
    trials=10_000,
    memory=(10_000, 100_000),
    resumed=100_000,
    cells=100,
    items=10_000,
    starts=10,
    sweep=100,
    whole=True,
)
QUICK: Final = Sizes(
    repeats=1,
    share=0.2,
    trials=2_000,
    memory=(1_000, 10_000),
    resumed=5_000,
    cells=10,
    items=1_000,
    starts=3,
    sweep=20,
    whole=False,
)
MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Setting:
    """Where and how large.

    Attributes:
        environments: The folder of the peers' environments.
        work: A folder on disk, empty in the beginning, gone in the end.
        say: Tells how far it is.
        seconds_left: Until the run should be over.
        million: Whether a million trials are run however long that takes.
    """

    sizes: Sizes
    server: Server
    environments: Path
    work: Path
    say: Callable[[str], None]
    seconds_left: Callable[[], float]
    million: bool = False
