"""JSON: schemas, fields, tool calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import JsonFields, JsonSchema
from ember_bench.evaluators.outputs import find_json

SCHEMA = {"type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}}}
PERSON = Item("1", "?", '{"name": "Ann", "age": 3, "tags": ["a", "b"]}')


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('First {"a": 0}, then {"a": 1}.', {"a": 1}),
        ('```json\n{"a": 1}\n```\nSee [1].', {"a": 1}),
        ('<think>{"a": 0}</think>{"a": 1}', {"a": 1}),
        ("7", 7),
    ],
)
def test_json_is_found_in_a_response(text: str, value: Any) -> None:
    assert find_json(text) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab{[", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner),
    max_leaves=6,
)


@given(st.lists(JSON) | st.dictionaries(st.text("xy", max_size=2), JSON))
def test_every_object_and_array_is_found_within_prose(value: Any) -> None:
    assert find_json(f"Here it is: {json.dumps(value)}") == value


def test_a_schema_decides() -> None:
    schema = JsonSchema("s", json_schema=SCHEMA)
    item = Item("1", "?", "")
    assert schema.evaluate(item, 'It is {"age": 3}').outcome == "correct"
    wrong = schema.evaluate(item, '{"age": "three"}')
    assert wrong.outcome == "wrong"
    assert "$.age" in wrong.explanation
    assert schema.evaluate(item, "three").outcome == "unparsed"
    whole = JsonSchema("s", json_schema=SCHEMA, whole=True)
    assert whole.evaluate(item, 'It is {"age": 3}').outcome == "unparsed"


@pytest.mark.parametrize("given_schema", [SCHEMA, json.dumps(SCHEMA)])
def test_an_item_can_have_its_own_schema(given_schema: Any) -> None:
    item = Item("1", "?", "", metadata={"schema": given_schema})
    assert JsonSchema("s", field="schema").evaluate(item, '{"age": 3}').outcome == "correct"


@pytest.mark.parametrize("broken", [None, "", "{", {"type": "nothing"}, [1]])
def test_a_broken_schema_is_a_mistake_of_the_item(broken: Any) -> None:
    item = Item("1", "?", "", metadata={"schema": broken})
    with pytest.raises(ConfigError, match="item '1': 's' needs a JSON Schema"):
        JsonSchema("s", field="schema").check_item(item)


@pytest.mark.parametrize(
    ("response", "value"),
    [
        ('{"name": "Ann ", "age": 3.0, "tags": ["a", "b"], "more": 1}', 1.0),
        ('{"name": "ann", "age": 3, "tags": ["a", "b"]}', 0.75),
        ('{"name": "Ann", "age": true, "tags": ["b", "a"]}', 0.25),
        ("[]", 0.0),
    ],
)
def test_credit_is_the_share_of_right_fields(response: str, value: float) -> None:
    assert JsonFields("f").evaluate(PERSON, response).value == value


def test_options_decide_which_fields_count_and_how() -> None:
    response = '{"name": "ANN", "age": 3.02, "more": 1}'
    some = JsonFields("f", fields=("name", "age"), ignore_case=True, tolerance=0.01)
    assert some.evaluate(PERSON, response).outcome == "correct"
    assert JsonFields("f", credit="all").evaluate(PERSON, response).value == 0.0
    strict = JsonFields("f", extra="wrong").evaluate(Item("1", "?", '{"a": 1}'), '{"a": 1, "b": 2}')
    assert strict.value == 0.5


def test_an_alternative_target_is_as_right() -> None:
    item = Item("1", "?", '{"a": 1}', alternatives=('{"a": 2}',))
    assert JsonFields("f").evaluate(item, '{"a": 2}').outcome == "correct"


def test_what_is_no_json_is_unparsed_and_such_a_target_refused() -> None:
    assert JsonFields("f").evaluate(PERSON, "Ann is 3").outcome == "unparsed"
    with pytest.raises(ConfigError, match="the target 'Ann' is no JSON object"):
        JsonFields("f").evaluate(Item("1", "?", "Ann"), "{}")
