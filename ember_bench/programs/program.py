"""What operators that run programs of other frameworks have in common."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from ember_bench.code_identity import is_built_in
from ember_bench.errors import ConfigError, EmberBenchError, SignatureError
from ember_bench.operators.answer_function import ANSWER
from ember_bench.operators.base import Inputs, Operator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import Signature, missing_input

QUERY: Final = "query"
"""The input that stands for a program's only input, whatever its name."""
# Fields by which an output is scored; a program's own fields of these names mean something else.
_SCORED: Final = frozenset({"answers", "responses", "credit", ANSWER})


class Program(Operator):
    """An operator that runs a program of another framework, in a thread of its own.

    The program may start threads itself. Its calls count one after another, so the latency of calls
    at the same time is the sum of theirs.

    Args:
        lm_modules: The LM modules that it asks.
        program: The program.
    """

    blocking: ClassVar[bool] = True
    uses: ClassVar[Sequence[str] | None] = None
    attribute: ClassVar[str]
    """The attribute with the program."""

    held: Sequence[LMModule] = ()
    """LM modules that the program has itself."""

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule] | LMModule = (),
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        given = [lm_modules] if isinstance(lm_modules, LMModule) else lm_modules
        super().__init__(lm_modules=given, signature=signature)

    def describe(self) -> dict[str, Any]:
        """Return what can change the results: the program by its code and its state."""
        bare = copy.copy(self)
        program = vars(bare).pop(self.attribute)
        described = super(Program, bare).describe()
        described["attributes"][self.attribute] = self.described_program(program)
        return described

    def described_program(self, program: Any) -> Any:
        """Return, as JSON-like data, what can change the results of a program."""
        raise NotImplementedError


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise the error of a call itself, where a framework has made one of its own of it.

    Raises:
        EmberBenchError: the error of the call.
    """
    try:
        yield
    except EmberBenchError:
        raise
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, EmberBenchError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from None


def value_of(name: str, inputs: Inputs) -> Any:
    """Return an input by name, also one of an item's `metadata`.

    Raises:
        SignatureError: if there is none.
    """
    metadata = inputs.get("metadata")
    if name in inputs:
        return inputs[name]
    if isinstance(metadata, Mapping) and name in metadata:
        return metadata[name]
    raise missing_input([name], inputs)


def chosen(names: Sequence[str], inputs: Inputs) -> dict[str, Any]:
    """Return the inputs that a program names; `query` stands for one that is not given.

    Raises:
        SignatureError: if more are not given, before any call.
    """
    found: dict[str, Any] = {}
    missing = []
    for name in names:
        try:
            found[name] = value_of(name, inputs)
        except SignatureError:
            missing.append(name)
    if len(missing) == 1 and QUERY in inputs and QUERY not in names:
        found[missing.pop()] = inputs[QUERY]
    if missing:
        raise missing_input(missing, inputs)
    return {name: found[name] for name in names}


def as_output(fields: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Return an operator's output: a program's fields, and its answer as `final_answer`."""
    named = {f"program_{name}" if name in _SCORED else name: v for name, v in fields.items()}
    return {**named, ANSWER: answer}


def foreign_model(name: str, instead: str) -> ConfigError:
    """Return the error for a program that asks a model past the service."""
    return ConfigError(
        f"the program asks a model by itself ({name}), so its calls would be neither stored, priced"
        f" nor counted; use {instead}"
    )


def reachable(root: Any, holds: Callable[[Any], bool]) -> Iterator[Any]:
    """Yield the parts of a program, each once: functions with what they name, and `holds`.

    Args:
        root: The program.
        holds: Whether to look into an object's attributes.
    """
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
        elif inspect.isfunction(value) or inspect.ismethod(value):
            if not is_built_in(value):
                yield value
                waiting += _named(value)
        elif holds(value):
            yield value
            waiting += [part for _, part in attributes(value)]


def _named(function: Any) -> list[Any]:
    """Return the values that a function closes over, names, or is bound to."""
    plain = inspect.unwrap(function)
    if inspect.ismethod(plain):
        return [plain.__func__, plain.__self__]
    try:
        found = inspect.getclosurevars(plain)
    except (TypeError, ValueError):
        return []
    return [*found.nonlocals.values(), *found.globals.values()]


def attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield an object's own attributes, those in slots too."""
    yield from getattr(thing, "__dict__", {}).items()
    for cls in type(thing).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if not name.startswith("__") and hasattr(thing, name):
                yield name, getattr(thing, name)
