from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from ember_bench.documents import MAX_BYTES, Document, parse_document, read_document
from ember_bench.errors import ConfigError, Problem
from ember_bench.graph.architecture import ArchitectureCard

PATH = Path("card.yaml")

TEXT = """\
name: vote          # a comment
parameters:
  k: {type: int, default: 5}
  model:
    type: model
graph:
  ensemble:
    operator: EnsembleOperator
    inputs: [a, b]
    lm_modules:
      - model: $model
        count: $k
"""


def parse(text: str) -> Document:
    return parse_document(text, PATH)


def refused(text: str, model: type[BaseModel] | None = None) -> str:
    """Return the message with which a text is refused."""

    def read() -> None:
        document = parse(text)
        if model is not None:
            document.parse(model)

    with pytest.raises(ConfigError) as caught:
        read()
    return str(caught.value)


class TestPlaces:
    @pytest.mark.parametrize(
        ("keys", "place"),
        [
            (("name",), "1:1"),
            (("parameters", "k"), "3:3"),
            (("parameters", "k", "default"), "3:18"),
            (("graph", "ensemble", "inputs"), "9:5"),
            (("graph", "ensemble", "inputs", 1), "9:17"),
            (("graph", "ensemble", "lm_modules", 0), "11:9"),
            (("graph", "ensemble", "lm_modules", 0, "count"), "12:9"),
            ((), "1:1"),
        ],
    )
    def test_of_keys_and_of_entries_of_lists(self, keys: Any, place: str) -> None:
        assert str(parse(TEXT).at(*keys)) == f"card.yaml:{place}"

    def test_of_what_is_not_there_is_that_of_the_nearest_parent(self) -> None:
        assert str(parse(TEXT).at("graph", "ensemble", "nothing", 3)) == "card.yaml:7:3"
        assert str(parse(TEXT).at("nothing")) == "card.yaml:1:1"

    def test_are_kept_in_a_part(self) -> None:
        part = parse(TEXT).sub("graph", "ensemble")
        assert part.data["operator"] == "EnsembleOperator"
        assert str(part.at("inputs", 1)) == "card.yaml:9:17"
        assert str(part.at("nothing")) == "card.yaml:7:3"

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=20))
    def test_point_at_the_key_wherever_it_stands(self, layout: list[tuple[int, int]]) -> None:
        """Any number of blank lines before a key, any indentation within."""
        lines: list[str] = []
        expected = {}
        for number, (blank, indent) in enumerate(layout):
            lines += [""] * blank
            expected[f"k{number}",] = (len(lines) + 1, 1)
            lines.append(f"k{number}:")
            expected[f"k{number}", "x"] = (len(lines) + 1, indent + 1)
            lines.append(" " * indent + "x: 1")
        document = parse("\n".join(lines))
        for keys, (line, column) in expected.items():
            at = document.at(*keys)
            assert (at.line, at.column) == (line, column)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(default=1, ge=1)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: Inner = Inner()
    many: list[Inner] = []
    named: dict[str, Inner] = {}
    either: int | list[int] = 0


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name: 5", "card.yaml:1:1: name: expected a text, in quotes (found 5)"),
            ("inner: {}", "card.yaml:1:1: missing field 'name'"),
            ("name: a\ninnr: b", "card.yaml:2:1: unknown field 'innr'; did you mean 'inner'?"),
            (
                "name: a\ninner:\n  size: 0",
                "card.yaml:3:3: inner.size: must be at least 1 (found 0)",
            ),
            (
                "name: a\nmany:\n- size: 2\n- sise: 2",
                "card.yaml:4:3: unknown field 'sise'; did you mean 'size'?",
            ),
            (
                "name: a\nnamed:\n  x: {siz: 2}",
                "card.yaml:3:7: unknown field 'siz'; did you mean 'size'?",
            ),
            (
                "name: a\nnamed:\n  many: {siz: 2}",
                "card.yaml:3:10: unknown field 'siz'; did you mean 'size'?",
            ),
        ],
    )
    def test_are_said_at_their_place_with_what_was_meant(self, text: str, message: str) -> None:
        assert refused(text, Outer) == message

    def test_are_said_all_at_once(self) -> None:
        text = "nme: a\ninner: {size: x}\nmany: [{size: 0}]"
        assert [line.split(": ")[0] for line in refused(text, Outer).splitlines()] == [
            "card.yaml:1:1",
            "card.yaml:2:9",
            "card.yaml:3:9",
            "card.yaml:1:1",
        ]

    def test_in_an_alternative_are_said_at_the_field(self) -> None:
        for line in refused("name: a\neither: x", Outer).splitlines():
            assert line.startswith("card.yaml:2:1: either")

    def test_in_a_part_are_said_at_their_place_in_the_file(self) -> None:
        with pytest.raises(ConfigError, match=r"card.yaml:3:3: unknown field 'x'"):
            parse("name: a\ninner:\n  x: 1").sub("inner").parse(Inner)

    def test_a_long_text_is_not_repeated_in_full(self) -> None:
        assert len(refused(f"name: [{'x' * 9}]\ninner: {'y' * 50_000}", Outer)) < 1_000


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: 1\nb: [1, 2", "card.yaml:2:9: not valid YAML: expected ',' or ']'"),
            ("a: 1\n  b: 2", "card.yaml:2:4: not valid YAML: mapping values are not allowed here"),
            ("a: 1\n\tb: 2", "card.yaml:2:1: not valid YAML"),
            ("a: *x", "card.yaml:1:4: not valid YAML: found undefined alias 'x'"),
            ("a: 1\n---\nb: 2", "card.yaml:2:1: not valid YAML"),
            ("a: 1\nb: \x07", "card.yaml:2:4: not valid YAML: special characters are not allowed"),
            ("a: 1\na: 2", "card.yaml:2:1: duplicate key 'a'; it is on line 1 already"),
            ("x: {b: 1, c: 2, b: 3}", "card.yaml:1:17: duplicate key 'b'"),
            ("? [a]\n: 1", "card.yaml:1:3: a key must be plain text"),
            ("", "card.yaml:1:1: the file is empty"),
            ("# only a comment", "card.yaml:1:1: the file is empty"),
            ("- a\n- b", "card.yaml:1:1: expected a mapping, found a list"),
            ("text", "card.yaml:1:1: expected a mapping, found text"),
            ("a: 1\nb: !!python/object:os.system x", "card.yaml:2:4: could not determine"),
            ("a: !!int x", "card.yaml:1:4: "),
            ("a: !!int ''", "card.yaml:1:4: "),
            ("a: !!float ''", "card.yaml:1:4: "),
            ("a: !!bool maybe", "card.yaml:1:4: "),
            ("a: !!timestamp soon", "card.yaml:1:4: "),
            ("a: !!timestamp 2026-13-45", "card.yaml:1:4: "),
            ("a: !!binary '\u00e9'", "card.yaml:1:4: "),
            ("a: 2026-13-45", "card.yaml:1:4: "),
            (f"a: {'9' * 5_000}", "card.yaml:1:4: "),
        ],
    )
    def test_that_cannot_be_used_is_refused_at_its_place(self, text: str, message: str) -> None:
        assert refused(text).startswith(message)

    def test_keys_are_text_whatever_they_look_like(self) -> None:
        assert parse("on: 1\n2: b\nnull: c").data == {"on": 1, "2": "b", "null": "c"}

    def test_aliases_work(self) -> None:
        assert parse("a: &x {k: 1}\nb: *x").data == {"a": {"k": 1}, "b": {"k": 1}}

    def test_a_bomb_of_aliases_is_refused_at_once(self) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
        assert "too large or nested too deeply" in refused("\n".join(lines))

    def test_an_alias_within_itself_is_refused(self) -> None:
        assert "too large or nested too deeply" in refused("a: &x [*x]")

    @pytest.mark.parametrize("depth", [70, 600])
    def test_deep_nesting_is_refused(self, depth: int) -> None:
        assert "nested too deeply" in refused("a: " + "[" * depth + "]" * depth)


class TestFiles:
    def test_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "card.yaml"
        path.write_text("\ufeffname: \u00fc", encoding="utf-8")
        assert read_document(path).data == {"name": "\u00fc"}

    def test_that_are_not_there_are_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.yaml: cannot read it: No such file"):
            read_document(tmp_path / "none.yaml")

    def test_that_are_folders_are_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot read it: Is a directory"):
            read_document(tmp_path)

    def test_that_are_no_text_are_said_with_the_line(self, tmp_path: Path) -> None:
        path = tmp_path / "card.yaml"
        path.write_bytes(b"name: a\npurpose: \xff")
        with pytest.raises(ConfigError, match=r"card\.yaml:2:10: not UTF-8 text"):
            read_document(path)

    def test_that_are_far_too_large_are_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "card.yaml"
        with path.open("wb") as file:
            file.truncate(MAX_BYTES + 1)
        with pytest.raises(ConfigError, match="larger than 10,000,000 bytes"):
            read_document(path)


@pytest.mark.parametrize("text", ["12:30", "1:30.5", "-3:04", "190:20:30"])
def test_a_time_or_a_ratio_is_no_number_to_the_base_60(text: str) -> None:
    assert parse(f"records: [{{target: {text}}}]").data == {"records": [{"target": text}]}


SCRAPS = [
    *":{}[]&*!|>'\"%@#-?,$~`\\\t\n 0x.",
    *("!!bool ", "!!float ", "!!int ", "!!timestamp ", "!!binary ", "!!set ", "!!omap ", "!x "),
    *("<<: ", "&x ", "*x", "---\n", "...\n", "- ", ": ", "? ", "\x00", "\x85", "\u2028"),
    *("\ud800", '"\\ud800"', "1e999", ".nan", "0b_", "1:30", "2026-02-30", "null"),
]


def mistakes(text: str) -> tuple[Problem, ...]:
    """Return what is wrong with the card in `text`; any error but a `ConfigError` is raised."""
    try:
        parse(text).parse(ArchitectureCard)
    except ConfigError as error:
        return error.problems or (Problem(""),)
    return ()


@settings(max_examples=400, deadline=None)
@given(st.integers(), st.integers(1, 8))
def test_random_edits_are_read_or_refused_at_a_place_in_the_file(seed: int, edits: int) -> None:
    generator = random.Random(seed)
    text = TEXT
    for _ in range(edits):
        at = generator.randrange(len(text) + 1)
        text = text[:at] + generator.choice([*SCRAPS, ""]) + text[at + generator.randrange(4) :]
    for problem in mistakes(text):
        assert problem.message
        assert problem.location is not None
        assert problem.location.line is not None
        assert 1 <= problem.location.line <= len(text.split("\n")) + 1


@pytest.mark.parametrize(
    "number", ["9" * 301, "9" * 5_000, "0x" + "f" * 5_000, "0b" + "1" * 20_000, "-" + "1" * 301]
)
def test_an_integer_that_python_cannot_write_is_one_mistake(number: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(f"a: 1\nb: [{number}]\n", Path("x.yaml"))
    assert str(caught.value) == "x.yaml:2:5: a whole number has at most 300 digits"


def test_a_pattern_is_never_shown() -> None:
    class Named(BaseModel):
        name: Annotated[str, Field(pattern="^[a-z]{3}$")]

    with pytest.raises(ConfigError, match=r"name: it has characters that are not allowed") as said:
        parse_document("name: Ab", Path("card.yaml")).parse(Named)
    assert "[a-z]" not in str(said.value)


def test_an_entry_of_a_list_is_left_out_and_the_places_of_others_stay() -> None:
    document = parse_document("of:\n- {a: 1}\n- {a: 2}\n- {a: 3}\n", Path("card.yaml"))
    left = document.without("of", 1)
    assert left.data == {"of": [{"a": 1}, {"a": 3}]}
    assert [left.at("of", i, "a").line for i in range(2)] == [2, 4]
    assert document.without("of", 7) is document
    assert document.without("nowhere", "a") is document


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: int = 0


class _Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    of: list[_Entry]
    n: int = 1


@pytest.mark.parametrize(
    ("text", "left", "count"),
    [
        ("of: [{a: 1}]", {"of": [{"a": 1, "b": 0}], "n": 1}, 0),
        ("of: [{a: x}, {b: 2}, {a: 3, b: y}]\nn: z\nm: 1", {"of": [{"a": 3, "b": 0}], "n": 1}, 5),
        ("n: 1", None, 1),
    ],
)
def test_what_is_valid_is_parsed(text: str, left: Any, count: int) -> None:
    parsed, _, problems = parse_document(text, Path("card.yaml")).parse_most(_Whole)
    assert len(problems) == count
    assert (parsed.model_dump() if parsed is not None else None) == left
