"""Caching must not change accuracy: a store that is off, cold or warm gives the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from ember_bench.graph import NoNGraphData, execute, parallel
from ember_bench.models import ModelCost, ModelInfo, ModelService, ResponseStore
from ember_bench.models.call import Call
from ember_bench.models.strand import Strand
from ember_bench.operators import (
    CascadeOperator,
    EnsembleOperator,
    JudgeBasedOperator,
    LMModule,
    MostCommonOperator,
    Operator,
    OracleOperator,
    VerifierOperator,
)
from tests.support.models import (
    Subject,
    at_once,
    in_trial,
    module,
    modules,
    scripted,
    serve,
    simulated,
)

PRICE = ModelCost(input_cost_per_thousand=0.5, output_cost_per_thousand=1.5)
SIMULATED = [
    ModelInfo(
        model_id=f"simulated:{name}",
        cost=PRICE,
        options={"accuracy": accuracy, "distractors": 3, "correlation": 0.2},
    )
    for name, accuracy in (("weak", 0.4), ("strong", 0.8))
]


async def moody(call: Call) -> str:
    """Answer otherwise each time, as a paid model does."""
    if call.request.role == "verify":
        return random.choice(["Verdict: yes", "Verdict: no"])
    return f"Answer: {random.randrange(4)}"


MOODY = [scripted(moody, cost=PRICE) for _ in range(2)]


class Loop(Operator):
    """Asks one module several times, one after another or at the same time."""

    def __init__(self, lm: LMModule, times: int, *, together: bool) -> None:
        self.lm, self.times, self.together = lm, times, together

    def forward(self, inputs: Any) -> Any:
        asks: list[Callable[[], str]] = [lambda: self.lm(inputs["query"])] * self.times
        responses = parallel(asks) if self.together else [ask() for ask in asks]
        return {"responses": responses}


class Again(Operator):
    """Runs an operator several times, and collects what it gives."""

    def __init__(self, inner: Operator, times: int) -> None:
        self.inner, self.times = inner, times

    def forward(self, inputs: Any) -> Any:
        responses = []
        for _ in range(self.times):
            output = self.inner({k: v for k, v in inputs.items() if k != "responses"})
            responses += output.get("responses", [output.get("final_answer") or "?"])
        return {"responses": responses}


class Fresh(Operator):
    """Makes its modules on the fly."""

    def __init__(self, service: ModelService, model: ModelInfo, times: int) -> None:
        self.make = Maker(service, model)
        self.times = times

    def forward(self, inputs: Any) -> Any:
        return {"responses": [self.make()(inputs["query"]) for _ in range(self.times)]}


@dataclass
class Maker:
    service: ModelService
    model: ModelInfo

    def __call__(self) -> LMModule:
        return module(self.service, self.model)


# A network as data: (kind, model, count, temperature, inner network).
sources = st.tuples(
    st.sampled_from(["ensemble", "loop", "parallel", "fresh"]),
    st.integers(0, 1),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.7]),
    st.none(),
)
choosers = st.tuples(
    st.sampled_from(["vote", "verify", "judge", "oracle"]),
    st.integers(0, 1),
    st.just(1),
    st.sampled_from([0.0, 0.7]),
    st.none(),
)


def nested(networks: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(
        st.sampled_from(["graph", "again", "cascade"]),
        st.integers(0, 1),
        st.integers(1, 3),
        st.just(0.7),
        networks,
    )


networks = st.recursive(
    st.tuples(st.lists(sources, min_size=1, max_size=3), st.lists(choosers, max_size=2)),
    lambda inner: st.tuples(
        st.lists(sources | nested(inner), min_size=1, max_size=3), st.lists(choosers, max_size=2)
    ),
    max_leaves=4,
)


def build(network: Any, models: list[ModelInfo], service: ModelService) -> NoNGraphData:
    graph = NoNGraphData()
    first, then = network
    for number, node in enumerate(first):
        graph.add_node(name=f"source{number}", operator=operator(node, models, service))
    for number, node in enumerate(then):
        before = [n.name for n in graph]
        made = operator(node, models, service)
        graph.add_node(name=f"chooser{number}", operator=made, inputs=before)
    before = [n.name for n in graph]
    graph.add_node(name="final", operator=MostCommonOperator(), inputs=before)
    return graph


def operator(node: Any, models: list[ModelInfo], service: ModelService) -> Operator:
    kind, which, count, temperature, inner = node
    model = models[which]
    made = modules(service, model, count, temperature=temperature)
    match kind:
        case "ensemble":
            return EnsembleOperator(lm_modules=made)
        case "loop" | "parallel":
            return Loop(made[0], count, together=kind == "parallel")
        case "fresh":
            return Fresh(service, model, count)
        case "vote":
            return MostCommonOperator()
        case "oracle":
            return OracleOperator()
        case "verify":
            return VerifierOperator(lm_modules=made)
        case "judge":
            return JudgeBasedOperator(lm_modules=made)
        case "graph":
            return build(inner, models, service)
        case "again":
            return Again(build(inner, models, service), count)
    stages = [Again(build(inner, models, service), count), EnsembleOperator(lm_modules=made)]
    return CascadeOperator(stages=stages, agreement=0.5)


@dataclass
class Outcome:
    outputs: list[Any]
    calls: list[Any]
    clocks: list[float]
    distinct: int
    requests: int
    stored: int


def play(network: Any, models: list[ModelInfo], store: ResponseStore | None) -> Outcome:
    """Run a network on two items in two epochs, built anew as another process would."""
    service = serve(*models, store=store)
    graph = build(network, models, service)

    def trial(item: str, epoch: int) -> tuple[Any, Strand]:
        subject = Subject(id=item, target="1", answer_format="text")
        given = {"query": f"question {item}"}
        return in_trial(lambda: execute(graph, given), subject=subject, epoch=epoch)

    outputs, calls, clocks, distinct = [], [], [], 0
    for output, strand in at_once(partial(trial, *which) for which in product("ab", range(2))):
        outputs.append(output)
        clocks.append(strand.clock)
        made = strand.trial.calls
        calls += sorted((c.key, c.node, c.role, c.usage, c.cost_usd) for c in made)
        assert len({call.key for call in made}) == len(made)
        distinct += len(made)
    total = service.usage_service.summary().total
    assert total.calls == distinct
    requests = total.calls - total.stored_calls
    return Outcome(outputs, calls, clocks, distinct, requests, len(store) if store else 0)


def cold_and_warm(network: Any, models: list[ModelInfo]) -> tuple[Outcome, Outcome]:
    with TemporaryDirectory() as folder:
        runs = []
        for _ in range(2):
            store = ResponseStore(Path(folder) / "responses.db")
            runs.append(play(network, models, store))
            store.close()
    return runs[0], runs[1]


@settings(max_examples=20, deadline=None)
@given(networks)
def test_off_cold_and_warm_are_equal_on_models_that_are_functions_of_the_call(
    network: Any,
) -> None:
    off = play(network, SIMULATED, None)
    cold, warm = cold_and_warm(network, SIMULATED)
    assert off.outputs == cold.outputs == warm.outputs
    assert off.calls == cold.calls == warm.calls
    assert off.clocks == cold.clocks == warm.clocks
    assert off.requests == off.distinct
    assert cold.requests == cold.stored == len({call[0] for call in cold.calls})
    assert warm.requests == 0


@settings(max_examples=12, deadline=None)
@given(networks)
def test_warm_equals_cold_on_models_that_answer_otherwise_each_time(network: Any) -> None:
    cold, warm = cold_and_warm(network, MOODY)
    assert warm.outputs == cold.outputs
    assert warm.calls == cold.calls
    assert warm.clocks == cold.clocks
    assert warm.requests == 0


def test_a_vote_of_five_keeps_its_accuracy_warm(tmp_path: Path) -> None:
    """Not one answer five times: that would be right as often as a single call."""
    p, k, n = 0.65, 5, 250
    model = simulated(accuracy=p)

    def right(store: ResponseStore) -> int:
        service = serve(model, store=store)
        graph = NoNGraphData()
        ensemble = EnsembleOperator(lm_modules=modules(service, model, k, temperature=0.7))
        graph.add_node(name="ensemble", operator=ensemble)
        graph.add_node(name="vote", operator=MostCommonOperator(), inputs=["ensemble"])

        def is_right(number: int) -> bool:
            item = Subject(id=str(number))
            output, _ = in_trial(lambda: execute(graph, {"query": "same for all"}), subject=item)
            return bool(output["vote"]["final_answer"] == item.target)

        return sum(at_once(partial(is_right, number) for number in range(n)))

    counts = []
    for _ in range(2):
        store = ResponseStore(tmp_path / "responses.db")
        counts.append(right(store))
        assert len(store) == k * n
        store.close()
    assert counts[0] == counts[1]
    expected = float(special.betainc((k + 1) / 2, (k + 1) / 2, p))
    assert stats.binomtest(counts[0], n, expected).pvalue > 1e-3
    assert stats.binomtest(counts[0], n, p).pvalue < 1e-3
