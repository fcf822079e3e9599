"""A run that makes the choice its grid asks for, and stores the certificates."""

from __future__ import annotations

import msgspec

from ember_bench.decisions.decider import Decider
from ember_bench.decisions.searcher import Searcher
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.certificate import DECISIONS, Certificate
from ember_bench.experiment.runner import Run


class Deciding:
    """Lets a run stop when its grid's choice is made; changes nothing if there is none to make.

    Certificates of an earlier run, whose rows may change now, are forgotten. A shard has not the
    first items of the grid, and so decides nothing: that is done once its results are merged.

    Args:
        run: The run, which has not begun.
        whole: Whether it is to do the whole grid all the same.

    Raises:
        ConfigError: if a search is to be whole, or a shard.
    """

    def __init__(self, run: Run, *, whole: bool) -> None:
        self._run = run
        self._decider: Decider | None = None
        self._searcher: Searcher | None = None
        spec = run.experiment.spec
        if spec.search is not None and (whole or run.experiment.shard is not None):
            option = "--whole" if whole else "--shard"
            raise ConfigError(f"{option}: a search asks a part of its grid; use it without search")
        if run.store.fact(DECISIONS) is not None:
            run.store.note(DECISIONS, "[]")
        if spec.search is not None:
            self._searcher = Searcher(run.experiment, run.store)
            run.experiment = self._searcher.experiment
            run.stages = self._searcher.stages()
        elif spec.decide is not None and run.experiment.shard is None:
            self._decider = Decider(run.experiment, run.store, whole=whole)
            run.stages = self._decider.stages()

    def end(self) -> bool:
        """Store the certificates; return whether there are any, and nothing is left to ask.

        After a search the store describes the systems alone that it asked, and the baseline.
        """
        found: list[Certificate] = []
        if self._searcher is not None:
            if (certificate := self._searcher.certificate()) is not None:
                found = [certificate]
                names = certificate.on_all(certificate.cells)
                names |= {cell.name for cell in self._run.experiment.baselines.values()}
                self._run.experiment = self._run.store.narrow(names)
        elif self._decider is not None:
            found = self._decider.certificates()
        else:
            return False
        self._run.store.note(DECISIONS, msgspec.json.encode(found).decode())
        return bool(found) and all(certificate.over for certificate in found)
