"""Tables in every format: nothing lost, nothing that breaks out of its cell."""

from __future__ import annotations

import csv
import io
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.report.table_formats import (
    FORMATS,
    Best,
    Format,
    NearBest,
    Table,
    escape_latex,
    write_table,
)

COLUMNS = [("name", "text"), ("n", "integer"), ("share", "number"), ("made", "flag")]
ROWS = [
    ("plain", 3, 0.1, True),
    ('a "quoted", text\nof two lines', None, None, False),
    ("a|b $x_1$ 50 % & \\item {~^} <b>", 2**40, 1e-9, None),
]


def written(table: Table, form: Format) -> bytes:
    file = io.BytesIO()
    write_table(table, form, file)
    return file.getvalue()


def table(rows=ROWS) -> Table:  # type: ignore[no-untyped-def]
    return Table(COLUMNS, rows)  # type: ignore[arg-type]


def test_csv_reads_back() -> None:
    lines = list(csv.reader(io.StringIO(written(table(), "csv").decode())))
    assert lines[0] == ["name", "n", "share", "made"]
    assert lines[1] == ["plain", "3", "0.1", "true"]
    assert lines[2] == ['a "quoted", text\nof two lines', "", "", "false"]
    assert float(lines[3][2]) == 1e-9


def test_json_lines_read_back() -> None:
    lines = [json.loads(line) for line in written(table(), "jsonl").splitlines()]
    assert [tuple(line.values()) for line in lines] == ROWS


def test_parquet_reads_back_with_types() -> None:
    found = pq.read_table(io.BytesIO(written(table(), "parquet")))
    assert [tuple(row.values()) for row in found.to_pylist()] == ROWS
    assert [str(field.type) for field in found.schema] == ["string", "int64", "double", "bool"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_table_without_rows_has_its_columns(form: Format) -> None:
    text = written(table([]), form)
    if form == "parquet":
        assert pq.read_table(io.BytesIO(text)).schema.names == ["name", "n", "share", "made"]
    elif form == "jsonl":
        assert text == b""
    else:
        assert b"share" in text


def test_many_rows_are_written_in_batches() -> None:
    rows = ((f"row {i}", i, i / 7, i % 2 == 0) for i in range(12_345))
    found = pq.read_table(io.BytesIO(written(table(rows), "parquet")))
    assert found.num_rows == 12_345
    assert found["n"][12_344].as_py() == 12_344


def test_markdown_has_a_line_for_each_row_and_as_many_cells() -> None:
    lines = written(table(), "md").decode().splitlines()
    assert lines[1] == "| :--- | ---: | ---: | ---: |"
    assert len(lines) == 2 + len(ROWS)
    assert lines[4].startswith(r"| a\|b \$x\_1\$ 50 % \& \\item {\~^} \<b\> |")


def test_latex_is_a_tabular_with_rules() -> None:
    lines = written(table(), "latex").decode().splitlines()
    assert lines[:2] == [r"\begin{tabular}{lrrr}", r"\toprule"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    assert lines[4] == r"plain & 3 & 0.1 & true \\"


def test_latex_emphasises_the_best_and_marks_what_is_near() -> None:
    columns = [("system", "text"), ("accuracy", "number")]
    rows = [("a", Best("90 %")), ("b", NearBest("89.0")), ("c", "40.0")]
    lines = written(Table(columns, rows), "latex").decode().splitlines()  # type: ignore[arg-type]
    assert lines[4:7] == [
        r"a & \textbf{90 \%} \\",
        r"b & 89.0\rlap{$^\dagger$} \\",
        r"c & 40.0 \\",
    ]
    assert "a,90 %\nb,89.0\n" in written(Table(columns, rows), "csv").decode()  # type: ignore[arg-type]


def test_latex_has_parts_as_headings_and_notes_as_comments() -> None:
    columns = [("dataset", "text"), ("system", "text"), ("", "text"), ("n", "number")]
    rows = [("d_1", "a", "", 1), ("d_1", "b", "", 2), ("d_2", "a", "", 3)]
    table = Table(columns, rows, grouped=True, notes=["two\nlines"])  # type: ignore[arg-type]
    assert written(table, "latex").decode().splitlines() == [
        r"\begin{tabular}{lr}", r"\toprule", r"system & n \\", r"\midrule",
        r"\multicolumn{2}{l}{\textit{d\_1}} \\", r"a & 1 \\", r"b & 2 \\", r"\midrule",
        r"\multicolumn{2}{l}{\textit{d\_2}} \\", r"a & 3 \\", r"\bottomrule", r"\end{tabular}",
        "% two lines",
    ]  # fmt: skip
    alone = Table(columns, rows[:2], grouped=True)  # type: ignore[arg-type]
    assert "multicolumn" not in written(alone, "latex").decode()


@given(st.text())
def test_no_text_gets_out_of_its_cell_in_latex(text: str) -> None:
    escaped = escape_latex(text)
    bare = escaped
    for command in (
        r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\textless{}",
        r"\textgreater{}", r"\{", r"\}", r"\$", r"\&", r"\#", r"\_", r"\%",
    ):  # fmt: skip
        bare = bare.replace(command, "")
    if escaped.startswith("{"):
        bare = bare.removeprefix("{").removesuffix("}")
    assert not set(bare) & set("\\{}$&#_%~^\n")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_text_reads_back_from_csv_and_json(texts: list[str]) -> None:
    rows = [(text, None, None, None) for text in texts]
    found = [json.loads(line)["name"] for line in written(table(rows), "jsonl").splitlines()]
    assert found == texts
    lines = list(csv.reader(io.StringIO(written(table(rows), "csv").decode(), newline="")))
    # An apostrophe may stand before the text, and nothing else.
    assert all(line[0] in (text, f"'{text}") for line, text in zip(lines[1:], texts, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "\uff1d1",
    ],
)
def test_a_csv_cell_that_a_spreadsheet_would_run_is_plain_text(text: str) -> None:
    lines = list(
        csv.reader(
            io.StringIO(written(table([(text, None, None, None)]), "csv").decode(), newline="")
        )
    )
    assert lines[1][0] == f"'{text}"


@pytest.mark.parametrize(
    "text", ["-5", "+3", "-0.25", "-1e-9", "-1,000", "a=b", "A - B", "'quoted'"]
)
def test_a_csv_cell_that_is_a_number_or_a_word_stays_as_it_is(text: str) -> None:
    lines = written(table([(text, None, None, None)]), "csv").decode().splitlines()
    assert next(csv.reader(lines[1:]))[0] == text
