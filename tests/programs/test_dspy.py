"""Programs of DSPy on our models, and our models under DSPy's optimisers."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from ember_bench import Dataset, MemoryStore, Study, architecture
from ember_bench.errors import BudgetExhaustedError, ConfigError, ProviderError
from ember_bench.models.budget import Budget
from ember_bench.models.call import Call
from ember_bench.models.info import ModelInfo
from ember_bench.models.types import Completion, ToolCall, Usage
from ember_bench.operators.lm import LMModule
from ember_bench.programs import DSPyProgram, dspy_lm
from ember_bench.running.open_study import open_study
from tests.support.models import in_trial, module, scripted, serve, telling
from tests.support.workspace import run

pytestmark = pytest.mark.extra

FIELD = re.compile(r"\d\. `(\w+)`")
PRICE = {"input_cost_per_thousand": 1.0, "output_cost_per_thousand": 1.0}
INSTRUCTION = "Add the numbers, then double the sum."


def in_fields(**fields: object) -> str:
    """Return an answer as DSPy's default adapter reads it."""
    return "\n".join(f"[[ ## {n} ## ]]\n{v}" for n, v in fields.items()) + "\n[[ ## completed ## ]]"


def doubling(asked: list[Call] | None = None, *, always: bool = False) -> ModelInfo:
    """Return a model that doubles sums if its instructions say so, or demonstrations show it.

    As the model of an optimiser it proposes that instruction.
    """

    async def answer(call: Call) -> str:
        if asked is not None:
            asked.append(call)
        last = call.request.messages[-1].content
        outputs = call.request.messages[0].content.partition("Your output fields are")[2]
        wanted = FIELD.findall(outputs.partition("All interactions")[0])
        if proposed := [name for name in wanted if name.endswith("instruction")]:
            values = dict.fromkeys(proposed, INSTRUCTION)
            return json.dumps(values) if "JSON object" in last else in_fields(**values)
        found = re.findall(r"(\d+) \+ (\d+)", last)
        if not found:
            return in_fields(**dict.fromkeys(wanted, "sums"))
        a, b = map(int, found[-1])
        told = "double" in call.request.messages[0].content or _doubles(call)
        values = dict.fromkeys(["reasoning"], "I add.") if "reasoning" in wanted else {}
        return in_fields(**values, answer=(a + b) * (2 if told or always else 1))

    return scripted(answer, cost=PRICE)


def _doubles(call: Call) -> bool:
    """Whether demonstrations double all their sums."""
    *turns, _ = call.request.messages[1:]
    sums = [sum(map(int, re.findall(r"(\d+) \+ (\d+)", m.content)[0])) for m in turns[::2]]
    given = [int(re.findall(r"\d+", m.content)[0]) for m in turns[1::2]]
    return bool(sums) and given == [2 * n for n in sums]


class Sums(dspy.Module):
    def __init__(self) -> None:
        self.solve = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        return self.solve(question=question)


class Several(dspy.Module):
    """Asks twice, in threads of DSPy's."""

    def __init__(self) -> None:
        self.solve = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        examples = [dspy.Example(question=f"{question} {n}").with_inputs("question") for n in "ab"]
        run_all = dspy.Parallel(num_threads=2, disable_progress_bar=True)
        found = run_all([(self.solve, example) for example in examples])
        return dspy.Prediction(answer=found[0].answer, responses=[p.answer for p in found])


def lm_of(model: ModelInfo, **options: Any) -> LMModule:
    return module(serve(model, **options), model)


def examples(numbers: range) -> list[Any]:
    return [
        dspy.Example(question=f"{n} + {n + 1}", answer=str(2 * (2 * n + 1))).with_inputs("question")
        for n in numbers
    ]


def is_right(example: Any, prediction: Any, *_: Any, **__: Any) -> bool:
    return bool(example.answer == prediction.answer)


def test_a_program_makes_its_calls_in_its_trial() -> None:
    lm = lm_of(doubling(), store=MemoryStore())
    program = DSPyProgram(Sums(), lm)
    output, strand = in_trial(lambda: program(query="1 + 2"))
    assert output == {"answer": "3", "final_answer": "3"}
    (call,) = strand.trial.calls
    assert call.cost_usd == pytest.approx(0.005)
    again, replayed = in_trial(lambda: program(query="1 + 2"))
    assert again == output
    assert replayed.trial.calls[0].stored


def test_threads_of_dspy_ask_in_the_trial_too() -> None:
    operator = DSPyProgram(Several(), lm_of(doubling()))
    output, strand = in_trial(lambda: operator(query="1 + 2"))
    assert len(strand.trial.calls) == 2
    # A field that scoring would read as something else has another name.
    assert output == {"answer": "3", "program_responses": ["3", "3"], "final_answer": "3"}


def test_a_program_is_an_architecture_of_a_study_and_can_be_swept(tmp_path: Path) -> None:
    model, other = doubling(), doubling()
    service = serve(model, other)
    rows = [{"q": f"{n} + 1", "a": str(n + 1)} for n in range(10)]
    dataset = Dataset.from_records(
        rows, name="sums", question="q", target="a", answer_format="number",
        evaluator="numeric_match",
    )  # fmt: skip

    def make(name: str) -> DSPyProgram:
        known = module(service, service.registry.get(name))
        return DSPyProgram(dspy.ChainOfThought("question -> answer"), known)

    own = Sums()
    own.solve.lm = dspy_lm(module(service, model))
    study = Study(
        name="programs",
        datasets=[dataset],
        architectures={
            "swept": architecture(make, name=[model.model_id, other.model_id]),
            "own": own,
        },
    )
    ran = run(open_study(study, {}, service), tmp_path)
    accuracies = {cell.label: cell.accuracy for cell in ran.summary.cells}
    assert len(accuracies) == 3
    assert all(accuracy is not None and accuracy.value == 1.0 for accuracy in accuracies.values())
    assert ran.summary.run.calls_made == 30


def test_a_budget_ends_a_program() -> None:
    model = doubling()
    lm = module(serve(model, budget=Budget(run_usd=0.01)), model, max_tokens=5)
    with pytest.raises(BudgetExhaustedError):
        DSPyProgram(Sums(), lm)(query="1 + 2")


def test_the_error_of_a_call_is_that_of_the_program() -> None:
    async def refuse(call: Call) -> str:
        raise ProviderError("overloaded", status=503)

    with pytest.raises(ProviderError, match="overloaded"):
        DSPyProgram(Sums(), lm_of(scripted(refuse)))(query="1 + 2")


def test_its_identity_is_its_code_its_prompts_and_its_demonstrations() -> None:
    lm = lm_of(telling())
    program, twin = Sums(), Sums()
    described = DSPyProgram(program, lm).describe()
    assert DSPyProgram(twin, lm).describe() == described
    twin.solve.signature = twin.solve.signature.with_instructions("Add.")
    changed = DSPyProgram(twin, lm).describe()
    assert changed != described
    program.solve.demos = examples(range(1))
    assert DSPyProgram(program, lm).describe() not in (described, changed)
    assert "test_dspy.py" in str(described)


@pytest.mark.parametrize("legacy", [False, True])
class TestLM:
    def test_answers_texts_conversations_and_several_at_once(self, legacy: bool) -> None:
        model = telling()
        service = serve(model)
        lm = dspy_lm(module(service, model), legacy=legacy)
        assert isinstance(lm, dspy.BaseLM)
        messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
        outputs = [*lm("q"), *lm(messages=messages, n=2, temperature=0.5)]
        assert len(set(outputs)) == 3
        assert service.usage_service.summary().total.calls == 3

    def test_answers_coroutines(self, legacy: bool) -> None:
        lm = dspy_lm(lm_of(telling()), legacy=legacy)

        async def both() -> list[Any]:
            return await asyncio.gather(lm.acall("a"), lm.acall("b"))

        first, second = asyncio.run(both())
        assert first != second

    def test_counts_its_tokens_where_dspy_looks(self, legacy: bool) -> None:
        model = telling()
        lm = dspy_lm(lm_of(model), legacy=legacy)
        with dspy.context(lm=lm), dspy.track_usage() as tracked:
            lm("q")
        totals = tracked.get_total_tokens()[model.model_id]
        assert (totals["prompt_tokens"], totals["completion_tokens"]) == (3, 2)

    def test_asks_with_tools(self, legacy: bool) -> None:
        async def answer(call: Call) -> Completion:
            (tool,) = call.request.tools
            found = ToolCall("c", tool.name, '{"city": "Rome"}')
            return Completion("", Usage(1, 1), "tool_calls", tool_calls=(found,))

        lm = dspy_lm(lm_of(scripted(answer)), legacy=legacy)
        assert lm.supports_function_calling
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
        tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
        (output,) = lm("Weather?", tools=[tool])
        assert "weather" in str(output["tool_calls"])

    def test_can_be_copied_and_pickled(self, legacy: bool) -> None:
        model = telling()
        lm = dspy_lm(lm_of(model), legacy=legacy)
        for twin in (copy.deepcopy(lm), lm.copy(temperature=1.0), pickle.loads(pickle.dumps(lm))):
            assert twin("q")
        program = Sums()
        program.set_lm(dspy_lm(lm_of(doubling()), legacy=legacy))
        assert program.deepcopy()(question="1 + 2").answer == "3"

    def test_is_saved_with_a_program(self, legacy: bool, tmp_path: Path) -> None:
        program = Sums()
        program.set_lm(dspy_lm("simulated:small", legacy=legacy))
        program.save(tmp_path / "program.json")
        found = Sums()
        found.load(tmp_path / "program.json", allow_unsafe_lm_state=True)
        assert found.solve.lm.model == "simulated:small"

    @pytest.mark.parametrize("optimiser", ["bootstrap", "mipro", "gepa"])
    def test_is_what_an_optimiser_tunes_a_program_on(self, legacy: bool, optimiser: str) -> None:
        asked: list[Call] = []
        service_lm = lm_of(doubling(asked), store=MemoryStore())
        lm = dspy_lm(service_lm, legacy=legacy)
        with dspy.context(lm=lm):
            tuned = _OPTIMISERS[optimiser](lm)
            right = sum(is_right(e, tuned(**e.inputs())) for e in examples(range(30, 40)))
        assert right == 10
        assert service_lm.service.usage_service.summary().total.calls == len(asked)


def _bootstrapped(lm: Any) -> Any:
    teacher = dspy_lm(lm_of(doubling(always=True)))
    optimiser = dspy.BootstrapFewShot(
        metric=is_right, max_bootstrapped_demos=2, teacher_settings={"lm": teacher}
    )
    return optimiser.compile(Sums(), trainset=examples(range(10, 14)))


def _mipro(lm: Any) -> Any:
    optimiser = dspy.MIPROv2(
        metric=is_right, auto=None, num_candidates=3, max_bootstrapped_demos=0,
        max_labeled_demos=0, num_threads=2,
    )  # fmt: skip
    return optimiser.compile(
        Sums(), trainset=examples(range(4)), valset=examples(range(4, 10)), num_trials=4,
        minibatch=False,
    )  # fmt: skip


def _gepa(lm: Any) -> Any:
    def judged(
        gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> Any:
        right = is_right(gold, pred)
        return dspy.Prediction(score=float(right), feedback=f"It is {gold.answer}.")

    optimiser = dspy.GEPA(
        metric=judged, reflection_lm=lm, max_metric_calls=40, num_threads=2, use_merge=False
    )
    return optimiser.compile(Sums(), trainset=examples(range(4)), valset=examples(range(4, 10)))


_OPTIMISERS: dict[str, Callable[[Any], Any]] = {
    "bootstrap": _bootstrapped,
    "mipro": _mipro,
    "gepa": _gepa,
}


def test_a_model_of_dspy_is_refused_as_it_would_ask_past_the_service() -> None:
    program = Sums()
    program.set_lm(dspy.LM("openai/gpt-4o"))
    with pytest.raises(ConfigError, match=r"asks a model by itself \(predictor 'solve'\)"):
        DSPyProgram(program, lm_of(telling()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda lm: (Sums(),), "DSPyProgram needs an LM module"),
        (lambda lm: (Sums(), [lm, lm]), "takes one LM module, found 2"),
        (lambda lm: ("question -> answer", lm), "expected a dspy.Module"),
        (lambda lm: (dict, lm), "expected a dspy.Module"),
    ],
)
def test_what_is_no_program_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        DSPyProgram(*arguments(lm_of(telling())))


def test_missing_inputs_are_an_error_before_any_call() -> None:
    program = DSPyProgram(dspy.Predict("question, passage -> answer"), lm_of(telling()))
    with pytest.raises(ValueError, match="missing input 'question', 'passage'"):
        program(query="q")
