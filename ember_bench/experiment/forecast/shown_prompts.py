"""The messages that models will be asked, before the first call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import groupby

import msgspec

from ember_bench import bridge
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.forecast.rehearsal import Asked, Cast, Rehearsal, without_marks
from ember_bench.experiment.prepare import Experiment
from ember_bench.models.types import Message


class ShownCall(msgspec.Struct, frozen=True):
    """Equal calls of a trial.

    Attributes:
        count: Their number.
        role: Their purpose: `generate`, `verify`, `judge`, ...
        messages: The conversation. Answers in it are those of a stand-in that is always right.
    """

    model: str
    role: str
    count: int
    messages: tuple[Message, ...]


class ShownItem(msgspec.Struct, frozen=True):
    """What a cell asks about one item, and what its answer is compared with.

    Attributes:
        id: The item's id.
        calls: In the order in which they are made.
        answer_format: Reads the answer out of the text.
        targets: The right answers.
        evaluator: The name of the evaluator.
    """

    id: str
    calls: tuple[ShownCall, ...]
    answer_format: str
    targets: tuple[str, ...]
    evaluator: str


class ShownCell(msgspec.Struct, frozen=True):
    """What a cell asks about its first items."""

    name: str
    label: str
    items: tuple[ShownItem, ...]


def show_prompts(experiment: Experiment, rehearsal: Rehearsal, number: int) -> list[ShownCell]:
    """Return what each cell asks about its first `number` items; makes no call.

    Args:
        experiment: Prepared with `rehearsal` as its service.
        rehearsal: Answers in place of the models.
        number: The number of items.
    """
    return asyncio.run(_shown(experiment, rehearsal, number))


async def _shown(experiment: Experiment, rehearsal: Rehearsal, number: int) -> list[ShownCell]:
    cells = []
    for cell in experiment.cells:
        count = min(number, len(experiment.questions[cell.dataset].items))
        items = [await _item(experiment, rehearsal, cell, index) for index in range(count)]
        cells.append(ShownCell(cell.name, cell.label, tuple(items)))
    return cells


async def _item(experiment: Experiment, rehearsal: Rehearsal, cell: Cell, index: int) -> ShownItem:
    questions = experiment.questions[cell.dataset]
    await bridge.run(rehearsal.trial, cell, questions, index, 0, Cast.RIGHT)
    item = questions.items[index]
    return ShownItem(
        id=item.id,
        calls=tuple(_calls(rehearsal.take())),
        answer_format=item.answer_format,
        targets=(item.target, *item.alternatives),
        evaluator=questions.evaluator.name,
    )


def _calls(asked: list[Asked]) -> Iterator[ShownCall]:
    requests = [(entry.call.request, entry.evaluation) for entry in asked]
    shown = [
        (r.model.model_id, "evaluation" if judges else r.role, tuple(map(_readable, r.messages)))
        for r, judges in requests
    ]
    for (model, role, messages), equal in groupby(shown):
        yield ShownCall(model, role, len(list(equal)), messages)


def _readable(message: Message) -> Message:
    return msgspec.structs.replace(message, content=without_marks(message.content))
