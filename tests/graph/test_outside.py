"""Calls outside trials: equal ones are counted by the service, however they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench import EnsembleOperator, NoNGraphData, Operator, ResponseStore, jit, vmap
from ember_bench.graph import parallel
from ember_bench.models import MemoryStore, ModelInfo, ModelService
from ember_bench.models.call import Call
from ember_bench.models.store.response_store import CallStore
from tests.support.models import module, modules, scripted, serve, telling

WAYS = ("call", "operator", "graph", "jitted", "vmap", "parallel")


class Session:
    """One process with a store: it builds everything anew."""

    def __init__(self, model: ModelInfo, store: CallStore | Path) -> None:
        self.model = model
        self.service: ModelService = serve(model, store=store)

    @property
    def made(self) -> int:
        total = self.service.usage_service.summary().total
        return total.calls - total.stored_calls

    def ensemble(self, size: int = 1) -> EnsembleOperator:
        return EnsembleOperator(lm_modules=modules(self.service, self.model, size))

    def graph(self, size: int = 1) -> NoNGraphData:
        return NoNGraphData({"only": self.ensemble(size)})

    def ask(self, way: str, query: str) -> list[str]:
        """Ask one question in one of the ways of asking."""
        lm = module(self.service, self.model)
        prompt = self.ensemble()._prompt({"query": query})
        ways: dict[str, Callable[[], Any]] = {
            "call": lambda: [lm(prompt)],
            "operator": lambda: self.ensemble()(query=query)["responses"],
            "graph": lambda: self.graph()(query=query)["responses"],
            "jitted": lambda: jit(self.ensemble())(query=query)["responses"],
            "vmap": lambda: vmap(self.graph())([{"query": query}])[0]["responses"],
            "parallel": lambda: parallel([lambda: lm(prompt)]),
        }
        return list(ways[way]())


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from(WAYS), st.sampled_from("ab")), max_size=8),
    st.data(),
)
def test_all_ways_of_asking_agree_in_any_order_and_over_sessions(
    asked: list[tuple[str, str]], data: st.DataObject
) -> None:
    model, store = telling(), MemoryStore()
    first = Session(model, store)
    answers = {query: [first.ask(w, q)[0] for w, q in asked if q == query] for query in "ab"}
    assert first.made == len(asked)
    assert all(len(set(drawn)) == len(drawn) for drawn in answers.values())
    again = Session(model, store)
    for query in "ab":
        ways = data.draw(st.permutations([w for w, q in asked if q == query]))
        assert [again.ask(way, query)[0] for way in ways] == answers[query]
    assert again.made == 0


def test_five_new_graphs_on_one_store_are_five_draws(tmp_path: Path) -> None:
    model, path = telling(), tmp_path / "responses.sqlite"

    def five() -> tuple[list[str], int]:
        session = Session(model, ResponseStore(path))
        answers = [session.graph()(query="q")["responses"][0] for _ in range(5)]
        return answers, session.made

    answers, made = five()
    assert len(set(answers)) == made == 5
    assert five() == (answers, 0)


def test_a_graph_and_an_operator_of_three_members_make_the_same_calls() -> None:
    model, store = telling(), MemoryStore()
    drawn = Session(model, store).ensemble(3)(query="q")["responses"]
    session = Session(model, store)
    assert session.graph(3)(query="q")["responses"] == drawn
    assert session.made == 0


def test_a_part_of_a_batch_is_paid_once() -> None:
    model, store = telling(), MemoryStore()

    def mapped(numbers: range) -> tuple[list[Any], int]:
        session = Session(model, store)
        outputs = vmap(session.graph())([{"query": f"What is {n}?"} for n in numbers])
        return outputs, session.made

    everything, _ = mapped(range(10))
    assert mapped(range(2, 10)) == (everything[2:], 0)


class Choosy(Operator):
    """Asks further only if it likes the answer, which a trace cannot know."""

    def __init__(self, lms: Sequence[Any]) -> None:
        self.lms = list(lms)

    def forward(self, inputs: Any) -> Any:
        first = self.lms[0](f"first {inputs['query']}")
        marked = f"<{first}>"
        if "red" in marked:
            return {"said": self.lms[0]("about red")}
        return {"said": self.lms[0]("about blue"), "more": self.lms[0]("shared")}


def test_a_jitted_call_that_departs_from_its_trace_counts_as_eager_code_does() -> None:
    async def answer(call: Call) -> str:
        prompt = call.request.messages[-1].content
        return "red" if prompt == "first 1" else f"{prompt} {call.draw_text}"

    model = scripted(answer)

    def session(store: CallStore, wrap: Callable[[Operator], Any]) -> tuple[list[Any], Session]:
        one = Session(model, store)
        asked = wrap(Choosy([module(one.service, model)]))
        return [asked(query=str(n)) for n in (0, 1, 2)], one

    store = MemoryStore()
    jitted, _ = session(store, jit)
    eager, made = session(store, lambda operator: operator)
    assert jitted == eager
    assert made.made == 0
