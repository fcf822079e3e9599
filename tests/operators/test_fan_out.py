from __future__ import annotations

import pytest

from ember_bench import jit
from ember_bench.errors import ProviderError, SignatureError
from ember_bench.models import RetryPolicy
from ember_bench.models.call import Call
from ember_bench.operators import EnsembleOperator, OperatorKind, Signature
from tests.support.models import in_trial, keys, module, modules, scripted, serve


async def name_itself(call: Call) -> str:
    return f"{call.request.model.model_name}: {call.request.messages[-1].content}"


def test_every_module_is_asked_the_same_and_the_answers_stand_in_their_order() -> None:
    models = [scripted(name_itself) for _ in range(3)]
    service = serve(*models)
    ensemble = EnsembleOperator(lm_modules=[module(service, m) for m in models])
    assert ensemble(query="why?") == {"responses": [f"{m.model_name}: why?" for m in models]}


def test_its_signature_makes_the_prompt() -> None:
    model = scripted(name_itself)
    ensemble = EnsembleOperator(
        lm_modules=[module(serve(model), model)],
        signature=Signature(required_inputs=["text"], prompt_template="Sum up {text}!"),
    )
    assert ensemble(text="it")["responses"][0].endswith(": Sum up it!")


def test_it_needs_a_query_before_it_asks() -> None:
    asked = []

    async def note(call: Call) -> str:
        asked.append(call)
        return ""

    model = scripted(note)
    with pytest.raises(SignatureError, match="missing input 'query'"):
        EnsembleOperator(lm_modules=[module(serve(model), model)])(question="q")
    assert asked == []


def test_it_needs_a_module() -> None:
    with pytest.raises(ValueError, match="at least one LM module"):
        EnsembleOperator(lm_modules=[])


def test_its_calls_are_one_step_of_the_clock() -> None:
    model = scripted(name_itself)
    ensemble = EnsembleOperator(lm_modules=modules(serve(model), model, 4))
    _, strand = in_trial(lambda: ensemble(query="q"))
    assert {call.started for call in strand.trial.calls} == {0.0}
    assert strand.clock == max(call.latency_seconds or 0.0 for call in strand.trial.calls)
    assert {call.role for call in strand.trial.calls} == {"generate"}


def test_it_fans_out() -> None:
    assert EnsembleOperator.kind is OperatorKind.FAN_OUT


class TestEnoughResponses:
    """An ensemble one of whose models does not answer."""

    def ensemble(self, **options: object) -> EnsembleOperator:
        async def fail(call: Call) -> str:
            raise ProviderError("no answer", retryable=False)

        models = [scripted(name_itself), scripted(fail), scripted(name_itself)]
        service = serve(*models, retry=RetryPolicy(attempts=1))
        lms = [module(service, model) for model in models]
        return EnsembleOperator(lm_modules=lms, **options)  # type: ignore[arg-type]

    def test_leave_out_models_that_do_not_answer(self) -> None:
        assert len(self.ensemble(min_responses=2)(query="q")["responses"]) == 2

    def test_fewer_are_an_error_and_so_are_any_by_default(self) -> None:
        with pytest.raises(ProviderError, match="no answer") as caught:
            self.ensemble(min_responses=3)(query="q")
        assert "2 of 3 models answered; at least 3 must" in caught.value.__notes__
        with pytest.raises(ProviderError, match="no answer"):
            self.ensemble()(query="q")

    @pytest.mark.parametrize("number", [0, 4])
    def test_are_a_number_of_its_models(self, number: int) -> None:
        with pytest.raises(ValueError, match=f"from 1 to 3, found {number}"):
            self.ensemble(min_responses=number)

    def test_have_the_identities_that_all_have(self) -> None:
        model = scripted(name_itself)
        lms = modules(serve(model), model, 3)
        calls = []
        for options in ({}, {"min_responses": 1}):
            operator = EnsembleOperator(lm_modules=lms, **options)
            calls.append(keys(in_trial(lambda op=operator: op(query="q"))[1]))
        assert calls[0] == calls[1]

    def test_are_part_of_the_description_where_they_are_given(self) -> None:
        assert "min_responses" not in self.ensemble().describe()["attributes"]
        assert self.ensemble(min_responses=2).describe()["attributes"]["min_responses"] == 2

    def test_work_in_a_jitted_function(self) -> None:
        assert len(jit(self.ensemble(min_responses=1))(query="q")["responses"]) == 2
