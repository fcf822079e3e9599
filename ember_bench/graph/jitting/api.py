"""`@jit`: makes the LM calls of plain Python code at the same time.

The code of a function is rewritten, once. It then runs as it is, but an LM call gives a value that
is still to come, and the calls that wait are made at the same time when some value is needed: a
branch on an answer is the end of one part of the run, and the begin of the next.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ember_bench import bridge
from ember_bench.errors import did_you_mean
from ember_bench.graph.jitting import operations  # noqa: F401 - rewritten code uses it
from ember_bench.graph.jitting.calls import Jitted, invoke, live
from ember_bench.graph.jitting.operators import JittedOperator
from ember_bench.graph.jitting.plans import JitPlan, Report, no_plan, planned
from ember_bench.graph.jitting.runs import Run, run_whole
from ember_bench.graph.jitting.sources import UnreadableError
from ember_bench.operators.base import Operator

P = ParamSpec("P")
T = TypeVar("T")
OperatorT = TypeVar("OperatorT", bound=Operator)


@overload
def jit(target: type[OperatorT]) -> type[OperatorT]: ...  # type: ignore[overload-overlap]
@overload
def jit(target: Operator) -> JittedOperator: ...  # type: ignore[overload-overlap]
@overload
def jit(target: Callable[P, T]) -> JittedFunction[P, T]: ...
def jit(target: Any) -> Any:
    """Return an operator class, an operator or a function whose calls are made at the same time.

    The result equals that of eager code, the same calls are made, and in a trial each has the same
    identity (replica and draw). A function whose source is not available, and a generator or
    coroutine function, is run eagerly. One line in the log tells where calls wait for others.
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


class JittedFunction(Jitted, Generic[P, T]):
    """A function whose calls are made at the same time; see `jit`."""

    def __init__(self, function: Callable[P, T]) -> None:
        self.function = function
        functools.update_wrapper(self, function)
        self._report = Report(getattr(function, "__qualname__", repr(function)))

    @property
    def plain(self) -> Callable[P, T]:
        """The function itself."""
        return self.function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function."""
        return self._call(args, kwargs)

    async def acall(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function, as a coroutine: on the event loop of the code that awaits it."""
        result = await bridge.run(self, *args, **kwargs)
        return await result if inspect.iscoroutine(result) else result

    def plan(self, *args: P.args, **kwargs: P.kwargs) -> JitPlan:
        """Return the plan for such inputs; makes no LM calls, and changes nothing.

        It ends where an answer is needed, or where code is called that might change something.
        What follows is shown as it was in the last run that began in the same way.

        Raises:
            GraphError: if there is none, as the function is run eagerly.
        """
        return self._plan((), args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else JittedMethod(self, instance)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        function: Any = self.function
        if kwargs:
            _check_names(function, kwargs)
        run = Run()
        try:
            code: Any = live(function) if isinstance(function, FunctionType) else None
        except UnreadableError as error:
            self._report.of_eager(str(error))
            return function(*args, **kwargs)  # type: ignore[no-any-return]
        if code is None:
            code = functools.partial(invoke, run, function)
        try:
            return run_whole(run, lambda: code(*args, **kwargs))  # type: ignore[no-any-return]
        finally:
            self._report.of_run(run)

    def _plan(
        self, bound: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> JitPlan:
        function: Any = self.function
        run = Run(dry=True)
        try:
            code: Any = live(function) if isinstance(function, FunctionType) else None
        except UnreadableError as error:
            raise no_plan(self._report.name, str(error)) from None
        if code is None:
            code = functools.partial(invoke, run, function)
        given = inspect.signature(function).bind(*bound, *args, **kwargs)
        for name in list(given.arguments)[len(bound) :]:
            given.arguments[name] = run.given(name, given.arguments[name])
        return planned(
            self._report.name, run, lambda: code(*given.args, **given.kwargs), self._report.last
        )


def _check_names(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise what Python raises for an unknown argument, with the name that was probably meant."""
    if not isinstance(function, FunctionType):
        return
    code = function.__code__
    known = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    for name in given:
        if name not in known and not code.co_flags & inspect.CO_VARKEYWORDS:
            raise TypeError(
                f"{function.__qualname__}() got an unexpected keyword argument {name!r}"
                f"{did_you_mean(name, known) if known else ''}"
            )


class JittedMethod(Jitted, Generic[P, T]):
    """A jitted function bound to an instance."""

    def __init__(self, jitted: JittedFunction[P, T], instance: Any) -> None:
        self.__self__ = instance
        self.__func__ = jitted
        functools.update_wrapper(self, jitted.function)

    @property
    def plain(self) -> Callable[..., T]:
        """The method itself."""
        return MethodType(self.__func__.function, self.__self__)

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Run the method."""
        return self.__func__._call((self.__self__, *args), kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> T:
        """Run the method, as a coroutine; see `JittedFunction.acall`."""
        return await bridge.run(self, *args, **kwargs)

    def plan(self, *args: Any, **kwargs: Any) -> JitPlan:
        """Return the plan for such inputs; see `JittedFunction.plan`."""
        return self.__func__._plan((self.__self__,), args, kwargs)
