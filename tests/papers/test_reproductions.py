"""Each paper run whole: the committed numbers are what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ember_bench.errors import DataMissingError
from ember_bench.running.papers import Paper, papers
from ember_bench.running.reproduce import reproduce
from ember_bench.running.reproduction_text import REPRODUCTIONS, markdown, with_atlas

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "results" / REPRODUCTIONS
# Half a million calls: minutes, and a test of its own in `test_cruxeval.py`.
LONG = {"cruxeval", "mmlu_pro"}


def test_the_atlas_says_what_the_tables_say() -> None:
    page = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    assert with_atlas(page, list(papers().values()), COMMITTED) == page


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(papers()) - LONG))
def test_the_committed_numbers_come_out(
    name: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBER_BENCH_DATA", str(data_dir))
    paper: Paper = papers()[name]
    try:
        found = reproduce(paper, tmp_path, quiet=True)
    except DataMissingError as error:
        pytest.skip(str(error))
    assert found.holds
    assert not found.stale
    committed = (COMMITTED / f"{name}.md").read_text(encoding="utf-8")
    assert _compared(markdown(found)) == _compared(committed)


def _compared(page: str) -> str:
    """Return a page up to the tables of systems, whose form changes more often than its numbers."""
    return page.partition("\n## Intervals")[0]
