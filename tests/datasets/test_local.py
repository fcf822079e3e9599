from __future__ import annotations

import gzip
import json
import re
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ember_bench.datasets import load_dataset
from ember_bench.datasets.formats import Layout, open_records
from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError
from ember_bench.record_fields import as_text
from ember_bench.registry import Card, Cards

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = [{"id": "1", "q": "What is 1 + 1?", "a": "2"}, {"id": "2", "q": 'Say "é,\n"', "a": "é"}]


def read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    return [(number, dict(record)) for number, record in open_records(path).rows]


def records(path: Path) -> list[dict[str, Any]]:
    return [record for _, record in read(path)]


def error(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path)
    return str(caught.value)


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


CSV = b'id,q,a\n1,What is 1 + 1?,2\n2,"Say ""\xc3\xa9,\n""",\xc3\xa9\n'

CONTENT = {
    "items.jsonl": jsonl(ROWS),
    "items.JSONL": jsonl(ROWS),
    "items.jsonl.gz": gzip.compress(jsonl(ROWS)),
    "items.json": json.dumps(ROWS).encode(),
    "items.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "items.csv": CSV,
    "items.csv.gz": gzip.compress(CSV),
}


def of(path: Path, wanted: str = "", **layout: Any) -> list[dict[str, Any]]:
    """Return the records of a file with this layout, of which some fields are wanted."""
    found = open_records(path, Layout(**layout), wanted=frozenset(wanted.split()))
    return [dict(record) for _, record in found.rows]


PASSAGE = {"text": "p", "qas": [{"id": "a", "q": "?"}, {"id": "b", "q": "!"}]}


@pytest.mark.parametrize(
    ("name", "content", "wanted", "layout", "expected"),
    [
        ("i.json", {"a": {"q": "?"}}, "", {"layout": "by_id"}, [{"key": "a", "q": "?"}]),
        ("i.json", {"q": ["?", "!"]}, "q", {"layout": "columns"}, [{"q": "?"}, {"q": "!"}]),
        ("i.json", {"q": {"7": "?"}}, "q", {"layout": "columns"}, [{"key": "7", "q": "?"}]),
        ("i.json", {"q": "?"}, "", {"layout": "record"}, [{"q": "?"}]),
        ("i.json", {"d": [["?", 1]]}, "value[0]", {"field": "d"}, [{"value": ["?", 1]}]),
        (
            "i.json",
            {"d": [{"title": "t", "parts": [PASSAGE]}]},
            "",
            {"field": "d", "each": ["parts", "qas"]},
            [{"title": "t", "parts": [PASSAGE], **PASSAGE, **one} for one in PASSAGE["qas"]],
        ),
        ("i.csv", 'q,c\n?,"[1, 2]"\n', "", {"json_fields": ["c"]}, [{"q": "?", "c": [1, 2]}]),
        ("i.json", '{"q": 1}\n{"q": 2}\n', "", {}, [{"q": 1}, {"q": 2}]),
        ("i.json", '[{"q": 1, "x": null}]', "", {}, [{"q": 1, "x": None}]),
    ],
)
def test_a_file_holds_records_in_other_ways(
    tmp_path: Path,
    name: str,
    content: Any,
    wanted: str,
    layout: dict[str, Any],
    expected: list[dict[str, Any]],
) -> None:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert of(path, wanted, **layout) == expected


def test_a_number_that_is_none_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "i.jsonl"
    path.write_text('{"q": "?", "a": NaN}\n')
    (record,) = of(path)
    assert as_text(record["a"], "a") == ""


def test_a_table_has_no_layout(tmp_path: Path) -> None:
    path = tmp_path / "i.csv"
    path.write_bytes(CSV)
    with pytest.raises(ConfigError, match="`layout` is for JSON files"):
        of(path, layout="by_id")


@pytest.mark.parametrize("name", CONTENT)
def test_every_format_gives_the_same_records(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENT[name])
    assert records(path) == ROWS


@pytest.mark.parametrize("name", ["items.jsonl", "items.json", "items.csv"])
def test_a_byte_order_mark_is_not_part_of_the_first_field(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + CONTENT[name])
    assert records(path) == ROWS


def test_parquet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    rows = [{"id": 1, "choices": ["a", "b"], "day": date(2024, 1, 2)}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert read(path) == [(1, rows[0])]


def test_only_the_wanted_columns_of_a_parquet_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    rows = [{"id": 1, "image": b"...", "mc": {"choices": ["a"]}}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    wanted = open_records(path, wanted=frozenset({"id", "mc.choices"})).rows
    assert [dict(record) for _, record in wanted] == [{"id": 1, "mc": {"choices": ["a"]}}]
    unknown = open_records(path, wanted=frozenset({"id", "nowhere"})).rows
    assert [sorted(record) for _, record in unknown] == [["id", "image", "mc"]]


def test_csv_values_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("id,a,b\n007,NA,\n1e3,true,1.0\n")
    assert records(path) == [
        {"id": "007", "a": "NA", "b": ""},
        {"id": "1e3", "a": "true", "b": "1.0"},
    ]


def test_a_csv_value_may_be_longer_than_the_csv_module_likes(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(f"id,text\n1,{'x' * 300_000}\n")
    assert len(records(path)[0]["text"]) == 300_000


def test_integers_past_64_bits_stay_exact(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"a": 123456789012345678901234567890}\n')
    assert records(path) == [{"a": 123456789012345678901234567890}]


def test_records_are_numbered_by_the_line_they_begin_on(tmp_path: Path) -> None:
    table = tmp_path / "items.csv"
    table.write_text('id,q\n1,"two\nlines"\n\n2,one\n')
    assert [number for number, _ in read(table)] == [2, 5]
    lines = tmp_path / "items.jsonl"
    lines.write_text('{"id": 1}\n\n  \n{"id": 2}\n')
    assert [number for number, _ in read(lines)] == [1, 4]


def test_reading_streams(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": 1}\n' * 5000 + "broken")
    rows = iter(open_records(path).rows)
    assert next(rows) == (1, {"id": 1})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("i.jsonl", b'{"a": 1}\n{"a": }\n', ":2:7: not valid JSON: Expecting value"),
        ("i.jsonl", b'{"a": 1}\n[1]\n', ":2: expected a JSON object, found an array"),
        ("i.jsonl", b'{"a": Infinity}\n', ":1: not valid JSON: Infinity is not a JSON number"),
        ("i.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', ":2:8: not UTF-8 text: byte 0xff"),
        ("i.jsonl", '{"a": 1}\n'.encode("utf-16"), ":1: it looks like UTF-16; save it as UTF-8"),
        ("i.jsonl", b"[" * 100_000, ":1: nested too deeply"),
        ("i.json", b'{"a": 1}', ": expected a JSON array of objects, found an object"),
        ("i.json", b'[{"a": 1},\n 2]', ": record 2: expected an object, found a number"),
        ("i.json", b'[{"a": 1},\n{"a" 1}]', ":2:6: not valid JSON: Expecting ':'"),
        ("i.csv", b"a,b\n1,2\n1,2,3\n", ":3: 2 columns in the header, 3 here"),
        ("i.csv", b"a,b,a\n1,2,3\n", ":1: two columns have one name: 'a'"),
        ("i.csv", b"", ":1: expected a header with the names of the columns"),
        (
            "i.csv",
            b'a,b\n1,"2\n3,4\n',
            ":2: not valid CSV: a quotation mark is opened and never closed",
        ),
        ("i.csv", b"a,b\n1,\xe9\n", ":2:3: not UTF-8 text: byte 0xe9"),
        ("i.csv.gz", b"a,b\n1,2\n", ": not gzip data: Not a gzipped file"),
        ("i.parquet", b"PAR1 not", ": not a readable Parquet file: "),
        ("i.xlsx", b"", ": a spreadsheet: save its sheet as CSV (UTF-8)"),
        ("items", b"", ": cannot tell what it holds"),
        ("i.parquet.gz", b"", ": a Parquet file is compressed inside; unpack it"),
    ],
)
def test_broken_files_say_where_and_why(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert f"{path}{message}" in error(path)


def test_a_truncated_gzip_file_says_how_far_it_could_be_read(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl.gz"
    whole = gzip.compress(b"".join(b'{"id": %d}\n' % (i * 7919) for i in range(20_000)))
    path.write_bytes(whole[: len(whole) // 2])
    found = error(path)
    line = int(found.removeprefix(f"{path}:").partition(":")[0])
    assert "the gzip data is cut short or damaged after this line" in found
    assert 1 < line < 20_000


def test_a_missing_file_names_its_near_neighbours(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text("{}")
    assert "no such file; did you mean 'items.jsonl'?" in error(tmp_path / "itmes.jsonl")


def test_the_revision_of_a_file_is_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    content = b"a\n1\n"
    path.write_bytes(content)
    assert open_records(path).revision == f"sha256:{sha256(content).hexdigest()}"


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"))
names = st.lists(text.filter(bool), min_size=1, max_size=4, unique=True)


@given(st.data())
def test_any_csv_that_python_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    import csv

    header = data.draw(names)
    rows = data.draw(st.lists(st.lists(text, min_size=len(header), max_size=len(header))))
    path = tmp_path_factory.getbasetemp() / "any.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([header, *rows])
    assert records(path) == [dict(zip(header, row, strict=True)) for row in rows]


@given(st.lists(st.dictionaries(text, text | st.integers() | st.none() | st.booleans())))
def test_any_json_lines_that_python_writes_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(jsonl(rows))
    assert records(path) == rows


@given(st.binary(max_size=200), st.sampled_from(["x.jsonl", "x.json", "x.csv", "x.csv.gz"]))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    problem = None
    try:
        read(path)
    except ConfigError as refused:
        problem = str(refused)
    assert problem is None or problem.startswith(str(path))


@pytest.fixture
def big(tmp_path: Path) -> Callable[[int], Path]:
    def make(lines: int) -> Path:
        path = tmp_path / "big.jsonl"
        path.write_bytes(b'{"id": "x", "q": "y"}\n' * lines)
        return path

    return make


def test_memory_does_not_grow_with_the_file(big: Callable[[int], Path]) -> None:
    import tracemalloc

    path = big(50_000)
    tracemalloc.start()
    try:
        count = sum(1 for _ in open_records(path).rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 50_000
    assert peak < 2**20


def card_of(source: str, path: Path) -> Card:
    text = f"""name: quiz
purpose: p
source: {{file: {source}}}
fields: {{question: q, target: t}}
evaluator: exact_match
"""
    return Card("datasets", "quiz", parse_document(text, path / "quiz.yaml"), path)


def test_a_semicolon_file_is_told_to_say_its_delimiter(tmp_path: Path) -> None:
    (tmp_path / "quiz.csv").write_text("q;t\nWho, then?;me\n")
    with pytest.raises(ConfigError, match=r"quiz\.csv:1: the columns are separated by ';'") as said:
        load_dataset(card_of("quiz.csv", tmp_path), Cards())
    told = re.findall("`(.*)`", str(said.value))[0]
    assert told == '{path: quiz.csv, delimiter: ";"}'
    (item,) = load_dataset(card_of(told, tmp_path), Cards())
    assert (item.question, item.target) == ("Who, then?", "me")


def test_tsv_has_tabs(tmp_path: Path) -> None:
    (tmp_path / "quiz.tsv").write_text("q\tt\nWho; or, what?\tme\n")
    assert read(tmp_path / "quiz.tsv") == [(2, {"q": "Who; or, what?", "t": "me"})]


def test_a_delimiter_is_for_csv_files(tmp_path: Path) -> None:
    (tmp_path / "quiz.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match="`delimiter` is for CSV files"):
        open_records(tmp_path / "quiz.jsonl", Layout(delimiter=";"))


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_json_line_that_breaks_off_is_reported_on_its_line(tmp_path: Path, end: str) -> None:
    path = tmp_path / "quiz.jsonl"
    path.write_bytes(('{"a": 1}\n{"a": 2' + end).encode())
    with pytest.raises(ConfigError, match=r"quiz\.jsonl:2:8: not valid JSON: .*one whole object"):
        read(path)


def test_an_array_in_a_jsonl_file_is_told_the_right_name(tmp_path: Path) -> None:
    path = tmp_path / "quiz.jsonl"
    path.write_text('[{"a": 1}]\n')
    with pytest.raises(ConfigError, match=r"quiz\.jsonl:1: .* one array is named \.json"):
        read(path)


def test_a_layout_says_what_the_name_does_not(tmp_path: Path) -> None:
    (tmp_path / "qa.json").write_text('{"a": 1}\n{"a": 2}\n')
    rows = open_records(tmp_path / "qa.json", Layout(format="jsonl")).rows
    assert list(rows) == [(1, {"a": 1}), (2, {"a": 2})]


def test_the_records_may_stand_in_a_field_of_a_json_file(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text('{"canary": "x", "data": {"examples": [{"a": 1}]}}')
    path = tmp_path / "task.json"
    assert list(open_records(path, Layout(field="data.examples")).rows) == [(1, {"a": 1})]
    with pytest.raises(ConfigError, match="no field 'dat'; did you mean 'data'"):
        list(open_records(path, Layout(field="dat")).rows)
    with pytest.raises(ConfigError, match="expected a JSON array of objects, found an object"):
        list(open_records(path, Layout(field="data")).rows)
    with pytest.raises(ConfigError, match="`field` is for JSON files"):
        open_records(tmp_path / "x.jsonl", Layout(field="data"))


def test_columns_without_a_header_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mgsm_de.tsv"
    path.write_text('Wie viele?\t2,125\n"Und\nnun?"\t3\n')
    rows = list(open_records(path, Layout(columns=("q", "a"))).rows)
    assert rows == [(1, {"q": "Wie viele?", "a": "2,125"}), (2, {"q": "Und\nnun?", "a": "3"})]
    with pytest.raises(ConfigError, match="3 columns in `columns`, 2 here"):
        list(open_records(path, Layout(columns=("q", "a", "b"))).rows)


def test_a_pattern_is_every_such_file_and_names_each(tmp_path: Path) -> None:
    for name, text in {"algebra": "1 + 1?\t2\n", "logic": "Not true?\tfalse\n"}.items():
        (tmp_path / f"{name}_test.tsv").write_text(text)
    source = "{path: '*_test.tsv', columns: [q, t]}"
    text = f"""name: quiz
purpose: p
source: {{file: {source}}}
fields: {{id: file, question: q, target: t}}
evaluator: exact_match
"""
    card = Card("datasets", "quiz", parse_document(text, tmp_path / "quiz.yaml"), tmp_path)
    items = load_dataset(card, Cards())
    assert [(item.id, item.target) for item in items] == [("algebra", "2"), ("logic", "false")]
