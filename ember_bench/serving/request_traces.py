"""The last requests of a server of networks, and a page for each: what its models were asked."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ember_bench.drawing.html import joined, tag
from ember_bench.drawing.number_format import UNDEFINED, dollars, seconds
from ember_bench.experiment.trial_calls import entries, in_order
from ember_bench.models.call import Call
from ember_bench.models.client import as_stored
from ember_bench.models.strand import CallRecord
from ember_bench.models.types import Completion
from ember_bench.report.html_report import page_of
from ember_bench.serving.assets import asset
from ember_bench.serving.networks import Answer, Question
from ember_bench.serving.pages import facts_of
from ember_bench.serving.trial_pages import calls_of

_MOST: Final = 1_000
_MOST_CHARACTERS: Final = 64_000_000


@dataclass
class RequestTrace:
    """One request.

    Attributes:
        id: Nobody guesses it: who knows it may see the page.
        model: Name of the network.
        question: What it was asked.
        sampling: The sampling parameters that it used in place of its own.
        unused: Names of those that it did not use.
        began: Seconds since 1970.
        seconds: How long it took; None while it is under way.
        answers: Its answers.
        error: Why there are none; empty if there are.
    """

    id: str
    model: str
    question: Question
    sampling: Mapping[str, Any]
    unused: Sequence[str]
    began: float = field(default_factory=time.time)
    seconds: float | None = None
    answers: Sequence[Answer] = ()
    error: str = ""

    def __post_init__(self) -> None:
        """Begin without a call."""
        self._calls: list[tuple[CallRecord, Call, Completion]] = []

    def note(self, call: Call, completion: Completion, record: CallRecord) -> None:
        """Keep an answered call."""
        self._calls.append((record, call, completion))

    def end(self, answers: Sequence[Answer], error: str = "") -> None:
        """Note how it ended."""
        self.answers, self.error = answers, error
        self.seconds = time.time() - self.began

    @property
    def size(self) -> int:
        """Characters that it keeps, about."""
        texts = (len(c.request.encoded_messages) + len(done.text) for _, c, done in self._calls)
        return len(self.question.text) + sum(texts)

    def page(self) -> str:
        """Return its page, without a script; all text that is not ours is escaped."""
        costs = [answer.cost_usd for answer in self.answers]
        known = [usd for usd in costs if usd is not None]
        began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.began))
        facts = [
            *((f"{turn.role} before", turn.content) for turn in self.question.turns),
            ("question", self.question.text),
            *(("answer", answer.data or UNDEFINED) for answer in self.answers),
            ("error", self.error),
            ("sampling of the request", _listed(self.sampling)),
            ("not used", ", ".join(self.unused)),
            ("cost", dollars(sum(known) if costs and len(known) == len(costs) else None)),
            ("began", began),
            ("took", "under way" if self.seconds is None else f"{seconds(self.seconds)} s"),
        ]
        records = in_order([record for record, *_ in self._calls])
        stored = {call.key: as_stored(call, done) for _, call, done in self._calls}
        body = joined(
            [
                tag("header", tag("h1", f"Request to {self.model}")),
                tag("main", facts_of(facts), *calls_of("", entries(records), stored)),
            ]
        )
        return page_of(f"{self.model}: ember-bench", body, style=asset("view.css"))


class RequestTraces:
    """The last requests, in memory: a thousand, and fewer if their texts are long."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, RequestTrace] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._total = 0

    def begin(self, trace: RequestTrace) -> None:
        """Keep a request from now on."""
        self._kept[trace.id] = trace
        if len(self._kept) > _MOST:
            self._drop()

    def end(self, trace: RequestTrace, answers: Sequence[Answer], error: str = "") -> None:
        """Note how a request ended."""
        trace.end(answers, error)
        if trace.id in self._kept:
            self._sizes[trace.id] = trace.size
            self._total += trace.size
        while self._total > _MOST_CHARACTERS and len(self._kept) > 1:
            self._drop()

    def get(self, name: str) -> RequestTrace | None:
        """Return the request of an id; None if it is not kept."""
        return self._kept.get(name)

    def _drop(self) -> None:
        name, _ = self._kept.popitem(last=False)
        self._total -= self._sizes.pop(name, 0)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
