"""A run that makes the decision its grid asks for, and stores the certificates."""

from __future__ import annotations

import msgspec

from ember_bench.decisions.decider import Decider
from ember_bench.experiment.results.certificate import DECISIONS
from ember_bench.experiment.runner import Run


class Deciding:
    """Lets a run stop when its grid's decision is sure; changes nothing if there is none to make.

    Certificates of an earlier run, whose rows may change now, are forgotten. A shard has not the
    first items of the grid, and so decides nothing: that is done once its results are merged.

    Args:
        run: The run, which has not begun.
        whole: Whether it is to do the whole grid all the same.
    """

    def __init__(self, run: Run, *, whole: bool) -> None:
        self._store = run.store
        self._decider = None
        if self._store.fact(DECISIONS) is not None:
            self._store.note(DECISIONS, "[]")
        if run.experiment.spec.decide is not None and run.experiment.shard is None:
            self._decider = Decider(run.experiment, run.store, whole=whole)
            run.stages = self._decider.stages()

    def end(self) -> bool:
        """Store the certificates; return whether there are any, and all of them are sure."""
        if self._decider is None:
            return False
        found = self._decider.certificates()
        self._store.note(DECISIONS, msgspec.json.encode(found).decode())
        return all(certificate.sure for certificate in found)
