"""Fields that operators need and give, and chains that cannot work: refused before any call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from ember_bench.code_identity import is_built_in
from ember_bench.errors import SignatureError
from ember_bench.graph import GraphExecutorService, NoNGraphData
from ember_bench.models.call import Call
from ember_bench.operators import (
    Attempts,
    BestOf,
    Branch,
    CascadeOperator,
    Critic,
    EnsembleOperator,
    FindPerspectives,
    Function,
    Fuser,
    GetAnswerOperator,
    JudgeBasedOperator,
    LMModule,
    Map,
    MostCommonOperator,
    Operator,
    Predict,
    Retrieve,
    Router,
    Sequential,
    Signature,
    VerifierOperator,
    WeightedVote,
)
from ember_bench.operators.fields import ANYTHING, names, outputs_of
from tests.operators.networks import every_operator, items_of, jittering
from tests.support.models import module, scripted, serve

MODEL = jittering(0)
SERVICE = serve(MODEL)


def lm() -> LMModule:
    return module(SERVICE, MODEL)


def all_networks() -> Mapping[str, Operator]:
    return every_operator(lm)


def run_recorded(network: Operator, inputs: Mapping[str, Any]) -> list[tuple[Operator, Any, Any]]:
    """Run a network; return (operator, its inputs, its outputs) of every part that was called."""
    seen: list[tuple[Operator, Any, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        call_with = Operator.call_with

        def recording(self: Operator, compute: Any, inputs: Any = None, /, **fields: Any) -> Any:
            output = call_with(self, compute, inputs, **fields)
            seen.append((self, {**(inputs or {}), **fields}, output))
            return output

        patch.setattr(Operator, "call_with", recording)
        network(inputs)
    return seen


@pytest.mark.parametrize("name", all_networks())
def test_outputs_are_among_those_declared(name: str) -> None:
    for operator, inputs, output in run_recorded(all_networks()[name], items_of(name)):
        found = outputs_of(operator, inputs)
        if found is not ANYTHING:
            assert set(output) <= set(found), type(operator).__name__


@pytest.mark.parametrize("name", all_networks())
def test_an_input_is_needed_if_and_only_if_it_fails_without(name: str) -> None:
    for operator, inputs, _ in run_recorded(all_networks()[name], items_of(name)):
        for left_out in inputs:
            given = {key: value for key, value in inputs.items() if key != left_out}
            try:
                outputs_of(operator, given)
            except SignatureError:
                with pytest.raises((SignatureError, KeyError)):  # KeyError: of a test's function
                    operator(given)
            else:
                operator(given)


def test_each_built_in_operator_that_asks_declares_its_outputs() -> None:
    def kinds(cls: type[Operator]) -> Iterator[type[Operator]]:
        for kind in cls.__subclasses__():
            yield kind
            yield from kinds(kind)

    asking = [k for k in kinds(Operator) if is_built_in(k) and k.default_signature is not None]
    public = {k.__name__ for k in asking if not k.__name__.startswith("_")}
    silent = {k.__name__ for k in asking if k.gives is None and "check_fields" not in vars(k)}
    assert len(public) > 15
    assert {name for name in silent if name in public} == {"Verifying"} & public


class Counted:
    """LM modules that count their calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.model = scripted(self.answer)
        self.service = serve(self.model)

    async def answer(self, call: Call) -> str:
        self.calls += 1
        return "Answer: 7"

    def lms(self, count: int = 1) -> dict[str, Any]:
        return {"lm_modules": [module(self.service, self.model) for _ in range(count)]}


class Topic(Signature):
    prompt_template: str | None = "{query} {topic} {candidates}"


BROKEN: dict[str, tuple[Callable[[Counted], Operator], str]] = {
    "a vote without responses": (
        lambda c: FindPerspectives(**c.lms()) >> MostCommonOperator(),
        r"missing input 'responses'; .*; step 1 of 2 \(FindPerspectives\) gives 'perspectives'",
    ),
    "a judge whose prompt names what nobody gives": (
        lambda c: EnsembleOperator(**c.lms(2)) >> JudgeBasedOperator(**c.lms(), signature=Topic),
        "missing input 'topic', which the prompt template names",
    ),
    "fields of a step before the last are not passed on": (
        lambda c: (
            EnsembleOperator(**c.lms(2))
            >> Critic(**c.lms())
            >> GetAnswerOperator()
            >> WeightedVote()
        ),
        r"missing input 'weights'.*\(GetAnswerOperator\) gives 'final_answer'",
    ),
    "a second stage without responses": (
        lambda c: CascadeOperator(
            stages=[EnsembleOperator(**c.lms(2)), FindPerspectives(**c.lms())]
        ),
        "stage 2 of the cascade returns no `responses`",
    ),
    "within another operator": (
        lambda c: Attempts(
            operator=FindPerspectives(**c.lms()) >> Map(operator=EnsembleOperator(**c.lms())),
            retries=1,
        ),
        "missing input 'queries'",
    ),
    "a graph": (
        lambda c: NoNGraphData(
            {
                "drafts": EnsembleOperator(**c.lms(2)),
                "topics": FindPerspectives(**c.lms()),
                "vote": MostCommonOperator(),
            },
            {"vote": ["topics"]},
        ),
        r"missing input 'responses'.*; node 'topics' \(FindPerspectives\) gives 'perspectives'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_work_is_refused_before_anything_is_asked(name: str) -> None:
    build, message = BROKEN[name]
    counted = Counted()
    with pytest.raises(SignatureError, match=message):
        build(counted)(query="?")
    assert counted.calls == 0


def test_the_error_says_where() -> None:
    counted = Counted()
    graph = BROKEN["a graph"][0](counted)
    assert isinstance(graph, NoNGraphData)
    with pytest.raises(SignatureError) as caught:
        GraphExecutorService().run(graph_data=graph, input_data={"query": "?"})
    assert caught.value.__notes__ == ["in MostCommonOperator", "in node 'vote'"]
    assert counted.calls == 0


def test_what_is_given_from_outside_counts() -> None:
    counted = Counted()
    rerank = Retrieve(corpus=["a fact"]) >> JudgeBasedOperator(**counted.lms())
    assert rerank(query="?", responses=["7"])["final_answer"] == "7"
    chain = EnsembleOperator(**counted.lms()) >> JudgeBasedOperator(
        **counted.lms(), signature=Topic
    )
    assert chain(query="?", topic="sums")["final_answer"] == "7"
    assert chain(query="?", metadata={"topic": "sums"})["final_answer"] == "7"


class Whim(Operator):
    def forward(self, inputs: Any) -> Any:
        return {"responses": ["7"]}


class Own(FindPerspectives):
    """Gives what its base does not, without saying so."""

    def forward(self, inputs: Any) -> Any:
        return {"responses": ["7"]}


class Declaring(Operator):
    gives = ("note",)

    def forward(self, inputs: Any) -> Any:
        return {"note": "n"}


class Filling(Signature):
    """Adds an input of its own."""

    prompt_template: str | None = "{query} {topic}"

    def render(self, inputs: Any) -> str:
        return super().render({**inputs, "topic": "sums"})


def test_operators_that_declare_nothing_are_open() -> None:
    counted = Counted()
    for first in (Whim(), Own(**counted.lms()), Function(lambda: {"responses": ["7"]})):
        assert (first >> MostCommonOperator())(query="?")["final_answer"] == "7"
    asks = Retrieve(corpus=["a"]) >> EnsembleOperator(**counted.lms(), signature=Filling())
    assert asks(query="?")["responses"] == ["Answer: 7"]


def test_operators_of_ones_own_may_declare() -> None:
    with pytest.raises(SignatureError, match=r"step 1 of 2 \(Declaring\) gives 'note'"):
        (Declaring() >> MostCommonOperator())(query="?")


def test_of_several_ways_one_must_work() -> None:
    counted = Counted()
    judge, drafts = JudgeBasedOperator(**counted.lms()), EnsembleOperator(**counted.lms())
    branch = Branch(predicate=lambda i: "responses" in i, then=judge, otherwise=drafts)
    assert outputs_of(branch, {"query": "?"}) == names("responses", "outputs")
    assert branch(query="?") == {"responses": ["Answer: 7"]}
    router = Router(routes={"a": judge, "b": MostCommonOperator()}, by=lambda i: "a")
    with pytest.raises(SignatureError, match="missing input 'responses'"):
        (Retrieve(corpus=["a"]) >> router)(query="?")
    unchanged = Branch(predicate=lambda i: False, then=judge)
    assert (unchanged >> drafts)(query="?") == {"responses": ["Answer: 7"]}


class Verdict(BaseModel):
    correct: bool


def test_an_answer_with_fields_gives_these() -> None:
    counted = Counted()
    signature = Signature(prompt_template="{query}", structured_output=Verdict)
    chain = Predict(signature, **counted.lms()) >> MostCommonOperator()
    with pytest.raises(SignatureError, match=r"\(Predict\) gives 'correct'"):
        chain(query="?")
    assert counted.calls == 0


@pytest.mark.parametrize("kind", [VerifierOperator, Fuser, BestOf])
def test_a_step_alone_is_a_chain(kind: Callable[..., Operator]) -> None:
    counted = Counted()
    chain = Sequential(operators=[kind(**counted.lms())])
    with pytest.raises(SignatureError, match="missing input 'responses'"):
        chain(query="?")
    assert chain(query="?", responses=["7"])["final_answer"] == "7"
