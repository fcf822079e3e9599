"""The description of an experiment in its trial store: results are read without the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from ember_bench import __version__
from ember_bench.datasets.suites import Suite
from ember_bench.evaluators.base import judge_models
from ember_bench.evaluators.kinds import evaluator_identity
from ember_bench.evaluators.preferred import pairwise_answers
from ember_bench.evaluators.several import further_of, headline_of
from ember_bench.evaluators.texts import Confidence
from ember_bench.experiment.edits import Edits
from ember_bench.experiment.results.items import AskedItems, Select
from ember_bench.experiment.results.summary import (
    CellSummary,
    Correction,
    DatasetSummary,
    ExperimentSummary,
    RunSummary,
)
from ember_bench.graph.data import NoNGraphData

if TYPE_CHECKING:
    from ember_bench.experiment.cells import Cell
    from ember_bench.experiment.prepare import Experiment
    from ember_bench.experiment.questions import Questions


class NodeDescription(msgspec.Struct, frozen=True, array_like=True):
    """A node of a cell's graph, as a diagram shows it.

    Attributes:
        operator: Class of its operator.
        models: Ids of the models it asks, one for each LM module, in order.
        inputs: Names of the nodes whose outputs it is given.
        nodes: Those in it, if it is a graph itself.
    """

    name: str
    operator: str
    models: list[str]
    inputs: list[str]
    nodes: list[NodeDescription]


class CellDescription(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cell, as `CellSummary` has it, without results.

    Attributes:
        nodes: Nodes of its graph, in graph order.
        left_out: Number of items that it is not asked.
        elsewhere: Number of the other items that are in other shards.
    """

    name: str
    label: str
    dataset: str
    architecture: str
    parameters: dict[str, Any]
    models: list[str]
    simulated: bool
    oracle: bool
    replayed: bool
    nodes: list[NodeDescription]
    left_out: int = 0
    elsewhere: int = 0

    def summary(self, scheduled: int, **found: Any) -> CellSummary:
        """Return the summary of the cell, of `scheduled` trials; `found` are its other fields."""
        own = ("nodes", "left_out", "elsewhere")
        shared = {name: getattr(self, name) for name in self.__struct_fields__ if name not in own}
        return CellSummary(**shared, scheduled=scheduled, **found)


class Description(msgspec.Struct, frozen=True, dict=True, kw_only=True, omit_defaults=True):
    """An experiment, as `ExperimentSummary` has it, without results.

    Attributes:
        grid: Its file, as the user named it; "" for a study.
        edits: Changes of what the file says, if it is a pilot.
        baseline: The architecture that the grid names as baseline; None if it names none.
        baselines: Name of the cell that others are compared with, by dataset.
        cells: In grid order.
        asked: The identity of what the table `asked` has, by dataset.
        price_dates: Days on which the prices of its models were read, those of earlier runs
            included.
        correction: How p-values are corrected for the number of comparisons.
        shrinkage: Whether accuracies of groups of items are also drawn towards their mean.
        controls: Name of the cell by whose scores those of others are sharpened, by dataset.
        items: In the order in which they are asked, by dataset.
        suites: Datasets that are reported as one.
        shard: The part of the experiment that is here, as `3/8`; "" for all of it.
    """

    name: str
    grid: str
    digest: str
    version: str
    seed: int
    epochs: int
    failures: str
    level: float
    baseline: str | None
    baselines: dict[str, str]
    datasets: list[DatasetSummary]
    cells: list[CellDescription]
    asked: dict[str, str]
    price_dates: list[str] = []
    edits: Edits | None = None
    correction: Correction = "maxt"
    shrinkage: bool = False
    controls: dict[str, str] = {}
    items: Mapping[str, AskedItems] = {}
    suites: list[Suite] = []
    shard: str = ""

    @cached_property
    def places(self) -> dict[str, int]:
        """Index of each cell by its name."""
        return {cell.name: index for index, cell in enumerate(self.cells)}

    @cached_property
    def item_places(self) -> dict[str, dict[str, int]]:
        """Index of each item by its id, for each dataset."""
        return {
            name: {item.id: index for index, item in enumerate(items)}
            for name, items in self.items.items()
        }

    def dataset(self, name: str) -> DatasetSummary:
        """Return the dataset of this name."""
        return next(dataset for dataset in self.datasets if dataset.name == name)

    def summary(
        self, cells: list[CellSummary], spend_usd: float | None, run: RunSummary
    ) -> ExperimentSummary:
        """Return the summary of the experiment from those of its cells."""
        return ExperimentSummary(
            name=self.name,
            digest=self.digest,
            version=self.version,
            seed=self.seed,
            epochs=self.epochs,
            failures=self.failures,
            level=self.level,
            baseline=self.baseline,
            simulated=any(cell.simulated for cell in cells),
            datasets=self.datasets,
            cells=cells,
            spend_usd=spend_usd,
            run=run,
            price_dates=self.price_dates,
            correction=self.correction,
            shard=self.shard,
        )

    def scheduled(self, cell: CellDescription) -> int:
        """Return the number of trials of `cell` in the grid, or in the shard."""
        return (len(self.items[cell.dataset]) - cell.left_out - cell.elsewhere) * self.epochs


def encode(description: Description) -> str:
    """Return a description as JSON, without its items."""
    return msgspec.json.encode(msgspec.structs.replace(description, items={})).decode()


def decode(stored: str, select: Select) -> Description:
    """Decode a description and add the items from the tables of the trial store.

    Raises:
        msgspec.MsgspecError: if it is none.
    """
    described = _decode(stored)
    items = {
        dataset.name: AskedItems.stored(select, dataset.name, dataset.items)
        for dataset in described.datasets
    }
    return msgspec.structs.replace(described, items=items)


def digest_of(stored: str) -> str:
    """Return a digest of a description as JSON, by which a changed byte is noticed."""
    return blake2b(stored.encode(), digest_size=16).hexdigest()


_decode: Final = msgspec.json.Decoder(Description).decode


def describe(experiment: Experiment, earlier_dates: Sequence[str] = ()) -> Description:
    """Return an experiment's description without its items, which its trial store has.

    Args:
        experiment: The experiment.
        earlier_dates: Dates of the prices in earlier runs.
    """
    spec = experiment.spec
    dates = {model.price_date.isoformat() for model in experiment.models if model.price_date}
    return Description(
        name=experiment.name,
        grid="" if experiment.path is None else str(experiment.path),
        digest=experiment.digest,
        version=__version__,
        seed=spec.seed,
        epochs=spec.epochs,
        failures=spec.failures,
        level=spec.level,
        correction=spec.correction,
        shrinkage=spec.shrinkage,
        controls={name: cell.name for name, cell in experiment.controls.items()},
        baseline=spec.baseline.name if spec.baseline else None,
        baselines={name: cell.name for name, cell in experiment.baselines.items()},
        datasets=[_dataset(name, asked) for name, asked in experiment.questions.items()],
        cells=[_cell(cell, experiment) for cell in experiment.cells],
        asked={name: asked.identity for name, asked in experiment.questions.items()},
        price_dates=sorted({*earlier_dates, *dates}),
        edits=experiment.edits or None,
        suites=list(experiment.suites),
        shard=str(experiment.shard or ""),
    )


def _dataset(name: str, asked: Questions) -> DatasetSummary:
    headline, further = headline_of(asked.evaluator), further_of(asked.evaluator)
    own = [model.model_id for model in judge_models(headline)]
    everyone = [model.model_id for model in judge_models(asked.evaluator)]
    confidences = [other for other, found in further.items() if isinstance(found, Confidence)]
    return DatasetSummary(
        name=name,
        source=asked.dataset.source,
        revision=asked.dataset.revision,
        digest=asked.dataset.digest,
        items=len(asked.items),
        evaluator=headline.name,
        evaluator_identity=evaluator_identity(headline),
        judges=everyone or UNSET,
        own_judges=UNSET if own == everyone else own,
        also=list(further) or UNSET,
        labels=asked.labels or UNSET,
        calibration=asked.calibration or UNSET,
        metrics=list(asked.metrics) or UNSET,
        confidence=confidences[0] if confidences else UNSET,
        pairwise=pairwise_answers(headline) or UNSET,
    )


def _cell(cell: Cell, experiment: Experiment) -> CellDescription:
    left_out = len(experiment.left_out.get(cell.name, ()))
    return CellDescription(
        name=cell.name,
        label=cell.label,
        dataset=cell.dataset,
        architecture=cell.architecture.name,
        parameters=cell.parameters,
        models=[model.model_id for model in cell.models],
        simulated=experiment.is_simulated(cell),
        oracle=cell.architecture.card.oracle,
        replayed=cell.replayed,
        nodes=_nodes(cell.graph),
        left_out=left_out,
        elsewhere=len(experiment.not_asked(cell)) - left_out,
    )


def _nodes(graph: NoNGraphData) -> list[NodeDescription]:
    return [
        NodeDescription(
            name=node.name,
            operator=type(node.operator).__name__,
            models=[lm.model.model_id for lm in node.operator.lm_modules()],
            inputs=list(node.inputs),
            nodes=_nodes(node.operator) if isinstance(node.operator, NoNGraphData) else [],
        )
        for node in graph
    ]
