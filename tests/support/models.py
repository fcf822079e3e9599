"""Models for tests, the item they answer, and a trial to ask them in."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ember_bench import bridge
from ember_bench.models import (
    Completion,
    ModelInfo,
    ModelRegistry,
    ModelService,
    Provider,
    Usage,
    provider,
)
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators import LMModule, LMModuleConfig, parse_answer

if TYPE_CHECKING:
    from ember_bench.models.call import Call

P = ParamSpec("P")
T = TypeVar("T")
Script = Callable[["Call"], Awaitable[Completion | str]]

_scripts: dict[str, Script] = {}
_numbers = itertools.count()


@dataclass(frozen=True)
class Subject:
    """An item as simulated models see it."""

    id: str = "item"
    target: str = "7"
    answer_format: str = "text"
    choices: Sequence[str] = ()
    difficulty: float | None = None

    @property
    def digest(self) -> str:
        return repr(self)

    def accepts(self, text: str) -> bool:
        return parse_answer(text, self.answer_format, self.choices) == self.target


@provider("scripted")
class Scripted(Provider):
    """Answers with what a test's coroutine function returns."""

    async def complete(self, call: Call) -> Completion:
        answer = await _scripts[self.model.model_name](call)
        return answer if isinstance(answer, Completion) else Completion(answer, Usage(3, 2))


def scripted(script: Script, **fields: Any) -> ModelInfo:
    """Return a model whose answers are those of `script`."""
    name = f"script-{next(_numbers)}"
    _scripts[name] = script
    return ModelInfo(model_id=f"scripted:{name}", **fields)


def telling(**fields: Any) -> ModelInfo:
    """Return a model whose every answer is the key of the call."""

    async def key(call: Call) -> str:
        return call.key.hex()

    return scripted(key, **fields)


def simulated(name: str = "m", **options: Any) -> ModelInfo:
    """Return a simulated model."""
    return ModelInfo(model_id=f"simulated:{name}", options=options)


def serve(*models: ModelInfo, **options: Any) -> ModelService:
    """Return a service that knows `models`."""
    registry = ModelRegistry()
    for model in models:
        registry.register_model(model)
    return ModelService(registry, **options)


def module(service: ModelService, model: ModelInfo, **config: Any) -> LMModule:
    """Return a new LM module for `model`."""
    return LMModule(LMModuleConfig(model_name=model.model_id, **config), service=service)


def modules(service: ModelService, model: ModelInfo, count: int, **config: Any) -> list[LMModule]:
    """Return several new LM modules for `model`."""
    return [module(service, model, **config) for _ in range(count)]


def in_trial(
    function: Callable[[], T], *, subject: Subject | None = None, epoch: int = 0
) -> tuple[T, Strand]:
    """Run plain code as a trial; return its result and its strand, which has the calls."""
    strand = Strand(TrialContext(subject, epoch))

    def body() -> T:
        strands.current.set(strand)
        return function()

    return bridge.wait(bridge.run(body)), strand


def on_the_loop(test: Callable[P, T]) -> Callable[P, T]:
    """Let a test run where trials run, so that each trial in it need not change threads."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return bridge.wait(bridge.run(test, *args, **kwargs))

    return run


def at_once(functions: Iterable[Callable[[], T]]) -> list[T]:
    """Run plain code at the same time, each with a context of its own, and return the results."""
    return bridge.wait(bridge.gather([bridge.run(function) for function in functions]))


def keys(strand: Strand) -> list[bytes]:
    """Return the keys of a trial's calls."""
    return [call.key for call in strand.trial.calls]
