"""The pages list every field of grids and cards, as the models have it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ember_bench.errors import UnknownNameError
from ember_bench.experiment.spec import DatasetSpec, ExperimentSpec
from ember_bench.registry import Cards, builtin_root
from ember_bench.running.card_docs import cards_of
from ember_bench.running.field_docs import fields_of, with_tables
from ember_bench.running.schemas import kinds

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("grid.md", "architectures.md", "cards.md", "registry.md")


def test_the_pages_are_as_the_models_are(tmp_path: Path) -> None:
    """In a process of its own, where no test has registered sources or evaluators."""
    copies = [Path(shutil.copy(DOCS / page, tmp_path)) for page in PAGES]
    command = [sys.executable, "-m", "ember_bench.running.field_docs", *map(str, copies)]
    subprocess.run(command, check=True, timeout=120)
    for copy in copies:
        told = f"run: {' '.join(command[1:3])} docs/{copy.name}"
        assert copy.read_text() == (DOCS / copy.name).read_text(), told


def test_every_kind_has_a_table_on_a_page() -> None:
    text = "".join((DOCS / page).read_text() for page in PAGES)
    assert {*re.findall(r"<!-- fields: (\w+) -->", text)} == {*kinds()}


@pytest.mark.parametrize("kind", kinds())
def test_every_field_has_a_meaning(kind: str) -> None:
    rows = [line for line in fields_of(kind).splitlines() if line.startswith("| `")]
    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []


@pytest.mark.parametrize("kind", kinds())
def test_every_link_to_a_part_leads_to_its_heading(kind: str) -> None:
    text = fields_of(kind)
    headings = {title.replace(" ", "-") for title in re.findall("^### (.*)$", text, re.MULTILINE)}
    assert {*re.findall(r"\(#([\w-]+)\)", text)} <= headings


def test_a_row_has_type_default_and_meaning() -> None:
    text = fields_of("grid")
    assert "| `epochs` | whole number from 1 to 10,000 | `1` |" in text
    assert "| `name` | text | required | Name of a card in `registry/architectures/`. |" in text
    assert '| `name` | text | `""` | Name of a card in `registry/datasets/`. |' in text
    for model in (ExperimentSpec, DatasetSpec):
        assert all(f"| `{name}` |" in text for name in model.model_fields)


def test_a_page_that_names_no_kind_is_a_mistake() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'grid'"):
        with_tables("<!-- fields: gird -->\n<!-- end -->")
    with pytest.raises(UnknownNameError, match="did you mean 'dataset'"):
        with_tables("<!-- cards: datasat -->\n<!-- end -->")


@pytest.mark.parametrize("kind", ["dataset", "suite", "evaluator"])
def test_every_built_in_card_is_in_the_table_of_its_kind(kind: str) -> None:
    rows = cards_of(kind).splitlines()[2:]
    names = Cards([builtin_root()]).all(f"{kind}s")  # type: ignore[arg-type]
    assert [row.split("`")[1] for row in rows] == list(names)
    assert [row for row in rows if "|  |" in row] == []
