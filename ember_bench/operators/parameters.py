"""Parameters of architectures: those on their cards, and those that are implied."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ember_bench.docstrings import attribute_texts
from ember_bench.operators.choosing import Choices
from ember_bench.operators.lm import LMModuleConfig
from ember_bench.operators.signature import SignatureFields
from ember_bench.plain_errors import plainly

ParameterType = Literal[
    "model", "models", "int", "float", "bool", "str", "texts", "mapping", "mappings", "signature"
]
LISTS: Final = ("models", "texts", "mappings")

PROMPT: Final = "prompt"
"""The implied parameter with the template of the question."""

# Fields of an LM module's configuration whose parameter has another name.
_NAMES: Final = {"persona": "system"}
_REFERENCE: Final = re.compile(r"\$([A-Za-z_]\w*)(?:\.([1-9]\d*))?")
_EXPECTED: Final = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "model": "a model, `provider:model`",
    "models": "a list of models",
    "texts": "a list of texts",
    "mapping": "a mapping",
    "mappings": "a list of mappings",
    "signature": "a template, a file, the name of a signature, or its fields",
}


class ParameterCard(BaseModel):
    """One parameter of an architecture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: ParameterType
    """Type of the values; `model` is an id in the model registry, `models` a list of ids,
    `signature` a template, a file, or a card in `registry/signatures/`."""
    default: Any = None
    """The default value; without one, the parameter is required unless it is `optional`. `$name` is
    the value of another parameter, and `$name.1` the first entry of a list."""
    one: str | None = None
    """A name under which a grid may give one entry in the place of a list."""
    optional: bool = False
    """Whether the value may be `null`, which is also the default if there is no other."""
    minimum: float | None = None
    """Minimum of a number, or of the length of a list."""
    maximum: float | None = None
    """Maximum of a number, or of the length of a list."""
    choices: list[str] | None = None
    """The allowed texts."""
    purpose: str = ""
    """Its effect, in one line."""

    @property
    def refers_to(self) -> tuple[str, int | None] | None:
        """The parameter whose value is the default, and the index in its list, from 0."""
        match = _REFERENCE.fullmatch(self.default) if isinstance(self.default, str) else None
        return None if match is None else (match[1], int(match[2]) - 1 if match[2] else None)

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is None and not self.optional

    def check(self, value: Any) -> Any:
        """Return `value`, converted to the parameter's type.

        Raises:
            ValueError: naming the expected values.
        """
        if value is None and self.optional:
            return None
        checked = _of_type(self.type, value)
        if self.choices is not None and checked not in self.choices:
            raise ValueError(f"expected one of {', '.join(self.choices)}")
        if self.type in ("int", "float"):
            self._check_range(checked, "")
        elif self.type in LISTS:
            self._check_range(len(checked), f" {self.type}")
        return checked

    def _check_range(self, number: float, unit: str) -> None:
        if self.minimum is not None and number < self.minimum:
            raise ValueError(f"must be at least {self.minimum:g}{unit}")
        if self.maximum is not None and number > self.maximum:
            raise ValueError(f"must be at most {self.maximum:g}{unit}")


class ImpliedParameter(ParameterCard):
    """A parameter that an architecture has without naming it.

    A cell has no entry for it unless a value is given, so that a new one changes no cell.
    """

    field: str | None = None
    """The field of `LMModuleConfig` that it sets."""

    def check(self, value: Any) -> Any:
        """Return `value`, converted to the parameter's type and checked as the field is."""
        checked = super().check(value)
        if self.field is None or checked is None:
            return checked
        try:
            _adapter(self.field).validate_python(checked)
        except ValidationError as error:
            raise ValueError(plainly(error.errors()[0])) from None
        return checked


CHOSEN: Final = ("models", "texts")
"""Types of lists whose entries a grid may choose, see `Choose`."""


def sweep(parameter: ParameterCard, value: Any) -> Sequence[Any]:
    """Return the values of a parameter in a grid: the entries of a list, or a single value.

    For a parameter that is itself a list, only a list of lists has several values, or a mapping
    that says what to choose its entries from, see `Choose`.

    Raises:
        ValueError: if such a mapping is wrong.
    """
    if isinstance(value, dict) and parameter.type in CHOSEN:
        return Choices(value)
    if not isinstance(value, list):
        return [value]
    if parameter.type in LISTS:
        return value if value and all(isinstance(entry, list) for entry in value) else [value]
    return value


def implied_parameters(fields: Iterable[tuple[str, str]]) -> dict[str, ImpliedParameter]:
    """Return the implied parameters of an architecture.

    Args:
        fields: (prefix, field) for each field of `LMModuleConfig` that its LM modules leave open.
    """
    found = {
        PROMPT: ImpliedParameter(
            type="signature",
            optional=True,
            purpose="Template of the question, in place of the dataset card's prompt.",
        )
    }
    for prefix, field in fields:
        name, parameter = sampling_fields()[field]
        found[f"{prefix}{name}"] = parameter
    return found


def sampling_values(parameters: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the fields of `LMModuleConfig` that parameters with this prefix set."""
    named = {field: f"{prefix}{name}" for field, (name, _) in sampling_fields().items()}
    return {
        field: parameters[name] for field, name in named.items() if parameters.get(name) is not None
    }


@lru_cache
def sampling_fields() -> Mapping[str, tuple[str, ImpliedParameter]]:
    """Return the name and card of a parameter for each field of an LM module but its model."""
    texts = attribute_texts(LMModuleConfig.__doc__ or "")
    found = {}
    for field, info in LMModuleConfig.model_fields.items():
        if field == "model_name":
            continue
        purpose = texts[field]
        kind = _type_of(info.annotation)
        parameter = ImpliedParameter(type=kind, optional=True, purpose=purpose, field=field)
        found[field] = _NAMES.get(field, field), parameter
    return found


def _type_of(annotation: Any) -> ParameterType:
    """Return the type of a parameter for values of a field."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (part for part in get_args(annotation) if part is not NoneType)
    if get_origin(annotation) is tuple:
        return "texts" if get_args(annotation)[0] is str else "mappings"
    scalars: dict[Any, ParameterType] = {int: "int", float: "float", bool: "bool", str: "str"}
    return scalars.get(annotation, "mapping")


@lru_cache
def _adapter(field: str) -> TypeAdapter[Any]:
    info = LMModuleConfig.model_fields[field]
    annotation: Any = Annotated[info.annotation, info]
    return TypeAdapter(annotation)


def _of_type(kind: ParameterType, value: Any) -> Any:
    found: Any
    match kind, value:
        # In Python a bool is an int, but `k: true` is a mistake.
        case (("int" | "float"), bool()):
            raise ValueError(f"expected {_EXPECTED[kind]}")
        case "float", int() | float():
            found = float(value)
        case "texts", str():
            found = [value]
        case ("int", int()) | ("bool", bool()) | ("str" | "model" | "signature", str()):
            found = value
        case (("models" | "texts"), list()) if all(isinstance(entry, str) for entry in value):
            found = value
        case ("mapping", dict()) | ("signature", dict()):
            found = value
        case "mappings", list() if all(isinstance(entry, dict) for entry in value):
            found = value
        case _:
            raise ValueError(f"expected {_EXPECTED[kind]}")
    if kind == "signature" and isinstance(found, dict):
        SignatureFields.model_validate(found)
    return found
