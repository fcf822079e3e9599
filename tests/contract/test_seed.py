"""Every snippet of the seed runs as printed, but for the package's name; see `seed.py`.

The two that it leaves open are completed here: the ensemble of three models with a judge (sections
2 and 7), and `JudgeExplainerOperator` (section 5.3).
"""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import BaseModel

import ember_bench
from ember_bench import (
    EnsembleOperator,
    JudgeBasedOperator,
    LMModule,
    LMModuleConfig,
    ModelCost,
    ModelInfo,
    ModelRegistry,
    ModelService,
    MostCommonOperator,
    Operator,
    OperatorKind,
    ProviderInfo,
    RateLimit,
    Signature,
    UsageService,
)
from ember_bench.errors import SignatureError, UnknownNameError
from ember_bench.models import Completion, Provider, provider
from tests.contract.seed import completed, play, printed
from tests.support.models import scripted
from tests.support.openai_server import Answer, OpenAIServer

if TYPE_CHECKING:
    from ember_bench.models.call import Call

KEY = "sk-made-up"


@pytest.fixture
def openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """What `openai:` models ask, by way of the real SDK."""
    with OpenAIServer([Answer("Paris, said the model.")]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield server


def play_registration() -> dict[str, Any]:
    return play(
        printed("3_1_model_registry"),
        ModelRegistry=ModelRegistry,
        UsageService=UsageService,
        ModelService=ModelService,
        ModelInfo=ModelInfo,
        ModelCost=ModelCost,
        RateLimit=RateLimit,
        ProviderInfo=ProviderInfo,
        settings=ember_bench.settings,
    )


class TestModelRegistry:
    """Section 3.1."""

    def test_a_registered_model_answers_by_its_id(
        self, openai: OpenAIServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        play_registration()
        assert capsys.readouterr().out == "Paris, said the model.\n"
        (asked,) = openai.asked
        assert asked.prompt == "Hello from Ember!"
        assert asked.body["model"] == "gpt-4o"
        assert asked.headers["authorization"] == f"Bearer {KEY}"

    def test_the_response_has_usage_cost_and_latency(self, openai: OpenAIServer) -> None:
        response = play_registration()["resp"]
        assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 4)
        assert response.cost == pytest.approx((3 * 0.03 + 4 * 0.06) / 1000)
        assert response.latency > 0

    def test_usage_is_summed_up_by_model_and_by_provider(self, openai: OpenAIServer) -> None:
        summary = play_registration()["usage_service"].summary()
        assert summary.by_model["openai:gpt-4o"].calls == 1
        assert summary.by_provider["openai"].calls == 1

    def test_no_key_is_shown(self, openai: OpenAIServer) -> None:
        names = play_registration()
        assert KEY not in repr(names["openai_info"]) + repr(names["resp"])


class TestLMModules:
    """Section 3.2."""

    def play(self) -> dict[str, Any]:
        registry = play_registration()["registry"]
        return play(printed("3_2_lm_modules"), registry=registry)

    def test_an_lm_module_is_a_callable(
        self, openai: OpenAIServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.play()
        assert capsys.readouterr().out.endswith("Answer: Paris, said the model.\n")
        asked = openai.asked[-1]
        assert asked.prompt == "What is the capital of France?"
        assert (asked.body["temperature"], asked.body["max_tokens"]) == (0.7, 200)

    def test_generate_response_takes_parameters_for_one_call(self, openai: OpenAIServer) -> None:
        lm = self.play()["lm"]
        assert lm.generate_response("Again?", temperature=0.0) == "Paris, said the model."
        assert openai.asked[-1].body["temperature"] == 0.0

    def test_an_unknown_model_is_named_with_near_matches(self, openai: OpenAIServer) -> None:
        registry = play_registration()["registry"]
        with pytest.raises(UnknownNameError, match="gpt-4'; did you mean 'gpt-4o'"):
            LMModule(LMModuleConfig(model_name="gpt-4"), registry)


def play_signature() -> dict[str, Any]:
    return play(
        printed("4_signature"),
        BaseModel=BaseModel,
        Signature=Signature,
        List=typing.List,  # noqa: UP006 - as the seed has it
        Optional=typing.Optional,
        Type=typing.Type,  # noqa: UP006
    )


class TestSignatures:
    """Section 4."""

    def test_a_subclass_sets_the_fields_by_annotation(self) -> None:
        names = play_signature()
        signature = names["CaravanLabelingSignature"]()
        assert signature.required_inputs == ["question"]
        assert signature.structured_output is names["CaravanLabelsOutput"]
        prompt = signature.render({"question": "10.0.0.1 -> 10.0.0.2"})
        assert "Given these unlabeled flows:\n10.0.0.1 -> 10.0.0.2\nLabel each flow" in prompt

    def test_bad_input_is_refused_by_field_before_any_call(self) -> None:
        calls: list[str] = []

        class Labeler(Operator):
            def forward(self, inputs: Any) -> Any:
                calls.append("asked")

        labeler = Labeler(signature=play_signature()["CaravanLabelingSignature"])
        with pytest.raises(SignatureError, match="missing input 'question'"):
            labeler(query="10.0.0.1 -> 10.0.0.2")
        with pytest.raises(SignatureError, match="question: Input should be a valid string"):
            labeler(question=7)
        assert calls == []

    def test_the_output_is_cast_to_the_structured_output(self) -> None:
        class Labeler(Operator):
            def forward(self, inputs: Any) -> Any:
                return '{"label": "1"}' if "evil" in inputs["question"] else {"verdict": 1}

        labeler = Labeler(signature=play_signature()["CaravanLabelingSignature"])
        assert labeler(question="evil flow") == {"label": "1"}
        with pytest.raises(SignatureError, match="CaravanLabelsOutput: label"):
            labeler(question="good flow")


class TestOperators:
    """Section 5."""

    def test_an_operator_is_made_of_lm_modules_and_a_signature(self) -> None:
        lm = module_saying("0\n1")

        class NewOperator(Operator):
            kind = OperatorKind.FAN_IN

            def forward(self, inputs: Any) -> Any:
                return {"label": self.lms[0](self.signature.render(inputs))}

        text = completed(
            printed("5_1_operator"),
            "op = NewOperator(lm_modules=[...], signature=)",
            "op = NewOperator(lm_modules=[lm], signature=CaravanLabelingSignature)",
        )
        op = play(text, NewOperator=NewOperator, lm=lm, **play_signature())["op"]
        assert op(question="two flows") == {"label": "0\n1"}
        assert op.lm_modules() == [lm]

    def test_the_three_kinds_are_there(self) -> None:
        assert {kind.name for kind in OperatorKind} == {"RECURRENT", "FAN_IN", "FAN_OUT"}

    def test_the_judge_explainer_can_be_written_in_a_few_lines(self) -> None:
        """Section 5.3 prints the first line of the class; this is the rest."""
        judge = module_saying("Two of three say B.\nAnswer: B")
        text = printed("5_3_judge_explainer").rstrip() + (
            """
    def forward(self, inputs):
        votes = Counter(inputs["responses"]).most_common()
        text = self.lms[0](f"{inputs['query']}\\n{votes}\\nExplain, then end with 'Answer: '.")
        explanation, _, answer = text.rpartition("Answer:")
        return {"final_answer": answer.strip(), "explanation": explanation.strip()}
"""
        )
        judge_explainer = play(text)["JudgeExplainerOperator"](lm_modules=[judge])
        assert judge_explainer(query="A or B?", responses=["B", "A", "B"]) == {
            "final_answer": "B",
            "explanation": "Two of three say B.",
        }

    @pytest.mark.parametrize(
        ("answer_format", "choices", "verdict", "final_answer"),
        [
            ("choice", ["one", "two"], "B", "B"),
            ("choice", ["True", "False"], "False", "B"),
            ("yes_no", [], "Yes.", "yes"),
            ("choice", ["one", "two"], "perhaps", None),
        ],
    )
    def test_the_built_in_judge_explainer_gives_a_finite_answer_and_an_explanation(
        self, answer_format: str, choices: list[str], verdict: str, final_answer: str | None
    ) -> None:
        judge = module_saying(f"Two of three agree.\nAnswer: {verdict}")
        explainer = ember_bench.JudgeExplainerOperator(lm_modules=[judge])
        output = explainer(
            query="Which?",
            responses=["It is B.", "It is A.", "It is B."],
            answer_format=answer_format,
            choices=choices,
        )
        assert output["final_answer"] == final_answer
        assert "Two of three agree." in output["explanation"]


def module_saying(answer: str) -> LMModule:
    async def say(call: Any) -> str:
        return answer

    registry = ModelRegistry()
    registry.register_model(model := scripted(say))
    return LMModule(LMModuleConfig(model_name=model.model_id), registry)


@provider("panel")
class Panel(Provider):
    """The four models of section 7; the three advisers answer once all three have been asked."""

    advisers = ("google:gemini-1.5-pro", "anthropic:claude-3.5-sonnet", "openai:gpt-4o")
    judge = "openai:o1-mini"
    prompts: ClassVar[dict[str, str]] = {}
    all_asked: ClassVar[asyncio.Event]

    async def complete(self, call: Call) -> Completion:
        model = self.model.model_id
        Panel.prompts[model] = call.request.messages[-1].content
        if model == self.judge:
            return Completion("Taken together.\nAnswer: Use an ensemble.")
        if set(self.advisers) <= set(Panel.prompts):
            Panel.all_asked.set()
        async with asyncio.timeout(10):
            await Panel.all_asked.wait()
        return Completion(f"{self.model.model_name} says so.")


def register_models(registry: ModelRegistry) -> None:
    """What section 7 asks its reader to imagine."""
    for model_id in (*Panel.advisers, Panel.judge):
        registry.register_model(ModelInfo(model_id=model_id, provider=ProviderInfo(name="panel")))


@pytest.fixture
def panel() -> type[Panel]:
    Panel.prompts, Panel.all_asked = {}, asyncio.Event()
    return Panel


SETUP = completed(
    printed("7_1_setup"),
    "# (Imagine we've done registry.register_model(...) for each: gemini, claude, gpt-4o, etc.)",
    "register_models(registry)",
)


def play_graph(judge: str) -> dict[str, Any]:
    """Run section 7, with its judge left open filled in."""
    setup = completed(SETUP, "judge_op = ...", f"judge_op = {judge}")
    return play(
        setup + printed("7_2_graph"),
        register_models=register_models,
        JudgeBasedOperator=JudgeBasedOperator,
        JudgeExplainerOperator=ember_bench.JudgeExplainerOperator,
        MostCommonOperator=MostCommonOperator,
    )


class TestEnsembleWithJudge:
    """Sections 2 and 7."""

    def test_the_quick_example(self, panel: type[Panel]) -> None:
        """Section 2 announces a snippet and prints none; this is what it goes on to describe."""
        registry = ModelRegistry()
        register_models(registry)
        ensemble = EnsembleOperator(
            lm_modules=[
                LMModule(LMModuleConfig(model_name=name), registry) for name in panel.advisers
            ]
        )
        judge = JudgeBasedOperator(
            lm_modules=[LMModule(LMModuleConfig(model_name=panel.judge), registry)]
        )
        query = "How do I set up Ember?"
        responses = ensemble(query=query)["responses"]
        assert responses == [
            "gemini-1.5-pro says so.", "claude-3.5-sonnet says so.", "gpt-4o says so.",
        ]  # fmt: skip
        assert judge(query=query, responses=responses)["final_answer"] == "Use an ensemble."

    @pytest.mark.parametrize(
        "judge", ["GetAnswerOperator", "JudgeBasedOperator", "JudgeExplainerOperator"]
    )
    def test_the_graph_gives_the_judges_final_answer(
        self, panel: type[Panel], judge: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        names = play_graph(f"{judge}(lm_modules=[judge_mod])")
        assert names["results"]["judge"]["final_answer"] == "Use an ensemble."
        assert capsys.readouterr().out == "Final answer from the judge: Use an ensemble.\n"

    def test_the_advisers_are_asked_the_query_at_the_same_time(self, panel: type[Panel]) -> None:
        """Each of them answers only when all have been asked."""
        names = play_graph("JudgeBasedOperator(lm_modules=[judge_mod])")
        query = names["input_data"]["query"]
        assert [panel.prompts[model] for model in panel.advisers] == [query] * 3

    def test_the_judge_reads_the_query_and_every_response(self, panel: type[Panel]) -> None:
        play_graph("JudgeBasedOperator(lm_modules=[judge_mod])")
        for text in ("multi-model parallel usage", "gemini-1.5-pro says so.", "gpt-4o says so."):
            assert text in panel.prompts[panel.judge]

    def test_the_judge_can_be_swapped_for_a_vote(self, panel: type[Panel]) -> None:
        results = play_graph("MostCommonOperator()")["results"]
        assert results["judge"]["final_answer"] == "gemini-1.5-pro says so."
        assert panel.judge not in panel.prompts

    def test_the_ensemble_hands_the_scheduler_a_task_for_each_model(
        self, panel: type[Panel]
    ) -> None:
        """Section 6.2: "to_plan() might generate N tasks, all depending on the single input"."""
        ensemble = play_graph("MostCommonOperator()")["ensemble_op"]
        plan = ensemble.to_plan({"query": "How do I set up Ember?"})
        assert len(plan) == 3
        assert set(plan.needs.values()) == {()}
