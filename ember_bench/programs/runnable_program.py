"""Runnables of LangChain as operators: graphs of LangGraph, chains, agents."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from ember_bench.code_identity import qualified_name
from ember_bench.errors import ConfigError
from ember_bench.operators.base import Inputs, operator
from ember_bench.operators.description import user_code
from ember_bench.operators.lm import LMModule
from ember_bench.operators.references import called
from ember_bench.programs.framework_models import langchain_model
from ember_bench.programs.program import (
    QUERY,
    Program,
    as_output,
    chosen,
    foreign_model,
    own_errors,
    reachable,
    value_of,
)

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

_MESSAGES: Final = "messages"
_ANSWERS: Final = ("final_answer", "answer", "output", "result")
_FRAMEWORKS: Final = frozenset({"langchain", "langchain_core", "langgraph"})
_THREADS: Final = 64


@operator
class RunnableProgram(Program):
    """A `Runnable` of LangChain, such as a compiled graph of LangGraph.

    Its models are `langchain_model(lm_module)`, so that its calls go through the service: stored,
    priced, counted, in a trial. It is run by `ainvoke`, which also runs synchronous nodes.

    Inputs: `query` as a user's message behind the `turns` before it, if the Runnable takes
    `messages`; else the fields of its input schema, where `query` stands for one that is not given;
    else `query` itself. Outputs: the fields that it gives, and `final_answer`: a text or a message
    as a whole, the last of `messages`, a field `answer`, `output` or `result`, or the only field.

    Args:
        runnable: The Runnable, or a function that makes it of a chat model for each LM module.
        lm_modules: The LM modules for that function.
        takes: What the Runnable is given, as a function of the inputs.
        answer: The field that is the answer.

    Raises:
        ConfigError: if it is no Runnable, or one that asks a model of its own.
    """

    attribute = "runnable"

    def __init__(
        self,
        runnable: Runnable[Any, Any] | Callable[..., Runnable[Any, Any]],
        lm_modules: Sequence[LMModule] | LMModule = (),
        *,
        takes: Callable[[Inputs], Any] | None = None,
        answer: str | None = None,
    ) -> None:
        super().__init__(lm_modules=lm_modules)
        made = runnable
        if not is_runnable(runnable):
            called(runnable, "runnable")
            made = runnable(*(langchain_model(lm) for lm in self.lms))
        elif self.lms:
            raise ValueError(
                "lm_modules are for a function that makes the Runnable of their models"
            )
        if not is_runnable(made):
            raise ConfigError(f"expected a Runnable or a function that makes one, found {made!r}")
        self.runnable = made
        self.takes = takes
        self.answer = answer
        self.held = _models_of(made, {id(lm) for lm in self.lms})
        if not self.held and not self.lms:
            raise ConfigError("the Runnable has no model of langchain_model(...)")

    def forward(self, inputs: Inputs) -> Mapping[str, Any]:
        """Run the Runnable."""
        given = self.takes(inputs) if self.takes is not None else _input(self.runnable, inputs)
        with own_errors():
            gave = asyncio.run(_invoked(self.runnable, given))
        return self._output(gave)

    def _output(self, gave: Any) -> Mapping[str, Any]:
        if not isinstance(gave, Mapping):
            return as_output({}, _text(gave))
        fields = dict(gave)
        if self.answer is not None and self.answer not in fields:
            raise ConfigError(f"answer: the Runnable gives no {self.answer!r}, only {list(fields)}")
        named = [name for name in _ANSWERS if name in fields]
        name = self.answer or (named[0] if named else None)
        if name is None and fields.get(_MESSAGES):
            return as_output(fields, _text(fields[_MESSAGES][-1]))
        if name is None and len(fields) != 1:
            raise ConfigError(
                f"the Runnable gives {list(fields)}: say which of them is the answer (answer=...)"
            )
        return as_output(fields, _text(fields[name or next(iter(fields))]))

    def described_program(self, program: Any) -> Any:
        """Return its parts as LangChain writes them, and the code behind them."""
        from langchain_core.load import dumpd  # noqa: PLC0415 - an optional dependency

        # Functions are sorted by name: they are found in no order that says anything.
        code = sorted(
            {part for part in reachable(program, _has_parts) if inspect.isroutine(part)},
            key=lambda part: f"{part.__module__}.{part.__qualname__}",
        )
        return {
            "kind": qualified_name(type(program)),
            "written": _without_addresses(dumpd(program)),
            "graph": _without_addresses(program.get_graph().to_json()),
            **user_code(type(program), *code),
        }


def is_runnable(thing: Any) -> bool:
    """Whether an object is a Runnable; False without LangChain."""
    return any(
        cls.__module__ == "langchain_core.runnables.base" and cls.__name__ == "Runnable"
        for cls in type(thing).__mro__
    )


def _has_parts(thing: Any) -> bool:
    """Whether an object is one of the frameworks', which may hold functions and models."""
    if inspect.isclass(thing) or inspect.ismodule(thing):
        return False
    return is_runnable(thing) or type(thing).__module__.partition(".")[0] in _FRAMEWORKS


async def _invoked(runnable: Any, given: Any) -> Any:
    loop = asyncio.get_running_loop()
    # Python's own number of threads is that of processors, and calls only wait.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS))
    return await runnable.ainvoke(given)


def _models_of(runnable: Any, known: set[int]) -> list[LMModule]:
    """Return the LM modules of the chat models in a Runnable but those `known`.

    Raises:
        ConfigError: if it has a model of LangChain's.
    """
    from langchain_core.language_models import BaseLanguageModel  # noqa: PLC0415 - optional

    found: dict[int, LMModule] = {}
    for part in reachable(runnable, _has_parts):
        if not isinstance(part, BaseLanguageModel):
            continue
        module = getattr(part, "module", None)
        if not isinstance(module, LMModule):
            raise foreign_model(type(part).__name__, "langchain_model(lm_module)")
        if id(module) not in known:
            found[id(module)] = module
    return list(reversed(found.values()))  # the walk is from the last to the first


def _input(runnable: Any, inputs: Inputs) -> Any:
    names, required = _fields(runnable)
    if _MESSAGES in names:
        turns = [{"role": turn.role, "content": turn.content} for turn in inputs.get("turns", ())]
        asked = {"role": "user", "content": value_of(QUERY, inputs)}
        given = [name for name in names if name in inputs and name != _MESSAGES]
        return {_MESSAGES: [*turns, asked], **chosen(given, inputs)}
    if not names:
        return value_of(QUERY, inputs)
    given = [name for name in names if name in inputs]
    return chosen(required if required is not None else given or names[:1], inputs)


def _fields(runnable: Any) -> tuple[list[str], list[str] | None]:
    """Return the fields that a Runnable takes, and those that it must be given.

    What a graph must be given is not said: its nodes make the rest.
    """
    builder = getattr(runnable, "builder", None)
    if builder is not None:
        return list(get_type_hints(builder.input_schema)), None
    schema = runnable.get_input_jsonschema()
    names = list(schema.get("properties", {}))
    return names, list(schema.get("required", names))


def _text(gave: Any) -> Any:
    """Return a message's text; anything else as it is."""
    if not hasattr(gave, "content"):
        return gave
    if isinstance(gave.content, str):
        return gave.content
    parts = [p if isinstance(p, str) else p.get("text", "") for p in gave.content]
    return "".join(parts)


def _without_addresses(value: Any) -> Any:
    """Return JSON-like data without texts that differ from process to process."""
    if isinstance(value, Mapping):
        kept = ((k, v) for k, v in value.items() if k not in ("repr", "graph"))
        return {key: _without_addresses(part) for key, part in kept}
    if isinstance(value, list | tuple):
        return [_without_addresses(part) for part in value]
    return value
