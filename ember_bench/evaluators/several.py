"""Several evaluators of one dataset: the headline, and further ones that score the same outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ember_bench.evaluators.base import (
    Evaluator,
    Judge,
    Score,
    judges_of,
    without_models,
)
from ember_bench.evaluators.by_record import confined
from ember_bench.evaluators.kinds import ALSO, StandIn, evaluator_identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from ember_bench.datasets.item import Item


@dataclass(frozen=True)
class Several:
    """Scores as the headline evaluator does; whoever runs trials asks the further ones, too.

    Attributes:
        headline: Its scores are the accuracy, and are compared.
        further: The others by name.
    """

    headline: Evaluator
    further: Mapping[str, Evaluator]

    @property
    def name(self) -> str:
        """The headline's name."""
        return self.headline.name

    @property
    def identity(self) -> str:
        """The headline's identity, so that simulated answers do not depend on further ones."""
        return self.headline.identity

    @property
    def full_identity(self) -> str:
        """The identities of all of them."""
        further = (f"{ALSO}{n}={evaluator_identity(e)}" for n, e in sorted(self.further.items()))
        return "".join([evaluator_identity(self.headline), *further])

    @property
    def _all(self) -> list[Evaluator]:
        return [self.headline, *self.further.values()]

    @property
    def blocking(self) -> bool:
        """Whether the headline takes its time."""
        return getattr(self.headline, "blocking", False)

    @property
    def normal(self) -> Callable[[Item, str], str] | None:
        """The headline's `normal`, if it has one."""
        return getattr(self.headline, "normal", None)

    @property
    def judges(self) -> tuple[Judge, ...]:
        """The judges of all of them."""
        return tuple(judge for evaluator in self._all for judge in judges_of(evaluator))

    @property
    def without_models(self) -> Evaluator:
        """What stands in for the headline where no model is to be asked."""
        return without_models(self.headline)

    def confined(self, *, unsafe: bool) -> Several:
        """Return the same with the sandboxes of evaluators that run code found."""
        further = {name: confined(e, unsafe=unsafe) for name, e in self.further.items()}
        return Several(confined(self.headline, unsafe=unsafe), further)

    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output` with the headline evaluator."""
        return self.headline.evaluate(item, output)


def headline_of(evaluator: Evaluator) -> Evaluator:
    """Return the evaluator whose scores are the accuracy."""
    if isinstance(evaluator, StandIn):
        return headline_of(evaluator.evaluator)
    return evaluator.headline if isinstance(evaluator, Several) else evaluator


def further_of(evaluator: Evaluator) -> Mapping[str, Evaluator]:
    """Return the further evaluators by name; none if there is one alone."""
    if isinstance(evaluator, StandIn):
        return further_of(evaluator.evaluator)
    return evaluator.further if isinstance(evaluator, Several) else {}
