"""Execution plans: tasks and their dependencies.

The arguments of a task may contain symbols for future values, anywhere in lists, tuples and dicts:
`Ref("draft")` is the result of the task `draft`, or an input of the plan; `Apply` and `Text` are
functions of other symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from ember_bench import bridge
from ember_bench.errors import GraphError, did_you_mean
from ember_bench.models.call import Request
from ember_bench.operators.lm import LMModule


class Ref(msgspec.Struct, frozen=True):
    """The result of the task of this name, or the plan's input of this name."""

    name: str


class Apply(msgspec.Struct, frozen=True):
    """The result of a function that is fast and without side effects, such as `getitem`."""

    function: Callable[..., Any]
    args: tuple[Any, ...]


class Text(msgspec.Struct, frozen=True):
    """A text with holes: its parts are texts and symbols of texts."""

    parts: tuple[Any, ...]


Symbol: TypeAlias = Ref | Apply | Text


class Task(msgspec.Struct, frozen=True):
    """One call in a plan.

    Attributes:
        name: Unique in the plan.
        function: An LM module, an operator, or any function.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        after: Tasks that must end before, although their results are not used.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    after: tuple[str, ...] = ()


class Ask(msgspec.Struct, frozen=True):
    """A task's function that takes a whole request and returns the LM module's response."""

    module: LMModule

    def __call__(self, request: Request) -> Any:
        """Make the call, from synchronous code."""
        return bridge.wait(self.module.service.ask(request, self.module))


class Otherwise(msgspec.Struct, frozen=True):
    """A task's function that gives its argument, or what is to stand for it if a task failed.

    Attributes:
        attempt: Has `value`, which takes a function that returns the argument.
    """

    attempt: Any

    def __call__(self, given: Any) -> Any:
        """Return what is given."""
        return given


class ExecutionPlan:
    """Tasks and their dependencies; immutable.

    Args:
        tasks: Each may depend only on earlier ones, so a plan cannot have a cycle.
        output: The plan's result, with symbols; by default the result of the last task.
        inputs: Names of the values that a run needs.

    Raises:
        GraphError: if two tasks have the same name, or a task names no earlier task or input.
    """

    __slots__ = ("inputs", "needs", "output", "tasks")

    tasks: tuple[Task, ...]
    output: Any
    inputs: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    """The tasks that each task depends on, by name, in the plan's order."""

    def __init__(
        self, tasks: Iterable[Task], output: Any = None, inputs: Sequence[str] = ()
    ) -> None:
        fixed = tuple(tasks)
        if output is None and fixed:
            output = Ref(fixed[-1].name)
        known = dict.fromkeys(inputs, False)  # name -> whether it is a task
        needs: dict[str, tuple[str, ...]] = {}
        for task in fixed:
            name = task.name
            if name in known:
                raise GraphError(f"task {name!r} is already in the plan")
            named = references(task.args, task.kwargs)
            needs[name] = (
                _known_tasks([*named, *task.after], known, f"task {name!r}")
                if named or task.after
                else ()
            )
            known[name] = True
        _known_tasks(references(output), known, "the output")
        fix = object.__setattr__
        fix(self, "tasks", fixed)
        fix(self, "output", output)
        fix(self, "inputs", tuple(inputs))
        fix(self, "needs", needs)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an ExecutionPlan cannot be changed ({name})")

    def __len__(self) -> int:
        return len(self.tasks)

    def __repr__(self) -> str:
        count = len(self.tasks)
        head = f"ExecutionPlan: {count} task{'' if count == 1 else 's'}"
        if self.inputs:
            head += f", given {', '.join(self.inputs)}"
        width = max((len(task.name) for task in self.tasks), default=0)
        lines = [f"  {task.name:<{width}} = {_show_task(task)}" for task in self.tasks]
        return "\n".join([head, *lines, f"  gives {show(self.output)}"])


def _known_tasks(names: Iterable[str], known: Mapping[str, bool], who: str) -> tuple[str, ...]:
    """Return the tasks among `names`, each once; the others are inputs."""
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise GraphError(f"{who} needs {name!r}, which is no earlier task{hint}")
    return tuple(dict.fromkeys(name for name in names if known[name]))


def references(*trees: Any) -> list[str]:
    """Return the names in `trees`, in order, each once."""
    found: dict[str, None] = {}
    for tree in trees:
        _collect(tree, found)
    return list(found)


def _collect(tree: Any, found: dict[str, None]) -> None:
    kind = type(tree)
    if kind is Ref:
        found[tree.name] = None
        return
    if kind is list or kind is tuple:
        parts = tree
    elif kind is dict:
        parts = tree.values()
    else:
        parts = _parts(kind, tree)
    for part in parts:
        if type(part) is not str:
            _collect(part, found)


def _parts(kind: type, tree: Any) -> Iterable[Any]:
    """Return the parts of `tree`, if it is none of the usual containers."""
    if kind is Apply:
        return tree.args  # type: ignore[no-any-return]
    if kind is Text:
        return tree.parts  # type: ignore[no-any-return]
    if kind is Request:
        return [
            *(part for m in tree.messages for part in (m.content, m.tool_calls, m.tool_call_id)),
            *tree.about,
        ]
    return tree.values() if kind is MappingProxyType else ()


def resolve(tree: Any, values: Mapping[str, Any]) -> Any:
    """Return `tree` with symbols replaced by their values; containers are copied."""
    kind = type(tree)
    resolved: Any = tree
    if kind is Ref:
        resolved = values[tree.name]
    elif kind is list:
        resolved = [resolve(part, values) for part in tree]
    elif kind is tuple:
        resolved = tuple([resolve(part, values) for part in tree])
    elif kind in (dict, MappingProxyType):
        resolved = {key: resolve(part, values) for key, part in tree.items()}
    elif kind is Apply:
        resolved = tree.function(*[resolve(part, values) for part in tree.args])
    elif kind is Text:
        resolved = "".join([resolve(part, values) for part in tree.parts])
    elif kind is Request and references(tree):
        resolved = with_content(tree, lambda part: resolve(part, values))
    return resolved


def with_content(request: Request, change: Callable[[Any], Any]) -> Request:
    """Return `request` with `change` applied to each part that may be a symbol."""
    return Request(
        request.model,
        tuple(
            msgspec.structs.replace(
                message,
                content=change(message.content),
                tool_calls=change(message.tool_calls),
                tool_call_id=change(message.tool_call_id),
            )
            for message in request.messages
        ),
        request.parameters,
        request.response_format,
        request.role,
        tuple(change(candidate) for candidate in request.about),
        request.tools,
    )


def joined(*parts: Any) -> Any:
    """Return texts and symbols as one symbol; adjacent texts are joined."""
    flat: list[Any] = []
    for part in parts:
        for piece in part.parts if type(part) is Text else (part,):
            if type(piece) is str and flat and type(flat[-1]) is str:
                flat[-1] += piece
            else:
                flat.append(piece)
    return flat[0] if len(flat) == 1 else Text(tuple(flat))


def call_method(source: Any, name: str, args: tuple[Any, ...], fields: Mapping[str, Any]) -> Any:
    """Return `source.name(*args, **fields)`."""
    return getattr(source, name)(*args, **fields)


_LONGEST_SHOWN = 60


def _show_task(task: Task) -> str:
    function = task.function
    asked = function.module if isinstance(function, Ask) else function
    name = getattr(asked, "__qualname__", type(asked).__name__)
    shown = repr(asked) if isinstance(asked, LMModule) else name
    given = [*map(show, task.args), *(f"{k}={show(v)}" for k, v in task.kwargs.items())]
    waits = task.after if not isinstance(function, Otherwise) else ()
    after = f" after {', '.join(waits)}" if waits else ""
    return f"{shown} <- {', '.join(given) or 'nothing'}{after}"


def show(tree: Any) -> str:
    """Return `tree` as a readable text."""
    match tree:
        case Ref(name):
            shown = name
        case Text(parts):
            holes = [part if type(part) is str else f"{{{show(part)}}}" for part in parts]
            shown = _shorten(repr("".join(holes)))
        case Apply(function, args):
            name = getattr(function, "__name__", repr(function))
            given = [show(part) for part in args]
            form = _APPLIED.get(name)
            shown = form(*given) if form else f"{name}({', '.join(given)})"
        case Request():
            shown = " | ".join(show(message.content) for message in tree.messages)
        case dict() | MappingProxyType():
            shown = "{" + ", ".join(f"{key}: {show(part)}" for key, part in tree.items()) + "}"
        case list() | tuple():
            shown = "[" + ", ".join(map(show, tree)) + "]"
        case _:
            shown = _shorten(repr(tree))
    return shown


_APPLIED: Mapping[str, Callable[..., str]] = {
    "call_method": lambda source, name, args, fields: (
        f"{source}.{name[1:-1]}({args[1:-1]}{fields[1:-1]})"
    ),
    "format": lambda source, spec: source if spec == "''" else f"{source}:{spec[1:-1]}",
    "getitem": lambda source, key: f"{source}[{key}]",
    "getattr": lambda source, name: f"{source}.{name[1:-1]}",
    "str": lambda source: source,
    "add": lambda left, right: f"{left} + {right}",
}


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
