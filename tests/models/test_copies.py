"""Copies and pickles of services, LM modules, operators and graphs."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ember_bench import EnsembleOperator, MostCommonOperator, NoNGraphData
from ember_bench.models.budget import Budget
from ember_bench.models.store.memory import MemoryStore
from ember_bench.models.store.response_store import ResponseStore
from tests.support.models import module, serve, telling

ANY = {"query": "q"}


def through_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_program_asks_through_the_same_service(copied: Callable[[Any], Any]) -> None:
    model = telling()
    service = serve(model, store=MemoryStore())
    operator = EnsembleOperator(lm_modules=[module(service, model)])
    twin = copied(operator)
    assert twin is not operator
    first, second = operator(ANY), twin(ANY)
    assert first != second  # the second draw of one request
    assert service.usage_service.summary().total.calls == 2
    assert twin.describe() == operator.describe()


@pytest.mark.parametrize("again", [copy.deepcopy, through_pickle])
def test_a_graph_is_the_same_network_when_it_is_copied(again: Callable[[Any], Any]) -> None:
    model = telling()
    lm = module(serve(model), model)
    nodes = {"e": EnsembleOperator(lm_modules=[lm, lm]), "v": MostCommonOperator()}
    graph = NoNGraphData(nodes, {"v": ["e"]})
    twin = again(graph)
    assert twin.describe() == graph.describe()
    assert len(twin.lm_modules()) == 1  # what was one is one
    assert twin(ANY)["final_answer"] is not None


def test_a_service_that_was_pickled_finds_the_answers_of_its_store(tmp_path: Path) -> None:
    model = telling()
    service = serve(model, store=ResponseStore(tmp_path / "responses.db"), account="a")
    answer = service(model, "q")
    twin = through_pickle(service)
    assert twin is not service
    found = twin(model, "q")
    assert (found.data, found.stored) == (answer.data, True)


def test_a_store_in_memory_is_empty_in_another_process() -> None:
    model = telling()
    service = serve(model, store=MemoryStore())
    service(model, "q")
    assert not through_pickle(service)(model, "q").stored


def test_a_budget_is_not_spent_twice() -> None:
    service = serve(telling(), budget=Budget(run_usd=1.0))
    with pytest.raises(TypeError, match="a ModelService with a budget cannot be pickled"):
        pickle.dumps(service)
    assert copy.deepcopy(service) is service
