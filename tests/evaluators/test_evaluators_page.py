"""The page on evaluators has every kind, in its table and among its examples."""

from __future__ import annotations

import re
from pathlib import Path

from ember_bench.evaluators.cards import BUILT_IN
from ember_bench.evaluators.kinds import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "evaluators.md").read_text(encoding="utf-8")

OURS = {(kind.name, kind.cls.__name__) for kind in KINDS.values() if kind.cls in BUILT_IN}


def test_the_table_has_every_kind() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (?:`([\w-]+)`)? ?\|$", PAGE, flags=re.MULTILINE)
    assert {name for name, _ in OURS} <= {name for name, _ in rows}


def test_an_example_has_every_kind() -> None:
    examples = PAGE.partition("### One example of each kind")[2]
    shown = set(re.findall(r"\b(\w+)\(\"(\w+)\"", examples))
    assert {
        (kind.cls.__name__, kind.name) for kind in KINDS.values() if kind.cls in BUILT_IN
    } <= shown
