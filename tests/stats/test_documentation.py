import re
from pathlib import Path

import pytest

from .coverage import ROWS, SIZES

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def test_the_pages_example_runs_and_says_what_it_promises(capsys):
    example, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    exec(compile(example, str(PAGE), "exec"), {})
    shown = capsys.readouterr().out
    assert re.search(r"^vote: 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]$", shown, flags=re.MULTILINE)
    assert "mcnemar p = " in shown


def test_every_function_the_page_names_exists():
    from ember_bench import stats

    code = re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE.read_text())
    assert code
    assert [name for name in code if name not in stats.__all__] == []


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_the_coverage_that_the_page_states_is_what_is_measured(row):
    (line,) = re.findall(
        rf"^\| {re.escape(row.label)} \|(.*)\|$", PAGE.read_text(), flags=re.MULTILINE
    )
    stated = [float(cell) if cell.strip() else None for cell in line.split("|")]
    measured = row.measured()
    assert [m is None for m in measured] == [s is None for s in stated]
    for told, found in zip(stated, measured, strict=True):
        # Rounded to percent; other versions of numpy may draw other numbers.
        assert told is None or told == pytest.approx(100 * found, abs=1.5)


def test_the_page_states_no_other_coverage():
    table = PAGE.read_text().partition("## Measured coverage")[2]
    labels = re.findall(r"^\| (.*?) \|", table, flags=re.MULTILINE)
    assert labels == ["coverage, %", "---", *(row.label for row in ROWS)]
    assert f"| coverage, % | {' | '.join(map(str, SIZES))} |" in table
    assert not re.findall(r"cover\w* \d+ %", PAGE.read_text())
