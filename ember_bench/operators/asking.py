"""Calls of several LM modules at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ember_bench import bridge
from ember_bench.models import interception
from ember_bench.models.call import Request
from ember_bench.models.service import ModelService
from ember_bench.models.types import Response
from ember_bench.operators.lm import LMModule, Prompt


def ask_all(calls: Sequence[tuple[LMModule, Prompt]], **kwargs: Any) -> list[Response]:
    """Call several LM modules at the same time; the responses are in the order of `calls`.

    Args:
        calls: (LM module, prompt) pairs.
        kwargs: As in `LMModule.request`, for all calls.
    """
    return ask_requests([(lm, lm.request(prompt, **kwargs)) for lm, prompt in calls])


def ask_requests(calls: Sequence[tuple[LMModule, Request]]) -> list[Response]:
    """Make several requests at the same time; the responses are in the order of `calls`."""
    if not calls:
        return []
    service = _shared_service(calls)
    interception.settle("models are called by code that is not rewritten")
    return bridge.wait(service.ask_all([(request, lm) for lm, request in calls]))


def ask_some(calls: Sequence[tuple[LMModule, Request]], at_least: int) -> list[Response]:
    """Make requests as `ask_requests` does; return the responses of the models that answer.

    Args:
        calls: (LM module, request) pairs.
        at_least: Least number of responses.

    Raises:
        ProviderError: if fewer answer; the first error in order, with a note.
    """
    interception.settle("models were asked that may leave an answer out")
    service = _shared_service(calls)
    answers = bridge.wait(service.ask_each([(request, lm) for lm, request in calls]))
    responses = [answer for answer in answers if isinstance(answer, Response)]
    if len(responses) < at_least:
        error = next(answer for answer in answers if not isinstance(answer, Response))
        error.add_note(
            f"{len(responses)} of {len(answers)} models answered; at least {at_least} must"
        )
        raise error
    return responses


def _shared_service(calls: Sequence[tuple[LMModule, Request]]) -> ModelService:
    service = calls[0][0].service
    if any(lm.service is not service for lm, _ in calls):
        raise ValueError("LM modules that are asked together must share one ModelService")
    return service
