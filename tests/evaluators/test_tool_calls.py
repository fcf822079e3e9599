"""Tool calls: how they are read, and when they are right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import ToolCalls
from ember_bench.evaluators.tool_calls import Call, read_calls

WEATHER = Call("weather", {"city": "Paris", "days": 2})


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "weather", "arguments": {"city": "Paris", "days": 2}}',
        '[{"name": "weather", "parameters": {"city": "Paris", "days": 2}}]',
        json.dumps({"function": {"name": "weather", "arguments": json.dumps(WEATHER.arguments)}}),
        '{"tool_calls": [{"name": "weather", "arguments": {"city": "Paris", "days": 2}}]}',
        '[{"weather": {"city": "Paris", "days": 2}}]',
        '<tool_call>{"name": "weather", "arguments": {"city": "Paris", "days": 2}}</tool_call>',
        "[weather(city='Paris', days=2)]",
        'I call:\n```python\nweather(city="Paris", days=2)\n```',
        'I call ```json\n{"weather": {"city": "Paris", "days": 2}}\n``` now.',
    ],
)
def test_a_call_is_read_however_it_is_written(text: str) -> None:
    assert read_calls(text) == [WEATHER]


@pytest.mark.parametrize(
    "text",
    ["", "Hello (you)", "[1, 2]", "weather('Paris')", "__import__('os')", "f(x=[y for y in z])"],
)
def test_what_is_no_call_is_none(text: str) -> None:
    assert read_calls(text) is None


def test_dotted_names_and_nested_literals_are_read() -> None:
    assert read_calls("[a.b(x={'k': (1, -2)}, y=var)]") == [
        Call("a.b", {"x": {"k": [1, -2]}, "y": "var"})
    ]


TWO = Item(
    "1", "?", json.dumps([{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}])
)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("[f(x=1), g()]", "correct"),
        ("[g(), f(x=1.0)]", "correct"),
        ("[f(x=True), g()]", "wrong"),
        ("[f(x=1, y=2), g()]", "wrong"),
        ("[f(x=1)]", "wrong"),
        ("[f(x=1), g(), g()]", "wrong"),
        ("I would rather not.", "unparsed"),
    ],
)
def test_all_calls_and_no_others_are_right_in_any_order(response: str, outcome: str) -> None:
    assert ToolCalls("t").evaluate(TWO, response).outcome == outcome


def test_the_order_can_matter() -> None:
    ordered = ToolCalls("t", ordered=True)
    assert ordered.evaluate(TWO, "[f(x=1), g()]").outcome == "correct"
    assert ordered.evaluate(TWO, "[g(), f(x=1)]").outcome == "wrong"


def test_where_no_tool_should_be_called_prose_is_right() -> None:
    none = Item("1", "?", "[]")
    assert ToolCalls("t").evaluate(none, "None of these tools helps.").outcome == "correct"
    assert ToolCalls("t").evaluate(none, "[f(x=1)]").outcome == "wrong"
    assert ToolCalls("t").evaluate(none, " ").outcome == "unparsed"


CALLS = st.lists(
    st.tuples(st.sampled_from("fgh"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2))),
    min_size=1,
    max_size=5,
)


@given(CALLS, st.randoms())
def test_the_calls_themselves_are_right_in_every_order(calls: list[Any], random: Any) -> None:
    target = json.dumps([{"name": name, "arguments": given} for name, given in calls])
    random.shuffle(calls)
    response = json.dumps([{name: given} for name, given in calls])
    assert ToolCalls("t").evaluate(Item("1", "?", target), response).outcome == "correct"


BFCL = ToolCalls("t", rules="bfcl")
FUNCTION = {
    "name": "math.triangle",
    "parameters": {
        "type": "dict",
        "properties": {
            "base": {"type": "float"},
            "sides": {"type": "array", "items": {"type": "integer"}},
            "unit": {"type": "string"},
            "options": {"type": "dict"},
        },
        "required": ["base"],
    },
}
ACCEPTED = {
    "base": [10.0, 20.0],
    "sides": [[3, 4, 5]],
    "unit": ["square cm", ""],
    "options": [{"round": [True], "digits": [2, ""]}, ""],
}
TRIANGLE = Item(
    "1", "?", json.dumps([{"math.triangle": ACCEPTED}]), metadata={"function": [FUNCTION]}
)


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ("base=10, sides=[3, 4, 5]", True),
        ("base=20.0, sides=[3, 4, 5], unit='Square-CM'", True),
        ("base=10, sides=[3, 4, 5], options={'round': True}", True),
        ("base=10, sides=[3, 4, 5], options={'round': False}", False),
        ("base=10, sides=[3, 4, 5], options={'digits': 2}", False),
        ("base=10, sides=[5, 4, 3]", False),
        ("base=10, sides=['3', '4', '5']", False),
        ("base='10', sides=[3, 4, 5]", False),
        ("base=11, sides=[3, 4, 5]", False),
        ("base=10", False),
        ("sides=[3, 4, 5]", False),
        ("base=10, sides=[3, 4, 5], colour='red'", False),
    ],
)
def test_the_leaderboards_rules_decide_on_arguments(arguments: str, right: bool) -> None:
    for name in ("math.triangle", "math_triangle"):
        assert BFCL.evaluate(TRIANGLE, f"[{name}({arguments})]").value == float(right)


MISTAKES = {
    "18": "is no JSON list of calls",
    '[{"name": "f", "arguments": {"x": 1}}]': "list of acceptable values",
    '[{"f": {"x": [1]}}]': "needs a description of 'f' in the metadata field 'function'",
}


@pytest.mark.parametrize(("target", "message"), MISTAKES.items())
def test_a_mistaken_target_is_refused(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"item '1': 't'.*{message}"):
        BFCL.check_item(Item("1", "?", target, metadata={"function": [FUNCTION]}))
