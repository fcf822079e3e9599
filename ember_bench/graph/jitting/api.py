"""`@jit`: makes the LM calls of plain Python code at the same time.

The first call of a function traces it: it is run with stand-ins for its inputs and the models'
answers, and its calls become an execution plan. In this and every later call with inputs of the
same structure, the plan makes the LM calls concurrently, and the function is run with their
answers. A plan contains no answers: each call of the function makes new LM calls.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import logging
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Generic, ParamSpec, TypeVar, overload

from ember_bench.errors import GraphError
from ember_bench.graph.jitting.replay import run_program
from ember_bench.graph.jitting.stand_ins import NeedsInput, Tokens, Untraceable
from ember_bench.graph.jitting.tracing import Program, compiled
from ember_bench.models import interception
from ember_bench.operators.base import Inputs, Operator, operator
from ember_bench.operators.plan import ExecutionPlan, Ref

P = ParamSpec("P")
T = TypeVar("T")
OperatorT = TypeVar("OperatorT", bound=Operator)

logger = logging.getLogger(__name__)

_MOST_STRUCTURES: Final = 256  # per function; the oldest are dropped
_MOST_DEPARTURES: Final = 2


@overload
def jit(target: type[OperatorT]) -> type[OperatorT]: ...  # type: ignore[overload-overlap]
@overload
def jit(target: Operator) -> JittedOperator: ...  # type: ignore[overload-overlap]
@overload
def jit(target: Callable[P, T]) -> JittedFunction[P, T]: ...
def jit(target: Any) -> Any:
    """Return an operator class, an operator or a function whose calls run as a plan.

    The result always equals that of eager code, and in a trial each call has the same identity
    (replica and draw). Code that cannot be planned without the models' answers is run eagerly,
    with one line in the log.

    The function should have no side effects: its body is run twice to trace it, and once in each
    call.
    """
    if isinstance(target, type):
        if not issubclass(target, Operator):
            raise TypeError(f"jit takes an operator class, not {target.__name__}")
        forward: Any = JittedFunction(target.forward)
        target.forward = forward  # type: ignore[method-assign]
        return target
    if isinstance(target, Operator):
        return JittedOperator(target)
    if not callable(target):
        raise TypeError(f"jit takes an operator or a function, not {target!r}")
    return JittedFunction(target)


@dataclass(slots=True)
class _Structure:
    """The programs for inputs of one structure.

    Attributes:
        known: Inputs whose content the function reads; a program is for one content of them.
        programs: By that content; None if the function is run eagerly.
        departures: Number of runs that departed from their trace.
    """

    known: frozenset[str] = frozenset()
    programs: dict[Hashable, Program | None] = field(default_factory=dict)
    departures: int = 0


class JittedFunction(Generic[P, T]):
    """A function whose calls run as a plan; see `jit`."""

    def __init__(self, function: Callable[P, T]) -> None:
        self.function = function
        functools.update_wrapper(self, function)
        self._signature = inspect.signature(function)
        self._structures: dict[Hashable, _Structure] = {}
        self._of_instances: weakref.WeakKeyDictionary[Any, dict[Hashable, _Structure]]
        self._of_instances = weakref.WeakKeyDictionary()
        self._has_spoken = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function."""
        return self._call(self._structures, (), args, kwargs)

    def plan(self, *args: P.args, **kwargs: P.kwargs) -> ExecutionPlan:
        """Return the plan for such inputs; makes no LM calls.

        Raises:
            GraphError: if there is none, as the function is run eagerly.
        """
        return self._plan(self._structures, (), args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else JittedMethod(self, instance)

    def _call(
        self,
        structures: dict[Hashable, _Structure],
        bound: tuple[Any, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        function: Any = functools.partial(self.function, *bound, *args, **kwargs)
        if interception.current.get() is not None:  # called during a trace
            return function()  # type: ignore[no-any-return]
        try:
            given = _Given(self._signature, bound, args, kwargs)
        except TypeError:
            return function()  # type: ignore[no-any-return]  # raises the TypeError again
        structure = structures.get(given.key)
        if structure is None:
            structure = structures[given.key] = _Structure()
            if len(structures) > _MOST_STRUCTURES:
                del structures[next(iter(structures))]
        content = given.content(structure.known)
        if content not in structure.programs:
            return self._first_call(structure, given, function)
        program = structure.programs[content]
        if program is None:
            return function()  # type: ignore[no-any-return]
        return self._run(structure, program, given, function)

    def _first_call(self, structure: _Structure, given: _Given, function: Any) -> T:
        try:
            program = self._compile(structure, given)
        except (Untraceable, Exception) as error:
            reason, place = _reason(error), _place(error.__traceback__, self.function)
        else:
            return self._run(structure, program, given, function)
        result = function()  # raises again an error that the inputs cause
        structure.programs[given.content(structure.known)] = None
        self._log(f"{reason} at {place}" if place else reason)
        return result  # type: ignore[no-any-return]

    def _run(self, structure: _Structure, program: Program, given: _Given, function: Any) -> T:
        if not program.events:
            return function()  # type: ignore[no-any-return]
        result, departure = run_program(program, given.texts, function)
        if departure is not None:
            structure.departures += 1
            structure.programs.clear()
            if structure.departures >= _MOST_DEPARTURES:
                structure.programs[given.content(structure.known)] = None
            self._log(f"it departs from its trace ({departure})")
        return result  # type: ignore[no-any-return]

    def _compile(self, structure: _Structure, given: _Given) -> Program:
        """Return the program for the content of the inputs that the function reads."""
        if inspect.iscoroutinefunction(self.function):
            raise Untraceable("it is a coroutine function")
        while True:
            content = given.content(structure.known)
            if (program := structure.programs.get(content)) is not None:
                return program
            names = frozenset(given.texts) - structure.known
            try:
                program = compiled(self.function, given.arguments(names), names)
            except NeedsInput as needed:
                structure.known |= needed.names
                structure.programs.clear()
                continue
            except (Untraceable, Exception):
                if not names or not given.texts:
                    raise
                # It may read its inputs by C code (`re`, `json`), which cannot be intercepted.
                program = compiled(self.function, given.arguments(frozenset()), frozenset())
                structure.known = frozenset(given.texts)
                structure.programs.clear()
                content = given.content(structure.known)
            if len(structure.programs) >= _MOST_STRUCTURES:
                del structure.programs[next(iter(structure.programs))]
            structure.programs[content] = program
            return program

    def _plan(
        self,
        structures: dict[Hashable, _Structure],
        bound: tuple[Any, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> ExecutionPlan:
        given = _Given(self._signature, bound, args, kwargs)
        structure = structures.setdefault(given.key, _Structure())
        try:
            return self._compile(structure, given).plan
        except Untraceable as error:
            place = _place(error.__traceback__, self.function)
            raise GraphError(f"{self._name} has no plan: {_reason(error)} at {place}") from None

    @property
    def _name(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))

    def _log(self, reason: str) -> None:
        if not self._has_spoken:
            self._has_spoken = True
            logger.warning("%s runs eagerly: %s", self._name, reason)


class JittedMethod(Generic[P, T]):
    """A jitted function bound to an instance; each instance has plans of its own."""

    def __init__(self, jitted: JittedFunction[P, T], instance: Any) -> None:
        self.__self__ = instance
        self.__func__ = jitted
        functools.update_wrapper(self, jitted.function)

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Run the method."""
        return self.__func__._call(self._structures(), (self.__self__,), args, kwargs)

    def plan(self, *args: Any, **kwargs: Any) -> ExecutionPlan:
        """Return the plan for such inputs; see `JittedFunction.plan`."""
        return self.__func__._plan(self._structures(), (self.__self__,), args, kwargs)

    def _structures(self) -> dict[Hashable, _Structure]:
        try:
            return self.__func__._of_instances.setdefault(self.__self__, {})
        except TypeError:  # not hashable, or no weak references
            return {}


@operator
class JittedOperator(Operator):
    """An operator whose calls run as a plan; see `jit`.

    Inputs and outputs: those of the operator `inner`.
    """

    described_as = "ember_bench.graph.jitted.JittedOperator"

    def __init__(self, inner: Operator) -> None:
        super().__init__()
        self.inner = inner
        # Shadows the class attribute by the kind of the inner operator.
        self.kind = inner.kind  # type: ignore[misc]

    def forward(self, inputs: Inputs) -> Any:
        """Run the code of the inner operator, which is traced."""
        inner = self.inner
        if interception.current.get() is None:
            return inner(inputs)
        if inner.blocking or inspect.iscoroutinefunction(inner.forward):
            interception.refuse(f"{type(inner).__name__} is blocking or a coroutine")
        return inner.call_with(inner.forward, inputs)

    def plan(self, inputs: Inputs) -> ExecutionPlan:
        """Return the plan for such inputs; see `JittedFunction.plan`."""
        forward: Any = self.forward
        plan: ExecutionPlan = forward.plan(inputs)
        return plan


JittedOperator.forward = JittedFunction(JittedOperator.forward)  # type: ignore[method-assign]


class _Given:
    """The arguments of a function: texts, by name, and the structure around them."""

    def __init__(
        self,
        signature: inspect.Signature,
        bound: tuple[Any, ...],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        self._bound = bound
        self._arguments = signature.bind(*bound, *args, **kwargs)
        self.texts: dict[str, str] = {}
        names = list(self._arguments.arguments.items())[len(bound) :]
        self.key: Hashable = tuple((name, self._take(name, value)) for name, value in names)

    def content(self, names: frozenset[str]) -> Hashable:
        """Return the content of some of the texts."""
        return tuple(self.texts[name] for name in sorted(names))

    def arguments(
        self, names: frozenset[str]
    ) -> Callable[[Tokens], tuple[tuple[Any, ...], dict[str, Any]]]:
        """Return a function that makes the arguments, with stand-ins for the texts `names`."""

        def make(tokens: Tokens) -> tuple[tuple[Any, ...], dict[str, Any]]:
            given = dict(self._arguments.arguments)
            for name in list(given)[len(self._bound) :]:
                given[name] = _rebuilt(name, given[name], names, tokens)
            arguments = inspect.BoundArguments(self._arguments.signature, given)
            return arguments.args, arguments.kwargs

        return make

    def _take(self, name: str, value: Any) -> Hashable:
        kind = type(value)
        if kind is str:
            self.texts[name] = value
            return str
        if kind in (list, tuple):
            return (kind, *(self._take(f"{name}[{i}]", part) for i, part in enumerate(value)))
        if kind is dict:
            return (kind, *((k, self._take(f"{name}.{k}", part)) for k, part in value.items()))
        if kind in (int, float, complex, bool, bytes, type(None)):
            return (kind, value)
        return _Same(value)


class _Same:
    """A value that is compared by identity."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _rebuilt(name: str, value: Any, names: frozenset[str], tokens: Tokens) -> Any:
    kind = type(value)
    if kind is str:
        return tokens.text(Ref(name)) if name in names else value
    if kind in (list, tuple):
        return kind(_rebuilt(f"{name}[{i}]", part, names, tokens) for i, part in enumerate(value))
    if kind is dict:
        return {k: _rebuilt(f"{name}.{k}", part, names, tokens) for k, part in value.items()}
    return value


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, Untraceable) else f"{type(error).__name__}: {error}"


def _place(traceback: TracebackType | None, function: Any) -> str:
    """Return the place in the user's code at which an error was raised, with the line."""
    found: tuple[str, int] | None = None
    while traceback is not None:
        frame = traceback.tb_frame
        if not frame.f_globals.get("__name__", "").startswith("ember_bench."):
            found = frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    if found is None:
        code = inspect.unwrap(function).__code__ if hasattr(function, "__code__") else None
        return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    line = linecache.getline(*found).strip()
    return f"{found[0]}:{found[1]}: {line}"
