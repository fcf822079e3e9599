"""SelfRefine, Reflect, Debate: going over an answer again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ember_bench.operators import (
    Debate,
    EnsembleOperator,
    Function,
    MostCommonOperator,
    Reflect,
    SelfRefine,
)
from tests.operators.networks import QUESTION, assert_accuracy, majority, run_items
from tests.support.models import module, modules, scripted, serve, simulated

if TYPE_CHECKING:
    from ember_bench.models.call import Call

P, FIX, BREAK, ACCEPT_RIGHT, ACCEPT_WRONG = 0.5, 0.4, 0.2, 0.7, 0.1


def refined(rounds: int, *, stops: bool) -> float:
    """P(right) of the Markov chain over (right, wrong) that a rewriting is a step of."""
    rewrite = np.array([[1 - BREAK, BREAK], [FIX, 1 - FIX]])
    stop = np.array([ACCEPT_RIGHT, ACCEPT_WRONG]) if stops else np.zeros(2)
    going, stopped = np.array([P, 1 - P]), np.zeros(2)
    for _ in range(rounds):
        stopped += going * stop
        going = (going * (1 - stop)) @ rewrite
    return float((going + stopped)[0])


def chain() -> dict[str, float]:
    return {
        "accuracy": P,
        "refine_fix": FIX,
        "refine_break": BREAK,
        "true_positive": ACCEPT_RIGHT,
        "false_positive": ACCEPT_WRONG,
    }


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_self_refine_meets_its_closed_form(rounds: int) -> None:
    model = simulated(**chain())
    refine = SelfRefine(lm_modules=[module(serve(model), model)], rounds=rounds)
    assert_accuracy(refine, refined(rounds, stops=True))


@pytest.mark.parametrize("rounds", [1, 3])
def test_reflect_meets_its_closed_form(rounds: int) -> None:
    model = simulated(**chain())
    reflect = Reflect(lm_modules=[module(serve(model), model)], rounds=rounds)
    assert_accuracy(reflect, refined(rounds, stops=False))


def test_a_vote_over_refined_answers_is_a_vote() -> None:
    model = simulated(**chain())
    service = serve(model)
    network = (
        EnsembleOperator(lm_modules=modules(service, model, 3))
        >> SelfRefine(lm_modules=[module(service, model)], rounds=2)
        >> MostCommonOperator()
    )
    assert_accuracy(network, majority(refined(2, stops=True), 3))


def test_self_refine_stops_as_soon_as_the_critique_passes_the_test() -> None:
    async def say(call: Call) -> str:
        prompt = call.request.messages[-1].content
        if call.request.role == "critique":
            return "good" if "draft+" in prompt else "bad"
        return "draft+" if call.request.role == "refine" else "draft"

    model = scripted(say)
    lm = module(serve(model), model)
    refine = SelfRefine(lm_modules=[lm], rounds=5, stop=lambda critique: critique == "good")
    rewritten = [
        {"response": "draft", "critique": "bad"},
        {"response": "draft+", "critique": "good"},
    ]
    assert refine(query="?") == {
        "responses": ["draft+"],
        "final_answer": "draft+",
        "rounds": [1],
        "transcript": [rewritten],
    }
    given = refine(query="?", responses=["draft", "my draft+"])
    assert given == {
        "responses": ["draft+", "my draft+"],
        "rounds": [1, 0],
        "transcript": [rewritten, [{"response": "my draft+", "critique": "good"}]],
    }


def test_the_critic_may_be_another_model() -> None:
    writer, critic = simulated("writer"), simulated("critic", true_positive=0, false_positive=0)
    service = serve(writer, critic)
    refine = SelfRefine(lm_modules=[module(service, writer), module(service, critic)], rounds=2)
    ((_, strand),) = run_items(refine, 1)
    asked = [(call.model_id, call.role) for call in strand.trial.calls]
    one_round = [("simulated:critic", "critique"), ("simulated:writer", "refine")]
    assert asked == [("simulated:writer", "generate"), *one_round, *one_round]


def test_a_new_attempt_is_told_all_reflections() -> None:
    prompts: list[str] = []

    async def say(call: Call) -> str:
        prompts.append(call.request.messages[-1].content)
        return f"{call.request.role} {len(prompts)}"

    model = scripted(say)
    output = Reflect(lm_modules=[module(serve(model), model)], rounds=2)(query="Why?")
    assert output["final_answer"] == "refine 5"
    assert "Reflection 1:\ncritique 2\n\nReflection 2:\ncritique 4" in prompts[-1]


@pytest.mark.parametrize("operator", [SelfRefine, Reflect])
def test_a_reviser_that_makes_no_sense_is_refused(operator: type[SelfRefine | Reflect]) -> None:
    model = simulated()
    lms = modules(serve(model), model, 3)
    with pytest.raises(ValueError, match="takes one LM module, or a writer and a critic; found 3"):
        operator(lm_modules=lms)
    with pytest.raises(ValueError, match="rounds must be at least 0, found -1"):
        operator(lm_modules=lms[:1], rounds=-1)


def test_a_debate_meets_its_closed_form() -> None:
    p, conformity = 0.6, 0.5
    model = simulated(accuracy=p, conformity=conformity)
    debate = Debate(lm_modules=modules(serve(model), model, 3))
    first = debate >> Function(lambda responses: {"responses": responses[:1]})
    # It changes sides only where the two others are of one mind and not of its own.
    stays = p * (1 - (1 - p) ** 2 * conformity)
    assert_accuracy(first, stays + (1 - p) * p**2 * conformity)


def test_a_debate_without_end_comes_to_what_most_began_with() -> None:
    model = simulated(accuracy=0.6, conformity=1.0)
    debate = Debate(lm_modules=modules(serve(model), model, 3), rounds=2)
    for output, _ in run_items(debate, 20):
        assert len(set(output["responses"])) == 1
    assert_accuracy(debate >> MostCommonOperator(), majority(0.6, 3))


def test_the_first_round_of_a_debate_is_an_ensemble() -> None:
    model = simulated()
    service = serve(model)
    debate = Debate(lm_modules=modules(service, model, 3), rounds=2)
    ensemble = EnsembleOperator(lm_modules=modules(service, model, 3))
    ((_, debated),) = run_items(debate, 1, QUESTION)
    ((_, asked),) = run_items(ensemble, 1, QUESTION)
    assert [c.key for c in debated.trial.calls][:3] == [c.key for c in asked.trial.calls]
    assert len(debated.trial.calls) == 6


def test_agents_see_their_own_answer_and_those_of_the_others() -> None:
    prompts: list[str] = []

    async def say(call: Call) -> str:
        prompts.append(call.request.messages[-1].content)
        return f"I am {call.request.messages[0].content}"

    model = scripted(say)
    service = serve(model)
    agents = [module(service, model, persona=name) for name in ("Ann", "Bob", "Cid")]
    Debate(lm_modules=agents)(query="Who?")
    others = "Candidate 1:\nI am Ann\n\nCandidate 2:\nI am Cid"
    (bob,) = [p for p in prompts if "Your answer:\nI am Bob" in p]
    assert others in bob


def test_a_debate_that_makes_no_sense_is_refused() -> None:
    model = simulated()
    lms = modules(serve(model), model, 2)
    with pytest.raises(ValueError, match="at least two LM modules"):
        Debate(lm_modules=lms[:1])
    with pytest.raises(ValueError, match="rounds must be at least 1, found 0"):
        Debate(lm_modules=lms, rounds=0)


def test_a_refinement_that_changes_nothing_ends_if_it_is_to_converge() -> None:
    async def say(call: Call) -> str:
        return "Verdict: no" if call.request.role == "critique" else "Answer: 7"

    model = scripted(say)
    lm = module(serve(model), model)
    assert SelfRefine(lm_modules=[lm], rounds=5)(QUESTION)["rounds"] == [5]
    assert SelfRefine(lm_modules=[lm], rounds=5, converge=True)(QUESTION)["rounds"] == [1]


def test_a_debate_ends_when_all_agree_or_none_changes_if_it_is_to_converge() -> None:
    def debate(*scripts: list[str]) -> list[list[str]]:
        """Hold a debate whose agents say one thing after another."""
        models = [scripted(_saying(iter(script))) for script in scripts]
        service = serve(*models)
        agents = [module(service, model) for model in models]
        output = Debate(lm_modules=agents, rounds=4, converge=True)(QUESTION)
        assert output["responses"] == output["transcript"][-1]
        transcript: list[list[str]] = output["transcript"]
        return transcript

    assert len(debate(["Answer: 1"], ["It is 1"])) == 1
    assert len(debate(["1", "2", "9"], ["2", "2", "9"])) == 2
    assert len(debate(["1", "3", "3", "9"], ["2", "2", "2", "9"])) == 3
    assert len(debate(["1", "2", "3", "4"], ["5", "6", "7", "8"])) == 4


def _saying(script: Iterator[str]) -> Callable[[Call], Awaitable[str]]:
    async def say(_: Call) -> str:
        return next(script)

    return say
