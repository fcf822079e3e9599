from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from pydantic import BaseModel, Field

from ember_bench.models.schemas import (
    is_free_form,
    is_strict,
    recursive_reference,
    response_format,
)

T = TypeVar("T")


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str | None = None


class Zoo(BaseModel):
    first: Cat = Field(description="The one at the gate.")
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []


class Tree(BaseModel):
    value: int
    left: Tree | None = None
    right: Tree = Field(default=None, description="The other one.")  # type: ignore[assignment]


class Empty(BaseModel):
    pass


class Pair(BaseModel, Generic[T]):
    one: T
    other: T


class Free(BaseModel):
    counts: dict[str, int]


class Tuple(BaseModel):
    place: tuple[int, str]


class Anything(BaseModel):
    value: Any


class Short(BaseModel):
    word: str = Field(max_length=3)


class Scored(BaseModel):
    score: int = Field(ge=0, le=10)
    tags: list[str] = Field(min_length=1, max_length=3)
    code: str = Field(pattern="^[a-z]+$")


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


class TestModels:
    @pytest.mark.parametrize("model", [Cat, Dog, Zoo, Tree, Empty, Pair[int], Scored])
    def test_of_fixed_fields_are_strict(self, model: type[BaseModel]) -> None:
        assert is_strict(response_format(model).json_schema)

    @pytest.mark.parametrize("model", [Free, Tuple, Anything, Short])
    def test_of_free_parts_are_not(self, model: type[BaseModel]) -> None:
        assert not is_strict(response_format(model).json_schema)

    def test_have_all_fields_required_and_no_other_allowed(self) -> None:
        assert response_format(Cat).json_schema == {
            "title": "Cat",
            **closed(
                kind={"const": "cat", "title": "Kind", "type": "string"},
                lives={"title": "Lives", "type": "integer"},
            ),
        }

    def test_a_reference_with_words_beside_it_is_written_out_with_them(self) -> None:
        first = response_format(Zoo).json_schema["properties"]["first"]
        assert first["description"] == "The one at the gate."
        assert first["required"] == ["kind", "lives"]

    def test_a_model_within_itself_comes_to_an_end(self) -> None:
        schema = response_format(Tree).json_schema
        assert schema["type"] == "object"
        assert "#/$defs/Tree" in json.dumps(schema)

    def test_the_models_own_schema_is_left_as_it_is(self) -> None:
        before = json.dumps(Zoo.model_json_schema())
        response_format(Zoo)
        assert json.dumps(Zoo.model_json_schema()) == before

    def test_names_are_what_providers_take(self) -> None:
        assert response_format(Pair[int]).name == "Pair_int_"
        long = type("N" * 80, (Empty,), {})
        assert len(response_format(long).name) == 64


class TestStrict:
    @pytest.mark.parametrize(
        "schema",
        [
            closed(),
            closed(a={"type": "integer"}),
            closed(default={"type": "integer"}, allOf={"type": "string"}),  # names of properties
            closed(a={"type": "array", "items": closed(b={"enum": [1, 2]})}),
            closed(a={"type": "string", "format": "date"}),
        ],
    )
    def test_closed_and_complete_throughout(self, schema: dict[str, Any]) -> None:
        assert is_strict(schema)

    @pytest.mark.parametrize(
        "schema",
        [
            {},
            True,
            {"type": "string"},
            {"type": "object"},
            {"anyOf": [closed(), closed()]},
            closed() | {"additionalProperties": True},
            closed(a={"type": "integer"}) | {"required": []},
            closed(a={"type": "object", "properties": {"b": {"type": "string"}}}),
            closed(a={"type": "array", "items": {"type": "object"}}),
            closed(a={"anyOf": [{"type": "object"}, {"type": "null"}]}),
            closed(a={"type": "integer", "default": 3}),
            closed(a={"type": "string", "format": "uri"}),
            closed(a={}),
            closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": {"type": "object"}}},
            closed(a={"$ref": "#/$defs/A", "description": "x"}) | {"$defs": {"A": closed()}},
        ],
    )
    def test_anything_else_is_not(self, schema: Any) -> None:
        assert not is_strict(schema)


class TestFreeForm:
    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"type": "object", "additionalProperties": True},
            {"anyOf": [{"type": "null"}, {"patternProperties": {"^a": {}}}]},
            {"$defs": {"Deep": {"type": "object", "additionalProperties": {}}}},
        ],
        ids=str,
    )
    def test_properties_of_any_name(self, schema: dict[str, Any]) -> None:
        assert is_free_form(schema)

    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "object", "properties": {"patternProperties": {"type": "string"}}},
            {"type": "object", "additionalProperties": False},
            {"type": "array", "items": {"type": "object"}},
        ],
        ids=str,
    )
    def test_known_ones_only(self, schema: dict[str, Any]) -> None:
        assert not is_free_form(schema)


class Chain(BaseModel):
    next: Chain | None = None


def closed_schema(model: type[BaseModel]) -> dict[str, Any]:
    return response_format(model).json_schema


class TestRecursion:
    @pytest.mark.parametrize("model", [Tree, Chain])
    @pytest.mark.parametrize("schema_of", [lambda m: m.model_json_schema(), closed_schema])
    def test_is_found_in_a_model_within_itself(
        self, model: type[BaseModel], schema_of: Callable[[type[BaseModel]], Any]
    ) -> None:
        assert recursive_reference(schema_of(model)) == f"#/$defs/{model.__name__}"

    def test_is_that_of_the_whole_too(self) -> None:
        schema = {"type": "object", "properties": {"child": {"$ref": "#"}}}
        assert recursive_reference(schema) == "#"
        assert recursive_reference(schema, required=True) is None
        assert recursive_reference({**schema, "required": ["child"]}, required=True) == "#"

    def test_may_go_over_several_definitions(self) -> None:
        schema = {
            "$ref": "#/$defs/a",
            "$defs": {
                "a": {"properties": {"b": {"$ref": "#/$defs/b"}}, "required": ["b"]},
                "b": {"type": "array", "items": {"$ref": "#/$defs/a"}},
            },
        }
        assert recursive_reference(schema, required=True) == "#/$defs/a"

    def test_an_optional_property_ends_it(self) -> None:
        assert recursive_reference(Chain.model_json_schema(), required=True) is None
        assert recursive_reference(closed_schema(Chain), required=True) == "#/$defs/Chain"

    @pytest.mark.parametrize("model", [Cat, Dog, Zoo, Free, Tuple, Anything, Short])
    def test_is_in_no_other_model(self, model: type[BaseModel]) -> None:
        assert recursive_reference(model.model_json_schema()) is None

    def test_what_is_referred_to_twice_or_nowhere_does_not_recur(self) -> None:
        both = {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {}}}
        assert recursive_reference(both) is None
        for reference in ("#/$defs/none", "https://example.com/schema", "#/anyOf/x"):
            assert recursive_reference({"anyOf": [], "not": {"$ref": reference}}) is None

    def test_many_paths_to_the_same_take_no_time(self) -> None:
        rows = {f"r{n}": {"prefixItems": [{"$ref": f"#/$defs/r{n + 1}"}] * 2} for n in range(200)}
        schema = {"$ref": "#/$defs/r0", "$defs": {**rows, "r200": {"type": "string"}}}
        assert recursive_reference(schema) is None
