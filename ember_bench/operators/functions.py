"""Operators that run a Python function."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ember_bench.errors import SignatureError
from ember_bench.models.tasks import run_coroutine
from ember_bench.models.types import ToolDefinition
from ember_bench.operators.base import Inputs, Operator, operator
from ember_bench.operators.fields import OUTPUT, Asked, note_all
from ember_bench.operators.lm import LMModule
from ember_bench.operators.references import called
from ember_bench.operators.signature import Signature


@operator
class Function(Operator):
    """Any Python callable as an operator.

    Inputs: those named like its parameters; a parameter without a default is required, and
    `**fields` receives all other inputs. Outputs: the mapping that it returns; any other value
    becomes the field `output`. A coroutine function is awaited. A function that blocks (CPU work,
    `requests`) needs an operator class of its own with `blocking = True`.

    Args:
        function: The function.
        output: The name of a returned value that is not a mapping.
    """

    def __init__(self, function: Callable[..., Any], *, output: str = OUTPUT) -> None:
        if isinstance(function, Operator | LMModule):
            raise TypeError(f"expected a Python function, found {function!r}")
        called(function, "function")
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError:  # some built-ins
            raise TypeError(f"{_name(function)}: its parameters have no names; wrap it") from None
        if any(p.kind is p.VAR_POSITIONAL for p in parameters):
            raise TypeError(f"{_name(function)}: *args cannot be given by name")
        named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
        required = [p.name for p in named if p.default is p.empty]
        super().__init__(signature=Signature(required_inputs=required))
        self.function = function
        self.output = output
        self._by_place = [p.name for p in named if p.kind is p.POSITIONAL_ONLY]
        self._by_name = [p.name for p in named if p.kind is not p.POSITIONAL_ONLY]
        self._takes_all = len(named) < len(parameters)

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that the function has its arguments."""
        if self._takes_all:
            note_all(given)
        elif isinstance(given, Asked):
            given.note([*self._by_place, *self._by_name])
        return super().check_fields(given)

    def forward(self, inputs: Inputs) -> Mapping[str, Any]:
        """Call the function."""
        placed = [inputs[name] for name in self._by_place if name in inputs]
        if self._takes_all:
            fields = {k: v for k, v in inputs.items() if k not in self._by_place}
        else:
            fields = {name: inputs[name] for name in self._by_name if name in inputs}
        value = self.function(*placed, **fields)
        if inspect.iscoroutine(value):
            value = run_coroutine(value)
        return value if isinstance(value, Mapping) else {self.output: value}


@operator
class Tool(Function):
    """A Python callable with a name, a purpose and typed arguments, which are checked.

    Arguments are cast to their annotations before the call ("2" to 2), as models write texts;
    `schema` describes them to models. A tool runs as a node of a network, or when the model of a
    `ToolUser` calls it.

    Args:
        function: The function; every parameter has a name.
        name: By default the name of the function.
        purpose: For the model; by default the first line of the function's docstring.
        output: The name of a returned value that is not a mapping.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        purpose: str | None = None,
        output: str = OUTPUT,
    ) -> None:
        super().__init__(function, output=output)
        if self._takes_all or self._by_place:
            raise TypeError(f"{_name(function)}: every parameter of a tool has a name")
        documented = inspect.getdoc(function) or ""
        self.name = name or _name(function)
        self.purpose = purpose if purpose is not None else documented.partition("\n")[0]
        self._arguments = _model(function, self.name)

    @property
    def schema(self) -> dict[str, Any]:
        """Name, description and JSON Schema of the parameters."""
        parameters = self._arguments.model_json_schema()
        return {"name": self.name, "description": self.purpose, "parameters": parameters}

    @property
    def definition(self) -> ToolDefinition:
        """The definition that models receive."""
        return ToolDefinition(self.name, self.purpose, self.schema["parameters"])

    def answer(self, arguments: str) -> str:
        """Call the function with a JSON object written by a model; return a text for the model.

        The text is the result, as JSON unless it is a text, or an error that names the invalid
        arguments.
        """
        try:
            given = json.loads(arguments or "{}")
            if not isinstance(given, dict):
                return f"error: expected a JSON object of arguments, found {arguments}"
            if unknown := [name for name in given if name not in self._by_name]:
                return f"error: unknown argument {', '.join(map(repr, unknown))}"
            self.check(given)
        except SignatureError as error:
            return f"error: {error}"
        except (ValueError, RecursionError) as error:
            return f"error: the arguments are no JSON: {error}"
        output = self(given)
        value = output[self.output] if set(output) == {self.output} else output
        if isinstance(value, str):
            return value
        return json.dumps(value, default=str, ensure_ascii=False)

    def forward(self, inputs: Inputs) -> Mapping[str, Any]:
        """Check the arguments, and call the function.

        Raises:
            SignatureError: naming the invalid arguments.
        """
        return super().forward(self.check(inputs))

    def check(self, inputs: Inputs) -> dict[str, Any]:
        """Return the arguments among `inputs`, cast to their types.

        Raises:
            SignatureError: naming the invalid ones.
        """
        given = {name: inputs[name] for name in self._by_name if name in inputs}
        try:
            arguments = self._arguments.model_validate(given)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise SignatureError(f"tool {self.name!r}: {'; '.join(wrong)}") from None
        return {name: getattr(arguments, name) for name in given}


def _model(function: Callable[..., Any], name: str) -> type[BaseModel]:
    """Return a model whose fields are the parameters of `function`."""
    hints = get_type_hints(function) if inspect.isroutine(function) else {}
    fields: dict[str, Any] = {
        parameter.name: (
            hints.get(parameter.name, Any),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(function).parameters.values()
    }
    config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", protected_namespaces=())
    return create_model(name, __config__=config, **fields)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
