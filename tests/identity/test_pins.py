"""What decides whether stored answers and trials are used again is what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from ember_bench import operators as operators_face
from ember_bench.datasets import generators
from ember_bench.operators import Operator
from tests.identity.digests import (
    PAPERS,
    SECTIONS,
    Section,
    cards,
    changes,
    operators,
    paper_section,
    read_pins,
)
from tests.identity.internals import operator_class


def check(name: str, section: Section) -> None:
    changed = changes(section, read_pins().get(name, {}))
    assert not changed, "\n".join(
        [
            f"identities of {name} changed: {section.meaning}.",
            *changed,
            "If that is meant, say so in CHANGELOG.md and run `python -m tests.identity`.",
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_identities_are_those_that_are_pinned(name: str) -> None:
    check(name, SECTIONS[name])


@pytest.mark.parametrize("name", PAPERS)
def test_the_identities_of_a_papers_grid_are_those_that_are_pinned(
    name: str, data_dir: Path
) -> None:
    check(name, paper_section(name, data_dir))


def test_nothing_else_is_pinned() -> None:
    assert read_pins().keys() == SECTIONS.keys() | PAPERS.keys()


def test_a_changed_a_lost_and_a_new_identity_are_named() -> None:
    section = Section(lambda: {"same": "1", "changed": "2", "new": "3"}, "")
    assert changes(section, {"same": "1", "changed": "0", "lost": "4"}) == [
        "changed: 0 -> 2",
        "lost: 4 -> gone",
        "new: not pinned -> 3",
    ]


def test_every_operator_class_of_the_package_is_pinned() -> None:
    pinned = {type(part) for _, root in operators() for _, part in root.named_operators()}
    public = {getattr(operators_face, name) for name in operators_face.__all__}
    classes = {c for c in public if isinstance(c, type) and issubclass(c, Operator)}
    assert classes - {Operator} <= pinned
    elsewhere = ("JittedOperator", "Mapped", "NoNGraphData", "FindPerspectives", "Interview")
    assert {operator_class(name) for name in (*elsewhere, "Outline", "WriteArticle")} <= pinned


def test_every_generator_of_the_package_makes_a_pinned_dataset() -> None:
    ours = {n for n, g in generators().items() if g.make.__module__.startswith("ember_bench.")}
    sources = [card.document.data["source"] for card in cards().all("datasets").values()]
    assert ours == {source["generated"]["generator"] for source in sources if "generated" in source}
