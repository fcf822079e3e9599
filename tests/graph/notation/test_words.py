"""The compact notation as text: read, written, and refused with the place of the mistake."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import ConfigError
from ember_bench.graph.notation.grammar import MAX_COUNT, parse_notation
from ember_bench.graph.notation.words import (
    Argument,
    Flow,
    Name,
    NodeEntry,
    Notation,
    NotationError,
    Reference,
)
from tests.graph.notation.writing import format_notation

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True).map(Name)
codes = st.from_regex(r"[A-Z][A-Z0-9]{0,2}", fullmatch=True).map(Name)
models = st.text(string.ascii_letters + string.digits + ":/.-_@", min_size=1, max_size=12).map(Name)
scalars = (
    st.text(max_size=12)
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
arguments = st.builds(
    Argument, st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True).map(Name), values
)
nodes = st.builds(
    NodeEntry,
    code=codes,
    count=st.integers(1, MAX_COUNT),
    alias=st.none() | names,
    models=st.lists(models, max_size=3).map(tuple),
    arguments=st.lists(arguments, max_size=3, unique_by=lambda a: a.key.text).map(tuple),
    stages=st.lists(names, max_size=2).map(tuple),
)
references = st.builds(Reference, name=names, alias=st.none() | names)
steps = st.lists(names, min_size=1, max_size=3).map(tuple)
flows = st.builds(Flow, st.lists(steps, min_size=2, max_size=3).map(tuple))
notations = st.builds(
    Notation,
    entries=st.lists(nodes | references, max_size=4).map(tuple),
    flows=st.lists(flows, max_size=3).map(tuple),
)


@given(notations)
def test_what_is_written_is_read_as_it_was(notation: Notation) -> None:
    assert parse_notation(format_notation(notation)) == notation


@given(notations)
def test_entries_may_come_one_by_one_or_on_one_line(notation: Notation) -> None:
    lines = format_notation(notation).split("\n")
    assert parse_notation(lines) == notation
    assert parse_notation("; ".join(lines)) == notation


MARKS = [*"EJM53!@$()[]{}=,;:.|-> \n\t\"'\\xé", "->", "e1", "openai:gpt-4o", "temp=0.7"]
SOUP = st.lists(st.sampled_from(MARKS)).map("".join)


@given(st.text() | SOUP)
def test_any_text_is_read_or_refused_at_a_place_within_it(text: str) -> None:
    mistake: NotationError | None = None
    try:
        notation = parse_notation(text)
    except NotationError as error:
        mistake = error
    if mistake is None:
        assert parse_notation(format_notation(notation)) == notation
        return
    assert mistake.place is not None
    assert 0 <= mistake.place.start <= len(text)
    _, line, carets = str(mistake).splitlines()
    assert set(carets) == {" ", "^"}
    assert len(carets) <= len(line) + 1


def entry(text: str) -> NodeEntry | Reference:
    (found,) = parse_notation(text).entries
    return found


def node(code: str, count: int = 1, *models: str, **arguments: object) -> NodeEntry:
    given = tuple(Argument(Name(k), v) for k, v in arguments.items())  # type: ignore[arg-type]
    return NodeEntry(Name(code), count, None, tuple(map(Name, models)), given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E@m", node("E", 1, "m")),
        ("5E@openai:gpt-4o(temp=0.7)", node("E", 5, "openai:gpt-4o", temp=0.7)),
        ("2E@openai/gpt-4o", node("E", 2, "openai/gpt-4o")),
        ("E@a|b | c", node("E", 1, "a", "b", "c")),
        ("1M", node("M")),
        (" 3E @ m ( ties = first , k = 2 ) ", node("E", 3, "m", ties="first", k=2)),
        ("E(a='it''s')", None),
        ("E(a='it\\'s', b=\"x\\ny\")", node("E", a="it's", b="x\ny")),
        ("E(a=You are terse)", node("E", a="You are terse")),
        ("E(a=[1, [x, 2.5], true])", node("E", a=(1, ("x", 2.5), True))),
        ("E(a=TRUE, b=nan, c=-1, d=.5, e=1e-3)",
         node("E", a=True, b="nan", c=-1, d=0.5, e=0.001)),
        ("E()", node("E")),
    ],
)  # fmt: skip
def test_an_entry(text: str, expected: NodeEntry | None) -> None:
    if expected is None:
        with pytest.raises(NotationError):
            entry(text)
    else:
        assert entry(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3:E:openai:gpt-4o:0.7", node("E", 3, "openai:gpt-4o", temperature=0.7)),
        ("1:j:anthropic:claude", node("J", 1, "anthropic:claude")),
        ("101:E:gpt-4o:0.7", node("E", 101, "gpt-4o", temperature=0.7)),
        (":E:openai/gpt-4o", node("E", 1, "openai/gpt-4o")),
        ("2::openai:gpt-4o:", node("E", 2, "openai:gpt-4o")),
        ("1:M", node("M")),
    ],
)
def test_a_legacy_entry(text: str, expected: NodeEntry) -> None:
    assert entry(text) == expected


def test_a_reference_with_and_without_an_alias() -> None:
    assert entry("$panel") == Reference(Name("panel"))
    assert entry("$panel!first") == Reference(Name("panel"), Name("first"))


def test_flows_stand_among_the_entries() -> None:
    notation = parse_notation("E!a@m, E!b@m\nJ!c@m; a, b -> c -> d; {a} -> e[]")
    assert [e.alias.text for e in notation.entries if e.alias] == ["a", "b", "c"]
    shown = [[[n.text for n in step] for step in flow.steps] for flow in notation.flows]
    assert shown == [[["a", "b"], ["c"], ["d"]], [["a"], ["e"]]]


def test_newlines_and_commas_within_parentheses_separate_nothing() -> None:
    text = "E@m(\n  persona='a; b, -> c',\n  temp=1\n)"
    assert entry(text) == node("E", 1, "m", persona="a; b, -> c", temp=1)


@pytest.mark.parametrize(
    ("text", "message", "carets"),
    [
        ("5E@", "expected a model", "   ^"),
        ("e@m", "codes are in upper case", "^^^"),
        ("5 @m", "expected a code, such as E, found '@m'", "  ^^"),
        ("E@m)", "unexpected ')' after an entry", "   ^"),
        ("E@m(temp=0.7", "this parenthesis is never closed", "   ^"),
        ("E@m(a=[1", "this bracket is never closed", "      ^"),
        ("E@m(a='x", "this quote is never closed", "      ^"),
        ("E@m(temp)", "expected key=value", "    ^"),
        ("E@m(temp=)", "expected a value, found ')'", "         ^"),
        ("E@m(a=1, a=2)", "parameter 'a' is given twice", "         ^"),
        ("E@m(a=1e999)", "1e999 is too large", "      ^^^^^"),
        ("E!5@m", "expected an alias, found '5@m'", "  ^^^"),
        ("0E@m", "a count is from 1 to 10000, found 0", "^"),
        ("99999E@m", "a count is from 1 to 10000", "^^^^^"),
        ("a -> ", "expected the name of a node", "     ^"),
        ("a.port -> b", "ports and modifiers", " ^^^^^"),
        ("a b -> c", "unexpected 'b' in a flow", "  ^"),
        ("3:E:ollama:llama3:8b", "expected a number, found '8b'", "                  ^^"),
        ("3:E:a:b:c:1", "too many fields", "          ^"),
        ("::|", "unexpected '|' after an entry", "  ^"),
    ],
)
def test_a_mistake_is_shown_at_its_column(text: str, message: str, carets: str) -> None:
    with pytest.raises(NotationError) as raised:
        parse_notation(text)
    first, line, under = str(raised.value).splitlines()
    assert message in first
    assert first.startswith(f"column {len(carets) - carets.count('^') + 1}: ")
    assert (line, under) == (f"  {text}", f"  {carets}")


def test_a_mistake_is_found_among_lines_and_entries() -> None:
    with pytest.raises(NotationError, match=r"^line 2, column 3: expected a code"):
        parse_notation("E@m\n  ?")
    with pytest.raises(NotationError, match=r"^entry 2, column 1: expected a code"):
        parse_notation(["E@m", "?"])
    with pytest.raises(ConfigError, match="entry 1: expected text, found 5"):
        parse_notation([5])  # type: ignore[list-item]


def test_only_the_part_of_a_long_line_around_the_mistake_is_shown() -> None:
    with pytest.raises(NotationError) as raised:
        parse_notation(f"E@{'a' * 500}(temp=) , E@{'b' * 500}")
    _, line, carets = str(raised.value).splitlines()
    assert len(line) < 150
    assert line[carets.index("^")] == ")"


def test_values_are_not_nested_without_end() -> None:
    with pytest.raises(NotationError, match="nested too deeply"):
        parse_notation(f"E(a={'[' * 5000}")
