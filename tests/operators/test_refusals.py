"""What an operator cannot work with is refused before anything is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from ember_bench import ExecutionPlan, Scheduler, jit, parallel, vmap
from ember_bench.errors import SignatureError, UnknownNameError
from ember_bench.graph import GraphExecutorService, NoNGraphData, Ref, Task
from ember_bench.models import (
    MemoryStore,
    Message,
    ModelRegistry,
    ModelService,
    Response,
    Usage,
    UsageService,
)
from ember_bench.models.call import Call
from ember_bench.operators import (
    BestOf,
    CascadeOperator,
    Critic,
    Debate,
    EnsembleOperator,
    FilterVote,
    Fuser,
    GetAnswerOperator,
    JudgeBasedOperator,
    JudgeExplainerOperator,
    LMModule,
    Map,
    MostCommonOperator,
    Operator,
    PairwiseTournament,
    Predict,
    RankFilter,
    Reflect,
    Router,
    SelfRefine,
    Signature,
    ToolUser,
    VerifierOperator,
)
from ember_bench.operators.storm import Interview, Outline, WriteArticle
from tests.support.models import module, scripted, serve


class Counting:
    """A model that counts its calls, and LM modules for it."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.model = scripted(self.answer)
        self.service = serve(self.model)

    async def answer(self, call: Call) -> str:
        self.prompts.append(call.request.messages[-1].content)
        return "Answer: 7"

    def lm(self) -> LMModule:
        return module(self.service, self.model)

    def lms(self, count: int) -> dict[str, Any]:
        return {"lm_modules": [self.lm() for _ in range(count)]}


class Asking(Signature):
    prompt_template: str | None = "Mine: {query}"


class Needing(Signature):
    prompt_template: str | None = "{query} {topic}"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (None, "prompt: expected a text or a list of messages, found NoneType"),
        ({"query": "q"}, "found dict"),
        (7, "found int"),
        (b"q", "found bytes"),
        (Response("q", "m", Usage(1, 1), None, None), r"found Response; its text is `\.data`"),
        ([], "an empty list"),
        (["q"], r"prompt\[0\]: expected a Message\(role, content\), found str"),
        ([Message("user", "q"), {"role": "user"}], r"prompt\[1\]: .* found dict"),
    ],
)
def test_what_is_no_prompt_is_a_type_error(prompt: Any, message: str) -> None:
    model = Counting()
    lm = model.lm()

    def asked(given: Any) -> str:
        return lm(given)

    plan = ExecutionPlan([Task("asked", lm, (Ref("prompt"),))], inputs=["prompt"])
    for asking in (
        lambda: lm(prompt),
        lambda: jit(asked)(prompt),
        lambda: Scheduler().run(plan, {"prompt": prompt}),
    ):
        with pytest.raises(TypeError, match=message):
            asking()
    assert not model.prompts


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"qurey": "q"}, "missing input 'query'; given: 'qurey'; is 'qurey' misspelt"),
        ({"question": "q"}, "missing input 'query'; given: 'question'\n"),
        ({}, "missing input 'query'; given: none\n"),
    ],
)
def test_a_misspelt_input_is_named(given: dict[str, str], message: str) -> None:
    model = Counting()
    with pytest.raises(SignatureError, match=message):
        EnsembleOperator(**model.lms(2))(given)
    assert not model.prompts


def test_a_misspelt_input_of_a_prompt_is_named() -> None:
    with pytest.raises(SignatureError, match=r"'topic', which the .* names; .* 'topics' misspelt"):
        Needing().render({"query": "q", "topics": "t"})


OTHERS: dict[str, Callable[[Counting, type[Signature]], Operator]] = {
    "critique": lambda m, s: SelfRefine(**m.lms(1), critique_signature=s),
    "refine": lambda m, s: SelfRefine(**m.lms(1), refine_signature=s, stop=lambda _: False),
    "reflect": lambda m, s: Reflect(**m.lms(1), reflect_signature=s),
    "retry": lambda m, s: Reflect(**m.lms(1), retry_signature=s),
    "debate": lambda m, s: Debate(**m.lms(2), debate_signature=s),
    "question": lambda m, s: Interview(**m.lms(2), question_signature=s),
    "answer": lambda m, s: Interview(**m.lms(2), answer_signature=s),
    "outline": lambda m, s: Outline(**m.lms(1), refine_signature=s),
    "section": lambda m, s: WriteArticle(**m.lms(1), section_signature=s),
    "lead": lambda m, s: WriteArticle(**m.lms(1), lead_signature=s),
}
GIVEN = {"query": "q", "perspectives": ["p"], "conversations": ["c"], "outline": "# A"}


@pytest.mark.parametrize("name", OTHERS)
def test_a_signature_may_be_a_class(name: str) -> None:
    model = Counting()
    OTHERS[name](model, Asking)(GIVEN)
    assert "Mine: q" in model.prompts


@pytest.mark.parametrize("name", OTHERS)
def test_an_input_that_only_a_later_prompt_names_is_missed_before_the_first_call(
    name: str,
) -> None:
    model = Counting()
    with pytest.raises(SignatureError, match="missing input 'topic'"):
        OTHERS[name](model, Needing)(GIVEN)
    assert not model.prompts
    OTHERS[name](model, Needing)({**GIVEN, "metadata": {"topic": "from the item"}})
    assert any("from the item" in prompt for prompt in model.prompts)


@pytest.mark.parametrize(
    ("operator", "missing"),
    [
        (lambda m: Interview(**m.lms(2)), "perspectives"),
        (lambda m: Outline(**m.lms(1)), "conversations"),
        (lambda m: WriteArticle(**m.lms(1)), "conversations"),
        (lambda m: WriteArticle(**m.lms(1)), "outline"),
        (lambda m: GetAnswerOperator(**m.lms(1)), "responses"),
        (lambda m: JudgeBasedOperator(**m.lms(1), signature=Asking), "responses"),
        (lambda m: RankFilter(**m.lms(1), signature=Asking), "responses"),
    ],
)
def test_an_input_that_is_used_later_is_missed_before_the_first_call(
    operator: Callable[[Counting], Operator], missing: str
) -> None:
    model = Counting()
    given = {name: value for name, value in GIVEN.items() if name != missing}
    with pytest.raises(SignatureError, match=f"missing input '{missing}'"):
        operator(model)(given)
    assert not model.prompts


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (JudgeBasedOperator, {"final_answer": None, "judgement": ""}),
        (JudgeExplainerOperator, {"final_answer": None, "explanation": ""}),
        (GetAnswerOperator, {"final_answer": None}),
        (Fuser, {"responses": [], "final_answer": None}),
        (VerifierOperator, {"final_answer": None, "accepted": []}),
        (FilterVote, {"final_answer": None, "votes": {}, "accepted": []}),
        (RankFilter, {"responses": [], "ranking": []}),
        (PairwiseTournament, {"final_answer": None, "points": {}}),
        (Critic, {"responses": [], "critiques": []}),
    ],
)
def test_no_responses_are_not_judged(kind: type[Operator], expected: dict[str, Any]) -> None:
    model = Counting()
    assert kind(**model.lms(1))(query="q", responses=[]) == expected
    assert not model.prompts


class TestNewcomers:
    """What someone writes on the first day is understood, or refused in words."""

    def test_a_function_is_a_tool(self) -> None:
        def double(number: int) -> int:
            """Double it."""
            return 2 * number

        counting = Counting()
        agent = ToolUser(lm_modules=[counting.lm()], tools=[double])
        assert [tool.name for tool in agent.tools] == ["double"]
        with pytest.raises(TypeError, match="tools: expected a Tool or a function, found str"):
            ToolUser(lm_modules=[counting.lm()], tools=["double"])  # type: ignore[list-item]

    def test_a_function_is_a_step_of_a_chain(self) -> None:
        counting = Counting()
        chain = (
            (lambda query: {"query": query.upper()})
            >> EnsembleOperator(lm_modules=[counting.lm()])
            >> (lambda responses: {"final_answer": responses[0]})
        )
        assert chain(query="how many") == {"final_answer": "Answer: 7"}
        assert "HOW MANY" in counting.prompts[0]

    @pytest.mark.parametrize("step", ["text", 3, MostCommonOperator], ids=repr)
    def test_a_chain_of_something_else_is_refused(self, step: Any) -> None:
        with pytest.raises(TypeError, match="a chain takes operators and functions, found"):
            MostCommonOperator() >> step

    @pytest.mark.parametrize(
        "operator", [EnsembleOperator, Debate, Fuser, SelfRefine, VerifierOperator]
    )
    def test_lm_modules_are_a_list_of_lm_modules(self, operator: Any) -> None:
        lm = Counting().lm()
        name = operator.__name__
        with pytest.raises(TypeError, match=rf"{name}: lm_modules is a list; write .*=\[lm\]"):
            operator(lm_modules=lm)
        with pytest.raises(TypeError, match=f"{name}: lm_modules is a list of LM modules"):
            operator(lm_modules="openai:gpt-4o")
        with pytest.raises(TypeError, match=r"lm_modules\[0\].*model_name='openai:gpt-4o'"):
            operator(lm_modules=["openai:gpt-4o"])

    def test_a_module_needs_a_config_and_an_operator_a_signature(self) -> None:
        with pytest.raises(TypeError, match=r"write LMModuleConfig\(model_name='openai:gpt-4o'"):
            LMModule("openai:gpt-4o")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"found str; write Signature\(prompt_template"):
            EnsembleOperator(lm_modules=[Counting().lm()], signature="{query}")  # type: ignore[arg-type]

    @pytest.mark.parametrize("wrong", [None, 7, ["a"]], ids=repr)
    def test_responses_are_texts(self, wrong: Any) -> None:
        counting = Counting()
        judge = JudgeBasedOperator(lm_modules=[counting.lm()])
        with pytest.raises(SignatureError, match=r"responses\[1\]: expected a text, found"):
            judge(query="?", responses=["7", wrong])
        assert not counting.prompts

    def test_messages_that_no_model_would_see_are_refused(self) -> None:
        counting = Counting()
        ensemble = EnsembleOperator(lm_modules=[counting.lm()])
        with pytest.raises(SignatureError, match="are `turns`"):
            ensemble(query="?", messages=[{"role": "user", "content": "before"}])
        assert not counting.prompts
        assert ensemble(query="?", messages="a field of one's own")["responses"]


class Verdict(BaseModel):
    correct: bool


class TestStructuredEnsembles:
    """With `structured_output`, each response of an ensemble must fit."""

    SIGNATURE = Signature(prompt_template="{query}", structured_output=Verdict)

    @staticmethod
    def ensemble(*answers: str, least: int | None = None) -> EnsembleOperator:
        async def say(call: Call) -> str:
            assert call.request.response_format is not None
            return answers[int(call.draw_text or 0)]

        model = scripted(say)
        lms = [module(serve(model, store=MemoryStore()), model)] * len(answers)
        return EnsembleOperator(
            lm_modules=lms, signature=TestStructuredEnsembles.SIGNATURE, min_responses=least
        )

    def test_the_outputs_have_its_fields(self) -> None:
        fenced = 'Here:\n```json\n{"correct": false}\n```'
        ensemble = self.ensemble('{"correct": true}', fenced)
        expected = {
            "responses": ['{"correct": true}', fenced],
            "outputs": [{"correct": True}, {"correct": False}],
        }
        assert ensemble(query="?") == expected

    def test_one_that_does_not_fit_is_an_error_that_names_it(self) -> None:
        with pytest.raises(SignatureError, match="response 2: output does not fit Verdict"):
            self.ensemble('{"correct": true}', "yes")(query="?")

    def test_one_that_does_not_fit_may_be_left_out(self) -> None:
        found = self.ensemble("yes", '{"correct": true}', least=1)(query="?")
        assert found == {"responses": ['{"correct": true}'], "outputs": [{"correct": True}]}


Build = Callable[[Counting], Any]

SLIPS: dict[str, tuple[Build, type[Exception], str]] = {
    "a class as a step": (
        lambda m: EnsembleOperator(**m.lms(1)) >> MostCommonOperator,
        TypeError,
        r"found its class; write MostCommonOperator\(\.\.\.\)",
    ),
    "LM modules as stages": (
        lambda m: CascadeOperator(stages=[m.lm()]),  # type: ignore[list-item]
        TypeError,
        r"stage 1: .* found an LM module; write EnsembleOperator\(lm_modules=\[lm\]\)",
    ),
    "a class as a route": (
        lambda m: Router(routes={"a": MostCommonOperator}, by=lambda inputs: "a"),  # type: ignore[dict-item]
        TypeError,
        "route 'a': expected an operator, found its class",
    ),
    "a function as what is mapped": (
        lambda m: Map(operator=len),  # type: ignore[arg-type]
        TypeError,
        r"operator: expected an operator, found a function; write Function\(len\)",
    ),
    "a score of one argument": (
        lambda m: EnsembleOperator(**m.lms(1)) >> BestOf(score=lambda response: 1.0),  # type: ignore[arg-type,misc]
        TypeError,
        r"score: <lambda> is called with \(response, inputs\): too many positional arguments",
    ),
    "an unknown rule for ties": (
        lambda m: MostCommonOperator(ties="frist"),  # type: ignore[arg-type]
        ValueError,
        "ties: unknown rule 'frist'; did you mean 'first'",
    ),
    "an unknown format of answers": (
        lambda m: EnsembleOperator(**m.lms(1)) >> MostCommonOperator(answer_format="nmber"),
        UnknownNameError,
        "unknown answer format 'nmber'; did you mean 'number'",
    ),
    "an unknown format in the inputs": (
        lambda m: (EnsembleOperator(**m.lms(1)) >> MostCommonOperator())(
            query="?", answer_format="nmber"
        ),
        UnknownNameError,
        "unknown answer format 'nmber'; did you mean 'number'",
    ),
    "an LM module as a signature": (
        lambda m: Predict(m.lm(), Asking()),  # type: ignore[arg-type]
        TypeError,
        "signature: expected a Signature, found LMModule",
    ),
    "the inputs of one in the place of many": (
        lambda m: vmap(EnsembleOperator(**m.lms(1)))({"query": "?"}),
        TypeError,
        "vmap takes a list of inputs, found dict",
    ),
    "results in the place of functions": (
        lambda m: parallel([MostCommonOperator, "7"]),  # type: ignore[list-item]
        TypeError,
        r"calls\[1\]: expected a function, such as partial\(lm, prompt\), found str",
    ),
    "a text as the inputs of a graph": (
        lambda m: GraphExecutorService().run(
            graph_data=NoNGraphData({"draft": EnsembleOperator(**m.lms(1))}),
            input_data="?",  # type: ignore[arg-type]
        ),
        SignatureError,
        "inputs have names, such as query=...; found str",
    ),
    "arguments of a service in the wrong order": (
        lambda m: ModelService(UsageService(), ModelRegistry()),  # type: ignore[arg-type]
        TypeError,
        "registry: expected a ModelRegistry, found UsageService",
    ),
    "the name of a model as a model": (
        lambda m: ModelRegistry().register_model("openai:gpt-4o"),  # type: ignore[arg-type]
        TypeError,
        r"expected a ModelInfo, found 'openai:gpt-4o'; write ModelInfo\(model_id=",
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_told_before_anything_is_asked(name: str) -> None:
    build, kind, message = SLIPS[name]
    model = Counting()
    with pytest.raises(kind, match=message):
        build(model)
    assert not model.prompts
