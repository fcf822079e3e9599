"""The table of lines in docs/gallery.md says what is so: no network is longer than elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "gallery.md"
# By the package that runs them, in the order of the table.
PEERS = {name: Path(__file__).parent / f"{name}_networks.txt" for name in ("dspy", "langgraph")}


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


def theirs(peer: str) -> dict[str, int]:
    """Return the lines of each network in another framework."""
    sections = PEERS[peer].read_text().split("# --- ")[1:]
    return {s.partition("\n")[0]: lines(s.partition("\n")[2]) for s in sections}


@pytest.mark.parametrize("peer", PEERS)
def test_there_are_twelve_and_each_has_its_counterpart(peer: str) -> None:
    assert len(ours()) == 12
    assert list(ours()) == list(theirs(peer))


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", list(ours()))
def test_no_network_is_longer_than_its_counterpart(name: str, peer: str) -> None:
    assert ours()[name] <= theirs(peer)[name]


def test_the_table_of_the_page_has_the_numbers() -> None:
    counts = [ours(), *map(theirs, PEERS)]
    rows = [f"| {' | '.join([name, *(str(count[name]) for count in counts)])} |" for name in ours()]
    assert "\n".join(rows) in PAGE.read_text()


@pytest.mark.extra
@pytest.mark.parametrize("peer", PEERS)
def test_the_counterparts_run(peer: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(peer, reason=f"the environment of {peer}")
    code = compile(PEERS[peer].read_text(), str(PEERS[peer]), "exec", dont_inherit=True)
    exec(code, {})
    assert len(capsys.readouterr().out.split()) >= 12
