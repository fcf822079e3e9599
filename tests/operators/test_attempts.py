"""An operator that fails is run again, or another one in its place."""

from __future__ import annotations

import pytest

from ember_bench.errors import ConfigError, OfflineError, ProviderError
from ember_bench.models.call import Call
from ember_bench.operators import Attempts, EnsembleOperator, Function, Operator
from tests.support.models import in_trial, module, modules, scripted, serve


def failing(times: int, error: Exception, answer: str = "late") -> tuple[Operator, list[Call]]:
    """Return one call to a model that fails so many times, and the list of its requests."""
    asked: list[Call] = []

    async def reply(call: Call) -> str:
        asked.append(call)
        if len(asked) <= times:
            raise error
        return answer

    model = scripted(reply)
    return EnsembleOperator(lm_modules=[module(serve(model), model)]), asked


def spare() -> Operator:
    return Function(function=lambda query: {"responses": [f"spare {query}"]})


def test_it_is_run_again_with_a_new_call() -> None:
    operator, asked = failing(1, ProviderError("no", retryable=False))
    outputs, strand = in_trial(lambda: Attempts(operator=operator, retries=1)(query="q"))
    assert outputs == {"responses": ["late"]}
    assert len({call.key for call in asked}) == 2
    assert len(strand.trial.calls) == 1


def test_the_fallback_comes_last() -> None:
    operator, asked = failing(9, ProviderError("no", retryable=False))
    attempts = Attempts(operator=operator, retries=1, fallback=spare())
    assert attempts(query="q") == {"responses": ["spare q"]}
    assert len(asked) == 2


def test_without_a_fallback_the_error_is_raised() -> None:
    operator, asked = failing(9, ProviderError("no", retryable=False))
    with pytest.raises(ProviderError, match="no"):
        Attempts(operator=operator, retries=2)(query="q")
    assert len(asked) == 3


@pytest.mark.parametrize(
    "error", [ConfigError("wrong"), OfflineError("not stored"), RuntimeError("a bug")]
)
def test_other_errors_are_raised_at_once(error: Exception) -> None:
    calls = []

    def fail(query: str) -> dict[str, str]:
        calls.append(query)
        raise error

    operator = Function(function=fail)
    with pytest.raises(type(error)):
        Attempts(operator=operator, retries=2, fallback=spare())(query="q")
    assert calls == ["q"]


def test_what_works_is_run_once() -> None:
    async def reply(call: Call) -> str:
        return "fine"

    model = scripted(reply)
    operator = EnsembleOperator(lm_modules=modules(serve(model), model, 2))
    _, strand = in_trial(
        lambda: Attempts(operator=operator, retries=3, fallback=spare())(query="q")
    )
    assert len(strand.trial.calls) == 2


def test_it_needs_something_to_do() -> None:
    with pytest.raises(ValueError, match="needs `retries`, a `fallback` or a `timeout`"):
        Attempts(operator=spare())
    with pytest.raises(ValueError, match="retries must be at least 0, found -1"):
        Attempts(operator=spare(), retries=-1)
