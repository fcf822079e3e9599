"""The spans of a trial: one for the trial, each node, and each call. Imports mlflow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlflow.entities import Span, SpanType
from mlflow.tracing.constant import SpanAttributeKey
from mlflow.tracing.utils import build_otel_context, dump_span_attribute_value
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status, StatusCode

from ember_bench.tracking.fields import cut, item_name
from ember_bench.tracking.messages import TracedCall, TracedTrial

# A trace's texts are shown whole in a browser, and sent as one request.
_LONGEST: Final = 20_000


class TrialSpans:
    """The spans of one trial.

    Its times are those of the trial's virtual clock, in which a stored answer takes as long as it
    took when it was given; the clock begins with the run.

    Args:
        trial: The trial.
        name: Name of the span of the whole.
        key: No other trace has the same: it gives the trace its id, and a trace that is written
            twice is one.
        started: Beginning of the run, nanoseconds since 1970.

    Attributes:
        trace_id: MLflow's id of the trace.
        spans: An outer one before those within it.
        inputs: What went into the trial. Item and epoch come first: MLflow pairs the traces of two
            runs by the beginning of this.
        outputs: What came of it.
        seconds: How long it took.
    """

    def __init__(self, trial: TracedTrial, name: str, key: str, started: int) -> None:
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        self._number = int.from_bytes(digest[:16], "big") or 1
        self.trace_id = f"tr-{self._number:032x}"
        self._started = started
        self._nodes: dict[str, int] = {}
        self._times = dict(_node_times(trial))
        self.spans: list[Span] = []
        self.inputs = {
            "item": item_name(trial.item),
            "epoch": trial.epoch,
            "question": cut(trial.question, _LONGEST),
        }
        self.outputs = _said(trial)
        self.seconds = max([end for _, end in self._times.values()], default=0.0)
        attributes = {"target": trial.target, "epoch": str(trial.epoch), "clock": "virtual"}
        failed = trial.error is not None
        root = self._add(
            name, None, SpanType.CHAIN, self.inputs, self.outputs, (0.0, self.seconds), attributes,
            failed=failed,
        )  # fmt: skip
        self._add_nodes(trial, root)
        for call in trial.calls:
            self._add_call(call, self._parent(call.node, root))

    def _add_nodes(self, trial: TracedTrial, root: int) -> None:
        question = {"question": self.inputs["question"]}
        for node in trial.nodes:
            inputs: dict[str, Any] = {"from": node.inputs} if node.inputs else question
            output = None if node.output is None else _cut_json(json.loads(node.output))
            self._add_node(node.name, root, inputs, output, {"operator": node.operator})

    def _parent(self, path: str, root: int) -> int:
        """Return the span of a node, which may be within another's graph."""
        parent = root
        parts = path.split("/") if path else []
        for number in range(len(parts)):
            inner = "/".join(parts[: number + 1])
            if inner not in self._nodes:
                self._add_node(inner, parent, {}, None, {})
            parent = self._nodes[inner]
        return parent

    def _add_node(
        self, path: str, parent: int, inputs: Any, outputs: Any, attributes: Mapping[str, Any]
    ) -> None:
        name = path.rpartition("/")[2]
        times = self._times[path]
        self._nodes[path] = self._add(
            name, parent, SpanType.TASK, inputs, outputs, times, attributes
        )

    def _add_call(self, call: TracedCall, parent: int) -> None:
        provider, _, model = call.model.partition(":")
        counted = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
        tokens = {name: number for name, number in counted.items() if number is not None}
        if len(tokens) == len(counted):
            tokens["total_tokens"] = sum(tokens.values())
        attributes: dict[str, Any] = {
            "role": call.role,
            "shared": not call.made,
            SpanAttributeKey.MODEL: model,
            SpanAttributeKey.MODEL_PROVIDER: provider,
        }
        if tokens:
            attributes[SpanAttributeKey.CHAT_USAGE] = tokens
        if call.cost_usd is not None:
            attributes[SpanAttributeKey.LLM_COST] = {"total_cost": call.cost_usd}
        said = None if call.text is None else cut(call.text, _LONGEST)
        message: dict[str, Any] = {"role": "assistant", "content": said}
        if call.thoughts:
            message["reasoning_content"] = cut(call.thoughts, _LONGEST)
        messages = {"messages": _cut_json(json.loads(call.messages))}
        self._add(
            f"{call.role}: {call.model}" if call.role else call.model,
            parent,
            SpanType.CHAT_MODEL,
            messages | json.loads(call.parameters),
            {"choices": [{"message": message}]},
            (call.started, call.started + (call.latency_seconds or 0.0)),
            attributes,
        )

    def _add(
        self,
        name: str,
        parent: int | None,
        kind: str,
        inputs: Any,
        outputs: Any,
        times: tuple[float, float],
        attributes: Mapping[str, Any],
        *,
        failed: bool = False,
    ) -> int:
        """Add a span that is over; return its number."""
        number = len(self.spans) + 1
        values = {
            SpanAttributeKey.REQUEST_ID: self.trace_id,
            SpanAttributeKey.SPAN_TYPE: kind,
            SpanAttributeKey.INPUTS: inputs,
            **({} if outputs is None else {SpanAttributeKey.OUTPUTS: outputs}),
            **attributes,
        }
        start, end = (self._started + round(seconds * 1e9) for seconds in times)
        made = ReadableSpan(
            name,
            context=build_otel_context(self._number, number),
            parent=None if parent is None else build_otel_context(self._number, parent),
            resource=Resource.get_empty(),
            attributes={key: dump_span_attribute_value(value) for key, value in values.items()},
            status=Status(StatusCode.ERROR if failed else StatusCode.OK),
            start_time=start,
            end_time=end,
        )
        self.spans.append(Span(made))
        return number


def _said(trial: TracedTrial) -> dict[str, Any]:
    said = {"answer": trial.answer, "outcome": trial.outcome, "score": trial.score}
    if trial.error is not None:
        said["error"] = cut(trial.error, _LONGEST)
    elif trial.explanation:
        said["explanation"] = cut(trial.explanation, _LONGEST)
    return said


def _node_times(trial: TracedTrial) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield start and end of every node in seconds: those of its calls.

    One without calls takes no time, and comes when the nodes before it have ended.
    """
    spans: dict[str, list[float]] = {}
    for call in trial.calls:
        parts = call.node.split("/") if call.node else []
        for number in range(len(parts)):
            times = spans.setdefault("/".join(parts[: number + 1]), [])
            times += [call.started, call.started + (call.latency_seconds or 0.0)]
    found = {name: (min(times), max(times)) for name, times in spans.items()}
    for node in trial.nodes:
        if node.name not in found:
            at = max((found[name][1] for name in node.inputs), default=0.0)
            found[node.name] = (at, at)
    yield from found.items()


def _cut_json(value: Any) -> Any:
    """Return JSON with its texts cut."""
    if isinstance(value, str):
        return cut(value, _LONGEST)
    if isinstance(value, dict):
        return {key: _cut_json(entry) for key, entry in value.items()}
    return [_cut_json(entry) for entry in value] if isinstance(value, list) else value
