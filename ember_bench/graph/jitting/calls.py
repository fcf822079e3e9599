"""What rewritten code calls, function by function.

Calls of LM modules and operators are noted, functions of the user's code are rewritten too, and
functions that only compute wait for what they are given. Everything else gets values, and is
called when the calls before it are made.
"""

from __future__ import annotations

import builtins
import inspect
import sys
import sysconfig
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType
from typing import Any, Final

from ember_bench.graph.jitting import structures
from ember_bench.graph.jitting.expressions import HOOKS
from ember_bench.graph.jitting.lazies import (
    LAZY,
    Kind,
    Lazy,
    LazyItems,
    LazyMethod,
    NotSimpleError,
    is_lazy_in,
    lazies_in,
    snapshot,
    symbolic,
)
from ember_bench.graph.jitting.pure import (
    GIVE_TEXT,
    GIVE_TEXTS,
    is_data,
    is_ours,
    name_of,
    of_pure,
    read,
    whole_arguments,
)
from ember_bench.graph.jitting.rewriting import rewritten
from ember_bench.graph.jitting.runs import Run
from ember_bench.graph.jitting.sources import UnreadableError
from ember_bench.models import interception
from ember_bench.models.call import Request
from ember_bench.operators.asking import ask_all, ask_requests
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule, Prompt, check_prompt
from ember_bench.operators.plan import call_method


class Jitted:
    """A jitted function or method; in rewritten code, its code is part of the run."""

    @property
    def plain(self) -> Callable[..., Any]:
        """The function or method itself."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that rewritten code is to make."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None


class _Stash(threading.local):
    """The arguments of calls between `callee` and `kwargs`."""

    def __init__(self) -> None:
        self.calls: list[Prepared] = []


stash: Final = _Stash()
hooks: Final = CellType()
"""The operations; set by their module, which imports this one."""

# By function that rewritten code has made: its rewritten code.
closures: Final[weakref.WeakKeyDictionary[FunctionType, FunctionType]] = weakref.WeakKeyDictionary()


def current_run() -> Run | None:
    """Return the run that the running code is part of."""
    run = interception.current.get()
    return run if type(run) is Run else None


def live(function: FunctionType) -> FunctionType:
    """Return the rewritten function.

    Raises:
        UnreadableError: if it cannot be rewritten.
    """
    code = rewritten(function)
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[HOOKS] = hooks
    closure = tuple(cells[name] for name in code.co_freevars)
    defaults = function.__defaults__
    made = FunctionType(code, function.__globals__, function.__name__, defaults, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def invoke(run: Run, function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a function as rewritten code does; its result may be lazy."""
    call = prepared(run, function, args, kwargs)
    return call.function(*call.args, **(call.kwargs or {}))


def prepared(run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Prepared:
    """Return the call to make, with the arguments that the function may see."""
    if run.stopped:
        run.settle("")
    if type(function) is LazyMethod:
        made = _method_later(run, function, args, kwargs)
        if made is not structures.OTHERWISE:
            return _done(made)
    if type(function) in LAZY:
        function = run.whole(function, "it is called")
    if type(function) is partial:
        given = (*function.args, *args)
        return prepared(run, function.func, given, {**function.keywords, **kwargs})
    args = read(run, function, args, kwargs)
    if run.attempt is not None and run.is_attempting:
        # What eager code does only if the call does not fail.
        for attempt in (_asked, _of_pure):
            call = attempt(run, function, args, kwargs)
            if call is not None:
                return call
        run.settle(f"{name_of(function)}() is called after a call in `try`")
    for attempt in (_asked, _of_operator, _of_containers, _of_pure, _of_ours, _of_user):
        call = attempt(run, function, args, kwargs)
        if call is not None:
            return call
    return _other(run, function, args, kwargs)


def _done(result: Any) -> Prepared:
    return Prepared(_given, (result,))


def _given(result: Any) -> Any:
    return result


# ---- methods of what is to come


def _method_later(
    run: Run, method: LazyMethod, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    source, name = method.source, method.name
    if name not in (_OF_TEXT if source.kind == "text" else _OF_ANY):
        return structures.OTHERWISE
    if name == "join":
        args = tuple(list(a.raw()) if type(a) is LazyItems else a for a in args)
    kind: Kind = "value"
    if source.kind == "text":
        kind = "text" if name in GIVE_TEXT else "texts" if name in GIVE_TEXTS else "value"
    try:
        return run.later(call_method, (source, name, args, kwargs), kind)
    except NotSimpleError:
        return structures.OTHERWISE


_OF_TEXT: Final = {name for name in vars(str) if not name.startswith("__")} - {"maketrans"}
_OF_ANY: Final = {*_OF_TEXT, "get", "items", "keys", "values"}
# ---- LM modules

_ANSWER: Final = (LMModule.__call__, LMModule.generate_response)


def _asked(
    run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Prepared | None:
    if function in (ask_all, ask_requests):
        return _asked_together(run, args, kwargs)
    module, method = function, _call_of(function)
    if isinstance(function, MethodType):
        module, method = function.__self__, function.__func__
    if not isinstance(module, LMModule) or type(module).respond is not LMModule.respond:
        return None
    if (
        method not in (*_ANSWER, LMModule.respond)
        or kwargs.get("timeout") is not None
        or len(args) + ("prompt" in kwargs) != 1
    ):
        return None
    given = dict(kwargs)
    prompt = args[0] if args else given.pop("prompt")
    response = _ask(run, module, prompt, given)
    if method in _ANSWER:
        return _done(run.data(response))
    return _done(response.value if response.done else response)


def _asked_together(run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Prepared | None:
    calls = args[0] if len(args) == 1 else None
    if run.at_once or type(calls) is not list:
        return None
    modules = [call[0] for call in calls if type(call) is tuple and len(call) == 2]
    if len(modules) != len(calls) or len({id(getattr(lm, "service", lm)) for lm in modules}) > 1:
        return None
    made = [
        run.ask(lm, asked) if type(asked) is Request else _ask(run, lm, asked, kwargs)
        for lm, asked in calls
    ]
    run.own[id(made)] = made
    return _done(made)


def _ask(run: Run, lm: LMModule, prompt: Any, kwargs: dict[str, Any]) -> Lazy:
    if type(prompt) is Lazy and prompt.kind == "text" and prompt.run is run:
        prompt = prompt.symbol
    else:
        prompt = run.whole(prompt, "it is a whole prompt, and may be no text")
        check_prompt(prompt)
    given = {k: run.whole(v, f"it is {k} of a call") for k, v in kwargs.items() if k != "about"}
    if "about" in kwargs:
        about = kwargs["about"]
        is_list = type(about) in (list, tuple) and all(type(p) in (str, Lazy) for p in about)
        given["about"] = symbolic(snapshot(about)) if is_list else run.whole(about)
    asked: Prompt = prompt
    return run.ask(lm, lm.request(asked, **given))


# ---- operators

_operator_call: list[Callable[..., Any]] = []


def calls_operators_by(call: Callable[..., Any]) -> None:
    """Set how operators are called; by their module, which imports this one."""
    _operator_call[:] = [call]


def _of_operator(
    run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Prepared | None:
    if not isinstance(function, Operator):
        return None
    found = _operator_call[0](run, function, args, kwargs)
    return None if found is structures.OTHERWISE else _done(found)


def _of_containers(
    run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Prepared | None:
    attempt = partial(invoke, run)
    if type(function) is BuiltinFunctionType:
        found = structures.of_own(run, function, args, kwargs)
        if found is not structures.OTHERWISE:
            return _done(found)
    if type(function) in (type, BuiltinFunctionType):
        found = structures.of_entries(run, function, args, kwargs, attempt)
        if found is not structures.OTHERWISE:
            return _done(found)
    return None


def _of_pure(
    run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Prepared | None:
    found = of_pure(run, function, args, kwargs)
    return None if found is structures.OTHERWISE else _done(found)


def _of_ours(
    run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Prepared | None:
    if not is_ours(function) or not all(lazy.done for lazy in lazies_in((args, kwargs))):
        return None
    args, kwargs = whole_arguments(run, args, kwargs, "")
    return Prepared(function, args, kwargs)


# ---- functions of the user


def _of_user(
    run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Prepared | None:
    if isinstance(function, Jitted):
        function = function.plain
    if not isinstance(function, FunctionType | MethodType | type):
        called = _call_of(function)
        if isinstance(called, FunctionType):
            function = MethodType(called, function)
    first: tuple[Any, ...] = ()
    if isinstance(function, MethodType):
        first, function = (function.__self__,), function.__func__
    if not isinstance(function, FunctionType):
        return None
    made = closures.get(function)
    if made is None:
        if not _is_users(function):
            return None
        try:
            made = live(function)
        except UnreadableError:
            return None
    if made.__code__.co_flags & inspect.CO_VARKEYWORDS:
        # They become a dict that is not known as one of the function's own.
        kwargs = {name: run.whole(part, "it is in **kwargs") for name, part in kwargs.items()}
    return Prepared(made, (*first, *args), kwargs)


_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def _is_users(function: FunctionType) -> bool:
    root = (function.__module__ or "").partition(".")[0]
    return root != "ember_bench" and not function.__code__.co_filename.startswith(_LIBRARIES)


# ---- everything else

# They wait for other code, or run functions that they were given before.
_NOT_INDIFFERENT: Final = frozenset(
    [
        "_asyncio", "_thread", "asyncio", "concurrent", "contextlib", "contextvars", "functools",
        "itertools", "multiprocessing", "queue", "sched", "threading", "unittest", "weakref",
    ]
)  # fmt: skip


def _other(run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Prepared:
    name = name_of(function)
    lazy = is_lazy_in((args, kwargs))
    run.fill(getattr(function, "__self__", None), f"{name}() looks at it")
    run.stop(f"{name}() is called")
    args, kwargs = whole_arguments(run, args, kwargs, f"{name}() is given an answer")
    if lazy or not (_is_indifferent(function) and all(map(is_data, (*args, *kwargs.values())))):
        run.settle(f"{name}() is called, which may see what was done before")
    return Prepared(function, args, kwargs)


def _is_indifferent(function: Any) -> bool:
    """Return whether a function of the standard library does the same before calls of models."""
    module = getattr(function, "__module__", None) or ""
    owner = getattr(function, "__self__", None)
    if owner is not None and owner is not builtins and not isinstance(owner, type(sys)):
        module = type(owner).__module__
    root = module.partition(".")[0]
    return root in sys.stdlib_module_names and root not in _NOT_INDIFFERENT and root != "__main__"


def _call_of(given: Any) -> Any:
    """Return the method that calls an object, as its class has it."""
    return next((vars(c)["__call__"] for c in type(given).__mro__ if "__call__" in vars(c)), None)
