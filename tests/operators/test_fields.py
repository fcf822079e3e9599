"""Fields that operators need and give, and chains that cannot work: refused before any call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ember_bench.code_identity import is_built_in
from ember_bench.errors import ConfigError, SignatureError
from ember_bench.graph import GraphExecutorService, NoNGraphData, jit, load_operator
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
    UnitTestEvaluator,
    UnitTestGenerator,
    VerifierOperator,
)
from ember_bench.operators.fields import ANYTHING, OF_ITEMS, Asked, names, outputs_of
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

    def lm(self) -> LMModule:
        return module(self.service, self.model)

    def lms(self, count: int = 1) -> dict[str, Any]:
        return {"lm_modules": [module(self.service, self.model) for _ in range(count)]}


class Topic(Signature):
    prompt_template: str | None = "{query} {topic} {candidates}"


class Verdict(BaseModel):
    correct: bool


class Claim(BaseModel):
    claim: str
    context: str = ""


class Whim(Operator):
    def forward(self, inputs: Any) -> Any:
        return {"responses": ["7"]}


class Declaring(Operator):
    gives = ("note",)

    def forward(self, inputs: Any) -> Any:
        return {"note": "n"}


class Needing(Operator):
    needs = ("fact",)

    def forward(self, inputs: Any) -> Any:
        return {"note": inputs["fact"]}


BROKEN: dict[str, tuple[Callable[[Counted], Operator], str]] = {
    "a vote without responses": (
        lambda c: FindPerspectives(**c.lms()) >> MostCommonOperator(),
        r"missing input 'responses'; .*; step 1 of 2 \(FindPerspectives\) gives 'perspectives'",
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
    "a function of something else": (
        lambda c: EnsembleOperator(**c.lms(2)) >> (lambda drafts: drafts[0]),
        r"missing input 'drafts'; .*\(EnsembleOperator\) gives 'responses', 'outputs'",
    ),
    "a misspelt prompt": (
        lambda c: (
            EnsembleOperator(**c.lms(2)) >> Predict(Signature(prompt_template="{respones}"), c.lm())
        ),
        "missing input 'respones'.*is 'responses' misspelt",
    ),
    "operators of one's own": (lambda c: Declaring() >> Needing(), "missing input 'fact'"),
    "answers with fields": (
        lambda c: (
            Predict(Signature(prompt_template="{query}", structured_output=Verdict), c.lm())
            >> MostCommonOperator()
        ),
        r"\(Predict\) gives 'correct'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_work_is_refused_when_it_is_made(name: str) -> None:
    build, message = BROKEN[name]
    with pytest.raises(SignatureError, match=message):
        build(Counted())


MISSING: dict[str, tuple[Callable[[Counted], Operator], str]] = {
    "a judge whose prompt names what nobody gives": (
        lambda c: EnsembleOperator(**c.lms(2)) >> JudgeBasedOperator(**c.lms(), signature=Topic),
        "missing input 'topic', which the prompt template names",
    ),
    "fields of a step before the last are not passed on": (
        lambda c: (
            EnsembleOperator(**c.lms(2))
            >> Critic(**c.lms())
            >> GetAnswerOperator()
            >> (lambda final_answer, critiques: final_answer)
        ),
        r"missing input 'critiques'.*\(GetAnswerOperator\) gives 'final_answer'",
    ),
    "a required field of the model of the inputs": (
        lambda c: (
            EnsembleOperator(**c.lms(2))
            >> JudgeBasedOperator(
                **c.lms(), signature=Signature(prompt_template="{candidates}", input_model=Claim)
            )
        ),
        "missing input 'claim'",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_the_inputs_might_give_is_refused_before_anything_is_asked(name: str) -> None:
    build, message = MISSING[name]
    counted = Counted()
    network = build(counted)
    with pytest.raises(SignatureError, match=message):
        network(query="?")
    assert counted.calls == 0


def test_the_error_says_where() -> None:
    graph = NoNGraphData({"topics": FindPerspectives(**Counted().lms())})
    with pytest.raises(SignatureError) as caught:
        graph.add_node(name="vote", operator=MostCommonOperator(), inputs=["topics"])
    assert caught.value.__notes__ == ["in MostCommonOperator", "in node 'vote'"]
    graph.add_node(name="vote", operator=MostCommonOperator())
    with pytest.raises(SignatureError) as caught:
        GraphExecutorService().run(graph_data=graph, input_data={"query": "?"})
    assert caught.value.__notes__ == ["in MostCommonOperator", "in node 'vote'"]


def test_a_card_of_what_cannot_work_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(
        "operator: Sequential\narguments:\n  operators:\n"
        "  - {operator: Retrieve, arguments: {corpus: [a fact]}}\n"
        "  - {operator: MostCommonOperator}\n"
    )
    with pytest.raises(ConfigError, match=r"chain.yaml:1:1: missing input 'responses'"):
        load_operator(tmp_path / "chain.yaml")


def test_what_a_first_node_takes_may_be_needed_later() -> None:
    counted = Counted()
    tested = UnitTestGenerator(**counted.lms()) >> UnitTestEvaluator(**counted.lms())
    assert tested(query="?", responses=["7"])["final_answer"] == "7"
    graph = NoNGraphData(
        {"vote": MostCommonOperator(), "topics": FindPerspectives(**counted.lms())}
    )
    graph.add_node(name="again", operator=MostCommonOperator(), inputs=["topics"])
    assert graph(query="?", responses=["7"])["final_answer"] == "7"


def test_what_is_given_from_outside_counts() -> None:
    counted = Counted()
    prompt = Signature(prompt_template="{query} {context} {candidates}")
    judge = JudgeBasedOperator(**counted.lms(), signature=prompt)
    rerank = Retrieve(corpus=["a fact"]) >> judge
    assert rerank(query="?", responses=["7"])["final_answer"] == "7"
    chain = EnsembleOperator(**counted.lms()) >> JudgeBasedOperator(
        **counted.lms(), signature=Topic
    )
    assert chain(query="?", topic="sums")["final_answer"] == "7"
    assert chain(query="?", metadata={"topic": "sums"})["final_answer"] == "7"


class Own(FindPerspectives):
    """Gives what its base does not, without saying so."""

    def forward(self, inputs: Any) -> Any:
        return {"responses": ["7"]}


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


def test_of_several_ways_one_must_work() -> None:
    counted = Counted()
    judge, drafts = JudgeBasedOperator(**counted.lms()), EnsembleOperator(**counted.lms())
    branch = Branch(predicate=lambda i: "responses" in i, then=judge, otherwise=drafts)
    assert outputs_of(branch, {"query": "?"}) == names("responses", "outputs")
    assert branch(query="?") == {"responses": ["Answer: 7"]}
    router = Router(routes={"a": judge, "b": MostCommonOperator()}, by=lambda i: "a")
    with pytest.raises(SignatureError, match="missing input 'responses'"):
        (Retrieve(corpus=["a"]) >> router)(query="?")
    assert (Retrieve(corpus=["a"]) >> router)(query="?", responses=["7"])["route"] == "a"
    unchanged = Branch(predicate=lambda i: False, then=judge)
    assert (unchanged >> drafts)(query="?") == {"responses": ["Answer: 7"]}


@pytest.mark.parametrize("kind", [VerifierOperator, Fuser, BestOf])
def test_a_step_alone_is_a_chain(kind: Callable[..., Operator]) -> None:
    counted = Counted()
    chain = Sequential(operators=[kind(**counted.lms())])
    with pytest.raises(SignatureError, match="missing input 'responses'"):
        chain(query="?")
    assert chain(query="?", responses=["7"])["final_answer"] == "7"


# ---- misspelt inputs


class Styled(Operator):
    """Uses what it does not declare."""

    def forward(self, inputs: Any) -> Any:
        return {"responses": [inputs.get("choice", "none")]}


def style(responses: list[str], tone: str = "dry") -> str:
    return f"{tone}: {responses[0]}"


MISSPELT: dict[str, tuple[Callable[[Counted], Operator], dict[str, Any], str]] = {
    "of an operator": (
        lambda c: MostCommonOperator(),
        {"responses": ["A"], "answer_fromat": "choice"},
        "unknown input 'answer_fromat'; did you mean 'answer_format'?",
    ),
    "of a chain": (
        lambda c: EnsembleOperator(**c.lms()) >> MostCommonOperator(),
        {"query": "?", "choises": ["A", "B"]},
        "unknown input 'choises'; did you mean 'choices'?",
    ),
    "of a graph": (
        lambda c: NoNGraphData({"draft": EnsembleOperator(**c.lms())}),
        {"query": "?", "image": []},
        "unknown input 'image'; did you mean 'images'?",
    ),
    "of a later step": (
        lambda c: EnsembleOperator(**c.lms()) >> Fuser(**c.lms()),
        {"query": "?", "critques": ["wrong"]},
        "unknown input 'critques'; did you mean 'critiques'?",
    ),
    "of a function": (
        lambda c: EnsembleOperator(**c.lms()) >> style,
        {"query": "?", "tonne": "kind"},
        "unknown input 'tonne'; did you mean 'tone'?",
    ),
    "of a model of inputs": (
        lambda c: Predict(Signature(prompt_template="{claim}", input_model=Claim), c.lm()),
        {"claim": "?", "contxt": "none"},
        "unknown input 'contxt'; did you mean 'context'?",
    ),
    "of a jitted operator": (
        lambda c: jit(EnsembleOperator(**c.lms())),
        {"query": "?", "turn": []},
        "unknown input 'turn'; did you mean 'turns'?",
    ),
}


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_input_is_refused_with_the_near_match(name: str) -> None:
    build, inputs, message = MISSPELT[name]
    counted = Counted()
    network = build(counted)
    with pytest.raises(SignatureError, match=re.escape(message)):
        network(**inputs)
    with pytest.raises(SignatureError, match=re.escape(message)):
        network(inputs)
    graph = NoNGraphData({"node": network})
    with pytest.raises(SignatureError, match=re.escape(message)):
        GraphExecutorService().run(graph_data=graph, input_data=inputs)
    assert counted.calls == 0


def test_a_misspelt_input_in_jitted_code_is_refused() -> None:
    counted = Counted()
    ensemble = EnsembleOperator(**counted.lms())

    @jit
    def program(query: str) -> Any:
        return ensemble(query=query, choises=["A"])

    with pytest.raises(SignatureError, match="did you mean 'choices'"):
        program("?")
    assert counted.calls == 0


def test_a_misspelt_argument_of_a_jitted_function_is_refused() -> None:
    @jit
    def program(query: str, *, style: str = "") -> str:
        return query + style

    with pytest.raises(
        TypeError, match="unexpected keyword argument 'stile'; did you mean 'style'"
    ):
        program("?", stile="dry")
    assert program(query="?", style="!") == "?!"


def test_other_inputs_that_nothing_uses_are_left_out() -> None:
    counted = Counted()
    vote = EnsembleOperator(**counted.lms()) >> MostCommonOperator()
    assert vote(query="?", id=7, source="x", queries=["a"])["final_answer"] == "7"


def test_an_operator_that_declares_nothing_may_use_any_input() -> None:
    assert Styled()(choice="A") == {"responses": ["A"]}
    assert (Styled() >> MostCommonOperator())(choice="A")["final_answer"] == "A"
    assert Function(lambda **fields: sorted(fields))(choises=1, query="?") == {
        "output": ["choises", "query"]
    }


def test_inputs_that_an_operator_hands_on_are_not_misspelt() -> None:
    class Outer(Operator):
        def __init__(self) -> None:
            self.vote = MostCommonOperator()

        def forward(self, inputs: Any) -> Any:
            return self.vote({**inputs, "responses": [inputs["choice"]]})

    assert Outer()(choice="A")["final_answer"] == "A"
    assert NoNGraphData({"outer": Outer()})(choice="A")["final_answer"] == "A"


class Recorded(dict[str, Any]):
    """Inputs that note which of them are used."""

    def __init__(self, inputs: Mapping[str, Any], used: set[str]) -> None:
        super().__init__(inputs)
        self.used = used

    def __getitem__(self, key: str) -> Any:
        self.used.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.used.add(key)
        return super().get(key, default)


@pytest.mark.parametrize("name", all_networks())
def test_each_input_that_is_used_is_known(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, used = Asked(), set[str]()
    outputs_of(all_networks()[name], asked)
    monkeypatch.setattr(Signature, "check_inputs", lambda self, inputs: inputs)
    all_networks()[name].forward(Recorded(items_of(name), used))
    assert asked.open or used <= asked.names | OF_ITEMS
