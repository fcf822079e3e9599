"""Tool calls: the right functions with the right arguments."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ember_bench.errors import ConfigError
from ember_bench.evaluators import bfcl
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.outputs import find_json, without_thoughts

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

_TAGGED: Final = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_FENCED: Final = re.compile(r"```[a-z_]*\n(.*?)```", re.DOTALL)
_LONGEST: Final = 100_000
_SHOWN: Final = 200


class Call(NamedTuple):
    """A call of a tool."""

    name: str
    arguments: Mapping[str, Any]


@evaluator("tool_calls", version=1)
@dataclass(frozen=True)
class ToolCalls:
    """Right if the response makes the target's calls, and no others.

    The target is a JSON list of `{"name": ..., "arguments": {...}}`; an empty list is an item on
    which no tool should be called. A response gives calls as JSON in that form, in that of OpenAI's
    API, as `{"name of a function": {"argument": ...}}`, in `<tool_call>` tags, or as Python:
    `[weather(city="Paris"), time()]`.

    Attributes:
        rules: `exact`: the same arguments, 2 being 2.0. `bfcl`: the target has for each argument
            the list of acceptable values, as the Berkeley Function-Calling Leaderboard has it.
        functions: With `bfcl`, the metadata field of the functions' descriptions.
        ordered: The calls must come in the target's order.
    """

    name: str
    rules: Literal["exact", "bfcl"] = "exact"
    functions: str = "function"
    ordered: bool = False

    @cached_property
    def identity(self) -> str:
        """Kind, version and parameters."""
        return parameter_identity(self)

    def check_item(self, item: Item) -> None:
        """See that the targets are calls, and that their functions are described.

        Raises:
            ConfigError: naming the item.
        """
        for target in (item.target, *item.alternatives):
            for call in self._target(target, item):
                self._function(call.name, item)

    def evaluate(self, item: Item, output: str) -> Score:
        """Match the response's calls with the target's.

        Raises:
            ConfigError: if a target is no list of calls, or a function is not described.
        """
        targets = [self._target(text, item) for text in (item.target, *item.alternatives)]
        given = read_calls(output)
        if given is None:
            if not all(targets) and without_thoughts(output).strip():
                return Score(1.0, "[]", "No tool is called, as it should be.")
            return Score(0.0, None, "No tool call could be read.")
        answer = json.dumps([{c.name: c.arguments} for c in given], ensure_ascii=False, default=str)
        problems = [self._problem(given, wanted, item) for wanted in targets]
        if "" in problems:
            return Score(1.0, answer, f"{len(given)} calls are right.")
        return Score(0.0, answer, f"{problems[0]}.")

    def _problem(self, given: Sequence[Call], wanted: Sequence[Call], item: Item) -> str:
        """Return why the calls are not the wanted ones; empty if they are."""
        if len(given) != len(wanted):
            return f"{len(given)} calls for {len(wanted)}"
        misfits = [[self._misfit(call, target, item) for call in given] for target in wanted]
        if self.ordered:
            return next((row[i] for i, row in enumerate(misfits) if row[i]), "")
        lonely = _unmatched(misfits)
        if lonely is None:
            return ""
        return f"no call is {shorten(wanted[lonely].name)} ({misfits[lonely][0]})"

    def _misfit(self, call: Call, wanted: Call, item: Item) -> str:
        # Providers whose names have no full stops get them as underscores.
        if call.name not in (wanted.name, wanted.name.replace(".", "_")):
            return f"{shorten(call.name)} is called, not {shorten(wanted.name)}"
        if self.rules == "bfcl":
            why = bfcl.misfit(call.arguments, wanted.arguments, self._function(wanted.name, item))
            return why and f"{shorten(call.name)}: {shorten(why, _SHOWN)}"
        for name in {**wanted.arguments, **call.arguments}:
            if not _same(call.arguments.get(name, ...), wanted.arguments.get(name, ...)):
                return f"{shorten(call.name)}: the argument {shorten(name)} is not the target's"
        return ""

    def _target(self, text: str, item: Item) -> list[Call]:
        try:
            calls = _calls(json.loads(text))
        except ValueError:
            calls = None
        if calls is None:
            raise ConfigError(
                f"item {item.id!r}: {self.name!r}: the target {shorten(text)} is no JSON list of "
                "calls"
            )
        values = (value for call in calls for value in call.arguments.values())
        if self.rules == "bfcl" and not all(isinstance(value, list) for value in values):
            raise ConfigError(
                f"item {item.id!r}: {self.name!r}: with `rules: bfcl` the target has a list of "
                "acceptable values for each argument"
            )
        return calls

    def _function(self, name: str, item: Item) -> Mapping[str, Any]:
        if self.rules == "exact":
            return {}
        found = item.metadata.get(self.functions)
        described = found if isinstance(found, list) else [found]
        for function in described:
            if isinstance(function, Mapping) and function.get("name") == name:
                return function
        raise ConfigError(
            f"item {item.id!r}: {self.name!r} needs a description of {shorten(name)} in the "
            f"metadata field {self.functions!r}"
        )


def _unmatched(misfits: Sequence[Sequence[str]]) -> int | None:
    """Return a target that no call is left for, whatever the others get; None if there is none."""
    taken: dict[int, int] = {}

    def assign(target: int, tried: set[int]) -> bool:
        for call, why in enumerate(misfits[target]):
            if not why and call not in tried:
                tried.add(call)
                if call not in taken or assign(taken[call], tried):
                    taken[call] = target
                    return True
        return False

    return next((t for t in range(len(misfits)) if not assign(t, set())), None)


def _same(given: Any, wanted: Any) -> bool:
    """Compare JSON values: 2 is 2.0, but true is not 1."""
    if isinstance(given, bool) or isinstance(wanted, bool):
        return given is wanted
    if isinstance(given, Mapping) and isinstance(wanted, Mapping):
        return given.keys() == wanted.keys() and all(_same(given[k], wanted[k]) for k in wanted)
    if isinstance(given, list | tuple) and isinstance(wanted, list | tuple):
        return len(given) == len(wanted) and all(map(_same, given, wanted))
    return bool(given == wanted)


def read_calls(output: str) -> list[Call] | None:
    """Return the tool calls that a model's text makes; None if it makes none."""
    text = without_thoughts(output).strip()
    if tagged := _TAGGED.findall(text):
        calls = [_parsed(part) for part in tagged]
        return None if None in calls else [call for some in calls for call in some or ()]
    for part in (text, *reversed(_FENCED.findall(text))):
        if (found := _python_calls(part)) is not None:
            return found
    return _parsed(text)


def _parsed(text: str) -> list[Call] | None:
    try:
        return _calls(find_json(text))
    except ValueError:
        return _python_calls(text)


def _calls(value: Any) -> list[Call] | None:
    """Return JSON as calls; None if some part of it is none."""
    if isinstance(value, Mapping) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    found = [_call(part) for part in (value if isinstance(value, list) else [value])]
    calls = [call for call in found if call is not None]
    return calls if len(calls) == len(found) else None


def _call(value: Any) -> Call | None:
    if not isinstance(value, Mapping):
        return None
    if isinstance(inner := value.get("function"), Mapping):
        value = inner
    if isinstance(name := value.get("name"), str):
        arguments = value.get("arguments", value.get("parameters", value.get("input", {})))
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                return None
        return Call(name, arguments) if isinstance(arguments, Mapping) else None
    if len(value) == 1:
        ((name, arguments),) = value.items()
        return Call(name, arguments) if isinstance(arguments, Mapping) else None
    return None


def _python_calls(text: str) -> list[Call] | None:
    """Return calls written in Python, with literals as arguments."""
    text = text.strip()
    if len(text) > _LONGEST or not text.endswith((")", "]")) or "(" not in text:
        return None
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    parts = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
    calls = [_python_call(part) for part in parts]
    return None if None in calls or not calls else [call for call in calls if call is not None]


def _python_call(node: ast.expr) -> Call | None:
    if not isinstance(node, ast.Call) or node.args:
        return None
    try:
        arguments = {
            str(keyword.arg): _json_like(_literal(keyword.value)) for keyword in node.keywords
        }
    except (ValueError, RecursionError, TypeError):
        return None
    return Call(ast.unparse(node.func), arguments)


def _literal(node: ast.expr) -> Any:
    """Return a literal; a name stands for itself, as the Leaderboard reads variables."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def _json_like(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_json_like(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _json_like(part) for name, part in value.items()}
    return value
