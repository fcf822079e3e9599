"""A sample of trials for traces, with the outputs of their nodes and calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final

import msgspec
from pydantic import BaseModel

from ember_bench import bridge
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.attribution import observe
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.trial import CallEntry, Trial
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.tracking.messages import TracedCall, TracedNode, TracedTrial

_COLUMNS: Final = ("outcome", "score", "answer", "explanation", "error", "cost_usd", "fingerprint")


async def sample_trials(
    experiment: Experiment, rows: TrialRows, answers: ResponseStore, count: int
) -> AsyncGenerator[TracedTrial, None]:
    """Yield up to `count` of the trials that are done.

    Items come in their seeded order, each on all cells, so that traces of different cells are of
    the same items. The graphs are run once more, on stored answers, for what their nodes gave.

    Args:
        experiment: The experiment after its run; its service is offline after this.
        rows: Its results.
        answers: The response store, closed after this.
        count: The maximum number.
    """
    service = experiment.service
    service.attach(answers, offline=True)
    try:
        for trial in experiment.trials():
            if count <= 0:
                return
            values = rows.row(trial.cell, trial.item, trial.epoch, _COLUMNS)
            if values is None:
                continue
            count -= 1
            row = dict(zip(_COLUMNS, values, strict=True))
            outputs = None
            if row["outcome"] != "error":
                outputs = await bridge.run(observe, experiment, trial)
            yield _traced(experiment, trial, row, outputs or {}, rows, answers)
    finally:
        await service.close()


def _traced(
    experiment: Experiment,
    trial: Trial,
    row: dict[str, Any],
    outputs: Mapping[str, Any],
    rows: TrialRows,
    answers: ResponseStore,
) -> TracedTrial:
    cell = experiment.cells[trial.cell]
    item = experiment.questions[cell.dataset].items[trial.item]
    calls = rows.calls(trial.cell, trial.item, trial.epoch) or ()
    return TracedTrial(
        identity=row.pop("fingerprint").hex(),
        cell=cell.name,
        item=item.id,
        epoch=trial.epoch,
        question=item.question,
        target=item.target,
        nodes=[
            TracedNode(
                name=node.name,
                operator=type(node.operator).__name__,
                inputs=list(node.inputs),
                output=_json(outputs[node.name]) if node.name in outputs else None,
            )
            for node in cell.graph
        ],
        output=cell.graph.output,
        calls=list(_calls(calls, answers)),
        **row,
    )


def _calls(calls: tuple[CallEntry, ...], answers: ResponseStore) -> Iterator[TracedCall]:
    stored = answers.calls({call.key for call in calls})
    for call in calls:
        found = stored.get(call.key)
        yield TracedCall(
            node=call.node,
            role=call.role,
            model=call.model,
            messages=found.messages if found else "[]",
            parameters=found.parameters if found else "{}",
            text=found.completion.text if found else None,
            started=call.started,
            latency_seconds=call.latency_seconds,
            cost_usd=call.cost_usd,
            input_tokens=call.input_tokens,
            output_tokens=call.output_tokens,
            made=call.made,
            thoughts=found.completion.thoughts if found else "",
        )


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def _plain(value: Any) -> Any:
    """Return an output of a user's operator in a form that JSON can have."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
