"""Tables as CSV, JSON lines, Parquet, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

import msgspec

from ember_bench.drawing.text import escape_markdown, one_line

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["text", "integer", "number", "flag"]
Format = Literal["csv", "jsonl", "parquet", "md", "latex"]

_DTYPES: Final[dict[Kind, str]] = {
    "text": "object", "integer": "Int64", "number": "float64", "flag": "boolean",
}  # fmt: skip
_BATCH: Final = 5_000
_LATEX: Final = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "_": r"\_", "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "\N{EN DASH}": "--",
}  # fmt: skip
_IN_LATEX: Final = re.compile("[" + re.escape("".join(_LATEX)) + "]")


# Spreadsheets run what begins with one of these, also after blanks and in full width.
_FORMULA: Final = re.compile(r"\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|[\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?%?")


class Best(str):
    """The text of a best value, which LaTeX sets bold."""

    __slots__ = ()


class NearBest(str):
    """The text of a value that is not shown to differ from the best, which LaTeX marks."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A tidy table: a row for each thing, a column for each of its properties.

    Attributes:
        columns: Name and kind of each.
        rows: Values in the order of the columns; None where there is none.
        grouped: Whether the first column names parts of the table; LaTeX has it as headings.
        notes: Sentences about the table; LaTeX has them as comments below it.
    """

    columns: Sequence[tuple[str, Kind]]
    rows: Iterable[Sequence[Any]]
    grouped: bool = False
    notes: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [name for name, _ in self.columns]

    def frame(self) -> pd.DataFrame:
        """Return the table as a pandas frame."""
        import pandas as pd  # noqa: PLC0415 - heavy

        rows = list(self.rows)
        columns = {
            name: pd.Series([row[place] for row in rows], dtype=_DTYPES[kind])
            for place, (name, kind) in enumerate(self.columns)
        }
        return pd.DataFrame(columns)


def write_table(table: Table, form: Format, file: BinaryIO) -> None:
    """Write a table, a batch of rows at a time where the format allows it."""
    _WRITERS[form](table, file)


class _Plain(csv.excel):
    """Quotes fields if they need it."""

    lineterminator = "\n"


class _Quoted(_Plain):
    """All fields are quoted."""

    quoting = csv.QUOTE_ALL


def _csv(table: Table, file: BinaryIO) -> None:
    """Write CSV (RFC 4180) in UTF-8; nothing stands for None.

    An apostrophe before a text that a spreadsheet would run makes it plain text there.
    """
    for batch in _batches(chain([table.names], table.rows)):
        text, lines = io.StringIO(), [[*map(_harmless, row)] for row in batch]
        # Python quotes a field with a line feed, not one with a carriage return.
        unsafe = any("\r" in value for line in lines for value in line)
        dialect = _Quoted if unsafe else _Plain
        csv.writer(text, dialect).writerows(lines)
        file.write(text.getvalue().encode())


def _harmless(value: Any) -> str:
    """Return a value as CSV has it; a text that begins like a formula after an apostrophe."""
    text = _plain(value)
    if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def _jsonl(table: Table, file: BinaryIO) -> None:
    encode, names = msgspec.json.Encoder().encode, table.names
    for row in table.rows:
        file.write(encode(dict(zip(names, row, strict=True))) + b"\n")


def _parquet(table: Table, file: BinaryIO) -> None:
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    kinds = {
        "text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "flag": pa.bool_(),
    }  # fmt: skip
    schema = pa.schema([(name, kinds[kind]) for name, kind in table.columns])
    # A stream without seeking is enough, but pyarrow closes it.
    sink = pa.PythonFile(_Unclosed(file), mode="w")
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in _batches(table.rows):
            columns = list(zip(*batch, strict=True))
            arrays = [
                pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _markdown(table: Table, file: BinaryIO) -> None:
    lines = [
        map(escape_markdown, table.names),
        (":---" if kind == "text" else "---:" for _, kind in table.columns),
        *(map(escape_markdown, map(_plain, row)) for row in table.rows),
    ]
    file.write("".join(f"| {' | '.join(line)} |\n" for line in lines).encode())


def _latex(table: Table, file: BinaryIO) -> None:
    """Write a `tabular` with the rules of the package booktabs, without columns without a text."""
    rows = [[*map(_latex_value, row)] for row in table.rows]
    first = 1 if table.grouped else 0
    shown = [
        place
        for place in range(first, len(table.columns))
        if table.names[place] or any(row[place] for row in rows)
    ]
    alignment = "".join("l" if table.columns[place][1] == "text" else "r" for place in shown)
    lines = [f"\\begin{{tabular}}{{{alignment}}}", "\\toprule"]
    lines += [_latex_row(escape_latex(table.names[place]) for place in shown), "\\midrule"]
    parts = dict.fromkeys(row[0] for row in rows) if table.grouped else {}
    part = None
    for row in rows:
        if len(parts) > 1 and row[0] != part:
            lines += ["\\midrule"] if part is not None else []
            lines.append(f"\\multicolumn{{{len(shown)}}}{{l}}{{\\textit{{{row[0]}}}}} \\\\")
            part = row[0]
        lines.append(_latex_row(row[place] for place in shown))
    lines += ["\\bottomrule", "\\end{tabular}", *(f"% {one_line(note)}" for note in table.notes)]
    file.write("".join(f"{line}\n" for line in lines).encode())


def _latex_row(values: Iterable[str]) -> str:
    return " & ".join(values) + " \\\\"


def _latex_value(value: Any) -> str:
    text = escape_latex(_plain(value))
    if isinstance(value, Best):
        return f"\\textbf{{{text}}}"
    # Digits stay below each other: the mark takes no room.
    return f"{text}\\rlap{{$^\\dagger$}}" if isinstance(value, NearBest) else text


def escape_latex(text: str) -> str:
    """Return `text` in one line that LaTeX sets as it is."""
    escaped = _IN_LATEX.sub(lambda match: _LATEX[match[0]], one_line(text))
    # After `\\` a bracket would be the row's spacing.
    return f"{{{escaped}}}" if escaped.startswith(("[", "*")) else escaped


_WRITERS: Final[dict[Format, Callable[[Table, BinaryIO], None]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "md": _markdown,
    "latex": _latex,
}
FORMATS: Final = tuple(_WRITERS)


def _batches(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    source = iter(rows)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # The shortest that reads back as the same number.
    return repr(value) if isinstance(value, float) else str(value)


class _Unclosed(io.RawIOBase):
    """A file that stays open when this is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)
