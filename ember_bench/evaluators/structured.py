"""JSON: a schema that it fits, and fields that it should have."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.libraries import library, library_identity
from ember_bench.evaluators.outputs import find_json

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

_EXTRA: Final = "json-schema"
_SHOWN: Final = 300
_MISSING: Final = object()


@evaluator("json_schema", version=1)
@dataclass(frozen=True)
class JsonSchema:
    """Right if the response's JSON fits a JSON Schema.

    The JSON is the whole response, its last fenced block, or the last object or array in it.

    Attributes:
        json_schema: The schema, the same for all items.
        field: A metadata field with the schema of each item, as a mapping or as JSON.
        whole: Only JSON that is the whole response counts, as where a program reads it.
    """

    name: str
    json_schema: Mapping[str, Any] = field(default_factory=dict)
    field: str | None = None
    whole: bool = False

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the version of the validator."""
        return f"{parameter_identity(self)} {library_identity('jsonschema', extra=_EXTRA)}"

    def check_item(self, item: Item) -> None:
        """See that there is a schema, and that it is one.

        Raises:
            ConfigError: naming the item.
        """
        self._validator(item)

    def evaluate(self, item: Item, output: str) -> Score:
        """Validate the response's JSON.

        Raises:
            ConfigError: if there is no valid schema.
        """
        validator = self._validator(item)
        try:
            value = json.loads(output) if self.whole else find_json(output)
        except (ValueError, RecursionError) as error:
            return Score(0.0, None, f"No JSON could be read: {shorten(str(error))}.")
        answer = json.dumps(value, ensure_ascii=False, sort_keys=True)
        problem = next(iter(sorted(validator.iter_errors(value), key=lambda e: e.json_path)), None)
        if problem is None:
            return Score(1.0, answer, "The JSON fits the schema.")
        said = f"{problem.json_path}: {shorten(problem.message, _SHOWN)}"
        return Score(0.0, answer, f"The JSON does not fit the schema: {said}.")

    def _validator(self, item: Item) -> Any:
        module = library("jsonschema", package="jsonschema", extra=_EXTRA)
        schema: Any = self.json_schema or item.metadata.get(self.field or "")
        try:
            schema = json.loads(schema) if isinstance(schema, str) else schema
            if not isinstance(schema, Mapping) or not schema:
                raise ValueError("none is there")
            kind = module.validators.validator_for(schema)
            kind.check_schema(schema)
        except (ValueError, module.SchemaError) as error:
            reason = str(error).partition("\n")[0]
            raise ConfigError(
                f"item {item.id!r}: {self.name!r} needs a JSON Schema, as `json_schema` in its "
                f"card or in the metadata field that `field` names ({reason})"
            ) from None
        return kind(schema)


@evaluator("json_fields", version=1)
@dataclass(frozen=True)
class JsonFields:
    """Compares the response's JSON with the target, field by field.

    A field is a leaf: `address.city`, or `tags[0]`. Texts are compared without the whitespace
    around them, numbers as numbers, and true is not 1.

    Attributes:
        fields: Only these fields of the target, and what is below them; by default all.
        credit: `all`: 1 if all fields are right, else 0; `share`: the share of right fields.
        extra: `ignore` fields that the target has not, or count them `wrong`.
        ignore_case: "Berlin" is "BERLIN".
        tolerance: Numbers may differ by so much, relative to the target's.
    """

    name: str
    fields: tuple[str, ...] = ()
    credit: Literal["all", "share"] = "share"
    extra: Literal["ignore", "wrong"] = "ignore"
    ignore_case: bool = False
    tolerance: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0

    @cached_property
    def identity(self) -> str:
        """Kind, version and parameters."""
        return parameter_identity(self)

    def evaluate(self, item: Item, output: str) -> Score:
        """Compare leaf by leaf.

        Raises:
            ConfigError: if a target is not JSON, or has no field to compare.
        """
        wanted = [self._leaves_of_target(text, item) for text in (item.target, *item.alternatives)]
        try:
            value = find_json(output)
        except ValueError as error:
            return Score(0.0, None, f"No JSON could be read: {shorten(str(error))}.")
        given = self._chosen(dict(_leaves(value)))
        answer = json.dumps(value, ensure_ascii=False, sort_keys=True)
        return max(
            (self._compared(leaves, given, answer) for leaves in wanted),
            key=lambda score: score.value,
        )

    def _compared(self, wanted: dict[str, Any], given: dict[str, Any], answer: str) -> Score:
        wrong = [
            path
            for path, value in wanted.items()
            if not self._same(given.get(path, _MISSING), value)
        ]
        names = [*wanted]
        if self.extra == "wrong":
            more = [path for path in given if path not in wanted]
            names, wrong = names + more, wrong + more
        share = 1 - len(wrong) / len(names)
        value = share if self.credit == "share" else float(not wrong)
        said = f"{len(names) - len(wrong)} of {len(names)} fields are right"
        return Score(value, answer, f"{said}; not {shorten(', '.join(wrong))}." if wrong else said)

    def _same(self, given: Any, wanted: Any) -> bool:
        if isinstance(given, str) and isinstance(wanted, str):
            given, wanted = given.strip(), wanted.strip()
            return bool(given.casefold() == wanted.casefold() if self.ignore_case else (
                given == wanted
            ))  # fmt: skip
        if isinstance(given, bool) or isinstance(wanted, bool):
            return given is wanted
        if isinstance(given, int | float) and isinstance(wanted, int | float):
            return math.isclose(given, wanted, rel_tol=0, abs_tol=self.tolerance * abs(wanted))
        return given is not _MISSING and type(given) is type(wanted) and bool(given == wanted)

    def _leaves_of_target(self, target: str, item: Item) -> dict[str, Any]:
        try:
            leaves = self._chosen(dict(_leaves(json.loads(target))))
        except ValueError:
            leaves = {}
        if not leaves:
            among = f" with one of the fields {', '.join(self.fields)}" if self.fields else ""
            raise ConfigError(
                f"item {item.id!r}: the target {shorten(target)} is no JSON object{among}, which "
                f"{self.name!r} compares"
            )
        return leaves

    def _chosen(self, leaves: dict[str, Any]) -> dict[str, Any]:
        if not self.fields:
            return leaves
        below = tuple(f"{name}{mark}" for name in self.fields for mark in (".", "["))
        return {
            path: value
            for path, value in leaves.items()
            if path in self.fields or path.startswith(below)
        }


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the paths of what has no parts, and of empty objects and arrays, with their values."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from _leaves(part, f"{path}[{index}]")
    elif path:
        yield path, value
