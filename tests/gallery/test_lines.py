"""The table of lines in docs/gallery.md says what is so: no network is longer than in DSPy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "gallery.md"
PEERS = Path(__file__).parent / "dspy_networks.txt"


def lines(code: str) -> int:
    """Return the number of lines that are neither blank nor a comment."""
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") for line in code.splitlines()
    )


def ours() -> dict[str, int]:
    """Return the lines of the first program below each heading of the page's networks."""
    sections = re.split(r"^## ", PAGE.read_text().partition("# Networks\n")[2], flags=re.MULTILINE)
    found = {}
    for section in sections[1:]:
        if block := re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
            found[section.partition("\n")[0]] = lines(block[1])
    return found


def theirs() -> dict[str, int]:
    """Return the lines of each network in DSPy."""
    sections = PEERS.read_text().split("# --- ")[1:]
    return {s.partition("\n")[0]: lines(s.partition("\n")[2]) for s in sections}


def test_there_are_twelve_and_each_has_its_counterpart() -> None:
    assert len(ours()) == 12
    assert list(ours()) == list(theirs())


@pytest.mark.parametrize("name", list(theirs()))
def test_no_network_is_longer_than_its_counterpart(name: str) -> None:
    assert ours()[name] <= theirs()[name]


def test_the_table_of_the_page_has_the_numbers() -> None:
    rows = [f"| {name} | {count} | {theirs()[name]} |" for name, count in ours().items()]
    assert "\n".join(rows) in PAGE.read_text()


@pytest.mark.extra
def test_the_counterparts_run(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("dspy", reason="the environment of DSPy")
    exec(compile(PEERS.read_text(), str(PEERS), "exec"), {})
    assert len(capsys.readouterr().out.split()) >= 12
