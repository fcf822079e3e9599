"""`ember-bench plot`."""

from __future__ import annotations

import pytest

from ember_bench.running.results import load_results
from tests.cli.conftest import Command
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow


@pytest.fixture
def ran(sums: Workspace) -> Workspace:
    sums.grid(architectures=[single("counted:a"), vote([1, 3])])
    sums.run()
    return sums


def test_writes_the_figure_and_its_data_and_prints_both(command: Command, ran: Workspace) -> None:
    result = command("plot", "front", "trip", "-o", "front.svg", "--width", "two")
    assert (result.status, result.out.split()) == (0, ["front.svg", "front.csv"])
    assert (ran.root / "front.svg").read_text().startswith("<?xml")


def test_a_dark_figure_has_the_same_data(command: Command, ran: Workspace) -> None:
    for name, options in (("light", []), ("dark", ["--dark"])):
        assert command("plot", "front", "trip", "-o", f"{name}.svg", *options).status == 0
    light, dark = ((ran.root / name).read_bytes() for name in ("light.csv", "dark.csv"))
    assert light == dark
    assert "#0d1117" in (ran.root / "dark.svg").read_text()
    assert "#0d1117" not in (ran.root / "light.svg").read_text()


def test_writes_a_pdf_here_if_no_file_is_named(command: Command, ran: Workspace) -> None:
    assert command("plot", "items", "trip").out.split() == ["items.pdf", "items.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fronts", "trip"], "front"),
        (["front", "trip", "--width", "tow"], "two"),
        (["front", "trip", "--axis", "price"], "cost"),
        (["front", "trip", "--dataset", "smus"], "sums"),
        (["front", "trip", "-o", "front.jpeg"], ".pdf, .svg, .png"),
        (["front", "trp"], "trip"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(
    command: Command, ran: Workspace, arguments: list[str], said: str
) -> None:
    result = command("plot", *arguments)
    assert result.status == 2
    assert said in result.err
    assert not list(ran.root.glob("*.pdf"))


def test_python_draws_the_same(command: Command, ran: Workspace) -> None:
    command("plot", "differences", "trip", "-o", "a.svg")
    results = load_results(ran.root / "results/trip")
    results.plot("differences", ran.root / "b.svg")
    for ending in ("svg", "csv"):
        assert (ran.root / f"a.{ending}").read_bytes() == (ran.root / f"b.{ending}").read_bytes()
