"""No file of the package does two jobs, and no function is long."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ember_bench

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
PACKAGE = Path(ember_bench.__file__).parent
REPOSITORY = Path(__file__).parents[1]


def functions(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield place and number of lines of each function below a folder."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                place = f"{path.relative_to(folder.parent)}:{node.lineno} {node.name}"
                yield place, node.end_lineno - node.lineno + 1


def test_no_file_of_the_package_is_long() -> None:
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert lengths
    assert {file: n for file, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_long() -> None:
    folders = (PACKAGE, REPOSITORY / "tests", REPOSITORY / "benchmarks")
    lengths = {place: n for folder in folders for place, n in functions(folder)}
    assert lengths
    assert {place: n for place, n in lengths.items() if n > LONGEST_FUNCTION} == {}
